package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"

	"souk/service/marketplaceimagebuild"
)

// followed is what was shown of a build.
type followed struct {
	app    *App
	client *http.Client
	read   [2]int64 // bytes of each log
	drawn  bool     // a line that says how long it takes stands last
}

// logs shows what is new of both logs.
func (f *followed) logs(ctx context.Context, stdout, stderr string) error {
	for i, log := range []struct {
		at string
		to io.Writer
	}{{stdout, f.app.Out}, {stderr, f.app.Err}} {
		for log.at != "" {
			text, err := f.part(ctx, log.at, f.read[i])
			if err != nil {
				f.clear()
				return err
			}
			if len(text) == 0 {
				break
			}
			f.clear()
			f.read[i] += int64(len(text))
			if f.app.Terminal {
				text = harmless(text)
			}
			_, err = log.to.Write(text)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// harmless is what an installer wrote without what would command the terminal
// that it is shown on: no control characters but tabs and the ends of lines.
func harmless(text []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' {
			return -1
		}
		return r
	}, text)
}

// part reads a piece of a log from a byte on; none at its present end.
func (f *followed) part(ctx context.Context, at string, from int64) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, fmt.Errorf("reading a log: %w", err)
	}
	r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, from+piece-1))
	response, err := f.client.Do(r)
	if err != nil {
		return nil, unanswered(r.URL, err)
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusPartialContent:
	case http.StatusOK: // it is empty
		if from > 0 {
			return nil, fmt.Errorf("reading a log: %s serves no parts of it", r.URL.Host)
		}
	case http.StatusRequestedRangeNotSatisfiable, http.StatusNotFound: // nothing new, or nothing yet
		return nil, nil
	default:
		return nil, fmt.Errorf("reading a log: %s", response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, piece))
	if err != nil {
		return nil, fmt.Errorf("reading a log: %w", err)
	}
	return text, nil
}

// waiting draws the line that says how long it takes.
func (f *followed) waiting(b *marketplaceimagebuild.Build) {
	if !f.app.Terminal {
		return
	}
	f.drawn = true
	fmt.Fprintf(f.app.Out, "\r\x1b[2mbuilding %s for %v\x1b[0m\x1b[K", b.DestinationImage.Name, time.Since(b.StartTime.Time).Round(time.Second))
}

// clear removes that line.
func (f *followed) clear() {
	if f.drawn {
		fmt.Fprint(f.app.Out, "\r\x1b[K")
	}
	f.drawn = false
}

// end says how a build ended: an error where it made no image.
func (f *followed) end(b *marketplaceimagebuild.Build) error {
	f.clear()
	if b.Status == "Succeeded" {
		_, err := fmt.Fprintf(f.app.Out, "%s\n", b.DestinationImage.Id)
		f.app.hint("build %s has succeeded after %v: `souk image show %s`", b.BuildId, b.LastUpdateTime.Sub(b.StartTime.Time).Round(100*time.Millisecond), b.DestinationImage.Id)
		return err
	}
	why, code := "", ""
	if b.ErrorDetail != nil {
		why, code = ": "+string(harmless([]byte(b.ErrorDetail.Message))), string(b.ErrorDetail.Code)
	}
	next := map[string]string{
		"InstallFailed":    "The log above says more; if the product is at fault, tell its seller",
		"SSMAgentNotFound": "Take another source image: this one can't be started",
	}[code]
	if b.Status == "InternalError" {
		next = "Start it again; if that does not help, the market's operator finds more in its log"
	}
	text := fmt.Sprintf("build %s ended as %s%s", b.BuildId, b.Status, why)
	if next != "" {
		text = strings.TrimSuffix(text, ".") + ". " + next
	}
	return fmt.Errorf("%s", text)
}

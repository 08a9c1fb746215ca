package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"souk/artifact/appstream/session"
	"souk/artifact/machine/files"
)

// CpCommand copies files into an image builder and out of it.
type CpCommand struct {
	MarketFlags `embed:""`
	Source      string `arg:"" help:"What is copied: a path here, or NAME:PATH in an image builder, or - for a tar archive on standard input."`
	Target      string `arg:"" help:"Where to: into it if it is a folder, else as it; - writes a tar archive to standard output."`
}

// Help says what the line of help can't.
func (c *CpCommand) Help() string {
	return `For example:

    souk cp installer.deb web:/tmp/
    souk cp web:/var/log/nginx .
    souk cp web:/etc - | tar t

NAME:PATH is a path in the image builder NAME, which must be RUNNING; a file here
whose name has a colon is written ./a:b. Files are copied with their modes and times,
folders with all that is in them, links as links. What is copied into an image
builder is root's there.

It needs appstream:CreateImageBuilderStreamingURL on the image builder.`
}

// inBuilder is NAME:PATH. What has a slash before the colon is a path here.
var inBuilder = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}):(.*)$`) })

// Run copies, one way or the other.
func (c *CpCommand) Run(app *App) error {
	from, to := inBuilder().FindStringSubmatch(c.Source), inBuilder().FindStringSubmatch(c.Target)
	switch {
	case from == nil && to == nil:
		return usagef("neither %q nor %q is in an image builder: one of them is NAME:PATH", c.Source, c.Target)
	case from != nil && to != nil:
		return usagef("both are in image builders: copy to a folder here first")
	case from != nil && from[2] == "" || to != nil && to[2] == "":
		return usagef("there is no path behind the colon: NAME:/PATH")
	}
	if from == nil && c.Source != "-" {
		_, err := os.Stat(c.Source) // before anything is asked
		if err != nil {
			return fmt.Errorf("reading what is to be copied: %w", err)
		}
	}
	m, err := c.market()
	if err != nil {
		return err
	}
	if from != nil {
		return app.fetch(m, from[1], from[2], c.Target)
	}
	return app.put(m, c.Source, to[1], to[2])
}

// carry runs the machine's end of a copy.
func (app *App) carry(m *remoteMarket, builder, direction, path string, s session.Streams) error {
	conn, err := m.session(app.Ctx, openSession{Name: builder, Kind: session.Files})
	if err != nil {
		return err
	}
	var said saying
	s.Err = &said
	e, err := app.run(context.WithoutCancel(app.Ctx), conn, session.Start{Args: []string{direction, path}}, s)
	if err != nil {
		return sessionWords(err)
	}
	notes, reason := said.lines()
	if e.Code == 0 {
		for _, line := range append(notes, reason) {
			if line != "" {
				fmt.Fprintf(app.Err, "souk: %s\n", line)
			}
		}
		return nil
	}
	switch {
	case e.Signal != 0:
		return errors.New("the copy was ended")
	case reason == "":
		reason = fmt.Sprintf("the copy failed with status %d", e.Code)
	}
	return fmt.Errorf("in image builder %s: %s", builder, reason)
}

// put copies a path of ours, or the archive on standard input, to one of a machine.
func (app *App) put(m *remoteMarket, source, builder, path string) error {
	if source == "-" {
		return app.carry(m, builder, session.Put, path, session.Streams{In: app.In})
	}
	bar := app.copying("sending")
	defer bar.end()
	if bar.bar.terminal {
		bar.total = weigh(source)
	}
	archive, to := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := files.Pack(to, source, files.Options{Note: func(text string) { fmt.Fprintf(app.Err, "souk: %s\n", text) }})
		packed <- err
		to.CloseWithError(err) // nil ends it as it should end
	}()
	err := app.carry(m, builder, session.Put, path, session.Streams{In: io.TeeReader(archive, bar)})
	archive.Close()
	if failed := <-packed; failed != nil && !errors.Is(failed, io.ErrClosedPipe) {
		return failed // the machine's complaint is that the archive ended too early
	}
	return err
}

// fetch copies a path of a machine to one of ours, or as an archive to standard
// output. What the machine sends is a stranger's: see artifact/machine/files. It is
// called as it was asked for, or nothing of it is taken.
func (app *App) fetch(m *remoteMarket, builder, source, target string) error {
	if target == "-" {
		return app.carry(m, builder, session.Get, source, session.Streams{Out: app.Out})
	}
	name := path.Base(path.Clean("/" + source)) // in a machine paths begin at /
	if name == "/" {
		name = "" // the machine says that it can't be copied
	}
	bar := app.copying("receiving")
	defer bar.end()
	from, archive := io.Pipe()
	unpacked := make(chan error, 1)
	go func() {
		err := files.Unpack(from, target, files.Options{Name: name})
		if err == nil {
			_, err = io.Copy(io.Discard, from) // what stands behind the archive's end
		}
		from.CloseWithError(err)
		unpacked <- err
	}()
	err := app.carry(m, builder, session.Get, source, session.Streams{Out: io.MultiWriter(archive, bar)})
	archive.CloseWithError(err)
	failed := <-unpacked
	if err == nil || failed != nil && errors.Is(err, failed) {
		err = failed // in its own words
	}
	return err
}

// copying shows how far a copy is, on a terminal.
type copying struct {
	bar         *progress
	step        string
	done, total int64
}

func (app *App) copying(step string) *copying {
	return &copying{bar: newProgress(app.Err), step: step}
}

// Write implements io.Writer: it counts.
func (c *copying) Write(b []byte) (int, error) {
	c.done += int64(len(b))
	if c.bar.terminal {
		c.bar.tell(c.step, c.done, c.total)
	}
	return len(b), nil
}

func (c *copying) end() { c.bar.end() }

// weigh is how many bytes a file or folder has, about.
func weigh(name string) int64 {
	var total int64
	_ = filepath.WalkDir(name, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // copying it says what is wrong
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}

// saying keeps what the machine's end of a copy says, which is not much.
type saying struct{ text bytes.Buffer }

// mostSaid bounds it, in bytes.
const mostSaid = 16 << 10

// Write implements io.Writer.
func (s *saying) Write(b []byte) (int, error) {
	if room := mostSaid - s.text.Len(); room > 0 {
		s.text.Write(b[:min(len(b), room)])
	}
	return len(b), nil
}

// lines are what was said, without what a terminal would obey; the last is the reason of a failure.
func (s *saying) lines() (notes []string, reason string) {
	all := strings.Split(strings.TrimSpace(string(harmless(s.text.Bytes()))), "\n")
	for i, line := range all {
		all[i] = strings.TrimPrefix(strings.TrimSpace(line), "files: ")
	}
	return all[:len(all)-1], all[len(all)-1]
}

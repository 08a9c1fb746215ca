package souktest

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Logos is a web server from which logos are fetched.
//
//	/logo.png        a logo as the seller guide wants it
//	/tiny.png        one that is too small
//	/text.png        no image at all
//	/slow/NAME.png   a logo that is sent when Release(NAME) is called
type Logos struct {
	URL string

	logo []byte
	mu   sync.Mutex
	// slow has a channel for each name, closed by Release; guarded by mu.
	slow map[string]chan struct{}
	// asked has a channel for each name, closed by the first request; guarded by mu.
	asked map[string]chan struct{}
}

// ServeLogos starts the web server; it ends with the test.
func ServeLogos(tb testing.TB) *Logos {
	tb.Helper()
	l := &Logos{logo: drawing(tb, 240), slow: map[string]chan struct{}{}, asked: map[string]chan struct{}{}}
	tiny := drawing(tb, 8)
	mux := http.NewServeMux()
	send := func(w http.ResponseWriter, b []byte) {
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write(b) // the server's loss
	}
	mux.HandleFunc("/logo.png", func(w http.ResponseWriter, _ *http.Request) { send(w, l.logo) })
	mux.HandleFunc("/tiny.png", func(w http.ResponseWriter, _ *http.Request) { send(w, tiny) })
	mux.HandleFunc("/text.png", func(w http.ResponseWriter, _ *http.Request) { send(w, []byte("no image")) })
	mux.HandleFunc("/slow/{name}", func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimSuffix(r.PathValue("name"), ".png")
		wait, asked := l.channels(name)
		l.mu.Lock()
		select {
		case <-asked:
		default:
			close(asked)
		}
		l.mu.Unlock()
		select {
		case <-wait:
			send(w, l.logo)
		case <-r.Context().Done():
		}
	})
	server := httptest.NewServer(mux)
	l.URL = server.URL
	tb.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return l
}

// Slow is the URL of a logo that waits for Release.
func (l *Logos) Slow(name string) string { return fmt.Sprintf("%s/slow/%s.png", l.URL, name) }

// Asked is closed when somebody fetches the slow logo.
func (l *Logos) Asked(name string) <-chan struct{} {
	_, asked := l.channels(name)
	return asked
}

// Release lets a slow logo be sent. Once for each name.
func (l *Logos) Release(name string) {
	wait, _ := l.channels(name)
	close(wait)
}

func (l *Logos) channels(name string) (wait, asked chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.slow[name] == nil {
		l.slow[name], l.asked[name] = make(chan struct{}), make(chan struct{})
	}
	return l.slow[name], l.asked[name]
}

// drawing is a square PNG.
func drawing(tb testing.TB, side int) []byte {
	tb.Helper()
	m := image.NewRGBA(image.Rect(0, 0, side, side))
	for x := range side {
		for y := range side {
			m.Set(x, y, color.RGBA{R: uint8(x), G: uint8(y), B: 160, A: 255})
		}
	}
	var b bytes.Buffer
	err := png.Encode(&b, m)
	if err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

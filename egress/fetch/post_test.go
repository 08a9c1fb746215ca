package fetch

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestPost(t *testing.T) {
	t.Parallel()
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	t.Cleanup(inner.Close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Method != http.MethodPost || string(body) != "message" || r.Header.Get("X-Y") != "z":
			t.Errorf("%s %v: %q", r.Method, r.Header, body)
		case r.URL.Path == "/redirect":
			http.Redirect(w, r, inner.URL, http.StatusTemporaryRedirect)
		case r.URL.Path == "/endless":
			for r.Context().Err() == nil {
				w.Write(make([]byte, 4096))
				w.(http.Flusher).Flush()
			}
		case r.URL.Path == "/500":
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(server.Close)
	f := New(Config{Allow: loopback})
	for path, want := range map[string]int{"/": 200, "/redirect": 307, "/500": 500, "/endless": 200} {
		status, err := f.Post(t.Context(), server.URL+path, http.Header{"X-Y": {"z"}}, []byte("message"), 10*time.Second)
		if err != nil || status != want {
			t.Errorf("%s: %d, %v, want %d", path, status, err, want)
		}
	}
	_, err := New(Config{}).Post(t.Context(), server.URL, nil, nil, time.Second)
	if !errors.Is(err, ErrRefused) {
		t.Errorf("an inner address: %v, want ErrRefused", err)
	}
	inner.Close()
	_, err = f.Post(t.Context(), inner.URL, nil, nil, time.Second)
	if err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("a server that is down: %v, want an error that is no ErrRefused", err)
	}
}

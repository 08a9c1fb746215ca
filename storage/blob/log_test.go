package blob

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func appendLog(t *testing.T, s *Store, most int64) *Log {
	t.Helper()
	l, err := s.AppendLog("logs", "build.log", most)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func write(t *testing.T, l *Log, text string) {
	t.Helper()
	if n, err := io.WriteString(l, text); err != nil || n != len(text) {
		t.Errorf("writing %q: %d, %v", text, n, err)
	}
}

// read reads the log by its URL; part is a Range, "" for all.
func read(t *testing.T, s *Store, part string) (status int, text string) {
	t.Helper()
	at, err := s.URL("logs", "build.log", noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, strings.TrimPrefix(at, "https://souk.example/base"), nil)
	if part != "" {
		r.Header.Set("Range", part)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestALogIsReadWhileItIsWritten(t *testing.T) {
	t.Parallel()
	s := open(t)
	l := appendLog(t, s, 0)
	if status, text := read(t, s, "bytes=0-"); status != http.StatusOK || text != "" {
		t.Errorf("an empty log: %d %q", status, text)
	}
	write(t, l, "one\n")
	if status, text := read(t, s, ""); status != http.StatusOK || text != "one\n" {
		t.Errorf("after a line: %d %q", status, text)
	}
	write(t, l, "two\n")
	if status, text := read(t, s, "bytes=4-"); status != http.StatusPartialContent || text != "two\n" {
		t.Errorf("from the first unread byte: %d %q", status, text)
	}
	if status, _ := read(t, s, "bytes=8-"); status != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("from the present end: %d", status)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, l, "after the end\n")
	if _, text := read(t, s, ""); text != "one\ntwo\n" {
		t.Errorf("after its end: %q", text)
	}
}

// TestALogGoesOnAfterACrash: what a process wrote is there although it never closed it.
func TestALogGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	s := open(t)
	write(t, appendLog(t, s, 0), "before\n")
	write(t, appendLog(t, s, 0), "after\n")
	if _, text := read(t, s, ""); text != "before\nafter\n" {
		t.Errorf("the log is %q", text)
	}
}

func TestALogThatIsTooLongSaysHowMuchWasCut(t *testing.T) {
	t.Parallel()
	s := open(t)
	l := appendLog(t, s, 10)
	write(t, l, "0123456")
	write(t, l, "789abc")
	write(t, l, "def")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	want := "0123456789\n[6 more bytes were written and not kept: a log has 10 bytes at most]\n"
	if _, text := read(t, s, ""); text != want {
		t.Errorf("the log is %q, want %q", text, want)
	}
}

func TestSeveralWriteOneLog(t *testing.T) {
	t.Parallel()
	s := open(t)
	l := appendLog(t, s, 0)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				write(t, l, "a whole line\n")
			}
		})
	}
	all.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, text := read(t, s, ""); text != strings.Repeat("a whole line\n", 800) {
		t.Errorf("the log has %d bytes", len(text))
	}
}

func TestALogNeedsAName(t *testing.T) {
	t.Parallel()
	if _, err := open(t).AppendLog("logs", "../etc", 0); err == nil {
		t.Error("a log outside of the folder was opened")
	}
}

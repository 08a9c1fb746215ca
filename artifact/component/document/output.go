package document

import (
	"io"
	"strings"
	"sync"
)

// lineWriter passes on what steps write, and lines between them that begin at
// the beginning of a line. It may be used concurrently.
type lineWriter struct {
	mu      sync.Mutex
	w       io.Writer
	midLine bool // under mu: what was written last did not end its line
}

func (l *lineWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(p) > 0 {
		l.midLine = p[len(p)-1] != '\n'
	}
	return l.w.Write(p)
}

// line writes one line. That the output is gone is found out elsewhere.
func (l *lineWriter) line(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.midLine {
		s = "\n" + s
	}
	l.midLine = false
	io.WriteString(l.w, s+"\n")
}

// maxCapture is the most bytes of an output that are kept for references.
const maxCapture = 64 << 10

// capture passes on what is written, and keeps the beginning.
type capture struct {
	to   io.Writer
	mu   sync.Mutex
	kept []byte // under mu, as is over
	over bool
}

func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	room := min(len(p), maxCapture-len(c.kept))
	c.kept = append(c.kept, p[:room]...)
	c.over = c.over || room < len(p)
	c.mu.Unlock()
	return c.to.Write(p)
}

// text is what a reference to the output gets: without the ends of lines at its
// end, as a shell's $(...) has it.
func (c *capture) text() (s string, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s = strings.ReplaceAll(strings.ToValidUTF8(string(c.kept), "\uFFFD"), "\x00", "")
	return strings.TrimRight(s, "\r\n"), c.over
}

// keep cuts an output to what is kept.
func keep(s string) string {
	if len(s) <= maxCapture {
		return s
	}
	return strings.ToValidUTF8(s[:maxCapture], "")
}

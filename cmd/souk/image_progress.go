package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// progress shows how far long work is: as a bar on a terminal, as a line for
// each step elsewhere. It may be told concurrently.
type progress struct {
	out      io.Writer
	terminal bool
	now      func() time.Time

	mu    sync.Mutex // guards what follows
	step  string
	shown time.Time // when the bar was drawn last
	drawn bool      // a bar stands on the last line
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out, now: time.Now}
	if f, ok := out.(*os.File); ok && os.Getenv("TERM") != "dumb" {
		_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
		p.terminal = err == nil
	}
	return p
}

// redraw is how long a bar stays as it is at least.
const redraw = 100 * time.Millisecond

// tell says how far a step is, in bytes; total is 0 where nobody knows.
func (p *progress) tell(step string, done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fresh := step != p.step
	if fresh {
		p.finish()
		p.step = step
	}
	if !p.terminal {
		if fresh {
			line := step
			if total > 0 {
				line += " " + bytesForPeople(total)
			}
			fmt.Fprintln(p.out, line)
		}
		return
	}
	now := p.now()
	if !fresh && done != total && now.Sub(p.shown) < redraw {
		return
	}
	p.shown, p.drawn = now, true
	fmt.Fprintf(p.out, "\r%s\x1b[K", bar(step, done, total))
}

// end ends the bar, so that other text may follow.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finish()
	p.step = ""
}

func (p *progress) finish() {
	if p.drawn {
		fmt.Fprintln(p.out)
	}
	p.drawn = false
}

// bar draws a line: what is done, how much of it, and how much that is.
func bar(step string, done, total int64) string {
	const width = 30
	if total <= 0 {
		return fmt.Sprintf("%-12s %s", step, bytesForPeople(done))
	}
	done = min(max(done, 0), total)
	filled := int(float64(done) / float64(total) * width)
	return fmt.Sprintf("%-12s [%s%s] %3d%%  %s of %s", step, strings.Repeat("=", filled), strings.Repeat(" ", width-filled),
		int(float64(done)/float64(total)*100), bytesForPeople(done), bytesForPeople(total))
}

// bytesForPeople is a size in units of 1000: 999 bytes, 1.2 kB, 170.3 MB.
func bytesForPeople(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d bytes", n)
	}
	size := float64(n)
	for _, unit := range []string{"kB", "MB", "GB"} {
		size /= 1000
		if size < 999.95 || unit == "GB" {
			return fmt.Sprintf("%.1f %s", size, unit)
		}
	}
	return "" // the last unit takes all
}

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// teller prints the demo: each step as the command that a user would type, and
// its answer. On a terminal with a little colour, in a pipe as plain text.
type teller struct {
	out      io.Writer
	terminal bool
	chapters int
	who      string // whose command was printed last
}

// Styles of a terminal.
const (
	bold  = "1"
	faint = "2"
	red   = "31"
	green = "32"
)

func (t *teller) styled(style, text string) string {
	if !t.terminal || text == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// chapter begins a step.
func (t *teller) chapter(title string) {
	t.chapters++
	fmt.Fprintf(t.out, "\n%s\n", t.styled(bold, fmt.Sprintf("%d. %s", t.chapters, title)))
}

// say prints a sentence of explanation.
func (t *teller) say(format string, args ...any) {
	fmt.Fprintf(t.out, "   %s\n", fmt.Sprintf(format, args...))
}

// as says in a comment who types from here on, if that changes.
func (t *teller) as(who string) {
	if t.who != who {
		t.who = who
		fmt.Fprintf(t.out, "   %s\n", t.styled(faint, "# "+who))
	}
}

// command prints what a user would type. Its first part and each of the lines
// after it stand on lines of their own, joined as a shell joins them.
func (t *teller) command(first string, lines ...string) {
	text := "$ " + strings.Join(append([]string{first}, lines...), " \\\n      ")
	for line := range strings.Lines(text) {
		fmt.Fprintf(t.out, "   %s", t.styled(bold, strings.TrimSuffix(line, "\n"))+"\n")
	}
}

// answer prints a command's output: JSON is indented, all else is as it is.
func (t *teller) answer(output []byte) {
	var b bytes.Buffer
	if json.Indent(&b, output, "", "    ") != nil {
		b.Reset()
		b.Write(output)
	}
	for line := range strings.Lines(b.String()) {
		fmt.Fprintf(t.out, "   %s\n", t.styled(faint, strings.TrimSuffix(line, "\n")))
	}
}

// part prints a part of a JSON answer, as --query does: DetailsDocument, Versions. Of
// a list on the way the first item is meant.
func (t *teller) part(answer []byte, path ...string) error {
	part := json.RawMessage(answer)
	for _, name := range path {
		var list []json.RawMessage
		if json.Unmarshal(part, &list) == nil && len(list) > 0 {
			part = list[0]
		}
		var members map[string]json.RawMessage
		err := json.Unmarshal(part, &members)
		if err != nil {
			return fmt.Errorf("looking for %s in an answer: %w", strings.Join(path, "."), err)
		}
		part = members[name]
		if part == nil {
			return fmt.Errorf("the answer has no %s", strings.Join(path, "."))
		}
	}
	t.answer(part)
	return nil
}

// log is for the lines of a program that runs: each is shown as it comes,
// shortened.
func (t *teller) log() *logged { return &logged{t: t} }

// logged shows lines.
type logged struct {
	t *teller

	mu   sync.Mutex
	line []byte // guarded by mu; has not ended
}

// widest is how much is shown of a line, in bytes.
const widest = 110

// Write implements io.Writer. It may be called concurrently.
func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for part := range bytes.Lines(p) {
		l.line = append(l.line, part...)
		if bytes.HasSuffix(part, []byte("\n")) {
			l.show()
		}
	}
	return len(p), nil
}

// end shows what came after the last line's end.
func (l *logged) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.show()
}

func (l *logged) show() {
	text := strings.TrimRight(strings.ToValidUTF8(string(l.line), ""), "\r\n")
	l.line = l.line[:0]
	if text == "" {
		return
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f { // a stranger's words don't steer the terminal
			return ' '
		}
		return r
	}, text)
	if len(text) > widest {
		text = strings.ToValidUTF8(text[:widest], "") + "..."
	}
	fmt.Fprintf(l.t.out, "   | %s\n", l.t.styled(faint, text))
}

// good says what a step has shown.
func (t *teller) good(format string, args ...any) {
	fmt.Fprintf(t.out, "   %s %s\n", t.styled(green, "ok"), fmt.Sprintf(format, args...))
}

// bad says what went wrong.
func (t *teller) bad(format string, args ...any) {
	fmt.Fprintf(t.out, "   %s %s\n", t.styled(red, "wrong"), fmt.Sprintf(format, args...))
}

// waiting shows the states that something goes through, on one line.
type waiting struct {
	t     *teller
	began time.Time
	last  string
}

// wait begins a line of progress.
func (t *teller) wait(what string) *waiting {
	fmt.Fprintf(t.out, "   %s", t.styled(faint, what+" ..."))
	return &waiting{t: t, began: time.Now()}
}

// state shows a state once.
func (w *waiting) state(s string) {
	if s != w.last {
		w.last = s
		fmt.Fprintf(w.t.out, " %s", w.t.styled(faint, s))
	}
}

// done ends the line.
func (w *waiting) done() {
	fmt.Fprintf(w.t.out, " %s\n", w.t.styled(faint, fmt.Sprintf("(%.1f s)", time.Since(w.began).Seconds())))
}

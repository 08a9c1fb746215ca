package machinetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"souk/artifact/machine"
)

// screen is somebody at a terminal.
type screen struct {
	t    *testing.T
	out  *io.PipeReader
	keys *io.PipeWriter
	size chan machine.Size
	seen strings.Builder
	done chan result
}

// sit runs a program in a terminal.
func (b *box) sit(ctx context.Context, c machine.Cmd) *screen {
	s := &screen{t: b.t, size: make(chan machine.Size), done: make(chan result, 1)}
	in, keys := io.Pipe()
	out, w := io.Pipe()
	s.out, s.keys = out, keys
	c.Stdin, c.Stdout = in, w
	c.Terminal = &machine.Terminal{Term: "xterm-256color", Size: machine.Size{Rows: 24, Columns: 80}, Resize: s.size}
	go func() {
		s.done <- b.runIn(ctx, c)
		w.Close()
	}()
	return s
}

// types types, and waits until the terminal has shown a word since.
func (s *screen) types(keys, word string) {
	s.t.Helper()
	s.seen.Reset()
	hung := time.AfterFunc(patience, func() { s.out.CloseWithError(errors.New("it hangs")) })
	defer hung.Stop()
	if _, err := io.WriteString(s.keys, keys); err != nil {
		s.t.Fatal(err)
	}
	buf := make([]byte, 512)
	for !strings.Contains(s.seen.String(), word) {
		n, err := s.out.Read(buf)
		s.seen.Write(buf[:n])
		if err != nil {
			s.t.Fatalf("%q: the terminal shows %q and ends: %v", keys, s.seen.String(), err)
		}
	}
}

// shell is what a person does in one: job control, sizes, keys, the end.
func (s *suite) shell(t *testing.T) {
	for _, user := range []string{"", "user"} {
		if user != "" && !s.can.FullUIDs {
			continue
		}
		b := s.box(t, nil)
		p := b.sit(t.Context(), machine.Cmd{Args: []string{"sh", "-i"}, User: user, Env: []string{"PS1=% "}})
		p.types("", "% ")
		if strings.Contains(p.seen.String(), "job control") {
			t.Errorf("the shell says %q", p.seen.String())
		}
		p.types("echo $TERM-; test -w $(tty) && echo mine; ls -l $(tty)\n", "/dev/pts/")
		p.types("\n", "% ")
		p.types("sh -c 'echo a$((1+1)); exec cat'\n", "a2") // it is in the foreground now
		p.types("one\n", "one\r\none")
		p.types("\x1a", "Stopped") // control-Z
		p.types("jobs\n", "Stopped")
		p.types("fg\n", "cat")
		p.types("two\n", "two\r\ntwo")
		p.types("\x03", "% ") // control-C
		p.types("jobs; echo c$((1+1))\n", "c2")
		if strings.Contains(p.seen.String(), "Stopped") || strings.Contains(p.seen.String(), "Running") {
			t.Errorf("after control-C: %q", p.seen.String())
		}
		p.types("trap 'echo size $(stty size)' WINCH; echo d$((1+1))\n", "d2")
		p.size <- machine.Size{Rows: 40, Columns: 120}
		p.types("sh -c 'while test \"$(stty size)\" != \"40 120\"; do :; done; echo now $(stty size)'\n", "now 40 120")
		p.types("sh -c 'echo e$((1+1)); exec cat'\n", "e2")
		p.types("typed\n", "typed\r\ntyped")
		p.types("\x04", "% ") // control-D ends cat
		if _, err := io.WriteString(p.keys, "(sleep 1000 &); exit 7\n"); err != nil {
			t.Fatal(err)
		}
		go io.Copy(io.Discard, p.out) //nolint:errcheck
		if r := <-p.done; r.fault != nil || r.exit.Code != 7 {
			t.Errorf("the end of a shell: %+v, %v", r.exit, r.fault)
		}
		if got := b.sh("ls /dev/pts"); got != "ptmx\n" {
			t.Errorf("terminals that are left: %q", got)
		}
	}
}

// hangUp ends the context of a shell that runs something.
func (s *suite) hangUp(t *testing.T) {
	b := s.box(t, nil)
	for name, c := range map[string]struct{ script, left string }{
		"a shell that says good-bye":  {"trap 'echo bye > /root/bye; exit' HUP; echo up; while :; do sleep 0.1; done", "bye\n"},
		"a program in its foreground": {"trap : HUP; sh -c \"trap 'echo child > /root/bye; exit' HUP; echo up; while :; do sleep 0.1; done\"", "child\n"},
		"one that ignores it":         {"trap '' HUP; echo up; while :; do sleep 7777; done", ""},
		"one that writes for ever":    {"trap 'echo writer > /root/bye; exit' HUP; echo up; while :; do echo more; done", "writer\n"},
	} {
		b.sh("rm -f /root/bye")
		cause := errors.New("the connection is lost")
		ctx, cancel := context.WithCancelCause(t.Context())
		p := b.sit(ctx, machine.Cmd{Args: []string{"sh", "-c", c.script}})
		p.types("", "up")
		go io.Copy(io.Discard, p.out) //nolint:errcheck
		cancel(cause)
		if r := <-p.done; !errors.Is(r.fault, cause) {
			t.Errorf("%s: %+v, %v; want the cause of the context", name, r.exit, r.fault)
		}
		if got := b.sh("cat /root/bye 2>/dev/null || true"); got != c.left {
			t.Errorf("%s: it left %q, want %q", name, got, c.left)
		}
		if got := b.sh("ls /dev/pts; ps -o args | grep '[s]leep 7777' || true"); got != "ptmx\n" {
			t.Errorf("%s: left are %q", name, got)
		}
	}
}

// terminalOutput checks that nothing is lost at a program's end.
func (s *suite) terminalOutput(t *testing.T) {
	b := s.box(t, nil)
	var want strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&want, "%d\r\n", i+1)
	}
	for range 10 {
		if r := b.run(machine.Cmd{Args: []string{"seq", "1", "20000"}, Terminal: &machine.Terminal{}}); r.out != want.String() || r.exit.Code != 0 {
			t.Fatalf("%d bytes of %d came, %+v, %v", len(r.out), want.Len(), r.exit, r.fault)
		}
	}
}

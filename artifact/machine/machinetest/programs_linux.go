package machinetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"souk/artifact/machine"
)

// programs checks what the contract says of programs in a machine.
func (s *suite) programs(t *testing.T) {
	for name, f := range map[string]func(*testing.T){
		"how they end":              s.ends,
		"input and output":          s.streams,
		"the end of the context":    s.contextEnds,
		"left in the background":    s.background,
		"terminals":                 s.terminals,
		"a shell in a terminal":     s.shell,
		"a terminal that hangs up":  s.hangUp,
		"all output of a terminal":  s.terminalOutput,
		"tools of the agent":        s.tools,
		"out of memory":             s.outOfMemory,
		"a writer that fails":       s.writerFails,
		"a reader that never ends":  s.readerHangs,
		"users, folders, variables": s.identity,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); f(t) })
	}
}

func (s *suite) ends(t *testing.T) {
	b := s.box(t, nil)
	for _, c := range []struct {
		args         []string
		code, signal int
	}{
		{[]string{"true"}, 0, 0},
		{[]string{"false"}, 1, 0},
		{[]string{"sh", "-c", "exit 255"}, 255, 0},
		{[]string{"sh", "-c", "exit 128"}, 128, 0},
		{[]string{"sh", "-c", "kill -TERM $$"}, 143, 15},
		{[]string{"sh", "-c", "kill -KILL $$"}, 137, 9},
		{[]string{"sh", "-c", "kill -SEGV $$"}, 139, 11},
		{[]string{"/bin/sh", "-c", "sh -c 'kill -KILL $$'; true"}, 0, 0},
		{[]string{"no-such-program"}, 127, 0},
		{[]string{"/no/such/program"}, 127, 0},
		{[]string{"/etc/passwd"}, 126, 0},
		{[]string{"/etc"}, 126, 0},
	} {
		r := b.run(machine.Cmd{Args: c.args})
		if r.fault != nil || r.exit.Code != c.code || r.exit.Signal != c.signal || r.exit.OutOfMemory {
			t.Errorf("%q: %+v, %v; want code %d, signal %d", c.args, r.exit, r.fault, c.code, c.signal)
		}
	}
	if r := b.run(machine.Cmd{}); r.fault == nil && r.exit.Code == 0 {
		t.Errorf("a program without a name ends well")
	}
}

func (s *suite) streams(t *testing.T) {
	b := s.box(t, nil)
	if r := b.run(machine.Cmd{Args: []string{"sh", "-c", "echo out; echo err >&2"}}); r.out != "out\n" || r.err != "err\n" {
		t.Errorf("two outputs: %+v", r)
	}
	var both bytes.Buffer // as the writer of both it need not be safe for two callers
	b.run(machine.Cmd{Args: []string{"sh", "-c", "for i in 1 2 3; do echo $i; echo $i >&2; done"}, Stdout: &both, Stderr: &both})
	if got := both.String(); len(got) != 12 {
		t.Errorf("both outputs in one: %q", got)
	}
	large := strings.Repeat("0123456789abcde\n", 1<<18) // 4 MiB, more than any buffer
	if r := b.run(machine.Cmd{Args: []string{"cat"}, Stdin: strings.NewReader(large)}); r.out != large || r.exit.Code != 0 {
		t.Errorf("4 MiB through cat: %d came back, %+v, %v", len(r.out), r.exit, r.fault)
	}
	if r := b.run(machine.Cmd{Args: []string{"cat"}}); r.out != "" || r.exit.Code != 0 {
		t.Errorf("no input: %+v; want an empty one", r)
	}
	if r := b.run(machine.Cmd{Args: []string{"head", "-c", "1"}, Stdin: strings.NewReader(large)}); r.out != "0" || r.exit.Code != 0 || r.fault != nil {
		t.Errorf("a program that does not read its input: %+v", r)
	}
	binary := make([]byte, 1<<16)
	for i := range binary {
		binary[i] = byte(i * 31)
	}
	if r := b.run(machine.Cmd{Args: []string{"sh", "-c", "tee /dev/stderr"}, Stdin: bytes.NewReader(binary)}); r.out != string(binary) || r.err != string(binary) {
		t.Errorf("bytes of every kind are not what came back")
	}
	if _, err := b.p.Exec(t.Context(), b.id, machine.Cmd{Args: []string{"sh", "-c", "echo out; echo err >&2"}}); err != nil {
		t.Errorf("a program whose output nobody wants: %v", err)
	}
	// What a program has written arrives before it ends.
	out, w := io.Pipe()
	in, answer := io.Pipe()
	done := make(chan result, 1)
	go func() {
		done <- b.runIn(t.Context(), machine.Cmd{Args: []string{"sh", "-c", "echo asked; read x; echo $x"}, Stdin: in, Stdout: w})
		w.Close()
	}()
	line := make([]byte, 6)
	if _, err := io.ReadFull(out, line); err != nil || string(line) != "asked\n" {
		t.Fatalf("%q, %v", line, err)
	}
	io.WriteString(answer, "answered\n")
	if rest, _ := io.ReadAll(out); string(rest) != "answered\n" {
		t.Errorf("the answer is %q", rest)
	}
	if r := <-done; r.fault != nil || r.exit.Code != 0 {
		t.Errorf("a dialogue: %+v", r)
	}
}

func (s *suite) contextEnds(t *testing.T) {
	b := s.box(t, nil)
	cause := errors.New("the build took too long")
	for name, script := range map[string]string{
		"a program":               "echo up; sleep 7777",
		"children":                "sleep 7777 & sleep 7777 & echo up; wait",
		"children of another":     "(setsid sleep 7777 &) ; setsid sh -c '(sleep 7777 &) ; sleep 7777' & echo up; wait; sleep 7777",
		"ones that ignore TERM":   "trap '' TERM INT HUP; sh -c \"trap '' TERM INT HUP; while :; do sleep 7777; done\" & echo up; while :; do sleep 7777; done",
		"one that stopped itself": "echo up; kill -STOP $$",
	} {
		if !s.can.Orphans && strings.Contains(script, "setsid") {
			continue
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		up, w := io.Pipe()
		go func() {
			io.ReadFull(up, make([]byte, 3)) //nolint:errcheck // the end of the pipe is the program's
			cancel(cause)
			io.Copy(io.Discard, up) //nolint:errcheck
		}()
		r := b.runIn(ctx, machine.Cmd{Args: []string{"sh", "-c", script}, Stdout: w})
		w.Close()
		if !errors.Is(r.fault, cause) {
			t.Errorf("%s: %+v, %v; want the cause of the context", name, r.exit, r.fault)
		}
		if got := b.sh("ps -o pid,comm,args | grep '[s]leep 7777' || true"); got != "" {
			t.Errorf("%s: these were not killed:\n%s", name, got)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if r := b.runIn(ctx, machine.Cmd{Args: []string{"true"}}); !errors.Is(r.fault, cause) {
		t.Errorf("a context that had ended before: %+v", r)
	}
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if r := b.runIn(ctx, machine.Cmd{Args: []string{"sleep", "7777"}}); !errors.Is(r.fault, context.DeadlineExceeded) {
		t.Errorf("a deadline: %+v, want DeadlineExceeded", r)
	}
	b.answers()
}

func (s *suite) background(t *testing.T) {
	b := s.box(t, nil)
	for name, script := range map[string]string{
		"holds both outputs":           "sleep 300 & echo done",
		"is a daemon":                  "(setsid sleep 300 &) ; echo done",
		"writes for ever":              "(while :; do echo more; sleep 0.05; done) & echo done",
		"has its own output":           "sleep 300 >/dev/null 2>&1 </dev/null & echo done",
		"ends soon, and is waited for": "(while kill -0 $$ 2>/dev/null; do :; done; echo late) & echo done",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		r := b.runIn(ctx, machine.Cmd{Args: []string{"sh", "-c", script}})
		cancel()
		if r.fault != nil || r.exit.Code != 0 || !strings.HasPrefix(strings.ReplaceAll(r.out, "more\n", ""), "done\n") {
			t.Errorf("something that %s: %+v", name, r)
		}
		if strings.Contains(script, "late") && !strings.Contains(r.out, "late") {
			t.Errorf("something that %s: its output is missing: %q", name, r.out)
		}
	}
}

func (s *suite) terminals(t *testing.T) {
	b := s.box(t, nil)
	resize := make(chan machine.Size)
	in, keys := io.Pipe()
	out, w := io.Pipe()
	done := make(chan result, 1)
	go func() {
		done <- b.runIn(t.Context(), machine.Cmd{
			Args:     []string{"sh", "-c", "tty; stty size; echo $TERM; stty -echo; echo ready; read x; stty size; echo err >&2; read y; echo never"},
			Terminal: &machine.Terminal{Term: "vt100", Size: machine.Size{Rows: 24, Columns: 80}, Resize: resize},
			Stdin:    in, Stdout: w,
		})
		w.Close()
	}()
	var got strings.Builder
	until := func(word string) {
		t.Helper()
		buf := make([]byte, 512)
		for !strings.Contains(got.String(), word) {
			n, err := out.Read(buf)
			got.Write(buf[:n])
			if err != nil {
				t.Fatalf("the terminal shows %q and ends: %v", got.String(), err)
			}
		}
	}
	until("ready")
	if !regexp.MustCompile(`(?s)/dev/(pts/\d+|console)\r\n24 80\r\nvt100\r\n`).MatchString(got.String()) {
		t.Errorf("a terminal of 24 by 80: %q", got.String())
	}
	resize <- machine.Size{Rows: 50, Columns: 132}
	// The new size may arrive after the key: then the program would be asked too early.
	resize <- machine.Size{Rows: 50, Columns: 132}
	io.WriteString(keys, "x\n")
	until("err")
	if !strings.Contains(got.String(), "50 132\r\nerr") {
		t.Errorf("after it became larger, and both outputs: %q", got.String())
	}
	io.WriteString(keys, "\x03") // control-C
	go io.Copy(io.Discard, out)  //nolint:errcheck
	if r := <-done; r.fault != nil || r.exit.Code != 130 && r.exit.Signal != 2 {
		t.Errorf("control-C: %+v, %v; want the end by SIGINT", r.exit, r.fault)
	}
	keys.Close()
	if r := b.run(machine.Cmd{Args: []string{"sh", "-c", "stty -echo; cat"}, Terminal: &machine.Terminal{}, Stdin: strings.NewReader("a\n\x04")}); r.fault != nil || !strings.Contains(r.out, "a\r\n") {
		t.Errorf("the end of a terminal's input: %+v", r)
	}
	if r := b.run(machine.Cmd{Args: []string{"sh", "-c", "echo $TERM; test -t 0 && test -t 1 && test -t 2"}, Terminal: &machine.Terminal{}}); r.out != "xterm\r\n" || r.exit.Code != 0 {
		t.Errorf("a terminal that is not described: %+v", r)
	}
	if r := b.run(machine.Cmd{Args: []string{"sh", "-c", "test -t 0 || test -t 1 || test -t 2"}}); r.exit.Code != 1 {
		t.Errorf("a program without a terminal has one: %+v", r)
	}
}

func (s *suite) tools(t *testing.T) {
	b := s.box(t, nil)
	if r := b.run(machine.Cmd{Tool: true, Args: []string{"true"}}); r.fault != nil || r.exit.Code != 0 {
		t.Errorf("the tool that does nothing: %+v", r)
	}
	if r := b.run(machine.Cmd{Tool: true, Args: []string{"no-such-tool"}}); r.fault != nil || r.exit.Code != 127 {
		t.Errorf("a tool that the agent has not: %+v, want 127", r)
	}
	// What the image has under the names of programs makes no difference to tools.
	b.sh("rm -f /bin/true /bin/sh /bin/busybox; echo '#!/attack' > /bin/true; chmod +x /bin/true")
	if r := b.run(machine.Cmd{Tool: true, Args: []string{"true"}}); r.fault != nil || r.exit.Code != 0 {
		t.Errorf("a tool after all programs were removed: %+v", r)
	}
}

func (s *suite) outOfMemory(t *testing.T) {
	if !s.can.Memory {
		t.Log("the provider does not limit memory")
		return
	}
	b := s.box(t, func(spec *machine.Spec) { spec.Memory = 64 << 20 })
	// The shell ends well although what it started was killed.
	r := b.try("/attack heap 500; echo went on")
	if r.fault != nil || !r.exit.OutOfMemory || r.exit.Code != 0 && r.exit.Signal != 9 {
		t.Errorf("500 MiB in a machine of 64 MiB: %+v; want OutOfMemory", r)
	}
	if r := b.try("true"); r.fault == nil && r.exit.OutOfMemory {
		t.Errorf("the program after it: %+v", r)
	}
	if strings.Contains(r.out, "got through") {
		t.Error(r.out)
	}
}

func (s *suite) writerFails(t *testing.T) {
	b := s.box(t, nil)
	full := errors.New("the log is full")
	r := b.run(machine.Cmd{Args: []string{"sh", "-c", "yes | head -c 10000000; sleep 0"}, Stdout: writer(func([]byte) (int, error) { return 0, full })})
	if r.fault != nil && !errors.Is(r.fault, full) {
		t.Errorf("a writer that fails: %+v; want its error or the program's end", r)
	}
	b.answers()
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

// A program ends when it ends, whatever the reader of its input does.
func (s *suite) readerHangs(t *testing.T) {
	b := s.box(t, nil)
	in, never := io.Pipe()
	defer never.Close()
	if r := b.run(machine.Cmd{Args: []string{"echo", "done"}, Stdin: in}); r.fault != nil || r.out != "done\n" {
		t.Errorf("a program that does not wait for its input: %+v", r)
	}
}

func (s *suite) identity(t *testing.T) {
	b := s.box(t, func(spec *machine.Spec) { spec.Env = []string{"A=machine", "B=machine", "PRODUCT=a b\nc"} })
	for name, c := range map[string]struct {
		cmd  machine.Cmd
		want string
	}{
		"root":                          {machine.Cmd{Args: []string{"id", "-u"}}, "0\n"},
		"a user by name":                {machine.Cmd{Args: []string{"sh", "-c", "id -u; id -g; id -G"}, User: "user"}, "1000\n1000\n1000 33\n"},
		"a user by number":              {machine.Cmd{Args: []string{"sh", "-c", "id -u"}, User: "1000"}, "1000\n"},
		"a user and a group":            {machine.Cmd{Args: []string{"sh", "-c", "id -u; id -g"}, User: "12:34"}, "12\n34\n"},
		"the user's home":               {machine.Cmd{Args: []string{"sh", "-c", "echo $HOME"}, User: "user"}, "/home/user\n"},
		"root's home":                   {machine.Cmd{Args: []string{"sh", "-c", "echo $HOME"}}, "/root\n"},
		"the first folder":              {machine.Cmd{Args: []string{"pwd"}}, "/\n"},
		"another folder":                {machine.Cmd{Args: []string{"pwd"}, Dir: "/opt/b/c"}, "/opt/b/c\n"},
		"variables of the machine":      {machine.Cmd{Args: []string{"sh", "-c", `echo "$A $PRODUCT"`}}, "machine a b\nc\n"},
		"variables of the program win":  {machine.Cmd{Args: []string{"sh", "-c", `echo $A $B $C`}, Env: []string{"A=program", "C=x", "C=y"}}, "program machine y\n"},
		"what has a path is in no PATH": {machine.Cmd{Args: []string{"./busybox", "echo", "x"}, Dir: "/bin"}, "x\n"},
		"a PATH of its own":             {machine.Cmd{Args: []string{"own"}, Env: []string{"PATH=/opt/bin:/bin"}}, "own\n"},
		"variables that are always set": {machine.Cmd{Args: []string{"sh", "-c", `for v in PATH HOME TERM; do env | grep -c "^$v="; done`}}, "1\n1\n1\n"},
	} {
		b.sh("mkdir -p /opt/bin; printf '#!/bin/sh\necho own\n' > /opt/bin/own; chmod +x /opt/bin/own")
		if !s.can.FullUIDs && c.cmd.User != "" {
			continue
		}
		if r := b.run(c.cmd); r.fault != nil || r.out != c.want {
			t.Errorf("%s: %q, %q, %+v, %v; want %q", name, r.out, r.err, r.exit, r.fault, c.want)
		}
	}
	for name, c := range map[string]machine.Cmd{
		"no such user":   {Args: []string{"true"}, User: "nobody-at-all"},
		"no such folder": {Args: []string{"true"}, Dir: "/no/such"},
	} {
		if r := b.run(c); r.fault == nil && r.exit.Code == 0 {
			t.Errorf("%s: it ran", name)
		}
	}
}

// furniture checks what a machine finds beside its image.
func (s *suite) furniture(t *testing.T) {
	product := t.TempDir()
	for path, content := range map[string]string{"install.sh": "echo installed", "data/file": "data"} {
		path = filepath.Join(product, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	os.Chmod(product, 0o755) //nolint:errcheck // so that a provider without root may read it
	b := s.box(t, func(spec *machine.Spec) { spec.Hostname, spec.Files = "product-host", product })
	if got := b.sh("hostname; sh " + machine.FilesPath + "/install.sh; cat " + machine.FilesPath + "/data/file"); got != "product-host\ninstalled\ndata" {
		t.Errorf("host name and files: %q", got)
	}
	for _, script := range []string{
		"echo x > F/install.sh", "echo x >> F/new", "rm F/install.sh", "mv F/data F/d", "chmod 777 F/install.sh", "chown 1 F/install.sh", "ln F/install.sh F/again", "touch F/data/file", "mkdir F/x",
		"echo x > F/../product/install.sh", "ln -s /etc F/etc",
	} {
		if r := b.try(strings.ReplaceAll(script, "F", machine.FilesPath)); r.exit.Code == 0 {
			t.Errorf("%s: the files are for reading alone", script)
		}
	}
	var found []string
	filepath.Walk(product, func(path string, info os.FileInfo, err error) error { //nolint:errcheck
		if err == nil && !info.IsDir() {
			c, _ := os.ReadFile(path)
			found = append(found, fmt.Sprintf("%s %s %q", strings.TrimPrefix(path, product), info.Mode(), c))
		}
		return nil
	})
	if got, want := strings.Join(found, "; "), `/data/file -rw-r--r-- "data"; /install.sh -rw-r--r-- "echo installed"`; got != want {
		t.Errorf("on the host the files are %s, want %s", got, want)
	}
	b.sh("test -c /dev/null && test -c /dev/zero && test -c /dev/urandom && test -c /dev/tty && test -d /dev/shm && test -w /tmp && test -w /run && head -c 1 /dev/urandom >/dev/null && : > /dev/null && test -e /dev/fd/0 && test -e /dev/stdin && test -e /dev/ptmx")
	for _, path := range []string{"/proc/self/status", "/proc/meminfo", "/proc/cpuinfo"} {
		b.sh("test -s " + path + " || cat " + path + " | grep -q .")
	}
	if got := b.sh("cat /opt/replaced/* /etc/layers; ls /opt/gone 2>/dev/null || true; ls /opt/replaced"); got != "new\n2\nnew\n" {
		t.Errorf("two layers: %q", got)
	}
}

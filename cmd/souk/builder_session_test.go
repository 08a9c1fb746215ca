package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"souk/access/iam"
	"souk/access/keyring"
	"souk/access/trail"
	"souk/artifact/appstream/session"
	kept "souk/artifact/machine"
	"souk/artifact/machine/files"
	"souk/gateway"
	"souk/gateway/apierror"
	"souk/service/appstream"
	"souk/storage/store/sqlite/sqlitetest"
)

// These tests run souk itself against the gateway, the service and its sessions.
// The machine is this host: what a machine holds is tested with machines.

// builderHost is a market with one image builder, web, that is RUNNING; its root
// folder for files is root.
type builderHost struct {
	url   string
	root  string
	trail *trail.Trail
	began chan struct{} // told of each program that has begun
	ended chan error    // and of each that has ended
}

const hostAccount = "123456789012"

// hostKeys are those of the account's root, KEYROOT, and of a user who may
// enter the image builder other alone, KEYUSER.
type hostKeys struct{ policy *iam.Policy }

func (c hostKeys) LookupSession(_ context.Context, id, _ string) (string, *iam.Principal, bool, error) {
	p := &iam.Principal{Account: hostAccount, ARN: "arn:aws:iam::" + hostAccount + ":root", ID: hostAccount, Root: true}
	if id == "KEYUSER" {
		p = &iam.Principal{Account: hostAccount, ARN: "arn:aws:iam::" + hostAccount + ":user/ci", ID: "AIDAX", Name: "ci", Policies: []*iam.Policy{c.policy}}
	}
	return "secret", p, true, nil
}

// newBuilderHost starts one.
func newBuilderHost(t *testing.T) *builderHost {
	t.Helper()
	h := &builderHost{root: t.TempDir(), began: make(chan struct{}, 100), ended: make(chan error, 100)}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	h.url = server.URL
	policy, err := iam.ParsePolicy([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"appstream:CreateImageBuilderStreamingURL","Resource":"arn:aws:appstream:*:*:image-builder/other"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := session.New(session.Config{
		Keys: keyring.New([32]byte{7}), Node: "n1", URL: "https://souk.example.com",
		Locate: func(_ context.Context, account, _, name string) (session.Place, error) {
			if account == hostAccount && name == "web" {
				return session.Place{Node: "n1"}, nil
			}
			if name == "stopped" {
				return session.Place{}, apierror.New("OperationNotPermittedException", "The image builder stopped is STOPPED. The image builder must be in a RUNNING state for this action to succeed.")
			}
			return session.Place{}, apierror.New("ResourceNotFoundException", "Image builder %s not found.", name)
		},
		Enter: func(context.Context, string, string, string) (session.Machine, error) { return h, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	store := sqlitetest.Open(t)
	h.trail, err = trail.New(trail.Config{Store: store, Owner: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	service, err := appstream.Service(appstream.Config{Sessions: sessions})
	if err != nil {
		t.Fatal(err)
	}
	apis, err := gateway.New(gateway.Config{Services: []*gateway.Service{service}, Credentials: hostKeys{policy}, Trail: h.trail})
	if err != nil {
		t.Fatal(err)
	}
	mux.Handle("/", apis)
	mux.Handle("/sessions/", sessions)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = sessions.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return h
}

// souk is the command with its environment.
func (h *builderHost) souk(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), "souk", args...)
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "AWS_ENDPOINT_URL=" + h.url, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=KEYROOT", "AWS_SECRET_ACCESS_KEY=secret", "TERM=vt220"}
	return c
}

// Close implements session.Machine.
func (h *builderHost) Close() {}

// Exec runs a program of this host as a machine would.
func (h *builderHost) Exec(ctx context.Context, c kept.Cmd) (kept.Exit, error) {
	if c.Tool {
		at := h.root + "/" + c.Args[2] // a slash at its end stays
		if at == h.root+"//hostile" {
			_, err := c.Stdout.Write(hostileArchive())
			return kept.Exit{}, err
		}
		code := files.Tool(ctx, []string{c.Args[1], at}, c.Stdin, c.Stdout, c.Stderr)
		return kept.Exit{Code: code}, nil
	}
	p := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	p.Env, p.Dir = append(os.Environ(), c.Env...), c.Dir
	p.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	p.Cancel = func() error { return syscall.Kill(-p.Process.Pid, syscall.SIGKILL) }
	e, err := h.exec(p, c)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	h.ended <- err
	return e, err
}

func (h *builderHost) exec(p *exec.Cmd, c kept.Cmd) (kept.Exit, error) {
	printed := make(chan struct{})
	close(printed)
	if c.Terminal != nil {
		master, slave, err := openPty(c.Terminal.Size.Rows, c.Terminal.Size.Columns)
		if err != nil {
			return kept.Exit{}, err
		}
		defer master.Close()
		p.Env = append(p.Env, "TERM="+c.Terminal.Term)
		p.Stdin, p.Stdout, p.Stderr = slave, slave, slave
		p.SysProcAttr.Setctty = true
		err = p.Start()
		slave.Close()
		if err != nil {
			return kept.Exit{Code: 127}, nil
		}
		printed = make(chan struct{})
		go func() {
			defer close(printed)
			_, _ = io.Copy(c.Stdout, master)
		}()
		go func() { _, _ = io.Copy(master, c.Stdin) }()
		over, still := make(chan struct{}), make(chan struct{})
		defer func() {
			close(over)
			<-still
		}()
		go func() {
			defer close(still)
			for {
				select {
				case <-over:
					return
				case s := <-c.Terminal.Resize:
					_ = unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: s.Rows, Col: s.Columns})
				}
			}
		}()
	} else {
		p.Stdout, p.Stderr = c.Stdout, c.Stderr
		in, err := p.StdinPipe()
		if err != nil {
			return kept.Exit{}, err
		}
		err = p.Start()
		if err != nil {
			fmt.Fprintln(c.Stderr, err)
			return kept.Exit{Code: 127}, nil
		}
		go func() {
			_, _ = io.Copy(in, c.Stdin)
			in.Close()
		}()
	}
	h.began <- struct{}{}
	err := p.Wait()
	<-printed
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		status := failed.Sys().(syscall.WaitStatus)
		if status.Signaled() {
			return kept.Exit{Code: 128 + int(status.Signal()), Signal: int(status.Signal())}, nil
		}
		return kept.Exit{Code: failed.ExitCode()}, nil
	}
	return kept.Exit{}, err
}

// status is a command's exit status.
func status(t *testing.T, err error) int {
	t.Helper()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return failed.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}

func TestExecEndsAsTheProgramDoes(t *testing.T) {
	t.Parallel()
	h := newBuilderHost(t)
	for _, c := range []struct {
		args         []string
		in           string
		code         int
		out, problem string
	}{
		{[]string{"web", "--", "sh", "-c", "cat; echo no >&2; exit 7"}, "in\x00\xff", 7, "in\x00\xff", "no"},
		{[]string{"web", "--", "true"}, "", 0, "", ""},
		{[]string{"web", "--", "sh", "-c", "kill -9 $$"}, "", 137, "", ""},
		{[]string{"web", "--", "no-such-program"}, "", 127, "", "no-such-program"},
		{[]string{"-n", "web", "--", "cat"}, "not this", 0, "", ""},
		{[]string{"--env", "A=b,c", "-e", "D=e", "--dir", "/usr", "web", "--", "sh", "-c", "echo $A $D; pwd"}, "", 0, "b,c e\n/usr\n", ""},
		{[]string{"web", "--", "echo", "--help", "--", "-x"}, "", 0, "--help -- -x\n", ""},
		{[]string{"web", "echo", "-n", "x"}, "", 0, "x", ""},
		{[]string{"--tty", "web", "--", "sh", "-c", "test -t 0 && test -t 2 && echo terminal"}, "", 0, "terminal\r\n", ""},
		{[]string{"stopped", "--", "true"}, "", 125, "", "aws appstream start-image-builder --name stopped"},
		{[]string{"nowhere", "--", "true"}, "", 125, "", "aws appstream describe-image-builders"},
		{[]string{"web"}, "", 125, "", "souk exec --help"},
		{[]string{"web", "--"}, "", 125, "", "souk"},
		{[]string{"--no-such-flag", "web", "--", "true"}, "", 125, "", "souk exec --help"},
		{[]string{"--dir", "usr", "web", "--", "true"}, "", 125, "", "not absolute"},
		{[]string{"--env", "A", "web", "--", "true"}, "", 125, "", "NAME=value"},
	} {
		p := h.souk(t, append([]string{"exec"}, c.args...)...)
		var out, problem bytes.Buffer
		p.Stdin, p.Stdout, p.Stderr = strings.NewReader(c.in), &out, &problem
		code := status(t, p.Run())
		if code != c.code || out.String() != c.out || !strings.Contains(problem.String(), c.problem) {
			t.Errorf("souk exec %q: status %d, want %d\nout %q, want %q\nerr %q, want %q", c.args, code, c.code, out.String(), c.out, problem.String(), c.problem)
		}
	}
}

func TestExecCarriesFiftyMegabytesBothWays(t *testing.T) {
	t.Parallel()
	h := newBuilderHost(t)
	sent := make([]byte, 50<<20)
	_, _ = rand.Read(sent) // never fails
	p := h.souk(t, "exec", "web", "--", "cat")
	p.Stdin = bytes.NewReader(sent)
	out, err := p.Output()
	if err != nil || !bytes.Equal(out, sent) {
		t.Errorf("%v, %d bytes came back of %d, or others", err, len(out), len(sent))
	}
}

func TestExecsProgramEndsWithIt(t *testing.T) {
	t.Parallel()
	h := newBuilderHost(t)
	for signal, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGKILL: -1} {
		p := h.souk(t, "exec", "web", "--", "sleep", "1000")
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		<-h.began
		if err := p.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if got := status(t, p.Wait()); got != code {
			t.Errorf("%v: status %d, want %d", signal, got, code)
		}
		if err := <-h.ended; err == nil {
			t.Errorf("%v: the program ended by itself", signal)
		}
	}
	// Two signals at once, as timeout sends them.
	p := h.souk(t, "exec", "web", "--", "sleep", "1000")
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	<-h.began
	for range 2 {
		if err := p.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	if got := status(t, p.Wait()); got != 143 {
		t.Errorf("two signals: status %d, want 143", got)
	}
	<-h.ended
	// A pipe whose reader has enough, as in souk exec ... | head.
	p = h.souk(t, "exec", "web", "--", "cat", "/dev/zero")
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadFull(out, make([]byte, 1<<20))
	if err != nil {
		t.Error(err)
	}
	out.Close()
	if err := p.Wait(); err == nil {
		t.Error("it ended well")
	}
	<-h.began
	if err := <-h.ended; err == nil {
		t.Error("cat ended by itself")
	}
}

func TestExecThatAPolicyDeniesAndWhatTheTrailHas(t *testing.T) {
	t.Parallel()
	h := newBuilderHost(t)
	p := h.souk(t, "exec", "web", "--", "true")
	p.Env = append(p.Env, "AWS_ACCESS_KEY_ID=KEYUSER")
	var problem bytes.Buffer
	p.Stderr = &problem
	if code := status(t, p.Run()); code != 125 || !strings.Contains(problem.String(), "appstream:CreateImageBuilderStreamingURL") {
		t.Errorf("status %d, %s", code, problem.String())
	}
	p = h.souk(t, "exec", "web", "--user", "0", "--", "echo", "argument-that-is-secret")
	if out, err := p.CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	if err := h.trail.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	records, _, err := h.trail.Lookup(t.Context(), trail.Query{Account: hostAccount, Attribute: trail.EventName, Value: "OpenImageBuilderSession", Most: 10})
	if err != nil || len(records) != 2 {
		t.Fatalf("%d records, %v; want that of the denial and that of the call", len(records), err)
	}
	text := fmt.Sprintf("%+v %+v", *records[0], *records[1])
	for _, want := range []string{`"program":"echo"`, `"user":"0"`, `"name":"web"`, "AccessDenied", "HIDDEN_DUE_TO_SECURITY_REASONS"} {
		if !strings.Contains(text, want) {
			t.Errorf("the trail lacks %s: %s", want, text)
		}
	}
	if strings.Contains(text, "argument-that-is-secret") {
		t.Errorf("the trail has the arguments: %s", text)
	}
}

func TestConnectIsATerminalInTheMachine(t *testing.T) {
	t.Parallel()
	h := newBuilderHost(t)
	p := h.sits(t, "connect", "web")
	<-h.began
	p.types("PS1=; stty size; echo kind=$TERM\n")
	p.sees("30 100\r\n")
	p.sees("kind=vt220\r\n")
	// Another size, as when a window is drawn larger.
	err := unix.IoctlSetWinsize(int(p.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 120})
	if err != nil {
		t.Fatal(err)
	}
	p.types("until test \"$(stty size)\" = '40 120'; do sleep 0.01; done; echo lar''ger\n")
	p.sees("larger\r\n")
	// Ctrl-C is for what runs there, not for souk.
	p.types("sh -c 'trap \"echo inter\"\"rupted; exit 1\" INT; echo wai\"\"ting; while :; do sleep 0.01; done'\n")
	p.sees("waiting\r\n")
	p.types("\x03")
	p.sees("interrupted\r\n")
	p.types("echo still; exit 9\n")
	p.sees("still\r\n")
	if code := p.leaves(); code != 9 {
		t.Errorf("status %d, want the shell's 9", code)
	}
}

func TestConnectIsLeftInOtherWays(t *testing.T) {
	t.Parallel()
	h := newBuilderHost(t)
	// ~. at the beginning of a line.
	p := h.sits(t, "connect", "web")
	<-h.began
	p.types("echo rea''dy\n")
	p.sees("ready\r\n")
	p.types("\r~.")
	p.sees("left image builder web")
	if code := p.leaves(); code != 0 {
		t.Errorf("left by ~. with status %d", code)
	}
	if err := <-h.ended; err == nil {
		t.Error("the shell ended by itself")
	}
	// A signal.
	p = h.sits(t, "connect", "web")
	<-h.began
	p.types("echo rea''dy\n")
	p.sees("ready\r\n")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.leaves(); code != 143 {
		t.Errorf("ended by SIGTERM with status %d, want 143", code)
	}
	<-h.ended
	// The image builder does not run.
	p = h.sits(t, "connect", "stopped")
	p.sees("aws appstream start-image-builder --name stopped")
	if code := p.leaves(); code != 125 {
		t.Errorf("status %d, want 125", code)
	}
	// There is no terminal.
	var problem bytes.Buffer
	c := h.souk(t, "connect", "web")
	c.Stderr = &problem
	if code := status(t, c.Run()); code != 2 || !strings.Contains(problem.String(), "souk exec web -- COMMAND") {
		t.Errorf("status %d, %s", code, problem.String())
	}
}

func TestExecWithATerminal(t *testing.T) {
	t.Parallel()
	h := newBuilderHost(t)
	p := h.sits(t, "exec", "--tty", "web", "--", "sh", "-c", "stty size; read a; echo got=$a; exit 3")
	p.sees("30 100\r\n")
	p.types("x\r")
	p.sees("got=x\r\n")
	if code := p.leaves(); code != 3 {
		t.Errorf("status %d, want 3", code)
	}
}

func TestEscapesOfATerminal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typed, want string
		left        bool
	}{
		{"abc", "abc", false},
		{"~.", "", true},
		{"a~.b\r~.c", "a~.b\r", true},
		{"~~.", "~.", false},
		{"~x\r~~\r~.", "~x\r~\r", true},
		{"ls ~/\r~.", "ls ~/\r", true},
		{"~\r~.", "~\r", true},
		{"a\n~~.b\n~.c", "a\n~.b\n", true},
	} {
		left := false
		got, err := io.ReadAll(newEscapes(oneByOne{strings.NewReader(c.typed)}, func() { left = true }))
		if err != nil || string(got) != c.want || left != c.left {
			t.Errorf("%q arrives as %q, %v, left %v; want %q, %v", c.typed, got, err, left, c.want, c.left)
		}
	}
}

// oneByOne hands over a byte at a time, as keys are typed.
type oneByOne struct{ io.Reader }

func (o oneByOne) Read(b []byte) (int, error) { return o.Reader.Read(b[:1]) }

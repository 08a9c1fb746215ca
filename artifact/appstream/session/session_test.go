package session

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"souk/access/keyring"
	"souk/artifact/machine"
)

// host runs programs of this host, as a machine runs its own.
type host struct {
	mu      sync.Mutex
	entered int
	closed  int
	began   chan machine.Cmd // takes what is run, if not nil
	ended   chan error       // takes how it ended, if not nil
}

func (h *host) Exec(ctx context.Context, c machine.Cmd) (machine.Exit, error) {
	if h.began != nil {
		h.began <- c
	}
	e, err := h.exec(ctx, c)
	if h.ended != nil {
		h.ended <- err
	}
	return e, err
}

func (h *host) exec(ctx context.Context, c machine.Cmd) (machine.Exit, error) {
	p := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	p.Env, p.Dir, p.Stdout, p.Stderr = append(os.Environ(), c.Env...), c.Dir, c.Stdout, c.Stderr
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.Cancel = func() error { return syscall.Kill(-p.Process.Pid, syscall.SIGKILL) }
	in, err := p.StdinPipe()
	if err != nil {
		return machine.Exit{}, err
	}
	if err = p.Start(); err != nil {
		if ctx.Err() != nil { // it was to end before it had begun
			return machine.Exit{}, context.Cause(ctx)
		}
		return machine.Exit{Code: 127}, nil
	}
	go func() {
		_, _ = io.Copy(in, c.Stdin)
		in.Close()
	}()
	err = p.Wait()
	if ctx.Err() != nil {
		return machine.Exit{}, context.Cause(ctx)
	}
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		status := failed.Sys().(syscall.WaitStatus)
		if status.Signaled() {
			return machine.Exit{Code: 128 + int(status.Signal()), Signal: int(status.Signal())}, nil
		}
		return machine.Exit{Code: failed.ExitCode()}, nil
	}
	return machine.Exit{}, err
}

func (h *host) Close() {
	h.mu.Lock()
	h.closed++
	h.mu.Unlock()
}

func (h *host) enter(context.Context, string, string, string) (Machine, error) {
	h.mu.Lock()
	h.entered++
	h.mu.Unlock()
	return h, nil
}

// node is a server with sessions.
type node struct {
	*Sessions
	*httptest.Server
	host *host
	run  context.CancelFunc
}

func testRing() *keyring.Ring { return keyring.New([32]byte{1, 2, 3}) }

// newNode starts one. change may change what it is made of.
func newNode(t *testing.T, change func(*Config)) *node {
	t.Helper()
	n := &node{host: &host{}}
	n.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n.Sessions.ServeHTTP(w, r) }))
	n.Server.Config.WriteTimeout = time.Minute
	n.Server.Start()
	t.Cleanup(n.Server.Close)
	c := Config{Keys: testRing(), Node: "n1", URL: n.Server.URL, Enter: n.host.enter}
	c.Locate = func(context.Context, string, string, string) (Place, error) {
		return Place{Node: "n1", URL: n.Server.URL}, nil
	}
	if change != nil {
		change(&c)
	}
	var err error
	n.Sessions, err = New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.run = cancel
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = n.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return n
}

var builderOne = Opening{Account: "123456789012", Region: "us-east-1", Builder: "one", Kind: Command, Program: "/bin/sh"}

// dial opens a session and begins it.
func (n *node) dial(t *testing.T, o Opening) io.ReadWriteCloser {
	t.Helper()
	opened, err := n.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := Dial(t.Context(), nil, opened.URL, opened.Ticket)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func sh(script string) Start { return Start{Args: []string{"/bin/sh", "-c", script}} }

func TestProgramsOutputsAndItsEnd(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	for script, code := range map[string]int{"exit 0": 0, "exit 7": 7, "exit 255": 255, "kill -9 $$": 137} {
		e, err := Run(t.Context(), n.dial(t, builderOne), sh(script), Streams{})
		if err != nil || e.Code != code {
			t.Errorf("%s: %+v, %v; want code %d", script, e, err, code)
		}
	}
	var out, problems bytes.Buffer
	e, err := Run(t.Context(), n.dial(t, builderOne), Start{Args: []string{"/bin/sh", "-c", "cat; echo no >&2; echo $A; pwd"}, Env: []string{"A=b c"}, Dir: "/usr"},
		Streams{In: strings.NewReader("in\x00\n"), Out: &out, Err: &problems})
	if err != nil || e.Code != 0 || out.String() != "in\x00\nb c\n/usr\n" || problems.String() != "no\n" {
		t.Errorf("%+v, %v, out %q, err %q", e, err, out.String(), problems.String())
	}
	n.running.Wait()
	if n.host.entered != 5 || n.host.closed != 5 {
		t.Errorf("entered %d times, left %d times, want 5 of each", n.host.entered, n.host.closed)
	}
}

func TestFiftyMegabytesGoThroughWithoutLoss(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	const size = 50 << 20
	sent, got := sha256.New(), sha256.New()
	counted := &counter{}
	e, err := Run(t.Context(), n.dial(t, builderOne), sh("cat"), Streams{
		In: io.TeeReader(io.LimitReader(rand.Reader, size), sent), Out: io.MultiWriter(got, counted),
	})
	if err != nil || e.Code != 0 {
		t.Fatalf("%+v, %v", e, err)
	}
	if counted.n != size || hex.EncodeToString(sent.Sum(nil)) != hex.EncodeToString(got.Sum(nil)) {
		t.Errorf("%d bytes came back of %d, or others", counted.n, size)
	}
}

type counter struct{ n int }

func (c *counter) Write(b []byte) (int, error) { c.n += len(b); return len(b), nil }

func TestProgramThatReadsNothingHoldsUpNothing(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	e, err := Run(t.Context(), n.dial(t, builderOne), sh("exit 3"), Streams{In: zeros{}})
	if err != nil || e.Code != 3 {
		t.Errorf("%+v, %v; want code 3", e, err)
	}
	signals := make(chan int, 1)
	n.host.began = make(chan machine.Cmd, 1)
	go func() {
		<-n.host.began
		signals <- 2
	}()
	e, err = Run(t.Context(), n.dial(t, builderOne), sh("exec sleep 1000"), Streams{In: zeros{}, Signals: signals})
	if err != nil || e.Code != 130 || e.Signal != 2 {
		t.Errorf("%+v, %v; want code 130 by signal 2", e, err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestClientThatReadsNothingFillsNoMemory(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	block := make(chan struct{})
	w := &blocked{until: block, began: make(chan struct{})}
	signals := make(chan int, 1)
	go func() {
		<-w.began
		signals <- 15
		close(block)
	}()
	e, err := Run(t.Context(), n.dial(t, builderOne), sh("exec cat /dev/zero"), Streams{Out: w, Signals: signals})
	if err != nil || e.Code != 143 || w.n > 2*window {
		t.Errorf("%+v, %v, after %d bytes; want code 143", e, err, w.n)
	}
}

// blocked takes its first bytes only when it is told to.
type blocked struct {
	until, began chan struct{}
	n            int
}

func (b *blocked) Write(p []byte) (int, error) {
	if b.n == 0 {
		close(b.began)
		<-b.until
	}
	b.n += len(p)
	return len(p), nil
}

func TestClientThatGoesAwayEndsItsProgram(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	n.host.began, n.host.ended = make(chan machine.Cmd, 1), make(chan error, 1)
	conn := n.dial(t, builderOne)
	go func() {
		<-n.host.began
		conn.Close()
	}()
	_, err := Run(t.Context(), conn, sh("exec sleep 1000"), Streams{})
	if !errors.Is(err, ErrLost) {
		t.Errorf("the client is told %v, want that the connection is lost", err)
	}
	if err := <-n.host.ended; !errors.Is(err, errLeft) {
		t.Errorf("the program ended with %v, want that the client has left", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-n.host.began
		cancel()
	}()
	_, err = Run(ctx, n.dial(t, builderOne), sh("exec sleep 1000"), Streams{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the client is told %v, want its own cancellation", err)
	}
	if err := <-n.host.ended; !errors.Is(err, errLeft) {
		t.Errorf("the program ended with %v, want that the client has left", err)
	}
}

func TestServerThatStopsSaysSo(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	n.host.began = make(chan machine.Cmd, 1)
	go func() {
		<-n.host.began
		n.run()
	}()
	_, err := Run(t.Context(), n.dial(t, builderOne), sh("exec sleep 1000"), Streams{})
	wantFailure(t, err, CodeStopping)
	opened, err := n.Open(t.Context(), builderOne)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Dial(t.Context(), nil, opened.URL, opened.Ticket)
	wantFailure(t, err, CodeStopping)
}

func wantFailure(t *testing.T, err error, code string) {
	t.Helper()
	var f *Failure
	if !errors.As(err, &f) || f.Code != code || f.Message == "" {
		t.Errorf("failed with %v (%+v), want %s", err, f, code)
	}
}

func TestTicketThatIsUsedTwiceLateForgedOrOfAnotherMarket(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	ahead := time.Duration(0)
	n := newNode(t, func(c *Config) {
		c.Clock = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return time.Now().Add(ahead)
		}
	})
	opened, err := n.Open(t.Context(), builderOne)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := Dial(t.Context(), nil, opened.URL, opened.Ticket)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := Run(t.Context(), conn, sh("exit 4"), Streams{}); err != nil || e.Code != 4 {
		t.Fatalf("%+v, %v", e, err)
	}
	_, err = Dial(t.Context(), nil, opened.URL, opened.Ticket)
	wantFailure(t, err, CodeTicket)

	late, err := n.Open(t.Context(), builderOne)
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	ahead = TicketTime + time.Second
	mu.Unlock()
	_, err = Dial(t.Context(), nil, late.URL, late.Ticket)
	wantFailure(t, err, CodeTicket)

	now := time.Now()
	good := Ticket{ID: "x", Account: "123456789012", Region: "us-east-1", Builder: "one", Kind: Command, Program: "/bin/sh", Node: "n1", Issued: now.Add(time.Hour), Expires: now.Add(2 * time.Hour)}
	early := good
	early.Issued = now.Add(-time.Hour) // before the node started
	for name, ticket := range map[string]string{
		"none":         "",
		"no ticket":    "abc",
		"one bit":      opened.Ticket[:40] + "A" + opened.Ticket[41:],
		"other market": sealed(t, good, keyring.New([32]byte{9})),
		"before start": sealed(t, early, testRing()),
		"long":         strings.Repeat("a", 9000),
	} {
		_, err = Dial(t.Context(), nil, opened.URL, ticket)
		var f *Failure
		if !errors.As(err, &f) || f.Code != CodeTicket {
			t.Errorf("%s: %v, want %s", name, err, CodeTicket)
		}
	}
	if _, err = Dial(t.Context(), nil, opened.URL, sealed(t, good, testRing())); err != nil {
		t.Errorf("a good ticket is refused: %v", err)
	}
}

func sealed(t *testing.T, ticket Ticket, keys Sealer) string {
	t.Helper()
	text, err := ticket.seal(keys)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestStartThatTheTicketIsNotFor(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	of := func(kind Kind, program string) Opening {
		o := builderOne
		o.Kind, o.Program = kind, program
		return o
	}
	for name, c := range map[string]struct {
		opening Opening
		start   Start
	}{
		"another program":             {builderOne, Start{Args: []string{"/bin/cat"}}},
		"no program":                  {builderOne, Start{}},
		"a program in a terminal's":   {of(Terminal, ""), Start{Args: []string{"/bin/sh"}, Terminal: true}},
		"a terminal without one":      {of(Terminal, ""), Start{}},
		"a program for files":         {of(Files, ""), Start{Args: []string{"/bin/sh", "-c"}}},
		"files with an environment":   {of(Files, ""), Start{Args: []string{Get, "/etc"}, Env: []string{"A=b"}}},
		"no kind":                     {of("", ""), Start{Args: []string{""}}},
		"an environment without name": {builderOne, Start{Args: []string{"/bin/sh"}, Env: []string{"=x"}}},
		"a folder that is relative":   {builderOne, Start{Args: []string{"/bin/sh"}, Dir: "x"}},
		"a terminal with a newline":   {builderOne, Start{Args: []string{"/bin/sh"}, Term: "x\ny"}},
		"an argument with a zero":     {builderOne, Start{Args: []string{"/bin/sh", "a\x00b"}}},
	} {
		_, err := Run(t.Context(), n.dial(t, c.opening), c.start, Streams{In: zeros{}})
		var f *Failure
		if !errors.As(err, &f) || f.Code != CodeRequest {
			t.Errorf("%s: %v, want %s", name, err, CodeRequest)
		}
	}
	_, err := Run(t.Context(), n.dial(t, builderOne), Start{Args: []string{"/bin/sh", strings.Repeat("x", maxStart)}}, Streams{})
	if err == nil || !strings.Contains(err.Error(), "49152 are the most") {
		t.Errorf("a start message that is too long: %v", err)
	}
}

func TestMoreSessionsThanMayBeOpen(t *testing.T) {
	t.Parallel()
	n := newNode(t, func(c *Config) { c.PerBuilder, c.PerAccount = 1, 2 })
	two, three, stranger := builderOne, builderOne, builderOne
	two.Builder, three.Builder, stranger.Account = "two", "three", "222222222222"
	open := []io.ReadWriteCloser{n.dial(t, builderOne)}
	refused := func(o Opening) {
		t.Helper()
		opened, err := n.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Dial(t.Context(), nil, opened.URL, opened.Ticket)
		wantFailure(t, err, CodeLimit)
	}
	refused(builderOne)
	open = append(open, n.dial(t, two))
	refused(three)
	open = append(open, n.dial(t, stranger))
	for _, conn := range open {
		if _, err := Run(t.Context(), conn, sh(":"), Streams{}); err != nil {
			t.Error(err)
		}
	}
}

func TestMachineThatCantBeEntered(t *testing.T) {
	t.Parallel()
	n := newNode(t, func(c *Config) {
		c.Enter = func(_ context.Context, _, _, builder string) (Machine, error) {
			if builder == "broken" {
				return nil, errors.New("secret of the host")
			}
			return nil, &Failure{CodeMachine, "the image builder is STOPPED"}
		}
	})
	o := builderOne
	for builder, code := range map[string]string{"stopped": CodeMachine, "broken": CodeInternal} {
		o.Builder = builder
		opened, err := n.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Dial(t.Context(), nil, opened.URL, opened.Ticket)
		wantFailure(t, err, code)
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the client is told what went wrong inside: %v", err)
		}
	}
}

func TestRequestThatIsNoUpgrade(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	for _, path := range []string{Path, "/sessions/other"} {
		response, err := http.Get(n.Server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != http.StatusUpgradeRequired && response.StatusCode != http.StatusNotFound || !bytes.Contains(text, []byte(CodeRequest)) {
			t.Errorf("%s: %s %s", path, response.Status, text)
		}
	}
}

func TestSessionOutlivesTheServersTimeOuts(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	short := httptest.NewUnstartedServer(n.Sessions)
	short.Config.WriteTimeout, short.Config.ReadTimeout = 300*time.Millisecond, 300*time.Millisecond
	short.Start()
	defer short.Close()
	opened, err := n.Open(t.Context(), builderOne)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := Dial(t.Context(), nil, short.URL+Path, opened.Ticket)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	e, err := Run(t.Context(), conn, sh("sleep 0.5; echo late; cat"), Streams{In: strings.NewReader("x"), Out: &out})
	if err != nil || e.Code != 0 || out.String() != "late\nx" {
		t.Errorf("%+v, %v, %q", e, err, out.String())
	}
}

func TestServerThatIsNoMarket(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	_, err := Dial(t.Context(), nil, plain.URL, "x")
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("%v, want the status", err)
	}
}

func TestTerminalThatIsNotUsedIsClosed(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	ran := make(chan machine.Cmd, 1)
	go func() {
		_ = serve(context.Background(), theirs, theirs, time.Millisecond, func(s Start) (machine.Cmd, error) { return s.cmd(Ticket{Kind: Terminal}) },
			func(ctx context.Context, c machine.Cmd) (machine.Exit, error) {
				ran <- c
				<-ctx.Done()
				return machine.Exit{}, context.Cause(ctx)
			})
	}()
	_, err := Run(t.Context(), ours, Start{Terminal: true, Term: "xterm", Size: machine.Size{Rows: 3, Columns: 4}}, Streams{In: blockedReader{t.Context()}})
	wantFailure(t, err, CodeIdle)
	c := <-ran
	if c.Terminal == nil || c.Terminal.Size != (machine.Size{Rows: 3, Columns: 4}) || c.Terminal.Term != "xterm" || c.Args[0] != "/bin/sh" {
		t.Errorf("what runs is %+v", c)
	}
}

// blockedReader has nothing to say until its context ends.
type blockedReader struct{ ctx context.Context }

func (b blockedReader) Read([]byte) (int, error) {
	<-b.ctx.Done()
	return 0, io.EOF
}

func TestTerminalsSizesArrive(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	go func() {
		_ = serve(context.Background(), theirs, theirs, 0, func(s Start) (machine.Cmd, error) { return s.cmd(Ticket{Kind: Terminal}) },
			func(_ context.Context, c machine.Cmd) (machine.Exit, error) {
				size := <-c.Terminal.Resize
				return machine.Exit{Code: int(size.Rows)}, nil
			})
	}()
	sizes := make(chan machine.Size, 1)
	sizes <- machine.Size{Rows: 50, Columns: 100}
	e, err := Run(t.Context(), ours, Start{Terminal: true}, Streams{Resize: sizes})
	if err != nil || e.Code != 50 {
		t.Errorf("%+v, %v; want the size's 50", e, err)
	}
}

// TestShellOfAUser runs the script that finds a user's shell, for the user that runs
// the tests and for one that is not there.
func TestShellOfAUser(t *testing.T) {
	t.Parallel()
	for user, want := range map[string]string{"": "", "nobody-of-that-name": "/bin/sh"} {
		args := shell(user)
		p := exec.Command(args[0], args[1:]...)
		p.Env = []string{"PATH=/run/souk/bin:/usr/bin:/bin"}
		p.Stdin = strings.NewReader("echo shell=$SHELL path=$PATH\n") // is what is typed
		out, err := p.Output()
		if err != nil || !strings.Contains(string(out), "shell="+want) || !strings.Contains(string(out), "path=/run/souk/bin:") {
			t.Errorf("user %q: %v, %q", user, err, out)
		}
	}
}

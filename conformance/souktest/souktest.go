// Package souktest runs the real souk binary for tests: it builds it once,
// starts servers on free ports and folders of their own, runs its commands,
// kills and restarts it, and shows its log where a test failed.
//
// A package that uses it has a TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(souktest.Main(m)) }
package souktest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"souk/storage/store/postgres/pgtest"
)

// Main runs the tests of a package, ends the PostgreSQL that they began, and
// removes what was built for them.
func Main(m *testing.M) int {
	status := pgtest.Main(m)
	err := Clean()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return status
}

// Clean removes what Binary has built. Main does; other programs call it at their end.
func Clean() error {
	built.Lock()
	defer built.Unlock()
	if built.dir == "" {
		return nil
	}
	err := os.RemoveAll(built.dir)
	if err != nil {
		return fmt.Errorf("removing what was built: %w", err)
	}
	built.dir, built.binary = "", nil
	return nil
}

// built keeps the binaries of this process, one for each set of build tags.
// Tests of one package run in one process and share them.
var built struct {
	sync.Mutex
	dir    string
	binary map[string]string
}

// Binary builds souk, once for each set of build tags, and returns its path.
// The environment variable SOUK_BINARY names one that was built already; it is
// used where no tags are asked for.
func Binary(tags string) (string, error) {
	if b := os.Getenv("SOUK_BINARY"); b != "" && tags == "" {
		return b, nil
	}
	built.Lock()
	defer built.Unlock()
	if b := built.binary[tags]; b != "" {
		return b, nil
	}
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "souk-binary-")
		if err != nil {
			return "", fmt.Errorf("making a folder for the binary: %w", err)
		}
		built.dir, built.binary = dir, map[string]string{}
	}
	path := filepath.Join(built.dir, "souk-"+tags)
	build := exec.Command("go", "build", "-tags", tags, "-o", path, "souk/cmd/souk")
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building souk with tags %q: %w\n%s", tags, err, out)
	}
	built.binary[tags] = path
	return path, nil
}

// Options say how a server is started. The zero value is one with SQLite in a
// temporary folder, without quotas, that may fetch from loopback.
type Options struct {
	Dir      string   // data folder; default a temporary one
	Blobs    string   // folder of blobs; default in the data folder
	KeyFile  string   // default in the data folder
	Database string   // default sqlite:
	Quotas   bool     // request rates and account limits are on
	Flags    []string // further flags of souk serve
	Env      []string // further environment, as NAME=VALUE
	Tags     string   // build tags of the binary
}

// Server is a souk serve that a test started.
type Server struct {
	URL string // where it listens
	Dir string // its data folder

	options Options
	binary  string
	log     *journal
	process *exec.Cmd
	ended   chan struct{} // closed when the process is gone
}

// errEnded: the process ended before it was ready.
var errEnded = errors.New("it ended before it was ready")

// Start starts a server and waits until it is ready. It is stopped, and its log
// shown if the test failed, when the test ends.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	s := New(tb, o)
	err := s.Run()
	if err != nil {
		tb.Fatalf("starting souk: %v\n%s", err, s.Log())
	}
	return s
}

// New prepares a server that is not started yet.
func New(tb testing.TB, o Options) *Server {
	tb.Helper()
	if o.Dir == "" {
		o.Dir = tb.TempDir()
	}
	s, err := Prepare(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		err := s.Stop()
		if err != nil {
			tb.Errorf("stopping souk: %v", err)
		}
		if tb.Failed() {
			tb.Logf("log of souk in %s:\n%s", s.Dir, s.Log())
		}
	})
	return s
}

// Prepare is New without a test: the caller stops the server. Dir must be given.
func Prepare(o Options) (*Server, error) {
	binary, err := Binary(o.Tags)
	if err != nil {
		return nil, err
	}
	return &Server{Dir: o.Dir, options: o, binary: binary, log: &journal{}}, nil
}

// Run starts the process and waits until it is ready; also again, on the same
// folder, after Kill or Stop. Options.Env may have been changed by SetEnv.
func (s *Server) Run() error {
	args := []string{"serve", "--listen", "127.0.0.1:0", "--admin-listen", "off", "--data", s.Dir, "--fetch-allow", "127.0.0.0/8"}
	if !s.options.Quotas {
		args = append(args, "--quota=off")
	}
	args = append(args, s.place()...)
	args = append(args, s.options.Flags...)
	p := exec.Command(s.binary, args...)
	p.Env = append(environment(), s.options.Env...)
	out, err := p.StdoutPipe()
	if err != nil {
		return fmt.Errorf("starting souk: %w", err)
	}
	p.Stderr = s.log
	err = p.Start()
	if err != nil {
		return fmt.Errorf("starting souk: %w", err)
	}
	s.process, s.ended = p, make(chan struct{})
	ready := make(chan string, 1)
	go func(ended chan struct{}) {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			fmt.Fprintln(s.log, lines.Text())
			url, ok := strings.CutPrefix(lines.Text(), "souk: listening on ")
			if ok {
				ready <- strings.TrimSpace(url)
			}
		}
		_, _ = io.Copy(s.log, out) // a line too long for the scanner
		fmt.Fprintln(s.log, "--- souk ended:", p.Wait())
		close(ended)
	}(s.ended)
	select {
	case s.URL = <-ready:
		return nil
	case <-s.ended:
		return errEnded
	case <-time.After(2 * time.Minute):
		return errors.Join(errors.New("it was not ready within 2 minutes"), s.Kill())
	}
}

// place are the flags that say where the market is.
func (s *Server) place() []string {
	var args []string
	for _, flag := range []struct{ name, value string }{
		{"--database", s.options.Database}, {"--blobs", s.options.Blobs}, {"--key-file", s.options.KeyFile},
	} {
		if flag.value != "" {
			args = append(args, flag.name, flag.value)
		}
	}
	return args
}

// environment is this process's without what would lead a command to another
// market or to the real AWS.
func environment() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "AWS_") && !strings.HasPrefix(e, "SOUK_") {
			env = append(env, e)
		}
	}
	return append(env, "NO_COLOR=1")
}

// SetBinary has the next Run start another program, such as a newer one.
func (s *Server) SetBinary(path string) { s.binary = path }

// SetEnv sets the further environment of the next Run.
func (s *Server) SetEnv(env ...string) { s.options.Env = env }

// PID is the process's id.
func (s *Server) PID() int { return s.process.Process.Pid }

// Ended is closed when the process is gone.
func (s *Server) Ended() <-chan struct{} { return s.ended }

// Kill ends the process as kill -9 does and waits until it is gone.
func (s *Server) Kill() error { return s.signal(syscall.SIGKILL) }

// Stop asks the process to end (SIGTERM) and waits until it is gone.
func (s *Server) Stop() error { return s.signal(syscall.SIGTERM) }

func (s *Server) signal(sig os.Signal) error {
	if s.process == nil {
		return nil
	}
	err := s.process.Process.Signal(sig)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("sending %v to souk: %w", sig, err)
	}
	select {
	case <-s.ended:
		return nil
	case <-time.After(2 * time.Minute):
	}
	err = s.process.Process.Kill()
	<-s.ended
	return errors.Join(fmt.Errorf("souk did not end within 2 minutes of %v", sig), err)
}

// Log is what the processes of this server printed so far.
func (s *Server) Log() string { return s.log.String() }

// Command runs a command of souk on the server's market and returns what it
// printed. The flags that say where the market is are added.
func (s *Server) Command(args ...string) (string, error) {
	return s.Program(append(append(args, "--data", s.Dir), s.place()...)...)
}

// Program runs the binary with arguments and returns what it printed.
func (s *Server) Program(args ...string) (string, error) {
	c := exec.Command(s.binary, args...)
	c.Env = environment()
	var out, problems bytes.Buffer
	c.Stdout, c.Stderr = &out, &problems
	err := c.Run()
	if err != nil {
		return out.String(), fmt.Errorf("souk %s: %w\n%s%s", strings.Join(args, " "), err, out.String(), problems.String())
	}
	return out.String(), nil
}

// journal keeps what was written; safe for concurrent use.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

// keep bounds a journal: older text is dropped.
const keep = 1 << 20

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.text.Len() > keep {
		j.text.Next(j.text.Len() / 2)
	}
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

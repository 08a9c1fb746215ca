// Package pgtest gives tests a real PostgreSQL: the server that
// SOUK_TEST_POSTGRES names, or one of its own from the programs on the
// machine, with its own data, socket and port.
//
// A package whose tests need it has
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
//
// and calls Start in each test, which gives it an empty database.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Env names the server to use: a URL of a database on it. The user must be
// allowed to create databases.
const Env = "SOUK_TEST_POSTGRES"

// shared is the server of this test binary: the first Start begins it and Main
// ends it. A test binary is one program, so this is no state that two could
// disagree about.
var shared struct {
	mu        sync.Mutex // guards all below
	main      bool       // Main runs and will stop the server
	server    *server
	err       error
	databases int
}

// Main runs the tests and then stops the server that they began, if any. It
// returns the exit code.
func Main(m *testing.M) int {
	shared.mu.Lock()
	shared.main = true
	shared.mu.Unlock()
	code := m.Run()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server != nil {
		if err := shared.server.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop postgres:", err)
			code = max(code, 1)
		}
	}
	return code
}

// Start returns the URL of a database of the test's own, which is dropped when
// the test ends. It fails the test if there is no server to be had.
func Start(t testing.TB) string {
	t.Helper()
	admin, name, err := next()
	if err != nil {
		t.Fatalf("postgres for tests: %v", err)
	}
	if err := execute(t.Context(), admin, "CREATE DATABASE "+name); err != nil {
		t.Fatalf("postgres for tests: %v", err)
	}
	t.Cleanup(func() {
		if err := execute(context.Background(), admin, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("postgres for tests: %v", err)
		}
	})
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatalf("postgres for tests: %s: %v", Env, err)
	}
	u.Path = "/" + name
	return u.String()
}

// Serve is for a program that is no test: it returns the URL of the server that
// SOUK_TEST_POSTGRES names, or begins one of its own, which stop ends.
func Serve() (admin string, stop func() error, err error) {
	if admin := os.Getenv(Env); admin != "" {
		return admin, func() error { return nil }, nil
	}
	s, err := start()
	if err != nil {
		return "", nil, err
	}
	return s.url, s.stop, nil
}

// next returns the URL of the server and the name of the next database.
func next() (admin, name string, err error) {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	shared.databases++
	name = fmt.Sprintf("souk_test_%d_%d", os.Getpid(), shared.databases)
	if admin := os.Getenv(Env); admin != "" {
		return admin, name, nil
	}
	if !shared.main {
		return "", "", errors.New("TestMain of this package must call pgtest.Main, which stops the server")
	}
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = start()
	}
	if shared.err != nil {
		return "", "", shared.err
	}
	return shared.server.url, name, nil
}

func execute(ctx context.Context, url, statement string) error {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.Exec(ctx, statement)
	return err
}

// server is a PostgreSQL that we began.
type server struct {
	dir    string // holds the data and the socket
	url    string
	cmd    *exec.Cmd
	output *bytes.Buffer
	ended  chan struct{} // closed when the process has ended
}

// port is part of the socket's name; nothing listens on the network.
const port = 5432

func start() (*server, error) {
	initdb, postgres, err := programs()
	if err != nil {
		return nil, err
	}
	// The path of a socket must be short, that of a test's folder is not.
	dir, err := os.MkdirTemp("/tmp", "souk-pg-")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, output: &bytes.Buffer{}, ended: make(chan struct{})}
	if err := s.start(initdb, postgres); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("start %s: %w\n%s", postgres, err, s.output)
	}
	return s, nil
}

func (s *server) start(initdb, postgres string) error {
	credential, err := s.user()
	if err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	run := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.Dir = s.dir
		cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
		return cmd
	}
	out, err := run(initdb, "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions").CombinedOutput()
	if err != nil {
		s.output.Write(out)
		return fmt.Errorf("initdb: %w", err)
	}
	s.url = (&url.URL{
		Scheme: "postgres", User: url.User("postgres"), Path: "/postgres",
		RawQuery: url.Values{"host": {s.dir}, "port": {strconv.Itoa(port)}}.Encode(),
	}).String()
	s.cmd = run(postgres, "-D", data, "-k", s.dir, "-p", strconv.Itoa(port),
		"-c", "listen_addresses=", "-c", "max_connections=300", "-c", "shared_buffers=256MB",
		"-c", "max_wal_size=2GB", "-c", "log_min_messages=fatal")
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() {
		defer close(s.ended)
		_ = s.cmd.Wait() // how it ended does not matter: stop asked for it, or ready tells
	}()
	return s.ready()
}

// ready waits until the server answers.
func (s *server) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := execute(ctx, s.url, "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.ended:
			return errors.New("it ended by itself")
		case <-ctx.Done():
			return errors.Join(err, s.stop())
		}
	}
}

// stop ends the server and removes what it had.
func (s *server) stop() error {
	// SIGINT is PostgreSQL's fast shutdown: it ends connections and leaves in order.
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.ended:
	case <-time.After(2 * time.Minute):
		if err := s.cmd.Process.Kill(); err != nil {
			return err
		}
		<-s.ended
	}
	return os.RemoveAll(s.dir)
}

// user gives the folder to a user that PostgreSQL agrees to run as: it refuses root.
func (s *server) user() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, fmt.Errorf("postgres does not run as root, and there is no user to run it as: %w", err)
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(s.dir, int(uid), int(gid))
}

// programs finds initdb and postgres of the newest version on the machine:
// where Debian and Fedora have them, or in PATH.
func programs() (initdb, postgres string, err error) {
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/postgres", "/usr/pgsql-*/bin/postgres"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", "", err
		}
		slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
		for _, postgres := range found {
			initdb := filepath.Join(filepath.Dir(postgres), "initdb")
			if _, err := os.Stat(initdb); err == nil {
				return initdb, postgres, nil
			}
		}
	}
	postgres, err1 := exec.LookPath("postgres")
	initdb, err2 := exec.LookPath("initdb")
	if err1 != nil || err2 != nil {
		return "", "", fmt.Errorf("no PostgreSQL server program was found in /usr/lib/postgresql/*/bin or PATH: "+
			"install it (Debian: apt-get install postgresql) or set %s to the URL of a server", Env)
	}
	return initdb, postgres, nil
}

// version reads the number in the name of a folder above a program.
func version(path string) int {
	name := filepath.Base(filepath.Dir(filepath.Dir(path)))
	n := 0
	for _, r := range name {
		if r >= '0' && r <= '9' {
			n = 10*n + int(r-'0')
		}
	}
	return n
}

package machinetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"souk/artifact/images"
	"souk/artifact/machine"
)

// New makes a provider that keeps all that it has below a folder, where an earlier
// one may have left machines. Its proxy, if it has one, may connect to 127.0.0.2 as
// if that were outside, and to no other address of the host. The agents of its machines
// have Tools, and door serves the doors.
type New func(t *testing.T, dir string, door Door) machine.Provider

// Door serves a connection that a program of a machine made to its host.
type Door func(ctx context.Context, machine string, conn net.Conn)

// secret stands in the environment of the host's process, and must not be seen in
// a machine.
const secret = "machinetest-secret-of-the-host"

// suite is what all tests of a Run share.
type suite struct {
	open  New
	dir   string
	p     machine.Provider
	can   machine.Capabilities
	base  []images.Layer
	bare  images.Layer // its programs alone
	count atomic.Int64
	doors doors
}

// Run checks a provider. Rows for what its Capabilities do not claim are not run;
// the log says which.
func Run(t *testing.T, open New) {
	if err := os.Setenv("SOUK_MACHINETEST", secret); err != nil {
		t.Fatal(err)
	}
	s := &suite{open: open, dir: folder(t)}
	all := programs(t)
	s.base, s.bare = base(t, all), layer(t, all...)
	s.p = open(t, s.dir, s.doors.serve)
	t.Cleanup(func() {
		if err := s.p.Close(); err != nil {
			t.Errorf("closing the provider: %v", err)
		}
	})
	var err error
	if s.can, err = s.p.Probe(t.Context()); err != nil {
		t.Fatalf("this provider runs nothing here: %v", err)
	}
	t.Logf("%s: %+v", s.p.Name(), s.can)
	t.Run("contract", s.contract)
	t.Run("programs", s.programs)
	t.Run("changes", s.changes)
	t.Run("images", s.images)
	t.Run("inside", s.inside)
	t.Run("attacks", s.attacks)
}

// folder makes a folder of a test. Its path is short, since a socket's must be, and
// it is removed also if a machine of an ordinary user closed what is in it.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "souk-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error { //nolint:errcheck // RemoveAll says what is left
			if err == nil && d.IsDir() {
				os.Chmod(path, 0o700) //nolint:errcheck
			}
			return nil
		})
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// box is a machine of a test.
type box struct {
	t  *testing.T
	p  machine.Provider
	id string
}

// spec is what machines of tests have where the test says nothing else: little, so
// that bombs are soon over.
func (s *suite) spec() machine.Spec {
	return machine.Spec{Layers: s.base, Memory: 256 << 20, Disk: 64 << 20, Pids: 64, Purpose: "machinetest"}
}

// id is that of a new machine.
func (s *suite) id() string { return fmt.Sprintf("test-%d-%d", os.Getpid(), s.count.Add(1)) }

// box starts a machine, which is deleted at the end of the test.
func (s *suite) box(t *testing.T, change func(*machine.Spec)) *box {
	t.Helper()
	spec := s.spec()
	if change != nil {
		change(&spec)
	}
	b := &box{t: t, p: s.p, id: s.id()}
	t.Cleanup(func() {
		if err := s.p.Delete(context.Background(), b.id); err != nil {
			t.Errorf("deleting the machine: %v", err)
		}
	})
	if err := s.p.Create(t.Context(), b.id, spec); err != nil {
		t.Fatalf("creating a machine: %v", err)
	}
	if err := s.p.Start(t.Context(), b.id); err != nil {
		t.Fatalf("starting a machine: %v", err)
	}
	return b
}

// result is what a program wrote and how it ended.
type result struct {
	out, err string
	exit     machine.Exit
	fault    error // of Exec
}

// patience is how long a program of a test may take; what takes longer hangs.
const patience = 2 * time.Minute

// run runs a program; its outputs go to the result, unless c has its own.
func (b *box) run(c machine.Cmd) result {
	b.t.Helper()
	ctx, cancel := context.WithTimeoutCause(b.t.Context(), patience, errors.New("the program hangs"))
	defer cancel()
	return b.runIn(ctx, c)
}

func (b *box) runIn(ctx context.Context, c machine.Cmd) result {
	b.t.Helper()
	var out, errs bytes.Buffer
	if c.Stdout == nil {
		c.Stdout = &out
	}
	if c.Stderr == nil {
		c.Stderr = &errs
	}
	exit, err := b.p.Exec(ctx, b.id, c)
	return result{out.String(), errs.String(), exit, err}
}

// sh runs a shell's script as root; it must end with 0.
func (b *box) sh(script string) string {
	b.t.Helper()
	r := b.try(script)
	if r.fault != nil || r.exit.Code != 0 {
		b.t.Fatalf("%s\nends with %+v, %v\n%s%s", script, r.exit, r.fault, r.out, r.err)
	}
	return r.out
}

// try runs a shell's script as root, however it ends.
func (b *box) try(script string) result {
	b.t.Helper()
	return b.run(machine.Cmd{Args: []string{"/bin/sh", "-c", script}})
}

// attack runs the program that attacks. The machine must have held, and killing
// the program is a way to.
func (b *box) attack(args ...string) result {
	b.t.Helper()
	r := b.run(machine.Cmd{Args: append([]string{"/attack"}, args...)})
	b.held(strings.Join(args, " "), r)
	return r
}

// held says whether what the program that attacks did was held.
func (b *box) held(what string, r result) {
	b.t.Helper()
	switch {
	case r.fault != nil:
		b.t.Errorf("%s: %v\n%s%s", what, r.fault, r.out, r.err)
	case r.exit.Code == 1, r.exit.Code == 2, r.exit.Code == 127, r.exit.Code == 126, strings.Contains(r.out, "got through"):
		b.t.Errorf("%s: %+v\n%s%s", what, r.exit, r.out, r.err)
	}
}

// noLayer checks what Diff says of a machine that wrote what no layer has: it is not
// taken for a fault of the host, and the text names the file.
func (b *box) noLayer(err error) {
	b.t.Helper()
	if _, why, _ := strings.Cut(err.Error(), machine.ErrBadTree.Error()+": "); !errors.Is(err, machine.ErrBadTree) || !strings.Contains(why, "/") {
		b.t.Errorf("Diff: %v; want ErrBadTree with the name of a file", err)
	}
}

// answers checks that a machine still works.
func (b *box) answers() {
	b.t.Helper()
	if out := b.sh("echo works"); out != "works\n" {
		b.t.Errorf("afterwards the machine says %q", out)
	}
}

// stop stops the machine in bounded time, and checks that none of its processes
// are left on the host.
func (b *box) stop(namespace uint64) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	if err := b.p.Stop(ctx, b.id); err != nil {
		b.t.Errorf("stopping the machine: %v", err)
	}
	if left := processes(namespace); len(left) > 0 {
		b.t.Errorf("%d processes are left after Stop: %v", len(left), left)
	}
}

// namespace is the number of the machine's namespace of processes, which is the
// same on the host; 0 where the machine does not share the host's kernel.
func (s *suite) namespace(b *box) uint64 {
	b.t.Helper()
	if s.can.Isolation != "namespaces" {
		return 0
	}
	link := strings.TrimSpace(b.sh("readlink /proc/self/ns/pid"))
	n, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(link, "pid:["), "]"), 10, 64)
	if err != nil {
		b.t.Fatalf("the machine's namespace is %q", link)
	}
	return n
}

// processes are those of a namespace, as the host sees them.
func processes(namespace uint64) []int {
	if namespace == 0 {
		return nil
	}
	want := fmt.Sprintf("pid:[%d]", namespace)
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var all []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// A zombie has no namespaces any more, and no one waits for it but its parent.
		if link, err := os.Readlink("/proc/" + e.Name() + "/ns/pid"); err == nil && link == want {
			all = append(all, pid)
		}
	}
	return all
}

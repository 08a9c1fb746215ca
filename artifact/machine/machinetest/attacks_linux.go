package machinetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"souk/artifact/machine"
)

// attack is something that a machine does, and what must hold nevertheless.
type attack struct {
	name string
	// needs says whether a provider claims to hold it; nil: every provider does.
	needs func(c machine.Capabilities) bool
	spec  func(*machine.Spec)
	do    func(s *suite, b *box)
}

// What rows need.
var (
	memory  = func(c machine.Capabilities) bool { return c.Memory }
	pids    = func(c machine.Capabilities) bool { return c.Pids }
	cpu     = func(c machine.Capabilities) bool { return c.CPU }
	disks   = func(c machine.Capabilities) bool { return c.Disk }
	users   = func(c machine.Capabilities) bool { return c.FullUIDs }
	seccomp = func(c machine.Capabilities) bool { return c.Seccomp }
	network = func(c machine.Capabilities) bool { return c.Egress }
	shared  = func(c machine.Capabilities) bool { return c.Isolation == "namespaces" }
)

// attacks runs all of them, and checks that the host is as it was.
func (s *suite) attacks(t *testing.T) {
	host := s.newHost(t)
	all := append(append(bombs(), reaches(host)...), append(outputs(), knocks()...)...)
	t.Run("rows", func(t *testing.T) {
		t.Run("system calls", func(t *testing.T) { t.Parallel(); s.calls(t) })
		for _, a := range all {
			t.Run(strings.ReplaceAll(a.name, "/", "."), func(t *testing.T) {
				t.Parallel()
				if a.needs != nil && !a.needs(s.can) {
					t.Log("the provider does not claim to hold it")
					return
				}
				a.do(s, s.box(t, a.spec))
			})
		}
	})
	if len(all) < 40 {
		t.Errorf("there are only %d attacks", len(all))
	}
	host.check(t)
}

// calls makes the system calls that the program that attacks knows, each an
// attack, in one machine, which must live on.
func (s *suite) calls(t *testing.T) {
	if !s.can.Seccomp {
		t.Log("the provider does not claim to hold them")
		return
	}
	b := s.box(t, nil)
	names := strings.Split(strings.TrimSpace(b.sh("/attack call list")), "\n")
	if len(names) < 80 {
		t.Errorf("there are only %d system calls", len(names))
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			own := *b
			own.t = t
			own.attack("call", name)
			own.answers()
		})
	}
}

// script is an attack by a shell's script: it ends well or badly, and its output
// must not say "got through".
func script(name, text string) attack {
	return attack{name: name, do: func(_ *suite, b *box) {
		r := b.try(text)
		if r.fault != nil || strings.Contains(r.out, "got through") {
			b.t.Errorf("%+v", r)
		}
		b.answers()
	}}
}

// little memory is soon full.
func little(spec *machine.Spec) { spec.Memory = 64 << 20 }

// bombs take as much as they can.
func bombs() []attack {
	return []attack{
		{"fork bomb", pids, nil, func(s *suite, b *box) {
			n := s.namespace(b)
			ctx, cancel := context.WithTimeout(b.t.Context(), 2*time.Second)
			defer cancel()
			r := b.runIn(ctx, machine.Cmd{Args: []string{"sh", "-c", "f() { f | f & f; }; f; wait"}})
			if r.fault != nil && !errors.Is(r.fault, context.DeadlineExceeded) {
				b.t.Errorf("%v, %+v", r.fault, r.exit)
			}
			if left := processes(n); len(left) > 80 { // 64, and what its agent leaves of its own share
				b.t.Errorf("%d processes in a machine that may have 64", len(left))
			}
			b.stop(n)
		}},
		{"as many processes as there may be", pids, nil, func(_ *suite, b *box) {
			b.attack("threads", "96") // 64, and some for the agent
			b.answers()
		}},
		{"zombies", nil, nil, func(s *suite, b *box) {
			b.attack("zombies", "300") // five times as many as it may have at a time
			b.answers()
		}},
		{"memory: heap", memory, little, func(_ *suite, b *box) {
			if r := b.attack("heap", "1000"); !r.exit.OutOfMemory {
				b.t.Errorf("1000 MiB of 64 MiB: %+v; want OutOfMemory", r.exit)
			}
			b.answers()
		}},
		{"memory: many at once", memory, little, func(_ *suite, b *box) {
			if r := b.try("for i in 1 2 3 4 5 6; do /attack heap 300 & done; wait"); r.fault != nil || !r.exit.OutOfMemory {
				b.t.Errorf("six times 300 MiB of 64 MiB: %+v, %v; want OutOfMemory", r.exit, r.fault)
			}
			b.answers()
		}},
		{"memory: all file systems in it are full", memory, little, func(_ *suite, b *box) {
			for _, path := range []string{"/dev/shm", "/run", "/dev", "/tmp"} {
				b.attack("fill", path+"/x", "400")
				b.attack("inodes", path+"/many", "100000")
			}
			b.answers()
			if r := b.attack("heap", "1000"); !r.exit.OutOfMemory {
				b.t.Errorf("1000 MiB of 64 MiB: %+v, %v; want OutOfMemory", r.exit, r.fault)
			}
			b.answers()
		}},
		{"memory: pipes", memory, little, func(_ *suite, b *box) {
			b.attack("pipes")
			b.answers()
			for range 3 { // and hold them
				b.try("(setsid sh -c '/attack pipes; sleep 1000' >/dev/null 2>&1 &) ; true")
			}
			if r := b.attack("heap", "1000"); !r.exit.OutOfMemory {
				b.t.Errorf("1000 MiB of 64 MiB: %+v, %v; want OutOfMemory", r.exit, r.fault)
			}
			b.answers()
		}},
		{"disk: one large file", disks, nil, func(s *suite, b *box) {
			r := b.try("/attack fill /root/large 500; exit 1")
			b.held("fill", machineEnds(r))
			// Not "I/O error", of which no program knows what to do.
			if !strings.Contains(r.out, "no space left on device") {
				b.t.Errorf("a program that fills the disk is told %q", r.out)
			}
			if !r.exit.DiskFull {
				b.t.Errorf("a program that failed with a full disk ends with %+v; want DiskFull", r.exit)
			}
			s.within(b)
			b.sh("rm /root/large; echo x > /root/small; cat /root/small")
			if r := b.try("exit 1"); r.exit.DiskFull {
				b.t.Errorf("with room again: %+v", r.exit)
			}
		}},
		{"disk: many files", disks, nil, func(s *suite, b *box) {
			b.attack("inodes", "/root/many", "500000")
			s.within(b)
			b.sh("rm -rf /root/many; echo x > /root/small")
		}},
		{"disk: full in every way, and started again", disks, nil, func(s *suite, b *box) {
			// What begins with a directory comes before the disk has no block for one.
			b.attack("deep", "/root/deep", "600")
			b.try("truncate -s 15T /root/a; truncate -s 1T /tmp/b")
			b.attack("inodes", "/root/many", "500000")
			b.try("for i in 1 2 3 4 5 6 7 8; do dd if=/dev/zero of=/root/a bs=1M count=20 seek=$((i * 1000003)) conv=notrunc & done; wait")
			b.attack("fill", "/root/large", "500")
			b.attack("fill", "/tmp/large", "500")
			s.within(b)
			if err := b.p.Stop(b.t.Context(), b.id); err != nil {
				b.t.Fatal(err)
			}
			s.within(b)
			err := b.p.Start(b.t.Context(), b.id)
			if errors.Is(err, machine.ErrDiskFull) {
				return
			}
			if err != nil {
				b.t.Fatalf("starting a machine whose disk is full: %v; want nothing or ErrDiskFull", err)
			}
			b.sh("rm -rf /root/large /root/many /root/a; echo x > /root/small; cat /root/small")
		}},
		{"disk: by small appends of many", disks, nil, func(_ *suite, b *box) {
			r := b.try("for i in 1 2 3 4; do head -c 40000000 /dev/zero > /root/$i & done; wait; du -s /root | cut -f1")
			if kib, err := strconv.Atoi(strings.TrimSpace(r.out)); err != nil || kib > 70<<10 {
				b.t.Errorf("the machine has %q KiB of 64 MiB: %v", r.out, err)
			}
		}},
		{"disk: a file of a terabyte with nothing in it", disks, nil, func(s *suite, b *box) {
			b.try("truncate -s 1T /root/sparse; truncate -s 15T /root/sparser; truncate -s 50G /root/sparse2")
			if err := b.p.Stop(b.t.Context(), b.id); err != nil {
				b.t.Fatal(err)
			}
			// It is no layer that anybody can take: an end, soon, whatever it says.
			out := limited{most: 1 << 30}
			err := b.p.Diff(b.t.Context(), b.id, &out)
			if errors.Is(err, errMost) {
				b.t.Errorf("the layer of a disk of 64 MiB has more than %d bytes", out.most)
			}
			b.t.Logf("%d bytes", out.n)
			if err != nil {
				b.noLayer(err)
			}
		}},
		{"disk: deep directories and long names", nil, nil, func(s *suite, b *box) {
			b.attack("deep", "/root/deep", "600")
			b.stop(s.namespace(b))
			var out limited
			if err := b.p.Diff(b.t.Context(), b.id, &out); err != nil {
				b.t.Logf("Diff: %v", err) // names longer than a path may be need not be in a layer
			}
		}},
		{"processors", cpu, func(spec *machine.Spec) { spec.CPU = 200 }, func(_ *suite, b *box) {
			r := b.attack("spin", "1500")
			if ms, err := strconv.Atoi(strings.TrimSpace(r.out)); err != nil || ms > 900 {
				b.t.Errorf("two threads had %q ms of a processor in 1500 ms, and may have 300: %v", r.out, err)
			}
		}},
		{"descriptors", nil, nil, func(_ *suite, b *box) {
			b.try("i=3; while [ $i -lt 100000 ]; do eval \"exec $i</dev/null\" || exit; i=$((i+1)); done")
			b.answers()
		}},
		{"files that are locked and watched", nil, nil, func(_ *suite, b *box) {
			b.try("for i in 1 2 3 4 5 6 7 8; do (timeout 2 inotifyd - /root /etc /opt >/dev/null 2>&1 &) ; done; flock /etc/passwd true")
			b.answers()
		}},
		{"pid 1 is killed", nil, nil, func(s *suite, b *box) {
			n := s.namespace(b)
			b.try("for sig in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 24 25 31 34 64; do kill -$sig 1; done; kill -STOP 1; kill -9 1")
			b.lives(n)
		}},
		{"everybody is killed", nil, nil, func(s *suite, b *box) {
			n := s.namespace(b)
			b.try("kill -STOP -1; kill -9 -1")
			b.lives(n)
		}},
		{"everybody is killed by another user", users, nil, func(s *suite, b *box) {
			n := s.namespace(b)
			b.run(machine.Cmd{Args: []string{"sh", "-c", "kill -9 -1; kill -9 1"}, User: "1000"})
			b.lives(n)
		}},
		{"orphans outlive the machine", nil, nil, func(s *suite, b *box) {
			n := s.namespace(b)
			b.try("for i in 1 2 3 4 5 6 7 8 9; do (setsid nohup sh -c \"trap '' TERM HUP INT; while :; do sleep 1000; done\" >/dev/null 2>&1 </dev/null &) ; done")
			b.stop(n)
		}},
		{"a process that can't be stopped", nil, nil, func(s *suite, b *box) {
			n := s.namespace(b)
			b.try("(sh -c 'kill -STOP $$' &) ; mkfifo /root/f; (setsid sh -c 'exec 3<>/root/f; kill -STOP $$' &) ; (setsid sh -c 'cat /dev/zero > /root/f' &) ; sh -c 'kill -STOP $$' &")
			b.stop(n)
		}},
	}
}

// lives checks that a machine answers or has ended cleanly, and can be stopped.
func (b *box) lives(namespace uint64) {
	b.t.Helper()
	r := b.try("echo works")
	if r.fault == nil && r.out != "works\n" {
		b.t.Errorf("the machine says nothing: %+v", r)
	}
	if r.fault != nil && !errors.Is(r.fault, machine.ErrNoAgent) && !errors.Is(r.fault, machine.ErrState) {
		b.t.Errorf("the machine has ended: %v, want ErrNoAgent or ErrState", r.fault)
	}
	b.stop(namespace)
	if err := b.p.Start(b.t.Context(), b.id); err != nil {
		b.t.Errorf("starting it again: %v", err)
	}
}

// machineEnds is a result as it is without the exit of a script that always fails.
func machineEnds(r result) result {
	r.exit.Code = 0
	return r
}

// within checks that a machine takes no more of the host's disk than it may have,
// and little beside it.
func (s *suite) within(b *box) {
	b.t.Helper()
	all, err := b.p.List(b.t.Context())
	if err != nil {
		b.t.Fatalf("List: %v", err)
	}
	most, told := s.spec().Disk, int64(-1)
	for _, m := range all {
		if m.ID == b.id {
			told = m.Disk
		}
	}
	if taken := used(b.t, s.dir, b.id); told < 0 || told > most || taken < told || taken > most+1<<20 {
		b.t.Errorf("a machine with %d bytes of disk takes %d of the host's, and List says %d", most, taken, told)
	}
}

// used is how many bytes the files of the host take below a folder whose paths have
// a name in them.
func used(t *testing.T, dir, name string) int64 {
	t.Helper()
	var total int64
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error { //nolint:errcheck // files come and go
		if err != nil || !strings.Contains(path+"/", "/"+name+"/") {
			return nil
		}
		if info, err := d.Info(); err == nil {
			total += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return nil
	})
	return total
}

var errMost = errors.New("more than may be")

// limited keeps the first MiB of what is written to it, and takes no more than
// most bytes; 0: as many as come.
type limited struct {
	kept bytes.Buffer
	n    int64
	most int64
}

func (l *limited) Write(b []byte) (int, error) {
	l.n += int64(len(b))
	if l.most > 0 && l.n > l.most {
		return 0, errMost
	}
	if l.kept.Len() < 1<<20 {
		l.kept.Write(b)
	}
	return len(b), nil
}

func (l *limited) String() string { return l.kept.String() }

// host is what attacks aim at.
type host struct {
	trap    *trap
	canary  *exec.Cmd // a process
	tcp     net.Listener
	places  *httptest.Server // on 127.0.0.2, which the proxy may reach
	inner   *httptest.Server // on 127.0.0.1, which it may not
	socket  string           // abstract
	program [32]byte         // of our own program
	clock   time.Time
	name    string
}

func (s *suite) newHost(t *testing.T) *host {
	t.Helper()
	h := &host{trap: newTrap(t), socket: fmt.Sprintf("@souk-machinetest-%d", os.Getpid()), clock: time.Now(), program: ownProgram(t)}
	h.name, _ = os.Hostname()
	h.canary = exec.Command("sleep", "3600")
	if err := h.canary.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.canary.Process.Kill(); h.canary.Wait() }) //nolint:errcheck
	reached := func(l net.Listener, err error) net.Listener {
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Close()
				t.Errorf("a machine reached %s of the host", l.Addr())
			}
		}()
		return l
	}
	h.tcp = reached(net.Listen("tcp", "127.0.0.1:0"))
	reached(net.Listen("unix", h.socket))
	reached(net.Listen("unix", filepath.Join(h.trap.dir, "socket")))
	h.trap.before = h.trap.list()
	h.inner = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a machine reached a server of the host") }))
	t.Cleanup(h.inner.Close)
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	h.places = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "outside\n") }))
	h.places.Listener.Close()
	h.places.Listener = l
	h.places.Start()
	t.Cleanup(h.places.Close)
	return h
}

// ownProgram is the sum of the file that this process runs.
func ownProgram(t *testing.T) [32]byte {
	t.Helper()
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

// check says whether the host is as it was.
func (h *host) check(t *testing.T) {
	t.Helper()
	h.trap.check()
	if err := h.canary.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("a process of the host is gone: %v", err)
	}
	if ownProgram(t) != h.program {
		t.Error("our own program was changed")
	}
	if name, _ := os.Hostname(); name != h.name {
		t.Errorf("the host's name is %q, and was %q", name, h.name)
	}
	// The monotonic clock can't be set; the other may drift, but not by minutes.
	if off := time.Now().Round(0).Sub(h.clock.Round(0)) - time.Since(h.clock); off.Abs() > time.Minute {
		t.Errorf("the host's clock is off by %v", off)
	}
}

package machinetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"souk/artifact/machine"
	"souk/artifact/machine/agent"
)

// contract checks what the methods of a Provider say of machines, apart from
// programs in them.
func (s *suite) contract(t *testing.T) {
	for name, f := range map[string]func(*testing.T){
		"a machine that is not there": s.unknown,
		"create again":                s.createAgain,
		"states":                      s.states,
		"the disk outlives the machine's processes":   s.diskStays,
		"delete while it runs":                        s.deleteRunning,
		"machines of an earlier process":              s.list,
		"several at a time":                           s.several,
		"several calls for one machine":               s.oneAtATime,
		"an image without programs":                   s.emptyImage,
		"environment, host name and files":            s.furniture,
		"the end of the caller's context while Start": s.startEnds,
		"waiting for the end":                         s.waits,
		"machines that are kept":                      s.kept,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); f(t) })
	}
}

func (s *suite) unknown(t *testing.T) {
	ctx := t.Context()
	if err := s.p.Reach(ctx, "unknown", nil); !errors.Is(err, machine.ErrNotFound) {
		t.Errorf("Reach of one that is not: %v, want ErrNotFound", err)
	}
	if err := s.p.Start(ctx, "unknown"); !errors.Is(err, machine.ErrNotFound) {
		t.Errorf("Start: %v, want ErrNotFound", err)
	}
	if _, err := s.p.Exec(ctx, "unknown", machine.Cmd{Args: []string{"true"}}); !errors.Is(err, machine.ErrNotFound) {
		t.Errorf("Exec: %v, want ErrNotFound", err)
	}
	if err := s.p.Diff(ctx, "unknown", io.Discard); !errors.Is(err, machine.ErrNotFound) {
		t.Errorf("Diff: %v, want ErrNotFound", err)
	}
	if err := s.p.Stop(ctx, "unknown"); err != nil && !errors.Is(err, machine.ErrNotFound) {
		t.Errorf("Stop: %v, want nothing or ErrNotFound", err)
	}
	if err := s.p.Delete(ctx, "unknown"); err != nil {
		t.Errorf("Delete: %v; it is no error", err)
	}
	// An id is the name of a folder for some providers.
	for _, id := range []string{"", ".", "..", "../x", "a/b", "/etc", "a\x00b", strings.Repeat("x", 1000)} {
		if err := s.p.Create(ctx, id, s.spec()); err == nil {
			t.Errorf("Create(%.20q): no error", id)
			s.p.Delete(ctx, id)
		}
	}
}

func (s *suite) createAgain(t *testing.T) {
	ctx, id := t.Context(), s.id()
	defer s.p.Delete(context.Background(), id)
	for range 3 {
		if err := s.p.Create(ctx, id, s.spec()); err != nil {
			t.Fatalf("Create: %v", err)
		}
	}
	var b bytes.Buffer
	if err := s.p.Diff(ctx, id, &b); err != nil {
		t.Fatalf("Diff of a machine that never ran: %v", err)
	}
	if changed := s.readLayer(t, b.Bytes()); len(s.surplus(t, changed, &disk{})) > 0 || len(changed) > 0 && !onlyDirs(changed) {
		t.Errorf("a machine that never ran changed %v", changed)
	}
	if err := s.p.Start(ctx, id); err != nil {
		t.Fatalf("Start: %v", err)
	}
}

func onlyDirs(changed []changedFile) bool {
	return !slices.ContainsFunc(changed, func(c changedFile) bool { return c.Kind != "dir" })
}

func (s *suite) states(t *testing.T) {
	ctx, id := t.Context(), s.id()
	defer s.p.Delete(context.Background(), id)
	if err := s.p.Create(ctx, id, s.spec()); err != nil {
		t.Fatal(err)
	}
	exec := func() error {
		_, err := s.p.Exec(ctx, id, machine.Cmd{Args: []string{"true"}})
		return err
	}
	if err := exec(); !errors.Is(err, machine.ErrState) {
		t.Errorf("Exec before Start: %v, want ErrState", err)
	}
	if err := s.p.Stop(ctx, id); err != nil {
		t.Errorf("Stop before Start: %v; it is no error", err)
	}
	if got := s.state(t, id); got != machine.Stopped {
		t.Errorf("List before Start: %q", got)
	}
	for range 3 {
		if err := s.p.Start(ctx, id); err != nil {
			t.Fatalf("Start: %v", err)
		}
		if err := exec(); err != nil {
			t.Errorf("Exec: %v", err)
		}
		if got := s.state(t, id); got != machine.Running {
			t.Errorf("List after Start: %q", got)
		}
		if err := s.p.Start(ctx, id); err != nil && !errors.Is(err, machine.ErrState) {
			t.Errorf("Start of one that runs: %v, want nothing or ErrState", err)
		}
		if err := s.p.Reach(ctx, id, nil); !errors.Is(err, machine.ErrState) {
			t.Errorf("Reach while it runs: %v, want ErrState", err)
		}
		if err := s.p.Diff(ctx, id, io.Discard); !errors.Is(err, machine.ErrState) {
			t.Errorf("Diff while it runs: %v, want ErrState", err)
		}
		for range 2 {
			if err := s.p.Stop(ctx, id); err != nil {
				t.Errorf("Stop: %v", err)
			}
		}
		if err := exec(); !errors.Is(err, machine.ErrState) {
			t.Errorf("Exec after Stop: %v, want ErrState", err)
		}
		if got := s.state(t, id); got != machine.Stopped {
			t.Errorf("List after Stop: %q", got)
		}
		if err := s.p.Diff(ctx, id, io.Discard); err != nil {
			t.Errorf("Diff after Stop: %v", err)
		}
	}
	for range 2 {
		if err := s.p.Delete(ctx, id); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
	if got := s.state(t, id); got != "" {
		t.Errorf("List after Delete has it: %q", got)
	}
	if err := s.p.Start(ctx, id); !errors.Is(err, machine.ErrNotFound) {
		t.Errorf("Start after Delete: %v, want ErrNotFound", err)
	}
}

// state is what List says of a machine; "" if it has it not.
func (s *suite) state(t *testing.T, id string) machine.State {
	t.Helper()
	all, err := s.p.List(t.Context())
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	for _, m := range all {
		if m.ID == id {
			return m.State
		}
	}
	return ""
}

func (s *suite) diskStays(t *testing.T) {
	b := s.box(t, nil)
	b.sh("echo kept > /root/kept; sleep 1000 >/dev/null 2>&1 & echo tmp > /tmp/x")
	n := s.namespace(b)
	b.stop(n)
	if err := s.p.Start(t.Context(), b.id); err != nil {
		t.Fatal(err)
	}
	if got := b.sh("cat /root/kept; ps | grep -c '[s]leep 1000' || true"); got != "kept\n0\n" {
		t.Errorf("after Stop and Start: %q, want the file and no process", got)
	}
}

func (s *suite) deleteRunning(t *testing.T) {
	b := s.box(t, nil)
	n := s.namespace(b)
	done := make(chan result, 1)
	started, w := io.Pipe()
	go func() {
		done <- b.runIn(t.Context(), machine.Cmd{Args: []string{"sh", "-c", "echo up; sleep 1000"}, Stdout: w})
	}()
	if _, err := io.ReadFull(started, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if err := s.p.Delete(t.Context(), b.id); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if r := <-done; r.fault == nil && r.exit.Code == 0 {
		t.Errorf("a program of a deleted machine ended well: %+v", r.exit)
	}
	if left := processes(n); len(left) > 0 {
		t.Errorf("processes after Delete: %v", left)
	}
	if got := s.state(t, b.id); got != "" {
		t.Errorf("List has it: %q", got)
	}
}

func (s *suite) list(t *testing.T) {
	where := folder(t)
	first := s.open(t, where, s.doors.serve)
	ctx, kept, running := t.Context(), s.id(), s.id()
	spec := s.spec()
	spec.Purpose = "build-1"
	for _, id := range []string{kept, running} {
		if err := first.Create(ctx, id, spec); err != nil {
			t.Fatal(err)
		}
		if err := first.Start(ctx, id); err != nil {
			t.Fatal(err)
		}
		b := &box{t: t, p: first, id: id}
		b.sh("echo written > /root/file; sync")
	}
	b := &box{t: t, p: first, id: running}
	n := s.namespace(b)
	if err := first.Stop(ctx, kept); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if left := processes(n); len(left) > 0 {
		t.Errorf("processes after Close: %v", left)
	}
	second := s.open(t, where, s.doors.serve)
	defer second.Close()
	all, err := second.List(ctx)
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	if len(all) != 2 {
		t.Errorf("List: %+v, want two machines", all)
	}
	for _, m := range all {
		if m.State != machine.Stopped || m.Purpose != "build-1" || m.Created.IsZero() || m.Disk <= 0 || m.ID != kept && m.ID != running {
			t.Errorf("List: %+v", m)
		}
		if err := second.Start(ctx, m.ID); err != nil {
			t.Errorf("Start: %v", err)
			continue
		}
		b := &box{t: t, p: second, id: m.ID}
		if got := b.sh("cat /root/file"); got != "written\n" {
			t.Errorf("%s: the file has %q", m.ID, got)
		}
		if err := second.Delete(ctx, m.ID); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
}

func (s *suite) several(t *testing.T) {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			ctx, id := t.Context(), s.id()
			defer func() {
				if err := s.p.Delete(context.Background(), id); err != nil {
					t.Errorf("Delete: %v", err)
				}
			}()
			if err := s.p.Create(ctx, id, s.spec()); err != nil {
				t.Errorf("Create: %v", err)
				return
			}
			if err := s.p.Start(ctx, id); err != nil {
				t.Errorf("Start: %v", err)
				return
			}
			var out bytes.Buffer
			script := fmt.Sprintf("echo %d > /root/n; cat /root/n; ls /root", i)
			exit, err := s.p.Exec(ctx, id, machine.Cmd{Args: []string{"sh", "-c", script}, Stdout: &out})
			if want := fmt.Sprintf("%d\nn\n", i); err != nil || exit.Code != 0 || out.String() != want {
				t.Errorf("machine %d: %+v, %v, %q; want %q", i, exit, err, out.String(), want)
			}
		})
	}
	all.Wait()
}

func (s *suite) oneAtATime(t *testing.T) {
	b := s.box(t, nil)
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			want := fmt.Sprint(i)
			r := b.runIn(t.Context(), machine.Cmd{Args: []string{"sh", "-c", "cat; echo $N >&2; exit $N"}, Stdin: strings.NewReader(want), Env: []string{"N=" + want}})
			if r.fault != nil || r.out != want || r.err != want+"\n" || r.exit.Code != i {
				t.Errorf("program %d: %+v", i, r)
			}
		})
	}
	all.Wait()
	for range 4 { // whoever comes first: nothing breaks
		all.Go(func() {
			if err := s.p.Stop(t.Context(), b.id); err != nil {
				t.Errorf("Stop: %v", err)
			}
		})
		all.Go(func() {
			if err := s.p.Start(t.Context(), b.id); err != nil && !errors.Is(err, machine.ErrState) {
				t.Errorf("Start: %v", err)
			}
		})
	}
	all.Wait()
}

func (s *suite) emptyImage(t *testing.T) {
	ctx, id := t.Context(), s.id()
	defer s.p.Delete(context.Background(), id)
	spec := s.spec()
	spec.Layers = nil
	err := s.p.Create(ctx, id, spec)
	if err == nil {
		if err = s.p.Start(ctx, id); err == nil {
			// The agent brings its own program; there is no other.
			r := (&box{t: t, p: s.p, id: id}).runIn(ctx, machine.Cmd{Args: []string{"true"}})
			if r.fault == nil && r.exit.Code != 127 {
				t.Errorf("a program of an image without programs: %+v", r)
			}
			return
		}
	}
	if !errors.Is(err, machine.ErrBadImage) {
		t.Errorf("an image without layers: %v, want ErrBadImage", err)
	}
}

func (s *suite) startEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	id := s.id()
	defer s.p.Delete(context.Background(), id)
	if err := s.p.Create(ctx, id, s.spec()); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := s.p.Start(ctx, id); err == nil {
		// It had started before it looked; then it is running.
		if got := s.state(t, id); got != machine.Running {
			t.Errorf("Start says nothing and the machine is %q", got)
		}
		return
	}
	// It can be started by another call.
	if err := s.p.Start(t.Context(), id); err != nil {
		t.Errorf("Start after one whose context had ended: %v", err)
	}
}

func (s *suite) waits(t *testing.T) {
	ctx, id := t.Context(), s.id()
	if err := s.p.Wait(ctx, id); !errors.Is(err, machine.ErrNotFound) {
		t.Errorf("Wait for one that is not there: %v, want ErrNotFound", err)
	}
	defer s.p.Delete(context.Background(), id)
	if err := s.p.Create(ctx, id, s.spec()); err != nil {
		t.Fatal(err)
	}
	if err := s.p.Wait(ctx, id); !errors.Is(err, machine.ErrState) {
		t.Errorf("Wait before Start: %v, want ErrState", err)
	}
	for name, end := range map[string]func() error{
		"Stop": func() error { return s.p.Stop(ctx, id) },
		"a program that kills everybody, and the machine": func() error {
			if s.can.Isolation != "namespaces" {
				return s.p.Stop(ctx, id)
			}
			b := &box{t: t, p: s.p, id: id}
			all := processes(s.namespace(b))
			if len(all) == 0 {
				return errors.New("the machine has no processes")
			}
			return syscall.Kill(slices.Min(all), syscall.SIGKILL) // the first
		},
	} {
		if err := s.p.Start(ctx, id); err != nil {
			t.Fatal(err)
		}
		cause := errors.New("enough")
		short, cancel := context.WithCancelCause(ctx)
		cancel(cause)
		if err := s.p.Wait(short, id); !errors.Is(err, cause) {
			t.Errorf("Wait while it runs: %v, want the context's cause", err)
		}
		ended := make(chan error, 2)
		for range 2 {
			go func() { ended <- s.p.Wait(ctx, id) }()
		}
		if err := end(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for range 2 {
			if err := <-ended; err != nil && !errors.Is(err, machine.ErrState) { // it was stopped before Wait looked
				t.Errorf("Wait until %s: %v", name, err)
			}
		}
		if name != "Stop" {
			if err := s.p.Wait(ctx, id); err != nil {
				t.Errorf("Wait for one that ended by itself before: %v", err)
			}
			if got := s.state(t, id); got != machine.Stopped {
				t.Errorf("one that ended by itself is %q", got)
			}
		}
		if err := s.p.Stop(ctx, id); err != nil {
			t.Fatal(err)
		}
		if err := s.p.Wait(ctx, id); !errors.Is(err, machine.ErrState) {
			t.Errorf("Wait after Stop: %v, want ErrState", err)
		}
	}
}

func (s *suite) kept(t *testing.T) {
	where := folder(t)
	first := s.open(t, where, s.doors.serve)
	ctx, id := t.Context(), s.id()
	spec := s.spec()
	spec.Kept, spec.Door, spec.Commands = true, true, []string{tell}
	if err := first.Create(ctx, id, spec); err != nil {
		t.Fatal(err)
	}
	b := &box{t: t, p: first, id: id}
	for i := range 3 {
		if err := first.Start(ctx, id); err != nil {
			t.Fatal(err)
		}
		if got := b.sh("cat /root/log 2>/dev/null || true"); got != strings.Repeat("x\n", i) {
			t.Errorf("start %d: the file has %q", i, got)
		}
		b.sh("echo x >> /root/log; sync; rm -f /etc/layers; mkdir -p /opt/new && echo y > /opt/new/y; sync /opt/new/y")
		if err := first.Stop(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Start(ctx, id); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	second := s.open(t, where, s.doors.serve)
	defer second.Close()
	b.p = second
	if err := second.Start(ctx, id); err != nil {
		t.Fatal(err)
	}
	// It has what it had, after its provider was another.
	if got := b.sh("cat /root/log; tell 1 | head -1; test -S " + agent.DoorPath); got != "x\nx\nx\n0 [\"1\"]\n" {
		t.Errorf("with another provider: %q", got)
	}
	if err := second.Stop(ctx, id); err != nil {
		t.Fatal(err)
	}
	b.p = second
	var out bytes.Buffer
	if err := second.Diff(ctx, id, &out); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range s.readLayer(t, out.Bytes()) {
		names = append(names, c.Path)
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "etc etc/.wh.layers opt opt/new opt/new/y root root/log" {
		t.Errorf("its layer has %s", got)
	}
	if err := second.Delete(ctx, id); err != nil {
		t.Error(err)
	}
}

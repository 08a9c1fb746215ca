package sandbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"souk/artifact/machine"
	"souk/egress/proxy"
)

func BenchmarkLife(b *testing.B) {
	s := open(b, folder(b), nil)
	spec := machine.Spec{Memory: 256 << 20}
	l := busybox(b)
	spec.Layers = append(spec.Layers, l)
	took := map[string]time.Duration{}
	for b.Loop() {
		at := time.Now()
		step := func(name string, err error) {
			if err != nil {
				b.Fatal(name, err)
			}
			took[name] += time.Since(at)
			at = time.Now()
		}
		step("create", s.Create(b.Context(), "m", spec))
		step("start", s.Start(b.Context(), "m"))
		_, err := s.Exec(b.Context(), "m", machine.Cmd{Args: []string{"true"}})
		step("exec", err)
		step("stop", s.Stop(b.Context(), "m"))
		step("diff", s.Diff(b.Context(), "m", io.Discard))
		step("delete", s.Delete(b.Context(), "m"))
	}
	for name, d := range took {
		b.ReportMetric(float64(d.Microseconds())/1000/float64(b.N), name+"-ms")
	}
}

func TestProgramsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	s := open(t, folder(t), nil)
	start(t, s, "m", nil)
	ready, out := io.Pipe()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	why := errors.New("enough")
	go func() {
		b := make([]byte, 1)
		_, _ = io.ReadFull(ready, b)
		cancel(why)
		_, _ = io.Copy(io.Discard, ready)
	}()
	// What it starts has left its session, and is told to outlive it.
	_, err := s.Exec(ctx, "m", machine.Cmd{Args: []string{"sh", "-c", "for i in 1 2 3; do setsid sleep 100 & done; setsid sh -c 'trap : TERM HUP; sleep 100; sleep 100' & echo; sleep 100"}, Stdout: out})
	if !errors.Is(err, why) {
		t.Errorf("got %v, want the context's cause", err)
	}
	left, _ := sh(t, s, "m", "ps")
	if strings.Contains(left, "sleep") {
		t.Errorf("something is left:\n%s", left)
	}
}

func TestBackgroundProgramsAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	s := open(t, folder(t), nil)
	start(t, s, "m", nil)
	out, exit := sh(t, s, "m", "setsid sleep 1000 & echo started; exit 4")
	if out != "started\n" || exit.Code != 4 {
		t.Errorf("got %q, %+v", out, exit)
	}
	out, _ = sh(t, s, "m", "ps")
	if !strings.Contains(out, "sleep 1000") {
		t.Errorf("the daemon is gone:\n%s", out)
	}
	out, exit = sh(t, s, "m", "yes & exit 5") // writes for ever
	if exit.Code != 5 || len(out) < 1 {
		t.Errorf("got %d bytes, %+v", len(out), exit)
	}
}

func TestInputAndOutputAreCarriedWhole(t *testing.T) {
	t.Parallel()
	s := open(t, folder(t), nil)
	start(t, s, "m", nil)
	in := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // 2 MiB
	var out, complaints bytes.Buffer
	exit, err := s.Exec(t.Context(), "m", machine.Cmd{Args: []string{"sh", "-c", "cat; echo done >&2"}, Stdin: bytes.NewReader(in), Stdout: &out, Stderr: &complaints})
	if err != nil || exit.Code != 0 || !bytes.Equal(out.Bytes(), in) || complaints.String() != "done\n" {
		t.Errorf("got %v, %+v, %d bytes of %d, %q", err, exit, out.Len(), len(in), complaints.String())
	}
}

func TestATerminalHasItsSize(t *testing.T) {
	t.Parallel()
	s := open(t, folder(t), nil)
	start(t, s, "m", nil)
	var out bytes.Buffer
	exit, err := s.Exec(t.Context(), "m", machine.Cmd{
		Args: []string{"sh", "-c", "stty size; echo $TERM; test -t 0 && test -t 2 && echo terminal; echo x >/dev/tty"}, Stdout: &out,
		Terminal: &machine.Terminal{Term: "vt100", Size: machine.Size{Rows: 33, Columns: 99}},
	})
	if err != nil || exit.Code != 0 || out.String() != "33 99\r\nvt100\r\nterminal\r\nx\r\n" {
		t.Errorf("got %v, %+v, %q", err, exit, out.String())
	}
}

func TestUsersAreThoseOfTheMachine(t *testing.T) {
	t.Parallel()
	s := open(t, folder(t), nil)
	start(t, s, "m", nil)
	for _, c := range []struct{ user, want string }{
		{"shop", "uid=1000(shop) gid=1000(shop) groups=50(staff),1000(shop)\n"},
		{"1000", "uid=1000(shop) gid=1000(shop) groups=50(staff),1000(shop)\n"},
		{"65534:65533", "uid=65534 gid=65533\n"},
		{"", "uid=0(root) gid=0(root)\n"},
	} {
		var out bytes.Buffer
		_, err := s.Exec(t.Context(), "m", machine.Cmd{Args: []string{"id"}, User: c.user, Stdout: &out, Stderr: &out})
		got := strings.Replace(out.String(), "groups=1000(shop),50(staff)", "groups=50(staff),1000(shop)", 1)
		got = strings.Replace(got, " groups=65533", "", 1)
		got = strings.Replace(got, " groups=0(root)", "", 1)
		if err != nil || got != c.want {
			t.Errorf("user %q: got %v, %q, want %q", c.user, err, got, c.want)
		}
	}
	exit, err := s.Exec(t.Context(), "m", machine.Cmd{Args: []string{"id"}, User: "nobody-here"})
	if err != nil || exit.Code != 126 {
		t.Errorf("a user who is not there: %v, %+v", err, exit)
	}
}

func TestLimitsHold(t *testing.T) {
	t.Parallel()
	s := open(t, folder(t), nil)
	start(t, s, "m", nil)
	out, exit := sh(t, s, "m", "dd if=/dev/zero of=/root/big bs=1M count=100 2>&1; echo; df -m / | tail -1")
	if !strings.Contains(out, "No space left on device") {
		t.Errorf("the disk took more than it has: %s", out)
	}
	_, _ = sh(t, s, "m", "rm /root/big")
	out, exit = sh(t, s, "m", "head -c 400000000 /dev/zero | tail -c 300000000 >/dev/null; true")
	if !exit.OutOfMemory {
		t.Errorf("the memory was not limited: %q, %+v", out, exit)
	}
	out, _ = sh(t, s, "m", "i=0; while [ $i -lt 200 ]; do sleep 5 & i=$((i+1)); done; true")
	if !strings.Contains(out, "can't fork") {
		t.Errorf("the processes were not limited: %q", out)
	}
	out, exit = sh(t, s, "m", "echo alive")
	if out != "alive\n" {
		t.Errorf("the machine does not live on: %q, %+v", out, exit)
	}
}

func TestWhatAMachineMustNotDo(t *testing.T) {
	t.Parallel()
	s := open(t, folder(t), nil)
	start(t, s, "m", nil)
	for _, script := range []string{
		"mount -t tmpfs none /root", "mknod /root/n c 1 3", "unshare -U true", "unshare -m true", "echo 1 >/proc/sys/kernel/panic",
		"echo x >/dev/full", "hostname other", "cat /proc/1/environ", "kill -9 1; sleep 0; kill -9 1 && test ! -d /proc/1",
		"grep -q . /proc/kcore", "ifconfig eth0", "cat /proc/1/mem", "ls -l /proc/1/exe | grep -q memfd",
	} {
		out, exit := sh(t, s, "m", script)
		if exit.Code == 0 {
			t.Errorf("%s: it works: %s", script, out)
		}
	}
	out, _ := sh(t, s, "m", "cat /proc/self/status; cat /proc/net/dev; cat /proc/self/cgroup; cat /proc/mounts; ls -la / /dev /run; env")
	for _, want := range []string{"NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t00000000800405fb", "CapBnd:\t00000000800405fb"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is not so:\n%s", want, out)
		}
	}
	if os.Getenv("SHOW") != "" {
		t.Log(out)
	}
}

func TestTheProxyIsReachedAndNothingElse(t *testing.T) {
	t.Parallel()
	s := open(t, folder(t), func(c *Config) { c.Proxy = proxy.New(proxy.Config{}) })
	start(t, s, "m", func(spec *machine.Spec) { spec.Egress = []string{"example.com:80"} })
	out, exit := sh(t, s, "m", "wget -O - http://elsewhere.example/ 2>&1; env | grep -ci ^http_proxy=http://127.0.0.1:3128")
	if exit.Code != 0 || !strings.Contains(out, "403 Forbidden") || !strings.HasSuffix(out, "\n2\n") {
		t.Errorf("got %q, %+v", out, exit)
	}
}

// TestWhatAMachineMayReachIsSaidAnew: what is said holds from its next start on.
func TestWhatAMachineMayReachIsSaidAnew(t *testing.T) {
	t.Parallel()
	s := open(t, folder(t), func(c *Config) { c.Proxy = proxy.New(proxy.Config{}) })
	start(t, s, "m", func(spec *machine.Spec) { spec.Kept = true })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	again := func(places ...string) {
		t.Helper()
		must(s.Stop(t.Context(), "m"))
		must(s.Reach(t.Context(), "m", places))
		must(s.Start(t.Context(), "m"))
	}
	reaches := func(what string) {
		t.Helper()
		out, _ := sh(t, s, "m", "wget -O - http://198.51.100.1/ 2>&1")
		if !strings.Contains(out, what) {
			t.Errorf("got %q, want %q", out, what)
		}
	}
	reaches("unreachable") // no network
	again("example.com")
	reaches("403 Forbidden")
	must(s.Stop(t.Context(), "m"))
	if err := s.Reach(t.Context(), "m", []string{"no place"}); !errors.Is(err, proxy.ErrBadPlace) {
		t.Errorf("what is no place: %v", err)
	}
	again()
	reaches("unreachable")
}

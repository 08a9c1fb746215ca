package sandbox

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"souk/artifact/layer"
	"souk/artifact/machine"
	"souk/artifact/machine/machinetest"
)

// victimFolder names the folder of a process that makes machines and is killed.
const victimFolder = "SOUK_TEST_VICTIM"

// victim makes machines, tells of the first process of one, and waits to be killed.
func victim(t *testing.T, dir string) {
	s := open(t, dir, nil)
	start(t, s, "m", nil)
	sh(t, s, "m", "setsid sleep 1000 & echo kept >/root/file")
	err := os.MkdirAll(filepath.Join(dir, "machines", machinesFolder, "half", "disk"), 0o700)
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("pid " + strconv.Itoa(s.boxes["m"].running.first.Pid) + "\n")
	select {}
}

func TestNothingOutlivesAServerThatIsKilled(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(victimFolder); dir != "" {
		victim(t, dir)
	}
	dir := folder(t)
	c := exec.Command("/proc/self/exe", "-test.run=^TestNothingOutlivesAServerThatIsKilled$")
	c.Env = append(os.Environ(), victimFolder+"="+dir)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	text, b := "", make([]byte, 200)
	for !strings.Contains(text, "\n") {
		n, err := out.Read(b)
		if err != nil {
			t.Fatalf("the process ended: %q, %v", text, err)
		}
		text += string(b[:n])
	}
	first, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(text, "pid ")))
	if err != nil {
		t.Fatal(text)
	}
	name, err := process(first)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Process.Signal(syscall.SIGKILL)
	_ = c.Wait()

	s := open(t, dir, nil)
	stat, _ := os.ReadFile("/proc/" + strconv.Itoa(first) + "/stat")
	if now, err := process(first); err == nil && now == name && !strings.Contains(string(stat), ") Z ") { // init may take its time
		t.Errorf("the machine's first process still runs: %s", stat)
	}
	for _, d := range s.cgroups.folders() {
		below, err := os.ReadDir(d)
		for _, e := range below {
			if err == nil && e.IsDir() {
				t.Errorf("a group is left: %s/%s", d, e.Name())
			}
		}
	}
	if left := loops(filepath.Join(dir, "machines")); len(left) > 0 {
		t.Errorf("loop devices are left: %v", left)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), dir) {
		t.Errorf("mounts are left, or can't be read: %v", err)
	}
	_, err = os.Stat(filepath.Join(dir, "machines", machinesFolder, "half"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that was half made is left: %v", err)
	}
	all, err := s.List(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != "m" || all[0].State != machine.Stopped {
		t.Fatalf("got %+v, %v", all, err)
	}
	err = s.Start(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := sh(t, s, "m", "cat /root/file; ps | grep -c slee[p]"); got != "kept\n0\n" {
		t.Errorf("the machine has %q", got)
	}
}

func TestAFolderIsUsedByOneProcess(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := open(t, dir, nil)
	cache, err := layer.New(layer.Config{Root: filepath.Join(dir, "other")})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	_, err = New(Config{Root: s.config.Root, Cache: cache})
	if err == nil {
		t.Error("another was opened")
	}
}

func TestAnOrdinaryUserHasMachines(t *testing.T) {
	t.Parallel()
	machinetest.AsOrdinary(t, ordinary)
}

// ordinary is the test as an ordinary user.
func ordinary(t *testing.T) {
	if noNamespaces() != nil {
		return // see TestSandboxOfAnOrdinaryUserIsAProviderThatHolds
	}
	s := open(t, folder(t), nil)
	holds, err := s.Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !holds.Rootless || holds.FullUIDs || holds.Disk || !holds.Pids || !holds.Seccomp || len(holds.Missing) == 0 {
		t.Errorf("got %+v", holds)
	}
	start(t, s, "m", nil)
	if out, exit := sh(t, s, "m", "id -u; touch /root/x /bin/y; rm /bin/echo; ls /bin/y; mount -t tmpfs x /root 2>/dev/null || unshare -U true 2>/dev/null || exit 7"); exit.Code != 7 || !strings.Contains(out, "0\n/bin/y\n") {
		t.Errorf("got %q, %+v", out, exit)
	}
	if out, _ := sh(t, s, "m", "i=0; while [ $i -lt 200 ]; do sleep 5 & i=$((i+1)); done; true"); !strings.Contains(out, "can't fork") {
		t.Errorf("the processes were not limited: %q", out)
	}
	err = errors.Join(s.Stop(t.Context(), "m"), s.Start(t.Context(), "m"))
	if err != nil {
		t.Fatal(err)
	}
	if out, _ := sh(t, s, "m", "ls /root"); out != "x\n" {
		t.Errorf("the disk was not kept: %q", out)
	}
}

// TestADiskThatWasHalfPreparedIsPreparedAnew: a process that was killed while it made
// the folders of a disk has left some without their owner and mode.
func TestADiskThatWasHalfPreparedIsPreparedAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	half := filepath.Join(dir, diskFolder, upperName+".new")
	if err := errors.Join(os.MkdirAll(half, 0o700), os.WriteFile(filepath.Join(half, "left"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	owner := os.Geteuid()
	if owner == 0 {
		owner = 4242
	}
	if err := freshen(dir, owner, os.RemoveAll); err != nil {
		t.Fatal(err)
	}
	upper := filepath.Join(dir, diskFolder, upperName)
	var st syscall.Stat_t
	if err := syscall.Stat(upper, &st); err != nil || int(st.Uid) != owner || st.Mode&0o777 != 0o755 {
		t.Errorf("the root of the machine is user %d's with mode %o, %v; want %d and 755", st.Uid, st.Mode&0o777, err, owner)
	}
	if all, err := os.ReadDir(upper); err != nil || len(all) > 0 {
		t.Errorf("in the root of the machine there is %v, %v", all, err)
	}
	// What the machine made of its root stays.
	if err := errors.Join(os.Chmod(upper, 0o700), freshen(dir, owner, os.RemoveAll)); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Stat(upper, &st); err != nil || st.Mode&0o777 != 0o700 {
		t.Errorf("the root of the machine had the mode 700 and has %o, %v", st.Mode&0o777, err)
	}
}

package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// file makes a file with all folders above it.
func file(t *testing.T, path, content string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(content), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestLimitsOfVersion1AreWrittenToEachHierarchy(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	for _, d := range []string{"memory/docker/x", "pids", "cpu,cpuacct/docker/x"} {
		err := os.MkdirAll(filepath.Join(dir, d), 0o755)
		if err != nil {
			t.Fatal(err)
		}
	}
	mounts := "24 18 0:21 / " + dir + "/memory rw - cgroup cgroup rw,memory\n" +
		"25 18 0:22 / " + dir + "/pids rw,nosuid shared:3 - cgroup cgroup rw,pids\n" +
		"26 18 0:23 / " + dir + "/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" +
		"27 18 0:24 / /dev rw - tmpfs tmpfs rw\n"
	// The pids hierarchy is seen from another namespace: that folder is not there.
	h := findHierarchies([]byte(mounts), []byte("4:memory:/docker/x\n8:pids:/elsewhere\n1:cpu,cpuacct:/docker/x\n0::/\n"), "souk-test")
	h.open()
	g := &group{of: h, id: "m"}
	want := map[string]string{
		"memory/docker/x/souk-test/m/memory.limit_in_bytes":       "67108864",
		"pids/souk-test/m/pids.max":                               "100",
		"cpu,cpuacct/docker/x/souk-test/m/cpu.cfs_period_us":      "100000",
		"cpu,cpuacct/docker/x/souk-test/m/cpu.cfs_quota_us":       "150000",
		"memory/docker/x/souk-test/m/memory.memsw.limit_in_bytes": "67108864",
	}
	err := g.make(limits{memory: 64 << 20, pids: 100, cpu: 1500})
	if err == nil {
		err = g.take(4711) // there is no group for it
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range want {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != content {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, content)
		}
	}
	file(t, filepath.Join(dir, "memory/docker/x/souk-test/m/memory.oom_control"), "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
	if got := g.killed(); got != 3 {
		t.Errorf("%d were killed, want 3", got)
	}
}

func TestLimitsOfVersion2AreWrittenToOneHierarchy(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	slice := filepath.Join(dir, "system.slice")
	err := os.MkdirAll(filepath.Join(slice, "souk.service"), 0o755)
	if err != nil {
		t.Fatal(err)
	}
	h := findHierarchies([]byte("24 18 0:21 / "+dir+" rw - cgroup2 cgroup2 rw,nsdelegate\n"), []byte("0::/system.slice/souk.service\n"), "souk-test")
	if h.unified != slice {
		t.Fatalf("groups are made below %q, want %q: our own group has processes", h.unified, slice)
	}
	h.controllers["memory"], h.controllers["pids"], h.controllers["cpu"] = h.unified, h.unified, h.unified
	if !h.unifies() {
		t.Error("version 2 does not limit machines")
	}
	g := &group{of: h, id: "m"}
	err = g.make(limits{memory: 64 << 20, pids: 100, cpu: 500})
	if err == nil {
		err = g.take(4711)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(slice, "souk-test", "m.agent", "cgroup.procs")); err != nil || string(got) != "4711" {
		t.Errorf("the agent's group has %q, %v", got, err)
	}
	for name, content := range map[string]string{
		"memory.max": "67108864", "memory.swap.max": "0", "pids.max": "100", "cpu.max": "50000 100000",
	} {
		got, err := os.ReadFile(filepath.Join(slice, "souk-test", "m", name))
		if err != nil || string(got) != content {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, content)
		}
	}
	file(t, filepath.Join(slice, "souk-test/m/memory.events"), "low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\n")
	if got := g.killed(); got != 1 {
		t.Errorf("%d were killed, want 1", got)
	}
	threads, err := g.threads()
	if err != nil || len(threads) != 0 {
		t.Errorf("version 2 has %d lists of threads, %v", len(threads), err)
	}
}

func TestAHostWithoutControlGroupsHoldsNoLimits(t *testing.T) {
	t.Parallel()
	h := findHierarchies([]byte("27 18 0:24 / /dev rw - tmpfs tmpfs rw\nnonsense\n"), []byte("x\n0::/\n"), "souk-test")
	h.open()
	g := &group{of: h, id: "m"}
	err := g.make(limits{memory: 1, pids: 1, cpu: 1})
	if err != nil || h.holds("memory") || len(g.folders()) != 0 || g.killed() != 0 {
		t.Errorf("got %v, %v", err, strings.Join(g.folders(), " "))
	}
}

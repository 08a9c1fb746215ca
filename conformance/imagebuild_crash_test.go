package conformance

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"souk/artifact/installer/installertest"
	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// TestImageBuildsOutliveKills kills the server (kill -9) again and again while
// builds run. After each kill souk doctor finds nothing; in the end each build
// has ended, each that has succeeded has made its image and no build another, and
// nothing is left of any machine: no folder, no mount, no process, no cgroup.
func TestImageBuildsOutliveKills(t *testing.T) {
	t.Parallel()
	kills := howMany(killsFlag, 6, 200)
	server := souktest.Start(t, souktest.Options{Flags: []string{"--build-workers", "3", "--build-memory", "67108864", "--build-disk", "33554432"}})
	account := server.Account(t, "image builds", "tools")
	s := account.Seller(server)
	base := imported(t, s, "base", "--public")
	_, options := newBuilder(t, server, s).listInstallers("Busybox 1", map[string]string{
		"tool": installertest.Document("build", "for i in 1 2 3 4 5 6 7 8; do echo $i >>/opt/count; sleep 0.1; done", "test", "test -s /opt/count"),
	})
	random := rand.New(rand.NewPCG(11, 11))
	var ids []string
	for n := range kills {
		for range 2 {
			id, err := souk(t, s, "build", "start", "--option", options["tool"], "--source", base, "--name", "build "+strconv.Itoa(len(ids)))
			if err != nil {
				t.Fatalf("starting a build after %d kills: %v: %s", n, err, id)
			}
			ids = append(ids, strings.TrimSpace(id))
		}
		select {
		case <-time.After(time.Duration(random.IntN(2500)) * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
		must(t, server.Kill())
		if out, err := server.Command("doctor"); err != nil {
			t.Fatalf("souk doctor after kill %d: %v\n%s", n+1, err, out)
		}
		if err := server.Run(); err != nil {
			t.Fatalf("starting souk after kill %d: %v", n+1, err)
		}
		s = account.Seller(server)
	}
	ends := map[string]int{}
	made := map[string]string{} // build by AMI
	for _, id := range ids {
		b := buildEnded(t, s, id)
		ends[b.Status]++
		switch b.Status {
		case "Succeeded":
			made[b.DestinationImage.Id] = id
		case "InternalError": // it was cut short more often than is tried
		default:
			t.Errorf("build %s ended as %s: %+v", id, b.Status, b.ErrorDetail)
		}
	}
	if ends["Succeeded"] == 0 {
		t.Errorf("no build has succeeded: %v", ends)
	}
	list, err := souk(t, s, "image", "list")
	must(t, err)
	for line := range strings.Lines(list) {
		fields := strings.Split(line, "\t")
		if len(fields) < 2 || fields[1] == "base" {
			continue
		}
		if made[fields[0]] == "" {
			t.Errorf("an image that no build has made: %s", line)
		}
		delete(made, fields[0])
	}
	for ami, id := range made {
		t.Errorf("build %s has made %s, which is not there", id, ami)
	}
	// What is scanned behind the end of a build may still be under way.
	must(t, server.Stop())
	if out, err := server.Command("doctor"); err != nil {
		t.Errorf("souk doctor in the end: %v\n%s", err, out)
	}
	nothingLeft(t, server.Dir)
	t.Logf("%d kills, %d builds: %v", kills, len(ids), ends)
}

// buildEnded waits for the end of a build.
func buildEnded(t *testing.T, s *seller.Seller, id string) built {
	t.Helper()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(5 * time.Minute); ; {
		var page struct{ Builds []built }
		text := sendBuild(t, s, "DescribeBuilds", `{"BuildIds":["`+id+`"]}`)
		must(t, json.Unmarshal([]byte(text), &page))
		if len(page.Builds) != 1 {
			t.Fatalf("build %s: %s", id, text)
		}
		if page.Builds[0].Status != "InProgress" {
			return page.Builds[0]
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("build %s does not end: %s", id, text)
		}
	}
}

// nothingLeft wants no trace of machines that were made below a data folder.
func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	for _, folder := range []string{filepath.Join(dir, "installing"), filepath.Join(dir, "compute", "machines", "machines")} {
		left, err := os.ReadDir(folder)
		if err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
		for _, e := range left {
			t.Errorf("%s is left in %s", e.Name(), folder)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, dir) {
			t.Errorf("a mount is left: %s", line)
		}
	}
	loops, err := exec.Command("losetup", "--list", "--noheadings", "--output", "BACK-FILE").CombinedOutput()
	if err != nil {
		t.Errorf("losetup: %v: %s", err, loops)
	}
	for line := range strings.Lines(string(loops)) {
		if strings.Contains(line, dir) {
			t.Errorf("a loop device is left: %s", line)
		}
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	must(t, err)
	for _, p := range processes {
		root, err := os.Readlink(filepath.Join(p, "cwd"))
		if err == nil && strings.HasPrefix(root, dir) {
			t.Errorf("a process is left: %s in %s", p, root)
		}
	}
}

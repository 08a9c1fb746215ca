package conformance

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"souk/artifact/installer/installertest"
	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// TestImageBuildsOutliveKills kills the server (kill -9) again and again while
// builds run, on both databases. After each kill souk doctor finds nothing, and no
// process, mount or loop device of a machine is left; in the end each build has
// ended, each that has succeeded has made its image and no build another, and
// nothing is left of any machine: no folder and no control group either.
func TestImageBuildsOutliveKills(t *testing.T) {
	t.Parallel()
	kills := howMany(killsFlag, 3, 100) // on each of the two databases
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		killBuilds(t, o, kills)
	})
}

// restEvery is after how many kills the server is stopped as it should be.
const restEvery = 10

func killBuilds(t *testing.T, o souktest.Options, kills int) {
	o.Flags = append(o.Flags, "--build-workers", "3", "--build-memory", "67108864", "--build-disk", "33554432")
	o, left := watched(t, o)
	server := souktest.Start(t, o)
	account := server.Account(t, "image builds", "tools")
	s := account.Seller(server)
	base := imported(t, s, "base", "--public")
	options := listInstallers(t, s, map[string]string{
		"tool": installertest.Document("build", "for i in 1 2 3 4 5; do echo $i >>/opt/count; sleep 0.1; done", "test", "test -s /opt/count"),
	})
	seed := uint64(11)
	if soak() {
		seed = uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
	}
	random := rand.New(rand.NewPCG(seed, seed))
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
		case <-time.After(time.Duration(random.IntN(2000)) * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
		left.ended(t, left.kill(t, server))
		if out, err := server.Command("doctor"); err != nil {
			t.Fatalf("souk doctor after kill %d: %v\n%s", n+1, err, out)
		}
		must(t, server.Run())
		if n%restEvery == restEvery-1 {
			must(t, server.Stop())
			left.nothing(t)
			must(t, server.Run())
		}
		s = account.Seller(server)
	}
	ends := map[string]int{}
	made := map[string]string{} // build by AMI
	free := ""                  // a name that a build which was given up has held
	for _, id := range ids {
		b := buildEnded(t, s, id)
		ends[b.Status]++
		switch b.Status {
		case "Succeeded":
			made[b.DestinationImage.Id] = id
		case "InternalError": // it was cut short more often than is tried
			if b.ErrorDetail == nil || !strings.Contains(b.ErrorDetail.Message, "never came to its end") || b.DestinationImage.Id != "" {
				t.Errorf("build %s was given up as %+v, %+v", id, b, b.ErrorDetail)
			}
			free = b.DestinationImage.Name
		default:
			t.Errorf("build %s ended as %s: %+v", id, b.Status, b.ErrorDetail)
		}
	}
	if ends["Succeeded"] == 0 {
		t.Errorf("no build has succeeded: %v", ends)
	}
	if free != "" {
		id := startBuild(t, s, options["tool"], base, free)
		b := buildEnded(t, s, id)
		if b.Status != "Succeeded" {
			t.Errorf("once more, %q ended as %+v, %+v", free, b, b.ErrorDetail)
		}
		made[b.DestinationImage.Id] = id
	}
	list, err := souk(t, s, "image", "list")
	must(t, err)
	for line := range strings.Lines(list) {
		fields := strings.Split(line, "\t")
		if len(fields) < 2 || fields[1] == "base" {
			continue
		}
		if made[fields[0]] == "" {
			t.Errorf("an image that no build has made, or a build's second one: %s", line)
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
	left.nothing(t)
	if left.most == 0 || len(left.groups) == 0 && kills > 50 {
		t.Errorf("%d processes and the control groups %v were seen: the kills hit no machine", left.most, left.groups)
	}
	t.Logf("%d kills, %d builds: %v; at most %d processes were there, in %v", kills, len(ids), ends, left.most, slices.Collect(maps.Keys(left.groups)))
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

package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// TestImageBuildersOutliveKills kills the server (kill -9) again and again while
// image builders are made, used, stopped, started, made images of and deleted, on
// both databases. After each kill souk doctor finds nothing, and no process, mount
// or loop device of a machine is left. In the end every builder that was answered
// for is there with what was written in it, every image is whole or has failed with
// a reason, and when all are deleted nothing is left of any machine.
func TestImageBuildersOutliveKills(t *testing.T) {
	t.Parallel()
	kills := howMany(killsFlag, 3, 50) // on each of the two databases
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		killBuilders(t, o, kills)
	})
}

// studioUnderFire is an account's client while its server is killed: what the
// server has answered is remembered.
type studioUnderFire struct {
	apps   *apps
	random *rand.Rand

	mu      sync.Mutex
	there   map[string]bool // guarded by mu: builders that were answered for
	going   map[string]bool // guarded by mu: those whose deletion was asked for
	marked  map[string]bool // guarded by mu: those in which a file was written and synced
	images  map[string]bool // guarded by mu: those that create-image answered for
	refused map[string]int  // guarded by mu: what was refused, by code
}

func killBuilders(t *testing.T, o souktest.Options, kills int) {
	o.Flags = append(o.Flags, "--image-builder-disk", "67108864")
	o, left := watched(t, o)
	server := souktest.Start(t, o)
	importBase(t, server, false)
	account := server.Account(t, "under fire", "")
	seed := uint64(17)
	if soak() {
		seed = uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
	}
	f := &studioUnderFire{
		random: rand.New(rand.NewPCG(seed, seed)),
		there:  map[string]bool{}, going: map[string]bool{}, marked: map[string]bool{}, images: map[string]bool{}, refused: map[string]int{},
	}
	connect := func() {
		s := account.Seller(server)
		f.apps = &apps{studios["JSON 1.1"](t, s, "us-east-1"), t, s}
	}
	connect()
	for n := range kills {
		ctx, stop := context.WithCancel(t.Context())
		var working sync.WaitGroup
		for worker := range 2 {
			seed := f.random.Uint64()
			working.Go(func() { f.work(ctx, fmt.Sprintf("b-%d-%d", n, worker), rand.New(rand.NewPCG(seed, seed))) })
		}
		select {
		case <-time.After(time.Duration(f.random.IntN(2500)) * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
		had := left.kill(t, server)
		stop()
		working.Wait()
		left.ended(t, had)
		if out, err := server.Command("doctor"); err != nil {
			t.Fatalf("souk doctor after kill %d: %v\n%s", n+1, err, out)
		}
		must(t, server.Run())
		connect()
		f.look(t)
	}
	f.settle(t)
	f.finish(t)
	must(t, server.Stop())
	if out, err := server.Command("doctor"); err != nil {
		t.Errorf("souk doctor in the end: %v\n%s", err, out)
	}
	left.nothing(t)
	if left.most == 0 {
		t.Errorf("the kills hit no machine")
	}
	t.Logf("%d kills, %d builders, %d images; refused on the way: %v", kills, len(f.there)+len(f.going), len(f.images), f.refused)
}

// try sends an operation that the server may be killed in.
func (f *studioUnderFire) try(ctx context.Context, operation, input string) bool {
	w := f.apps.studio.(*wireStudio)
	r, err := w.request(ctx, operation, input)
	if err != nil {
		return false
	}
	answer, err := w.s.Send(r)
	if err != nil {
		return false // the server is gone: nobody knows
	}
	if answer.Status == 200 {
		return true
	}
	var said struct {
		Type string `json:"__type"`
	}
	_ = json.Unmarshal([]byte(answer.Body), &said)
	f.mu.Lock()
	f.refused[said.Type]++
	f.mu.Unlock()
	return false
}

// work uses one builder of its own and an older one until the server is killed.
func (f *studioUnderFire) work(ctx context.Context, name string, random *rand.Rand) {
	if f.try(ctx, "CreateImageBuilder", in("Name", name, "InstanceType", "stream.standard.small", "ImageName", baseImage)) {
		f.note(f.there, name)
	}
	for ctx.Err() == nil {
		state := f.state(ctx, name)
		switch {
		case state == "RUNNING":
			f.use(ctx, name, random)
		case state == "STOPPED":
			f.try(ctx, "StartImageBuilder", in("Name", name))
		case state == "":
			return // the server is gone
		case state == "gone":
			older := f.any(random)
			if older == "" {
				return
			}
			name = older
		default:
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
}

// use does something in a builder that runs.
func (f *studioUnderFire) use(ctx context.Context, name string, random *rand.Rand) {
	switch random.IntN(6) {
	case 0, 1:
		if soukContext(ctx, f.apps.s, "exec", name, "--", "sh", "-c", "echo "+name+" >/opt/mark && sync") == nil {
			f.note(f.marked, name)
		}
	case 2:
		f.try(ctx, "StopImageBuilder", in("Name", name))
	case 3:
		image := fmt.Sprintf("i-%s-%d", name, random.IntN(1000))
		if soukContext(ctx, f.apps.s, "exec", name, "--", "image-assistant", "create-image", "--name", image) == nil {
			f.note(f.images, image)
		}
	case 4:
		f.mu.Lock()
		f.going[name] = true // from here on it may be gone
		f.mu.Unlock()
		f.try(ctx, "DeleteImageBuilder", in("Name", name))
	case 5:
		_ = soukContext(ctx, f.apps.s, "exec", name, "--", "reboot")
	}
}

func (f *studioUnderFire) note(in map[string]bool, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	in[name] = true
}

// any is one of the builders that should be there.
func (f *studioUnderFire) any(random *rand.Rand) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	names := slices.Sorted(maps.Keys(f.there))
	names = slices.DeleteFunc(names, func(n string) bool { return f.going[n] })
	if len(names) == 0 {
		return ""
	}
	return names[random.IntN(len(names))]
}

// state is that of a builder; "gone" if it is none, "" if nobody answers.
func (f *studioUnderFire) state(ctx context.Context, name string) string {
	w := f.apps.studio.(*wireStudio)
	r, err := w.request(ctx, "DescribeImageBuilders", in("Names", []string{name}))
	if err != nil {
		return ""
	}
	answer, err := w.s.Send(r)
	if err != nil {
		return ""
	}
	var page struct{ ImageBuilders []imageBuilder }
	_ = json.Unmarshal([]byte(answer.Body), &page)
	if len(page.ImageBuilders) == 0 {
		return "gone"
	}
	return page.ImageBuilders[0].State
}

// all are the builders that are there.
func (f *studioUnderFire) all(t *testing.T) map[string]imageBuilder {
	t.Helper()
	all := map[string]imageBuilder{}
	for token := ""; ; {
		input := in()
		if token != "" {
			input = in("NextToken", token)
		}
		var page struct {
			ImageBuilders []imageBuilder
			NextToken     string
		}
		f.apps.ask("DescribeImageBuilders", input, &page)
		for _, b := range page.ImageBuilders {
			all[b.Name] = b
		}
		if token = page.NextToken; token == "" {
			return all
		}
	}
}

// look wants every builder that was answered for, in a state that it may have
// after a restart.
func (f *studioUnderFire) look(t *testing.T) {
	t.Helper()
	all := f.all(t)
	for name := range f.there {
		b, ok := all[name]
		if !ok && !f.going[name] {
			t.Errorf("image builder %s was answered for and is lost", name)
		}
		if ok && b.State == "FAILED" {
			t.Errorf("image builder %s has failed: %+v", name, b.StateChangeReason)
		}
	}
}

// settle waits until nothing is under way any more.
func (f *studioUnderFire) settle(t *testing.T) {
	t.Helper()
	until(t, "all builders at rest", func() bool {
		for _, b := range f.all(t) {
			if !slices.Contains([]string{"RUNNING", "STOPPED", "FAILED"}, b.State) {
				return false
			}
		}
		return true
	})
	f.look(t)
}

// finish looks into every builder and every image, and deletes all.
func (f *studioUnderFire) finish(t *testing.T) {
	t.Helper()
	a := f.apps
	for name, b := range f.all(t) {
		if b.State == "STOPPED" && f.marked[name] {
			a.ask("StartImageBuilder", in("Name", name), nil)
			a.reaches(name, "RUNNING", "PENDING", "UPDATING_AGENT")
			if got := a.souk("exec", name, "--", "cat", "/opt/mark"); got != name {
				t.Errorf("in %s the file that was synced is %q", name, got)
			}
		}
		a.ask("DeleteImageBuilder", in("Name", name), nil)
		a.gone(name)
	}
	tried := false
	for name := range f.images {
		var i appImage
		until(t, name+" at rest", func() bool {
			text, err := a.do(t, "DescribeImages", in("Names", []string{name}))
			var said *refusal
			if errors.As(err, &said) {
				t.Fatalf("image %s was answered for and is lost: %v", name, err)
			}
			var page struct{ Images []appImage }
			must(t, json.Unmarshal([]byte(text), &page))
			i = page.Images[0]
			return i.State == "AVAILABLE" || i.State == "FAILED"
		})
		if i.State == "FAILED" && (i.StateChangeReason == nil || i.StateChangeReason.Message == "") {
			t.Errorf("image %s has failed without a reason: %+v", name, i)
		}
		if i.State == "AVAILABLE" && !tried {
			tried = true
			a.ask("CreateImageBuilder", in("Name", "of-image", "InstanceType", "stream.standard.small", "ImageName", name), nil)
			a.reaches("of-image", "RUNNING", "PENDING")
			a.souk("exec", "of-image", "--", "true")
			a.ask("DeleteImageBuilder", in("Name", "of-image"), nil)
			a.gone("of-image")
		}
		a.ask("DeleteImage", in("Name", name), nil)
	}
	if strings.Contains(fmt.Sprint(f.all(t)), "State") {
		t.Errorf("left: %v", f.all(t))
	}
}

// importBase makes the public base image of a market.
func importBase(t *testing.T, server *souktest.Server, debian bool) (isDebian bool) {
	t.Helper()
	file := baseFile(t, debian)
	out, err := souk(t, server.Root(t), "image", "import", file, "--name", baseImage, "--arch", "x86_64", "--public", "--appstream", "public")
	if err != nil {
		t.Fatalf("souk image import --appstream public: %v: %s", err, out)
	}
	return strings.HasSuffix(file, debianBase)
}

// soukContext runs a command of souk that may be cut short.
func soukContext(ctx context.Context, s *seller.Seller, args ...string) error {
	binary, err := souktest.Binary("")
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, binary, args...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "AWS_ENDPOINT_URL=" + s.URL, "AWS_ACCESS_KEY_ID=" + s.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + s.SecretAccessKey}
	return command.Run()
}

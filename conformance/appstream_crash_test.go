package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// TestImageBuildersOutliveKills kills the server (kill -9) again and again while
// image builders are made, used, stopped, started, made images of and deleted, and
// images imported, copied, exported and deleted, on both databases. After each kill
// souk doctor finds nothing, and no process, mount or loop device of a machine is
// left. In the end every builder that was answered for is there with what was
// written in it, every image is whole or has failed with a reason, whatever was under
// way has happened once, and when all is deleted and swept nothing is left of any
// machine and any image.
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
	role   string // by which AMIs are read and written
	ami    string // what is imported

	mu      sync.Mutex
	there   map[string]bool   // guarded by mu: builders that were answered for
	going   map[string]bool   // guarded by mu: builders and images whose deletion was asked for
	marked  map[string]bool   // guarded by mu: builders in which a file was written and synced
	asked   map[string]bool   // guarded by mu: names of images that were asked for
	images  map[string]bool   // guarded by mu: those that were answered for
	of      map[string]string // guarded by mu: by image, the marked builder that it was made of
	exports map[string]bool   // guarded by mu: export tasks that were answered for
	refused map[string]int    // guarded by mu: what was refused, by code
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
		there:  map[string]bool{}, going: map[string]bool{}, marked: map[string]bool{},
		asked: map[string]bool{}, images: map[string]bool{}, of: map[string]string{}, exports: map[string]bool{}, refused: map[string]int{},
	}
	connect := func() {
		s := account.Seller(server)
		f.apps = &apps{studios["JSON 1.1"](t, s, "us-east-1"), t, s}
	}
	connect()
	f.role, f.ami = pipelineRole(t, f.apps.s, account.ID), imported(t, f.apps.s, "goods")
	before := swept(t, server)
	for n := range kills {
		ctx, stop := context.WithCancel(t.Context())
		var working sync.WaitGroup
		for worker := range 2 {
			seed := f.random.Uint64()
			working.Go(func() { f.work(ctx, fmt.Sprintf("b-%d-%d", n, worker), rand.New(rand.NewPCG(seed, seed))) })
		}
		seed := f.random.Uint64()
		working.Go(func() { f.keep(ctx, fmt.Sprintf("m-%d", n), rand.New(rand.NewPCG(seed, seed))) })
		select {
		case <-time.After(time.Duration(f.random.IntN(2500)) * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
		if n == kills-1 && left.most == 0 { // slow hosts have none so early
			until(t, "a machine to hit", func() bool { return len(left.started(t, server.PID())) > 0 })
		}
		had := left.kill(t, server)
		stop()
		working.Wait()
		left.ended(t, had)
		if out, err := server.Command("doctor"); err != nil {
			t.Fatalf("souk doctor after kill %d: %v\n%s", n+1, err, out)
		}
		must(t, server.Run())
		if n%restEvery == restEvery-1 {
			must(t, server.Stop())
			left.ended(t, nil)
			must(t, server.Run())
		}
		connect()
		f.look(t)
		if t.Failed() {
			t.FailNow()
		}
	}
	f.settle(t)
	f.once(t)
	f.finish(t)
	f.clear(t)
	must(t, server.Stop())
	left.nothing(t)
	if left.most == 0 {
		t.Errorf("the kills hit no machine")
	}
	must(t, server.Run())
	for file := range swept(t, server) {
		if !before[file] {
			t.Errorf("all images are deleted, and this is left of one: %s", file)
		}
	}
	if out, err := server.Command("doctor"); err != nil {
		t.Errorf("souk doctor in the end: %v\n%s", err, out)
	}
	t.Logf("%d kills, %d builders, %d images, %d exports; refused on the way: %v", kills, len(f.there), len(f.images), len(f.exports), f.refused)
}

// swept are the files of images and blobs that souk gc leaves of a market in which
// nothing was written for long: all of them are made older than it looks.
func swept(t *testing.T, server *souktest.Server) map[string]bool {
	t.Helper()
	root := filepath.Join(server.Dir, "blobs")
	walk := func(f func(path string, d fs.DirEntry) error) {
		t.Helper()
		must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return f(path, d)
		}))
	}
	old := time.Now().Add(-72 * time.Hour)
	// What only the files above it had held is old enough at the second time.
	for range 2 {
		walk(func(path string, _ fs.DirEntry) error { return os.Chtimes(path, old, old) })
		server.Must(t, "gc")
	}
	files := map[string]bool{}
	walk(func(path string, d fs.DirEntry) error {
		if !d.IsDir() {
			files[strings.TrimPrefix(path, root)] = true
		}
		return nil
	})
	return files
}

// try sends an operation that the server may be killed in. It returns true if it
// was done, and then reads the output into out, unless that is nil.
func (f *studioUnderFire) try(ctx context.Context, operation, input string, out any) bool {
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
		return out == nil || json.Unmarshal([]byte(answer.Body), out) == nil
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
	if f.try(ctx, "CreateImageBuilder", in("Name", name, "InstanceType", "stream.standard.small", "ImageName", baseImage), nil) {
		f.note(f.there, name)
	}
	for ctx.Err() == nil {
		state := f.state(ctx, name)
		switch {
		case state == "RUNNING":
			f.use(ctx, name, random)
		case state == "STOPPED":
			f.try(ctx, "StartImageBuilder", in("Name", name), nil)
		case state == "":
			return // the server is gone
		case state == "gone":
			older := f.any(random, f.there)
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
		f.try(ctx, "StopImageBuilder", in("Name", name), nil)
	case 3:
		// Each of its applications has an icon, which the host keeps.
		_ = soukContext(ctx, f.apps.s, "exec", name, "--", "image-assistant", "add-application", "--name", "Shell", "--display-name", "Shell", "--absolute-app-path", "/bin/sh")
		image := fmt.Sprintf("i-%s-%d", name, random.IntN(1000))
		f.mu.Lock()
		f.asked[image] = true
		if f.marked[name] {
			f.of[image] = name
		}
		f.mu.Unlock()
		if soukContext(ctx, f.apps.s, "exec", name, "--", "image-assistant", "create-image", "--name", image) == nil {
			f.note(f.images, image)
		}
	case 4:
		f.mu.Lock()
		f.going[name] = true // from here on it may be gone
		f.mu.Unlock()
		f.try(ctx, "DeleteImageBuilder", in("Name", name), nil)
	case 5:
		_ = soukContext(ctx, f.apps.s, "exec", name, "--", "reboot")
	}
}

func (f *studioUnderFire) note(in map[string]bool, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	in[name] = true
}

// keep imports, copies, exports and deletes images until the server is killed.
func (f *studioUnderFire) keep(ctx context.Context, prefix string, random *rand.Rand) {
	pause := time.NewTicker(80 * time.Millisecond)
	defer pause.Stop()
	for n := 0; ; n++ {
		name, source := fmt.Sprintf("%s-%d", prefix, n), f.any(random, f.images)
		what := random.IntN(7)
		switch {
		case what < 2 || source == "":
			f.note(f.asked, name)
			if f.try(ctx, "CreateImportedImage", in("Name", name, "SourceAmiId", f.ami, "IamRoleArn", f.role), nil) {
				f.note(f.images, name)
			}
		case what < 4:
			f.note(f.asked, name)
			if f.try(ctx, "CopyImage", in("SourceImageName", source, "DestinationImageName", name, "DestinationRegion", "us-east-1"), nil) {
				f.note(f.images, name)
			}
		case what < 6:
			var begun struct{ ExportImageTask exportTask }
			if f.try(ctx, "CreateExportImageTask", in("ImageName", source, "AmiName", name, "IamRoleArn", f.role), &begun) {
				f.note(f.exports, begun.ExportImageTask.TaskId)
			}
		default:
			f.note(f.going, source)
			f.try(ctx, "DeleteImage", in("Name", source), nil)
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return
		}
	}
}

// exportTask is one as its clients show it.
type exportTask struct {
	TaskId, State, AmiId, AmiName string
	ErrorDetails                  []struct{ ErrorCode, ErrorMessage string }
}

// any is one of those that should be there still.
func (f *studioUnderFire) any(random *rand.Rand, of map[string]bool) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	names := slices.Sorted(maps.Keys(of))
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
		// One whose machine never ran before the server had been killed three times is
		// given up, as it should be.
		if ok && b.State == "FAILED" && (b.StateChangeReason == nil || !strings.Contains(b.StateChangeReason.Message, "never ran")) {
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

// allImages are the account's images, when none is under way any more.
func (f *studioUnderFire) allImages(t *testing.T) map[string]appImage {
	t.Helper()
	var all map[string]appImage
	until(t, "all images at rest", func() bool {
		all = map[string]appImage{}
		for token := ""; ; {
			input := in("Type", "PRIVATE")
			if token != "" {
				input = in("Type", "PRIVATE", "NextToken", token)
			}
			var page struct {
				Images    []appImage
				NextToken string
			}
			f.apps.ask("DescribeImages", input, &page)
			for _, i := range page.Images {
				if i.State != "AVAILABLE" && i.State != "FAILED" {
					return false
				}
				all[i.Name] = i
			}
			if token = page.NextToken; token == "" {
				return true
			}
		}
	})
	return all
}

// once wants that all that was answered for has happened, and once.
func (f *studioUnderFire) once(t *testing.T) {
	t.Helper()
	all := f.allImages(t)
	for name := range f.images {
		if _, ok := all[name]; !ok && !f.going[name] {
			t.Errorf("image %s was answered for and is lost", name)
		}
	}
	for name, i := range all {
		if !f.asked[name] {
			t.Errorf("image %s was never asked for", name)
		}
		if i.State == "FAILED" && (i.StateChangeReason == nil || !strings.Contains(i.StateChangeReason.Message, "never came to its end")) {
			t.Errorf("image %s has failed: %+v", name, i.StateChangeReason)
		}
	}
	wanted := map[string]bool{f.ami: true}
	left := maps.Clone(f.exports)
	until(t, "all exports at rest", func() bool {
		for token := ""; ; {
			input := in("MaxResults", 500)
			if token != "" {
				input = in("MaxResults", 500, "NextToken", token)
			}
			var page struct {
				ExportImageTasks []exportTask
				NextToken        string
			}
			f.apps.ask("ListExportImageTasks", input, &page)
			for _, e := range page.ExportImageTasks {
				switch {
				case e.State == "EXPORTING":
					return false
				case e.State == "FAILED" && len(e.ErrorDetails) > 0 && strings.Contains(e.ErrorDetails[0].ErrorMessage, "never came to its end"):
					// The server was killed each time that it was begun: it is given up, as it should be.
				case e.State != "COMPLETED" || e.AmiId == "":
					t.Fatalf("an export has ended as %+v", e)
				default:
					wanted[e.AmiId] = true
				}
				delete(left, e.TaskId)
			}
			if token = page.NextToken; token == "" {
				return true
			}
		}
	})
	for id := range left {
		t.Errorf("export %s was answered for and is lost", id)
	}
	found, err := listImages(t.Context(), f.apps.s)
	must(t, err)
	for _, ami := range found {
		if !wanted[ami.ID] || ami.State != "available" {
			t.Errorf("AMI %+v is no export's, or no image", ami)
		}
		delete(wanted, ami.ID)
	}
	for id := range wanted {
		t.Errorf("AMI %s was exported, and is not there", id)
	}
}

// finish looks into every builder and some images, and deletes the builders.
func (f *studioUnderFire) finish(t *testing.T) {
	t.Helper()
	a := f.apps
	for name, b := range f.all(t) {
		if b.State != "FAILED" && f.marked[name] {
			if b.State == "STOPPED" {
				a.ask("StartImageBuilder", in("Name", name), nil)
				a.reaches(name, "RUNNING", "PENDING")
			}
			if got := a.souk("exec", name, "--", "cat", "/opt/mark"); got != name {
				t.Errorf("in %s the file that was synced is %q", name, got)
			}
		}
		a.ask("DeleteImageBuilder", in("Name", name), nil)
		a.gone(name)
	}
	all := f.allImages(t)
	const most = 8 // that are looked into
	tried := 0
	for name, i := range all {
		if i.State != "AVAILABLE" || tried == most {
			continue
		}
		tried++
		a.ask("CreateImageBuilder", in("Name", "of-image", "InstanceType", "stream.standard.small", "ImageName", name), nil)
		a.reaches("of-image", "RUNNING", "PENDING")
		if of := f.of[name]; of == "" {
			a.souk("exec", "of-image", "--", "true")
		} else if got := a.souk("exec", "of-image", "--", "cat", "/opt/mark"); got != of {
			t.Errorf("in image %s the file of the builder %s is %q", name, of, got)
		}
		a.ask("DeleteImageBuilder", in("Name", "of-image"), nil)
		a.gone("of-image")
	}
	if len(f.all(t)) > 0 {
		t.Errorf("left: %v", f.all(t))
	}
}

// clear deletes all images and AMIs, but what is imported.
func (f *studioUnderFire) clear(t *testing.T) {
	t.Helper()
	for name := range f.allImages(t) {
		f.apps.ask("DeleteImage", in("Name", name), nil)
	}
	if left := f.allImages(t); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	found, err := listImages(t.Context(), f.apps.s)
	must(t, err)
	for _, ami := range found {
		if ami.ID != f.ami {
			must(t, machines(t.Context(), f.apps.s, &struct{}{}, "DeregisterImage", "ImageId", ami.ID))
		}
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

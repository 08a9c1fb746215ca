package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"souk/conformance/souktest"
)

// TestCrashAtEachWriteOfAnImageBuilder lets the server die at each write of the
// making of an image builder, of an image by one, of an import, a copy and an export:
// of each on one database before or after each write, in the long runs on both on both
// sides. After the restart what was answered comes to its documented end,
// what was not has happened once or not at all, and in the end nothing is left of what
// was deleted.
func TestCrashAtEachWriteOfAnImageBuilder(t *testing.T) {
	t.Parallel()
	sides := map[string][]string{"sqlite": {"before"}, "postgres": {"after"}}
	if soak() {
		sides = map[string][]string{"sqlite": {"before", "after"}, "postgres": {"before", "after"}}
	}
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		database := "sqlite"
		if o.Database != "" {
			database = "postgres"
		}
		for i, name := range slices.Sorted(maps.Keys(feats)) {
			if !soak() && (i%2 == 0) != (database == "sqlite") {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				o := o
				if database == "postgres" {
					o.Database = freshPostgres(t)
				}
				feats[name].crash(t, o, sides[database])
			})
		}
	})
}

// feat is something that is done with image builders and images.
type feat struct {
	// writes is how many writes it has at least: fewer deaths mean that the fault
	// does not come.
	writes int
	// do does it under a name and waits for its end. It notes that it was answered
	// for. errGone where the server dies.
	do func(s *site, name string, answered *bool) error
	// end wants what came of it, on a server that lives: there was a death, or none.
	// What there is it removes.
	end func(s *site, name string, answered bool)
}

// feats are all, by name.
var feats = map[string]feat{
	"builder": {writes: 2, do: (*site).makeBuilder, end: (*site).builderMade},
	"image":   {writes: 4, do: (*site).makeImage, end: (*site).imageMade},
	"import":  {writes: 4, do: (*site).importImage, end: (*site).imageThere},
	"copy":    {writes: 2, do: (*site).copyImage, end: (*site).imageThere},
	"export":  {writes: 2, do: (*site).exportImage, end: (*site).exported},
}

// errGone says that the server did not answer.
var errGone = errors.New("no answer")

// site is a market whose server dies, and an account's client there.
type site struct {
	*apps
	server  *souktest.Server
	account souktest.Account
	role    string // by which AMIs are read and written
	ami     string // what is imported
}

// waitsLess has a server wait less for the work that a dead one had.
const waitsLess = "SOUK_CRASH_IMAGES=pending"

func (s *site) run() error {
	err := s.server.Run()
	if err != nil {
		return err
	}
	seller := s.account.Seller(s.server)
	s.apps = &apps{studios["JSON 1.1"](s.apps.t, seller, "us-east-1"), s.apps.t, seller}
	return nil
}

func (f feat) crash(t *testing.T, o souktest.Options, sides []string) {
	o.Tags, o.Env = "crashpoints", []string{waitsLess}
	o.Flags = append(o.Flags, "--image-builder-disk", "67108864")
	o, left := watched(t, o)
	env := o.Env
	server := souktest.Start(t, o)
	importBase(t, server, false)
	s := &site{server: server, account: server.Account(t, "under fire", "")}
	s.apps = &apps{t: t}
	must(t, s.server.Stop())
	must(t, s.run())
	s.role, s.ami = pipelineRole(t, s.s, s.account.ID), imported(t, s.s, "goods")
	before := swept(t, server)
	s.ask("CreateImageBuilder", in("Name", "maker", "InstanceType", "stream.standard.small", "ImageName", baseImage), nil)
	s.reaches("maker", "RUNNING", "PENDING")
	s.ask("CreateImportedImage", in("Name", "source", "SourceAmiId", s.ami, "IamRoleArn", s.role), nil)
	s.available("source")
	must(t, server.Stop())

	deaths := 0
	const most = 60 // writes of a start and a feat: far fewer
	for at := 1; ; at++ {
		if at == most {
			t.Fatalf("the server died at each of %d writes", most)
		}
		died := false
		for _, side := range sides {
			server.SetEnv(append(slices.Clone(env), fmt.Sprintf("SOUK_CRASH_AT=%d:%s", at, side))...)
			if s.run() != nil {
				died = true // what deaths amid a start do is another test's
				continue
			}
			name, answered := fmt.Sprintf("feat-%d-%s", at, side), false
			err := f.do(s, name, &answered)
			if err != nil && !errors.Is(err, errGone) {
				t.Fatalf("write %d, %s: %v", at, side, err)
			}
			if err != nil {
				select {
				case <-server.Ended():
					died = true
					deaths++
				case <-time.After(2 * time.Minute):
					t.Fatalf("write %d, %s: the server lives, and yet: %v", at, side, err)
				}
			}
			must(t, server.Kill())
			if out, err := server.Command("doctor"); err != nil {
				t.Fatalf("write %d, %s: souk doctor: %v\n%s", at, side, err, out)
			}
			server.SetEnv(env...)
			must(t, s.run())
			f.end(s, name, answered)
			must(t, server.Kill())
			if t.Failed() {
				t.Fatalf("that was write %d, %s", at, side)
			}
		}
		if !died {
			break
		}
	}
	if deaths < f.writes*len(sides) {
		t.Errorf("it died %d times, want %d or more: the fault doesn't come", deaths, f.writes*len(sides))
	}
	must(t, s.run())
	s.ask("DeleteImageBuilder", in("Name", "maker"), nil)
	s.gone("maker")
	s.ask("DeleteImage", in("Name", "source"), nil)
	must(t, server.Stop())
	left.nothing(t)
	must(t, s.run())
	for file := range swept(t, server) {
		if !before[file] {
			t.Errorf("all images are deleted, and this is left of one: %s", file)
		}
	}
	if out, err := server.Command("doctor"); err != nil {
		t.Errorf("souk doctor in the end: %v\n%s", err, out)
	}
	t.Logf("died at %d writes", deaths)
}

// attempt sends an operation in which the server may die: errGone.
func (s *site) attempt(operation, input string, out any) error {
	w := s.studio.(*wireStudio)
	r, err := w.request(s.apps.t.Context(), operation, input)
	if err != nil {
		return err
	}
	answer, err := w.s.Send(r)
	if err != nil || answer.Status >= http.StatusInternalServerError {
		return fmt.Errorf("%s: %w: %v %s", operation, errGone, err, answer.Body)
	}
	if answer.Status != http.StatusOK {
		return fmt.Errorf("%s %s: %s", operation, input, answer.Body)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal([]byte(answer.Body), out)
}

// await looks until look returns true, or an error.
func (s *site) await(look func() (bool, error)) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(2 * time.Minute); ; {
		done, err := look()
		if done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-late:
			return errors.New("its end does not come within two minutes")
		}
	}
}

// awaitBuilder waits for a state of an image builder.
func (s *site) awaitBuilder(name, state string) error {
	return s.await(func() (bool, error) {
		var page struct{ ImageBuilders []imageBuilder }
		err := s.attempt("DescribeImageBuilders", in("Names", []string{name}), &page)
		if err != nil {
			return false, err
		}
		if is := page.ImageBuilders[0]; is.State == "FAILED" {
			return false, fmt.Errorf("image builder %s has failed: %+v", name, is.StateChangeReason)
		}
		return page.ImageBuilders[0].State == state, nil
	})
}

// awaitImage waits until an image is AVAILABLE.
func (s *site) awaitImage(name string) error {
	return s.await(func() (bool, error) {
		var page struct{ Images []appImage }
		err := s.attempt("DescribeImages", in("Names", []string{name}), &page)
		if err != nil {
			return false, err
		}
		if is := page.Images[0]; is.State == "FAILED" {
			return false, fmt.Errorf("image %s has failed: %+v", name, is.StateChangeReason)
		}
		return page.Images[0].State == "AVAILABLE", nil
	})
}

// inside runs a program in a machine: errGone where that fails and the server dies.
func (s *site) inside(args ...string) error {
	out, err := souk(s.apps.t, s.s, append([]string{"exec"}, args...)...)
	if err != nil {
		return fmt.Errorf("souk exec %q: %w: %v: %s", args, errGone, err, out)
	}
	return nil
}

func (s *site) makeBuilder(name string, answered *bool) error {
	err := s.attempt("CreateImageBuilder", in("Name", name, "InstanceType", "stream.standard.small", "ImageName", baseImage), nil)
	if err != nil {
		return err
	}
	*answered = true
	return s.awaitBuilder(name, "RUNNING")
}

// builderMade wants a builder that runs or can be started.
func (s *site) builderMade(name string, answered bool) {
	t := s.apps.t
	t.Helper()
	if !s.thereAre("DescribeImageBuilders", name, answered) {
		return
	}
	until(t, name+" at rest", func() bool { is := s.one(name).State; return is == "RUNNING" || is == "STOPPED" })
	if b := s.one(name); b.State == "STOPPED" {
		if b.StateChangeReason == nil || b.StateChangeReason.Code != "INTERNAL_ERROR" {
			t.Errorf("%s is STOPPED, and the reason is %+v", name, b.StateChangeReason)
		}
		s.ask("StartImageBuilder", in("Name", name), nil)
		s.reaches(name, "RUNNING", "PENDING")
	}
	s.souk("exec", name, "--", "true")
	s.ask("DeleteImageBuilder", in("Name", name), nil)
	s.gone(name)
}

// thereAre says whether something of a name is there. What was answered for must be.
func (s *site) thereAre(operation, name string, answered bool) bool {
	t := s.apps.t
	t.Helper()
	_, err := s.do(t, operation, in("Names", []string{name}))
	var said *refusal
	if errors.As(err, &said) && said.Code == "ResourceNotFoundException" {
		if answered {
			t.Errorf("%s was answered for and is lost", name)
		}
		return false
	}
	must(t, err)
	return true
}

func (s *site) makeImage(name string, answered *bool) error {
	err := s.attempt("StartImageBuilder", in("Name", "maker"), nil)
	if err == nil {
		err = s.awaitBuilder("maker", "RUNNING")
	}
	if err == nil {
		err = s.inside("maker", "--", "sh", "-c", "echo "+name+" >/opt/mark && sync")
	}
	if err == nil {
		err = s.inside("maker", "--", "image-assistant", "add-application", "--name", name, "--display-name", "Shell", "--absolute-app-path", "/bin/sh")
	}
	if err == nil {
		err = s.inside("maker", "--", "image-assistant", "create-image", "--name", name)
		if err != nil && s.attempt("DescribeImages", in("Names", []string{name}), nil) == nil {
			err = nil // on a busy host the machine may end before the program has said so
		}
	}
	if err != nil {
		return err
	}
	*answered = true
	return errors.Join(s.awaitImage(name), s.awaitBuilder("maker", "STOPPED"))
}

// imageMade wants a whole image, if there is one, and a builder that is STOPPED.
func (s *site) imageMade(name string, answered bool) {
	t := s.apps.t
	t.Helper()
	until(t, "maker at rest", func() bool { is := s.one("maker").State; return is == "RUNNING" || is == "STOPPED" || is == "FAILED" })
	there := s.thereAre("DescribeImages", name, answered)
	if there {
		if i := s.available(name); len(i.Applications) == 0 || i.Applications[0].IconURL == "" || i.BaseImageArn == "" {
			t.Errorf("image %s is half: %+v", name, i)
		}
		s.ask("CreateImageBuilder", in("Name", "of-image", "InstanceType", "stream.standard.small", "ImageName", name), nil)
		s.reaches("of-image", "RUNNING", "PENDING")
		if got := s.souk("exec", "of-image", "--", "cat", "/opt/mark"); got != name {
			t.Errorf("in image %s the file of its builder is %q", name, got)
		}
		s.ask("DeleteImageBuilder", in("Name", "of-image"), nil)
		s.gone("of-image")
		s.ask("DeleteImage", in("Name", name), nil)
	}
	switch b := s.one("maker"); {
	case b.State == "RUNNING" && !there: // it was being started when the server died
		s.ask("StopImageBuilder", in("Name", "maker"), nil)
		s.reaches("maker", "STOPPED", "STOPPING")
	case b.State != "STOPPED":
		t.Errorf("the builder is %s: %+v", b.State, b.StateChangeReason)
	}
}

func (s *site) importImage(name string, answered *bool) error {
	err := s.attempt("CreateImportedImage", in("Name", name, "SourceAmiId", s.ami, "IamRoleArn", s.role), nil)
	if err != nil {
		return err
	}
	*answered = true
	return s.awaitImage(name)
}

func (s *site) copyImage(name string, answered *bool) error {
	err := s.attempt("CopyImage", in("SourceImageName", "source", "DestinationImageName", name, "DestinationRegion", "us-east-1"), nil)
	if err != nil {
		return err
	}
	*answered = true
	return s.awaitImage(name)
}

// imageThere wants an image that is AVAILABLE, if there is one.
func (s *site) imageThere(name string, answered bool) {
	s.apps.t.Helper()
	if s.thereAre("DescribeImages", name, answered) {
		s.available(name)
		s.ask("DeleteImage", in("Name", name), nil)
	}
}

// tasks are the account's export tasks under the name of an AMI.
func (s *site) tasks(name string) ([]exportTask, error) {
	var page struct{ ExportImageTasks []exportTask }
	filter := []map[string]any{{"Name": "AmiName", "Values": []string{name}}}
	err := s.attempt("ListExportImageTasks", in("Filters", filter, "MaxResults", 500), &page)
	return page.ExportImageTasks, err
}

func (s *site) exportImage(name string, answered *bool) error {
	err := s.attempt("CreateExportImageTask", in("ImageName", "source", "AmiName", name, "IamRoleArn", s.role), nil)
	if err != nil {
		return err
	}
	*answered = true
	return s.await(func() (bool, error) {
		all, err := s.tasks(name)
		return err == nil && len(all) == 1 && all[0].State != "EXPORTING", err
	})
}

// exported wants an export that is COMPLETED, if there is one, and its one AMI.
func (s *site) exported(name string, answered bool) {
	t := s.apps.t
	t.Helper()
	var all []exportTask
	until(t, "the export "+name, func() bool {
		var err error
		all, err = s.tasks(name)
		must(t, err)
		return len(all) != 1 || all[0].State != "EXPORTING"
	})
	if answered && len(all) == 0 || len(all) > 1 || len(all) == 1 && all[0].State != "COMPLETED" {
		t.Errorf("the export %s was answered for (%t), and there is %+v", name, answered, all)
	}
	found, err := listImages(t.Context(), s.s)
	must(t, err)
	if len(found) != 1+len(all) { // the one that was imported, too
		t.Errorf("%d exports have made %+v", len(all), found)
	}
	for _, ami := range found {
		if ami.ID != s.ami {
			if len(all) == 0 || ami.ID != all[0].AmiId || ami.State != "available" {
				t.Errorf("export %+v has made %+v", all, ami)
			}
			must(t, machines(t.Context(), s.s, &struct{}{}, "DeregisterImage", "ImageId", ami.ID))
		}
	}
}

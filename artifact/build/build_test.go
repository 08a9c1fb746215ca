package build

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"souk/artifact/archive"
	"souk/artifact/images"
	"souk/artifact/installer"
	"souk/artifact/installer/installertest"
	"souk/storage/store"
	"souk/storage/work"
	"souk/storage/worktest"
)

// files are those of an image with their contents, as its layers have them.
func (h *house) files(a images.AMI) map[string]string {
	h.t.Helper()
	layers, err := h.config.Images.Layers(h.t.Context(), a.Repository, a.Digest)
	if err != nil {
		h.t.Fatal(err)
	}
	all := map[string]string{}
	for _, l := range layers {
		r, closed, err := l.Archive(h.t.Context(), archive.Limits{Bytes: archive.DefaultBytes, Entries: archive.DefaultEntries})
		if err != nil {
			h.t.Fatal(err)
		}
		for {
			e, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				h.t.Fatal(err)
			}
			if e.Typeflag == tar.TypeReg && e.Size < 1000 {
				b, err := io.ReadAll(r)
				if err != nil {
					h.t.Fatal(err)
				}
				all[e.Name] = string(b)
			}
		}
		closed()
	}
	return all
}

func TestABuildMakesAnImage(t *testing.T) {
	t.Parallel()
	for name, engine := range map[string]func(*testing.T) store.Store{"sqlite": onSQLite, "postgres": onPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t, engine(t), nil)
			h.offer("fo-two", installertest.Document("build", "cat /opt/one $SOUK_PRODUCT_FILES/of >/opt/two", "test", "test -s /opt/two && echo tested"))
			o := h.options["fo-two"]
			o.Component.Files = Files{"acme/web", "sha256:abc"}
			h.options["fo-two"] = o
			h.run()
			topic := "arn:aws:sns:us-east-1:" + account + ":builds"
			b := h.begin("web with plugin", func(r *Request) {
				r.Options, r.Description, r.Topic, r.Token = []string{"fo-one", "fo-two"}, "for the shop", topic, "token"
			})
			if b.Status != InProgress || !formOfID.MatchString(b.ID) || strings.Join(h.obtained, ", ") != account+" prod-fo-one v-fo-one, "+account+" prod-fo-two v-fo-two" {
				t.Errorf("began %+v, obtained %v", b, h.obtained)
			}
			got := h.ended(b.ID)
			out, errors := h.log(got)
			if got.Status != Succeeded || got.Detail != nil || got.Updated.Before(got.Started) {
				t.Fatalf("ended as %s, %+v\n%s%s", got.Status, got.Detail, out, errors)
			}
			if !strings.Contains(out, "hello") || !strings.Contains(out, "tested") || !strings.Contains(errors, "careful") {
				t.Errorf("logs %q and %q", out, errors)
			}
			a, err := h.config.Images.Find(t.Context(), account, got.Destination.ID)
			if err != nil || a.Name != "web with plugin" || a.Description != "for the shop" || a.State != images.StateAvailable || a.Platform != "Busybox 1" || strings.Join(a.ProductCodes, " ") != "foone fotwo" {
				t.Errorf("the image is %+v, %v", a, err)
			}
			files := h.files(a)
			if files["opt/one"] != "one\n" || files["opt/two"] != "one\nsha256:abc" {
				t.Errorf("the image has %q", files)
			}
			worktest.Until(t, "the image was scanned", func() bool { return !h.read(b.ID).Unseen })
			if !slices.Equal(h.seen, []string{a.ID}) {
				t.Errorf("scanned %v", h.seen)
			}
			for _, s := range []Status{InProgress, Succeeded} {
				if _, err := h.store.Get(t.Context(), store.Key{Kind: "test-message", ID: b.ID + "/" + string(s)}); err != nil {
					t.Errorf("nobody was told that it is %s: %v", s, err)
				}
			}
			again, err := h.Start(t.Context(), h.request("web with plugin", func(r *Request) {
				r.Options, r.Description, r.Topic, r.Token = []string{"fo-one", "fo-two"}, "for the shop", topic, "token"
			}))
			if err != nil || again.ID != b.ID {
				t.Errorf("the same request once more: %+v, %v", again, err)
			}
			h.healthy()
		})
	}
}

func TestTheStepsOfBuildsAreTold(t *testing.T) {
	t.Parallel()
	steps := make(chan Event, 20)
	var h *house
	working := make(chan int, 20)
	h = open(t, onSQLite(t), func(c *Config) {
		c.Observe = func(e Event) { steps <- e }
		unpack := c.Unpack
		c.Unpack = func(ctx context.Context, o Option, folder string) error {
			working <- h.Working()
			return unpack(ctx, o, folder)
		}
	})
	h.offer("fo-bad", installertest.Document("build", "exit 3"))
	o := h.options["fo-one"]
	o.Component.Files = Files{"acme/web", "sha256:abc"}
	h.options["fo-one"] = o
	h.run()
	well := h.begin("well")
	h.ended(well.ID)
	badly := h.begin("badly", func(r *Request) { r.Options = []string{"fo-bad"} })
	h.ended(badly.ID)
	want := map[Event]bool{ // a worker may be quicker to tell than who started the build
		{well.ID, Started, InProgress, "", 0}: true, {well.ID, Taken, InProgress, "", 0}: true, {well.ID, Ended, Succeeded, "", 0}: true,
		{badly.ID, Started, InProgress, "", 0}: true, {badly.ID, Taken, InProgress, "", 0}: true, {badly.ID, Ended, Failed, "InstallFailed", 0}: true,
	}
	for len(want) > 0 {
		e := <-steps
		if e.Step == Ended && e.Took <= 0 {
			t.Errorf("it took %v", e.Took)
		}
		e.Took = 0
		if !want[e] {
			t.Fatalf("told %+v, want one of %+v", e, want)
		}
		delete(want, e)
	}
	if n := <-working; n != 1 {
		t.Errorf("the node works on %d builds", n)
	}
	worktest.Until(t, "the node rests", func() bool { return h.Working() == 0 })
}

func TestABuildThatFailsMakesNoImageAndGivesItsNameBack(t *testing.T) {
	t.Parallel()
	h := open(t, onSQLite(t), nil)
	h.offer("fo-bad", installertest.Document("build", "echo no >&2; exit 9"))
	h.run()
	b := h.begin("web", func(r *Request) { r.Options = []string{"fo-one", "fo-bad"} })
	got := h.ended(b.ID)
	if got.Status != Failed || got.Detail == nil || got.Detail.Code != installer.InstallFailed || !strings.Contains(got.Detail.Message, "fo-bad") || !strings.Contains(got.Detail.Message, "StepB") {
		t.Errorf("ended as %s, %+v", got.Status, got.Detail)
	}
	if _, err := h.config.Images.Find(t.Context(), account, b.Destination.ID); !errors.Is(err, images.ErrNotFound) {
		t.Errorf("there is an image: %v", err)
	}
	second := h.begin("web")
	if got := h.ended(second.ID); got.Status != Succeeded {
		t.Errorf("the next of the name ended as %s, %+v", got.Status, got.Detail)
	}
	h.healthy()
}

func TestWithoutMachinesABuildSaysSo(t *testing.T) {
	t.Parallel()
	h := open(t, onSQLite(t), func(c *Config) {
		var err error
		c.Installer, err = installer.New(installer.Config{Folder: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
	})
	h.run()
	got := h.ended(h.begin("web").ID)
	if got.Status != InternalError || got.Detail == nil || got.Detail.Code != "" || !strings.Contains(got.Detail.Message, "provider of machines") {
		t.Errorf("ended as %s, %+v", got.Status, got.Detail)
	}
	h.healthy()
}

// TestABuildIsDoneAnewAfterItsNodeStopped: the node hands it back, and the next
// one makes the image, once.
func TestABuildIsDoneAnewAfterItsNodeStopped(t *testing.T) {
	t.Parallel()
	h := open(t, onSQLite(t), nil)
	h.offer("fo-slow", installertest.Document("build", "echo begun; test -e /run/souk-second || sleep 2; echo done >/opt/slow"))
	stop := h.run()
	b := h.begin("web", func(r *Request) { r.Options = []string{"fo-slow"} })
	worktest.Until(t, "the installer runs", func() bool {
		r := h.read(b.ID)
		if !r.Begun {
			return false
		}
		out, _ := h.log(r)
		return strings.Contains(out, "begun")
	})
	stop()
	if got := h.read(b.ID); got.Status != InProgress || got.Tries != 0 {
		t.Errorf("handed back as %s after %d tries", got.Status, got.Tries)
	}
	h.Builds.runner = renewed(t, h.Builds, "node-2")
	h.run()
	got := h.ended(b.ID)
	out, _ := h.log(got)
	if got.Status != Succeeded || strings.Count(out, "begun") != 2 {
		t.Errorf("ended as %s, %+v:\n%s", got.Status, got.Detail, out)
	}
	h.healthy()
}

// renewed is the runner of a node that has started again.
func renewed(t *testing.T, b *Builds, owner string) *work.Runner {
	t.Helper()
	c := b.config
	c.Owner = owner
	again, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return again.runner
}

// TestABuildOfADeadNodeIsTakenOver: its lease runs out; and a node that finds
// that it has lost a build makes no image.
func TestABuildOfADeadNodeIsTakenOver(t *testing.T) {
	t.Parallel()
	h := open(t, onSQLite(t), nil)
	b := h.begin("web")
	// Claimed by a node that is dead since, in its fifth try but one.
	taken, err := h.store.Claim(t.Context(), Kind, 1, "dead", 1)
	if err != nil || len(taken) != 1 {
		t.Fatalf("claimed %d, %v", len(taken), err)
	}
	h.run()
	if got := h.ended(b.ID); got.Status != Succeeded {
		t.Errorf("ended as %s, %+v", got.Status, got.Detail)
	}
	h.healthy()
}

func TestABuildThatNeverEndsIsGivenUp(t *testing.T) {
	t.Parallel()
	h := open(t, onSQLite(t), nil)
	b := h.begin("web")
	b.Tries = maxTries
	w, err := b.write(store.Any)
	if err != nil {
		t.Fatal(err)
	}
	w.Due = h.runner.Now()
	if err := h.store.Commit(t.Context(), store.Batch{Put: []store.Write{w}}); err != nil {
		t.Fatal(err)
	}
	h.run()
	if got := h.ended(b.ID); got.Status != InternalError || got.Detail == nil {
		t.Errorf("ended as %s, %+v", got.Status, got.Detail)
	}
	h.healthy()
}

// TestABuildWithoutItsLogsIsGivenUp: what keeps a try from its beginning is a try, too.
func TestABuildWithoutItsLogsIsGivenUp(t *testing.T) {
	t.Parallel()
	h := open(t, onSQLite(t), nil)
	first, last := h.begin("first"), h.begin("last")
	if err := os.WriteFile(filepath.Join(h.below.Files, KindLogs), nil, 0o600); err != nil { // where their folder should be
		t.Fatal(err)
	}
	last.Tries = maxTries - 1
	w, err := last.write(store.Any)
	if err != nil {
		t.Fatal(err)
	}
	w.Due = h.runner.Now()
	if err := h.store.Commit(t.Context(), store.Batch{Put: []store.Write{w}}); err != nil {
		t.Fatal(err)
	}
	h.run()
	worktest.Until(t, "the first try is counted", func() bool { return h.read(first.ID).Tries == 1 })
	if got := h.ended(last.ID); got.Status != InternalError || got.Detail == nil || !strings.Contains(got.Detail.Message, "5 times") {
		t.Errorf("ended as %s, %+v", got.Status, got.Detail)
	}
}

func TestAFailureOfOursIsTriedAgain(t *testing.T) {
	t.Parallel()
	h := open(t, onSQLite(t), func(c *Config) {
		derive, first := c.Derive, true
		c.Derive = func(ctx context.Context, d images.Derivation) (images.AMI, store.Batch, error) {
			if first {
				first = false
				return images.AMI{}, store.Batch{}, errors.New("the registry is not there")
			}
			return derive(ctx, d)
		}
	})
	h.run()
	got := h.ended(h.begin("web").ID)
	if got.Status != Succeeded {
		t.Errorf("ended as %s, %+v", got.Status, got.Detail)
	}
	if out, _ := h.log(got); strings.Count(out, "hello") != 2 || !strings.Contains(out, "(try 2)") {
		t.Errorf("the log is %q", out)
	}
	h.healthy()
}

func TestWhatIsWrongWithARequestHasItsDocumentedException(t *testing.T) {
	t.Parallel()
	h := open(t, onSQLite(t), nil)
	h.offer("fo-windows", installertest.Document("build", "true"))
	o := h.options["fo-windows"]
	o.Component.Systems = []string{"Windows"}
	h.options["fo-windows"] = o
	foreign := h.image(other, "foreign")
	h.begin("held", func(r *Request) { r.Token = "used" })
	for name, c := range map[string]struct {
		edit func(*Request)
		code string
	}{
		"no fulfillment option":                 {func(r *Request) { r.Options = nil }, "InvalidFulfillmentOptionIdException"},
		"an unknown fulfillment option":         {func(r *Request) { r.Options = []string{"fo-none"} }, "InvalidFulfillmentOptionIdException"},
		"one that the account may not obtain":   {func(r *Request) { r.Account = other; r.Source = foreign.ID }, "InvalidFulfillmentOptionIdException"},
		"the same option twice":                 {func(r *Request) { r.Options = []string{"fo-one", "fo-one"} }, "InvalidFulfillmentOptionIdException"},
		"eleven options":                        {func(r *Request) { r.Options = strings.Split(strings.Repeat("fo-one ", 11), " ")[:11] }, "InvalidFulfillmentOptionIdException"},
		"an unknown image":                      {func(r *Request) { r.Source = "ami-00000000000000000" }, "InvalidSourceImageIdException"},
		"no id of an image":                     {func(r *Request) { r.Source = "" }, "InvalidSourceImageIdException"},
		"another's image":                       {func(r *Request) { r.Source = foreign.ID }, "InvalidSourceImageIdException"},
		"an image that the installer is not of": {func(r *Request) { r.Options = []string{"fo-windows"} }, "InstallerMismatchException"},
		"a name of two characters":              {func(r *Request) { r.Name = "ab" }, "InvalidDestinationImageNameException"},
		"a name of 129 characters":              {func(r *Request) { r.Name = strings.Repeat("a", 129) }, "InvalidDestinationImageNameException"},
		"a name with a character of its own":    {func(r *Request) { r.Name = "a*b*c" }, "InvalidDestinationImageNameException"},
		"no name":                               {func(r *Request) { r.Name = "" }, "InvalidDestinationImageNameException"},
		"the name of an image":                  {func(r *Request) { r.Name = "base" }, "InvalidDestinationImageNameException"},
		"the name of an image to be":            {func(r *Request) { r.Name = "held" }, "InvalidDestinationImageNameException"},
		"a description of 256 characters":       {func(r *Request) { r.Description = strings.Repeat("ä", 256) }, "ValidationException"},
		"another's topic":                       {func(r *Request) { r.Topic = "arn:aws:sns:us-east-1:" + other + ":builds" }, "InvalidSnsTopicArnException"},
		"a token with other parameters":         {func(r *Request) { r.Token = "used"; r.Name = "other" }, "IdempotentParameterMismatchException"},
	} {
		if _, err := h.Start(t.Context(), h.request("fresh", c.edit)); code(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	if _, err := h.Start(t.Context(), h.request("in europe", func(r *Request) { r.Token, r.Region = "used", "eu-west-1" })); err != nil {
		t.Errorf("the token of another region: %v", err)
	}
	page, err := h.List(t.Context(), Query{Account: account, Region: region})
	if err != nil || len(page.Builds) != 1 {
		t.Errorf("what was refused is there: %+v, %v", page, err)
	}
	h.healthy()
}

func TestAnAccountHasSoManyBuildsAndNoMore(t *testing.T) {
	t.Parallel()
	h := open(t, onSQLite(t), func(c *Config) { c.Open = func(string) int { return 2 } })
	h.begin("one")
	same := func(r *Request) { r.Region, r.Token = "eu-west-1", "token" }
	two := h.begin("two", same)
	if _, err := h.Start(t.Context(), h.request("three")); code(err) != "BuildLimitExceededException" {
		t.Errorf("the third: %v", err)
	}
	if len(h.obtained) != 2 {
		t.Errorf("two builds were started, and obtained is %q", h.obtained)
	}
	again := h.begin("two", same)
	if again.ID != two.ID {
		t.Errorf("the second once more is build %s, and was %s", again.ID, two.ID)
	}
	h.run()
	worktest.Until(t, "they have ended", func() bool {
		page, err := h.List(t.Context(), Query{Account: account, Region: region, Filters: []Filter{{FilterStatus, []string{"in-progress"}}}})
		return err == nil && len(page.Builds) == 0
	})
	h.begin("three")
}

// meanwhile is a store that lets something happen before it is asked for a name.
type meanwhile struct {
	store.Store
	happens func()
}

func (m *meanwhile) Get(ctx context.Context, k store.Key) (store.Document, error) {
	if k.Kind == images.KindName {
		m.happens()
	}
	return m.Store.Get(ctx, k)
}

// TestTheSameRequestTwiceAtATimeIsOneBuild: the second finds the first in its way,
// wherever it is then.
func TestTheSameRequestTwiceAtATimeIsOneBuild(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"the name", "the bound", "the commit"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			var h *house
			var first *Build
			began := false
			same := func(r *Request) { r.Token = "token" }
			at := func(place string) {
				if place == where && !began {
					began = true
					first = h.begin("web", same)
				}
			}
			h = open(t, onSQLite(t), func(c *Config) {
				c.Open = func(string) int { return 1 }
				c.Store = &meanwhile{c.Store, func() { at("the name") }}
				option, obtained := c.Option, c.Obtained
				c.Option = func(ctx context.Context, account, id string) (Option, error) {
					at("the bound")
					return option(ctx, account, id)
				}
				c.Obtained = func(ctx context.Context, account string, o Option) error {
					at("the commit")
					return obtained(ctx, account, o)
				}
			})
			second := h.begin("web", same)
			if second.ID != first.ID {
				t.Errorf("builds %s and %s", first.ID, second.ID)
			}
		})
	}
}

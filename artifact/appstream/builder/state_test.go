package builder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"souk/gateway/apierror"
	"souk/storage/store"
)

// away is a node that lives, and is not in this process: what is stored of its
// builders stays as it is.
func (h *house) away(id string) {
	h.t.Helper()
	body, err := json.Marshal(node{ID: id, URL: "http://" + id, Machines: true, Seen: time.Now().Add(time.Hour)})
	h.must(err)
	h.must(h.store.Commit(h.t.Context(), store.Batch{Put: []store.Write{{Was: store.Any, Document: store.Document{
		Key: store.Key{Kind: KindNode, ID: id}, Summary: body, Body: body, Index: []store.Entry{{Index: indexNodes, Sort: id}},
	}}}}))
}

// put stores a builder in a state, with its task.
func (h *house) put(called string, s State, edits ...func(*Builder)) {
	h.t.Helper()
	base, err := h.images.Usable(h.t.Context(), account, region, "base")
	h.must(err)
	r := &Builder{
		Account: account, Region: region, Name: called, ARN: "arn:aws:appstream:us-east-1:111111111111:image-builder/" + called, ImageARN: base.ARN,
		InstanceType: "stream.standard.small", State: s, Created: h.now(), Changed: h.now(), Agent: "1.0", Base: base, Node: "node-2", Machine: "ib-" + called, Step: 1, Made: true,
	}
	if s == Snapshotting {
		r.Snapshot = &base
	}
	for _, e := range edits {
		e(r)
	}
	w, err := r.write(0)
	h.must(err)
	batch := store.Batch{Put: []store.Write{w}}
	if s.working() {
		batch.Put = append(batch.Put, store.Write{Document: store.Document{Key: taskKey(r), Body: []byte("{}"), Due: time.Now()}})
	}
	h.must(h.store.Commit(h.t.Context(), batch))
}

// TestEveryStateRefusesWhatItMustAndNoMore compares with testdata/states.tsv.
func TestEveryStateRefusesWhatItMustAndNoMore(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.start(func(c *Config) { c.Machines = nil })
	h.away("node-2")
	text, err := os.ReadFile("testdata/states.tsv")
	h.must(err)
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		s, op, want := State(f[0]), f[1], f[2]
		seen[f[0]+" "+op] = true
		called := strings.ReplaceAll(strings.ToLower(f[0]+"-"+op), "_", "-")
		h.put(called, s)
		before := h.read(called)
		var got *Builder
		var err error
		switch op {
		case "create":
			got, err = h.Create(t.Context(), request(called))
		case "start":
			got, err = h.Start(t.Context(), account, region, called, "", nil)
		case "stop":
			got, err = h.Stop(t.Context(), account, region, called, nil)
		case "delete":
			got, err = h.Delete(t.Context(), account, region, called, nil)
		case "enter":
			_, err = h.Enter(t.Context(), account, region, called)
			if _, ok := err.(*Elsewhere); ok {
				got, err = h.read(called), nil
			}
		case "tag":
			err = h.Tag(t.Context(), account, region, called, map[string]string{"a": "b"})
			got = h.read(called)
		}
		is := fmt.Sprint(err)
		if refusal, ok := errors.AsType[*apierror.Error](err); ok {
			is = refusal.Code
		} else if err == nil {
			is = string(got.State)
		}
		if is != want {
			t.Errorf("%s of a builder that is %s: %s (%v), want %s", op, s, is, err, want)
		}
		now := h.read(called)
		if err != nil && (now.State != s || now.Step != before.Step) {
			t.Errorf("%s of a builder that is %s was refused, and it is %s now", op, s, now.State)
		}
		if err == nil && now.State != got.State {
			t.Errorf("%s of a builder that is %s answers %s, and it is %s", op, s, got.State, now.State)
		}
		if err == nil && now.State != s {
			_, err := h.store.Get(t.Context(), taskKey(now))
			if err != nil {
				t.Errorf("%s of a builder that is %s made no task: %v", op, s, err)
			}
		}
	}
	for _, s := range States() {
		for _, op := range []string{"create", "start", "stop", "delete", "enter", "tag"} {
			if !seen[string(s)+" "+op] {
				t.Errorf("testdata/states.tsv does not say what %s of a builder that is %s does", op, s)
			}
		}
	}
}

// TestOfTwoCallsAtATimeOneLoses has another write the builder between the look of a
// call and its commit.
func TestOfTwoCallsAtATimeOneLoses(t *testing.T) {
	t.Parallel()
	h := open(t)
	var between func()
	h.start(func(c *Config) {
		c.Machines = nil
		c.Store = &meddler{Store: h.store, before: func() {
			if f := between; f != nil {
				between = nil
				f()
			}
		}}
	}, func(c *Config) { c.Beat = time.Hour })
	other := func(name string, does func(r *Builder)) {
		d, err := h.store.Get(t.Context(), keyOf(account, region, name))
		h.must(err)
		r, err := decode(d)
		h.must(err)
		does(r)
		w, err := r.write(d.Revision)
		h.must(err)
		h.must(h.store.Commit(t.Context(), store.Batch{Put: []store.Write{w}}))
	}
	h.away("node-2")
	h.put("one", Running)
	between = func() { other("one", func(r *Builder) { h.enter(r, Stopping, nil) }) }
	_, err := h.Delete(t.Context(), account, region, "one", nil)
	if !apierror.Is(err, "ConcurrentModificationException") {
		t.Errorf("deleting a builder that is being stopped: %v", err)
	}
	h.put("two", Running)
	between = func() { other("two", func(r *Builder) { r.Tags = map[string]string{"a": "b"} }) }
	r, err := h.Stop(t.Context(), account, region, "two", nil)
	if err != nil || r.State != Stopping || r.Tags["a"] != "b" {
		t.Errorf("stopping a builder that was tagged: %+v, %v", r, err)
	}
	h.put("three", Running)
	between = func() { other("three", func(r *Builder) { h.enter(r, Stopping, nil) }) }
	err = h.Tag(t.Context(), account, region, "three", map[string]string{"a": "b"})
	if err != nil {
		t.Errorf("tagging a builder that is being stopped: %v", err)
	}
	err = h.Untag(t.Context(), account, region, "three", []string{"a"})
	if err != nil {
		t.Errorf("taking a tag from it: %v", err)
	}
}

// meddler does something before each commit of builders.
type meddler struct {
	store.Store
	before func()
}

func (m *meddler) Commit(ctx context.Context, b store.Batch) error {
	for _, w := range b.Put {
		if w.Kind == Kind {
			m.before()
			break
		}
	}
	return m.Store.Commit(ctx, b)
}

// crowd makes eight builders at a time, and says how many of them were made. The
// others must be refused with one of some codes.
func (h *house) crowd(name func(n int) string, codes ...string) (made int) {
	h.t.Helper()
	var all sync.WaitGroup
	results := make([]error, 8)
	for n := range results {
		all.Go(func() { _, results[n] = h.Create(h.t.Context(), request(name(n))) })
	}
	all.Wait()
	for _, err := range results {
		switch {
		case err == nil:
			made++
		case !slices.ContainsFunc(codes, func(c string) bool { return apierror.Is(err, c) }):
			h.t.Errorf("it is refused with %v", err)
		}
	}
	return made
}

func TestTheSameNameTwiceAtATimeIsOneBuilder(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.start()
	made := h.crowd(func(int) string { return "one" }, "ResourceAlreadyExistsException", "ConcurrentModificationException")
	if made != 1 {
		t.Errorf("%d builders were made", made)
	}
	h.is("one", Running)
	h.healthy(1)
}

func TestAnAccountHasSoManyBuildersAndNoMore(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.start(func(c *Config) { c.Most, c.Machines = func(string) int { return 3 }, nil })
	made := h.crowd(func(n int) string { return fmt.Sprintf("b%d", n) }, "LimitExceededException")
	if made != 3 {
		t.Errorf("%d builders were made, want 3", made)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.start(func(c *Config) { c.Machines = nil })
	h.away("node-2")
	for _, name := range []string{"c", "a", "b"} {
		h.put(name, Stopped)
	}
	two, none := 2, -1
	page, err := h.Describe(t.Context(), Query{Account: account, Region: region, MaxResults: &two})
	h.must(err)
	if len(page.Builders) != 2 || page.Builders[0].Name != "a" || page.NextToken == "" {
		t.Fatalf("the first page is %+v", page)
	}
	if _, err := h.Describe(t.Context(), Query{Account: other, Region: region, NextToken: &page.NextToken}); !apierror.Is(err, "ValidationException") {
		t.Errorf("the token of another account: %v", err)
	}
	page, err = h.Describe(t.Context(), Query{Account: account, Region: region, NextToken: &page.NextToken})
	if err != nil || len(page.Builders) != 1 || page.Builders[0].Name != "c" || page.NextToken != "" {
		t.Errorf("the second page is %+v, %v", page, err)
	}
	page, err = h.Describe(t.Context(), Query{Account: account, Region: region, Names: []string{"c", "a", "c"}})
	if err != nil || len(page.Builders) != 2 || page.Builders[0].Name != "c" {
		t.Errorf("by name there are %+v, %v", page, err)
	}
	_, err = h.Describe(t.Context(), Query{Account: account, Region: region, Names: []string{"a", "none"}})
	if err == nil || err.Error() != "ResourceNotFoundException: The image builder none for account 111111111111 does not exist." {
		t.Errorf("one that is not there: %v", err)
	}
	if _, err := h.Describe(t.Context(), Query{Account: account, Region: region, MaxResults: &none}); !apierror.Is(err, "ValidationException") {
		t.Errorf("a page of less than nothing: %v", err)
	}
	count, err := h.Count(t.Context())
	if err != nil || count[Stopped] != 3 {
		t.Errorf("there are %v, %v", count, err)
	}
}

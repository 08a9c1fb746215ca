package builder

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"souk/artifact/appstream/image"
	"souk/artifact/machine"
	"souk/gateway/apierror"
	"souk/storage/store"
	"souk/storage/worktest"
)

func TestARestartStopsWhatRanAndTheDiskIsKept(t *testing.T) {
	t.Parallel()
	h := running(t)
	h.sh("one", "echo hello >/opt/made; sync")
	left := machine.Spec{Layers: h.layers(), Disk: 64 << 20, Purpose: purpose + "nobody's"}
	h.must(h.config.Machines.Create(t.Context(), "ib-left", left))
	h.start()
	b := h.is("one", Stopped)
	if b.Reason == nil || b.Reason.Code != InternalError || b.Reason.Message != "The server that has its machine was restarted." {
		t.Errorf("the reason is %+v", b.Reason)
	}
	h.healthy(1) // the machine that nobody has is gone
	_, err := h.Start(t.Context(), account, region, "one", "", nil)
	h.must(err)
	if b := h.is("one", Running); b.Reason != nil {
		t.Errorf("it runs, and has the reason %+v", b.Reason)
	}
	if got := h.sh("one", "cat /opt/made"); got != "0 hello" {
		t.Errorf("on its disk is %q", got)
	}
}

// layers are those of the image base.
func (h *house) layers() (layers []layerOf) {
	h.t.Helper()
	i, err := h.images.Usable(h.t.Context(), account, region, "base")
	h.must(err)
	all, err := h.below.Images.Layers(h.t.Context(), i.Place.Repository, i.Place.Digest)
	h.must(err)
	return all
}

// dying is a store whose process ends at a commit: before what is written is kept,
// or after, and before anybody is told. Nothing is written from then on.
type dying struct {
	store.Store
	kept bool // the commit at which it ends is kept

	mu   sync.Mutex // guards what follows
	left int        // commits until then; below 0: it does not end
	dead bool
}

var errDead = errors.New("the process has ended")

func (d *dying) Commit(ctx context.Context, b store.Batch) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return errDead
	}
	if !concerns(b) {
		return d.Store.Commit(ctx, b)
	}
	if d.left == 0 {
		d.dead = true
		if d.kept {
			_ = d.Store.Commit(ctx, b)
		}
		return errDead
	}
	d.left--
	return d.Store.Commit(ctx, b)
}

// concerns says whether a batch writes builders or tasks.
func concerns(b store.Batch) bool {
	for _, w := range b.Put {
		if w.Kind != KindNode {
			return true
		}
	}
	for _, r := range b.Delete {
		if r.Kind != KindNode {
			return true
		}
	}
	return false
}

// Get and the rest of reading end with the process, too.
func (d *dying) Get(ctx context.Context, k store.Key) (store.Document, error) {
	if d.ended() {
		return store.Document{}, errDead
	}
	return d.Store.Get(ctx, k)
}

func (d *dying) Claim(ctx context.Context, kind string, n int, owner string, lease time.Duration) ([]store.Document, error) {
	if d.ended() {
		return nil, errDead
	}
	return d.Store.Claim(ctx, kind, n, owner, lease)
}

func (d *dying) ended() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

// TestNothingIsLostWhereverTheProcessEnds ends it at each commit of a builder's life,
// kept and not kept, and wants the life to go on with the next process.
func TestNothingIsLostWhereverTheProcessEnds(t *testing.T) {
	t.Parallel()
	for _, kept := range []bool{false, true} {
		t.Run(fmt.Sprintf("kept %v", kept), func(t *testing.T) {
			t.Parallel()
			h := open(t)
			for n := 0; ; n++ {
				d := &dying{Store: h.store, kept: kept, left: n}
				h.start(func(c *Config) { c.Store = d })
				called := fmt.Sprintf("b-%d", n)
				h.life(called, d.ended)
				whole := !d.ended()
				h.start()
				h.settled(called)
				if whole {
					break
				}
				h.life(called, func() bool { return false })
				h.healthy(0)
				if n > 40 {
					t.Fatal("the life of a builder has no end")
				}
			}
			h.healthy(0)
		})
	}
}

// life lives the life of a builder from wherever it is, until it is gone or the
// process has ended.
func (h *house) life(called string, ended func() bool) {
	h.t.Helper()
	made := "of-" + called
	for !ended() {
		d, err := h.store.Get(h.t.Context(), keyOf(account, region, called))
		var r *Builder
		if err == nil {
			r, err = decode(d)
		}
		_, imaged := h.find(made)
		switch {
		case errors.Is(err, store.ErrNotFound) && imaged:
			return
		case errors.Is(err, store.ErrNotFound):
			_, _ = h.Create(h.t.Context(), request(called))
		case err != nil:
			h.t.Fatal(err)
		case r.State == Failed:
			h.t.Fatalf("%s is %s: %+v", called, r.State, r.Reason)
		case r.State == Running && !imaged:
			h.capturing(r, made)
		case r.State == Running:
			_, _ = h.Stop(h.t.Context(), account, region, called, nil)
		case r.State == Stopped && !imaged:
			_, _ = h.Start(h.t.Context(), account, region, called, "", nil)
		case r.State == Stopped:
			_, _ = h.Delete(h.t.Context(), account, region, called, nil)
		default:
			h.moves(r, ended)
		}
	}
}

// moves waits until a builder is in another state.
func (h *house) moves(was *Builder, ended func() bool) {
	h.t.Helper()
	worktest.Until(h.t, was.Name+" is not "+string(was.State), func() bool {
		d, err := h.store.Get(h.t.Context(), was.key())
		if ended() || errors.Is(err, store.ErrNotFound) {
			return true
		}
		h.must(err)
		r, err := decode(d)
		h.must(err)
		return r.State != was.State
	})
}

// settled waits until nothing is under way.
func (h *house) settled(called string) {
	h.t.Helper()
	worktest.Until(h.t, called+" is settled", func() bool {
		d, err := h.store.Get(h.t.Context(), keyOf(account, region, called))
		if errors.Is(err, store.ErrNotFound) {
			return true
		}
		h.must(err)
		r, err := decode(d)
		h.must(err)
		return !r.State.working()
	})
	if i, ok := h.find("of-" + called); ok && i.State != image.Available {
		h.t.Errorf("image %s is %s", i.Name, i.State)
	}
}

func (h *house) find(called string) (image.Image, bool) {
	h.t.Helper()
	page, err := h.images.List(h.t.Context(), image.Query{Account: account, Region: region, Names: []string{called}})
	if err != nil || len(page.Images) == 0 {
		return image.Image{}, false
	}
	return page.Images[0], true
}

// capturing has a builder become an image, as its machine would.
func (h *house) capturing(r *Builder, made string) {
	h.t.Helper()
	_ = h.Assist(h.t.Context(), r.Machine, createImage(made))
}

// refusing fails one commit that ends a snapshot.
type refusing struct {
	store.Store
	done atomic.Bool
}

func (r *refusing) Commit(ctx context.Context, b store.Batch) error {
	for _, w := range b.Put {
		if w.Kind == image.Kind && w.Was != 0 && r.done.CompareAndSwap(false, true) {
			return errDead
		}
	}
	return r.Store.Commit(ctx, b)
}

func TestALayerWhoseImageCouldNotBeStoredIsMadeAnewAndRemoved(t *testing.T) {
	t.Parallel()
	h := open(t)
	r := &refusing{Store: h.store}
	h.start(func(c *Config) { c.Store, c.Lease = r, 100*time.Millisecond })
	h.capturing(h.create("one"), "made")
	h.is("one", Stopped)
	if i := h.image("made"); i.State != image.Available || !r.done.Load() {
		t.Errorf("the image is %s, %+v", i.State, i.Reason)
	}
	worktest.Until(t, "no layer is left", func() bool {
		left, _ := os.ReadDir(h.config.Folder)
		return len(left) == 0
	})
}

func TestTheBuildersOfADeadNodeAreSettled(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.away("node-2")
	h.open(func(c *Config) { c.Machines = nil })
	h.put("running", Running)
	h.put("stopped", Stopped)
	h.put("deleting", Deleting)
	h.put("new", Pending, func(r *Builder) { r.Made = false })
	h.put("starting", Pending)
	h.put("rebooting", Rebooting)
	base, err := h.images.Usable(t.Context(), account, region, "base")
	h.must(err)
	i, batch, err := h.images.Begin(t.Context(), image.Beginning{Account: account, Region: region, Name: "made", Base: base, BuilderName: "snapshot"})
	h.must(err)
	h.must(h.store.Commit(t.Context(), batch))
	h.put("snapshot", Snapshotting, func(r *Builder) { r.Snapshot = &i })
	body, err := json.Marshal(node{ID: "node-2", Seen: time.Now().Add(-time.Hour)})
	h.must(err)
	h.must(h.store.Commit(t.Context(), store.Batch{Put: []store.Write{{Was: store.Any, Document: store.Document{
		Key: store.Key{Kind: KindNode, ID: "node-2"}, Summary: body, Body: body, Index: []store.Entry{{Index: indexNodes, Sort: "node-2"}},
	}}}}))
	h.run()
	for called, want := range map[string]State{"running": Stopped, "stopped": Stopped, "new": Failed, "starting": Stopped, "rebooting": Stopped, "snapshot": Stopped} {
		b := h.is(called, want)
		if called != "stopped" && (b.Reason == nil || b.Reason.Code != InternalError) {
			t.Errorf("%s is %s, and the reason is %+v", called, b.State, b.Reason)
		}
	}
	h.gone("deleting")
	if i := h.image("made"); i.State != image.Failed || i.Reason.Code != image.BuilderNotAvailable {
		t.Errorf("the image is %s, %+v", i.State, i.Reason)
	}
	if n, err := h.node(t.Context(), "node-2"); err != nil || !n.Gone {
		t.Errorf("the node is %+v, %v", n, err)
	}
	h.put("late", Pending) // of a call that took it for alive
	h.is("late", Stopped)
	if _, err := h.Start(t.Context(), account, region, "running", "", nil); !apierror.Is(err, "ResourceNotAvailableException") {
		t.Errorf("starting one whose machine is away: %v", err)
	}
	_, err = h.Delete(t.Context(), account, region, "running", nil)
	h.must(err)
	h.gone("running")
	for _, called := range []string{"stopped", "new", "starting", "rebooting", "snapshot", "late"} {
		_, err = h.Delete(t.Context(), account, region, called, nil)
		h.must(err)
	}
	worktest.Until(t, "the node is forgotten", func() bool {
		_, err := h.node(t.Context(), "node-2")
		return errors.Is(err, store.ErrNotFound)
	})
	wrong, err := h.Doctor(t.Context())
	if err != nil || len(wrong) > 0 {
		t.Errorf("the doctor finds %q, %v", wrong, err)
	}
}

// stuck is machines that can't be deleted for a while.
type stuck struct {
	machine.Provider
	free atomic.Bool
}

func (s *stuck) Delete(ctx context.Context, id string) error {
	if !s.free.Load() {
		return errors.New("the disk does not answer")
	}
	return s.Provider.Delete(ctx, id)
}

// A builder whose machine can't be deleted is gone all the same, and its machine as
// soon as that goes: nobody restarts the node for it.
func TestAMachineThatCanNotBeDeletedIsDeletedLater(t *testing.T) {
	t.Parallel()
	h := open(t)
	machines := &stuck{}
	h.start(func(c *Config) { machines.Provider, c.Machines = c.Machines, machines })
	h.create("one")
	_, err := h.Delete(t.Context(), account, region, "one", nil)
	h.must(err)
	h.gone("one")
	all, err := machines.List(t.Context())
	if err != nil || len(all) != 1 {
		t.Errorf("there are the machines %+v, %v", all, err)
	}
	machines.free.Store(true)
	worktest.Until(t, "its machine is removed", func() bool {
		all, err := machines.List(t.Context())
		h.must(err)
		return len(all) == 0
	})
	h.healthy(0)
}

// second is another node, for which everybody else is dead, and which settles what
// those have at each beat.
func (h *house) second(beat time.Duration) *Builders {
	h.t.Helper()
	b, err := New(Config{
		Store: h.store, Images: h.images, Layers: h.below.Images, Keys: h.below.Registry.Keys, Node: "node-2", Folder: h.t.TempDir(), AgentVersion: "1.0",
		Beat: beat, Dead: time.Nanosecond,
	})
	h.must(err)
	return b
}

func TestANodeThatWasThoughtDeadRemovesWhatWasDeleted(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.start(func(c *Config) { c.Beat = 20 * time.Millisecond })
	h.create("one")
	second := h.second(time.Hour) // it settles nothing
	worktest.Run(t, second.Run)
	worktest.Until(t, "it is deleted", func() bool {
		_, err := second.Delete(t.Context(), account, region, "one", nil)
		return err == nil
	})
	worktest.Until(t, "its machine is removed", func() bool {
		all, err := h.config.Machines.List(t.Context())
		h.must(err)
		return len(all) == 0 && len(h.Live()) == 0
	})
	h.gone("one")
	h.healthy(0)
}

func TestANodeThatWasThoughtDeadStopsWhatWasSettled(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.start(func(c *Config) { c.Beat = 20 * time.Millisecond })
	b := h.create("one")
	second := h.second(20 * time.Millisecond)
	stop := worktest.Run(t, second.Run)
	if r := h.is("one", Stopped); r.Reason == nil || r.Reason.Code != InternalError {
		t.Errorf("the reason is %+v", r.Reason)
	}
	stop()
	worktest.Until(t, "its machine is stopped", func() bool {
		all, err := h.config.Machines.List(t.Context())
		h.must(err)
		return len(all) == 1 && all[0].ID == b.Machine && all[0].State == machine.Stopped && len(h.Live()) == 0
	})
	worktest.Until(t, "it starts again", func() bool {
		_, err := h.Start(t.Context(), account, region, "one", "", nil)
		return err == nil
	})
	h.is("one", Running)
	h.healthy(1)
}

// TestWhatABuilderMayReachIsWhatHoldsNow: the list of places is that of the server
// that starts its machine, not that of the one that made it.
func TestWhatABuilderMayReachIsWhatHoldsNow(t *testing.T) {
	t.Parallel()
	h := open(t)
	lists := func(places ...string) edit { return func(c *Config) { c.Egress = places } }
	h.start(lists("example.com"))
	h.create("one", func(r *Request) { r.Internet = true })
	h.create("closed")
	const proxies = "env | grep -c -i ^https*_proxy="
	if got := h.sh("one", proxies); got != "0 4" {
		t.Errorf("with a list: %q", got)
	}
	for _, c := range []struct {
		places []string
		one    string
	}{{nil, "1 0"}, {[]string{"example.org"}, "0 4"}} {
		h.start(lists(c.places...))
		for name, want := range map[string]string{"one": c.one, "closed": "1 0"} {
			h.is(name, Stopped)
			_, err := h.Start(t.Context(), account, region, name, "", nil)
			h.must(err)
			h.is(name, Running)
			if got := h.sh(name, proxies); got != want {
				t.Errorf("%s with the list %v: %q, want %q", name, c.places, got, want)
			}
		}
	}
}

func TestANodeThatIsToldToEndAtOnceHasNoErrors(t *testing.T) {
	t.Parallel()
	h := open(t)
	var said bytes.Buffer
	h.open(func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&said, nil)) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = h.Run(ctx)
	if strings.Contains(said.String(), "level=ERROR") {
		t.Errorf("it says %s", said.String())
	}
}

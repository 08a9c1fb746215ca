package layer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	. "souk/artifact/archive/archivetest"
	"souk/artifact/images"
	"souk/artifact/layer"
)

// seen is a layer whose reading is watched.
type seen struct {
	v1.Layer
	opened *atomic.Int32
	wrap   func(io.ReadCloser) io.ReadCloser
}

func (s seen) Compressed() (io.ReadCloser, error) {
	s.opened.Add(1)
	r, err := s.Layer.Compressed()
	if err == nil && s.wrap != nil {
		r = s.wrap(r)
	}
	return r, err
}

func watch(t testing.TB, b []byte, wrap func(io.ReadCloser) io.ReadCloser) (images.Layer, *atomic.Int32) {
	t.Helper()
	n := new(atomic.Int32)
	l, err := images.LayerOf(seen{static.NewLayer(b, types.OCILayer), n, wrap})
	must(t, err)
	return l, n
}

func TestALayerThatIsNotWhatItsDiffIDSaysIsRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "layers")
	c := open(t, config(dir))
	secret, other := Tar(File("secret", "of another seller")), Tar(File("f", "x"))
	for _, there := range []bool{false, true} { // whether the layer of that diff id is there
		for _, bytes := range [][]byte{other, Gzip(other)} {
			_, _, err := c.Get(t.Context(), []images.Layer{stored(t, bytes, digest(secret))})
			if !errors.Is(err, layer.ErrBadLayer) {
				t.Errorf("with the layer there %v the error is %v", there, err)
			}
		}
		if n, _ := c.Size(); n != 0 && !there || len(folders(t, dir)) != 2*n {
			t.Errorf("%d layers are there: %q", n, folders(t, dir))
		}
		tree := get(t, c, plain(t, secret))
		if isMissing(filepath.Join(tree, "secret")) {
			t.Error("the layer itself is refused")
		}
	}
}

func TestBytesThatAreNotWhatTheirDigestSaysAreRefused(t *testing.T) {
	t.Parallel()
	c := open(t, config(filepath.Join(t.TempDir(), "layers")))
	b := Tar(File("f", "x"))
	l, _ := watch(t, b, func(io.ReadCloser) io.ReadCloser { return io.NopCloser(bytes.NewReader(Tar(File("f", "y")))) })
	_, _, err := c.Get(t.Context(), []images.Layer{l})
	if !errors.Is(err, layer.ErrBadLayer) || !strings.Contains(err.Error(), l.Digest) {
		t.Errorf("the error is %v", err)
	}
}

// fails gives its bytes, and then an error of the registry's disk.
type fails struct {
	io.Reader
	err error
}

func (f *fails) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err == io.EOF {
		err = f.err
	}
	return n, err
}

func (f *fails) Close() error { return nil }

func TestALayerThatCannotBeReadIsNotCalledBad(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "layers")
	c := open(t, config(dir))
	b := Tar(File("f", strings.Repeat("x", 1<<20)))
	for _, n := range []int{0, 700, 500_000, len(b) - 100} {
		l, _ := watch(t, b, func(io.ReadCloser) io.ReadCloser { return &fails{bytes.NewReader(b[:n]), syscall.ENOENT} })
		_, _, err := c.Get(t.Context(), []images.Layer{l})
		if !errors.Is(err, syscall.ENOENT) || errors.Is(err, layer.ErrBadLayer) || len(folders(t, dir)) > 0 {
			t.Errorf("after %d bytes: %v, and %q stay", n, err, folders(t, dir))
		}
	}
}

func TestDiffIDsThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	c := open(t, config(filepath.Join(t.TempDir(), "layers")))
	l := plain(t, Good())
	for _, id := range []string{"", "sha256:", "../../etc", "sha256:" + strings.Repeat("A", 64), "sha512:" + strings.Repeat("a", 128), l.DiffID + "/"} {
		l.DiffID = id
		_, _, err := c.Get(t.Context(), []images.Layer{l})
		if !errors.Is(err, layer.ErrBadLayer) {
			t.Errorf("for %q the error is %v", id, err)
		}
	}
}

func TestALayerIsUnpackedOnceForAll(t *testing.T) {
	t.Parallel()
	c := open(t, config(filepath.Join(t.TempDir(), "layers")))
	l, opened := watch(t, Tar(File("f", strings.Repeat("x", 1<<20))), nil)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			dirs, release, err := c.Get(t.Context(), []images.Layer{l})
			if err != nil || len(dirs) != 1 {
				t.Errorf("%q, %v", dirs, err)
				return
			}
			release()
			release() // a second time is no fault
		})
	}
	all.Wait()
	if opened.Load() != 1 {
		t.Errorf("it was read %d times", opened.Load())
	}
	// The same layer in another form is read to see that it is the same, once.
	z := stored(t, Gzip(Tar(File("f", strings.Repeat("x", 1<<20)))), l.DiffID)
	if get(t, c, z) != get(t, c, l) {
		t.Error("one layer has two folders")
	}
	if n, _ := c.Size(); n != 1 {
		t.Errorf("%d layers are there", n)
	}
}

func TestWhoWaitsGoesOnWhenTheOtherGivesUp(t *testing.T) {
	t.Parallel()
	c := open(t, config(filepath.Join(t.TempDir(), "layers")))
	b := Tar(File("f", strings.Repeat("x", 1<<20)))
	ctx, cancel := context.WithCancelCause(t.Context())
	started, proceed := make(chan struct{}), make(chan struct{})
	slow, _ := watch(t, b, func(r io.ReadCloser) io.ReadCloser {
		close(started)
		<-proceed
		return r
	})
	gaveUp := errors.New("gave up")
	var first, second error
	var all sync.WaitGroup
	all.Go(func() { _, _, first = c.Get(ctx, []images.Layer{slow}) })
	<-started
	all.Go(func() {
		dirs, release, err := c.Get(t.Context(), []images.Layer{plain(t, b)})
		second = err
		if err == nil {
			defer release()
			if isMissing(filepath.Join(dirs[0], "f")) {
				t.Error("the layer is not whole")
			}
		}
	})
	cancel(gaveUp)
	close(proceed)
	all.Wait()
	if !errors.Is(first, gaveUp) || second != nil {
		t.Errorf("the first got %v, the second %v", first, second)
	}
}

func TestOneBadLayerEndsThemAllAndNothingOfItStays(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "layers")
	c := open(t, config(dir))
	good, bad := plain(t, Good()), plain(t, Tar(File("../x", "")))
	_, _, err := c.Get(t.Context(), []images.Layer{good, bad})
	if !errors.Is(err, layer.ErrBadLayer) || !strings.Contains(err.Error(), "layer 2 of 2 ("+bad.DiffID+")") {
		t.Errorf("the error is %v", err)
	}
	_, _, err = c.Hold([]string{bad.DiffID})
	if !errors.Is(err, layer.ErrMissing) {
		t.Errorf("holding it: %v", err)
	}
}

// clock is a time that goes on by a second whenever it is asked.
func clock() func() time.Time {
	var n atomic.Int64
	return func() time.Time { return time.Unix(1_700_000_000+n.Add(1), 0) }
}

// block is a layer of a megabyte.
func block(t testing.TB, name string) images.Layer {
	return plain(t, Tar(File(name, strings.Repeat("x", 1<<20))))
}

func TestWhatWasNotUsedForLongestIsEvicted(t *testing.T) {
	t.Parallel()
	cfg := config(filepath.Join(t.TempDir(), "layers"))
	cfg.Size, cfg.Now = 5<<19, clock() // two and a half
	c := open(t, cfg)
	a, b, d := block(t, "a"), block(t, "b"), block(t, "d")
	take := func(l images.Layer) (string, func()) {
		dirs, release, err := c.Get(t.Context(), []images.Layer{l})
		must(t, err)
		return dirs[0], release
	}
	inA, freeA := take(a)
	inB, freeB := take(b)
	freeB()
	freeA() // a was used after b
	inD, freeD := take(d)
	if isMissing(inA) || !isMissing(inB) || isMissing(inD) {
		t.Fatalf("%q are left", folders(t, cfg.Root))
	}
	freeD()
	// What is held stays, although it is the oldest.
	_, drop, err := c.Hold([]string{a.DiffID})
	must(t, err)
	inB, freeB = take(b)
	if isMissing(inA) || isMissing(inB) || !isMissing(inD) {
		t.Fatalf("%q are left", folders(t, cfg.Root))
	}
	// What is in use may be more than the limit, until it is given back.
	inD, freeD = take(d)
	if _, bytes := c.Size(); bytes < 3<<20 || isMissing(inA) || isMissing(inB) || isMissing(inD) {
		t.Fatalf("%q are left", folders(t, cfg.Root))
	}
	freeB()
	if !isMissing(inB) {
		t.Error("the limit is forgotten once what was in use is given back")
	}
	drop()
	freeD()
	must(t, c.Close())
	// The order is known to the next process.
	cfg.Size = 3 << 19
	c = open(t, cfg)
	_, free := take(d)
	free()
	if !isMissing(inA) || isMissing(inD) {
		t.Errorf("%q are left", folders(t, cfg.Root))
	}
}

func TestOneFolderIsForOneCache(t *testing.T) {
	t.Parallel()
	cfg := config(filepath.Join(t.TempDir(), "layers"))
	c := open(t, cfg)
	_, err := layer.New(cfg)
	if !errors.Is(err, layer.ErrInUse) {
		t.Errorf("the error is %v", err)
	}
	must(t, c.Close())
	open(t, cfg)
}

func TestTheNextProcessFindsWhatIsWhole(t *testing.T) {
	t.Parallel()
	cfg := config(filepath.Join(t.TempDir(), "layers"))
	l := plain(t, Good())
	c := open(t, cfg)
	dir := get(t, c, l)
	before := look(t, dir)
	must(t, c.Close())
	for _, name := range []string{"new-123/d/f", "old-abc/x", "new-123.1/f", strings.Repeat("a", 26) + "/f", strings.Repeat("a", 26) + ".7/f"} {
		file(t, filepath.Join(cfg.Root, name), "half")
	}
	for _, name := range []string{strings.Repeat("b", 26) + ".json", filepath.Base(dir) + ".json.new"} {
		must(t, os.WriteFile(filepath.Join(cfg.Root, name), []byte("{}"), 0o600))
	}
	c = open(t, cfg)
	if all := folders(t, cfg.Root); !slices.Equal(all, []string{filepath.Base(dir), filepath.Base(dir) + ".json"}) {
		t.Errorf("%q are there", all)
	}
	dirs, release, err := c.Hold([]string{l.DiffID})
	must(t, err)
	defer release()
	must(t, compare(before, look(t, dirs[0])))
	if n, bytes := c.Size(); n != 1 || bytes <= 0 {
		t.Errorf("%d layers of %d bytes", n, bytes)
	}
}

// What a record must say for its layer to be taken over after a loss of power.
func TestALayerThatMayNotHaveReachedTheDiskIsUnpackedAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(r map[string]any)
		kept   bool
	}{
		"synced before another boot":      {func(r map[string]any) { r["Synced"], r["Boot"] = true, "another" }, true},
		"not synced, the same boot":       {func(r map[string]any) { r["Synced"] = false }, true},
		"not synced, another boot":        {func(r map[string]any) { r["Synced"], r["Boot"] = false, "another" }, false},
		"not synced, nobody knows":        {func(r map[string]any) { r["Synced"], r["Boot"] = false, "" }, false},
		"record of another layer":         {func(r map[string]any) { r["DiffID"] = digest([]byte("other")) }, false},
		"record with half of its content": {func(r map[string]any) { clear(r) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(filepath.Join(t.TempDir(), "layers"))
			b := Good()
			c := open(t, cfg)
			dir := get(t, c, plain(t, b))
			must(t, c.Close())
			raw, err := os.ReadFile(dir + ".json")
			must(t, err)
			var r map[string]any
			must(t, json.Unmarshal(raw, &r))
			if r["Synced"] != true {
				t.Error("Close did not wait for the disk")
			}
			test.change(r)
			raw, err = json.Marshal(r)
			must(t, err)
			must(t, os.WriteFile(dir+".json", raw, 0o600))
			c = open(t, cfg)
			l, opened := watch(t, b, nil)
			get(t, c, l)
			if kept := opened.Load() == 0; kept != test.kept {
				t.Errorf("it was kept: %v", kept)
			}
		})
	}
}

// TestTreesAreFoundFromEverywhere: who stacks them may be in another folder than
// this process, whose folder of layers was named from where it is.
func TestTreesAreFoundFromEverywhere(t *testing.T) {
	t.Chdir(t.TempDir())
	c := open(t, config("layers"))
	tree := get(t, c, plain(t, Tar(File("f", "x"))))
	if !filepath.IsAbs(tree) {
		t.Errorf("the tree is at %s", tree)
	}
}

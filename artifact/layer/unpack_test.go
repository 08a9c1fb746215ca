package layer_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"souk/artifact/archive"
	. "souk/artifact/archive/archivetest"
	"souk/artifact/images"
	"souk/artifact/layer"
)

// long is the time of the tests' files, with parts of a second.
var long = time.Unix(1_600_000_000, 123_456_000)

func with(e Entry, change func(h *tar.Header)) Entry {
	e.Format, e.ModTime = tar.FormatPAX, long
	change(&e.Header)
	return e
}

func attr(name, value string) func(*tar.Header) {
	return func(h *tar.Header) { h.PAXRecords = map[string]string{"SCHILY.xattr." + name: value} }
}

func TestUnpackedFilesAreWhatTheLayerSays(t *testing.T) {
	t.Parallel()
	zeros := strings.Repeat("\x00", 1<<20)
	dir := get(t, open(t, config(filepath.Join(t.TempDir(), "layers"))), zipped(t, Tar(
		with(Dir("./"), func(h *tar.Header) { h.Mode = 0o711 }),
		with(Dir("closed/"), func(h *tar.Header) { h.Mode, h.Uid = 0o500, 7 }),
		with(File("closed/su", "su"), func(h *tar.Header) { h.Mode, h.Uid, h.Gid = 0o6755, 33, 65535 }),
		Link("closed/su2", "closed/su"),
		with(Dir("tmp/"), func(h *tar.Header) { h.Mode = 0o1777 }),
		with(Symlink("tmp/etc", "/etc"), func(h *tar.Header) { h.Uid = 5 }),
		Link("tmp/etc2", "tmp/etc"),
		File("sparse", zeros+"end"+zeros),
		File("implied/below/f", "f"),
		with(File("labelled", "x"), attr("user.colour", "red\x00")),
		with(File("trusted", "x"), attr("trusted.overlay.redirect", "/etc")),
		with(File("overlaid", "x"), attr("user.overlay.opaque", "y")),
		File("odd\n\xff name", "x"),
	)))
	own := func(uid, gid uint32) (uint32, uint32) {
		if root {
			return uid + shift, gid + shift
		}
		return uint32(os.Geteuid()), uint32(os.Getegid())
	}
	for name, want := range map[string]struct {
		mode, uid, gid uint32
		sec, nsec      int64
	}{
		".":               {unix.S_IFDIR | 0o711, 0, 0, long.Unix(), 123_456_000},
		"closed":          {unix.S_IFDIR | 0o500, 7, 0, long.Unix(), 123_456_000},
		"closed/su":       {unix.S_IFREG | 0o6755, 33, 65535, long.Unix(), 123_456_000},
		"tmp":             {unix.S_IFDIR | 0o1777, 0, 0, long.Unix(), 123_456_000},
		"tmp/etc":         {unix.S_IFLNK | 0o777, 5, 0, long.Unix(), 123_456_000},
		"implied":         {unix.S_IFDIR | 0o755, 0, 0, 0, 0},
		"implied/below/f": {unix.S_IFREG | 0o644, 0, 0, 0, 0},
		"odd\n\xff name":  {unix.S_IFREG | 0o644, 0, 0, 0, 0},
	} {
		st := status(t, filepath.Join(dir, name))
		uid, gid := own(want.uid, want.gid)
		if st.Mode != want.mode || st.Uid != uid || st.Gid != gid || name != "implied/below/f" && name != "odd\n\xff name" && (st.Mtim.Sec != want.sec || st.Mtim.Nsec != want.nsec) {
			t.Errorf("%q has mode %o, owner %d:%d, time %d.%09d", name, st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec)
		}
	}
	for _, pair := range [][2]string{{"closed/su", "closed/su2"}, {"tmp/etc", "tmp/etc2"}} {
		if status(t, filepath.Join(dir, pair[0])).Ino != status(t, filepath.Join(dir, pair[1])).Ino {
			t.Errorf("%s and %s are not one file", pair[0], pair[1])
		}
	}
	sparse, err := os.ReadFile(filepath.Join(dir, "sparse"))
	must(t, err)
	if string(sparse) != zeros+"end"+zeros {
		t.Error("a file with holes reads otherwise than it was")
	}
	if blocks := status(t, filepath.Join(dir, "sparse")).Blocks; blocks > 64 {
		t.Errorf("a file of zeros takes %d blocks", blocks)
	}
	if to, err := os.Readlink(filepath.Join(dir, "tmp/etc")); err != nil || to != "/etc" {
		t.Errorf("the symbolic link leads to %q, %v", to, err)
	}
	if v := attribute(t, filepath.Join(dir, "labelled"), "user.colour"); string(v) != "red\x00" {
		t.Errorf("the attribute is %q", v)
	}
	for _, name := range []string{"trusted", "overlaid"} {
		if all := attributes(t, filepath.Join(dir, name)); len(all) > 0 {
			t.Errorf("%s has what only overlayfs may note: %q", name, all)
		}
	}
}

func TestWhatALayerTakesAwayIsInTheFormOfOverlayfs(t *testing.T) {
	t.Parallel()
	dir := get(t, open(t, config(filepath.Join(t.TempDir(), "layers"))), plain(t, Tar(
		File("etc/.wh.passwd", ""),
		File("opaque/.wh.a", ""), File("opaque/.wh..wh..opq", ""), File("opaque/b", "b"),
		File(".wh.again", ""), File("again/f", "f"), // the old one is gone, the new one stays
		File("kept", "k"), File(".wh.kept", ""),
		File(".wh..wh.plnk", ""),
	)))
	overlay := "trusted.overlay.opaque"
	if !root {
		overlay = "user.overlay.opaque"
	}
	if st := status(t, filepath.Join(dir, "etc/passwd")); st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != 0 {
		t.Errorf("the file that was taken away has mode %o and device %d", st.Mode, st.Rdev)
	}
	for _, name := range []string{"opaque", "again"} {
		if v := attribute(t, filepath.Join(dir, name), overlay); string(v) != "y" {
			t.Errorf("%s of %s is %q", overlay, name, v)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "kept")); err != nil || string(b) != "k" {
		t.Errorf("a file of the same layer was taken away: %q, %v", b, err)
	}
	tree := look(t, dir)
	for _, name := range []string{"opaque/a", ".wh..wh.plnk", ".wh.plnk"} {
		if is, ok := tree[name]; ok {
			t.Errorf("%s is there: %s", name, is)
		}
	}
}

func TestALayerThatHidesAllBelowIsTheLowest(t *testing.T) {
	t.Parallel()
	c := open(t, config(filepath.Join(t.TempDir(), "layers")))
	low, covers, high := plain(t, Tar(File("low", "x"))), plain(t, Tar(File(".wh..wh..opq", ""), File("middle", "x"))), plain(t, Tar(File("high", "x")))
	dirs, release, err := c.Get(t.Context(), []images.Layer{high, low, covers, high, high})
	must(t, err)
	defer release()
	held, drop, err := c.Hold([]string{high.DiffID, low.DiffID, covers.DiffID, high.DiffID, high.DiffID})
	must(t, err)
	defer drop()
	if len(dirs) != 2 || isMissing(filepath.Join(dirs[0], "middle")) || isMissing(filepath.Join(dirs[1], "high")) || !slices.Equal(dirs, held) {
		t.Errorf("the folders are %q, held are %q", dirs, held)
	}
}

// watched runs do with a cache and its folder, and fails if anything outside of
// that was changed.
func watched(t *testing.T, c layer.Config, do func(c *layer.Cache, dir string)) {
	t.Helper()
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "file"), []byte("untouched"), 0o600))
	must(t, os.Mkdir(filepath.Join(outside, "escaped"), 0o700))
	c.Root = filepath.Join(outside, "a", "layers")
	k, err := layer.New(c)
	must(t, err)
	before := outsideOf(t, outside)
	do(k, c.Root)
	must(t, k.Close())
	err = compare(before, outsideOf(t, outside))
	if err != nil {
		t.Errorf("outside of the folder: %v", err)
	}
}

// outsideOf is what lies outside of the folder of layers, and its folder's mere being.
func outsideOf(t testing.TB, dir string) map[string]string {
	tree := look(t, dir)
	for name := range tree {
		if strings.HasPrefix(name, "a/layers") {
			delete(tree, name)
		}
	}
	return tree
}

func TestHostileLayersAreRefusedAndNothingStays(t *testing.T) {
	t.Parallel()
	for _, s := range Samples() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			cfg := config("")
			cfg.Limits = s.Limits
			watched(t, cfg, func(c *layer.Cache, dir string) {
				l := plain(t, s.Bytes)
				_, _, err := c.Get(t.Context(), []images.Layer{l})
				var r *archive.Refusal
				if !errors.Is(err, layer.ErrBadLayer) || !errors.As(err, &r) || r.Reason != s.Reason || !strings.Contains(err.Error(), l.DiffID) {
					t.Errorf("the error is %v", err)
				}
				if n, bytes := c.Size(); n != 0 || bytes != 0 {
					t.Errorf("%d layers of %d bytes stay", n, bytes)
				}
				if all := folders(t, dir); len(all) > 0 {
					t.Errorf("%q stay", all)
				}
			})
		})
	}
}

func TestLayersThatNoTreeCanBeMadeOfAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		entry   string
		limits  archive.Limits
		entries []Entry
		root    bool // only root's layers have owners
	}{
		"link to a file of no entry":            {"l", archive.Limits{}, []Entry{Link("l", "missing")}, false},
		"link into a directory of no entry":     {"l", archive.Limits{}, []Entry{Link("l", "no/such/file")}, false},
		"link to a file that comes later":       {"l", archive.Limits{}, []Entry{Link("l", "f"), File("f", "")}, false},
		"link to a directory":                   {"l", archive.Limits{}, []Entry{Dir("d"), Link("l", "d")}, false},
		"link to what is taken away":            {"l", archive.Limits{}, []Entry{File(".wh.f", ""), Link("l", ".wh.f")}, false},
		"link through a symbolic link":          {"l", archive.Limits{}, []Entry{Dir("d"), File("d/f", ""), Symlink("s", "d"), Link("l", "s/f")}, false},
		"link through an absolute one":          {"l", archive.Limits{}, []Entry{Symlink("s", "/etc"), Link("l", "s/passwd")}, false},
		"file below a whiteout":                 {".wh.d/f", archive.Limits{}, []Entry{File(".wh.d/f", "")}, false},
		"capabilities of no form":               {"f", archive.Limits{}, []Entry{with(File("f", ""), attr("security.capability", "\x01\x00\x00\x02"))}, true},
		"user that no machine has":              {"f", archive.Limits{}, []Entry{with(File("f", ""), func(h *tar.Header) { h.Uid = 65536 })}, true},
		"user below zero":                       {"f", archive.Limits{}, []Entry{with(File("f", ""), func(h *tar.Header) { h.Uid = -1 })}, true},
		"group that no machine has":             {"f", archive.Limits{}, []Entry{with(File("f", ""), func(h *tar.Header) { h.Gid = 1 << 31 })}, true},
		"more bytes in holes than there may be": {"b", archive.Limits{Bytes: 6 << 10}, []Entry{File("a", strings.Repeat("x", 2000)), File("b", strings.Repeat("x", 5000))}, false},
	} {
		if test.root && !root {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config("")
			cfg.Limits = test.limits
			watched(t, cfg, func(c *layer.Cache, dir string) {
				_, _, err := c.Get(t.Context(), []images.Layer{zipped(t, Tar(test.entries...))})
				if !errors.Is(err, layer.ErrBadLayer) || !strings.Contains(err.Error(), `"`+test.entry+`"`) {
					t.Errorf("the error is %v", err)
				}
				if all := folders(t, dir); len(all) > 0 {
					t.Errorf("%q stay", all)
				}
			})
		})
	}
}

func FuzzUnpack(f *testing.F) {
	for _, s := range Samples() {
		if len(s.Bytes) < 1<<16 {
			f.Add(s.Bytes)
		}
	}
	f.Add(Good())
	f.Add(Tar(File("a/.wh.b", ""), File("a/.wh..wh..opq", ""), File(".wh..wh..opq", ""), Symlink("l", "/"), Link("m", "l"), File(".wh.l", "")))
	// One cache for all, which keeps nothing: waiting for the disk takes longest.
	outside := f.TempDir()
	must(f, os.WriteFile(filepath.Join(outside, "file"), []byte("untouched"), 0o600))
	must(f, os.Mkdir(filepath.Join(outside, "escaped"), 0o700))
	cfg := config(filepath.Join(outside, "a", "layers"))
	cfg.Limits, cfg.Size = archive.Limits{Bytes: 1 << 20, Entries: 1000}, 1
	c := open(f, cfg)
	before := outsideOf(f, outside)
	f.Fuzz(func(t *testing.T, b []byte) {
		dirs, release, err := c.Get(t.Context(), []images.Layer{stored(t, b, digest(decoded(b, cfg.Limits)))})
		if err == nil {
			for _, dir := range dirs {
				err = filepath.WalkDir(dir, func(_ string, _ os.DirEntry, err error) error { return err })
				if root {
					must(t, err)
				}
			}
			release()
		}
		must(t, compare(before, outsideOf(t, outside)))
		if n, _ := c.Size(); n > 0 {
			t.Errorf("%d layers stay", n)
		}
		for _, name := range folders(t, cfg.Root) {
			if !strings.HasSuffix(name, ".new") {
				t.Errorf("%s stays", name)
			}
		}
	})
}

// decoded is what comes out of a decoder, as far as it goes.
func decoded(b []byte, limits archive.Limits) []byte {
	r, err := archive.New(bytes.NewReader(b), limits)
	if err != nil {
		return b
	}
	defer r.Close()
	var out bytes.Buffer
	r.Tee(&out)
	for err == nil {
		_, err = r.Next()
	}
	return out.Bytes()
}

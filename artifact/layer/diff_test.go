package layer_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"souk/artifact/archive"
	"souk/artifact/layer"
)

// diff returns the layer that a tree makes, with its entries as archive reads them.
func diff(t testing.TB, dir string, o layer.Options) ([]byte, []*tar.Header, layer.Stats) {
	t.Helper()
	var b bytes.Buffer
	stats, err := layer.Diff(t.Context(), &b, dir, o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := archive.New(bytes.NewReader(b.Bytes()), o.Limits)
	must(t, err)
	defer r.Close()
	var all []*tar.Header
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		must(t, err)
		all = append(all, h)
	}
	if stats.DiffID != digest(b.Bytes()) || stats.Size != int64(b.Len()) || stats.Entries != len(all) {
		t.Errorf("%+v is said of a layer of %d entries, %d bytes and the digest %s", stats, len(all), b.Len(), digest(b.Bytes()))
	}
	return b.Bytes(), all, stats
}

// upper is a directory that is still empty, as a machine has it above its layers.
func upper(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	must(t, owned(dir, 0, 0))
	return dir
}

// owned gives a file to users of the machine, if that is possible.
func owned(p string, uid, gid int) error {
	if !root {
		return nil
	}
	return os.Lchown(p, uid+shift, gid+shift)
}

func overlayName(name string) string {
	if root {
		return "trusted.overlay." + name
	}
	return "user.overlay." + name
}

func file(t testing.TB, p, data string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(p), 0o755))
	must(t, os.WriteFile(p, []byte(data), 0o644))
	for ; status(t, p).Uid == 0 && root; p = filepath.Dir(p) {
		must(t, owned(p, 0, 0))
	}
}

func TestTheEntriesOfALayer(t *testing.T) {
	t.Parallel()
	dir := upper(t)
	file(t, filepath.Join(dir, "b/f"), "data")
	must(t, os.Link(filepath.Join(dir, "b/f"), filepath.Join(dir, "b/g")))
	file(t, filepath.Join(dir, "dev/made-for-a-mount"), "")
	file(t, filepath.Join(dir, "run/product/deep/f"), "")
	file(t, filepath.Join(dir, "hidden/f"), "new")
	must(t, unix.Setxattr(filepath.Join(dir, "hidden"), overlayName("opaque"), []byte("y"), 0))
	must(t, unix.Setxattr(filepath.Join(dir, "b"), overlayName("impure"), []byte("y"), 0))
	must(t, unix.Mknod(filepath.Join(dir, "b/gone"), unix.S_IFCHR, 0))
	must(t, unix.Mkfifo(filepath.Join(dir, "b/pipe"), 0o600))
	file(t, filepath.Join(dir, "b/gone-by-attribute"), "")
	must(t, unix.Setxattr(filepath.Join(dir, "b/gone-by-attribute"), overlayName("whiteout"), []byte("y"), 0))
	for name, to := range map[string]string{"up": "../usr/lib", "b/up": "../../../etc/x", "b/in": "../usr", "rooted": "..", "b/abs": "/etc"} {
		must(t, os.Symlink(to, filepath.Join(dir, name)))
		must(t, owned(filepath.Join(dir, name), 0, 0))
	}
	o := options()
	o.Skip = []string{"dev", "run/product"}
	_, all, stats := diff(t, dir, o)
	var got []string
	for _, h := range all {
		is := fmt.Sprintf("%c %s", h.Typeflag, h.Name)
		if h.Linkname != "" {
			is += " -> " + h.Linkname
		}
		got = append(got, is)
		if len(h.PAXRecords) > 0 || h.Uid != 0 || h.Gid != 0 || h.Uname != "" || !h.AccessTime.IsZero() || !h.ChangeTime.IsZero() || h.ModTime.Nanosecond() != 0 {
			t.Errorf("the header of %q has too much: %+v", h.Name, h)
		}
	}
	want := []string{
		"5 b", "5 hidden", "0 hidden/.wh..wh..opq", "2 rooted -> .", "5 run", "2 up -> usr/lib",
		"2 b/abs -> /etc", "0 b/f", "1 b/g -> b/f", "0 b/.wh.gone", "0 b/.wh.gone-by-attribute", "2 b/in -> ../usr", "0 b/.wh.pipe", "2 b/up -> ../etc/x",
		"0 hidden/f",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the entries are\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if stats.Skipped != 1 {
		t.Errorf("%d pipes were left out", stats.Skipped)
	}
}

func TestNothingWrittenIsALayerOfNothing(t *testing.T) {
	t.Parallel()
	b, _, stats := diff(t, upper(t), options())
	if stats.Entries != 0 || len(b) != 1024 {
		t.Errorf("%+v", stats)
	}
}

func TestTheSameTreeGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	var all [2][]byte
	for n := range all {
		dir := upper(t)
		names := []string{"a", "z/y", "m/n", "m/o", "b"}
		if n == 1 {
			slices.Reverse(names)
		}
		for _, name := range names {
			file(t, filepath.Join(dir, name), name)
			must(t, os.Chtimes(filepath.Join(dir, name), time.Now(), long.Add(time.Duration(n)*time.Microsecond)))
		}
		for _, name := range []string{"z", "m"} {
			must(t, os.Chtimes(filepath.Join(dir, name), time.Now(), long))
		}
		all[n], _, _ = diff(t, dir, options())
	}
	if !bytes.Equal(all[0], all[1]) {
		t.Error("the bytes differ")
	}
}

func TestTreesThatNoLayerCanExpressAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		make func(dir string) error
		o    func(o *layer.Options)
		root bool
	}{
		"name of a whiteout":                       {make: func(dir string) error { return os.WriteFile(dir+"/.wh.x", nil, 0o600) }},
		"directory with the name of a whiteout":    {make: func(dir string) error { return os.Mkdir(dir+"/.wh..wh..opq", 0o700) }},
		"deleted file with the name of a whiteout": {make: func(dir string) error { return unix.Mknod(dir+"/.wh.x", unix.S_IFCHR, 0) }},
		"deleted file with a name too long":        {make: func(dir string) error { return unix.Mknod(dir+"/"+strings.Repeat("x", 252), unix.S_IFCHR, 0) }},
		"device":                                   {make: func(dir string) error { return unix.Mknod(dir+"/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))) }, root: true},
		"block device":                             {make: func(dir string) error { return unix.Mknod(dir+"/loop", unix.S_IFBLK|0o600, int(unix.Mkdev(7, 0))) }, root: true},
		"file of a user of the host":               {make: func(dir string) error { return os.Lchown(dir, 0, 0) }, root: true, o: nil},
		"user beyond the machine's": {make: func(dir string) error {
			err := os.WriteFile(dir+"/f", nil, 0o600)
			return errors.Join(err, os.Lchown(dir+"/f", shift+layer.IDs, shift))
		}, root: true},
		"directory that was renamed": {make: func(dir string) error {
			return errors.Join(os.Mkdir(dir+"/d", 0o700), owned(dir+"/d", 0, 0), unix.Setxattr(dir+"/d", overlayName("redirect"), []byte("/other"), 0))
		}},
		"file without its data": {make: func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/f", nil, 0o600), owned(dir+"/f", 0, 0), unix.Setxattr(dir+"/f", overlayName("metacopy"), nil, 0))
		}},
		"attribute whose name has an equals sign": {make: func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/f", nil, 0o600), owned(dir+"/f", 0, 0), unix.Setxattr(dir+"/f", "user.a=b", nil, 0))
		}},
		"link that wanders out and back": {make: func(dir string) error {
			return errors.Join(os.Symlink("a/../../b", dir+"/l"), owned(dir+"/l", 0, 0))
		}},
		"file of more bytes than there may be": {make: func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/f", nil, 0o600), owned(dir+"/f", 0, 0), os.Truncate(dir+"/f", 1<<40))
		}},
		"too many files": {make: func(dir string) error {
			return errors.Join(os.Symlink("a", dir+"/a"), os.Symlink("b", dir+"/b"), owned(dir+"/a", 0, 0), owned(dir+"/b", 0, 0))
		}, o: func(o *layer.Options) { o.Limits.Entries = 1 }},
		"path too long": {make: deep(2100)},
	} {
		if test.root && !root {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(upper(t), "u")
			t.Cleanup(func() { layer.Remove(dir) }) // what testing can't remove
			must(t, os.Mkdir(dir, 0o755))
			o := options()
			if name == "file of a user of the host" {
				must(t, os.WriteFile(filepath.Join(dir, "f"), nil, 0o600))
			}
			must(t, test.make(dir))
			if test.o != nil {
				test.o(&o)
			}
			_, err := layer.Diff(t.Context(), io.Discard, dir, o)
			if !errors.Is(err, layer.ErrBadTree) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// deep makes directories in one another.
func deep(levels int) func(dir string) error {
	return func(dir string) error {
		in, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
		for n := 0; n < levels && err == nil; n++ {
			err = unix.Mkdirat(in, "dd", 0o755)
			if err == nil && root {
				err = unix.Fchownat(in, "dd", shift, shift, unix.AT_SYMLINK_NOFOLLOW)
			}
			var next int
			if err == nil {
				next, err = unix.Openat(in, "dd", unix.O_PATH|unix.O_DIRECTORY, 0)
			}
			unix.Close(in)
			in = next
		}
		unix.Close(in)
		return err
	}
}

func TestLinksOfTheTreeAreNotFollowed(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, []byte("of the host"), 0o600))
	dir := upper(t)
	must(t, os.Symlink(secret, filepath.Join(dir, "file")))
	must(t, os.Symlink(filepath.Dir(secret), filepath.Join(dir, "folder")))
	must(t, owned(filepath.Join(dir, "file"), 0, 0))
	must(t, owned(filepath.Join(dir, "folder"), 0, 0))
	b, all, _ := diff(t, dir, options())
	if len(all) != 2 || bytes.Contains(b, []byte("of the host")) {
		t.Errorf("the layer has %d entries", len(all))
	}
	_, err := layer.Diff(t.Context(), io.Discard, filepath.Join(dir, "folder"), options())
	if err == nil {
		t.Error("a tree was read through a link")
	}
}

func TestAnyTreeComesBackAsItWas(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(base, "")
		must(t, err)
		defer layer.Remove(dir)
		up := filepath.Join(dir, "upper")
		must(t, os.Mkdir(up, 0o755))
		grow(r, up)
		var b bytes.Buffer
		_, err = layer.Diff(t.Context(), &b, up, options())
		if err != nil {
			r.Fatal(err)
		}
		c, err := layer.New(config(filepath.Join(dir, "layers")))
		must(t, err)
		defer c.Close()
		down := get(t, c, zipped(t, b.Bytes()))
		err = compare(look(t, up), look(t, down))
		if err != nil {
			r.Fatal(err)
		}
		var again bytes.Buffer
		_, err = layer.Diff(t.Context(), &again, down, options())
		if err != nil {
			r.Fatal(err)
		}
		err = compare(entries(t, b.Bytes()), entries(t, again.Bytes()))
		if err != nil {
			r.Fatalf("the layer of what was unpacked is another: %v", err)
		}
	})
}

// entries describes the entries of a layer, but for the times of whiteouts,
// which no tree keeps.
func entries(t testing.TB, b []byte) map[string]string {
	t.Helper()
	all, r := map[string]string{}, tar.NewReader(bytes.NewReader(b))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		must(t, err)
		data, err := io.ReadAll(r)
		must(t, err)
		if strings.HasPrefix(path.Base(h.Name), ".wh.") {
			h.ModTime = time.Time{}
		}
		all[h.Name] = fmt.Sprintf("%c %o %d:%d %v %q %q %s", h.Typeflag, h.Mode, h.Uid, h.Gid, h.ModTime, h.Linkname, h.PAXRecords, digest(data))
	}
}

// grow makes a tree as a machine may leave it behind.
func grow(r *rapid.T, up string) {
	check := func(err error) {
		if err != nil {
			r.Fatal(err)
		}
	}
	component := rapid.OneOf(rapid.StringMatching(`[a-d]{1,2}`), rapid.StringMatching(`[a-c]{1,3}`),
		rapid.Custom(func(r *rapid.T) string {
			b := rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(r, "bytes")
			for n := range b {
				if b[n] == 0 || b[n] == '/' {
					b[n] = '\n'
				}
			}
			return "x" + string(b)
		}))
	dirs, files := []string{"."}, []string{}
	opaque := map[string]bool{}
	type late struct {
		name string
		mode uint32
		time int64
	}
	var later []late
	for range rapid.IntRange(0, 25).Draw(r, "files") {
		in := rapid.SampledFrom(dirs).Draw(r, "in")
		name := path.Join(in, component.Draw(r, "name"))
		p := filepath.Join(up, name)
		if !isMissing(p) {
			continue
		}
		mode := rapid.Uint32Range(0, 0o7777).Draw(r, "mode")
		if !root {
			mode |= 0o600 // look must read it
		}
		uid, gid := rapid.IntRange(0, layer.IDs-1).Draw(r, "uid"), rapid.IntRange(0, layer.IDs-1).Draw(r, "gid")
		mtime := rapid.Int64Range(0, 1<<33).Draw(r, "time")
		switch rapid.SampledFrom([]string{"file", "file", "dir", "dir", "symlink", "link", "whiteout", "socket"}).Draw(r, "kind") {
		case "file":
			data := bytes.Repeat([]byte(rapid.SampledFrom([]string{"\x00", "x", "ab\x00"}).Draw(r, "data")), rapid.SampledFrom([]int{0, 1, 511, 512, 4096, 5000, 300_000}).Draw(r, "size"))
			check(os.WriteFile(p, data, 0o600))
			check(owned(p, uid, gid))
			if rapid.Bool().Draw(r, "attribute") {
				check(unix.Setxattr(p, "user."+rapid.StringMatching(`[a-z .é]{1,10}`).Draw(r, "attribute name"), rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(r, "value"), 0))
			}
			if root && rapid.Bool().Draw(r, "capable") {
				check(unix.Setxattr(p, "security.capability", capabilities(rapid.SampledFrom([]uint32{shift, shift + 1000}).Draw(r, "rootid")), 0))
			}
			files = append(files, name)
			later = append(later, late{name, mode, mtime})
		case "dir":
			check(os.Mkdir(p, 0o700))
			check(owned(p, uid, gid))
			if rapid.Bool().Draw(r, "opaque") {
				check(unix.Setxattr(p, overlayName("opaque"), []byte("y"), 0))
				opaque[name] = true
			}
			if !root {
				mode |= 0o700
			}
			dirs = append(dirs, name)
			later = append(later, late{name, mode, mtime})
		case "symlink":
			to := rapid.SampledFrom([]string{"/etc", "x", "a/b", "/", "./a", "/proc/self/fd", "a/../b", "\xff"}).Draw(r, "target")
			check(os.Symlink(to, p))
			check(owned(p, uid, gid))
			files = append(files, name)
			later = append(later, late{name, 0, mtime})
		case "link":
			if len(files) > 0 {
				check(os.Link(filepath.Join(up, rapid.SampledFrom(files).Draw(r, "of")), p))
			}
		case "whiteout":
			if !opaque[in] { // overlayfs makes none where nothing below is seen
				check(unix.Mknod(p, unix.S_IFCHR, 0))
			}
		case "socket":
			if !opaque[in] { // there its mark would be one of nothing
				check(unix.Mknod(p, unix.S_IFIFO|0o600, 0))
			}
		}
	}
	slices.Reverse(later)
	for _, l := range later {
		p := filepath.Join(up, l.name)
		if st, err := os.Lstat(p); err == nil && st.Mode()&os.ModeSymlink == 0 {
			check(unix.Chmod(p, l.mode))
		}
		ts := unix.Timespec{Sec: l.time, Nsec: 1000}
		check(unix.UtimesNanoAt(unix.AT_FDCWD, p, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
	}
}

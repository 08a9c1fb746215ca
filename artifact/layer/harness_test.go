package layer_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sys/unix"

	"souk/artifact/archive/archivetest"
	"souk/artifact/images"
	"souk/artifact/layer"
)

// shift is where the users of the tests' machines begin, if root runs the tests.
const shift = 1 << 24

// root says that owners, capabilities and overlays can be tried. An ordinary
// user's tests have all else.
var root = os.Geteuid() == 0

// config is a cache as root has it with users of their own, or as an ordinary user has it.
func config(dir string) layer.Config {
	if root {
		return layer.Config{Root: dir, Shift: shift}
	}
	return layer.Config{Root: dir, Rootless: true}
}

func options() layer.Options {
	if root {
		return layer.Options{Shift: shift}
	}
	return layer.Options{Rootless: true}
}

func open(t testing.TB, c layer.Config) *layer.Cache {
	t.Helper()
	k, err := layer.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		k.Close()
		layer.Remove(c.Root) // what testing can't remove as an ordinary user
	})
	return k
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// claimed is a layer whose image says that it has another diff id.
type claimed struct {
	v1.Layer
	diffID string
}

func (c claimed) DiffID() (v1.Hash, error) { return v1.NewHash(c.diffID) }

// stored is a layer of these bytes, which an image says to be diffID unpacked.
func stored(t testing.TB, b []byte, diffID string) images.Layer {
	t.Helper()
	l, err := images.LayerOf(claimed{static.NewLayer(b, types.OCILayer), diffID})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// plain is a layer that is stored as it is.
func plain(t testing.TB, b []byte) images.Layer { return stored(t, b, digest(b)) }

// zipped is a layer that is stored compressed.
func zipped(t testing.TB, b []byte) images.Layer {
	return stored(t, archivetest.Gzip(b), digest(b))
}

// get returns the only folder that a layer makes.
func get(t testing.TB, c *layer.Cache, l images.Layer) string {
	t.Helper()
	dirs, release, err := c.Get(t.Context(), []images.Layer{l})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	if len(dirs) != 1 {
		t.Fatalf("one layer has the folders %q", dirs)
	}
	return dirs[0]
}

// folders returns the names in a folder of layers that are not its lock.
func folders(t testing.TB, dir string) []string {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range all {
		if e.Name() != "lock" {
			names = append(names, e.Name())
		}
	}
	return names
}

// look describes all that is in a tree, by path: kind, mode, owner, time in
// whole seconds, data, target, attributes, and with whom it shares its inode.
func look(t testing.TB, dir string) map[string]string {
	t.Helper()
	tree, first := map[string]string{}, map[uint64]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		name := p[len(dir)+1:]
		var st unix.Stat_t
		err = unix.Lstat(p, &st)
		if err != nil {
			return err
		}
		kind := st.Mode & unix.S_IFMT
		if kind == unix.S_IFSOCK || kind == unix.S_IFIFO || kind == unix.S_IFCHR && st.Rdev == 0 {
			tree[name] = "taken away"
			return nil
		}
		is := fmt.Sprintf("%06o %d:%d %d", st.Mode, st.Uid, st.Gid, st.Mtim.Sec)
		switch kind {
		case unix.S_IFREG:
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			is += " " + digest(b)
		case unix.S_IFLNK:
			to, err := os.Readlink(p)
			if err != nil {
				return err
			}
			is += " " + to
		}
		for _, a := range attributes(t, p) {
			is += " " + a
		}
		if kind != unix.S_IFDIR && st.Nlink > 1 {
			if first[st.Ino] == "" {
				first[st.Ino] = name
			}
			is += " as " + first[st.Ino]
		}
		tree[name] = is
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// attributes returns the extended attributes of a file, NAME=value.
func attributes(t testing.TB, p string) []string {
	t.Helper()
	b := make([]byte, 1<<16)
	n, err := unix.Llistxattr(p, b)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for name := range strings.SplitSeq(strings.TrimRight(string(b[:n]), "\x00"), "\x00") {
		if name != "" {
			all = append(all, fmt.Sprintf("%s=%x", name, attribute(t, p, name)))
		}
	}
	slices.Sort(all)
	return all
}

func attribute(t testing.TB, p, name string) []byte {
	t.Helper()
	b := make([]byte, 1<<16)
	n, err := unix.Lgetxattr(p, name, b)
	if err != nil {
		t.Fatalf("attribute %s of %s: %v", name, p, err)
	}
	return b[:n]
}

// compare says which paths of two trees differ.
func compare(want, got map[string]string) error {
	var all []error
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			all = append(all, fmt.Errorf("%q\n is        %q\n should be %q", name, got[name], want[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			all = append(all, fmt.Errorf("%q should not be there: %q", name, got[name]))
		}
	}
	return errors.Join(all...)
}

func status(t testing.TB, p string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	err := unix.Lstat(p, &st)
	if err != nil {
		t.Fatalf("%s: %v", p, err)
	}
	return st
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// isMissing says that there is nothing at a path.
func isMissing(p string) bool {
	_, err := os.Lstat(p)
	return errors.Is(err, syscall.ENOENT)
}

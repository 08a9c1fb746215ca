package component

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"souk/artifact/archive"
)

// tree is what lies below a folder: modes and contents, or targets of links.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if err != nil || at == dir {
			return err
		}
		name, _ := filepath.Rel(dir, at)
		info, err := d.Info()
		if err != nil {
			return err
		}
		line := info.Mode().String() + " " + name
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(at)
			if err != nil {
				return err
			}
			line += " " + string(b)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(at)
			if err != nil {
				return err
			}
			line += " -> " + target
		}
		all = append(all, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestFilesAreUnpackedForAllToReadAndNobodyElseToWrite(t *testing.T) {
	t.Parallel()
	b := newHouse(t, Limits{})
	c, err := b.with(tool(),
		archiveOf(t, folderEntry("pkg"), file("pkg/tool.deb", "old", 0o600), file("pkg/install.sh", "#!/bin/sh", 0o6777), symlink("latest", "pkg/tool.deb"), hardlink("copy", "pkg/install.sh")),
		archiveOf(t, file("pkg/tool.deb", "new", 0o644), file("deep/below/this", "x", 0), file("pkg/.wh.gone", "", 0)))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "files")
	if err := b.Unpack(t.Context(), c.Files, dir); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"-rwxr-xr-x copy #!/bin/sh", "drwxr-xr-x deep", "drwxr-xr-x deep/below", "-r--r--r-- deep/below/this x", "Lrwxrwxrwx latest -> pkg/tool.deb",
		"drwxr-xr-x pkg", "-rwxr-xr-x pkg/install.sh #!/bin/sh", "-rw-r--r-- pkg/tool.deb new",
	}
	if got := tree(t, dir); !slices.Equal(got, want) {
		t.Errorf("unpacked\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	b.healthy()
}

func TestHostileFilesAreRefusedWhenTheComponentIsMade(t *testing.T) {
	t.Parallel()
	b := newHouse(t, Limits{Layers: 3, Archive: archive.Limits{Bytes: 1 << 20, File: 1 << 18, Entries: 50}})
	many := make([]entry, 60)
	for i := range many {
		many[i] = file(strings.Repeat("x", i+1), "", 0)
	}
	for name, layers := range map[string][][]byte{
		"a symbolic link out of it":  {archiveOf(t, symlink("a", "../../etc"))},
		"an absolute symbolic link":  {archiveOf(t, symlink("a", "/etc"))},
		"a path out of it":           {archiveOf(t, file("../a", "", 0))},
		"an absolute path":           {archiveOf(t, file("/etc/passwd", "", 0))},
		"a hard link out of it":      {archiveOf(t, hardlink("a", "../b"))},
		"a device":                   {archiveOf(t, entry{Header: tar.Header{Typeflag: tar.TypeBlock, Name: "sda"}})},
		"a pipe":                     {archiveOf(t, entry{Header: tar.Header{Typeflag: tar.TypeFifo, Name: "p"}})},
		"a file below a link":        {archiveOf(t, symlink("a", "b"), file("a/c", "", 0))},
		"a file that is too large":   {archiveOf(t, file("a", strings.Repeat("x", 1<<18+1), 0))},
		"too much of all":            {archiveOf(t, file("a", strings.Repeat("x", 1<<18), 0)), archiveOf(t, many[:30]...), archiveOf(t, many[30:]...)},
		"too many layers":            {archiveOf(t, file("a", "", 0)), archiveOf(t, file("b", "", 0)), archiveOf(t, file("c", "", 0)), archiveOf(t, file("d", "", 0))},
		"a name that is too long":    {archiveOf(t, file("a/"+strings.Repeat("x", 256)+"/b", "", 0))},
		"a file below a file":        {archiveOf(t, file("a", "", 0)), archiveOf(t, file("a/b/c", "", 0))},
		"a hard link to nothing":     {archiveOf(t, hardlink("a", "b"))},
		"a hard link to a folder":    {archiveOf(t, folderEntry("b"), hardlink("a", "b"))},
		"what is no archive":         {[]byte("not an archive at all")},
		"an archive that is cut off": {archiveOf(t, file("a", "content", 0))[:520]},
	} {
		n := tool()
		n.Description = name
		if _, err := b.with(n, layers...); !errors.Is(err, ErrBadFiles) {
			t.Errorf("%s: %v, want ErrBadFiles", name, err)
		}
	}
	found, _, err := b.List(t.Context(), Query{Account: sellerAccount, Region: "us-east-1", Max: 1})
	if err != nil || len(found) > 0 {
		t.Errorf("made all the same: %+v, %v", found, err)
	}
}

// A later layer's entry may lie below a link of an earlier one: no check of one
// archive sees it, and the folder alone holds it.
func TestLaterLayersDoNotWriteThroughLinks(t *testing.T) {
	t.Parallel()
	b := newHouse(t, Limits{})
	above := t.TempDir()
	dir := filepath.Join(above, "files")
	for name, layers := range map[string][][]byte{
		"by a chain of links": {archiveOf(t, symlink("a/b/up", ".."), symlink("a/c", "b/up/..")), archiveOf(t, symlink("a/c/out", "..")), archiveOf(t, file("a/c/out/out/escaped", "x", 0o644))},
		"by a hard link":      {archiveOf(t, symlink("l", "nothing")), archiveOf(t, hardlink("h", "l"))},
	} {
		n := tool()
		n.Description = name
		c, err := b.with(n, layers...)
		if errors.Is(err, ErrBadFiles) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		err = b.Unpack(t.Context(), c.Files, dir)
		if err != nil && !errors.Is(err, ErrBadFiles) {
			t.Errorf("%s: %v", name, err)
		}
		entries, err := os.ReadDir(above)
		if err != nil || len(entries) != 1 {
			t.Errorf("%s: beside the folder stand %v, %v", name, entries, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

func TestALayerWithATitleIsAFileAsOrasPushesIt(t *testing.T) {
	t.Parallel()
	b := newHouse(t, Limits{})
	push := func(title string) error {
		i, err := mutate.Append(empty.Image, mutate.Addendum{
			Layer: static.NewLayer([]byte("a package"), types.OCIUncompressedLayer), Annotations: map[string]string{titleAnnotation: title},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.push(sellerAccount, "acme/ami:oras", i); err != nil {
			t.Fatal(err)
		}
		n := tool()
		n.Tags = map[string]string{FilesTag: "acme/ami:oras"}
		c, err := b.Create(t.Context(), n)
		if err != nil {
			return err
		}
		dir := t.TempDir()
		if err := b.Unpack(t.Context(), c.Files, dir); err != nil {
			t.Fatal(err)
		}
		if got, want := tree(t, dir), []string{"-rw-r--r-- tool.deb a package"}; !slices.Equal(got, want) {
			t.Errorf("unpacked %q, want %q", got, want)
		}
		return nil
	}
	for _, title := range []string{"../tool.deb", "/tool.deb", ".", "a\x00b"} {
		if err := push(title); !errors.Is(err, ErrBadFiles) {
			t.Errorf("title %q: %v", title, err)
		}
	}
	if err := push("tool.deb"); err != nil {
		t.Error(err)
	}
}

func TestFilesStayWhatTheyWereWhenTheComponentWasMade(t *testing.T) {
	t.Parallel()
	b := newHouse(t, Limits{})
	c, err := b.with(tool(), archiveOf(t, file("a", "first", 0o644)))
	if err != nil {
		t.Fatal(err)
	}
	other := image(t, archiveOf(t, file("a", "second", 0o644)))
	if err := b.push(sellerAccount, "acme/ami:files", other); err != nil {
		t.Fatalf("the seller's own tag can't be pushed again: %v", err)
	}
	if err := b.push(sellerAccount, "acme/ami:"+c.tag(), other); err == nil {
		t.Error("the tag that holds the files was pushed again")
	}
	dir := t.TempDir()
	if err := b.Unpack(t.Context(), c.Files, dir); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, dir); !slices.Equal(got, []string{"-rw-r--r-- a first"}) {
		t.Errorf("unpacked %q", got)
	}
	b.healthy()
	lost, err := b.Lost(t.Context(), "acme/ami", c.tag())
	if err != nil || lost {
		t.Errorf("the tag of a component is lost: %v", err)
	}
	arn, _ := ParseARN(c.ARN)
	if err := b.Delete(t.Context(), sellerAccount, arn); err != nil {
		t.Fatal(err)
	}
	lost, err = b.Lost(t.Context(), "acme/ami", c.tag())
	if err != nil || !lost {
		t.Errorf("the tag of a component that is gone is kept: %v", err)
	}
	if digest, err := b.config.Registry.Current(t.Context(), "acme/ami", c.tag()); err != nil || digest != "" {
		t.Errorf("the tag still names %s, %v", digest, err)
	}
}

func TestFilesOfOthersAndOfNobodyAreRefused(t *testing.T) {
	t.Parallel()
	b := newHouse(t, Limits{})
	i := image(t, archiveOf(t, file("a", "", 0)))
	for account, reference := range map[string]string{sellerAccount: "acme/ami:files", otherAccount: "other/ami:files"} {
		if err := b.push(account, reference, i); err != nil {
			t.Fatal(err)
		}
	}
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: i, Descriptor: v1.Descriptor{}})
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for _, reference := range []string{
		"other/ami:files", "acme/ami:missing", "acme/missing:files", "acme/ami@sha256:" + strings.Repeat("0", 64), "acme/ami@" + digest.String(),
		"published/prod-x/ami:files", "elsewhere.example/acme/ami:files", "ami", "acme/ami:", "acme/ami@sha256:x", "../ami:files",
	} {
		n := tool()
		n.Tags = map[string]string{FilesTag: reference}
		if _, err := b.Create(t.Context(), n); !errors.Is(err, ErrBadFiles) {
			t.Errorf("files %q: %v, want ErrBadFiles", reference, err)
		}
	}
	n := tool()
	n.Tags = map[string]string{FilesTag: b.registry.URL.Host + "/acme/ami:files"}
	if c := b.make(n); c.Files.Repository != "acme/ami" {
		t.Errorf("with the registry's host: %+v", c.Files)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(archiveOf(f, file("a/b", "content", 0o4755), symlink("a/c", "b"), hardlink("d", "a/b")), archiveOf(f, file("a/c/x", "y", 0o644)))
	f.Add(archiveOf(f, symlink("a", "b/.."), folderEntry("b")), archiveOf(f, file("a/../x", "", 0)))
	f.Add(archiveOf(f, folderEntry("a"), symlink("a/up", "..")), archiveOf(f, folderEntry("a/up/up/out"), hardlink("a/up/../../e", "a")))
	f.Add([]byte{}, []byte("x"))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		above := t.TempDir()
		dir := filepath.Join(above, "files")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		left := archive.Limits{Bytes: 1 << 20, File: 1 << 20, Entries: 200}
		for _, b := range [][]byte{one, two} {
			_ = layer(t.Context(), strings.NewReader(string(b)), &left, folder{root})
		}
		entries, err := os.ReadDir(above)
		if err != nil || len(entries) != 1 {
			t.Fatalf("beside the folder stand %v, %v", entries, err)
		}
		err = filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
			if err == nil && d.Type()&^(fs.ModeDir|fs.ModeSymlink) != 0 {
				t.Errorf("%s is %v", at, d.Type())
			}
			if info, wrong := d.Info(); wrong == nil && info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) != 0 {
				t.Errorf("%s has mode %v", at, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// liar is an image whose manifest says other sizes of its layers than they have.
type liar struct {
	v1.Image
	manifest []byte
}

func (l liar) RawManifest() ([]byte, error) { return l.manifest, nil }
func (l liar) Size() (int64, error)         { return int64(len(l.manifest)), nil }
func (l liar) Digest() (v1.Hash, error) {
	h, _, err := v1.SHA256(bytes.NewReader(l.manifest))
	return h, err
}

func TestWhatAManifestSaysOfSizesIsNotBelieved(t *testing.T) {
	t.Parallel()
	b := newHouse(t, Limits{})
	for _, size := range []int64{-1 << 40, 0, 1 << 40} {
		i := image(t, archiveOf(t, file("a", "content", 0)))
		m, err := i.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		m = m.DeepCopy()
		m.Layers[0].Size = size
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.push(sellerAccount, "acme/ami:files", liar{i, raw}); err != nil {
			continue // the registry has found it out
		}
		n := tool()
		n.Description, n.Tags = fmt.Sprint(size), map[string]string{FilesTag: "acme/ami:files"}
		if c, err := b.Create(t.Context(), n); !errors.Is(err, ErrBadFiles) {
			t.Errorf("a layer of %d bytes is taken: %+v, %v", size, c.Files, err)
		}
	}
}

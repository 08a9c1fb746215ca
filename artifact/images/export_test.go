package images

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"souk/artifact/archive"
	"souk/artifact/archive/archivetest"
)

// lines describes a tar archive, a line per entry: type, name, and target or data.
func lines(t *testing.T, b []byte) []string {
	t.Helper()
	var all []string
	r := tar.NewReader(bytes.NewReader(b))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%c %s", map[byte]byte{tar.TypeReg: 'f', tar.TypeDir: 'd', tar.TypeSymlink: 'l', tar.TypeLink: 'h'}[h.Typeflag], h.Name)
		if h.Linkname != "" {
			line += " -> " + h.Linkname
		}
		if len(data) > 0 {
			line += " = " + string(data)
		}
		all = append(all, line)
	}
}

func flattened(t *testing.T, layers ...[]byte) ([]byte, error) {
	t.Helper()
	var b bytes.Buffer
	err := ExportRootFS(t.Context(), &b, v1Image(t, imageOf(t, "amd64", layers...)), Limits{})
	return b.Bytes(), err
}

func TestLayersBecomeOneRootFS(t *testing.T) {
	t.Parallel()
	tar, dir, file, link, hard := archivetest.Tar, archivetest.Dir, archivetest.File, archivetest.Symlink, archivetest.Link
	for _, test := range []struct {
		name   string
		layers [][]byte
		want   string // lines, divided by "; "
	}{
		{"one layer", [][]byte{tar(dir("./"), dir("etc"), file("etc/a", "1"), link("b", "/etc/a"))},
			"d ./; d etc/; f etc/a = 1; l b -> /etc/a"},
		{"a folder without an entry", [][]byte{tar(file("etc/a", "1"))}, "d etc/; f etc/a = 1"},
		{"a file is replaced", [][]byte{tar(file("a", "1")), tar(file("a", "2"))}, "f a = 2"},
		{"a file is taken away", [][]byte{tar(file("d/a", "1"), file("d/b", "1")), tar(file("d/.wh.a", ""))}, "d d/; f d/b = 1"},
		{"a file is taken away and comes back", [][]byte{tar(file("a", "1")), tar(file(".wh.a", "")), tar(file("a", "3"))}, "f a = 3"},
		{"taken away and there in the same layer", [][]byte{tar(file("a/x", "1")), tar(dir("a"), file("a/y", "2"), file(".wh.a", ""))}, "d a/; f a/y = 2"},
		{"a folder is taken away", [][]byte{tar(file("d/e/a", "1"), file("b", "1")), tar(file(".wh.d", ""))}, "f b = 1"},
		{"an opaque folder", [][]byte{tar(file("d/a", "1"), file("d/e/b", "1")), tar(dir("d"), file("d/c", "2"), file("d/.wh..wh..opq", ""))}, "d d/; f d/c = 2"},
		{"a whiteout of nothing", [][]byte{tar(file("a", "1")), tar(file("x/y/.wh.b", ""), file(".wh.c", ""))}, "f a = 1"},
		{"a file in the place of a folder", [][]byte{tar(file("d/a", "1")), tar(file("d", "2"))}, "f d = 2"},
		{"a folder in the place of a file", [][]byte{tar(file("d", "1")), tar(file("d/a", "2"), dir("d"))}, ""},
		{"a folder with its entry in the place of a file", [][]byte{tar(file("d", "1")), tar(dir("d"), file("d/a", "2"))}, "d d/; f d/a = 2"},
		{"a folder keeps what is in it", [][]byte{tar(file("d/a", "1")), tar(dir("d"))}, "d d/; f d/a = 1"},
		{"hard links", [][]byte{tar(file("b", "1"), hard("a", "b"), hard("c", "a"))}, "f a = 1; h b -> a; h c -> a"},
		{"a hard link whose first name is gone", [][]byte{tar(file("b", "1"), hard("c", "b")), tar(file(".wh.b", ""))}, "f c = 1"},
		{"a hard link whose other name is replaced", [][]byte{tar(file("b", "1"), hard("c", "b")), tar(file("b", "2"))}, "f c = 1; f b = 2"},
		{"a hard link to a lower layer", [][]byte{tar(file("b", "1")), tar(hard("c", "b"))}, "f b = 1; h c -> b"},
		{"a hard link to a symbolic link", [][]byte{tar(link("b", "x"), hard("c", "b"))}, "l b -> x; h c -> b"},
		{"a file below a link of a lower layer", [][]byte{tar(dir("usr/lib"), link("lib", "usr/lib")), tar(file("lib/a", "1"))}, "d usr/; d usr/lib/; l lib -> usr/lib; f usr/lib/a = 1"},
		{"a file below an absolute link", [][]byte{tar(dir("usr/lib"), link("x/lib", "/usr/lib")), tar(file("x/lib/a", "1"))}, "d usr/; d usr/lib/; d x/; l x/lib -> /usr/lib; f usr/lib/a = 1"},
		{"a file below a link that leads out and in", [][]byte{tar(link("x", "/../../etc")), tar(file("x/a", "1"))}, "d etc/; l x -> /../../etc; f etc/a = 1"},
		{"a whiteout below a link", [][]byte{tar(file("usr/lib/a", "1"), link("lib", "usr/lib")), tar(file("lib/.wh.a", ""))}, "d usr/; d usr/lib/; l lib -> usr/lib"},
	} {
		got, err := flattened(t, test.layers...)
		if test.want == "" {
			if !errors.Is(err, ErrBadImage) {
				t.Errorf("%s: got %v, want a refusal", test.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if d := cmp.Diff(strings.Split(test.want, "; "), lines(t, got)); d != "" {
			t.Errorf("%s: (-want +got)\n%s", test.name, d)
		}
		// What is written passes where it came from.
		a, err := archive.New(bytes.NewReader(got), archive.Limits{})
		for err == nil {
			_, err = a.Next()
		}
		if err != io.EOF {
			t.Errorf("%s: what was written is refused: %v", test.name, err)
		}
	}
}

func TestLayersThatMakeNoTreeAreRefused(t *testing.T) {
	t.Parallel()
	tar, dir, file, link, hard := archivetest.Tar, archivetest.Dir, archivetest.File, archivetest.Symlink, archivetest.Link
	for name, layers := range map[string][][]byte{
		"a file below a file of a lower layer":          {tar(file("a", "1")), tar(file("a/b", "1"))},
		"a file below a loop of links":                  {tar(link("a", "b"), link("b", "a")), tar(file("a/c", "1"))},
		"a hard link to nothing":                        {tar(hard("a", "b"))},
		"a hard link to what was taken away":            {tar(file("b", "1")), tar(file(".wh.b", "")), tar(hard("a", "b"))},
		"a hard link to a folder":                       {tar(dir("b"), hard("a", "b"))},
		"a whiteout below a file":                       {tar(file("a", "1")), tar(file("a/.wh.b", ""))},
		"a link that leaves from where it comes to lie": {tar(link("d/e", "/")), tar(link("d/e/l", "../../x"))},
		"a layer that is hostile":                       {tar(file("../a", "1"))},
	} {
		_, err := flattened(t, layers...)
		if !errors.Is(err, ErrBadImage) || !strings.Contains(err.Error(), "layer ") {
			t.Errorf("%s: got %v, want a refusal that names the layer", name, err)
		}
	}
	var b bytes.Buffer
	image := imageOf(t, "amd64", tar(file("a", "1")), tar(file("b", "1")))
	if err := ExportRootFS(t.Context(), &b, v1Image(t, image), Limits{Layers: 1}); !errors.Is(err, ErrBadImage) {
		t.Errorf("more layers than the limit: %v", err)
	}
}

func TestARootFSKeepsWhatFileSystemsKeep(t *testing.T) {
	t.Parallel()
	when := time.Date(2025, 6, 7, 8, 9, 10, 123456000, time.UTC)
	capability := "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	ping := archivetest.Entry{Header: tar.Header{
		Name: "usr/bin/ping", Typeflag: tar.TypeReg, Mode: 0o4755, Uid: 1001, Gid: 1002, Uname: "ping", Gname: "net", ModTime: when, Format: tar.FormatPAX,
		PAXRecords: map[string]string{"SCHILY.xattr.security.capability": capability, "SCHILY.xattr.user.a": "b", "COMMENT": "no part of a file"},
	}, Data: "ELF"}
	long := strings.Repeat("long/", 40) + "name"
	tmp := archivetest.Dir("tmp")
	tmp.Mode, tmp.Gid = 0o1777, 5
	b, err := flattened(t, archivetest.Gzip(archivetest.Tar(ping, archivetest.Link("usr/bin/ping4", "usr/bin/ping"), tmp, archivetest.File(long, "x"))))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]*tar.Header{}
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		got[h.Name] = h
	}
	p := got["usr/bin/ping"]
	if p == nil || p.Mode != 0o4755 || p.Uid != 1001 || p.Gid != 1002 || p.Uname != "ping" || p.Gname != "net" || !p.ModTime.Equal(when) ||
		p.PAXRecords["SCHILY.xattr.security.capability"] != capability || p.PAXRecords["SCHILY.xattr.user.a"] != "b" || p.PAXRecords["COMMENT"] != "" {
		t.Errorf("ping: %+v", p)
	}
	if l := got["usr/bin/ping4"]; l == nil || l.Typeflag != tar.TypeLink || l.Linkname != "usr/bin/ping" {
		t.Errorf("ping4: %+v", l)
	}
	if d := got["tmp/"]; d == nil || d.Mode != 0o1777 || d.Gid != 5 {
		t.Errorf("tmp: %+v", d)
	}
	if got[long] == nil {
		t.Error("the long name is gone")
	}
}

func TestAnExportedLayoutIsAnImportableOne(t *testing.T) {
	t.Parallel()
	image := v1Image(t, imageOf(t, "amd64", archivetest.Gzip(rootFS(forX86))))
	want, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "out")
	if err := ExportLayout(dir, image); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), dir, Options{Temp: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, err := s.Image.Digest(); err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if err := ExportLayout(dir, image); err == nil {
		t.Error("exported over what was there")
	}
}

// FuzzFlatten: whatever two layers say, what is written is one honest archive
// or nothing that anybody takes for one.
func FuzzFlatten(f *testing.F) {
	tar, dir, file, link, hard := archivetest.Tar, archivetest.Dir, archivetest.File, archivetest.Symlink, archivetest.Link
	f.Add(tar(file("a/b", "1"), link("c", "a")), tar(file("c/d", "2"), file("a/.wh.b", "")))
	f.Add(tar(dir("a"), file("a/b", "1"), hard("d", "a/b")), tar(file("a/.wh..wh..opq", "")))
	f.Add(tar(link("a", "/../b"), link("b", "a/../b")), tar(file("a/x", "")))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		if len(one)+len(two) > 64<<10 {
			return
		}
		layers, err := layersOf(v1Image(t, imageOf(t, "amd64", one, two)))
		if err != nil {
			return
		}
		var b bytes.Buffer
		limits := Limits{Archive: archive.Limits{Entries: 1000, Bytes: 1 << 20, Grace: 1 << 16}}
		if Flatten(t.Context(), &b, layers, limits) != nil {
			return
		}
		a, err := archive.New(&b, archive.Limits{})
		for err == nil {
			_, err = a.Next()
		}
		if err != io.EOF {
			t.Errorf("what was written is refused: %v", err)
		}
	})
}

package images

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"souk/artifact/archive"
	"souk/artifact/archive/archivetest"
)

// elfProgram is the head of a program for a machine (ELF e_machine).
func elfProgram(machine byte) string {
	return "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00" + string([]byte{machine, 0}) + strings.Repeat("\x00", 44)
}

const (
	forX86 = 0x3e
	forARM = 0xb7
)

// rootFS is a small root file system for a machine.
func rootFS(machine byte) []byte {
	program := archivetest.File("usr/bin/true", elfProgram(machine))
	program.Mode = 0o755
	return archivetest.Tar(archivetest.Dir("./"), archivetest.Symlink("bin", "usr/bin"), program,
		archivetest.File("etc/os-release", debianRelease), archivetest.Symlink("etc/localtime", "/usr/share/zoneinfo/UTC"))
}

// write writes a file below a new folder and returns its path.
func write(t *testing.T, name string, b []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// files are those of a layout or an archive of one: name -> content.
type files map[string][]byte

// add puts a blob in its place and returns its descriptor.
func (f files) add(mediaType string, b []byte) map[string]any {
	f["blobs/sha256/"+hashOf(b).Hex] = b
	return map[string]any{"mediaType": mediaType, "digest": hashOf(b).String(), "size": len(b)}
}

// layoutOf is the layout of images.
func layoutOf(t *testing.T, images ...*local) files {
	t.Helper()
	f := files{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`)}
	var manifests []any
	for _, l := range images {
		manifests = append(manifests, f.image(l))
	}
	f["index.json"] = indexOf(t, manifests...)
	return f
}

// image adds all of an image.
func (f files) image(l *local) map[string]any {
	f.add("", l.config)
	for _, b := range l.layers {
		r, _ := b.open()
		var content bytes.Buffer
		content.ReadFrom(r)
		f.add("", content.Bytes())
	}
	return f.add(string(l.kind), l.manifest)
}

func indexOf(t *testing.T, manifests ...any) []byte {
	return mustJSON(t, map[string]any{"schemaVersion": 2, "mediaType": types.OCIImageIndex, "manifests": manifests})
}

func (f files) tar(more ...archivetest.Entry) []byte {
	var entries []archivetest.Entry
	for _, name := range slices.Sorted(maps.Keys(f)) {
		entries = append(entries, archivetest.File(name, string(f[name])))
	}
	return archivetest.Tar(append(entries, more...)...)
}

func (f files) folder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "layout")
	for name, b := range f {
		file := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(file), 0o700)
		if err == nil {
			err = os.WriteFile(file, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// saved is what docker save writes of an image.
func savedOf(t *testing.T, l *local, plain ...[]byte) files {
	t.Helper()
	f := files{"config.json": l.config}
	var names []string
	for i, b := range plain {
		name := fmt.Sprintf("%d/layer.tar", i)
		f[name] = b
		names = append(names, name)
	}
	f["manifest.json"] = mustJSON(t, []any{map[string]any{"Config": "config.json", "RepoTags": []string{"a:b"}, "Layers": names}})
	return f
}

func TestEveryKindOfSourceBecomesAnImage(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	repository, err := h.Repository(t.Context(), seller)
	if err != nil {
		t.Fatal(err)
	}
	root := rootFS(forX86)
	image, arm := imageOf(t, "amd64", archivetest.Gzip(root), archivetest.Tar(archivetest.File("hello", "world"))), imageOf(t, "arm64", rootFS(forARM))
	layout := layoutOf(t, image)
	both := layoutOf(t, arm, image)
	if err := remote.Write(h.ref(repository+":pushed"), v1Image(t, image), as(sellerAccount)); err != nil {
		t.Fatal(err)
	}
	plain := plainOf(archivetest.Gzip(root))
	for _, test := range []struct {
		name, source, kind, arch string
	}{
		{"rootfs tar", write(t, "r.tar", root), RootFS, ""},
		{"rootfs tar of the asked architecture", write(t, "r.tar", root), RootFS, X8664},
		{"rootfs tar.gz", write(t, "r.tar.gz", archivetest.Gzip(root)), RootFS, ""},
		{"rootfs tar.zst", write(t, "r.tar.zst", archivetest.Zstd(root)), RootFS, ""},
		{"layout", layout.folder(t), OCI, ""},
		{"layout of two architectures", both.folder(t), OCI, X8664},
		{"archive of a layout", write(t, "l.tar", layout.tar()), OCI, ""},
		{"compressed archive of a layout", write(t, "l.tar.gz", archivetest.Gzip(layout.tar())), OCI, ""},
		{"docker archive", write(t, "d.tar", savedOf(t, imageOf(t, "amd64", plain), plain).tar()), Docker, ""},
		{"docker archive with a layer twice", write(t, "d.tar", func() []byte {
			f := savedOf(t, imageOf(t, "amd64", plain, plain), plain, plain)
			delete(f, "1/layer.tar")
			return f.tar(archivetest.Symlink("1/layer.tar", "../0/layer.tar"))
		}()), Docker, ""},
		{"registry reference", h.ref(repository + ":pushed").Name(), Remote, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			temp := t.TempDir()
			var last map[string]int64
			s, err := Open(t.Context(), test.source, Options{
				Architecture: test.arch, Temp: temp, Insecure: true, Remote: []remote.Option{as(sellerAccount)},
				Progress: func(step string, done, total int64) {
					if done > total {
						t.Errorf("%s: %d of %d", step, done, total)
					}
					last = map[string]int64{step: total - done}
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			if s.Kind != test.kind || s.Architecture != X8664 || s.OS.ID != "debian" || s.Size <= 0 {
				t.Errorf("got %s for %s, %+v, %d bytes", s.Kind, s.Architecture, s.OS, s.Size)
			}
			// Fast, since it knows gzip alone; Register reads the layers below.
			if err := validate.Image(s.Image, validate.Fast); err != nil {
				t.Error(err)
			}
			for step, left := range last {
				if left != 0 {
					t.Errorf("progress ends in %s %d bytes before its end", step, left)
				}
			}
			_, digest := h.push(seller, s.Image)
			if _, err := h.Register(t.Context(), Registration{Account: sellerAccount, Name: test.name, Repository: repository, Digest: digest}); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestARootFSIsTheSameImageEachTime(t *testing.T) {
	t.Parallel()
	file := write(t, "r.tar", rootFS(forARM))
	var digests []string
	for range 2 {
		s, err := Open(t.Context(), file, Options{Temp: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		d, err := s.Image.Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, d.String())
		if s.Architecture != ARM64 {
			t.Errorf("architecture %s", s.Architecture)
		}
	}
	if digests[0] != digests[1] {
		t.Error(digests)
	}
}

// hostile is a source that must be refused.
type hostile struct {
	name string
	want string // of the message
	make func(t *testing.T) string
	o    Options
}

func hostiles() []hostile {
	const zero = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	good := func(t *testing.T) *local { return imageOf(t, "amd64", archivetest.Good()) }
	// layout alters the layout of a good image.
	layout := func(edit func(t *testing.T, f files)) func(t *testing.T) string {
		return func(t *testing.T) string {
			f := layoutOf(t, good(t))
			edit(t, f)
			return f.folder(t)
		}
	}
	// of is the layout of an image with another manifest.
	of := func(edit func(m map[string]any)) func(t *testing.T) string {
		return func(t *testing.T) string {
			return layoutOf(t, altered(t, "amd64", nil, edit, archivetest.Good())).folder(t)
		}
	}
	first := func(m map[string]any) map[string]any { return m["layers"].([]any)[0].(map[string]any) }
	layerOf := func(t *testing.T) string { return "blobs/sha256/" + hashOf(archivetest.Good()).Hex }
	docker := func(edit func(f files, manifest map[string]any), more ...archivetest.Entry) func(t *testing.T) string {
		return func(t *testing.T) string {
			f := savedOf(t, good(t), archivetest.Good())
			m := map[string]any{"Config": "config.json", "Layers": []string{"0/layer.tar"}}
			edit(f, m)
			f["manifest.json"] = mustJSON(t, []any{m})
			return write(t, "saved.tar", f.tar(more...))
		}
	}
	return []hostile{
		{name: "layout-without-its-mark", want: "no file oci-layout", make: layout(func(t *testing.T, f files) { delete(f, "oci-layout") })},
		{name: "layout-of-another-version", want: `version "2.0.0"`, make: layout(func(t *testing.T, f files) { f["oci-layout"] = []byte(`{"imageLayoutVersion":"2.0.0"}`) })},
		{name: "layout-without-index", want: "no file index.json", make: layout(func(t *testing.T, f files) { delete(f, "index.json") })},
		{name: "layout-with-a-broken-index", want: "no JSON", make: layout(func(t *testing.T, f files) { f["index.json"] = []byte(`{"manifests":[`) })},
		{name: "layout-with-an-index-too-large", want: "more than 4194304 bytes", make: layout(func(t *testing.T, f files) { f["index.json"] = make([]byte, 5<<20) })},
		{name: "layout-without-images", want: "no images", make: layout(func(t *testing.T, f files) { f["index.json"] = indexOf(t) })},
		{name: "layout-missing-layer", want: "is not there", make: layout(func(t *testing.T, f files) { delete(f, layerOf(t)) })},
		{name: "layout-missing-config", want: "is not there", make: layout(func(t *testing.T, f files) { delete(f, "blobs/sha256/"+hashOf(good(t).config).Hex) })},
		{name: "layout-missing-manifest", want: "is not there", make: layout(func(t *testing.T, f files) { delete(f, "blobs/sha256/"+hashOf(good(t).manifest).Hex) })},
		{name: "layout-layer-with-another-digest", want: "its content is sha256:", make: layout(func(t *testing.T, f files) {
			b := archivetest.Tar(archivetest.File("etc/shadow", "x"))
			f[layerOf(t)] = append(b, make([]byte, len(archivetest.Good())-len(b))...)
		})},
		{name: "layout-layer-of-another-size", want: "bytes, the manifest says", make: layout(func(t *testing.T, f files) { f[layerOf(t)] = append(archivetest.Good(), make([]byte, 512)...) })},
		{name: "layout-config-with-another-digest", want: "has other content", make: layout(func(t *testing.T, f files) { f["blobs/sha256/"+hashOf(good(t).config).Hex] = []byte("{}") })},
		{name: "layout-manifest-with-another-digest", want: "has other content", make: layout(func(t *testing.T, f files) { f["blobs/sha256/"+hashOf(good(t).manifest).Hex] = []byte("{}") })},
		{name: "layout-manifest-of-another-size", want: "its descriptor says 1", make: layout(func(t *testing.T, f files) {
			d := f.image(good(t))
			d["size"] = 1
			f["index.json"] = indexOf(t, d)
		})},
		{name: "layout-digest-that-is-a-path", want: "no JSON of an index", make: layout(func(t *testing.T, f files) {
			f["index.json"] = indexOf(t, map[string]any{"mediaType": types.OCIManifestSchema1, "digest": "sha256:../../../../etc/passwd", "size": 1})
		})},
		{name: "layout-digest-of-another-kind", want: "digest", make: layout(func(t *testing.T, f files) {
			f["index.json"] = indexOf(t, map[string]any{"mediaType": types.OCIManifestSchema1, "digest": "sha512:" + strings.Repeat("0", 128), "size": 1})
		})},
		{name: "layout-symlinked-blob", want: "no regular file", make: func(t *testing.T) string {
			dir := layoutOf(t, good(t)).folder(t)
			outside := write(t, "outside", archivetest.Good())
			return relink(t, dir, layerOf(t), outside)
		}},
		{name: "layout-symlinked-blob-inside", want: "no regular file", make: func(t *testing.T) string {
			dir := layoutOf(t, good(t)).folder(t)
			if err := os.WriteFile(filepath.Join(dir, "copy"), archivetest.Good(), 0o600); err != nil {
				t.Fatal(err)
			}
			return relink(t, dir, layerOf(t), "../../copy")
		}},
		{name: "layout-symlinked-index", want: "no regular file", make: func(t *testing.T) string {
			f := layoutOf(t, good(t))
			return relink(t, f.folder(t), "index.json", write(t, "index.json", f["index.json"]))
		}},
		{name: "layout-symlinked-folder-of-blobs", want: "path escapes", make: func(t *testing.T) string {
			f := layoutOf(t, good(t))
			return relink(t, f.folder(t), "blobs", filepath.Join(f.folder(t), "blobs"))
		}},
		{name: "layout-folder-in-the-place-of-a-blob", want: "no regular file", make: func(t *testing.T) string {
			dir := layoutOf(t, good(t)).folder(t)
			err := os.Remove(filepath.Join(dir, layerOf(t)))
			if err == nil {
				err = os.Mkdir(filepath.Join(dir, layerOf(t)), 0o700)
			}
			if err != nil {
				t.Fatal(err)
			}
			return dir
		}},
		{name: "layout-index-nested-too-deeply", want: "nested deeper", make: layout(func(t *testing.T, f files) {
			d := f.image(good(t))
			for range 5 {
				d = f.add(string(types.OCIImageIndex), indexOf(t, d))
			}
			f["index.json"] = indexOf(t, d)
		})},
		{name: "layout-index-that-names-an-index-twice", want: "a loop", make: layout(func(t *testing.T, f files) {
			d := f.add(string(types.OCIImageIndex), indexOf(t, f.image(good(t))))
			f["index.json"] = indexOf(t, d, d)
		})},
		{name: "layout-index-with-too-many-manifests", want: "more than 500 manifests", make: layout(func(t *testing.T, f files) {
			var all []any
			for i := range 501 {
				all = append(all, f.image(altered(t, "amd64", nil, func(m map[string]any) { m["annotations"] = map[string]string{"n": fmt.Sprint(i)} }, archivetest.Good())))
			}
			f["index.json"] = indexOf(t, all...)
		})},
		{name: "layout-index-with-a-manifest-elsewhere", want: "fetched from elsewhere", make: layout(func(t *testing.T, f files) {
			d := f.image(good(t))
			d["urls"] = []string{"http://127.0.0.1/"}
			f["index.json"] = indexOf(t, d)
		})},
		{name: "layout-of-two-images", want: "2 images for linux", make: func(t *testing.T) string {
			return layoutOf(t, good(t), imageOf(t, "arm64", archivetest.Good())).folder(t)
		}},
		{name: "layout-of-windows", want: "windows/amd64", make: func(t *testing.T) string {
			return layoutOf(t, altered(t, "amd64", func(c map[string]any) { c["os"] = "windows" }, nil, archivetest.Good())).folder(t)
		}},
		{name: "layout-of-another-architecture", want: "it is for linux/amd64", o: Options{Architecture: ARM64}, make: layout(func(*testing.T, files) {})},
		{name: "image-with-too-many-layers", want: "at most 2", o: Options{Limits: Limits{Layers: 2}}, make: func(t *testing.T) string {
			return layoutOf(t, imageOf(t, "amd64", archivetest.Good(), archivetest.Good(), archivetest.Good())).folder(t)
		}},
		{name: "image-without-layers", want: "no layers", make: func(t *testing.T) string { return layoutOf(t, imageOf(t, "amd64")).folder(t) }},
		{name: "image-with-a-foreign-layer", want: "is foreign", make: of(func(m map[string]any) {
			first(m)["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
		})},
		{name: "image-with-a-layer-elsewhere", want: "is foreign", make: of(func(m map[string]any) { first(m)["urls"] = []string{"file:///etc/passwd"} })},
		{name: "image-with-a-layer-of-negative-size", want: "has -1 bytes", make: of(func(m map[string]any) { first(m)["size"] = -1 })},
		{name: "image-with-a-layer-of-an-unknown-type", want: "media type", make: of(func(m map[string]any) { first(m)["mediaType"] = "text/plain" })},
		{name: "image-with-an-encrypted-layer", want: "media type", make: of(func(m map[string]any) {
			first(m)["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"
		})},
		{name: "image-with-a-config-too-large", want: "at most 4194304", make: of(func(m map[string]any) { m["config"].(map[string]any)["size"] = 5 << 20 })},
		{name: "image-of-schema-version-1", want: "schemaVersion 1", make: of(func(m map[string]any) { m["schemaVersion"] = 1 })},
		{name: "image-that-is-a-chart", want: "no image of a file system", make: of(func(m map[string]any) {
			m["config"].(map[string]any)["mediaType"] = "application/vnd.cncf.helm.config.v1+json"
		})},
		{name: "image-with-fewer-layers-in-its-config", want: "the config names 0 layers", make: func(t *testing.T) string {
			return layoutOf(t, altered(t, "amd64", func(c map[string]any) { delete(c, "rootfs") }, nil, archivetest.Good())).folder(t)
		}},
		{name: "image-with-another-content-than-its-config-says", want: "the config says " + zero, make: func(t *testing.T) string {
			return layoutOf(t, altered(t, "amd64", func(c map[string]any) {
				c["rootfs"] = map[string]any{"type": "layers", "diff_ids": []string{zero}}
			}, nil, archivetest.Good())).folder(t)
		}},
		{name: "image-larger-than-the-limit-in-all-layers", want: string(archive.TooLarge), o: Options{Limits: Limits{Archive: archive.Limits{Bytes: 16 << 10}}}, make: func(t *testing.T) string {
			return layoutOf(t, imageOf(t, "amd64", archivetest.Good(), archivetest.Good(), archivetest.Good())).folder(t)
		}},
		{name: "image-with-too-many-entries-in-all-layers", want: string(archive.TooManyFiles), o: Options{Limits: Limits{Archive: archive.Limits{Entries: 15}}}, make: func(t *testing.T) string {
			return layoutOf(t, imageOf(t, "amd64", archivetest.Good(), archivetest.Good())).folder(t)
		}},
		{name: "layout-archive-with-a-symlinked-blob", want: "no regular file", make: func(t *testing.T) string {
			f := layoutOf(t, good(t))
			delete(f, layerOf(t))
			return write(t, "layout.tar", f.tar(archivetest.Symlink(layerOf(t), "/etc/passwd")))
		}},
		{name: "layout-archive-with-a-hard-linked-blob", want: "no regular file", make: func(t *testing.T) string {
			f := layoutOf(t, good(t))
			delete(f, layerOf(t))
			return write(t, "layout.tar", f.tar(archivetest.Link(layerOf(t), "oci-layout")))
		}},
		{name: "layout-archive-with-a-parent-path", want: string(archive.ParentPath), make: func(t *testing.T) string {
			return write(t, "layout.tar", layoutOf(t, good(t)).tar(archivetest.File("blobs/sha256/../../../escaped", "x")))
		}},
		{name: "docker-manifest-that-points-outside", want: "outside of the archive", make: docker(func(f files, m map[string]any) { m["Layers"] = []string{"../../../../etc/passwd"} })},
		{name: "docker-manifest-with-an-absolute-layer", want: "outside of the archive", make: docker(func(f files, m map[string]any) { m["Layers"] = []string{"/etc/passwd"} })},
		{name: "docker-manifest-with-a-config-outside", want: "outside of the archive", make: docker(func(f files, m map[string]any) { m["Config"] = "../config.json" })},
		{name: "docker-manifest-without-a-config", want: "outside of the archive", make: docker(func(f files, m map[string]any) { delete(m, "Config") })},
		{name: "docker-manifest-with-a-layer-that-is-not-there", want: `"9/layer.tar", which is not there`, make: docker(func(f files, m map[string]any) { m["Layers"] = []string{"9/layer.tar"} })},
		{name: "docker-manifest-without-layers", want: "names no layers", make: docker(func(f files, m map[string]any) { m["Layers"] = []string{} })},
		{name: "docker-manifest-with-too-many-layers", want: "at most 127", make: docker(func(f files, m map[string]any) { m["Layers"] = slices.Repeat([]string{"0/layer.tar"}, 128) })},
		{name: "docker-manifest-with-a-foreign-layer", want: "is foreign", make: docker(func(f files, m map[string]any) {
			m["LayerSources"] = map[string]any{zero: map[string]any{"mediaType": types.DockerForeignLayer, "digest": zero, "urls": []string{"http://127.0.0.1/"}}}
		})},
		{name: "docker-layer-that-links-outside", want: string(archive.LinkLeaves), make: docker(func(f files, m map[string]any) {
			delete(f, "0/layer.tar")
		}, archivetest.Symlink("0/layer.tar", "../../../etc/passwd"))},
		{name: "docker-layer-that-links-to-an-absolute-path", want: "which is not there", make: docker(func(f files, m map[string]any) {
			delete(f, "0/layer.tar")
		}, archivetest.Symlink("0/layer.tar", "/etc/passwd"))},
		{name: "docker-layer-that-links-to-itself-in-a-loop", want: "no regular file", make: docker(func(f files, m map[string]any) {
			delete(f, "0/layer.tar")
		}, archivetest.Symlink("0/layer.tar", "../1/layer.tar"), archivetest.Symlink("1/layer.tar", "../0/layer.tar"))},
		{name: "docker-layer-with-other-content", want: "the config says", make: docker(func(f files, m map[string]any) {
			f["0/layer.tar"] = archivetest.Tar(archivetest.File("etc/shadow", "x"))
		})},
		{name: "docker-layer-that-is-hostile", want: string(archive.AbsolutePath), make: docker(func(f files, m map[string]any) {
			f["0/layer.tar"] = archivetest.Tar(archivetest.File("/etc/shadow", "x"))
		})},
		{name: "docker-config-of-another-system", want: "windows/amd64", make: docker(func(f files, m map[string]any) {
			f["config.json"] = bytes.Replace(f["config.json"], []byte(`"linux"`), []byte(`"windows"`), 1)
		})},
		{name: "docker-archive-of-two-images", want: "2 images", make: func(t *testing.T) string {
			f := savedOf(t, good(t), archivetest.Good())
			f["manifest.json"] = mustJSON(t, []any{map[string]any{}, map[string]any{}})
			return write(t, "saved.tar", f.tar())
		}},
		{name: "docker-manifest-that-is-no-json", want: "no JSON", make: func(t *testing.T) string {
			f := savedOf(t, good(t), archivetest.Good())
			f["manifest.json"] = []byte("[{")
			return write(t, "saved.tar", f.tar())
		}},
		{name: "docker-manifest-too-large", want: "more than 4194304 bytes", make: func(t *testing.T) string {
			f := savedOf(t, good(t), archivetest.Good())
			f["manifest.json"] = make([]byte, 5<<20)
			return write(t, "saved.tar", f.tar())
		}},
		{name: "rootfs-for-another-machine", want: "its programs are for arm64", o: Options{Architecture: X8664}, make: func(t *testing.T) string { return write(t, "r.tar", rootFS(forARM)) }},
		{name: "rootfs-for-an-unknown-machine", want: "say which architecture", make: func(t *testing.T) string { return write(t, "r.tar", rootFS(0xf3)) }},
		{name: "rootfs-without-programs", want: "say which architecture", make: func(t *testing.T) string { return write(t, "r.tar", archivetest.Good()) }},
	}
}

// relink puts a symbolic link in the place of a file.
func relink(t *testing.T, dir, name, target string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	err := os.RemoveAll(file)
	if err == nil {
		err = os.Symlink(target, file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// open opens a hostile source in a place of its own and fails if anything but
// that place is written to, or anything stays there.
func open(t *testing.T, source string, o Options) error {
	t.Helper()
	around := t.TempDir()
	o.Temp = filepath.Join(around, "a/b/c/temp")
	if err := os.MkdirAll(o.Temp, 0o700); err != nil {
		t.Fatal(err)
	}
	before := listing(t, around, filepath.Dir(source))
	s, err := Open(t.Context(), source, o)
	if err == nil {
		s.Close()
		t.Fatal("it was taken")
	}
	if after := listing(t, around, filepath.Dir(source)); !maps.Equal(before, after) {
		t.Errorf("files have changed: %v, then %v", before, after)
	}
	return err
}

func listing(t *testing.T, dirs ...string) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil {
				all[path] = info.Size()
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestHostileSourcesAreRefused(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, test := range hostiles() {
		if seen[test.name] {
			t.Errorf("two samples are called %s", test.name)
		}
		seen[test.name] = true
		t.Run(test.name, func(t *testing.T) {
			err := open(t, test.make(t), test.o)
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if !errors.Is(err, ErrBadImage) {
				t.Errorf("%v is no refusal", err)
			}
		})
	}
}

// TestHostileArchivesAreRefusedAsSources: as a root file system, and as a layer
// of a layout.
func TestHostileArchivesAreRefusedAsSources(t *testing.T) {
	t.Parallel()
	for _, s := range archivetest.Samples() {
		o := Options{Limits: Limits{Archive: s.Limits}}
		for kind, source := range map[string]string{
			"rootfs": write(t, "rootfs.tar", s.Bytes),
			"layout": layoutOf(t, imageOf(t, "amd64", s.Bytes)).folder(t),
		} {
			err := open(t, source, o)
			var r *archive.Refusal
			if !errors.Is(err, ErrBadImage) || !errors.As(err, &r) || r.Reason != s.Reason || r.Entry != s.Entry {
				t.Errorf("%s as %s: got %v, want %q refused for %q", s.Name, kind, err, s.Entry, s.Reason)
			}
		}
	}
}

func TestASourceThatIsNothing(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"nothing.tar", "debian", "./nothing/there.tar", "/dev/null"} {
		if _, err := Open(t.Context(), source, Options{Temp: t.TempDir()}); err == nil {
			t.Errorf("%s was taken", source)
		}
	}
	if _, err := Open(t.Context(), "x", Options{Architecture: "amd64"}); err == nil {
		t.Error("an architecture of OCI was taken")
	}
}

func TestALayoutOfSkopeoIsRead(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Fatal("skopeo is needed (apt-get install skopeo): ", err)
	}
	dir := t.TempDir()
	from := layoutOf(t, imageOf(t, "amd64", archivetest.Gzip(rootFS(forX86)))).folder(t)
	for kind, to := range map[string]string{
		OCI: "oci-archive:" + filepath.Join(dir, "oci.tar"), Docker: "docker-archive:" + filepath.Join(dir, "docker.tar:a:b"),
	} {
		cmd := exec.CommandContext(t.Context(), "skopeo", "--insecure-policy", "copy", "oci:"+from, to)
		cmd.Env = append(os.Environ(), "HOME="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		s, err := Open(t.Context(), filepath.Join(dir, kind+".tar"), Options{Temp: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if s.Kind != kind || s.OS.ID != "debian" {
			t.Errorf("%s: read as %s of %+v", kind, s.Kind, s.OS)
		}
		if err := validate.Image(s.Image); err != nil {
			t.Error(err)
		}
	}
}

// FuzzManifest: what passes names only what is safe to look for.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:` + strings.Repeat("a", 64) + `","size":1},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:` + strings.Repeat("b", 64) + `","size":1}]}`))
	f.Add([]byte(`{"manifests":[{"digest":"sha256:../x"}]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseManifest(b, 10)
		if err == nil {
			for _, d := range append(m.Layers, m.Config) {
				if !digestPattern.MatchString(d.Digest.String()) || d.Size < 0 || len(d.URLs) > 0 {
					t.Errorf("%+v passed", d)
				}
			}
		}
		parseConfig(b, 1)
		newChoice(func(v1.Descriptor) (string, []byte, error) { return "", b, nil }).images(b, 0)
	})
}

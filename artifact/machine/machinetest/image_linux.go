package machinetest

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"souk/artifact/images"
)

// entry is a file of a layer that a test makes.
type entry struct {
	tar.Header
	content string
}

// then is when everything in the base image was last changed.
var then = time.Unix(1_700_000_000, 0)

func dir(name string, mode int64) entry {
	return entry{Header: tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, ModTime: then}}
}

func plain(name string, mode int64, content string) entry {
	return entry{Header: tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, ModTime: then}, content: content}
}

func symlink(name, to string) entry {
	return entry{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to, Mode: 0o777, ModTime: then}}
}

func hardlink(name, to string) entry {
	return entry{Header: tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: to, Mode: 0o644, ModTime: then}}
}

func device(name string, kind byte, major, minor int64) entry {
	return entry{Header: tar.Header{Typeflag: kind, Name: name, Mode: 0o666, Devmajor: major, Devminor: minor, ModTime: then}}
}

// owned is an entry of another owner than root.
func owned(e entry, uid, gid int) entry {
	e.Uid, e.Gid = uid, gid
	return e
}

// layer makes a layer of entries.
func layer(t testing.TB, entries ...entry) images.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		e.Size = int64(len(e.content))
		e.Format = tar.FormatPAX
		if err := w.WriteHeader(&e.Header); err != nil {
			t.Fatalf("making a layer: %s: %v", e.Name, err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	sum := fmt.Sprintf("sha256:%x", sha256.Sum256(b.Bytes()))
	return images.NewLayer(images.Layer{Digest: sum, DiffID: sum, MediaType: "application/vnd.oci.image.layer.v1.tar", Size: int64(b.Len())},
		func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
}

// programs are the entries of a root file system that runs: busybox under all of
// its names, and the program that attacks.
func programs(t testing.TB) []entry {
	t.Helper()
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatalf("busybox is not here (Debian's package busybox-static): %v", err)
	}
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		t.Fatalf("busybox --list: %v", err)
	}
	attack := Build(t, Attack)
	all := []entry{dir("bin", 0o755), plain("bin/busybox", 0o755, read(busybox)), plain("attack", 0o755, read(attack))}
	for name := range strings.FieldsSeq(string(applets)) {
		if name != "busybox" {
			all = append(all, symlink("bin/"+name, "busybox"))
		}
	}
	return all
}

// Attack is the package of the program that attacks.
const Attack = "souk/artifact/machine/machinetest/testdata/attack"

// Build builds a program that needs no libraries, as those must be that run in a
// machine, and returns its file. A test's own program is none: the race detector
// needs cgo.
func Build(t testing.TB, pkg string) string {
	t.Helper()
	if dir := os.Getenv(builtFolder); dir != "" {
		return filepath.Join(dir, path.Base(pkg)) // see AsOrdinary
	}
	file := filepath.Join(t.TempDir(), "program")
	build := exec.Command("go", "build", "-trimpath", "-o", file, pkg)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", pkg, err, out)
	}
	return file
}

// base is the image of most machines: two layers, so that the second may take
// away what the first has.
func base(t testing.TB, programs []entry) []images.Layer {
	t.Helper()
	first := append(slices.Clone(programs),
		dir("etc", 0o755), dir("root", 0o700), dir("mnt", 0o755), dir("var", 0o755), dir("opt", 0o755), dir("home", 0o755),
		dir("proc", 0o555), dir("sys", 0o555), dir("dev", 0o755), dir("run", 0o755), dir("tmp", 0o1777),
		plain("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\nuser:x:1000:1000::/home/user:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"),
		plain("etc/group", 0o644, "root:x:0:\ndaemon:x:1:\nwww:x:33:user\nuser:x:1000:\nnogroup:x:65534:\n"),
		owned(dir("home/user", 0o755), 1000, 1000),
		dir("opt/a", 0o755), plain("opt/a/1", 0o644, "one\n"), plain("opt/a/2", 0o600, "two\n"), symlink("opt/a/link", "1"), hardlink("opt/a/same", "opt/a/1"),
		dir("opt/b", 0o755), dir("opt/b/c", 0o750), plain("opt/b/c/deep", 0o644, "deep\n"),
		owned(plain("opt/www", 0o640, "owned\n"), 33, 33),
		plain("opt/gone", 0o644, "taken away by the second layer\n"),
		dir("opt/replaced", 0o755), plain("opt/replaced/old", 0o644, "old\n"),
		dir("opt/lib", 0o755), plain("opt/lib/x", 0o644, "x\n"),
	)
	second := []entry{
		dir("opt", 0o755), plain("opt/.wh.gone", 0o644, ""),
		dir("opt/replaced", 0o755), plain("opt/replaced/.wh..wh..opq", 0o644, ""), plain("opt/replaced/new", 0o644, "new\n"),
		plain("etc/layers", 0o644, "2\n"),
		owned(plain("home/user/note", 0o644, "its folder is as the first layer has it\n"), 1000, 1000),
	}
	return []images.Layer{layer(t, first...), layer(t, second...)}
}

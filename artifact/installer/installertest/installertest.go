// Package installertest is what tests that install need: real machines, and an
// image with a shell to make them of. It is for tests alone.
package installertest

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"souk/artifact/layer"
	"souk/artifact/machine"
	"souk/artifact/machine/sandbox"
)

// program is the first process of machines, built once.
var program = sync.OnceValues(func() (string, error) {
	_, here, _, _ := runtime.Caller(0)
	folder, err := os.MkdirTemp("", "installertest-")
	if err != nil {
		return "", err
	}
	at := filepath.Join(folder, "machine")
	build := exec.Command("go", "build", "-o", at, "./testdata/machine")
	build.Dir, build.Env = filepath.Dir(here), append(os.Environ(), "CGO_ENABLED=0")
	text, err := build.CombinedOutput()
	if err != nil {
		return "", errors.New(err.Error() + ": " + string(text))
	}
	return at, nil
})

// Tidy removes what Machines has built. It is called when all tests have ended.
func Tidy() {
	if at, err := program(); err == nil {
		_ = os.RemoveAll(filepath.Dir(at))
	}
}

// Machines opens a provider of machines on a folder. What an earlier one left
// there is found again. It is closed when the test ends.
func Machines(t testing.TB, root string) machine.Provider {
	t.Helper()
	at, err := program()
	if err != nil {
		t.Fatalf("building the machines' first process: %v", err)
	}
	shift, rootless := sandbox.Layers(0)
	cache, err := layer.New(layer.Config{Root: filepath.Join(root, "layers"), Shift: shift, Rootless: rootless})
	if err != nil {
		t.Fatal(err)
	}
	s, err := sandbox.New(sandbox.Config{Root: filepath.Join(root, "machines"), Cache: cache, Binary: at})
	if err != nil {
		t.Fatal(errors.Join(err, cache.Close()))
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), cache.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Base is the layer of an image with a shell and an os-release: a tar archive.
func Base(t testing.TB) []byte {
	t.Helper()
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatalf("busybox is needed (Debian's package busybox-static): %v", err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h tar.Header, content []byte) {
		t.Helper()
		h.Size = int64(len(content))
		err := w.WriteHeader(&h)
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"bin/", "etc/", "root/", "opt/"} {
		add(tar.Header{Typeflag: tar.TypeDir, Name: d, Mode: 0o755}, nil)
	}
	add(tar.Header{Typeflag: tar.TypeReg, Name: "bin/busybox", Mode: 0o755}, program)
	for _, name := range strings.Fields("sh cat cp dd echo ls rm seq sleep tail test true false yes") {
		add(tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + name, Linkname: "busybox", Mode: 0o777}, nil)
	}
	add(tar.Header{Typeflag: tar.TypeReg, Name: "etc/passwd", Mode: 0o644}, []byte("root:x:0:0:root:/root:/bin/sh\n"))
	add(tar.Header{Typeflag: tar.TypeReg, Name: "etc/os-release", Mode: 0o644}, []byte("NAME=Busybox\nVERSION_ID=1\n"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Document is a component document with a script for each phase: the name of a
// phase, and its script, in turns.
func Document(phases ...string) string {
	text := "schemaVersion: 1.0\nphases:\n"
	for i := 0; i+1 < len(phases); i += 2 {
		text += "  - name: " + phases[i] + "\n    steps:\n      - name: Step" + strings.ToUpper(phases[i][:1]) +
			"\n        action: ExecuteBash\n        inputs:\n          commands:\n            - |\n"
		for line := range strings.Lines(phases[i+1]) {
			text += "              " + strings.TrimRight(line, "\n") + "\n"
		}
	}
	return text
}

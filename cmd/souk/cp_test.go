package main

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hostileArchive is what a machine may send that wants to write elsewhere: a link
// out of the target, and a file below it.
func hostileArchive() []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []*tar.Header{
		{Name: "hostile/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "hostile/out", Typeflag: tar.TypeSymlink, Linkname: "../.."},
		{Name: "hostile/out/planted", Typeflag: tar.TypeReg, Mode: 0o755},
	} {
		_ = w.WriteHeader(h) // into memory
	}
	_ = w.Close()
	return b.Bytes()
}

// write makes a file with a mode and a time.
func write(t *testing.T, name, text string, mode os.FileMode) time.Time {
	t.Helper()
	when := time.Date(2025, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, err := range []error{os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), mode), os.Chmod(name, mode), os.Chtimes(name, when, when)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return when
}

// has says whether a file is there as it should be.
func has(t *testing.T, name, text string, mode os.FileMode, when time.Time) {
	t.Helper()
	got, err := os.ReadFile(name)
	if err != nil {
		t.Error(err)
		return
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != text || info.Mode() != mode || !info.ModTime().Equal(when) {
		t.Errorf("%s is %.20q, %v, %v; want %.20q, %v, %v", name, got, info.Mode(), info.ModTime(), text, mode, when)
	}
}

func TestCopiesIntoAnImageBuilderAndBack(t *testing.T) {
	t.Parallel()
	h := newBuilderHost(t)
	here := t.TempDir()
	big := strings.Repeat("0123456789abcdef", 1<<18) // 4 MiB
	when := write(t, here+"/site/index.html", "<p>", 0o640)
	write(t, here+"/site/bin/run", big, 0o755)
	if err := os.Symlink("bin/run", here+"/site/link"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(h.root+"/srv", 0o755); err != nil {
		t.Fatal(err)
	}
	cp := func(args ...string) {
		t.Helper()
		if out, err := h.souk(t, append([]string{"cp"}, args...)...).CombinedOutput(); err != nil || len(out) != 0 {
			t.Errorf("souk cp %q: %v, %q; want no word", args, err, out)
		}
	}
	cp(here+"/site", "web:/srv/") // into a folder
	has(t, h.root+"/srv/site/index.html", "<p>", 0o640, when)
	has(t, h.root+"/srv/site/bin/run", big, 0o755, when)
	if to, err := os.Readlink(h.root + "/srv/site/link"); err != nil || to != "bin/run" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	cp(here+"/site/index.html", "web:/srv/other.html") // as another name
	has(t, h.root+"/srv/other.html", "<p>", 0o640, when)
	cp("web:/srv/site", here+"/back")
	has(t, here+"/back/bin/run", big, 0o755, when)
	cp("web:/srv/other.html", here)
	has(t, here+"/other.html", "<p>", 0o640, when)

	// As archives, through pipes.
	archive, err := h.souk(t, "cp", "web:/srv/site", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	p := h.souk(t, "cp", "-", "web:/again")
	p.Stdin = bytes.NewReader(archive)
	if out, err := p.CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	has(t, h.root+"/again/bin/run", big, 0o755, when)
}

func TestCopyThatCantBe(t *testing.T) {
	t.Parallel()
	h := newBuilderHost(t)
	here := t.TempDir()
	write(t, here+"/file", "x", 0o600)
	for _, c := range []struct {
		from, to string
		code     int
		problem  string
	}{
		{here + "/file", here + "/other", 2, "NAME:PATH"},
		{"web:/a", "web:/b", 2, "both are in image builders"},
		{"web:", here, 2, "no path"},
		{here + "/none", "web:/", 1, "no such file"},
		{"web:/none", here, 1, "in image builder web: reading"},
		{here + "/file", "web:/no/such/folder/x", 1, "in image builder web: writing"},
		{"web:/hostile", here + "/target", 1, "stands in no folder"},
		{here + "/file", "stopped:/", 1, "aws appstream start-image-builder --name stopped"},
		{"/", "web:/", 1, "the whole disk"},
	} {
		p := h.souk(t, "cp", c.from, c.to)
		var problem bytes.Buffer
		p.Stderr = &problem
		if code := status(t, p.Run()); code != c.code || !strings.Contains(problem.String(), c.problem) {
			t.Errorf("souk cp %s %s: status %d, want %d; %q, want %q", c.from, c.to, code, c.code, problem.String(), c.problem)
		}
	}
	if _, err := os.Lstat(filepath.Dir(here) + "/planted"); err == nil {
		t.Error("a machine has planted a file outside of what was copied to")
	}
}

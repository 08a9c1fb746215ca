package images

import (
	"archive/tar"
	"errors"
	"strings"
	"testing"

	"souk/artifact/archive/archivetest"
)

func TestLookFollowsLinksAndLayers(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	low := archivetest.Tar(
		archivetest.File("etc/os-release", "ID=x\n"), archivetest.File("opt/app/run", "old"), archivetest.File("opt/gone", "x"),
		archivetest.Entry{Header: tar.Header{Name: "bin", Typeflag: tar.TypeSymlink, Linkname: "usr/bin"}},
		archivetest.Entry{Header: tar.Header{Name: "usr/bin/app", Typeflag: tar.TypeSymlink, Linkname: "../../opt/app/run"}},
		archivetest.Entry{Header: tar.Header{Name: "opt/around", Typeflag: tar.TypeSymlink, Linkname: "around"}},
		archivetest.Entry{Header: tar.Header{Name: "opt/lost", Typeflag: tar.TypeSymlink, Linkname: "/none"}},
	)
	high := archivetest.Tar(archivetest.File("opt/app/run", "new"), archivetest.File("opt/.wh.gone", ""))
	repository, digest := h.push(seller, v1Image(t, imageOf(t, "amd64", low, high)))
	p := Place{repository, digest}
	paths := []string{"/opt/app/run", "/bin/app", "/bin", "/opt/gone", "/opt/around", "/opt/lost", "/", "/opt/app/run/below", "opt/../opt/app"}
	found, err := h.Look(t.Context(), p, paths)
	if err != nil {
		t.Fatal(err)
	}
	var is []string
	for _, path := range paths {
		if e, ok := found[path]; ok && e.Dir {
			is = append(is, path+"/")
		} else if ok {
			is = append(is, path)
		}
	}
	if got, want := strings.Join(is, " "), "/opt/app/run /bin/app /bin/ // opt/../opt/app/"; got != want {
		t.Errorf("there are %s, want %s", got, want)
	}
	text, err := h.ReadFile(t.Context(), p, found["/bin/app"], 3)
	if err != nil || string(text) != "new" {
		t.Errorf("the file has %q, %v", text, err)
	}
	if _, err := h.ReadFile(t.Context(), p, found["/bin/app"], 2); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a file that is too large: %v", err)
	}
	if _, err := h.ReadFile(t.Context(), p, found["/bin"], 100); err == nil {
		t.Error("a directory was read")
	}
	_, err = h.Look(t.Context(), Place{repository, strings.Replace(digest, digest[7:12], "00000", 1)}, nil)
	if !errors.Is(err, ErrNoImage) {
		t.Errorf("no image: %v", err)
	}
}

func TestAppendWithoutALayerIsTheSameImage(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	repository, digest := h.push(seller, v1Image(t, imageOf(t, "amd64", archivetest.Good())))
	to, err := h.AppStreamRepository(t.Context(), buyer)
	if err != nil || to != "buyer/appstream" {
		t.Fatalf("the repository is %q, %v", to, err)
	}
	for range 2 {
		made, err := h.Append(t.Context(), to, Content{Place: Place{repository, digest}, Size: 7}, nil, "", theTime)
		if err != nil || made.Place != (Place{to, digest}) || made.Size != 7 {
			t.Errorf("it is %+v, %v", made, err)
		}
		if err := h.Whole(t.Context(), made.Place); err != nil {
			t.Errorf("it is not whole: %v", err)
		}
	}
}

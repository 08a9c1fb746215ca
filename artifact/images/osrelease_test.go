package images

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"souk/artifact/archive/archivetest"
)

func TestOSReleaseIsReadOutOfTheMergedLayers(t *testing.T) {
	t.Parallel()
	tar, dir, file, link, hard := archivetest.Tar, archivetest.Dir, archivetest.File, archivetest.Symlink, archivetest.Link
	const none = "no root file system"
	debian, alpine := "ID=debian\nVERSION_ID=13\nNAME=Debian\n", "ID=alpine\nNAME='Alpine Linux'\n"
	for _, test := range []struct {
		name   string
		want   string
		layers [][]byte
	}{
		{"a file", "Debian 13", [][]byte{tar(file("etc/os-release", debian))}},
		{"a link", "Debian 13", [][]byte{tar(link("etc/os-release", "../usr/lib/os-release"), file("usr/lib/os-release", debian))}},
		{"an absolute link", "Debian 13", [][]byte{tar(link("etc/os-release", "/usr/lib/os-release"), file("usr/lib/os-release", debian))}},
		{"only below usr", "Debian 13", [][]byte{tar(file("usr/lib/os-release", debian))}},
		{"a hard link", "Debian 13", [][]byte{tar(file("usr/lib/os-release", debian), hard("etc/os-release", "usr/lib/os-release"))}},
		{"two links", "Debian 13", [][]byte{tar(link("etc/os-release", "../usr/lib/os-release"), link("usr/lib/os-release", "os.release.d/os-release-server"), file("usr/lib/os.release.d/os-release-server", debian))}},
		{"a higher layer", "Alpine Linux", [][]byte{tar(file("etc/os-release", debian)), tar(file("etc/os-release", alpine))}},
		{"link below, file above", "Alpine Linux", [][]byte{tar(link("etc/os-release", "../usr/lib/os-release")), tar(file("usr/lib/os-release", alpine))}},
		{"taken away", none, [][]byte{tar(file("etc/os-release", debian)), tar(file("etc/.wh.os-release", ""))}},
		{"taken away, the other stays", "Alpine Linux", [][]byte{tar(file("etc/os-release", debian), file("usr/lib/os-release", alpine)), tar(file("etc/.wh.os-release", ""))}},
		{"taken away with its folder", none, [][]byte{tar(file("etc/os-release", debian)), tar(file(".wh.etc", ""))}},
		{"an opaque folder", none, [][]byte{tar(file("etc/os-release", debian)), tar(dir("etc"), file("etc/.wh..wh..opq", ""))}},
		{"an opaque folder with its own", "Alpine Linux", [][]byte{tar(file("etc/os-release", debian)), tar(file("etc/os-release", alpine), file("etc/.wh..wh..opq", ""))}},
		{"a file in the folder's place", none, [][]byte{tar(file("etc/os-release", debian)), tar(file("etc", ""))}},
		{"a loop of links", "", [][]byte{tar(link("etc/os-release", "../usr/lib/os-release"), link("usr/lib/os-release", "/etc/os-release"))}},
		{"a link to nothing", "", [][]byte{tar(link("etc/os-release", "/nowhere/os-release"))}},
		{"nothing", none, [][]byte{tar(file("hello", ""))}},
		{"an empty archive", none, [][]byte{tar()}},
		{"an empty file", "", [][]byte{tar(file("etc/os-release", ""))}},
	} {
		h := imageOf(t, "amd64", test.layers...)
		layers, err := layersOf(v1Image(t, h))
		if err != nil {
			t.Fatal(err)
		}
		got, err := verify(t.Context(), Image{Layers: layers}, Limits{}.orDefaults().Archive)
		if test.want == none {
			if !errors.Is(err, ErrBadImage) || !strings.Contains(err.Error(), "no root file system") {
				t.Errorf("%s: %v, want a refusal: no root file system", test.name, err)
			}
			continue
		}
		if err != nil || got.os.Platform() != test.want {
			t.Errorf("%s: got %q, %v, want %q", test.name, got.os.Platform(), err, test.want)
		}
	}
}

func TestPlatformIsNameAndVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		debianRelease:                              "Debian GNU/Linux 13",
		"NAME=Fedora\nVERSION_ID=43":               "Fedora 43",
		"NAME='Arch Linux'\n":                      "Arch Linux",
		"PRETTY_NAME=\"Something \\\"else\\\"\"\n": `Something "else"`,
		"# NAME=no\nnothing\n=x\n":                 "",
		"":                                         "",
		"NAME=a\x00b\x1b[31mc\n":                   "ab[31mc",
	} {
		if got := ParseOSRelease(text).Platform(); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func FuzzOSRelease(f *testing.F) {
	f.Add(debianRelease)
	f.Add("NAME=\"\\")
	f.Add("NAME='\nVERSION_ID=\xff\"")
	f.Fuzz(func(t *testing.T, text string) {
		o := ParseOSRelease(text)
		for _, v := range []string{o.ID, o.Name, o.VersionID, o.Pretty} {
			if len(v) > 200 || !utf8.ValidString(v) || strings.ContainsAny(v, "\n\x00\x1b") {
				t.Errorf("%q", v)
			}
		}
	})
}

func TestAnOSReleaseThatMayBeRunIsReadFromItsBeginning(t *testing.T) {
	t.Parallel()
	release := archivetest.File("etc/os-release", debianRelease)
	release.Mode = 0o755
	program := archivetest.File("usr/bin/true", elfProgram(forX86))
	program.Mode = 0o755
	s, err := Open(t.Context(), write(t, "r.tar", archivetest.Tar(release, program)), Options{Temp: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if want := ParseOSRelease(debianRelease); s.OS != want || s.Architecture != X8664 {
		t.Errorf("got %+v for %s, want %+v for %s", s.OS, s.Architecture, want, X8664)
	}
}

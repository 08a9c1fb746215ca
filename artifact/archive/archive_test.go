package archive_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"souk/artifact/archive"
	"souk/artifact/archive/archivetest"
)

// readAll reads an archive to its end and returns the entries' names.
func readAll(b []byte, limits archive.Limits) (names []string, err error) {
	a, err := archive.New(bytes.NewReader(b), limits)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	for {
		h, err := a.Next()
		if err == io.EOF {
			return names, nil
		}
		if err != nil {
			return names, err
		}
		names = append(names, h.Name)
		if _, err := io.Copy(io.Discard, a); err != nil {
			return names, err
		}
	}
}

func TestHostileArchivesAreRefusedByName(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range archivetest.Samples() {
		if seen[s.Name] {
			t.Errorf("two samples are called %s", s.Name)
		}
		seen[s.Name] = true
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			_, err := readAll(s.Bytes, s.Limits)
			var r *archive.Refusal
			if !errors.As(err, &r) {
				t.Fatalf("got %v, want a refusal for %q", err, s.Reason)
			}
			if r.Reason != s.Reason || r.Entry != s.Entry {
				t.Errorf("got %v, want entry %q refused for %q", err, s.Entry, s.Reason)
			}
			if !strings.Contains(err.Error(), string(s.Reason)) {
				t.Errorf("the message %q does not say %q", err, s.Reason)
			}
		})
	}
	if len(seen) < 40 {
		t.Errorf("%d samples, want 40 or more", len(seen))
	}
}

var goodNames = []string{".", "etc", "etc/os-release", "etc/mtab", "bin", "usr/bin", "usr/bin/perl", "usr/bin/perl5", "usr/bin/awk", "etc"}

func TestRootFileSystemsAreReadWhateverTheirCompression(t *testing.T) {
	t.Parallel()
	good := archivetest.Good()
	bzip2 := exec.CommandContext(t.Context(), "python3", "-c", "import bz2,sys;sys.stdout.buffer.write(bz2.compress(sys.stdin.buffer.read()))")
	bzip2.Stdin = bytes.NewReader(good)
	packed, err := bzip2.Output()
	if err != nil {
		t.Fatal("python3 is needed to compress by bzip2: ", err)
	}
	noted := bytes.IndexByte(good, 'd') // somewhere in the middle
	for name, b := range map[string][]byte{
		"plain": good, "gzip": archivetest.Gzip(good), "zstd": archivetest.Zstd(good), "bzip2": packed, "xz": archivetest.XZ(good),
		"two streams of xz with padding between": slices.Concat(archivetest.XZ(good[:noted]), make([]byte, 8), archivetest.XZ(good[noted:])),
		"padded to a record":                     append(bytes.Clone(good), make([]byte, 10240)...),
	} {
		got, err := readAll(b, archive.Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(goodNames, got); d != "" {
			t.Errorf("%s: (-want +got):\n%s", name, d)
		}
	}
}

// What the tools write is read: with every check, in many blocks, with sizes in
// the blocks' headers or without.
func TestXZOfOtherWritersIsRead(t *testing.T) {
	t.Parallel()
	var data strings.Builder
	for i := range 40_000 {
		fmt.Fprintf(&data, "line %d of %x\n", i, i*i)
	}
	good := archivetest.Tar(archivetest.File("f", data.String()))
	for _, how := range []string{
		"check=lzma.CHECK_NONE", "check=lzma.CHECK_CRC32", "check=lzma.CHECK_CRC64", "check=lzma.CHECK_SHA256",
		"preset=9", "preset=0", "filters=[{'id':lzma.FILTER_LZMA2,'dict_size':4096}]",
	} {
		python := exec.CommandContext(t.Context(), "python3", "-c", "import lzma,sys;sys.stdout.buffer.write(lzma.compress(sys.stdin.buffer.read(),"+how+"))")
		python.Stdin = bytes.NewReader(good)
		packed, err := python.Output()
		if err != nil {
			t.Fatal("python3 is needed to compress by xz: ", err)
		}
		got, err := readAll(packed, archive.Limits{})
		if err != nil || len(got) != 1 {
			t.Errorf("%s: %v, %v", how, got, err)
		}
	}
}

func TestAFileThatIsNoTarIsNamed(t *testing.T) {
	t.Parallel()
	for begin, want := range map[string]string{
		"PK\x03\x04": "a ZIP archive", "7z\xbc\xaf\x27\x1c": "a 7z archive", "QFI\xfb": "a QCOW2 disk image", "hsqs": "a squashfs file system",
		"!<arch>\n": "an ar archive or a Debian package", "noise": "a file of another kind",
	} {
		_, err := readAll([]byte(begin+strings.Repeat("content", 300)), archive.Limits{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "what is read is tar") {
			t.Errorf("%q: %v, want %q and what is read", begin, err, want)
		}
	}
}

func TestAbsoluteSymlinksAreData(t *testing.T) {
	t.Parallel()
	a, err := archive.New(bytes.NewReader(archivetest.Tar(archivetest.Symlink("etc/localtime", "/usr/share/zoneinfo/UTC"))), archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := a.Next()
	if err != nil || h.Linkname != "/usr/share/zoneinfo/UTC" {
		t.Errorf("got %+v, %v", h, err)
	}
}

func TestTeeSeesTheWholeArchive(t *testing.T) {
	t.Parallel()
	good := archivetest.Good()
	var seen bytes.Buffer
	a, err := archive.New(bytes.NewReader(archivetest.Gzip(good)), archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	a.Tee(&seen)
	for err == nil {
		_, err = a.Next()
	}
	if err != io.EOF || !bytes.Equal(seen.Bytes(), good) {
		t.Errorf("saw %d bytes of %d, %v", seen.Len(), len(good), err)
	}
	packed, plain := a.Progress()
	if packed != int64(len(archivetest.Gzip(good))) || plain != int64(len(good)) {
		t.Errorf("progress %d, %d", packed, plain)
	}
}

func TestAnErrorOfTheReaderBelowIsNoRefusal(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk is broken")
	a, err := archive.New(io.MultiReader(bytes.NewReader(archivetest.Good()[:2000]), iotest.ErrReader(broken)), archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = a.Next()
	}
	var r *archive.Refusal
	if errors.As(err, &r) || !errors.Is(err, broken) {
		t.Errorf("got %v, want the disk's error", err)
	}
	if _, again := a.Next(); again != err {
		t.Errorf("then %v, want the same error again", again)
	}
}

// FuzzArchive: whatever the bytes, what passes is within the tree and the limits.
func FuzzArchive(f *testing.F) {
	for _, s := range archivetest.Samples() {
		if len(s.Bytes) < 64<<10 {
			f.Add(s.Bytes)
		}
	}
	f.Add(archivetest.Good())
	f.Add(archivetest.Gzip(archivetest.Good()))
	f.Add(archivetest.Zstd(archivetest.Good()))
	f.Add(archivetest.XZ(archivetest.Good()))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := archive.New(bytes.NewReader(b), archive.Limits{Entries: 100, Bytes: 1 << 20, Grace: 1 << 16})
		if err != nil {
			return
		}
		defer a.Close()
		for n := 0; ; n++ {
			h, err := a.Next()
			if err != nil {
				return
			}
			if n >= 100 {
				t.Fatal("more entries than the limit")
			}
			for _, name := range []string{h.Name, h.Linkname} {
				if name == h.Linkname && h.Typeflag != tar.TypeLink {
					continue
				}
				if name == "" || name[0] == '/' || strings.IndexByte(name, 0) >= 0 || strings.HasSuffix(name, "/") ||
					strings.Contains("/"+name+"/", "/../") || name != "." && strings.Contains("/"+name+"/", "/./") {
					t.Fatalf("%q passed", name)
				}
			}
			if copied, err := io.Copy(io.Discard, a); err != nil || copied > 1<<20 {
				return
			}
		}
	})
}

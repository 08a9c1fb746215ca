package files

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// then is a time of files that is not now.
var then = time.Unix(1_700_000_000, 0)

// write makes a file of a test.
func write(t testing.TB, name, content string, mode fs.FileMode) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if err == nil {
		err = os.WriteFile(name, []byte(content), 0o600)
	}
	if err == nil {
		err = os.Chmod(name, mode)
	}
	if err == nil {
		err = os.Chtimes(name, then, then)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// list is what lies below a folder: path, mode, content or target, and the number of names.
func list(t testing.TB, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		line := strings.TrimPrefix(path, dir+"/") + " " + info.Mode().String()
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			to, _ := os.Readlink(path)
			line += " -> " + to
		case info.Mode().IsRegular():
			b, _ := os.ReadFile(path)
			line += " " + string(b)
			if n := info.Sys().(*syscall.Stat_t).Nlink; n > 1 {
				line += " (two names)"
			}
			if !info.ModTime().Equal(then) {
				line += " (another time)"
			}
		}
		all = append(all, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

// pack packs what is at a path.
func pack(t testing.TB, name string, o Options) []byte {
	t.Helper()
	var b bytes.Buffer
	err := Pack(&b, name, o)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestATreeIsCarriedWhole(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	write(t, from+"/app/bin/run", "#!/bin/sh\n", 0o755)
	write(t, from+"/app/data/secret", "s", 0o600)
	write(t, from+"/app/\xff not utf-8", "", 0o644)
	err := errors.Join(os.Link(from+"/app/bin/run", from+"/app/zz-same"), os.Symlink("bin/run", from+"/app/link"), os.Symlink("/etc", from+"/app/away"),
		os.Mkdir(from+"/app/closed", 0o700), os.Chmod(from+"/app/data", 0o750), syscall.Mkfifo(from+"/app/pipe", 0o600))
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	b := pack(t, from+"/app", Options{Note: func(s string) { left = append(left, s) }})
	if len(left) != 1 || !strings.Contains(left[0], "app/pipe") {
		t.Errorf("left out: %q", left)
	}
	for _, where := range []struct{ target, name string }{{to, "app"}, {to + "/other", "other"}} {
		err = Unpack(bytes.NewReader(b), where.target, Options{})
		if err != nil {
			t.Fatal(err)
		}
		want := "away Lrwxrwxrwx -> /etc\nbin drwxr-xr-x\nbin/run -rwxr-xr-x #!/bin/sh\n (two names)\nclosed drwx------\ndata drwxr-x---\ndata/secret -rw------- s\nlink Lrwxrwxrwx -> bin/run\nzz-same -rwxr-xr-x #!/bin/sh\n (two names)\n\xff not utf-8 -rw-r--r-- "
		if got := list(t, to+"/"+where.name); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", where.name, got, want)
		}
	}
	// Once more over it: files are replaced, folders stay as they are.
	err = errors.Join(os.WriteFile(to+"/app/data/secret", []byte("changed"), 0o644), os.WriteFile(to+"/app/data/own", nil, 0o600), os.Chmod(to+"/app/data", 0o711))
	if err == nil {
		err = Unpack(bytes.NewReader(b), to, Options{})
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := list(t, to+"/app/data"); got != "own -rw-------  (another time)\nsecret -rw------- s" {
		t.Errorf("over it: %s", got)
	}
	if info, err := os.Stat(to + "/app/data"); err != nil || info.Mode().Perm() != 0o711 {
		t.Errorf("a folder that was there has %v, %v", info, err)
	}
}

func TestAFileGoesIntoAFolderOrAsAnother(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	write(t, from+"/real", "content", 0o640)
	err := errors.Join(os.Symlink("real", from+"/file"), os.WriteFile(to+"/there", []byte("old"), 0o600), os.Symlink(to+"/there", to+"/link"))
	if err != nil {
		t.Fatal(err)
	}
	b := pack(t, from+"/file", Options{}) // a link at the path itself is followed
	for target, want := range map[string]string{"": "file", "/new": "new", "/there": "there", "/link": "link"} {
		err = Unpack(bytes.NewReader(b), to+target, Options{})
		got, failed := os.ReadFile(to + "/" + want)
		if err != nil || failed != nil || string(got) != "content" {
			t.Errorf("put as %q: %v, %v, %q", target, err, failed, got)
		}
	}
	for _, target := range []string{"/missing/name", "/new/", "/new/below", "/nothing/"} {
		if err := Unpack(bytes.NewReader(b), to+target, Options{}); err == nil {
			t.Errorf("put as %q: no error", target)
		}
	}
	for _, name := range []string{from + "/missing", "/", "/dev/null", ""} {
		if name == "" {
			continue // the folder of this process, which is one
		}
		if err := Pack(io.Discard, name, Options{}); err == nil {
			t.Errorf("get %s: no error", name)
		}
	}
}

func TestOwnersAreKeptForRoot(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	write(t, from+"/d/run", "x", 0o755|fs.ModeSetuid)
	uid := os.Getuid()
	if uid == 0 {
		uid = 1234
		err := errors.Join(os.Chown(from+"/d/run", uid, uid), os.Chmod(from+"/d/run", 0o755|fs.ModeSetuid|fs.ModeSetgid), os.Chmod(from+"/d", 0o777|fs.ModeSticky), os.Lchown(from+"/d", uid, uid))
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, owners := range []bool{true, false} {
		dir := filepath.Join(to, map[bool]string{true: "kept", false: "plain"}[owners])
		err := Unpack(bytes.NewReader(pack(t, from+"/d", Options{Owners: true})), dir, Options{Owners: owners})
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(dir + "/run")
		if err != nil {
			t.Fatal(err)
		}
		st := info.Sys().(*syscall.Stat_t)
		if owners && (int(st.Uid) != uid || info.Mode()&fs.ModeSetuid == 0) || !owners && (int(st.Uid) != os.Getuid() || info.Mode()&fs.ModeSetuid != 0) {
			t.Errorf("owners %v: %v of %d", owners, info.Mode(), st.Uid)
		}
	}
	h, err := tar.NewReader(bytes.NewReader(pack(t, from+"/d", Options{}))).Next()
	if err != nil || h.Uid != 0 || h.Gid != 0 {
		t.Errorf("without owners the archive says %+v, %v", h, err)
	}
}

// archive makes an archive of headers; a file's content is its Linkname.
func archive(t testing.TB, all ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range all {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content, h.Linkname = h.Linkname, ""
			h.Size = int64(len(content))
		}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		err := w.WriteHeader(&h)
		if err == nil {
			_, err = io.WriteString(w, content)
		}
		if err != nil {
			t.Fatalf("%s: %v", h.Name, err)
		}
	}
	err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func folder(name string) tar.Header { return tar.Header{Typeflag: tar.TypeDir, Name: name + "/"} }
func plain(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Linkname: content}
}
func link(name, to string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
}
func hard(name, to string) tar.Header {
	return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: to}
}

// hostile are archives that must be refused, by what is wrong with them.
func hostile(t testing.TB, outside string) map[string][]byte {
	return map[string][]byte{
		"empty":                      archive(t),
		"no archive":                 []byte(strings.Repeat("no archive ", 100)),
		"a name above":               archive(t, folder("d"), plain("d/../../x", "x")),
		"a name above at the top":    archive(t, plain("../x", "x")),
		"an absolute name":           archive(t, plain(outside+"/x", "x")),
		"another name at the top":    archive(t, folder("d"), plain("e", "x")),
		"a file twice at the top":    archive(t, plain("d", "x"), plain("d", "y")),
		"a file below a file":        archive(t, plain("d", "x"), plain("d/x", "y")),
		"a file below a link":        archive(t, folder("d"), link("d/l", outside), plain("d/l/x", "x")),
		"a folder where a link is":   archive(t, folder("d"), link("d/l", outside), folder("d/l"), plain("d/l/x", "x")),
		"a file without its folder":  archive(t, folder("d"), plain("d/e/x", "x")),
		"a hard link to outside":     archive(t, folder("d"), hard("d/x", outside+"/kept")),
		"a hard link above":          archive(t, folder("d"), hard("d/x", "d/../../kept")),
		"a hard link by a link":      archive(t, folder("d"), link("d/l", outside), hard("d/x", "d/l/kept")),
		"a hard link to a link":      archive(t, folder("d"), link("d/l", outside+"/kept"), hard("d/x", "d/l")),
		"a hard link to itself":      archive(t, folder("d"), plain("d/x", "x"), hard("d/x", "d/x")),
		"a hard link at the top":     archive(t, hard("d", "d")),
		"a device":                   archive(t, folder("d"), tar.Header{Typeflag: tar.TypeChar, Name: "d/null", Devmajor: 1, Devminor: 3}),
		"a disk":                     archive(t, tar.Header{Typeflag: tar.TypeBlock, Name: "d", Devmajor: 8}),
		"a pipe":                     archive(t, folder("d"), tar.Header{Typeflag: tar.TypeFifo, Name: "d/p"}),
		"the end in the middle":      archive(t, folder("d"), plain("d/x", strings.Repeat("x", 2000)))[:2048],
		"a terabyte of nothing":      sparse,
		"a terabyte of nothing, old": oldSparse(),
	}
}

// sparse is an archive whose only file is a terabyte and sends nothing: tar --format=pax
// --sparse writes such.
var sparse = func() []byte {
	record := func(key, value string) string {
		n := len(key) + len(value) + 3
		for {
			line := itoa(n+len(itoa(n))) + " " + key + "=" + value + "\n"
			if len(line) == n+len(itoa(n)) {
				return line
			}
			n++
		}
	}
	pax := record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") + record("GNU.sparse.name", "d") + record("GNU.sparse.realsize", "1099511627776")
	content := "1\n1099511627776\n0\n"
	return slices.Concat(block('x', "h", len(pax)), pad(pax), block('0', "d", 512), pad(content), make([]byte, 1024))
}()

// oldSparse is the same as GNU tar wrote it before.
func oldSparse() []byte {
	b := block('S', "d", 0)
	copy(b[257:], "ustar  \x00")
	copy(b[483:], "\x80\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00")
	sum(b)
	return append(b, make([]byte, 1024)...)
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

func pad(s string) []byte { return append([]byte(s), make([]byte, -len(s)&511)...) }

// block is a header.
func block(kind byte, name string, size int) []byte {
	b := make([]byte, 512)
	copy(b, name)
	copy(b[100:], "0000644\x000000000\x000000000\x00")
	octal := ""
	for n := size; n > 0; n /= 8 {
		octal = string(rune('0'+n%8)) + octal
	}
	copy(b[124:], strings.Repeat("0", 11-len(octal))+octal+"\x0000000000000\x00")
	b[156] = kind
	copy(b[257:], "ustar\x0000")
	sum(b)
	return b
}

func sum(b []byte) {
	copy(b[148:], "        ")
	n := 0
	for _, c := range b {
		n += int(c)
	}
	octal := ""
	for ; n > 0; n /= 8 {
		octal = string(rune('0'+n%8)) + octal
	}
	copy(b[148:], strings.Repeat("0", 6-len(octal))+octal+"\x00 ")
}

func TestHostileArchivesAreRefusedAndReachNothing(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	write(t, outside+"/kept", "kept", 0o600)
	for name, b := range hostile(t, outside) {
		to := t.TempDir()
		err := os.Mkdir(to+"/in", 0o755)
		if err == nil {
			err = Unpack(bytes.NewReader(b), to+"/in", Options{})
		}
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		if got := list(t, outside); got != "kept -rw------- kept" {
			t.Fatalf("%s: outside there is now\n%s", name, got)
		}
		if entries, _ := os.ReadDir(to); len(entries) != 1 {
			t.Errorf("%s: beside the target there is %v", name, entries)
		}
		if got := list(t, to); strings.Contains(got, "/x -") && !strings.Contains(name, "itself") {
			t.Errorf("%s: it left\n%s", name, got)
		}
	}
}

func TestAnArchiveOfAnotherFileThanTheOneThatWasAskedForIsRefused(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	write(t, from+"/.profile", "planted", 0o600)
	write(t, to+"/.profile", "mine", 0o600)
	b := pack(t, from+"/.profile", Options{})
	err := Unpack(bytes.NewReader(b), to, Options{Name: "log"})
	if !errors.Is(err, ErrArchive) {
		t.Errorf("got %v", err)
	}
	if got := list(t, to); got != ".profile -rw------- mine" {
		t.Errorf("the target has\n%s", got)
	}
	err = Unpack(bytes.NewReader(b), to, Options{Name: ".profile"})
	if got := list(t, to); err != nil || got != ".profile -rw------- planted" {
		t.Errorf("what was asked for: %v\n%s", err, got)
	}
}

func TestLinksThatAreThereAreNotFollowed(t *testing.T) {
	t.Parallel()
	outside, to := t.TempDir(), t.TempDir()
	write(t, outside+"/kept", "kept", 0o600)
	err := errors.Join(os.Mkdir(to+"/d", 0o755), os.Symlink(outside, to+"/d/sub"), os.Symlink(outside+"/kept", to+"/d/file"))
	if err != nil {
		t.Fatal(err)
	}
	err = Unpack(bytes.NewReader(archive(t, folder("d"), folder("d/sub"), plain("d/sub/x", "x"))), to, Options{})
	if err == nil {
		t.Error("a folder is written through a link")
	}
	err = Unpack(bytes.NewReader(archive(t, folder("d"), plain("d/file", "new"))), to, Options{})
	if got, _ := os.ReadFile(to + "/d/file"); err != nil || string(got) != "new" {
		t.Errorf("a file over a link: %v, %q", err, got)
	}
	err = Unpack(bytes.NewReader(archive(t, plain("d", "file"))), to, Options{})
	if err == nil {
		t.Error("a file replaced a folder")
	}
	if got := list(t, outside); got != "kept -rw------- kept" {
		t.Errorf("outside there is now\n%s", got)
	}
}

func TestTheToolSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		code int
	}{{nil, 2}, {[]string{"get"}, 2}, {[]string{"move", "x"}, 2}, {[]string{"get", t.TempDir() + "/missing"}, 1}, {[]string{"put", t.TempDir()}, 1}} {
		var out, errs bytes.Buffer
		if got := Tool(t.Context(), c.args, strings.NewReader(""), &out, &errs); got != c.code || !strings.HasPrefix(errs.String(), "files: ") {
			t.Errorf("%q: %d, %q", c.args, got, errs.String())
		}
	}
	dir := t.TempDir()
	write(t, dir+"/f", "content", 0o644)
	var b, errs bytes.Buffer
	if code := Tool(t.Context(), []string{"get", dir + "/f"}, nil, &b, &errs); code != 0 {
		t.Errorf("get: %d, %s", code, errs.String())
	}
	if code := Tool(t.Context(), []string{"put", dir + "/g"}, &b, io.Discard, &errs); code != 0 {
		t.Errorf("put: %d, %s", code, errs.String())
	}
	if got := list(t, dir); got != "f -rw-r--r-- content\ng -rw-r--r-- content" {
		t.Error(got)
	}
}

func FuzzUnpack(f *testing.F) {
	outside := f.TempDir()
	write(f, outside+"/kept", "kept", 0o600)
	for _, b := range hostile(f, outside) {
		f.Add(b)
	}
	f.Add(archive(f, folder("d"), plain("d/x", "x"), link("d/l", "x"), hard("d/h", "d/x")))
	f.Fuzz(func(t *testing.T, b []byte) {
		to := t.TempDir()
		err := os.Mkdir(to+"/in", 0o755)
		if err != nil {
			t.Fatal(err)
		}
		_ = Unpack(bytes.NewReader(b), to+"/in", Options{})
		if got := list(t, outside); got != "kept -rw------- kept" {
			t.Fatalf("outside there is now\n%s", got)
		}
		if entries, _ := os.ReadDir(to); len(entries) != 1 {
			t.Fatalf("beside the target there is %v", entries)
		}
		size := int64(0)
		_ = filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				if info, err := d.Info(); err == nil {
					size += info.Size()
				}
			}
			if err == nil && d.IsDir() {
				_ = os.Chmod(path, 0o700) // so that the test can remove it
			}
			return nil
		})
		if size > int64(len(b))*2 {
			t.Fatalf("%d bytes became %d", len(b), size)
		}
	})
}

package machinetest

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"souk/artifact/images"
	"souk/artifact/machine"
)

// file is what a file of a disk is: what the program that attacks prints of it.
type file struct {
	Path, Kind    string
	Mode          uint32
	UID, GID      uint32
	Sum, To, Same string
	Cap           string
	Time          int64
}

// changedFile is an entry of a layer.
type changedFile struct {
	file
	link string // of a hard link: the path that it is the same as
}

// disk is a disk's files by their paths. Files that are one file under several
// paths have a group of their own number; the others have 0.
type disk struct {
	files  map[string]*file
	groups map[string]int // by path
	last   int
}

// mounted are the paths that a provider mounts over: what is there is on no disk.
var mounted = []string{"proc", "sys", "dev", "run", "tmp"}

// readLayer reads a layer's archive.
func (s *suite) readLayer(t *testing.T, b []byte) []changedFile {
	t.Helper()
	var all []changedFile
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("reading the layer: %v", err)
		}
		if path.IsAbs(h.Name) || strings.Contains("/"+h.Name+"/", "/../") {
			t.Errorf("the layer has the name %q", h.Name)
		}
		f := changedFile{file: file{Path: path.Clean(h.Name), Mode: uint32(h.Mode) & 0o7777, UID: uint32(h.Uid), GID: uint32(h.Gid)}}
		switch h.Typeflag {
		case tar.TypeReg:
			f.Kind, f.Time = "file", h.ModTime.Unix()
			sum := sha256.New()
			if _, err := io.Copy(sum, r); err != nil {
				t.Fatalf("reading %s of the layer: %v", h.Name, err)
			}
			f.Sum = fmt.Sprintf("%x", sum.Sum(nil)[:8])
			f.Cap = fmt.Sprintf("%x", h.PAXRecords["SCHILY.xattr.security.capability"])
		case tar.TypeDir:
			f.Kind = "dir"
		case tar.TypeSymlink:
			f.Kind, f.To, f.Mode = "link", h.Linkname, 0o777
		case tar.TypeLink:
			f.link = path.Clean(h.Linkname)
		case tar.TypeFifo:
			f.Kind = "fifo"
		case tar.TypeChar:
			f.Kind = "char"
		case tar.TypeBlock:
			f.Kind = "block"
		default:
			t.Errorf("%s of the layer is of type %q", h.Name, h.Typeflag)
		}
		for key := range h.PAXRecords {
			if strings.HasPrefix(key, "SCHILY.xattr.") && key != "SCHILY.xattr.security.capability" && !strings.HasPrefix(key, "SCHILY.xattr.user.") {
				t.Errorf("%s of the layer has %s", h.Name, key)
			}
		}
		if f.Path != "." {
			all = append(all, f)
		}
	}
}

// entries reads a layer of an image.
func (s *suite) entries(t *testing.T, l images.Layer) []changedFile {
	t.Helper()
	r, err := l.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return s.readLayer(t, b)
}

// image is the disk that the base makes.
func (s *suite) image(t *testing.T) *disk {
	t.Helper()
	d := &disk{files: map[string]*file{}, groups: map[string]int{}}
	for _, l := range s.base {
		d.lay(t, s.entries(t, l))
	}
	if !s.can.FullUIDs {
		for _, f := range d.files {
			f.UID, f.GID = 0, 0 // all is root's
		}
	}
	return d
}

// lay lays a layer over a disk, by the rules of OCI's image specification. It is
// written apart from the product, so that both would have to be wrong alike.
func (d *disk) lay(t *testing.T, changed []changedFile) {
	t.Helper()
	remove := func(p string, itself bool) {
		for other := range d.files {
			if itself && other == p || strings.HasPrefix(other, p+"/") {
				delete(d.files, other)
				delete(d.groups, other)
			}
		}
	}
	// Marks are of lower layers alone, wherever they stand in the archive.
	for _, c := range changed {
		folder, name := path.Split(c.Path)
		switch after, mark := strings.CutPrefix(name, ".wh."); {
		case name == ".wh..wh..opq":
			remove(strings.TrimSuffix(folder, "/"), false)
		case mark:
			remove(folder+after, true)
		}
	}
	for _, c := range changed {
		if strings.HasPrefix(path.Base(c.Path), ".wh.") {
			continue
		}
		if old := d.files[c.Path]; old != nil && (old.Kind != "dir" || c.Kind != "dir") {
			remove(c.Path, true)
		}
		f := c.file
		if c.link != "" {
			to := d.files[c.link]
			if to == nil {
				t.Errorf("%s of the layer is a hard link to %s, which is not there", c.Path, c.link)
				continue
			}
			f = *to
			f.Path = c.Path
			if d.groups[c.link] == 0 {
				d.last++
				d.groups[c.link] = d.last
			}
			d.groups[c.Path] = d.groups[c.link]
		}
		d.files[c.Path] = &f
	}
}

// lines describe a disk, a line a file, without what is mounted over it in a
// machine and what no layer has.
func (d *disk) lines() []string {
	members := map[int][]string{}
	for p, g := range d.groups {
		if g != 0 {
			members[g] = append(members[g], p)
		}
	}
	var all []string
	for p, f := range d.files {
		if f.Kind == "socket" || f.Kind == "fifo" || hidden(p) {
			continue // no layer need have them
		}
		line := fmt.Sprintf("%q %s %04o %d:%d", p, f.Kind, f.Mode, f.UID, f.GID)
		switch f.Kind {
		case "file":
			line += fmt.Sprintf(" %s at %d cap %q", f.Sum, f.Time, f.Cap)
		case "link":
			line += fmt.Sprintf(" -> %q", within(p, f.To))
		}
		if same := members[d.groups[p]]; d.groups[p] != 0 && len(same) > 1 {
			slices.Sort(same)
			line += fmt.Sprintf(" = %q", same)
		}
		all = append(all, line)
	}
	slices.Sort(all)
	return all
}

// within is a link's target without the steps that lead above the root, which lead
// to the root: a layer need not have them, and readers of archives may refuse them.
func within(link, to string) string {
	parts := strings.Split(to, "/")
	up := 0
	for up < len(parts) && parts[up] == ".." {
		up++
	}
	parts = parts[max(0, up-strings.Count(link, "/")):]
	if len(parts) == 0 {
		return "."
	}
	return strings.Join(parts, "/")
}

// hidden says whether a path is on no disk, since something is mounted there.
func hidden(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return slices.Contains(mounted, first)
}

// tree is the disk as the machine itself sees it.
func (b *box) tree() *disk {
	b.t.Helper()
	r := b.run(machine.Cmd{Args: []string{"/attack", "tree"}})
	if r.fault != nil || r.exit.Code != 0 {
		b.t.Fatalf("listing the machine's disk: %+v", r)
	}
	d := &disk{files: map[string]*file{}, groups: map[string]int{}}
	numbers := map[string]int{}
	for line := range strings.Lines(r.out) {
		var f file
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			b.t.Fatalf("%s: %v", line, err)
		}
		if f.Same != "" {
			if numbers[f.Same] == 0 {
				numbers[f.Same] = len(numbers) + 1
			}
			d.groups[f.Path] = numbers[f.Same]
		}
		f.Same = ""
		d.files[f.Path] = &f
	}
	return d
}

// surplus are the entries of a layer that say what was so already: files that
// nothing changed, and what stands where nothing of a machine's disk is.
func (s *suite) surplus(t *testing.T, changed []changedFile, saw *disk) []string {
	t.Helper()
	before := s.image(t)
	linked := map[string]bool{} // what a hard link is to has to be in the layer
	for _, c := range changed {
		linked[c.link] = true
	}
	var all []string
	for _, c := range changed {
		folder, name := path.Split(c.Path)
		old := before.files[c.Path]
		switch after, mark := strings.CutPrefix(name, ".wh."); {
		case hidden(c.Path):
			if old == nil || *old != c.file {
				all = append(all, c.Path)
			}
		case name == ".wh..wh..opq":
			if before.files[strings.TrimSuffix(folder, "/")] == nil {
				all = append(all, c.Path)
			}
		case mark:
			if now := saw.files[folder+after]; before.files[folder+after] == nil && (now == nil || now.Kind != "fifo") {
				all = append(all, c.Path)
			}
		case old != nil && c.Kind != "dir" && c.link == "" && !linked[c.Path] && before.groups[c.Path] == 0 && *old == c.file:
			all = append(all, c.Path)
		}
	}
	return all
}

// compare stops the machine and checks that its layer, laid over the image, is
// what the machine sees when it is started again. (Before that an overlay file
// system may tell of a file, and of a link to it that was made there, that they are
// two.)
func (s *suite) compare(b *box) []changedFile {
	b.t.Helper()
	if err := b.p.Stop(b.t.Context(), b.id); err != nil {
		b.t.Fatalf("stopping the machine: %v", err)
	}
	if err := b.p.Start(b.t.Context(), b.id); err != nil {
		b.t.Fatalf("starting the machine again: %v", err)
	}
	saw := b.tree()
	if err := b.p.Stop(b.t.Context(), b.id); err != nil {
		b.t.Fatalf("stopping the machine: %v", err)
	}
	var archive bytes.Buffer
	if err := b.p.Diff(b.t.Context(), b.id, &archive); err != nil {
		b.t.Fatalf("Diff: %v", err)
	}
	var again bytes.Buffer
	if err := b.p.Diff(b.t.Context(), b.id, &again); err != nil || !bytes.Equal(archive.Bytes(), again.Bytes()) {
		b.t.Errorf("a second Diff gives another layer of %d bytes, not %d: %v", again.Len(), archive.Len(), err)
	}
	changed := s.readLayer(b.t, archive.Bytes())
	laid := s.image(b.t)
	laid.lay(b.t, changed)
	if d := cmp.Diff(saw.lines(), laid.lines()); d != "" {
		b.t.Errorf("what the machine saw (-) and its layer over the image (+):\n%s", d)
	}
	if extra := s.surplus(b.t, changed, saw); len(extra) > 0 {
		b.t.Errorf("the layer has what did not change: %q", extra)
	}
	return changed
}

// changes checks the layers of what machines changed.
func (s *suite) changes(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		want   []string // paths of the layer, directories of the image apart
	}{
		"nothing":                        {"true", nil},
		"reading":                        {"cat /opt/a/1 /opt/b/c/deep >/dev/null; ls -lR /opt >/dev/null; head -c1 /attack", nil},
		"what is mounted over":           {"echo x > /tmp/x; echo x > /run/x; echo x > /dev/shm/x", nil},
		"a new file":                     {"echo new > /root/new", []string{"root/new"}},
		"a file that was changed":        {"echo more >> /opt/b/c/deep", []string{"opt/b/c/deep"}},
		"a mode alone":                   {"chmod 4711 /opt/www", []string{"opt/www"}},
		"an owner alone":                 {"chown 12:34 /opt/www", []string{"opt/www"}},
		"the mode of a directory":        {"chmod 1777 /opt/b", []string{"opt/b"}},
		"a file that was removed":        {"rm /opt/a/2", []string{"opt/a/.wh.2"}},
		"a directory that was removed":   {"rm -r /opt/b", []string{"opt/.wh.b"}},
		"made and removed":               {"echo x > /root/x; mkdir -p /root/d/e; rm -r /root/x /root/d", nil},
		"a symbolic link":                {"ln -s /etc/shadow /root/link; ln -s ../../../.. /root/up", []string{"root/link", "root/up"}},
		"a link that was redirected":     {"ln -sfn 2 /opt/a/link", []string{"opt/a/link"}},
		"a hard link":                    {"echo x > /root/x; ln /root/x /root/y; ln /root/x /opt/z", []string{"opt/z", "root/x", "root/y"}},
		"a hard link to the image's":     {"ln /opt/b/c/deep /root/deep", []string{"opt/b/c/deep", "root/deep"}},
		"one of the image's hard links":  {"echo x >> /opt/a/same", []string{"opt/a/same"}},
		"a directory that was replaced":  {"rm -r /opt/a; mkdir /opt/a; echo n > /opt/a/new", []string{"opt/a", "opt/a/.wh..wh..opq", "opt/a/new"}},
		"a directory that became a file": {"rm -r /opt/a; echo n > /opt/a", []string{"opt/a"}},
		"a directory that became a link": {"rm -r /opt/a; ln -s b /opt/a", []string{"opt/a"}},
		"a file that became a directory": {"rm /opt/www; mkdir /opt/www; echo n > /opt/www/n", nil},
		"a directory that was renamed":   {"mv /opt/a /opt/renamed", nil},
		"a file that was renamed":        {"mv /opt/b/c/deep /opt/b/c/other", nil},
		"the second layer's":             {"rm -r /opt/replaced /etc/layers", []string{"etc/.wh.layers", "opt/.wh.replaced"}},
		"a pipe where a directory was":   {"rm -r /opt/b; mkfifo /opt/b; rm /opt/www; mkfifo /opt/www; mkfifo /root/new", nil},
		"owners and bits":                {"for m in 4755 2755 1777 0 6711; do echo x > /root/$m; chown 33:33 /root/$m; chmod $m /root/$m; done; chown 65534:65534 /root/0", nil},
		"a large file":                   {"head -c 20000000 /dev/urandom > /root/large", []string{"root/large"}},
		"a file with a hole":             {"truncate -s 30000000 /root/hole; echo end >> /root/hole", []string{"root/hole"}},
		"an old date":                    {"echo x > /root/old; touch -d '1999-12-31 12:00:00' /root/old; touch -d '2100-01-01 00:00:00' /opt/www", nil},
		"names of every kind":            {`cd /root; for n in 'a b' '-rf' '*' 'a\b' "a'b" "$(printf 'new\nline')" "$(printf 'tab\t')" ü 日本 'wh.x' ..x; do echo x > ./"$n"; done`, nil},
		"capabilities of a file":         {"cp /bin/busybox /root/x; /attack setcap /root/x; /attack setcap /opt/b/c/deep", nil},
		"everything below a directory":   {"find /opt -type f | xargs chown 33:33; find /opt | xargs chmod g+w", nil},
		"by another user":                {"su user -c 'echo mine > /home/user/mine; mkdir /home/user/d'", nil},
		"a directory without rights":     {"mkdir /root/shut; echo x > /root/shut/x; chmod 0 /root/shut /root/shut/x", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !s.can.FullUIDs && (strings.Contains(c.script, "chown") || strings.Contains(c.script, "su user")) {
				t.Log("the provider has no other users than root")
				return
			}
			b := s.box(t, nil)
			b.sh(c.script)
			changed := s.compare(b)
			if c.want == nil && c.script != "true" {
				return
			}
			var got []string
			before := s.image(t)
			for _, f := range changed {
				if old := before.files[f.Path]; f.Kind == "dir" && old != nil && *old == f.file && !slices.Contains(c.want, f.Path) {
					continue // on the way to what changed
				}
				got = append(got, f.Path)
			}
			slices.Sort(got)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("the layer's entries (-want +got):\n%s", d)
			}
		})
	}
	for seed := range 6 {
		t.Run(fmt.Sprintf("at random %d", seed), func(t *testing.T) {
			t.Parallel()
			b := s.box(t, nil)
			b.sh(fmt.Sprintf("/attack churn %d 400", seed))
			s.compare(b)
		})
	}
	t.Run("after a restart", func(t *testing.T) {
		t.Parallel()
		b := s.box(t, nil)
		b.sh("rm -r /opt/a; echo one > /root/x; ln /root/x /root/y")
		if err := s.p.Stop(t.Context(), b.id); err != nil {
			t.Fatal(err)
		}
		if err := s.p.Start(t.Context(), b.id); err != nil {
			t.Fatal(err)
		}
		b.sh("mkdir /opt/a; echo two >> /root/y; rm /root/x")
		s.compare(b)
	})
	t.Run("a writer that fails", func(t *testing.T) {
		t.Parallel()
		b := s.box(t, nil)
		b.sh("echo x > /root/x")
		if err := s.p.Stop(t.Context(), b.id); err != nil {
			t.Fatal(err)
		}
		full := errors.New("the store is full")
		if err := s.p.Diff(t.Context(), b.id, writer(func([]byte) (int, error) { return 0, full })); !errors.Is(err, full) {
			t.Errorf("Diff to a writer that fails: %v, want its error", err)
		}
	})
}

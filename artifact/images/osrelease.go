package images

import (
	"archive/tar"
	"io"
	"path"
	"strings"
)

// OSRelease is what an image says about its operating system (os-release(5)).
type OSRelease struct {
	ID        string `json:",omitempty"` // debian
	VersionID string `json:",omitempty"` // 13
	Name      string `json:",omitempty"` // Debian GNU/Linux
	Pretty    string `json:",omitempty"` // Debian GNU/Linux 13 (trixie)
}

// Platform is the name and the version: Debian GNU/Linux 13.
func (o OSRelease) Platform() string {
	if o.Name == "" {
		return o.Pretty
	}
	return strings.TrimSpace(o.Name + " " + o.VersionID)
}

// ParseOSRelease reads the text of an os-release file: lines of KEY=value,
// quoted as a shell does it. Lines that are none say nothing.
func ParseOSRelease(text string) OSRelease {
	var o OSRelease
	fields := map[string]*string{"ID": &o.ID, "VERSION_ID": &o.VersionID, "NAME": &o.Name, "PRETTY_NAME": &o.Pretty}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if field := fields[key]; ok && field != nil {
			*field = unquote(value)
		}
	}
	return o
}

// unquote takes a shell's quotes from a value. It keeps what can be shown:
// one line of at most 200 bytes of valid text.
func unquote(v string) string {
	if len(v) >= 2 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0] {
		double := v[0] == '"'
		v = v[1 : len(v)-1]
		if double {
			v = strings.NewReplacer(`\"`, `"`, `\$`, `$`, "\\`", "`", `\\`, `\`).Replace(v)
		}
	}
	v = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(v, ""))
	if len(v) > 200 {
		v = strings.ToValidUTF8(v[:200], "")
	}
	return v
}

// The places of the file (os-release(5)); the first is most often a link to the second.
var releasePlaces = []string{"etc/os-release", "usr/lib/os-release"}

const (
	maxRelease = 64 << 10 // bytes of an os-release file
	maxHops    = 8        // links from one to the next
)

// releases keeps the os-release files of a tree while its layers are read, the
// lowest first: those that have the name in them, since the two places often
// lead to a third.
type releases struct {
	files map[string]release // by their path in the tree
	layer int
}

// release is a file or a link as a layer has it.
type release struct {
	text  string
	link  string // target in the tree; "" for a file
	layer int
}

// next begins the next layer.
func (r *releases) next() {
	r.layer++
	if r.files == nil {
		r.files = map[string]release{}
	}
}

// entry takes notice of an entry of the layer.
func (r *releases) entry(h *tar.Header, data io.Reader) error {
	dir, base := path.Split(h.Name)
	if gone, ok := strings.CutPrefix(base, ".wh."); ok {
		if gone == ".wh..opq" {
			r.hide(dir)
			return nil
		}
		r.hide(dir + gone)
		r.hide(dir + gone + "/")
		return nil
	}
	if h.Typeflag != tar.TypeDir {
		r.hide(h.Name + "/") // a directory of a lower layer is replaced
	}
	if !strings.Contains(base, "os-release") {
		return nil
	}
	r.hide(h.Name)
	switch h.Typeflag {
	case tar.TypeReg:
		b, err := io.ReadAll(io.LimitReader(data, maxRelease))
		if err != nil {
			return err
		}
		r.files[h.Name] = release{text: string(b), layer: r.layer}
	case tar.TypeLink:
		if target, ok := r.files[h.Linkname]; ok {
			r.files[h.Name] = release{text: target.text, link: target.link, layer: r.layer}
		}
	case tar.TypeSymlink:
		target := h.Linkname
		if !strings.HasPrefix(target, "/") {
			target = dir + target
		}
		r.files[h.Name] = release{link: strings.TrimPrefix(path.Clean("/"+target), "/"), layer: r.layer}
	}
	return nil
}

// hide forgets a file of lower layers, or all below a directory that ends in a slash.
func (r *releases) hide(name string) {
	for file, f := range r.files {
		below := strings.HasSuffix(name, "/") || name == ""
		if f.layer < r.layer && (file == name || below && strings.HasPrefix(file, name)) {
			delete(r.files, file)
		}
	}
}

// release is what the tree says after its last layer.
func (r *releases) release() OSRelease {
	for _, place := range releasePlaces {
		f, ok := r.files[place]
		for hop := 0; ok && f.link != "" && hop < maxHops; hop++ {
			f, ok = r.files[f.link]
		}
		if ok && f.link == "" {
			return ParseOSRelease(f.text)
		}
	}
	return OSRelease{}
}

// rooted refuses a tree that is no root file system: it has no os-release, not
// even a link that leads elsewhere. Every distribution has had one for ten years;
// without it nobody knows whose packages are in the tree and until when they are
// mended, and it may as well be any folder.
func (r *releases) rooted() error {
	for _, place := range releasePlaces {
		if _, ok := r.files[place]; ok {
			return nil
		}
	}
	return bad("it is no root file system: it has neither %s nor %s, which says what system it is (os-release(5))", releasePlaces[0], releasePlaces[1])
}

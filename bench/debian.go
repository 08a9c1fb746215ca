package main

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	debianSize    = 170_000_000 // bytes of the files of an image
	advisedEach   = 15          // advisories of each source package of the image
	advisedOthers = 20_000      // advisories of packages that the image hasn't got
)

// debian is a Debian system of about debianSize: the packages of this machine
// where dpkg keeps them, the most needed first, else one that is made up.
type debian struct {
	name   string
	status []byte // dpkg's database
	files  []file
	// sources are the source packages of the database, with a version.
	sources map[string]string
}

// file is a file of the image: one of this machine, or of so many made-up bytes.
type file struct {
	name string // below the root
	path string // on this machine; "" for a made-up file
	size int64
}

const statusFile = "/var/lib/dpkg/status"

// installed reads what this machine has.
func installed() (*debian, error) {
	release, _ := os.ReadFile("/etc/os-release")
	status, err := os.ReadFile(statusFile)
	if errors.Is(err, fs.ErrNotExist) || !strings.Contains(string(release), "\nID=debian\n") {
		return madeUp(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the packages of this machine: %w", err)
	}
	d := &debian{name: "this machine's Debian", status: status, sources: map[string]string{}}
	paragraphs := strings.Split(string(status), "\n\n")
	need := []string{"required", "important", "standard"}
	rank := func(paragraph string) int {
		if i := slices.Index(need, field(paragraph, "Priority")); i >= 0 {
			return i
		}
		return len(need)
	}
	slices.SortStableFunc(paragraphs, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	seen, total := map[string]bool{}, int64(0)
	for _, p := range paragraphs {
		name, version := field(p, "Package"), field(p, "Version")
		if name == "" || version == "" {
			continue
		}
		source, of, _ := strings.Cut(cmp.Or(field(p, "Source"), name), " (")
		d.sources[source] = cmp.Or(strings.TrimSuffix(of, ")"), version)
		if total >= debianSize {
			continue
		}
		for _, f := range filesOf(name, field(p, "Architecture")) {
			if !seen[f.name] && total+f.size <= debianSize+1e6 {
				seen[f.name] = true
				d.files = append(d.files, f)
				total += f.size
			}
		}
	}
	return d, nil
}

// field is the value of a field in a paragraph of dpkg's database.
func field(paragraph, name string) string {
	_, rest, ok := strings.Cut("\n"+paragraph, "\n"+name+": ")
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

// filesOf are the files of a package, by the list that dpkg keeps. What is no
// file, or can't be read, is none; directories that are links are followed.
func filesOf(name, architecture string) (all []file) {
	list, err := os.ReadFile("/var/lib/dpkg/info/" + name + ".list")
	if err != nil {
		list, err = os.ReadFile("/var/lib/dpkg/info/" + name + ":" + architecture + ".list")
	}
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(list)) {
		path := strings.TrimSpace(line)
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			continue
		}
		path = filepath.Join(dir, filepath.Base(path))
		info, err := os.Lstat(path)
		if err == nil && info.Mode().IsRegular() {
			all = append(all, file{name: path[1:], path: path, size: info.Size()})
		}
	}
	return all
}

// madeUp is a system with files and packages as Debian has them, for machines
// that have none.
func madeUp() *debian {
	d := &debian{name: "a made-up Debian", sources: map[string]string{}}
	var status strings.Builder
	for i := range 700 {
		source, version := fmt.Sprintf("source%d", i/2), fmt.Sprintf("1.%d-1", i)
		d.sources[source] = version
		fmt.Fprintf(&status, "Package: package%d\nStatus: install ok installed\nSource: %s\nVersion: %s\nArchitecture: amd64\nDescription: a package\n of a made-up system\n\n", i, source, version)
	}
	d.status = []byte(status.String())
	r := rand.New(rand.NewPCG(1, 2))
	for i, total := 0, int64(0); total < debianSize; i++ {
		f := file{name: fmt.Sprintf("usr/share/d%d/f%d", i%200, i), size: 200 + r.Int64N(24<<10)}
		if i%40 == 0 {
			f = file{name: fmt.Sprintf("usr/lib/lib%d.so", i), size: 100<<10 + r.Int64N(1<<20)}
		}
		d.files, total = append(d.files, f), total+f.size
	}
	return d
}

// write writes a tar of the system. Those with other numbers are other bytes.
func (d *debian) write(path string, number int) (size int64, err error) {
	out, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	buffered := bufio.NewWriter(out)
	w := tar.NewWriter(buffered)
	put := func(name string, size int64, content io.Reader) error {
		err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: size})
		if err == nil {
			_, err = io.CopyN(w, content, size)
		}
		return err
	}
	for name, text := range map[string]string{
		"etc/os-release": "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
		statusFile[1:]:   string(d.status),
		"etc/bench":      fmt.Sprintf("number %d\n", number),
	} {
		if err := put(name, int64(len(text)), strings.NewReader(text)); err != nil {
			return 0, err
		}
	}
	for _, f := range d.files {
		if err := d.copy(put, f); err != nil {
			return 0, fmt.Errorf("adding %s: %w", f.name, err)
		}
		size += f.size
	}
	return size, errors.Join(w.Close(), buffered.Flush())
}

func (d *debian) copy(put func(string, int64, io.Reader) error, f file) error {
	if f.path == "" {
		seed := [32]byte{byte(f.size), byte(f.size >> 8)}
		return put(f.name, f.size, rand.NewChaCha8(seed))
	}
	content, err := os.Open(f.path)
	if err != nil {
		return err
	}
	return errors.Join(put(f.name, f.size, content), content.Close())
}

// advisory is what an OSV document needs.
type advisory struct {
	ID       string        `json:"id"`
	Modified string        `json:"modified"`
	Summary  string        `json:"summary"`
	Upstream []string      `json:"upstream"`
	Severity []any         `json:"severity"`
	Affected []advisedPart `json:"affected"`
}

type advisedPart struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
	} `json:"package"`
	Ranges []any `json:"ranges"`
}

// advise writes OSV documents about the system's packages, most of them mended
// in the version that is there, and about others. It returns how many.
func (d *debian) advise(path string) (n int, err error) {
	out, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w := zip.NewWriter(out)
	put := func(name, fixed string) error {
		n++
		a := advisory{
			ID: fmt.Sprintf("DEBIAN-CVE-2026-%d", n), Modified: "2026-01-01T00:00:00Z", Summary: "something is wrong with " + name,
			Upstream: []string{fmt.Sprintf("CVE-2026-%d", n)}, Severity: []any{map[string]string{"type": "CVSS_V3", "score": "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:L"}},
			Affected: make([]advisedPart, 1),
		}
		a.Affected[0].Package.Ecosystem, a.Affected[0].Package.Name = "Debian:12", name
		a.Affected[0].Ranges = []any{map[string]any{"type": "ECOSYSTEM", "events": []any{map[string]string{"introduced": "0"}, map[string]string{"fixed": fixed}}}}
		f, err := w.Create(a.ID + ".json")
		if err != nil {
			return err
		}
		return json.NewEncoder(f).Encode(a)
	}
	for source, version := range d.sources {
		for i := range advisedEach {
			fixed := "0~" + version
			if i == 0 {
				fixed = version + "+mended" // concerns the image
			}
			if err := put(source, fixed); err != nil {
				return 0, err
			}
		}
	}
	for i := range advisedOthers {
		if err := put(fmt.Sprintf("other%d", i/4), "1.0-1"); err != nil {
			return 0, err
		}
	}
	return n, w.Close()
}

// Package inventory reads which packages are installed from what package
// managers and compilers leave in a root file system: the databases of dpkg and
// apk, the build information of Go programs, os-release.
//
// It reads the bytes that it is given, which strangers wrote: no file is opened,
// no link followed, nothing run. What is malformed is passed over, since half of
// a database is better known than none of it.
package inventory

import (
	"bytes"
	"debug/buildinfo"
	"iter"
	"path"
	"strings"

	"souk/artifact/scan/version"
)

// Package is an installed package.
type Package struct {
	Name    string
	Version string
	// Source and SourceVersion are those of the source package that it was built
	// from, by which advisories of distributions name it.
	Source        string
	SourceVersion string
}

// Concerned is the name and the version by which advisories know the package.
func (p Package) Concerned() (name, version string) { return p.Source, p.SourceVersion }

// MaxPackages bounds what is read of one file.
const MaxPackages = 100_000

// Manager says who keeps the packages of a file.
type Manager string

// Managers.
const (
	Dpkg Manager = "dpkg"
	Apk  Manager = "apk"
	Go   Manager = "go"
)

// DatabaseOf says which manager's database a file is, "" if it is none. Its name is relative to the root.
func DatabaseOf(name string) Manager {
	switch name {
	case "var/lib/dpkg/status":
		return Dpkg
	case "lib/apk/db/installed", "usr/lib/apk/db/installed":
		return Apk
	}
	// Images without dpkg have a file for each package.
	if path.Dir(name) == "var/lib/dpkg/status.d" && path.Ext(name) != ".md5sums" {
		return Dpkg
	}
	return ""
}

// Unread says which manager's database a file is that is not read here, "" for
// all other files: the packages in it are unknown, not absent.
func Unread(name string) string {
	switch name {
	case "var/lib/rpm/rpmdb.sqlite", "var/lib/rpm/Packages", "var/lib/rpm/Packages.db", "usr/lib/sysimage/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/Packages.db":
		return "rpm"
	case "var/lib/pacman/local/ALPM_DB_VERSION":
		return "pacman"
	}
	return ""
}

// Read reads the packages of a database of dpkg or apk.
func Read(m Manager, database []byte) []Package {
	switch m {
	case Dpkg:
		return readDpkg(database)
	case Apk:
		return readApk(database)
	}
	return nil
}

// lines yields the lines of a text without their ends. The strings are copies.
func lines(text []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range bytes.Lines(text) {
			if !yield(strings.TrimRight(string(line), "\r\n")) {
				return
			}
		}
	}
}

// readDpkg reads paragraphs of fields. One without a Status is of a package
// whose file is there because it is installed.
//
// deb-control(5), and dpkg-query(1) for the words of Status.
func readDpkg(database []byte) []Package {
	var (
		all    []Package
		p      Package
		status string
	)
	end := func() {
		words := strings.Fields(status)
		installed := status == "" || len(words) == 3 && words[2] == "installed"
		if installed && p.Name != "" && p.Version != "" && len(all) < MaxPackages {
			if p.Source == "" {
				p.Source = p.Name
			}
			if p.SourceVersion == "" {
				p.SourceVersion = p.Version
			}
			all = append(all, p)
		}
		p, status = Package{}, ""
	}
	for line := range bytes.Lines(database) {
		line = bytes.TrimRight(line, "\r\n \t")
		if len(line) == 0 {
			end()
			continue
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || line[0] == ' ' || line[0] == '\t' {
			continue // goes on with the field before
		}
		value = bytes.TrimSpace(value)
		switch string(name) { // allocates nothing
		case "Package":
			p.Name = string(value)
		case "Version":
			p.Version = string(value)
		case "Status":
			status = string(value)
		case "Source": // NAME or NAME (VERSION)
			source, rest, _ := strings.Cut(string(value), "(")
			p.Source, p.SourceVersion = strings.TrimSpace(source), strings.Trim(rest, " )")
		}
	}
	end()
	return all
}

// readApk reads records of lines that begin with a letter and a colon.
//
// wiki.alpinelinux.org, "Apk spec", "Installed Database V2".
func readApk(database []byte) []Package {
	var (
		all []Package
		p   Package
	)
	end := func() {
		if p.Name != "" && p.Version != "" && len(all) < MaxPackages {
			if p.Source == "" {
				p.Source = p.Name
			}
			p.SourceVersion = p.Version
			all = append(all, p)
		}
		p = Package{}
	}
	for line := range bytes.Lines(database) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			end()
			continue
		}
		if len(line) < 2 || line[1] != ':' {
			continue
		}
		switch line[0] {
		case 'P':
			p.Name = string(line[2:])
		case 'V':
			p.Version = string(line[2:])
		case 'o': // origin
			p.Source = string(line[2:])
		}
	}
	end()
	return all
}

// ELF says whether a file begins as a program or library of Linux.
func ELF(head []byte) bool { return bytes.HasPrefix(head, []byte("\x7fELF")) }

// Program reads what a Go program was built from: its modules, and Go's own
// library as the package stdlib. It is nil for programs of other compilers.
func Program(file []byte) []Package {
	info := buildInfo(file)
	if info == nil {
		return nil
	}
	var all []Package
	add := func(name, v string) {
		if name != "" && v != "" && v != "(devel)" && len(all) < MaxPackages {
			all = append(all, Package{Name: name, Version: v, Source: name, SourceVersion: v})
		}
	}
	if release, ok := version.GoRelease(info.GoVersion); ok {
		add("stdlib", release)
	}
	add(info.Main.Path, info.Main.Version)
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		add(m.Path, m.Version)
	}
	return all
}

// buildInfo returns what the linker wrote down, nil if it wrote nothing. The
// library reads headers that a stranger made: what it trips over is no program
// that runs.
func buildInfo(file []byte) (info *buildinfo.BuildInfo) {
	defer func() {
		if recover() != nil {
			info = nil
		}
	}()
	info, err := buildinfo.Read(bytes.NewReader(file))
	if err != nil {
		return nil
	}
	return info
}

package inventory_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"souk/artifact/scan/inventory"
)

func TestPackagesOfDpkg(t *testing.T) {
	t.Parallel()
	const database = `Package: libssl3
Status: install ok installed
Source: openssl (3.0.11-1~deb12u1)
Version: 3.0.11-1~deb12u1+b1
Description: text with a colon: and
 Version: 99 that is no field
Conffiles:
 /etc/ssl/openssl.cnf 2b2e

Package: gone
Status: deinstall ok config-files
Version: 1

Package: bash
Status: hold ok installed
Version: 5.2.15-2+b7
Source: bash (5.2.15-2)

Package: noversion
Status: install ok installed

Package: last
Source: base
Version: 1:2.0` // no line end
	want := []inventory.Package{
		{Name: "libssl3", Version: "3.0.11-1~deb12u1+b1", Source: "openssl", SourceVersion: "3.0.11-1~deb12u1"},
		{Name: "bash", Version: "5.2.15-2+b7", Source: "bash", SourceVersion: "5.2.15-2"},
		{Name: "last", Version: "1:2.0", Source: "base", SourceVersion: "1:2.0"},
	}
	if d := cmp.Diff(want, inventory.Read(inventory.Dpkg, []byte(database))); d != "" {
		t.Error(d)
	}
}

func TestPackagesOfApk(t *testing.T) {
	t.Parallel()
	const database = "C:Q1abc=\nP:musl\nV:1.2.5-r0\nA:x86_64\no:musl\n\nP:libcrypto3\nV:3.3.1-r0\no:openssl\nF:lib\nR:libcrypto.so.3\n\nP:orphan\n\n"
	want := []inventory.Package{
		{Name: "musl", Version: "1.2.5-r0", Source: "musl", SourceVersion: "1.2.5-r0"},
		{Name: "libcrypto3", Version: "3.3.1-r0", Source: "openssl", SourceVersion: "3.3.1-r0"},
	}
	if d := cmp.Diff(want, inventory.Read(inventory.Apk, []byte(database))); d != "" {
		t.Error(d)
	}
}

func TestDatabasesAreKnownByTheirPlace(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]inventory.Manager{
		"var/lib/dpkg/status": inventory.Dpkg, "var/lib/dpkg/status.d/base": inventory.Dpkg, "var/lib/dpkg/status.d/base.md5sums": "",
		"lib/apk/db/installed": inventory.Apk, "usr/lib/apk/db/installed": inventory.Apk, "home/var/lib/dpkg/status": "", "var/lib/dpkg/status-old": "",
	} {
		if got := inventory.DatabaseOf(name); got != want {
			t.Errorf("%s is a database of %q, want %q", name, got, want)
		}
	}
}

// build compiles a Go program with a module of its own.
func build(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":     "module example.com/app\n\ngo 1.24\n\nrequire example.com/lib v1.2.3\n\nreplace example.com/lib => ./lib\n",
		"main.go":    "package main\n\nimport \"example.com/lib\"\n\nfunc main() { println(lib.Word) }\n",
		"lib/go.mod": "module example.com/lib\n\ngo 1.24\n",
		"lib/lib.go": "package lib\n\nconst Word = \"hello\"\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("go", "build", "-o", "app", ".")
	c.Dir = dir
	c.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOPROXY=off", "CGO_ENABLED=0", "GOOS=linux")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("building a program: %v\n%s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "app"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestProgramsOfGoNameTheirModules(t *testing.T) {
	t.Parallel()
	program := build(t)
	if !inventory.ELF(program) {
		t.Fatal("it is no ELF file")
	}
	found := map[string]string{}
	for _, p := range inventory.Program(program) {
		found[p.Name] = p.Version
	}
	if found["stdlib"] == "" {
		t.Errorf("found %v, want stdlib", found)
	}
	if got := inventory.Program(program[:len(program)/3]); got != nil {
		t.Errorf("a program that is cut off has %v", got)
	}
	if got := inventory.Program([]byte("\x7fELF and nothing more")); got != nil {
		t.Errorf("rubbish has %v", got)
	}
}

func TestReleasesHaveTheirEcosystem(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"": "Debian:12",
		"ID=ubuntu\nVERSION_ID=\"22.04\"":                                              "Ubuntu:22.04:LTS",
		"ID=ubuntu\nVERSION_ID='23.10'":                                                "Ubuntu:23.10",
		"ID=alpine\nVERSION_ID=3.20.3":                                                 "Alpine:v3.20",
		"ID=wolfi\nVERSION_ID=20230201":                                                "Wolfi",
		"ID=debian\nPRETTY_NAME=\"Debian sid\"":                                        "",
		"ID=gentoo\nVERSION_ID=2":                                                      "",
		"nothing":                                                                      "",
	} {
		if got := inventory.ReadRelease([]byte(text)).Ecosystem(); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// FuzzRead checks that databases of any bytes are read.
func FuzzRead(f *testing.F) {
	f.Add([]byte("Package: a\nVersion: 1\nStatus: install ok installed\n\n"))
	f.Add([]byte("P:a\nV:1\n\n"))
	f.Add([]byte("ID=\"\nVERSION_ID=\"\"\""))
	f.Add([]byte("Source: (\nPackage:\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range []inventory.Manager{inventory.Dpkg, inventory.Apk} {
			for _, p := range inventory.Read(m, b) {
				if p.Name == "" || p.Version == "" || p.Source == "" || p.SourceVersion == "" {
					t.Errorf("%s: a package lacks a part: %+v", m, p)
				}
			}
		}
		inventory.ReadRelease(b).Ecosystem()
	})
}

// FuzzProgram checks that programs of any bytes are read.
func FuzzProgram(f *testing.F) {
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Add([]byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00\xff Go buildinf:\x08\x02"))
	f.Fuzz(func(_ *testing.T, b []byte) { inventory.Program(b) })
}

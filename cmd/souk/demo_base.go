package main

import (
	"archive/tar"
	"bufio"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"souk/artifact/images"
)

// This file comes by a base: the root file system on which the demo has a product
// installed. It is a real one, of programs that really run.

// base is a root file system.
type base struct {
	file string // an archive of it
	name string // of its AMI
}

// errNoBase says what to do where there is nothing to make a base of.
var errNoBase = errors.New("it takes mmdebstrap (Debian's package of that name), a static busybox with dpkg (busybox-static), " +
	"or an archive of a root file system of Debian (souk demo --base FILE)")

// busyboxBase is the word of --base for busybox, whatever else there is.
const busyboxBase = "busybox"

// findBase comes by a base: what was asked for, a Debian by mmdebstrap, which is
// kept for the next time, or busybox. A base of busybox is written to dir.
// errNoBase.
func (s *story) findBase(ctx context.Context, dir string) (base, error) {
	if s.base == busyboxBase {
		return busyboxRoot(ctx, dir)
	}
	if s.base != "" {
		_, err := os.Stat(s.base)
		if err != nil {
			return base{}, fmt.Errorf("the base: %w", err)
		}
		return base{s.base, "debian"}, nil
	}
	debian, err := s.debian(ctx)
	if err == nil || ctx.Err() != nil {
		return debian, err
	}
	if !errors.Is(err, exec.ErrNotFound) {
		s.tell.say("No Debian could be made, so busybox is taken: %v", err)
	}
	return busyboxRoot(ctx, dir)
}

// debian is a small Debian, as mmdebstrap has once made it.
func (s *story) debian(ctx context.Context) (base, error) {
	suite, sources := debianSuite()
	cache, err := os.UserCacheDir()
	if err != nil {
		return base{}, fmt.Errorf("looking for a place to keep Debian: %w", err)
	}
	kept := filepath.Join(cache, "souk", "debian-"+suite+"-"+runtime.GOARCH+".tar.zst")
	b := base{kept, "debian-" + suite}
	_, err = os.Stat(kept)
	if err == nil {
		s.tell.say("Debian (%s) is kept in %s.", suite, kept)
		return b, nil
	}
	program, err := exec.LookPath("mmdebstrap")
	if err != nil {
		return base{}, err
	}
	err = os.MkdirAll(filepath.Dir(kept), 0o700)
	if err != nil {
		return base{}, fmt.Errorf("making a place to keep Debian: %w", err)
	}
	began := time.Now()
	// No image may have device nodes. What apt is told for now does not stay in what
	// is made.
	args := []string{
		"--variant=minbase", "--skip=output/dev", "--aptopt=Acquire::Retries \"1\"", "--aptopt=Acquire::http::Timeout \"20\"",
		"--customize-hook=rm -f \"$1/etc/apt/apt.conf.d/99mmdebstrap\"", suite, "-",
	}
	s.operator("mmdebstrap --variant=minbase --skip=output/dev " + suite + " - | zstd >" + kept)
	s.tell.say("That takes a while, once.")
	err = keep(kept, func(w io.Writer) error {
		c := exec.CommandContext(ctx, program, append(args, sources...)...)
		c.Cancel = func() error { return c.Process.Signal(os.Interrupt) } // it unmounts and removes what it has made
		c.WaitDelay = 10 * time.Second
		c.Stdout = w
		log := s.tell.log()
		c.Stderr = log
		err := c.Run()
		log.end()
		return err
	})
	if err != nil {
		return base{}, fmt.Errorf("mmdebstrap: %w", err)
	}
	s.tell.say("It is kept in %s (%.0f s).", kept, time.Since(began).Seconds())
	return b, nil
}

// keep writes a file, compressed, that is there whole or not at all.
func keep(name string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the error is another's
		}
	}()
	w, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return errors.Join(err, f.Close())
	}
	err = errors.Join(write(w), w.Close(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// debianSuite is the release of Debian that this machine has, and where it gets
// its packages from; elsewhere, the stable one and mmdebstrap's own place.
func debianSuite() (suite string, sources []string) {
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "stable", nil
	}
	codename := ""
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			codename = strings.Trim(v, `"'`)
		}
	}
	if images.ParseOSRelease(string(text)).ID != "debian" || codename == "" {
		return "stable", nil
	}
	for _, file := range []string{"/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"} {
		info, err := os.Stat(file)
		if err == nil && info.Size() > 0 {
			return codename, []string{file}
		}
	}
	return codename, nil
}

// busyboxRoot makes a root file system of busybox: its one program, which is a
// shell and dpkg among others, and no packages.
func busyboxRoot(ctx context.Context, dir string) (base, error) {
	program, err := exec.LookPath("busybox")
	if err != nil {
		program = "/bin/busybox"
	}
	content, err := os.ReadFile(program)
	if errors.Is(err, fs.ErrNotExist) {
		return base{}, errNoBase
	}
	if err != nil {
		return base{}, fmt.Errorf("reading busybox: %w", err)
	}
	err = isStatic(program)
	if err != nil {
		return base{}, fmt.Errorf("%s can't be a base: %w; %w", program, err, errNoBase)
	}
	listed, err := exec.CommandContext(ctx, program, "--list").Output()
	if err != nil {
		return base{}, fmt.Errorf("asking %s what it has: %w", program, err)
	}
	applets := strings.Fields(string(listed))
	if !slices.Contains(applets, "sh") || !slices.Contains(applets, "dpkg") {
		return base{}, fmt.Errorf("%s has no sh or no dpkg; %w", program, errNoBase)
	}
	version := busyboxVersion(ctx, program)
	at := filepath.Join(dir, "busybox.tar")
	f, err := os.Create(at)
	if err != nil {
		return base{}, fmt.Errorf("making a base of busybox: %w", err)
	}
	w := tar.NewWriter(f)
	add := func(h tar.Header, body []byte) {
		h.Size, h.ModTime = int64(len(body)), demoTime
		if err == nil {
			err = w.WriteHeader(&h)
		}
		if err == nil {
			_, err = w.Write(body)
		}
	}
	for _, name := range []string{"bin/", "etc/", "root/", "tmp/", "usr/", "usr/bin/", "usr/share/", "var/", "var/lib/", "var/lib/dpkg/", "var/lib/dpkg/info/"} {
		add(tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}, nil)
	}
	for _, l := range []file{
		{"bin/busybox", 0o755, string(content)},
		// It is no Debian, and does not say so.
		{"etc/os-release", 0o644, "ID=busybox\nNAME=BusyBox\nVERSION_ID=" + version + "\nPRETTY_NAME=\"BusyBox " + version + " and nothing else\"\n"},
		{"etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\n"},
		{"etc/group", 0o644, "root:x:0:\n"},
		{"var/lib/dpkg/status", 0o644, ""},
	} {
		add(tar.Header{Name: l.name, Mode: l.mode}, []byte(l.body))
	}
	for _, name := range applets {
		if name != "busybox" {
			add(tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + name, Linkname: "busybox", Mode: 0o777}, nil)
		}
	}
	err = errors.Join(err, w.Close(), f.Close())
	if err != nil {
		return base{}, fmt.Errorf("making a base of busybox: %w", err)
	}
	return base{at, "busybox-" + version}, nil
}

// isStatic refuses a program that needs a loader and libraries: a base has none.
func isStatic(program string) error {
	f, err := elf.Open(program)
	if err != nil {
		return fmt.Errorf("reading it as a program: %w", err)
	}
	defer f.Close()
	if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return errors.New("it is not static")
	}
	return nil
}

// busyboxVersion is what busybox says of itself: 1.37.0; 0 if it says nothing.
func busyboxVersion(ctx context.Context, program string) string {
	said, err := exec.CommandContext(ctx, program, "--help").CombinedOutput()
	if err != nil {
		return "0"
	}
	first, _ := bufio.NewReader(strings.NewReader(string(said))).ReadString('\n')
	words := strings.Fields(first) // BusyBox v1.37.0 (Debian 1:1.37.0-6+b3) multi-call binary.
	if len(words) < 2 || !strings.HasPrefix(words[1], "v") {
		return "0"
	}
	return strings.TrimPrefix(words[1], "v")
}

// hostArch is the architecture of what this machine can run, as AMIs name it.
func hostArch() string {
	if runtime.GOARCH == "arm64" {
		return images.ARM64
	}
	return images.X8664
}

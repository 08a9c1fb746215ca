package sandbox

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A program that was linked with C, as go test makes them where there is a C
// compiler, needs a loader and libraries that no image has to have: its first
// process finds them on the host, but a tool is started when nothing of the host is
// there any more. So they stand in the machine, to be read. A release of souk is
// static, and needs none of this.

// loaderFolder is where they stand in a machine, below its /dev.
const loaderFolder = "dev/souk"

// Names there, beside those of libraries.
const (
	loaderName  = "loader"
	programName = "program"
)

// dynamic returns what this process was loaded from, by its name in loaderFolder:
// nothing if it is static.
func dynamic() (map[string]string, error) {
	f, err := elf.Open("/proc/self/exe")
	if err != nil {
		return nil, fmt.Errorf("reading our own program: %w", err)
	}
	defer f.Close()
	loader := ""
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			b, err := io.ReadAll(p.Open())
			if err != nil {
				return nil, fmt.Errorf("reading our own program: %w", err)
			}
			loader = string(bytes.TrimRight(b, "\x00"))
		}
	}
	if loader == "" {
		return nil, nil
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	files := map[string]string{loaderName: loader, programName: program}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(maps)) {
		fields := strings.Fields(line)
		if len(fields) == 6 && strings.HasPrefix(fields[5], "/") && strings.Contains(filepath.Base(fields[5]), ".so") {
			files[filepath.Base(fields[5])] = fields[5]
		}
	}
	return files, nil
}

// load shows files of the host in the machine.
func (t *tree) load(files map[string]string) error {
	for name, file := range files {
		err := t.show(file, loaderFolder+"/"+name)
		if err != nil {
			return err
		}
	}
	return nil
}

// show mounts a file of the host on a name in a directory that was mounted, to be read
// and run.
func (t *tree) show(file, name string) error {
	fd, err := t.file(name)
	if err != nil {
		return err
	}
	err = unix.Mount(file, descriptor(fd), "", unix.MS_BIND, "")
	unix.Close(fd)
	if err == nil {
		fd, err = t.file(name) // what is mounted there
	}
	if err == nil {
		err = unix.Mount("", descriptor(fd), "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|quietFlag, "")
		unix.Close(fd)
	}
	if err != nil {
		return fmt.Errorf("giving the machine %s: %w", file, err)
	}
	return nil
}

// loaded is how a tool's process is started where load was called.
func loaded(argv []string) (string, []string) {
	dir := "/" + loaderFolder
	return dir + "/" + loaderName, append([]string{loaderName, "--argv0", argv[0], "--library-path", dir, dir + "/" + programName}, argv[1:]...)
}

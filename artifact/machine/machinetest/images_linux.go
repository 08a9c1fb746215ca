package machinetest

import (
	"archive/tar"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"souk/artifact/images"
	"souk/artifact/machine"
)

// images starts machines of images that strangers made. A provider may refuse one
// (ErrBadImage, or another error that says what is wrong), or start it; whatever
// it does, nothing of the host is read or changed.
func (s *suite) images(t *testing.T) {
	for name, make := range map[string]func(trap string) []entry{
		"/proc is a link":         func(trap string) []entry { return []entry{symlink("proc", trap)} },
		"/proc is a link upwards": func(trap string) []entry { return []entry{symlink("proc", "../../../../../../../.."+trap)} },
		"/dev is a link":          func(trap string) []entry { return []entry{symlink("dev", trap)} },
		"/sys is a link":          func(trap string) []entry { return []entry{symlink("sys", trap)} },
		"/run is a link":          func(trap string) []entry { return []entry{symlink("run", trap)} },
		"/run/product is a link":  func(trap string) []entry { return []entry{dir("run", 0o755), symlink("run/product", trap)} },
		"/tmp is a link":          func(trap string) []entry { return []entry{symlink("tmp", trap)} },
		"/etc is a link":          func(trap string) []entry { return []entry{symlink("etc", trap)} },
		"/root is a link":         func(trap string) []entry { return []entry{symlink("root", trap)} },
		"/proc is a file":         func(string) []entry { return []entry{plain("proc", 0o644, "x")} },
		"/dev is a file":          func(string) []entry { return []entry{plain("dev", 0o644, "x")} },
		"/run is a file":          func(string) []entry { return []entry{plain("run", 0o644, "x")} },
		"/tmp is a named pipe": func(string) []entry {
			return []entry{{Header: tar.Header{Typeflag: tar.TypeFifo, Name: "tmp", Mode: 0o666}}}
		},
		"/run/product is a file": func(string) []entry { return []entry{dir("run", 0o755), plain("run/product", 0o644, "x")} },
		"/dev/null is a link":    func(trap string) []entry { return []entry{dir("dev", 0o755), symlink("dev/null", trap+"/null")} },
		"/dev/pts is a link":     func(trap string) []entry { return []entry{dir("dev", 0o755), symlink("dev/pts", trap)} },
		"/etc/passwd is a link":  func(string) []entry { return []entry{dir("etc", 0o755), symlink("etc/passwd", "/proc/1/environ")} },
		"/etc/passwd is a pipe": func(string) []entry {
			return []entry{dir("etc", 0o755), {Header: tar.Header{Typeflag: tar.TypeFifo, Name: "etc/passwd", Mode: 0o666}}}
		},
		"/etc/passwd is endless": func(string) []entry { return []entry{dir("etc", 0o755), symlink("etc/passwd", "/dev/zero")} },
		"/etc/hostname is a link": func(trap string) []entry {
			return []entry{dir("etc", 0o755), symlink("etc/hostname", trap+"/hostname"), symlink("etc/hosts", trap+"/hosts"), symlink("etc/resolv.conf", trap+"/resolv.conf")}
		},
		"everything is a link": func(trap string) []entry {
			return []entry{symlink("proc", "dev"), symlink("dev", "run"), symlink("run", "tmp"), symlink("tmp", "proc"), symlink("sys", "sys")}
		},
		"no directory at all":        func(string) []entry { return nil },
		"a link and a file below it": func(trap string) []entry { return []entry{symlink("x", trap), plain("x/written", 0o644, "x")} },
		"a link upwards and a file": func(trap string) []entry {
			return []entry{symlink("x", "../../../../../../.."+trap), plain("x/written", 0o644, "x")}
		},
		"a name with dots": func(trap string) []entry {
			return []entry{plain("../../../../../../../.."+trap+"/written", 0o644, "x")}
		},
		"an absolute name":      func(trap string) []entry { return []entry{plain(trap+"/written", 0o644, "x")} },
		"a hard link out":       func(trap string) []entry { return []entry{hardlink("x", "../../../../../../../.."+trap+"/kept")} },
		"an absolute hard link": func(trap string) []entry { return []entry{hardlink("x", trap+"/kept")} },
		"a hard link by a link": func(trap string) []entry { return []entry{symlink("l", trap), hardlink("x", "l/kept")} },
		"a mark that goes up":   func(trap string) []entry { return []entry{plain("../../../../../../.."+trap+"/.wh.kept", 0o644, "")} },
		"a mark of dots": func(string) []entry {
			return []entry{dir("d", 0o755), plain("d/.wh..", 0o644, ""), plain("d/.wh...", 0o644, "")}
		},
		"a mark below a link":      func(trap string) []entry { return []entry{symlink("x", trap), plain("x/.wh.kept", 0o644, "")} },
		"an opaque mark by a link": func(trap string) []entry { return []entry{symlink("x", trap), plain("x/.wh..wh..opq", 0o644, "")} },
		"a disk as a device": func(string) []entry {
			return []entry{device("sda", tar.TypeBlock, 8, 0), device("vda", tar.TypeBlock, 254, 0), device("mem", tar.TypeChar, 1, 1)}
		},
		"a whiteout as a device": func(string) []entry { return []entry{device("etc", tar.TypeChar, 0, 0)} },
		"attributes of overlay": func(trap string) []entry {
			e := dir("d", 0o755)
			e.PAXRecords = map[string]string{"SCHILY.xattr.trusted.overlay.redirect": trap, "SCHILY.xattr.user.overlay.redirect": trap, "SCHILY.xattr.trusted.overlay.opaque": "y"}
			return []entry{e, plain("d/x", 0o644, "x")}
		},
		"/bin/sh is a link to the host's": func(trap string) []entry { return []entry{dir("bin", 0o755), symlink("bin/sh", trap+"/sh")} },
	} {
		t.Run(strings.ReplaceAll(name, "/", "."), func(t *testing.T) {
			t.Parallel()
			trap := newTrap(t)
			s.hostile(t, trap, make(trap.dir))
		})
	}
}

// trap is a folder of the host that nothing in a machine may see or change.
type trap struct {
	t      *testing.T
	dir    string
	before string
}

// mark is what no machine may read.
const mark = "this is of the host"

func newTrap(t *testing.T) *trap {
	t.Helper()
	tr := &trap{t: t, dir: filepath.Join(folder(t), "trap")}
	if err := os.Mkdir(tr.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	os.Chmod(tr.dir, 0o777) //nolint:errcheck // whoever gets here may do all
	for _, name := range []string{"kept", "null", "self", "hostname"} {
		if err := os.WriteFile(filepath.Join(tr.dir, name), []byte(mark), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(tr.dir, "sh"), []byte("#!/bin/busybox sh\necho '"+mark+"'\n"), 0o777); err != nil {
		t.Fatal(err)
	}
	tr.before = tr.list()
	return tr
}

func (tr *trap) list() string {
	var all []string
	filepath.Walk(tr.dir, func(path string, info os.FileInfo, err error) error { //nolint:errcheck
		if err != nil {
			all = append(all, err.Error())
			return nil
		}
		b, _ := os.ReadFile(path)
		all = append(all, fmt.Sprintf("%s %s %v %q", path, info.Mode(), info.Sys(), b))
		return nil
	})
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// check says whether the trap is as it was.
func (tr *trap) check() {
	tr.t.Helper()
	if now := tr.list(); shape(now) != shape(tr.before) {
		tr.t.Errorf("a folder of the host was\n%s\nand is\n%s", tr.before, now)
	}
}

// shape is a listing without the times at which files were read.
func shape(list string) string {
	var all []string
	for line := range strings.Lines(list) {
		f := strings.Fields(line)
		all = append(all, f[0], f[1], f[len(f)-1])
	}
	return strings.Join(all, " ")
}

// hostile starts a machine of programs and hostile entries, and tries what leads
// to the trap.
func (s *suite) hostile(t *testing.T, trap *trap, entries []entry) {
	t.Helper()
	hostile := layer(t, entries...)
	// The programs lie in another layer, below and above.
	for where, layers := range map[string][]images.Layer{"above": {s.bare, hostile}, "below": {hostile, s.bare}} {
		func() {
			ctx, id := t.Context(), s.id()
			defer trap.check()
			defer func() {
				if err := s.p.Delete(context.Background(), id); err != nil {
					t.Errorf("%s: Delete: %v", where, err)
				}
			}()
			spec := s.spec()
			spec.Layers = layers
			spec.Files = t.TempDir()
			spec.Hostname = "hostile"
			if err := s.p.Create(ctx, id, spec); err != nil {
				t.Logf("%s: Create: %v", where, err)
				return
			}
			if err := s.p.Start(ctx, id); err != nil {
				t.Logf("%s: Start: %v", where, err)
				return
			}
			b := &box{t: t, p: s.p, id: id}
			r := b.run(machine.Cmd{Args: []string{"/attack", "alive", trap.dir + "/kept"}})
			b.held("looking for the host", r)
			for _, script := range []string{
				"for f in /proc /dev /sys /run /tmp /etc /root /x /l /d; do /bin/busybox cat $f/kept $f/null; /bin/busybox echo written > $f/written; /bin/busybox rm -f $f/kept; done 2>/dev/null",
				"/bin/busybox cat /x /sda /vda /mem /run/product/kept /etc/hostname /etc/hosts 2>/dev/null | /bin/busybox head -c 1000",
				"sh -c 'echo x'",
				"/bin/busybox rm -rf /x /l /etc /tmp /run/product /root 2>/dev/null",
			} {
				r := b.run(machine.Cmd{Args: []string{"/bin/busybox", "sh", "-c", script}, User: "0:0"})
				if strings.Contains(r.out+r.err, mark) {
					t.Errorf("%s: %s reads a file of the host: %q", where, script, r.out+r.err)
				}
			}
			b.run(machine.Cmd{Args: []string{"/bin/busybox", "true"}, User: "root"}) // which reads /etc/passwd
			if err := s.p.Stop(ctx, id); err != nil {
				t.Errorf("%s: Stop: %v", where, err)
			}
			var out limited
			if err := s.p.Diff(ctx, id, &out); err != nil {
				t.Logf("%s: Diff: %v", where, err)
			}
			if strings.Contains(out.String(), mark) {
				t.Errorf("%s: a file of the host is in the layer", where)
			}
		}()
	}
}

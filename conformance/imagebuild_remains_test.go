package conformance

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"souk/conformance/souktest"
)

// remains looks for what the machines of one server leave on the host: processes,
// mounts, loop devices, control groups, folders.
type remains struct {
	dir, temporary string
	users          int             // first of the 65,536 user ids that are those of this server's machines
	groups         map[string]bool // names of the control groups in which machines were seen
	most           int             // processes that were there when the server ended
}

// watched gives a server a folder for temporary files and user ids for machines
// that no other server of the host has, so that what it leaves can be told.
func watched(t *testing.T, o souktest.Options) (souktest.Options, *remains) {
	t.Helper()
	r := &remains{dir: t.TempDir(), temporary: t.TempDir(), users: 1<<25 + rand.IntN(1<<14)<<16, groups: map[string]bool{}}
	o.Dir = r.dir
	o.Env = append(o.Env, "TMPDIR="+r.temporary)
	o.Flags = append(o.Flags, "--compute-users", strconv.Itoa(r.users))
	return o, r
}

// process is one that was seen; the time of its start tells it from a later one
// of the same number.
type process struct {
	pid   int
	began string
}

// kill ends a server as kill -9 does, and returns what it had started and what
// that had. The server stands still while they are counted, so that all are seen.
func (r *remains) kill(t *testing.T, server *souktest.Server) []process {
	t.Helper()
	must(t, syscall.Kill(server.PID(), syscall.SIGSTOP))
	all := r.started(t, server.PID())
	r.most = max(r.most, len(all))
	must(t, server.Kill())
	return all
}

// started are all descendants of a process.
func (r *remains) started(t *testing.T, pid int) []process {
	t.Helper()
	children := map[int][]process{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	must(t, err)
	for _, file := range stats {
		if p, parent, ok := status(file); ok {
			children[parent] = append(children[parent], p)
		}
	}
	all := slices.Clone(children[pid])
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i].pid]...)
	}
	for _, p := range all {
		in, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", p.pid))
		for _, part := range strings.FieldsFunc(string(in), func(c rune) bool { return c == '/' || c == '\n' }) {
			if strings.HasPrefix(part, "souk-") {
				r.groups[part] = true
			}
		}
	}
	return all
}

// status reads a process's line: who it is and whose child. One that has ended
// and is not yet waited for is none.
func status(file string) (p process, parent int, ok bool) {
	line, err := os.ReadFile(file)
	end := bytes.LastIndexByte(line, ')')
	if err != nil || end < 0 {
		return p, 0, false
	}
	fields := strings.Fields(string(line[end+1:])) // from the third, its state
	p.pid, err = strconv.Atoi(filepath.Base(filepath.Dir(file)))
	if err != nil || len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return p, 0, false
	}
	parent, err = strconv.Atoi(fields[1])
	p.began = fields[19]
	return p, parent, err == nil
}

// ended waits until nothing that the kernel ends with a server is there: the
// processes, their mounts, their loop devices.
func (r *remains) ended(t *testing.T, had []process) {
	t.Helper()
	r.wait(t, func() []string {
		var left []string
		for _, p := range had {
			if is, _, ok := status(fmt.Sprintf("/proc/%d/stat", p.pid)); ok && is == p {
				left = append(left, "process "+about(p.pid))
			}
		}
		return append(left, r.live()...)
	})
}

// nothing wants no trace at all of machines that a server had which has been
// stopped, or has removed what an earlier one had left.
func (r *remains) nothing(t *testing.T) {
	t.Helper()
	r.wait(t, func() []string {
		left := r.live()
		for _, folder := range []string{filepath.Join(r.dir, "installing"), filepath.Join(r.dir, "compute", "machines", "machines"), r.temporary} {
			entries, err := os.ReadDir(folder)
			if err != nil && !os.IsNotExist(err) {
				left = append(left, err.Error())
			}
			for _, e := range entries {
				left = append(left, "file "+filepath.Join(folder, e.Name()))
			}
		}
		for _, unfinished := range []string{"new-*", "old-*"} { // of layers
			found, _ := filepath.Glob(filepath.Join(r.dir, "compute", "layers", unfinished))
			for _, file := range found {
				left = append(left, "file "+file)
			}
		}
		for _, mount := range mounts() {
			if mount.kind != "cgroup" && mount.kind != "cgroup2" {
				continue
			}
			for name := range maps.Keys(r.groups) {
				for _, pattern := range []string{name, "*/" + name, "*/*/" + name} {
					found, _ := filepath.Glob(filepath.Join(mount.at, pattern))
					for _, group := range found {
						left = append(left, "control group "+group)
					}
				}
			}
		}
		return left
	})
}

// wait gives the kernel some time to remove what is left.
func (r *remains) wait(t *testing.T, look func() []string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(2 * time.Minute); ; {
		left := look()
		if len(left) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("this is left of machines:\n%s", strings.Join(left, "\n"))
		}
	}
}

// live are processes of the machines' users, mounts and loop devices.
func (r *remains) live() []string {
	var left []string
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, folder := range processes {
		var st syscall.Stat_t
		if syscall.Stat(folder, &st) != nil {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(folder))
		if _, _, ok := status(filepath.Join(folder, "stat")); ok && int(st.Uid) >= r.users && int(st.Uid) < r.users+1<<16 {
			left = append(left, "process "+about(pid))
		}
	}
	for _, m := range mounts() {
		if strings.Contains(m.line, r.dir) {
			left = append(left, "mount "+m.line)
		}
	}
	loops, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, file := range loops {
		if of, err := os.ReadFile(file); err == nil && strings.HasPrefix(string(of), r.dir) {
			left = append(left, "loop device "+file+" of "+strings.TrimSpace(string(of)))
		}
	}
	return left
}

// about is a process in words.
func about(pid int) string {
	command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return fmt.Sprintf("%d: %s", pid, strings.ReplaceAll(string(command), "\x00", " "))
}

// mount is one of the host's.
type mount struct{ at, kind, line string }

// mounts are those that this process sees, which is the host's table.
func mounts() []mount {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var all []mount
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		b, a := strings.Fields(before), strings.Fields(after)
		if len(b) > 4 && len(a) > 0 {
			all = append(all, mount{b[4], a[0], lines.Text()})
		}
	}
	return all
}

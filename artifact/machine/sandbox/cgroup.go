package sandbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// limits are what a group of processes may take.
type limits struct {
	memory int64 // bytes
	pids   int
	cpu    int // thousandths of a processor
}

// hierarchies are the cgroup file systems that this process can use: version 1
// with a hierarchy for each controller, version 2, or both at once.
type hierarchies struct {
	// controllers are the folders below which groups are made, by controller:
	// memory, pids, cpu.
	controllers map[string]string
	// unified is the folder below which groups of version 2 are made; "" for none.
	unified string
	name    string // of our group below each

	mu sync.Mutex // held while groups of machines are made or our own removed
}

// controllerNames are the controllers that limit machines.
var controllerNames = []string{"memory", "pids", "cpu"}

// findHierarchies reads what is mounted and where this process is in it. mounts and
// own are /proc/self/mountinfo and /proc/self/cgroup.
func findHierarchies(mounts, own []byte, name string) *hierarchies {
	h := &hierarchies{controllers: map[string]string{}, name: name}
	paths := map[string]string{}
	for line := range strings.Lines(string(own)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		for _, c := range strings.Split(f[1], ",") {
			paths[c] = f[2]
		}
	}
	below := func(mount, controller string) string {
		dir := filepath.Join(mount, paths[controller])
		if _, err := os.Stat(dir); err != nil { // of another namespace
			return mount
		}
		return dir
	}
	scanner := bufio.NewScanner(bytes.NewReader(mounts))
	for scanner.Scan() {
		before, after, ok := strings.Cut(scanner.Text(), " - ")
		b, a := strings.Fields(before), strings.Fields(after)
		if !ok || len(b) < 5 || len(a) < 3 {
			continue
		}
		switch a[0] {
		case "cgroup":
			for _, c := range strings.Split(a[2], ",") {
				if slices.Contains(controllerNames, c) && h.controllers[c] == "" {
					h.controllers[c] = below(b[4], c)
				}
			}
		case "cgroup2":
			if h.unified == "" {
				h.unified = below(b[4], "")
				// A group that has processes can't hand its controllers on: then ours
				// stands beside that of this process.
				if h.unified != b[4] {
					h.unified = filepath.Dir(h.unified)
				}
			}
		}
	}
	return h
}

// open finds out which hierarchies can be used, by making our group in each. What
// can't be used is left out.
func (h *hierarchies) open() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.controllers {
		if h.enter(h.controllers[c]) != nil {
			delete(h.controllers, c)
		}
	}
	if h.unified == "" {
		return
	}
	if h.enter(h.unified) != nil {
		h.unified = ""
		return
	}
	for _, c := range controllerNames {
		if h.controllers[c] != "" {
			continue // version 1 has it
		}
		_ = os.WriteFile(filepath.Join(h.unified, handsOn), []byte("+"+c), 0)
		dir := filepath.Join(h.unified, h.name)
		_ = os.WriteFile(filepath.Join(dir, handsOn), []byte("+"+c), 0)
		have, _ := os.ReadFile(filepath.Join(dir, handsOn))
		if slices.Contains(strings.Fields(string(have)), c) {
			h.controllers[c] = h.unified
		}
	}
	h.leave()
}

// handsOn is the file that says which controllers the groups below have.
const handsOn = "cgroup.subtree_control"

// enter makes our group below a folder.
func (h *hierarchies) enter(dir string) error {
	err := os.Mkdir(filepath.Join(dir, h.name), 0o755)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	return err
}

// leave removes our groups, unless there are machines in them: a server without
// machines leaves nothing behind, however it ends. mu is held.
func (h *hierarchies) leave() {
	for _, dir := range h.folders() {
		_ = os.Remove(dir)
	}
}

// holds says whether a limit can be set.
func (h *hierarchies) holds(controller string) bool { return h.controllers[controller] != "" }

// unifies says whether version 2 limits machines.
func (h *hierarchies) unifies() bool {
	for _, dir := range h.controllers {
		if dir == h.unified {
			return true
		}
	}
	return false
}

// folders are those of our group, each once.
func (h *hierarchies) folders() []string {
	var all []string
	add := func(dir string) {
		if dir != "" && !slices.Contains(all, filepath.Join(dir, h.name)) {
			all = append(all, filepath.Join(dir, h.name))
		}
	}
	for _, c := range controllerNames {
		add(h.controllers[c])
	}
	add(h.unified)
	return all
}

// group is that of one machine's programs, in every hierarchy; its agent has one
// beside it, so that programs which take all that they may do not take the agent's.
type group struct {
	of *hierarchies
	id string
}

// dir is the machine's folder for a controller, "" if there is none.
func (g *group) dir(controller string) string {
	if g.of.controllers[controller] == "" {
		return ""
	}
	return filepath.Join(g.of.controllers[controller], g.of.name, g.id)
}

// unified is the machine's folder in version 2, "" if there is none.
func (g *group) unified() string {
	if g.of.unified == "" {
		return ""
	}
	return filepath.Join(g.of.unified, g.of.name, g.id)
}

// agentGroup ends the name of an agent's group.
const agentGroup = ".agent"

// agent is the folder of the agent's group: version 2 wants it near those of programs
// that it starts, and beside them where it limits them. "" if there is none. In version
// 1 the agent stays where the server is.
func (g *group) agent() string {
	if dir := g.unified(); dir == "" || !g.of.unifies() {
		return dir
	}
	return g.unified() + agentGroup
}

// folders are those of the machine's programs, each once.
func (g *group) folders() []string {
	all := g.of.folders()
	for i := range all {
		all[i] = filepath.Join(all[i], g.id)
	}
	return all
}

// all are the folders of the programs and of the agent.
func (g *group) all() []string {
	dirs := g.folders()
	if dir := g.agent(); dir != "" && !slices.Contains(dirs, dir) {
		dirs = append(dirs, dir)
	}
	return dirs
}

// threads opens the lists of version 1 in which a thread of the agent puts itself: the
// thread that starts programs belongs to their group, since what it starts is where it
// is. (Version 2 has no threads in groups of their own; there each program is started in
// its group.)
func (g *group) threads() ([]*os.File, error) {
	var all []*os.File
	for _, dir := range g.folders() {
		if dir == g.unified() {
			continue
		}
		f, err := os.OpenFile(filepath.Join(dir, "tasks"), os.O_WRONLY, 0)
		if err != nil {
			for _, f := range all {
				f.Close()
			}
			return nil, fmt.Errorf("opening the machine's group: %w", err)
		}
		all = append(all, f)
	}
	return all, nil
}

// make makes the machine's groups, with the limits of its programs.
func (g *group) make(l limits) error {
	h := g.of
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, dir := range h.folders() {
		err := h.enter(filepath.Dir(dir))
		if err != nil {
			return fmt.Errorf("making a group for machines: %w", err)
		}
	}
	for _, c := range controllerNames {
		if h.controllers[c] != "" && h.controllers[c] == h.unified {
			err := os.WriteFile(filepath.Join(h.unified, h.name, handsOn), []byte("+"+c), 0)
			if err != nil {
				return fmt.Errorf("making a group for machines: %w", err)
			}
		}
	}
	for _, dir := range g.all() {
		err := os.Mkdir(dir, 0o755)
		if err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("making a group for the machine's processes: %w", err)
		}
	}
	for _, s := range g.settings(l) {
		err := os.WriteFile(s.file, []byte(s.value), 0)
		if err != nil && !(s.optional && (errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.EOPNOTSUPP))) {
			return fmt.Errorf("limiting the machine: %w", err)
		}
	}
	return nil
}

// setting is a value of a file of the cgroup file system.
type setting struct {
	file, value string
	optional    bool // some kernels have no such file
}

// cpuPeriod is how often the processors are shared out, in microseconds.
const cpuPeriod = 100_000

// settings are those by which limits hold.
func (g *group) settings(l limits) []setting {
	var all []setting
	add := func(dir, file string, value int64, optional bool) {
		all = append(all, setting{filepath.Join(dir, file), strconv.FormatInt(value, 10), optional})
	}
	quota := max(int64(l.cpu)*cpuPeriod/1000, 1000)
	unified := g.unified()
	if dir := g.dir("memory"); dir != "" {
		if dir == unified {
			add(dir, "memory.max", l.memory, false)
			add(dir, "memory.swap.max", 0, true)
		} else {
			add(dir, "memory.limit_in_bytes", l.memory, false)
			add(dir, "memory.memsw.limit_in_bytes", l.memory, true)
		}
	}
	if dir := g.dir("pids"); dir != "" {
		add(dir, "pids.max", int64(l.pids), false)
	}
	if dir := g.dir("cpu"); dir != "" {
		if dir == unified {
			all = append(all, setting{filepath.Join(dir, "cpu.max"), fmt.Sprintf("%d %d", quota, cpuPeriod), false})
		} else {
			add(dir, "cpu.cfs_period_us", cpuPeriod, false)
			add(dir, "cpu.cfs_quota_us", quota, false)
		}
	}
	return all
}

// take puts a process into the agent's group.
func (g *group) take(pid int) error {
	dir := g.agent()
	if dir == "" {
		return nil
	}
	err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
	if err != nil {
		return fmt.Errorf("putting the machine's first process into its group: %w", err)
	}
	return nil
}

// lend lets a user start processes in a group: the agent starts each program in one
// of its own. Nobody in the machine but the agent has a descriptor of it, and none a
// path to it.
func lend(dir string, owner int) error {
	if owner == 0 {
		return nil // it is ours already
	}
	err := os.Lchown(filepath.Join(dir, "cgroup.procs"), owner, owner)
	if err != nil {
		return fmt.Errorf("giving the machine its group: %w", err)
	}
	return nil
}

// killed is how many processes were killed since the memory ran out. Programs may
// hide that one of theirs was; the kernel's counter does not.
func (g *group) killed() int64 {
	dir := g.dir("memory")
	if dir == "" {
		return 0
	}
	file := "memory.oom_control"
	if dir == g.unified() {
		file = "memory.events"
	}
	b, _ := os.ReadFile(filepath.Join(dir, file))
	return counter(b, "oom_kill")
}

// counter reads a line "NAME NUMBER" of a file.
func counter(file []byte, name string) int64 {
	for line := range strings.Lines(string(file)) {
		f := strings.Fields(line)
		if len(f) == 2 && f[0] == name {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n
		}
	}
	return 0
}

// killAll kills all processes of a group and of those below it.
func killAll(dir string) {
	if os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0) == nil {
		return
	}
	below, _ := os.ReadDir(dir)
	for _, e := range below {
		if e.IsDir() {
			killAll(filepath.Join(dir, e.Name()))
		}
	}
	b, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	for _, field := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(field)
		if err == nil && pid > 1 && pid != os.Getpid() {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// remove kills what is in the machine's groups and removes them.
func (g *group) remove() error {
	err := removeGroups(g.all())
	g.of.mu.Lock()
	g.of.leave()
	g.of.mu.Unlock()
	return err
}

// removeGroups kills what is in groups and removes them, with those below.
func removeGroups(dirs []string) error {
	var all []error
	for _, dir := range dirs {
		all = append(all, removeGroup(dir))
	}
	return errors.Join(all...)
}

// emptying is how long processes may take to be gone after they were killed.
const emptying = 5 * time.Second

func removeGroup(dir string) error {
	end := time.Now().Add(emptying)
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		below, err := os.ReadDir(dir)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		for _, e := range below {
			if e.IsDir() {
				_ = os.Remove(filepath.Join(dir, e.Name())) // again below, if it is busy
			}
		}
		err = os.Remove(dir)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("removing a group of processes: %w", err)
		}
		killAll(dir)
		time.Sleep(wait)
	}
}

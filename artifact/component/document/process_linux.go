package document

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// processes starts programs and ends them with all that they left behind. It
// makes this process the parent of orphans, so that a program that went into the
// background by forking twice is found.
type processes struct {
	mu      sync.Mutex
	main    int // under mu: the program that os/exec waits for; 0: none
	signals chan os.Signal
	stopped chan struct{}
}

// adopt makes this process the parent of orphans, and collects those that end:
// a machine has few processes, and the dead count.
func (p *processes) adopt() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("becoming the parent of orphans: %w", err)
	}
	p.signals, p.stopped = make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(p.signals, unix.SIGCHLD)
	go func() {
		defer close(p.stopped)
		for range p.signals {
			p.collect()
		}
	}()
	return nil
}

func (p *processes) release() {
	signal.Stop(p.signals)
	close(p.signals)
	<-p.stopped
}

// collect waits for all children that are dead but the one that os/exec waits for.
func (p *processes) collect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := os.Getpid()
	for _, one := range processTable() {
		if one.parent == own && one.dead && one.id != p.main {
			_, _ = unix.Wait4(one.id, nil, unix.WNOHANG, nil)
		}
	}
}

// run runs a program in a process group of its own. When its context ends, the
// group dies, and everything that descends from this process but what was there
// before: what earlier steps left working in the background.
func (p *processes) run(cmd *exec.Cmd) error {
	before := map[int]bool{}
	for _, id := range descendants(os.Getpid(), nil) {
		before[id] = true
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return endAll(cmd.Process.Pid, before) }
	// collect must not see the child before its number is known.
	p.mu.Lock()
	err := cmd.Start()
	if err == nil {
		p.main = cmd.Process.Pid
	}
	p.mu.Unlock()
	if err != nil {
		return fmt.Errorf("starting %s: %w", cut(cmd.Path, 200), err)
	}
	err = cmd.Wait()
	p.mu.Lock()
	p.main = 0
	p.mu.Unlock()
	p.collect()
	return err
}

// endAll kills a process group, and all descendants of this process but those
// in before and theirs, until none lives. It gives up after a few seconds:
// something that starts faster than it is killed meets the machine's limits.
func endAll(group int, before map[int]bool) error {
	err := syscall.Kill(-group, syscall.SIGKILL)
	for range 2000 {
		alive := descendants(os.Getpid(), before)
		if len(alive) == 0 {
			break
		}
		for _, id := range alive {
			_ = syscall.Kill(id, syscall.SIGKILL)
		}
		time.Sleep(time.Millisecond) // the dying need the processor more
	}
	return err
}

// descendants returns those that are not dead, without those in before and what
// descends from them.
func descendants(of int, before map[int]bool) []int {
	below := map[int][]process{}
	for _, one := range processTable() {
		below[one.parent] = append(below[one.parent], one)
	}
	var alive []int
	queue := []int{of}
	for len(queue) > 0 {
		next := below[queue[0]]
		queue = queue[1:]
		for _, one := range next {
			if before[one.id] {
				continue
			}
			queue = append(queue, one.id)
			if !one.dead {
				alive = append(alive, one.id)
			}
		}
	}
	return alive
}

// process is a line of /proc.
type process struct {
	id, parent int
	dead       bool
}

// processTable reads /proc. Processes that end meanwhile are left out.
func processTable() []process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var all []process
	for _, e := range entries {
		id, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		// ID (NAME) STATE PARENT ...; the name may have parentheses and spaces.
		at := strings.LastIndexByte(string(stat), ')')
		fields := strings.Fields(string(stat[at+1:]))
		if at < 0 || len(fields) < 2 {
			continue
		}
		parent, err := strconv.Atoi(fields[1])
		if err != nil {
			continue
		}
		all = append(all, process{id: id, parent: parent, dead: fields[0] == "Z" || fields[0] == "X"})
	}
	return all
}

// ownerOf returns the owner and group of a file.
func ownerOf(info os.FileInfo) (uid, gid int, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(stat.Uid), int(stat.Gid), true
}

// copyCapability gives a copy the file capabilities that the file had.
func copyCapability(from, to string) error {
	const name = "security.capability"
	buffer := make([]byte, 256)
	n, err := unix.Lgetxattr(from, name, buffer)
	if err != nil { // it has none, or the file system knows none
		return nil
	}
	return unix.Lsetxattr(to, name, buffer[:n], 0)
}

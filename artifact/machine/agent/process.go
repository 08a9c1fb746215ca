package agent

import (
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

func limited(r io.Reader) io.Reader { return io.LimitReader(r, maxUserFile) }

// children waits for the processes that the agent started and, where it is the
// machine's first process, for those that others left to it.
type children struct {
	starting sync.RWMutex // held for reading between a start and its entry in waiting
	mu       sync.Mutex
	waiting  map[int]chan syscall.WaitStatus // guarded by mu
}

// start begins to wait. all: for everything that ends, not only for ours.
func (c *children) start(all bool) {
	c.waiting = map[int]chan syscall.WaitStatus{}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	go func() {
		for range ended {
			c.reap(all)
		}
	}()
}

// launch calls start, which returns a process, and returns a channel that takes
// its end.
func (c *children) launch(start func() (int, error)) (int, <-chan syscall.WaitStatus, error) {
	c.starting.RLock()
	defer c.starting.RUnlock()
	pid, err := start()
	if err != nil {
		return 0, nil, err
	}
	end := make(chan syscall.WaitStatus, 1)
	c.mu.Lock()
	c.waiting[pid] = end
	c.mu.Unlock()
	return pid, end, nil
}

// reap takes the ends of all processes that have ended.
func (c *children) reap(all bool) {
	c.starting.Lock() // so that none is taken of which we don't know yet whose it is
	defer c.starting.Unlock()
	if all {
		for {
			var status syscall.WaitStatus
			pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
			if err == syscall.EINTR {
				continue
			}
			if err != nil || pid <= 0 {
				return
			}
			c.tell(pid, status)
		}
	}
	c.mu.Lock()
	var ours []int
	for pid := range c.waiting {
		ours = append(ours, pid)
	}
	c.mu.Unlock()
	for _, pid := range ours {
		var status syscall.WaitStatus
		got, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
		if err == nil && got == pid {
			c.tell(pid, status)
		}
	}
}

func (c *children) tell(pid int, status syscall.WaitStatus) {
	c.mu.Lock()
	end := c.waiting[pid]
	delete(c.waiting, pid)
	c.mu.Unlock()
	if end != nil {
		end <- status
	}
}

// process is a line of the kernel's table.
type process struct{ pid, session int }

// processes reads /proc.
func processes(proc fs.FS) []process {
	entries, _ := fs.ReadDir(proc, ".")
	var all []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == 1 {
			continue
		}
		stat, err := fs.ReadFile(proc, e.Name()+"/stat")
		if err != nil {
			continue
		}
		// pid (name) state ppid pgrp session: the name may have anything in it.
		_, rest, ok := lastCut(string(stat), ") ")
		fields := strings.Fields(rest)
		if !ok || len(fields) < 4 {
			continue
		}
		session, err := strconv.Atoi(fields[3])
		if err == nil {
			all = append(all, process{pid, session})
		}
	}
	return all
}

func lastCut(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// openTerminal makes a terminal that belongs to a user.
func openTerminal(rows, columns uint16, who user) (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			master.Close()
		}
	}()
	number := 0
	err = control(master, func(fd int) error {
		err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
		if err != nil {
			return err
		}
		number, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if rows != 0 && columns != 0 {
		err = setSize(master, rows, columns)
		if err != nil {
			return nil, nil, err
		}
	}
	name := "/dev/pts/" + strconv.Itoa(number)
	if who.uid != 0 {
		_ = os.Chown(name, int(who.uid), -1)
	}
	slave, err = os.OpenFile(name, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	return master, slave, nil
}

func setSize(terminal *os.File, rows, columns uint16) error {
	return control(terminal, func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns})
	})
}

// control calls f with a file's descriptor, which stays as it is (Fd would make
// reads of it block a thread, and deadlines void).
func control(file *os.File, f func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = f(int(fd)) })
	if err != nil {
		return err
	}
	return failed
}

package main

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openPty opens a terminal: what is typed and shown, and the program's end.
func openPty(rows, columns uint16) (master, slave *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	master = os.NewFile(uintptr(fd), "ptmx")
	number := 0
	err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	if err == nil {
		number, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns})
	}
	if err == nil {
		slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		master.Close()
		return nil, nil, err
	}
	return master, slave, nil
}

// person is somebody at a terminal in which souk runs.
type person struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd
	before *unix.Termios
	slave  *os.File

	mu   sync.Mutex
	more sync.Cond
	seen []byte
	gone bool
}

// sits starts souk at a terminal of 30 lines and 100 columns.
func (h *builderHost) sits(t *testing.T, args ...string) *person {
	t.Helper()
	p := &person{t: t, cmd: h.souk(t, args...)}
	p.more.L = &p.mu
	var err error
	p.master, p.slave, err = openPty(30, 100)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.master.Close(); p.slave.Close() })
	p.before, err = unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = p.slave, p.slave, p.slave
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := p.master.Read(buf)
			p.mu.Lock()
			p.seen = append(p.seen, buf[:n]...)
			p.gone = err != nil
			p.more.Broadcast()
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return p
}

// types types a text.
func (p *person) types(text string) {
	p.t.Helper()
	if _, err := p.master.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

// sees waits until a text is shown, and forgets all up to it.
func (p *person) sees(text string) {
	p.t.Helper()
	late := time.AfterFunc(2*time.Minute, func() {
		p.mu.Lock()
		p.gone = true
		p.more.Broadcast()
		p.mu.Unlock()
	})
	defer late.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if i := bytes.Index(p.seen, []byte(text)); i >= 0 {
			p.seen = p.seen[i+len(text):]
			return
		}
		if p.gone {
			p.t.Fatalf("the terminal shows %q, and never %q", p.seen, text)
		}
		p.more.Wait()
	}
}

// leaves waits for the end of souk, and says whether the terminal is as it was.
func (p *person) leaves() int {
	p.t.Helper()
	code := status(p.t, p.cmd.Wait())
	after, err := unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	if *after != *p.before {
		p.t.Errorf("the terminal was %+v and is left as %+v", *p.before, *after)
	}
	return code
}

package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"souk/artifact/machine"
	"souk/artifact/machine/agent"
)

// The commands of a machine are links to our own program, which stands beside them,
// in a small file system of their own that is for reading alone. All machines have the
// same file: what is in memory of it is there once.

// maxCommands is how many commands a machine may have.
const maxCommands = 64

// programFile is what commands run, below Config.Root. It is ours alone: what the
// host's package manager does with our program is nothing to machines that run.
const programFile = "program"

// commandProgram returns the file that commands of machines lead to, and makes it.
func (s *Sandbox) commandProgram() (string, error) {
	s.commands.Lock()
	defer s.commands.Unlock()
	if s.command != "" {
		return s.command, nil
	}
	from := s.config.Binary
	if from == "" {
		from = "/proc/self/exe"
	}
	to := filepath.Join(s.config.Root, programFile)
	err := os.Remove(to) // of an earlier process; machines have it no more
	if err == nil || errors.Is(err, os.ErrNotExist) {
		err = linkProgram(from, to)
	}
	if err != nil {
		return "", fmt.Errorf("making the program of commands: %w", err)
	}
	s.command = to
	return to, nil
}

// linkProgram makes a name for a program, or a copy where that can't be.
func linkProgram(from, to string) error {
	info, err := os.Stat(from)
	if err == nil && info.Mode()&0o555 == 0o555 && info.Mode()&(os.ModeSetuid|os.ModeSetgid) == 0 &&
		unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.AT_SYMLINK_FOLLOW) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	// A process that is started meanwhile would have it open for writing, and what is,
	// can't be run.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Chmod(0o555)
	}
	return errors.Join(err, out.Close())
}

// command puts commands into the tree, before its root is entered. program is the file
// of the host that they lead to; "" if they need a loader, which stands in the machine.
func (t *tree) command(names []string, program string) error {
	if len(names) == 0 {
		return nil
	}
	folder := strings.TrimPrefix(machine.CommandsPath, "/")
	err := t.mount("tmpfs", folder, "tmpfs", quietFlag, fmt.Sprintf("size=1m,nr_inodes=%d,mode=755,uid=%d,gid=%d", 2*maxCommands, t.owner, t.owner))
	if err != nil {
		return err
	}
	dir, err := t.open(folder, 0o755)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	for _, name := range names {
		if program != "" {
			err = unix.Symlinkat(agent.CommandProgram, dir, name)
		} else {
			err = script(dir, name)
		}
		if err != nil {
			return fmt.Errorf("making the command %s: %w", name, err)
		}
	}
	if program != "" {
		err = t.show(program, folder+"/"+agent.CommandProgram)
		if err != nil {
			return err
		}
	}
	return t.mount("", folder, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|quietFlag, "")
}

// script makes a command of this program where it needs a loader.
func script(dir int, name string) error {
	fd, err := unix.Openat(dir, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o755)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.WriteString(agent.CommandScript(name, loaded))
	if err == nil {
		err = f.Chmod(0o755) // the umask
	}
	return errors.Join(err, f.Close())
}

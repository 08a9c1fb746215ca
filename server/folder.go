package server

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// folder is a data folder that this process alone uses.
type folder struct {
	dir  string
	lock *os.File // DIR/lock, held by flock(2); the kernel lets go of it when the process ends, however it ends
}

// InUseError says that another process uses the data folder.
type InUseError struct {
	Dir string
	PID int // 0 if it is not known
}

func (e *InUseError) Error() string {
	who := "another process"
	if e.PID != 0 {
		who = "process " + strconv.Itoa(e.PID)
	}
	return fmt.Sprintf("data folder %s is in use by %s: stop that one, or give another --data", e.Dir, who)
}

// openFolder makes the folder where it is missing and takes its lock. The error
// is an *InUseError if another process has it.
func openFolder(dir string) (*folder, error) {
	err := os.MkdirAll(dir, 0o700)
	if err != nil {
		return nil, fmt.Errorf("making data folder: %w", err)
	}
	name := filepath.Join(dir, "lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening lock of data folder: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		pid := 0
		b, readErr := os.ReadFile(name)
		if readErr == nil {
			pid, _ = strconv.Atoi(strings.TrimSpace(string(b))) // not a number: 0, not known
		}
		f.Close()
		return nil, &InUseError{Dir: dir, PID: pid}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking data folder %s: %w", dir, err)
	}
	// The pid is for people; the lock is what counts, so no fsync.
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("writing lock of data folder: %w", err)
	}
	return &folder{dir: dir, lock: f}, nil
}

// close lets go of the folder. The lock file stays: removing it would let two
// processes lock two files of one name. It is unlocked by name, since a process
// that is being started has a copy of the descriptor until it runs its program.
func (f *folder) close() error {
	return errors.Join(unix.Flock(int(f.lock.Fd()), unix.LOCK_UN), f.lock.Close())
}

// path names a file of the folder.
func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

// writeWhole writes a small file so that a reader sees the old or the new one,
// never a part, also after the machine lost its power. Then it may be the old
// one: what must not be lost is in the store. A file that is right already is
// left alone.
func writeWhole(name string, content []byte, mode os.FileMode) error {
	old, err := os.ReadFile(name)
	if err == nil && bytes.Equal(old, content) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed, and that is well
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"souk/artifact/layer"
)

// Files of a machine's folder, and the folder of all.
const (
	machinesFolder = "machines"
	recordFile     = "machine.json"
	processFile    = "process" // of its first process, while it runs
)

// record is what a machine is, as long as it has a disk. A folder without one is
// half made.
type record struct {
	ID       string
	Purpose  string
	Created  time.Time
	Env      []string
	Hostname string
	Memory   int64
	Disk     int64
	CPU      int
	Pids     int
	Egress   []string
	Files    string
	Sudo     bool
	Kept     bool     `json:",omitempty"`
	Commands []string `json:",omitempty"`
	Door     bool     `json:",omitempty"`
	DiffIDs  []string
	Image    bool // the disk is a file with a file system in it
	Shift    int  // with which its files were written
	Started  bool // once at least
}

// write writes the record as a whole. That of a machine that is kept is on the disk then.
func (r record) write(dir string) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	err = writeWhole(filepath.Join(dir, recordFile), b, r.Kept)
	if err != nil || !r.Kept {
		return err
	}
	return errors.Join(syncFile(dir), syncFile(filepath.Dir(dir)))
}

// writeWhole writes a file as a whole or not at all; sync: its content is on the disk
// before its name is.
func writeWhole(path string, content []byte, sync bool) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil && sync {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// used is how many bytes of the host's disk the writable layer takes.
func (b *box) used() int64 {
	if !b.record.Image {
		return folderSize(filepath.Join(b.dir, diskFolder))
	}
	var st unix.Stat_t
	if unix.Lstat(filepath.Join(b.dir, diskFile), &st) != nil {
		return 0
	}
	return st.Blocks * 512
}

func folderSize(dir string) int64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return nil // it is gone, or closed to us
		}
		var st unix.Stat_t
		if unix.Lstat(path, &st) == nil {
			sum += st.Blocks * 512
		}
		return nil
	})
	return sum
}

// process names a process beyond doubt: the kernel gives numbers again, but not at
// the same time since the host's start.
func process(pid int) (string, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", err
	}
	i := strings.LastIndex(string(stat), ") ")
	fields := strings.Fields(string(stat)[max(i, 0):])
	if i < 0 || len(fields) < 21 {
		return "", errors.New("the process's line can't be read")
	}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return fmt.Sprintf("%d %s %s", pid, fields[20], strings.TrimSpace(string(boot))), nil
}

// endProcess kills the process that a file names, if it is still that one.
func endProcess(file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		return
	}
	number, _, _ := strings.Cut(string(b), " ")
	pid, err := strconv.Atoi(number)
	if err != nil || pid <= 1 {
		return
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	now, err := process(pid)
	if err == nil && now == string(b) {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		wait := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		_, _ = unix.Poll(wait, int(emptying/time.Millisecond))
	}
}

// recover finds the machines of the folder, ends what runs of them, and removes
// what is half made. No other process has the folder.
func (s *Sandbox) recover() error {
	root := filepath.Join(s.config.Root, machinesFolder)
	err := os.MkdirAll(root, 0o700)
	if err != nil {
		return fmt.Errorf("making the folder of machines: %w", err)
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return fmt.Errorf("looking for machines: %w", err)
	}
	for _, e := range entries {
		endProcess(filepath.Join(root, e.Name(), processFile))
	}
	for _, dir := range s.cgroups.folders() {
		below, _ := os.ReadDir(dir)
		for _, e := range below {
			if !e.IsDir() {
				continue
			}
			err := removeGroup(filepath.Join(dir, e.Name()))
			if err != nil {
				s.config.Log.Warn("a group of an earlier machine stays", "group", filepath.Join(dir, e.Name()), "error", err)
			}
		}
	}
	// A machine that is made enters our groups again; perhaps none is.
	s.cgroups.mu.Lock()
	s.cgroups.leave()
	s.cgroups.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), s.config.StartTimeout)
	defer cancel()
	err = settle(ctx, root)
	if err != nil {
		return fmt.Errorf("the disks of earlier machines: %w", err)
	}
	for _, e := range entries {
		dir := filepath.Join(root, e.Name())
		b := &box{id: e.Name(), dir: dir}
		content, err := os.ReadFile(filepath.Join(dir, recordFile))
		if err == nil {
			err = json.Unmarshal(content, &b.record)
		}
		// One that Probe made is nobody's when its process has gone.
		if err != nil || strings.HasPrefix(e.Name(), probePrefix) {
			s.config.Log.Info("a machine that was half made is removed", "machine", e.Name())
			err = layer.Remove(dir)
			if err != nil {
				s.config.Log.Warn("what is left of a machine stays until the next start", "machine", e.Name(), "error", err)
			}
			continue
		}
		_ = os.Remove(filepath.Join(dir, processFile))
		b.dirs, b.layers, err = s.config.Cache.Hold(b.record.DiffIDs)
		if err != nil {
			s.config.Log.Warn("a machine lacks layers: it can be read and deleted, not started", "machine", b.id, "error", err)
		}
		s.boxes[b.id] = b
	}
	return nil
}

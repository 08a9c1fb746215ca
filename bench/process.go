package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of CPU times in /proc: USER_HZ, 100 per second on Linux.
const tick = 10 * time.Millisecond

// cpu is the processor time that a process has used, all threads together.
func cpu(pid int) (time.Duration, error) {
	s, err := readStat(pid)
	return s.used, err
}

// stat is what is read of /proc/PID/stat.
type stat struct {
	parent int
	used   time.Duration // processor time
}

// readStat reads what the kernel tells of a process (proc_pid_stat(5)).
func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, fmt.Errorf("asking for process %d: %w", pid, err)
	}
	// The command's name may hold anything; the fields that follow it start behind
	// its bracket with field 3. The parent is field 4, utime 14, stime 15.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return stat{}, fmt.Errorf("asking for process %d: %q", pid, b)
	}
	var numbers [3]int64
	for i, field := range []int{4, 14, 15} {
		numbers[i], err = strconv.ParseInt(fields[field-3], 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("asking for process %d: %w", pid, err)
		}
	}
	return stat{int(numbers[0]), time.Duration(numbers[1]+numbers[2]) * tick}, nil
}

// family is a process, what it has started, what those have, and so on.
func family(pid int) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, e := range entries {
		id, err := strconv.Atoi(e.Name())
		if err != nil {
			continue // no process
		}
		s, err := readStat(id)
		if err == nil { // else it has ended
			children[s.parent] = append(children[s.parent], id)
		}
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all, nil
}

// familyMemory is what a process and its family have of the memory, in bytes: what
// several share is counted once.
func familyMemory(pid int) (total int64, err error) {
	all, err := family(pid)
	if err != nil {
		return 0, err
	}
	for _, id := range all {
		share, err := memoryShare(id)
		if id != pid && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)) {
			continue // it has ended
		}
		if err != nil {
			return 0, err
		}
		total += share
	}
	return total, nil
}

// memoryShare is what a process has of the memory, in bytes; of what it shares with
// others, its share.
func memoryShare(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of %d: %w", pid, err)
	}
	_, rest, _ := strings.Cut(string(text), "\nPss:")
	var kib int64
	_, err = fmt.Sscanf(rest, "%d kB", &kib)
	if err != nil {
		return 0, fmt.Errorf("reading the memory of %d: no share in %q: %w", pid, text, err)
	}
	return kib << 10, nil
}

// resident is the memory of a process that is in RAM, in bytes.
func resident(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of %d: %w", pid, err)
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0, fmt.Errorf("reading the memory of %d: %q", pid, b)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the memory of %d: %w", pid, err)
	}
	return pages * int64(os.Getpagesize()), nil
}

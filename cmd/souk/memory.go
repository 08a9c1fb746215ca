package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// keepSmall lets a server that has little to do be small: what starting has
// touched is given back.
func keepSmall() error {
	debug.FreeOSMemory()
	return unmapProgram()
}

// unmapProgram drops the pages of the program's own file from this process.
// Starting runs through the initialisation of every library once, which maps
// most of a large binary; hardly any of it is needed again. The pages are the
// file's and unchanged: they stay in the system's cache, and one that is needed
// comes back by itself.
func unmapProgram() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	f, err := os.Open("/proc/self/maps") // proc_pid_maps(5)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// START-END PERMISSIONS OFFSET DEVICE INODE PATH
		fields := strings.Fields(lines.Text())
		if len(fields) != 6 || fields[5] != self || strings.Contains(fields[1], "w") {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		start, err := strconv.ParseUint(from, 16, 64)
		if err != nil {
			return fmt.Errorf("reading /proc/self/maps: %w", err)
		}
		end, err := strconv.ParseUint(to, 16, 64)
		if err != nil {
			return fmt.Errorf("reading /proc/self/maps: %w", err)
		}
		_, _, failed := unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED)
		if failed != 0 {
			return fmt.Errorf("giving back pages of the program: %w", failed)
		}
	}
	return lines.Err()
}

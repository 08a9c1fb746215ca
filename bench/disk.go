package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// disk measures what the disk gives: appends of one batch's size.
func (b *bench) disk() error {
	size := 0
	for _, w := range b.templates.start.Put {
		size += len(w.Body) + len(w.Summary)
		for _, e := range w.Index {
			size += len(e.Partition) + len(e.Sort) + len(e.Cover)
		}
	}
	for _, group := range []int{1, 16, 64} {
		rate, err := appendsPerSecond(b.folder, size, group, min(b.window, time.Second))
		if err != nil {
			return err
		}
		b.table.add(fmt.Sprintf("disk: fdatasync appends, %d at a time", group), rate, "1/s", fmt.Sprintf("%d bytes each, as StartChangeSet's batch", size))
	}
	return nil
}

// appendsPerSecond is the raw rate of durable appends on the disk of dir: a
// write of size bytes, group of them together, then fdatasync. It returns
// appends, not groups.
func appendsPerSecond(dir string, size, group int, d time.Duration) (rate float64, err error) {
	path := filepath.Join(dir, "appends")
	f, err := os.Create(path)
	if err != nil {
		return 0, fmt.Errorf("measuring the disk: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(path)) }()
	record := make([]byte, size*group)
	for i := range record {
		record[i] = byte(i)
	}
	n := 0
	started := time.Now()
	for time.Since(started) < d {
		_, err = f.Write(record)
		if err != nil {
			return 0, fmt.Errorf("measuring the disk: %w", err)
		}
		err = unix.Fdatasync(int(f.Fd()))
		if err != nil {
			return 0, fmt.Errorf("measuring the disk: %w", err)
		}
		n += group
	}
	return float64(n) / time.Since(started).Seconds(), nil
}

// taken is what the files of a folder take of the disk, in bytes.
func taken(folder string) (total int64, err error) {
	err = filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			total += st.Blocks * 512
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measuring %s: %w", folder, err)
	}
	return total, nil
}

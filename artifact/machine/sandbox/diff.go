package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"souk/artifact/layer"
	"souk/artifact/machine"
)

// Diff implements machine.Provider.
func (s *Sandbox) Diff(ctx context.Context, id string, w io.Writer) error {
	b, err := s.box(id)
	if err != nil {
		return err
	}
	defer b.mu.Unlock()
	if b.running != nil {
		return fmt.Errorf("reading what %s changed: %w: it runs", id, machine.ErrState)
	}
	options := layer.Options{Shift: b.record.Shift, Rootless: s.rootless, Skip: ours}
	upper := filepath.Join(b.dir, diskFolder, upperName)
	if !b.record.Started {
		return emptyDiff(ctx, w)
	}
	if b.record.Image {
		err := check(ctx, s.fsck, filepath.Join(b.dir, diskFile))
		if err != nil {
			return fmt.Errorf("reading what %s changed: %w", id, err)
		}
		k, err := newKeeper(true)
		if err != nil {
			return err
		}
		defer func() {
			_ = k.do(func() error { return unix.Unmount(filepath.Join(b.dir, diskFolder), 0) })
			k.end()
			patience, cancel := context.WithTimeout(context.Background(), s.config.StartTimeout)
			defer cancel()
			_ = settle(patience, b.dir)
		}()
		thread := 0
		err = k.do(func() error {
			thread = unix.Gettid()
			return mountDisk(b.dir, true, b.record.Kept)
		})
		if err != nil {
			return fmt.Errorf("reading what %s changed: %w", id, err)
		}
		// What that thread has mounted, as other threads may see it.
		upper = "/proc/self/task/" + strconv.Itoa(thread) + "/root" + upper
	}
	_, err = layer.Diff(ctx, w, upper, options)
	if errors.Is(err, layer.ErrBadTree) {
		_, reason, _ := strings.Cut(err.Error(), layer.ErrBadTree.Error()+": ")
		return fmt.Errorf("reading what %s changed: %w: %s", id, machine.ErrBadTree, reason)
	}
	return err
}

// emptyDiff writes the layer of a machine that was never started.
func emptyDiff(ctx context.Context, w io.Writer) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := w.Write(make([]byte, 1024)) // the end of an archive
	return err
}

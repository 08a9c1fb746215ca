package layer

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Folders of a cache, beside the layers' own, each NAME with a NAME.json.
const (
	unfinished = "new-" // being unpacked
	discarded  = "old-" // being removed
)

// maxDigests is how many forms of a layer are known by their digests.
const maxDigests = 32

// record is NAME.json. It is written when the layer is complete.
type record struct {
	DiffID  string
	Digests []string // of the stored layers that were found to be this one
	Bytes   int64    // that it takes on the disk, about
	Entries int
	Covers  bool     `json:",omitempty"` // it hides all layers below
	Implied []string `json:",omitempty"` // directories of which no entry says anything
	// Synced: all of it had reached the disk. Until then the layer is good for
	// as long as the machine runs, whose boot Boot is: only the loss of power
	// takes what the kernel had yet to write.
	Synced bool
	Boot   string
}

// bootID names the time since the machine was started; "" if that can't be known.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func (c *Cache) recordFile(name string) string {
	return filepath.Join(c.config.Root, name+".json")
}

// write writes a layer's record, as a whole or not at all. c.mu is held.
func (c *Cache) write(k *kept) error {
	b, err := json.Marshal(k.record)
	if err != nil {
		return fmt.Errorf("writing its record: %w", err)
	}
	file := c.recordFile(k.name)
	err = os.WriteFile(file+".new", append(b, '\n'), 0o600)
	if err == nil && !k.used.IsZero() {
		err = os.Chtimes(file+".new", k.used, k.used) // see note
	}
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		return fmt.Errorf("writing its record: %w", err)
	}
	return nil
}

// settle sees to it that what was unpacked reaches the disk and that this is
// noted. Callers don't wait for that: it may take longer than unpacking. c.mu is
// held.
func (c *Cache) settle() {
	if !c.syncing {
		c.syncing = true
		c.work.Go(c.sync)
	}
}

// sync waits for the disk, once for all layers that there are, until none is left.
func (c *Cache) sync() {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { c.syncing = false }()
	for {
		var all []*kept
		for _, k := range c.layers {
			if k.ready && !k.Synced {
				all = append(all, k)
			}
		}
		if len(all) == 0 {
			return
		}
		c.mu.Unlock()
		root, err := os.Open(c.config.Root)
		if err == nil {
			err = unix.Syncfs(int(root.Fd()))
			root.Close()
		}
		c.mu.Lock()
		for _, k := range all {
			if err == nil && c.layers[k.DiffID] == k { // it was not evicted
				k.Synced = true
				err = c.write(k)
			}
		}
		if err != nil {
			c.config.Log.Warn("layers may have to be unpacked again after a loss of power", "folder", c.config.Root, "error", err)
			return
		}
	}
}

// sweep reads what is in the folder, and removes what is no whole layer.
func (c *Cache) sweep() error {
	all, err := os.ReadDir(c.config.Root)
	if err != nil {
		return err
	}
	for _, e := range all {
		name, more, _ := strings.Cut(e.Name(), ".")
		whole := true
		switch {
		case strings.HasPrefix(name, unfinished), strings.HasPrefix(name, discarded):
			whole = false
		case isName(name):
			whole = (more == "" || more == "json") && c.load(name)
		}
		if whole {
			continue
		}
		err = Remove(filepath.Join(c.config.Root, e.Name()))
		if err != nil {
			return err
		}
	}
	return nil
}

// load reads the record of a layer and says whether there is a whole one. New
// alone calls it, with c.mu held.
func (c *Cache) load(name string) bool {
	file := c.recordFile(name)
	b, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	var r record
	err = json.Unmarshal(b, &r)
	if err != nil || !r.Synced && (r.Boot == "" || r.Boot != bootID()) {
		return false
	}
	is, err := folderName(r.DiffID)
	if err != nil || is != name {
		return false
	}
	if c.layers[r.DiffID] != nil {
		return true
	}
	tree, err := os.Lstat(filepath.Join(c.config.Root, name))
	if err != nil || !tree.IsDir() {
		return false
	}
	info, err := os.Lstat(file)
	if err != nil {
		return false
	}
	k := &kept{name: name, record: r, used: info.ModTime(), ready: true}
	c.layers[r.DiffID] = k
	c.bytes += r.Bytes
	if !r.Synced {
		c.settle()
	}
	return true
}

// pass reads over an entry.
func pass(h *tar.Header, data io.Reader) error {
	_, err := io.Copy(io.Discard, data)
	return err
}

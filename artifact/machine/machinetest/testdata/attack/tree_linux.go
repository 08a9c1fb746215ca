package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// file is what a file is, as machinetest reads it.
type file struct {
	Path string // without the first slash
	Kind string // file, dir, link, fifo, socket, char, block
	Mode uint32 // with setuid, setgid and sticky
	UID  uint32
	GID  uint32
	Sum  string // of a file's content
	To   string // of a symbolic link
	Same string // the first path of the same file, if it has several
	Cap  string // hexadecimal: its capabilities
	Time int64  // of a file's last change
}

// tree lists the disk as it looks in the machine, a JSON object a line, without
// what is mounted over it.
func tree(args []string) error {
	over := map[string]bool{"proc": true, "sys": true, "dev": true, "run": true, "tmp": true}
	for _, path := range args {
		over[path] = true
	}
	seen := map[[2]uint64]string{}
	out := json.NewEncoder(os.Stdout)
	return filepath.WalkDir("/", func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, "/")
		if name == "" {
			return nil
		}
		if over[name] {
			return skip(path)
		}
		var s unix.Stat_t
		if err := unix.Lstat(path, &s); err != nil {
			return err
		}
		f := file{Path: name, Mode: s.Mode & 0o7777, UID: s.Uid, GID: s.Gid}
		switch s.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
			f.Kind = "dir"
		case unix.S_IFLNK:
			f.Kind = "link"
			f.Mode = 0o777
			if f.To, err = os.Readlink(path); err != nil {
				return err
			}
		case unix.S_IFREG:
			f.Kind = "file"
			f.Time = s.Mtim.Sec
			if f.Sum, err = sum(path); err != nil {
				return err
			}
			b := make([]byte, 64)
			if n, err := unix.Lgetxattr(path, "security.capability", b); err == nil {
				f.Cap = fmt.Sprintf("%x", b[:n])
			}
		case unix.S_IFIFO:
			f.Kind = "fifo"
		case unix.S_IFSOCK:
			f.Kind = "socket"
		case unix.S_IFCHR:
			f.Kind = "char"
		case unix.S_IFBLK:
			f.Kind = "block"
		}
		if s.Nlink > 1 && f.Kind != "dir" {
			id := [2]uint64{s.Dev, s.Ino}
			if seen[id] == "" {
				seen[id] = name
			}
			f.Same = seen[id]
		}
		return out.Encode(f)
	})
}

func skip(path string) error {
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return filepath.SkipDir
	}
	return nil
}

func sum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8]), nil
}

// churn changes files below /opt at random, from a SEED, in so many STEPS. What
// fails is as good as what succeeds: the disk is what it is afterwards.
func churn(args []string) error {
	r := rand.New(rand.NewPCG(uint64(number(args, 0)), 1))
	names := []string{"a", "b", "c", "x y", "new\nline", "ü", ".hidden", "lib"}
	path := func() string {
		p := "/opt"
		for range 1 + r.IntN(3) {
			p += "/" + names[r.IntN(len(names))]
		}
		return p
	}
	content := func() []byte { return fmt.Appendf(nil, "%d\n", r.IntN(1000)) }
	for range number(args, 1) {
		p, q := path(), path()
		switch r.IntN(16) {
		case 0, 1:
			put(p, os.O_CREATE|os.O_TRUNC, content())
		case 2:
			put(p, os.O_APPEND, content())
		case 3, 4:
			os.Mkdir(p, 0o755) //nolint:errcheck
		case 5:
			wipe(p)
		case 6:
			os.Remove(p)
		case 7:
			os.Rename(p, q)
		case 8:
			os.Link(p, q)
		case 9:
			os.Symlink([]string{"/etc/shadow", "../../../../etc", "a", q}[r.IntN(4)], p)
		case 10:
			os.Chmod(p, []os.FileMode{0o600, 0o755, 0o777 | os.ModeSticky, 0o755 | os.ModeSetuid, 0o2755 | os.ModeSetgid, 0}[r.IntN(6)])
		case 11:
			os.Lchown(p, r.IntN(3)*33, r.IntN(3)*33)
		case 12:
			setcap([]string{p}) //nolint:errcheck
		case 13:
			os.Truncate(p, int64(r.IntN(5)))
		case 14:
			wipe(p) // and something else in its place
			switch r.IntN(3) {
			case 0:
				os.Mkdir(p, 0o700) //nolint:errcheck
			case 1:
				put(p, os.O_CREATE|os.O_EXCL, content())
			case 2:
				os.Symlink(q, p)
			}
		case 15:
			unix.Mkfifo(p, 0o644) //nolint:errcheck
		}
	}
	return nil
}

// wipe removes all of a path. os.RemoveAll opens the folder that it is in, and
// would wait where that is a pipe.
func wipe(path string) {
	if info, err := os.Stat(filepath.Dir(path)); err == nil && info.IsDir() {
		os.RemoveAll(path)
	}
}

// put writes to a file, and does not wait for readers of a pipe.
func put(path string, flags int, content []byte) {
	f, err := os.OpenFile(path, flags|os.O_WRONLY|unix.O_NONBLOCK, 0o644)
	if err != nil {
		return
	}
	f.Write(content)
	f.Close()
}

package agent

import (
	"bufio"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// user is whom a program runs as.
type user struct {
	name     string
	uid, gid uint32
	groups   []uint32
	home     string
}

// maxUserFile is how much of /etc/passwd and /etc/group is read.
const maxUserFile = 1 << 20

// lookupUser finds NAME, UID, or either with :GROUP or :GID, in the files of a
// root file system. "" is root.
func lookupUser(root fs.FS, spec string) (user, error) {
	if spec == "" {
		u := user{name: "root", home: "/root"}
		eachLine(root, "etc/passwd", func(f []string) {
			if len(f) >= 6 && f[2] == "0" && u.home == "/root" && f[5] != "" {
				u.home = f[5]
			}
		})
		return u, nil
	}
	name, group, hasGroup := strings.Cut(spec, ":")
	u, found := user{name: name, home: "/"}, false
	uid, err := number(name)
	numeric := err == nil
	eachLine(root, "etc/passwd", func(f []string) {
		if found || len(f) < 6 {
			return
		}
		id, err1 := number(f[2])
		gid, err2 := number(f[3])
		if err1 != nil || err2 != nil || !(f[0] == name || numeric && id == uid) {
			return
		}
		found = true
		u.name, u.uid, u.gid = f[0], id, gid
		if f[5] != "" {
			u.home = f[5]
		}
	})
	switch {
	case !found && !numeric:
		return user{}, fmt.Errorf("user %s: /etc/passwd has none of that name", name)
	case !found:
		u.uid = uid
	}
	if hasGroup {
		gid, err := number(group)
		known := err == nil
		eachLine(root, "etc/group", func(f []string) {
			if len(f) >= 3 && f[0] == group {
				if id, err := number(f[2]); err == nil && !known {
					gid, known = id, true
				}
			}
		})
		if !known {
			return user{}, fmt.Errorf("group %s: /etc/group has none of that name", group)
		}
		u.gid = gid
		return u, nil
	}
	if found {
		u.groups = []uint32{u.gid}
		eachLine(root, "etc/group", func(f []string) {
			if len(f) < 4 || len(u.groups) >= 64 {
				return
			}
			id, err := number(f[2])
			for _, member := range strings.Split(f[3], ",") {
				if member == u.name && err == nil {
					u.groups = append(u.groups, id)
				}
			}
		})
	}
	return u, nil
}

func number(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err
}

// eachLine calls f with the fields of each line of a file. What can't be read has none.
func eachLine(root fs.FS, name string, f func([]string)) {
	file, err := root.Open(name)
	if err != nil {
		return
	}
	defer file.Close()
	lines := bufio.NewScanner(limited(file))
	for lines.Scan() {
		f(strings.Split(lines.Text(), ":"))
	}
}

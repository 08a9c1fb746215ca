package document

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// isMode checks permissions: three or four octal digits.
func isMode(s string) string {
	if _, err := asMode(s); err != nil {
		return err.Error()
	}
	return ""
}

// asMode reads permissions, the bits for setuid, setgid and sticky among them.
func asMode(s string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil || n > 0o7777 || len(s) < 3 || len(s) > 4 {
		return 0, fmt.Errorf("permissions are three or four octal digits, not [%s]", cut(s, 60))
	}
	mode := fs.FileMode(n & 0o777)
	for bit, flag := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if n&bit != 0 {
			mode |= flag
		}
	}
	return mode, nil
}

// owners finds the numbers of an owner and a group, by name or as a number in
// the machine's /etc/passwd and /etc/group; -1 where nothing is said. With
// primary an owner without a group brings the group of the user's entry.
func owners(owner, group string, primary bool) (uid, gid int, err error) {
	uid, gid = -1, -1
	if owner != "" {
		found, err := user.Lookup(owner)
		if err != nil {
			found, err = user.LookupId(owner)
		}
		number := owner
		if err == nil {
			number = found.Uid
			if group == "" && primary {
				group = found.Gid
			}
		}
		if uid, err = strconv.Atoi(number); err != nil || uid < 0 {
			return -1, -1, fmt.Errorf("there is no user [%s]", cut(owner, 60))
		}
	}
	if group != "" {
		number := group
		if found, err := user.LookupGroup(group); err == nil {
			number = found.Gid
		}
		if gid, err = strconv.Atoi(number); err != nil || gid < 0 {
			return -1, -1, fmt.Errorf("there is no group [%s]", cut(group, 60))
		}
	}
	return uid, gid, nil
}

// dress gives a file or folder its owner and permissions, as far as the input
// says them. The owner is first: changing it takes setuid bits away.
func dress(name string, in input) error {
	if in.texts["owner"] != "" || in.texts["group"] != "" {
		uid, gid, err := owners(in.texts["owner"], in.texts["group"], false)
		if err != nil {
			return err
		}
		if err := os.Chown(name, uid, gid); err != nil {
			return err
		}
	}
	if p := in.texts["permissions"]; p != "" {
		mode, err := asMode(p)
		if err != nil {
			return err
		}
		return os.Chmod(name, mode)
	}
	return nil
}

// notSpecial refuses what is there and no file: opening a pipe would wait for
// ever, whatever the step's time-out.
func notSpecial(name string) error {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("[%s] is there and is no file", name)
	}
	return nil
}

func createFile(_ context.Context, _ *work, in input) (string, error) {
	name := in.texts["path"]
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return "", err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if !in.flag("overwrite", true) {
		flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	}
	if err := notSpecial(name); err != nil {
		return "", err
	}
	f, err := os.OpenFile(name, flags, 0o666)
	if err != nil {
		return "", err
	}
	e, _ := asEncoding(in.texts["encoding"])
	_, err = f.Write(e.encode(in.texts["content"]))
	if err := errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	return "", dress(name, in)
}

func appendFile(_ context.Context, _ *work, in input) (string, error) {
	if err := notSpecial(in.texts["path"]); err != nil {
		return "", err
	}
	f, err := os.OpenFile(in.texts["path"], os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return "", err
	}
	e, _ := asEncoding(in.texts["encoding"])
	_, err = f.Write(e.encode(in.texts["content"]))
	return "", errors.Join(err, f.Close())
}

// readAll reads a regular file of at most that many bytes.
func readAll(name string, most int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("[%s] is no file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("[%s] has more than %d bytes", name, most)
	}
	return data, err
}

func readFile(_ context.Context, w *work, in input) (string, error) {
	e, _ := asEncoding(in.texts["encoding"])
	data, err := readAll(in.texts["path"], int64(maxCapture*e.bytes))
	if err != nil {
		return "", err
	}
	text, err := e.decode(data)
	if err != nil {
		return "", fmt.Errorf("[%s]: %w", in.texts["path"], err)
	}
	if in.flag("printFileContent", false) {
		fmt.Fprint(w.out, text)
	}
	return text, nil
}

func setFileEncoding(_ context.Context, _ *work, in input) (string, error) {
	name := in.texts["path"]
	data, err := readAll(name, maxText)
	if err != nil {
		return "", err
	}
	text, err := encoding{bytes: 1}.decode(data)
	if err != nil {
		return "", fmt.Errorf("[%s]: %w", name, err)
	}
	e, _ := asEncoding(in.texts["encoding"])
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return "", err
	}
	_, err = f.Write(e.encode(text))
	return "", errors.Join(err, f.Close())
}

func setFileOwner(_ context.Context, _ *work, in input) (string, error) {
	uid, gid, err := owners(in.texts["owner"], in.texts["group"], true)
	if err != nil {
		return "", err
	}
	return "", os.Chown(in.texts["path"], uid, gid)
}

func setFilePermissions(_ context.Context, _ *work, in input) (string, error) {
	mode, err := asMode(in.texts["permissions"])
	if err != nil {
		return "", err
	}
	return "", os.Chmod(in.texts["path"], mode)
}

func deleteFile(ctx context.Context, _ *work, in input) (string, error) {
	names, err := match(in.texts["path"], false)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		info, err := os.Lstat(name)
		if err == nil && info.IsDir() {
			err = fmt.Errorf("[%s] is a folder", name)
		}
		if err == nil {
			err = os.Remove(name)
		}
		if err != nil {
			return "", err
		}
	}
	return "", nil
}

func createSymlink(_ context.Context, _ *work, in input) (string, error) {
	name, err := filepath.Abs(in.texts["path"])
	if err != nil {
		return "", err
	}
	target := in.texts["target"]
	there := target
	if !filepath.IsAbs(there) { // a link's target is seen from the link
		there = filepath.Join(filepath.Dir(name), target)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return "", err
	}
	if _, err := os.Stat(there); err != nil {
		return "", fmt.Errorf("the target: %w", err)
	}
	if info, err := os.Lstat(name); err == nil {
		switch {
		case info.Mode()&fs.ModeSymlink == 0:
			return "", fmt.Errorf("[%s] is there and is no symbolic link", name)
		case !in.flag("force", false):
			return "", fmt.Errorf("[%s] is there and force is false", name)
		}
		if err := os.Remove(name); err != nil {
			return "", err
		}
	}
	return "", os.Symlink(target, name)
}

func createFolder(_ context.Context, _ *work, in input) (string, error) {
	name := in.texts["path"]
	if _, err := os.Lstat(name); err == nil && !in.flag("overwrite", true) {
		return "", fmt.Errorf("[%s] is there and overwrite is false", name)
	}
	if err := os.MkdirAll(name, 0o777); err != nil {
		return "", err
	}
	return "", dress(name, in)
}

func deleteFolder(_ context.Context, _ *work, in input) (string, error) {
	name := in.texts["path"]
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("[%s] is no folder", name)
	}
	if in.flag("force", false) {
		return "", os.RemoveAll(name)
	}
	return "", os.Remove(name)
}

// isPattern checks the pattern of ListFiles: a name, perhaps with *.
func isPattern(s string) string {
	if s == "" || strings.Contains(s, "/") {
		return "must be a file's name, perhaps with *"
	}
	return ""
}

func listFiles(ctx context.Context, w *work, in input) (string, error) {
	pattern := in.texts["fileNamePattern"]
	if pattern == "" {
		pattern = "*"
	}
	var names []string
	root := in.texts["path"]
	if info, err := os.Stat(root); err != nil || !info.IsDir() {
		return "", errors.Join(err, fmt.Errorf("[%s] is no folder", root))
	}
	err := filepath.WalkDir(root+"/", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case entry.IsDir():
			if filepath.Clean(name) != filepath.Clean(root) && !in.flag("recursive", false) {
				return fs.SkipDir
			}
		case wild(pattern, entry.Name()):
			names = append(names, filepath.Clean(name))
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	slices.Sort(names)
	all := strings.Join(names, ",")
	if len(all) > maxCapture {
		w.say(w.out, "%s found %d files; references to them have the first %d bytes of the list", w.title, len(names), maxCapture)
	}
	return keep(all), nil
}

func setFolderOwner(ctx context.Context, _ *work, in input) (string, error) {
	uid, gid, err := owners(in.texts["owner"], in.texts["group"], true)
	if err != nil {
		return "", err
	}
	return "", eachBelow(ctx, in, func(name string, _ fs.FileInfo) error { return os.Lchown(name, uid, gid) })
}

func setFolderPermissions(ctx context.Context, _ *work, in input) (string, error) {
	mode, err := asMode(in.texts["permissions"])
	if err != nil {
		return "", err
	}
	return "", eachBelow(ctx, in, func(name string, info fs.FileInfo) error {
		if info.Mode()&fs.ModeSymlink != 0 { // links have none, and what they point at may lie elsewhere
			return nil
		}
		return os.Chmod(name, mode)
	})
}

// eachBelow calls f with a folder after all that is in it, so that permissions
// that close a folder come last; with the folder alone if recursive is false.
func eachBelow(ctx context.Context, in input, f func(string, fs.FileInfo) error) error {
	root, err := filepath.EvalSymlinks(in.texts["path"])
	if err != nil {
		return err
	}
	info, err := os.Stat(root)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("[%s] is no folder", root)
	}
	if !in.flag("recursive", true) {
		return f(root, info)
	}
	type found struct {
		name string
		info fs.FileInfo
	}
	var all []found
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		info, err := entry.Info()
		all = append(all, found{name, info})
		return err
	})
	if err != nil {
		return err
	}
	for _, one := range slices.Backward(all) {
		if err := f(one.name, one.info); err != nil {
			return err
		}
	}
	return nil
}

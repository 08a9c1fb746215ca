package layer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	capability = "security.capability"
	paxXattr   = "SCHILY.xattr." // prefix of the records of an archive
)

// ours says whether an extended attribute is part of a layer: those of users,
// and the capabilities of files. Others are the host's own: labels of its
// security modules, and what overlayfs notes.
func ours(name string) bool {
	return name == capability || strings.HasPrefix(name, "user.") && !strings.HasPrefix(name, "user.overlay.") && len(name) > len("user.")
}

// The forms of security.capability (vfs_cap_data and vfs_ns_cap_data of
// linux/capability.h). The second holds in the user namespace whose root is the
// user that stands behind the capabilities.
const (
	capMask = 0xff000000
	cap2    = 0x02000000
	cap3    = 0x03000000
	size2   = 20
	size3   = 24
)

var errCapability = errors.New("capabilities in a form that no kernel reads")

// shiftCapability moves the capabilities of a file into the user namespace whose
// root is the host's user shift, or out of it again by -shift. Those that hold
// for user 0 have the second form, all else the third: a kernel does the same
// when a program of that namespace sets them.
func shiftCapability(b []byte, shift int64) ([]byte, error) {
	if len(b) < 4 {
		return nil, errCapability
	}
	magic, root := binary.LittleEndian.Uint32(b), int64(0)
	switch {
	case magic&capMask == cap2 && len(b) == size2:
	case magic&capMask == cap3 && len(b) == size3:
		root = int64(binary.LittleEndian.Uint32(b[size2:]))
	default:
		return nil, errCapability
	}
	root += shift
	if root < 0 || root >= 1<<32-1 {
		return nil, fmt.Errorf("capabilities for user %d of the host, which the machine has not got", root-shift)
	}
	to := binary.LittleEndian.AppendUint32(nil, magic&^capMask|cap2)
	to = append(to, b[4:size2]...)
	if root != 0 {
		binary.LittleEndian.PutUint32(to, magic&^capMask|cap3)
		to = binary.LittleEndian.AppendUint32(to, uint32(root))
	}
	return to, nil
}

// handle is the path of a file whose directory has a descriptor. Calls that begin
// with l do not follow its last part.
func handle(dir int, base string) string { return fmt.Sprintf("/proc/self/fd/%d/%s", dir, base) }

// getXattr returns an attribute of a file and whether it has it.
func getXattr(path, name string) (value []byte, ok bool, err error) {
	b := make([]byte, 256)
	for {
		n, err := unix.Lgetxattr(path, name, b)
		switch {
		case err == nil:
			return b[:n], true, nil
		case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP):
			return nil, false, nil
		case !errors.Is(err, unix.ERANGE):
			return nil, false, fmt.Errorf("reading attribute %s: %w", name, err)
		}
		b = make([]byte, 1<<16) // XATTR_SIZE_MAX
	}
}

// listXattr returns the names of a file's attributes.
func listXattr(path string) ([]string, error) {
	b := make([]byte, 1024)
	for {
		n, err := unix.Llistxattr(path, b)
		switch {
		case errors.Is(err, unix.ERANGE) && len(b) < 1<<16:
			b = make([]byte, 1<<16) // XATTR_LIST_MAX
			continue
		case errors.Is(err, unix.ENOTSUP):
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("listing attributes: %w", err)
		}
		var all []string
		for name := range strings.SplitSeq(string(b[:n]), "\x00") {
			if name != "" {
				all = append(all, name)
			}
		}
		return all, nil
	}
}

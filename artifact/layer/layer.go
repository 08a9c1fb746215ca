// Package layer keeps the layers of images unpacked on a disk, ready to be
// stacked by overlayfs (Cache), and makes a layer of what was written above
// them (Diff). It mounts nothing and runs nothing.
//
// Both ends are made by strangers: the archives that a Cache unpacks, and the
// trees that Diff reads and Remove removes. What holds whatever is in them:
//
//   - Nothing is read, written or removed outside of the folder that was given.
//     Every step goes through a descriptor of its directory and follows no link.
//     A link's target is data.
//   - A layer in a Cache is what its diff id says: the digest of the whole tar
//     archive was made while it was unpacked, and was the same. An image whose
//     config claims the diff id of a layer that is there already gets it only if
//     its own bytes were found to be that layer too.
//   - A layer is there as a whole or not at all, also when the process was
//     killed or the power was lost at any point.
//   - What is in use, or is held for a machine, is never evicted.
//
// How a layer lies on the disk is overlayfs's own form: a deleted file is a
// character device 0:0, a directory that hides all below has the extended
// attribute trusted.overlay.opaque, or user.overlay.opaque where the process
// runs as an ordinary user.
//
// A directory that only the paths of entries name is as the layers below have it,
// else it belongs to root and has the mode 0755. A hard link must name a file of its own layer.
//
// https://github.com/opencontainers/image-spec/blob/main/layer.md
// https://docs.kernel.org/filesystems/overlayfs.html
package layer

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// Errors of the package. Any other error is a fault of ours or of the disk.
var (
	// ErrBadLayer: the layer is refused: it is hostile, damaged or not what its
	// digests say. The text names the layer and the entry; an *archive.Refusal
	// is in it if artifact/archive refused.
	ErrBadLayer = errors.New("layer is refused")
	// ErrBadTree: what was written above the layers can't be a layer. The text
	// names the file.
	ErrBadTree = errors.New("tree can't be made a layer")
	// ErrMissing: the Cache has no such layer.
	ErrMissing = errors.New("layer is not in the cache")
	// ErrInUse: another process uses the Cache's folder.
	ErrInUse = errors.New("folder of layers is in use by another process")
)

// IDs is how many users and groups a machine has: 0 to 65535.
const IDs = 1 << 16

// folderName is the name of a layer's folder: 128 bits of its diff id, so that
// the names of as many layers as an overlay may have fit in the page that the
// options of a mount may fill. The record beside it has the whole diff id.
func folderName(diffID string) (string, error) {
	digits, ok := strings.CutPrefix(diffID, "sha256:")
	sum, err := hex.DecodeString(digits)
	if !ok || err != nil || len(sum) != sha256.Size || strings.ToLower(digits) != digits {
		return "", fmt.Errorf("%w: %q is no diff id", ErrBadLayer, diffID)
	}
	return names.EncodeToString(sum[:16]), nil
}

// names has characters that no file system folds.
var names = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// isName says whether a name is one that folderName makes.
func isName(name string) bool {
	sum, err := names.DecodeString(name)
	return err == nil && len(sum) == 16
}

// theirs says whether an error of the file system is due to what a stranger
// asked for, and not to the disk.
func theirs(err error) bool {
	for _, e := range []syscall.Errno{
		syscall.EEXIST, syscall.ENOTDIR, syscall.EISDIR, syscall.ENOENT, syscall.ENAMETOOLONG, syscall.EMLINK,
		syscall.EINVAL, syscall.ELOOP, syscall.EXDEV, syscall.ERANGE, syscall.E2BIG, syscall.EFBIG, syscall.EILSEQ,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

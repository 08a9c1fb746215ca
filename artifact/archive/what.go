package archive

import "bytes"

// headSize is how much of a file's beginning what looks at: the superblock of
// ext4 has its mark at 1080.
const headSize = 2048

// marks are the beginnings of files that people take for root file systems.
var marks = []struct {
	at   int
	mark string
	is   string
}{
	{0, "PK\x03\x04", "a ZIP archive"},
	{0, "PK\x05\x06", "an empty ZIP archive"},
	{0, "7z\xbc\xaf\x27\x1c", "a 7z archive"},
	{0, "Rar!\x1a\x07", "a RAR archive"},
	{0, "070701", "a cpio archive"},
	{0, "070702", "a cpio archive"},
	{0, "070707", "a cpio archive"},
	{0, "!<arch>\n", "an ar archive or a Debian package"},
	{0, "\xed\xab\xee\xdb", "an RPM package"},
	{0, "\x1f\x8b", "compressed by gzip a second time"},
	{0, "\x28\xb5\x2f\xfd", "compressed by zstd a second time"},
	{0, "BZh", "compressed by bzip2 a second time"},
	{0, "\xfd7zXZ\x00", "compressed by xz a second time"},
	{0, "\x04\x22\x4d\x18", "compressed by lz4"},
	{0, "LZIP", "compressed by lzip"},
	{0, "\x5d\x00\x00", "compressed by lzma"},
	{0, "\x1f\x9d", "compressed by compress"},
	{0, "QFI\xfb", "a QCOW2 disk image"},
	{0, "KDMV", "a VMDK disk image"},
	{0, "# Disk DescriptorFile", "a VMDK disk image"},
	{0, "vhdxfile", "a VHDX disk image"},
	{0, "conectix", "a VHD disk image"},
	{0, "hsqs", "a squashfs file system"},
	{0, "\x7fELF", "a program"},
	{0, "{", "JSON"},
	{0, "<", "XML or HTML"},
	{1080, "\x53\xef", "an ext2, ext3 or ext4 file system"},
	{0, "XFSB", "an XFS file system"},
	{510, "\x55\xaa", "a disk image"},
}

// what names a file by how it begins; "" if nobody knows.
func what(head []byte) string {
	for _, m := range marks {
		if len(head) >= m.at && bytes.HasPrefix(head[m.at:], []byte(m.mark)) {
			return m.is
		}
	}
	return ""
}

// Package archivetest has hostile archives, made in code and named after what
// is wrong with them, for the tests of everything that reads archives.
package archivetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"souk/artifact/archive"
)

// Sample is an archive that must be refused.
type Sample struct {
	Name   string         // what is wrong, as the name of a file
	Entry  string         // the entry that the refusal names
	Reason archive.Reason // why it must be refused
	Limits archive.Limits // beside the defaults
	Bytes  []byte         // the archive
}

// Entry is one entry of an archive that Tar makes: Header with a Size that is
// that of Data.
type Entry struct {
	tar.Header
	Data string
}

// File is a regular file.
func File(name, data string) Entry {
	return Entry{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644}, data}
}

// Dir is a directory.
func Dir(name string) Entry {
	return Entry{tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}, ""}
}

// Symlink is a symbolic link.
func Symlink(name, target string) Entry {
	return Entry{tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}, ""}
}

// Link is a hard link.
func Link(name, target string) Entry {
	return Entry{tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target, Mode: 0o644}, ""}
}

func node(name string, typ byte) Entry {
	return Entry{tar.Header{Name: name, Typeflag: typ, Devmajor: 8, Mode: 0o600}, ""}
}

// Tar makes a whole tar archive.
func Tar(entries ...Entry) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		e.Size = int64(len(e.Data))
		err := w.WriteHeader(&e.Header)
		if err == nil {
			_, err = io.WriteString(w, e.Data)
		}
		if err != nil {
			panic(fmt.Sprintf("making the entry %q: %v", e.Name, err)) // a mistake in a table
		}
	}
	err := w.Close()
	if err != nil {
		panic(err)
	}
	return b.Bytes()
}

// Gzip compresses.
func Gzip(b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(b) // a Buffer takes all
	w.Close()
	return z.Bytes()
}

// Zstd compresses.
func Zstd(b []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	defer w.Close()
	return w.EncodeAll(b, nil)
}

// XZ compresses.
func XZ(b []byte) []byte {
	var z bytes.Buffer
	w, err := xz.NewWriter(&z)
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err)
	}
	return z.Bytes()
}

// xzHead begins a stream of xz whose blocks have a CRC32 behind them.
var xzHead = []byte("\xfd7zXZ\x00\x00\x01\x69\x22\xde\x36")

// xzBlock is a block of xz with nothing in it, which wants a dictionary by its
// code and has so many filters more than one.
func xzBlock(dictionary, filters byte) []byte {
	h := []byte{2, filters, 0x21, 1, dictionary, 0, 0, 0}
	h = binary.LittleEndian.AppendUint32(h, crc32.ChecksumIEEE(h))
	return append(h, 0, 0, 0, 0, 0, 0, 0, 0) // the end of the data, its padding, the CRC32 of nothing
}

// raw makes a header block by hand, for what archive/tar does not write.
func raw(name string, typ byte, size, link string) []byte {
	b := make([]byte, 512)
	copy(b, name)
	copy(b[100:], "0000644\x000000000\x000000000\x00")
	copy(b[124:136], fmt.Sprintf("%11s\x00", size))
	copy(b[136:], "00000000000\x00        ")
	b[156] = typ
	copy(b[157:], link)
	copy(b[257:], "ustar\x0000")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

var end = make([]byte, 1024)

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// pax is an extended header with one record for the entry that follows.
func pax(record string) []byte {
	n := len(record) + 3
	for len(fmt.Sprint(n))+1+len(record)+1 != n {
		n++
	}
	body := fmt.Sprintf("%d %s\n", n, record)
	return join(raw("PaxHeaders/x", 'x', fmt.Sprintf("%011o", len(body)), ""), []byte(body), make([]byte, (512-len(body)%512)%512))
}

// Good is an archive that must be read, with what root file systems have.
func Good() []byte {
	return Tar(Dir("./"), Dir("./etc/"), File("./etc/os-release", "ID=debian\n"),
		Symlink("./etc/mtab", "../proc/self/mounts"), Symlink("./bin", "usr/bin"), Dir("./usr/bin/"),
		File("./usr/bin/perl", "perl"), Link("./usr/bin/perl5", "./usr/bin/perl"), Symlink("./usr/bin/awk", "/etc/alternatives/awk"),
		Dir("./etc/"))
}

// Samples returns all hostile archives. They are small; those that would be
// large come with small limits.
func Samples() []Sample {
	whole := Tar(File("etc/passwd", strings.Repeat("x", 2000)))
	zeros := make([]byte, 4<<20)
	small := archive.Limits{Grace: 1 << 16, Ratio: 20}
	flip := func(b []byte, at int) []byte {
		b = bytes.Clone(b)
		b[at] ^= 0x40
		return b
	}
	return []Sample{
		{Name: "absolute-path", Entry: "/etc/passwd", Reason: archive.AbsolutePath, Bytes: Tar(File("ok", ""), File("/etc/passwd", "x"))},
		{Name: "absolute-path-of-two-slashes", Entry: "//etc/passwd", Reason: archive.AbsolutePath, Bytes: Tar(File("//etc/passwd", "x"))},
		{Name: "absolute-directory", Entry: "/", Reason: archive.AbsolutePath, Bytes: Tar(Dir("/"))},
		{Name: "parent-path", Entry: "../escaped", Reason: archive.ParentPath, Bytes: Tar(File("../escaped", "x"))},
		{Name: "parent-path-in-the-middle", Entry: "a/../../escaped", Reason: archive.ParentPath, Bytes: Tar(File("a/../../escaped", "x"))},
		{Name: "parent-path-that-stays-inside", Entry: "a/../b", Reason: archive.ParentPath, Bytes: Tar(File("a/../b", "x"))},
		{Name: "parent-path-at-the-end", Entry: "a/..", Reason: archive.ParentPath, Bytes: Tar(File("a/..", "x"))},
		{Name: "parent-path-behind-a-dot", Entry: "./../escaped", Reason: archive.ParentPath, Bytes: Tar(File("./../escaped", "x"))},
		{Name: "parent-path-in-an-extended-header", Entry: "../escaped", Reason: archive.ParentPath, Bytes: join(pax("path=../escaped"), raw("good", '0', "0", ""), end)},
		{Name: "parent-path-of-a-directory", Entry: "../", Reason: archive.ParentPath, Bytes: Tar(Dir("../"))},
		{Name: "empty-name", Entry: "", Reason: archive.BadName, Bytes: join(raw("", '0', "0", ""), end)},
		{Name: "nul-in-name", Entry: "ok", Reason: archive.Damaged, Bytes: join(raw("ok", '0', "0", ""), pax("path=etc/passwd\x00.txt"), raw("good", '0', "0", ""), end)},
		{Name: "nul-in-link-target", Entry: "ok", Reason: archive.Damaged, Bytes: join(raw("ok", '0', "0", ""), pax("linkpath=a\x00b"), raw("l", '2', "0", "a"), end)},
		{Name: "name-too-long", Entry: strings.Repeat("d/", 2100) + "f", Reason: archive.LongName, Bytes: Tar(File(strings.Repeat("d/", 2100)+"f", ""))},
		{Name: "component-too-long", Entry: "a/" + strings.Repeat("n", 256), Reason: archive.LongName, Bytes: Tar(File("a/"+strings.Repeat("n", 256), ""))},
		{Name: "link-target-too-long", Entry: "l", Reason: archive.LongName, Bytes: Tar(Symlink("l", "/"+strings.Repeat("t/", 2100)))},
		{Name: "symlink-leaves-the-tree", Entry: "l", Reason: archive.LinkLeaves, Bytes: Tar(Symlink("l", "../outside"))},
		{Name: "symlink-leaves-the-tree-from-below", Entry: "a/b/l", Reason: archive.LinkLeaves, Bytes: Tar(Symlink("a/b/l", "../../../outside"))},
		{Name: "symlink-leaves-the-tree-and-comes-back", Entry: "l", Reason: archive.LinkLeaves, Bytes: Tar(Symlink("l", "a/../../b"))},
		{Name: "symlink-to-nothing", Entry: "l", Reason: archive.BadName, Bytes: join(raw("l", '2', "0", ""), end)},
		{Name: "symlink-in-the-place-of-the-root", Entry: "./", Reason: archive.BadName, Bytes: Tar(Symlink("./", "/etc"))},
		{Name: "hard-link-leaves-the-tree", Entry: "h", Reason: archive.LinkLeaves, Bytes: Tar(Link("h", "../../etc/shadow"))},
		{Name: "hard-link-to-an-absolute-path", Entry: "h", Reason: archive.LinkLeaves, Bytes: Tar(Link("h", "/etc/shadow"))},
		{Name: "hard-link-to-itself", Entry: "h", Reason: archive.LinkToItself, Bytes: Tar(Link("h", "./h"))},
		{Name: "hard-link-to-the-root", Entry: "h", Reason: archive.BadName, Bytes: Tar(Link("h", "./"))},
		{Name: "file-below-a-symlink", Entry: "etc/passwd", Reason: archive.BelowLink, Bytes: Tar(Symlink("etc", "/etc"), File("etc/passwd", "x"))},
		{Name: "file-below-a-symlink-deeper", Entry: "a/etc/cron.d/x", Reason: archive.BelowLink, Bytes: Tar(Symlink("a/etc", "/etc"), File("a/etc/cron.d/x", "x"))},
		{Name: "file-below-a-file", Entry: "f/g", Reason: archive.BelowLink, Bytes: Tar(File("f", "x"), File("f/g", "x"))},
		{Name: "file-that-becomes-a-symlink", Entry: "./f", Reason: archive.Twice, Bytes: Tar(File("f", "x"), Symlink("./f", "/etc/passwd"))},
		{Name: "directory-that-becomes-a-symlink", Entry: "d", Reason: archive.Twice, Bytes: Tar(Dir("d"), Symlink("d", "/etc"))},
		{Name: "directory-without-entry-that-becomes-a-symlink", Entry: "d", Reason: archive.Twice, Bytes: Tar(File("d/f", ""), Symlink("d", "/etc"))},
		{Name: "symlink-that-becomes-a-directory", Entry: "d", Reason: archive.Twice, Bytes: Tar(Symlink("d", "/etc"), Dir("d"))},
		{Name: "file-twice", Entry: "a//f", Reason: archive.Twice, Bytes: Tar(File("a/f", "x"), File("a//f", "y"))},
		{Name: "block-device", Entry: "dev/sda", Reason: archive.Device, Bytes: Tar(node("dev/sda", tar.TypeBlock))},
		{Name: "character-device", Entry: "dev/mem", Reason: archive.Device, Bytes: Tar(node("dev/mem", tar.TypeChar))},
		{Name: "named-pipe", Entry: "run/initctl", Reason: archive.Fifo, Bytes: Tar(node("run/initctl", tar.TypeFifo))},
		{Name: "unknown-type", Entry: "v", Reason: archive.UnknownType, Bytes: join(raw("v", 'V', "0", ""), end)},
		{Name: "whiteout-of-nothing", Entry: "a/.wh.", Reason: archive.BadWhiteout, Bytes: Tar(File("a/.wh.", ""))},
		{Name: "whiteout-of-the-directory", Entry: "a/.wh..", Reason: archive.BadWhiteout, Bytes: Tar(File("a/.wh..", ""))},
		{Name: "whiteout-of-the-parent", Entry: "a/.wh...", Reason: archive.BadWhiteout, Bytes: Tar(File("a/.wh...", ""))},
		{Name: "too-many-entries", Entry: "c", Reason: archive.TooManyFiles, Limits: archive.Limits{Entries: 2}, Bytes: Tar(File("a", ""), File("b", ""), File("c", ""))},
		{Name: "too-many-directories-in-names", Entry: "e/f/g/h", Reason: archive.TooManyFiles, Limits: archive.Limits{Entries: 4}, Bytes: Tar(File("a/b/c/d", ""), File("e/f/g/h", ""))},
		{Name: "file-too-large", Entry: "f", Reason: archive.TooLarge, Limits: archive.Limits{File: 1000}, Bytes: Tar(File("f", strings.Repeat("x", 1001)))},
		{Name: "archive-too-large", Entry: "g", Reason: archive.TooLarge, Limits: archive.Limits{Bytes: 4096}, Bytes: Tar(File("f", strings.Repeat("x", 2000)), File("g", strings.Repeat("x", 2000)))},
		{Name: "size-beyond-all-disks", Entry: "f", Reason: archive.TooLarge, Limits: archive.Limits{File: 1 << 30}, Bytes: join(raw("f", '0', "77777777777", ""), end)},
		{Name: "size-beyond-all-disks-in-an-extended-header", Entry: "f", Reason: archive.TooLarge, Bytes: join(pax("size=9223372036854775807"), raw("f", '0', "0", ""), end)},
		{Name: "negative-size", Entry: "", Reason: archive.Damaged, Bytes: join(pax("size=-1"), raw("f", '0', "0", ""), end)},
		{Name: "decompression-bomb-gzip", Entry: "zeros", Reason: archive.Bomb, Limits: small, Bytes: Gzip(Tar(File("zeros", string(zeros))))},
		{Name: "decompression-bomb-zstd", Entry: "zeros", Reason: archive.Bomb, Limits: small, Bytes: Zstd(Tar(File("zeros", string(zeros))))},
		{Name: "decompression-bomb-behind-the-end", Entry: "f", Reason: archive.Bomb, Limits: small, Bytes: Gzip(join(Tar(File("f", "x")), zeros))},
		{Name: "cut-off-in-a-file", Entry: "etc/passwd", Reason: archive.Truncated, Bytes: whole[:1500]},
		{Name: "cut-off-in-a-header", Entry: "etc/passwd", Reason: archive.Truncated, Bytes: join(whole[:2560], raw("next", '0', "0", "")[:200])},
		{Name: "cut-off-before-the-end", Entry: "etc/passwd", Reason: archive.Truncated, Bytes: whole[:2560]},
		{Name: "cut-off-in-gzip", Entry: "etc/passwd", Reason: archive.Truncated, Bytes: Gzip(whole)[:len(Gzip(whole))-6]},
		{Name: "cut-off-in-zstd", Entry: "", Reason: archive.Truncated, Bytes: Zstd(whole)[:20]},
		{Name: "empty", Entry: "", Reason: archive.Truncated, Bytes: nil},
		{Name: "wrong-checksum-of-a-header", Entry: "", Reason: archive.Damaged, Bytes: flip(whole, 3)},
		{Name: "wrong-checksum-of-gzip", Entry: "etc/passwd", Reason: archive.Damaged, Bytes: flip(Gzip(whole), len(Gzip(whole))-6)},
		{Name: "no-archive-at-all", Entry: "", Reason: archive.NoArchive, Bytes: bytes.Repeat([]byte("<html>not found</html>\n"), 100)},
		{Name: "gzip-in-gzip", Entry: "", Reason: archive.NoArchive, Bytes: Gzip(join([]byte{0x1f, 0x8b, 8, 0}, bytes.Repeat([]byte("noise"), 400)))},
		{Name: "second-archive-behind-the-end", Entry: "etc/passwd", Reason: archive.TrailingData, Bytes: join(whole, whole)},
		{Name: "zip-instead-of-tar", Entry: "", Reason: archive.NoArchive, Bytes: []byte("PK\x05\x06" + strings.Repeat("\x00", 18))},
		{Name: "zip-in-gzip", Entry: "", Reason: archive.NoArchive, Bytes: Gzip([]byte("PK\x03\x04" + strings.Repeat("noise", 400)))},
		{Name: "disk-image-instead-of-tar", Entry: "", Reason: archive.NoArchive, Bytes: join(make([]byte, 510), []byte("\x55\xaa"), end)},
		{Name: "file-system-instead-of-tar", Entry: "", Reason: archive.NoArchive, Bytes: join(make([]byte, 1080), []byte("\x53\xef"), end, bytes.Repeat([]byte("x"), 1024))},
		{Name: "cpio-instead-of-tar", Entry: "", Reason: archive.NoArchive, Bytes: []byte(strings.Repeat("070701", 200))},
		{Name: "noise-instead-of-tar", Entry: "", Reason: archive.NoArchive, Bytes: bytes.Repeat([]byte("noise"), 400)},
		{Name: "decompression-bomb-xz", Entry: "zeros", Reason: archive.Bomb, Limits: small, Bytes: XZ(Tar(File("zeros", string(zeros))))},
		{Name: "decompression-bomb-of-two-xz-streams", Entry: "zeros", Reason: archive.Bomb, Limits: small, Bytes: join(XZ(Tar(File("f", "x"))[:1024]), XZ(Tar(File("zeros", string(zeros)))))},
		{Name: "xz-with-a-dictionary-of-4-gib", Entry: "", Reason: archive.TooLarge, Bytes: join(xzHead, xzBlock(40, 0))},
		{Name: "xz-with-a-dictionary-of-96-mib", Entry: "", Reason: archive.TooLarge, Bytes: join(xzHead, xzBlock(29, 0))},
		{Name: "xz-with-a-dictionary-for-every-empty-block", Entry: "", Reason: archive.Bomb, Bytes: join(xzHead, bytes.Repeat(xzBlock(28, 0), 5))},
		{Name: "xz-with-a-dictionary-that-no-xz-has", Entry: "", Reason: archive.Damaged, Bytes: join(xzHead, xzBlock(41, 0))},
		{Name: "xz-with-two-filters", Entry: "", Reason: archive.Compression, Bytes: join(xzHead, xzBlock(0, 1))},
		{Name: "xz-with-reserved-stream-flags", Entry: "", Reason: archive.Compression, Bytes: []byte("\xfd7zXZ\x00\x00\x0f\x6e\x0f\x66\xd1")},
		{Name: "xz-of-a-header-alone", Entry: "", Reason: archive.Truncated, Bytes: xzHead},
		{Name: "cut-off-in-xz", Entry: "etc/passwd", Reason: archive.Truncated, Bytes: XZ(whole)[:len(XZ(whole))-20]},
		{Name: "cut-off-in-the-magic-of-a-second-xz-stream", Entry: "etc/passwd", Reason: archive.Truncated, Bytes: join(XZ(whole), xzHead[:6])},
		{Name: "wrong-checksum-of-xz", Entry: "etc/passwd", Reason: archive.Damaged, Bytes: flip(XZ(whole), len(XZ(whole))-34)},
		{Name: "wrong-index-of-xz", Entry: "etc/passwd", Reason: archive.Damaged, Bytes: flip(XZ(whole), len(XZ(whole))-22)},
		{Name: "wrong-footer-of-xz", Entry: "etc/passwd", Reason: archive.Damaged, Bytes: flip(XZ(whole), len(XZ(whole))-6)},
		{Name: "data-behind-xz", Entry: "etc/passwd", Reason: archive.TrailingData, Bytes: join(XZ(whole), []byte("noise"))},
	}
}

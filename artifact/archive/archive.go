// Package archive reads tar archives that strangers made: entry by entry, plain
// or compressed, within limits, and refuses what no honest archive of a root
// file system or an image has. It writes nothing and unpacks nothing.
//
// A link's target is data: the reader never follows it. Root file systems are
// full of absolute symbolic links, so those pass; what refuses is a target that
// leaves the tree by "..", and an entry that lies below a link.
package archive

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Limits bounds what an archive may ask of its reader. A field that is 0 means
// the default beside it.
type Limits struct {
	Entries int     // how many entries, and directories that only their paths name; DefaultEntries
	Bytes   int64   // bytes of the whole archive after decompression; DefaultBytes
	File    int64   // bytes of one file; DefaultFile
	Name    int     // bytes of a name or of a link's target; DefaultName
	Ratio   float64 // bytes after decompression for each before it; DefaultRatio
	Grace   int64   // bytes after decompression before Ratio counts; DefaultGrace
}

// Limits that hold where Limits says nothing. They leave room for every image
// that a machine starts from.
const (
	DefaultEntries = 2_000_000
	DefaultBytes   = 64 << 30
	DefaultFile    = 32 << 30
	DefaultName    = 4096 // PATH_MAX
	DefaultRatio   = 200  // root file systems come to 2 to 5
	// DefaultGrace: databases and swap files are born as zeros, which gzip makes a
	// thousandth of.
	DefaultGrace = 1 << 30
)

const (
	maxComponent = 255       // NAME_MAX
	maxWindow    = 128 << 20 // bytes that a zstd frame may make the decoder keep
)

func (l Limits) orDefaults() Limits {
	if l.Entries == 0 {
		l.Entries = DefaultEntries
	}
	if l.Bytes == 0 {
		l.Bytes = DefaultBytes
	}
	if l.File == 0 {
		l.File = DefaultFile
	}
	if l.Name == 0 {
		l.Name = DefaultName
	}
	if l.Ratio == 0 {
		l.Ratio = DefaultRatio
	}
	if l.Grace == 0 {
		l.Grace = DefaultGrace
	}
	return l
}

// Reason says what is wrong with an archive, in words for a message.
type Reason string

// The reasons for which a Reader refuses.
const (
	AbsolutePath Reason = "absolute path"
	ParentPath   Reason = "path with .."
	BadName      Reason = "name that no file can have"
	LongName     Reason = "name is too long"
	LinkLeaves   Reason = "link leaves the tree"
	LinkToItself Reason = "link to itself"
	BelowLink    Reason = "entry below something that is no directory"
	Twice        Reason = "entry stands twice"
	BadWhiteout  Reason = "whiteout that names no file"
	Device       Reason = "device node"
	Fifo         Reason = "named pipe"
	UnknownType  Reason = "entry of an unknown type"
	TooManyFiles Reason = "too many entries"
	TooLarge     Reason = "too much data"
	Bomb         Reason = "decompression bomb"
	Truncated    Reason = "archive is cut off"
	Damaged      Reason = "archive is damaged"
	NoArchive    Reason = "it is no tar archive"
	TrailingData Reason = "data after the end of the archive"
	Compression  Reason = "compression that is not supported"
)

// Refusal is the error for an archive that is not read any further.
type Refusal struct {
	// Entry is the entry's name as the archive has it. Where it can't be known,
	// After is set and Entry is the last one that could be read, "" for none.
	Entry  string
	After  bool
	Reason Reason
	Detail string // more about it, such as the limit; may be ""
	Err    error  // what a decoder said; may be nil
}

func (r *Refusal) Error() string {
	var b strings.Builder
	switch {
	case r.After && r.Entry == "":
		b.WriteString("archive: before the first entry: ")
	case r.After:
		fmt.Fprintf(&b, "archive: after entry %q: ", r.Entry)
	default:
		fmt.Fprintf(&b, "archive entry %q: ", r.Entry)
	}
	b.WriteString(string(r.Reason))
	if r.Detail != "" {
		b.WriteString(": " + r.Detail)
	}
	if r.Err != nil {
		b.WriteString(": " + r.Err.Error())
	}
	return b.String()
}

// Unwrap returns what a decoder said.
func (r *Refusal) Unwrap() error { return r.Err }

// Reader reads one archive. It is for one goroutine.
type Reader struct {
	limits  Limits
	source  *source
	stream  *stream
	tar     *tar.Reader
	close   func()
	seed    maphash.Seed
	kinds   map[uint64]kind // by the hash of the clean name
	entries int
	implied int    // directories without an entry
	last    string // name of the entry that is being read
	err     error  // what every further call returns
}

// kind is what an entry was, as far as later entries ask.
type kind uint8

const (
	implied   kind = iota + 1 // a directory that has had no entry of its own yet
	directory                 // a directory with its entry
	leaf                      // all else: nothing lies below it
)

// New begins to read an archive: a tar archive as it is, or compressed by gzip,
// zstd, bzip2 or xz, told by its first bytes. The error is a *Refusal if its
// compression can't be read, else that of r.
func New(r io.Reader, limits Limits) (*Reader, error) {
	a := &Reader{limits: limits.orDefaults(), seed: maphash.MakeSeed(), kinds: map[uint64]kind{}, close: func() {}}
	a.source = &source{r: r}
	in := bufio.NewReaderSize(a.source, 64<<10)
	magic, err := in.Peek(6)
	if err != nil && err != io.EOF {
		return nil, a.refuse(err)
	}
	plain := io.Reader(in)
	compressed := true
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		plain, err = gzip.NewReader(in)
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}), len(magic) > 3 && magic[0]&0xf0 == 0x50 && bytes.Equal(magic[1:4], []byte{0x2a, 0x4d, 0x18}):
		var z *zstd.Decoder
		z, err = zstd.NewReader(in, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(uint64(a.limits.Bytes)), zstd.WithDecoderConcurrency(1))
		if err == nil {
			plain, a.close = z, z.Close
		}
	case bytes.HasPrefix(magic, []byte("BZh")):
		plain, err = bzip2.NewReader(in), nil
	case bytes.HasPrefix(magic, xzMagic):
		plain, err = newXZ(in), nil
	default:
		compressed, err = false, nil
	}
	if err != nil {
		return nil, a.refuse(err)
	}
	a.stream = &stream{r: plain, limits: a.limits, source: a.source, compressed: compressed}
	a.tar = tar.NewReader(a.stream)
	return a, nil
}

// Tee makes the reader write all that it reads, as it is after decompression,
// to w too, so that a digest can be made of it. It must be called before Next.
// Only after Next returned io.EOF has w seen the whole archive.
func (a *Reader) Tee(w io.Writer) { a.stream.tee = w }

// Progress is how many bytes were read so far, before and after decompression.
func (a *Reader) Progress() (compressed, plain int64) { return a.source.n, a.stream.n }

// Close gives back what a decoder holds. It does not close the reader below.
func (a *Reader) Close() error {
	a.close()
	return nil
}

// Next goes to the next entry. Its Name is clean: relative, without "./" in
// front and a slash at the end, "." for the root itself; so is the Linkname of
// a hard link. That of a symbolic link is what the archive says. At the end,
// when everything up to the last byte was read and found to be in order, the
// error is io.EOF; a *Refusal says what is wrong with the archive; any other
// error is that of the reader below.
func (a *Reader) Next() (*tar.Header, error) {
	if a.err != nil {
		return nil, a.err
	}
	h, err := a.next()
	if err != nil {
		a.err = err
		return nil, err
	}
	return h, nil
}

func (a *Reader) next() (*tar.Header, error) {
	for {
		h, err := a.tar.Next()
		if err == io.EOF {
			err = a.end()
		} else if err != nil {
			err = a.refuse(err)
		}
		if err != nil {
			return nil, a.otherwise(err)
		}
		a.entries++
		a.last = h.Name
		if a.entries > a.limits.Entries {
			return nil, &Refusal{Entry: h.Name, Reason: TooManyFiles, Detail: fmt.Sprintf("at most %d", a.limits.Entries)}
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue // records such as git's commit id; it names no file
		}
		r := a.check(h)
		if r != nil {
			return nil, r
		}
		return h, nil
	}
}

// check looks at an entry, makes its name clean and notes it.
func (a *Reader) check(h *tar.Header) error {
	named := h.Name
	refuse := func(reason Reason, detail string) error {
		return &Refusal{Entry: named, Reason: reason, Detail: detail}
	}
	name, reason := a.clean(h.Name)
	if reason != "" {
		return refuse(reason, "")
	}
	h.Name = name
	is := leaf
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		if h.Size > a.limits.File {
			return refuse(TooLarge, fmt.Sprintf("the file has %d bytes, at most %d", h.Size, a.limits.File))
		}
		if h.Size > a.limits.Bytes-a.stream.n {
			return refuse(TooLarge, fmt.Sprintf("the archive has more than %d bytes", a.limits.Bytes))
		}
	case tar.TypeDir:
		is = directory
	case tar.TypeLink:
		target, reason := a.clean(h.Linkname)
		switch {
		case reason == AbsolutePath, reason == ParentPath:
			return refuse(LinkLeaves, fmt.Sprintf("hard link to %q", h.Linkname))
		case reason != "":
			return refuse(reason, "target of a hard link")
		case target == ".":
			return refuse(BadName, "hard link to the root")
		case target == name:
			return refuse(LinkToItself, "")
		}
		h.Linkname = target
	case tar.TypeSymlink:
		switch {
		case h.Linkname == "" || strings.IndexByte(h.Linkname, 0) >= 0:
			return refuse(BadName, "target of a symbolic link")
		case len(h.Linkname) > a.limits.Name:
			return refuse(LongName, "target of a symbolic link")
		case Leaves(name, h.Linkname):
			return refuse(LinkLeaves, fmt.Sprintf("symbolic link to %q", h.Linkname))
		}
	case tar.TypeChar, tar.TypeBlock:
		return refuse(Device, "")
	case tar.TypeFifo:
		return refuse(Fifo, "")
	default:
		return refuse(UnknownType, fmt.Sprintf("%q", h.Typeflag))
	}
	if name == "." && is != directory {
		return refuse(BadName, "the root is a directory")
	}
	if wh, ok := strings.CutPrefix(path.Base(name), ".wh."); ok && (wh == "" || wh == "." || wh == "..") {
		return refuse(BadWhiteout, "")
	}
	return a.note(named, name, is)
}

// note remembers an entry and refuses one that does not go with those before it.
func (a *Reader) note(named, name string, is kind) error {
	for i := range len(name) {
		if name[i] != '/' {
			continue
		}
		above := a.hash(name[:i])
		switch a.kinds[above] {
		case leaf:
			return &Refusal{Entry: named, Reason: BelowLink, Detail: fmt.Sprintf("%q", name[:i])}
		case 0:
			// A name may have two thousand directories: they count as entries do,
			// or a small archive would ask for any amount of memory.
			a.implied++
			if a.implied > a.limits.Entries {
				return &Refusal{Entry: named, Reason: TooManyFiles, Detail: fmt.Sprintf("at most %d directories without an entry", a.limits.Entries)}
			}
			a.kinds[above] = implied
		}
	}
	h := a.hash(name)
	was := a.kinds[h]
	// Directories may be named again: tools that append to an archive do so.
	if was == leaf || was != 0 && is == leaf {
		return &Refusal{Entry: named, Reason: Twice}
	}
	a.kinds[h] = is
	return nil
}

func (a *Reader) hash(name string) uint64 { return maphash.String(a.seed, name) }

// clean returns an entry's name without what says nothing, or why it is refused.
func (a *Reader) clean(name string) (string, Reason) {
	switch {
	case name == "" || strings.IndexByte(name, 0) >= 0:
		return "", BadName
	case len(name) > a.limits.Name:
		return "", LongName
	case name[0] == '/':
		return "", AbsolutePath
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", ParentPath
		}
		if len(part) > maxComponent {
			return "", LongName
		}
	}
	return path.Clean(name), ""
}

// Leaves says whether a symbolic link at a clean name, read as letters alone,
// leads out of the tree by "..". An absolute target does not: it is absolute in
// the root file system that it is part of.
func Leaves(name, target string) bool {
	if strings.HasPrefix(target, "/") {
		return false
	}
	depth := strings.Count(name, "/")
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			depth--
			if depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}

// Read reads the entry's data. Errors are those of Next; io.EOF is the end of the entry.
func (a *Reader) Read(p []byte) (int, error) {
	if a.err != nil {
		return 0, a.err
	}
	n, err := a.tar.Read(p)
	if err != nil && err != io.EOF {
		err = a.refuse(err)
		a.err = err
	}
	return n, err
}

// end reads what follows the last entry: an archive ends in two blocks of
// zeros and has nothing behind them. A decoder's checksum stands there too.
func (a *Reader) end() error {
	if !a.stream.zeros() {
		return &Refusal{Entry: a.last, After: true, Reason: Truncated, Detail: "no end mark"}
	}
	b := make([]byte, 32<<10)
	for {
		n, err := a.stream.Read(b)
		if len(bytes.Trim(b[:n], "\x00")) > 0 {
			return &Refusal{Entry: a.last, After: true, Reason: TrailingData}
		}
		if err == io.EOF {
			return io.EOF
		}
		if err != nil {
			return a.refuse(err)
		}
	}
}

// refuse says what an error of the layers below means.
func (a *Reader) refuse(err error) error {
	var over *Refusal
	switch {
	case errors.As(err, &over):
		return &Refusal{Entry: a.last, After: a.last == "", Reason: over.Reason, Detail: over.Detail}
	case a.source.err != nil && errors.Is(err, a.source.err):
		return fmt.Errorf("reading the archive after entry %q: %w", a.last, a.source.err)
	case a.stream != nil && a.stream.err != nil:
		return a.stream.err
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return &Refusal{Entry: a.last, After: true, Reason: TooLarge, Err: err}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &Refusal{Entry: a.last, After: true, Reason: Truncated}
	}
	return &Refusal{Entry: a.last, After: true, Reason: Damaged, Err: err}
}

// otherwise names what a file is that has no entry at all and is refused for how
// it begins: a tar archive it never was.
func (a *Reader) otherwise(err error) error {
	var r *Refusal
	if a.entries > 0 || !errors.As(err, &r) {
		return err
	}
	switch r.Reason {
	case Damaged, Truncated, TrailingData:
	default:
		return err
	}
	head := a.stream.head
	whole := len(head) >= block
	if whole && bytes.HasPrefix(head[257:], []byte("ustar")) {
		return err
	}
	is := what(head)
	switch {
	case is == "" && whole && errors.Is(r.Err, tar.ErrHeader):
		is = "a file of another kind"
	case is == "":
		return err
	}
	inside := ""
	if a.stream.compressed {
		inside = " (after decompression)"
	}
	return &Refusal{After: true, Reason: NoArchive, Detail: "it is " + is + inside + "; what is read is tar, plain or compressed by gzip, zstd, bzip2 or xz"}
}

// source counts what is read of the archive as it came.
type source struct {
	r   io.Reader
	n   int64
	err error // of r, other than io.EOF
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n += int64(n)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		s.err = err
	}
	return n, err
}

// stream is the archive after decompression; it holds the limits of bytes.
type stream struct {
	r          io.Reader
	limits     Limits
	source     *source
	compressed bool
	tee        io.Writer
	n          int64
	head       []byte // the first bytes that were read, headSize at most
	tail       []byte // the last bytes that were read, a block at most
	err        error  // of tee
}

// block is the unit of a tar archive.
const block = 512

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n += int64(n)
	switch {
	case s.n > s.limits.Bytes:
		return 0, &Refusal{Reason: TooLarge, Detail: fmt.Sprintf("the archive has more than %d bytes", s.limits.Bytes)}
	case s.compressed && s.n > s.limits.Grace && float64(s.n) > s.limits.Ratio*float64(s.source.n):
		return 0, &Refusal{Reason: Bomb, Detail: fmt.Sprintf("%d bytes came out of %d", s.n, s.source.n)}
	}
	s.head = append(s.head, p[:min(n, headSize-len(s.head))]...)
	if n >= block {
		s.tail = append(s.tail[:0], p[n-block:n]...)
	} else if n > 0 {
		s.tail = append(s.tail, p[:n]...)
		s.tail = s.tail[max(0, len(s.tail)-block):]
	}
	if s.tee != nil && n > 0 {
		_, wrong := s.tee.Write(p[:n])
		if wrong != nil {
			s.err = fmt.Errorf("passing the archive on: %w", wrong)
			return 0, s.err
		}
	}
	return n, err
}

// zeros says whether the last block that was read has nothing but zeros.
func (s *stream) zeros() bool {
	return len(s.tail) == block && len(bytes.Trim(s.tail, "\x00")) == 0
}

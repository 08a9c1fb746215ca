package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// xz reads the .xz file format: streams of blocks with an index behind them.
// The library decodes what is in a block. The frame is read here, since the
// library's own reader takes whatever dictionary a block asks for, up to 4 GiB,
// and takes it anew for every block: 30 bytes each.
//
// "The .xz File Format", version 1.2.1.
type xz struct {
	in    counting
	plain int64 // bytes that came out
	kept  int64 // bytes of all dictionaries so far

	check   byte // of the stream, one of xzChecks
	open    bool // a stream is being read
	index   hash.Hash
	blocks  uint64
	block   io.Reader // of the block that is being read, nil between blocks
	start   int64     // where its header began
	header  int64     // bytes of its header
	data    int64     // where its data began
	out     int64     // bytes that came out of it
	sum     hash.Hash
	packed  int64 // as its header says, -1 if it doesn't
	unpack  int64 // the same after decompression
	streams int
}

const (
	// maxDictionary is what "xz -9" asks for.
	maxDictionary = 64 << 20
	// Dictionaries together may have so many times what came out, from the
	// grace on: "xz -T0" begins a block for three dictionaries of data.
	dictionaryRatio = 4
	dictionaryGrace = 256 << 20
)

var xzMagic = []byte{0xfd, '7', 'z', 'X', 'Z', 0}

// xzChecks are the sizes of the checks behind blocks, by their id.
var xzChecks = map[byte]int64{0: 0, 1: 4, 4: 8, 10: 32}

func newXZ(r io.Reader) *xz { return &xz{in: counting{r: r}} }

// counting counts what was read.
type counting struct {
	r io.Reader
	n int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// ReadByte reads a byte.
func (c *counting) ReadByte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(c, b[:])
	return b[0], err
}

func (x *xz) Read(p []byte) (int, error) {
	for len(p) > 0 {
		switch {
		case !x.open:
			err := x.begin()
			if err != nil {
				return 0, err // io.EOF behind the last stream
			}
		case x.block == nil:
			err := x.next()
			if err != nil {
				return 0, unexpected(err)
			}
		default:
			n, err := x.block.Read(p)
			x.out += int64(n)
			x.plain += int64(n)
			x.sum.Write(p[:n])
			if err == io.EOF {
				err = x.finish()
				if err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
			}
			if n > 0 || err != nil {
				return n, err
			}
		}
	}
	return 0, nil
}

// unexpected is the end of the file where there is more to come.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// begin reads the header of a stream, over the padding before it. io.EOF is the
// end of the file.
func (x *xz) begin() error {
	var h [12]byte
	for {
		_, err := io.ReadFull(&x.in, h[:4])
		if err == io.EOF && x.streams > 0 {
			return io.EOF
		}
		if err != nil {
			return unexpected(err)
		}
		if x.streams == 0 || [4]byte(h[:4]) != [4]byte{} {
			break
		}
	}
	if !bytes.Equal(h[:4], xzMagic[:4]) {
		return &Refusal{Reason: TrailingData, Detail: "after xz"}
	}
	_, err := io.ReadFull(&x.in, h[4:])
	if err != nil {
		return unexpected(err)
	}
	if !bytes.Equal(h[:6], xzMagic) || crc32.ChecksumIEEE(h[6:8]) != binary.LittleEndian.Uint32(h[8:]) {
		return errors.New("xz: the header of the stream is damaged")
	}
	if _, ok := xzChecks[h[7]]; !ok || h[6] != 0 {
		return &Refusal{Reason: Compression, Detail: fmt.Sprintf("xz with the stream flags %x", h[6:8])}
	}
	x.check, x.open, x.blocks, x.index = h[7], true, 0, sha256.New()
	x.streams++
	return nil
}

// next begins a block, or ends the stream.
func (x *xz) next() error {
	x.start = x.in.n
	size, err := x.in.ReadByte()
	if err != nil {
		return err
	}
	if size == 0 {
		x.open = false
		return x.end()
	}
	x.header = (int64(size) + 1) * 4
	h := make([]byte, x.header)
	h[0] = size
	_, err = io.ReadFull(&x.in, h[1:])
	if err != nil {
		return err
	}
	body := len(h) - 4
	if crc32.ChecksumIEEE(h[:body]) != binary.LittleEndian.Uint32(h[body:]) {
		return errors.New("xz: the header of a block is damaged")
	}
	dictionary, err := x.blockHeader(h[1:body])
	if err != nil {
		return err
	}
	if dictionary > maxDictionary {
		return &Refusal{Reason: TooLarge, Detail: fmt.Sprintf("xz wants a dictionary of %d bytes, at most %d", dictionary, maxDictionary)}
	}
	if x.unpack >= 0 {
		dictionary = min(dictionary, x.unpack) // nothing lies further back
	}
	dictionary = max(dictionary, lzma.MinDictCap)
	x.kept += dictionary
	if x.kept > dictionaryGrace && x.kept > dictionaryRatio*x.plain {
		return &Refusal{Reason: Bomb, Detail: fmt.Sprintf("dictionaries of %d bytes for %d bytes that came out", x.kept, x.plain)}
	}
	x.data, x.out = x.in.n, 0
	switch x.check {
	case 1:
		x.sum = crc32.NewIEEE()
	case 4:
		x.sum = crc64.New(crc64.MakeTable(crc64.ECMA))
	case 10:
		x.sum = sha256.New()
	default:
		x.sum = crc32.NewIEEE() // of which nothing is compared
	}
	x.block, err = lzma.Reader2Config{DictCap: int(dictionary)}.NewReader2(&x.in)
	return err
}

// blockHeader reads what a header says between its size and its checksum.
func (x *xz) blockHeader(h []byte) (dictionary int64, err error) {
	flags := h[0]
	if flags&0x3f != 0 {
		return 0, &Refusal{Reason: Compression, Detail: "xz with more than one filter"}
	}
	r := bytes.NewReader(h[1:])
	x.packed, x.unpack = -1, -1
	for _, f := range []struct {
		given bool
		to    *int64
	}{{flags&0x40 != 0, &x.packed}, {flags&0x80 != 0, &x.unpack}} {
		if !f.given {
			continue
		}
		n, err := binary.ReadUvarint(r)
		if err != nil || n > 1<<62 {
			return 0, errors.New("xz: the header of a block has a size that can't be")
		}
		*f.to = int64(n)
	}
	var filter [3]byte
	_, err = io.ReadFull(r, filter[:])
	if err != nil {
		return 0, errors.New("xz: the header of a block has no filter")
	}
	if filter[0] != 0x21 || filter[1] != 1 {
		return 0, &Refusal{Reason: Compression, Detail: "xz with another filter than LZMA2"}
	}
	rest := h[len(h)-r.Len():]
	if len(bytes.Trim(rest, "\x00")) > 0 {
		return 0, errors.New("xz: the header of a block has data behind its filter")
	}
	return lzma.DecodeDictCap(filter[2])
}

// finish compares a block with what its header and its check say.
func (x *xz) finish() error {
	x.block = nil
	packed := x.in.n - x.data
	if x.packed >= 0 && x.packed != packed || x.unpack >= 0 && x.unpack != x.out {
		return errors.New("xz: a block has another size than its header says")
	}
	err := x.padding(packed)
	if err != nil {
		return err
	}
	check := make([]byte, xzChecks[x.check])
	_, err = io.ReadFull(&x.in, check)
	if err != nil {
		return err
	}
	is := x.sum.Sum(nil)
	if x.check != 10 { // the CRCs are stored with their lowest byte first
		for i, j := 0, len(is)-1; i < j; i, j = i+1, j-1 {
			is[i], is[j] = is[j], is[i]
		}
	}
	if len(check) > 0 && !bytes.Equal(is, check) {
		return errors.New("xz: a block has the wrong checksum")
	}
	x.blocks++
	x.record(uint64(x.header+packed)+uint64(len(check)), uint64(x.out))
	return nil
}

// padding reads the zeros that follow n bytes.
func (x *xz) padding(n int64) error {
	var zeros [3]byte
	pad := zeros[:(4-n%4)%4]
	_, err := io.ReadFull(&x.in, pad)
	if err != nil {
		return err
	}
	if zeros != [3]byte{} {
		return errors.New("xz: the padding is not zero")
	}
	return nil
}

// record notes a block for the comparison with the index: a sum, since a file
// has any number of blocks.
func (x *xz) record(unpadded, plain uint64) {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], unpadded)
	binary.LittleEndian.PutUint64(b[8:], plain)
	x.index.Write(b[:])
}

// end reads the index and the footer of a stream.
func (x *xz) end() error {
	wrong := errors.New("xz: the index is not that of the blocks")
	crc := crc32.NewIEEE()
	crc.Write([]byte{0})
	r := &teeByte{&x.in, crc}
	number, err := binary.ReadUvarint(r)
	if err != nil {
		return err
	}
	if number != x.blocks {
		return wrong
	}
	blocks := x.index.Sum(nil)
	x.index = sha256.New()
	for range number {
		unpadded, err := binary.ReadUvarint(r)
		if err != nil {
			return err
		}
		plain, err := binary.ReadUvarint(r)
		if err != nil {
			return err
		}
		x.record(unpadded, plain)
	}
	if !bytes.Equal(blocks, x.index.Sum(nil)) {
		return wrong
	}
	for (x.in.n-x.start)%4 != 0 {
		b, err := r.ReadByte()
		if err != nil {
			return err
		}
		if b != 0 {
			return wrong
		}
	}
	size := x.in.n - x.start + 4
	var f [16]byte // the index's checksum and the footer
	_, err = io.ReadFull(&x.in, f[:])
	if err != nil {
		return err
	}
	switch {
	case binary.LittleEndian.Uint32(f[:]) != crc.Sum32():
		return wrong
	case binary.LittleEndian.Uint32(f[4:]) != crc32.ChecksumIEEE(f[8:14]), string(f[14:]) != "YZ",
		(int64(binary.LittleEndian.Uint32(f[8:]))+1)*4 != size, f[12] != 0, f[13] != x.check:
		return errors.New("xz: the footer is damaged")
	}
	return nil
}

// teeByte reads bytes and sums them.
type teeByte struct {
	r   *counting
	sum hash.Hash
}

// ReadByte reads a byte.
func (t *teeByte) ReadByte() (byte, error) {
	b, err := t.r.ReadByte()
	if err == nil {
		t.sum.Write([]byte{b})
	}
	return b, err
}

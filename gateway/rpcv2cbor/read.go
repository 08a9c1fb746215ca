package rpcv2cbor

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"souk/gateway/jsonwire"
)

// The major types of CBOR.
const (
	majorUnsigned = iota
	majorNegative
	majorBytes
	majorText
	majorArray
	majorMap
	majorTag
	majorSimple
)

// indefinite is the additional information of an item whose length is not told
// at its beginning, and that of the end of such an item.
const indefinite = 31

// The bytes that begin and end items of indefinite length.
const (
	mapBegin   = majorMap<<5 | indefinite
	arrayBegin = majorArray<<5 | indefinite
	end        = majorSimple<<5 | indefinite
)

// tagEpoch is the tag of a time: seconds since 1970.
const tagEpoch = 1

// toJSON makes JSON of a body of CBOR. It refuses what is not well-formed, maps
// with names that are no texts, and values of which JSON would not tell that they
// are of another kind than the shape's. The rest (what a member's kind is, names
// given twice) is found in the JSON.
func toJSON(body []byte, s *shape) ([]byte, error) {
	r := reader{in: body, out: make([]byte, 0, len(body)+len(body)/4+16)}
	if err := r.item(s); err != nil {
		return nil, err
	}
	if r.at < len(body) {
		return nil, r.wrong("bytes follow after its end")
	}
	return r.out, nil
}

// reader goes through CBOR and writes JSON.
type reader struct {
	in    []byte
	at    int
	out   []byte
	depth int
	items int    // that were begun
	path  []step // to the item that is read
}

// step is a part of the way to an item: a member's name, or an element's number.
type step struct {
	name  string
	index int // where name is ""
}

// wrong refuses a body that is no CBOR, or no CBOR of this protocol.
func (r *reader) wrong(reason string) error {
	return malformed("The request body is no valid CBOR: %s at byte %d.", reason, r.at)
}

// unfit refuses an item of another kind than the shape's. token is the kind's
// name, as messages have it.
func (r *reader) unfit(token string, s *shape) error {
	var p jsontext.Pointer
	for _, step := range r.path {
		name := step.name
		if name == "" {
			name = strconv.Itoa(step.index)
		}
		p = p.AppendToken(name)
	}
	return jsonwire.Unfit(token, s.wanted, p)
}

// head is the beginning of an item.
type head struct {
	major, info byte
	n           uint64 // a number, a length, a count or a tag
}

func (h head) open() bool { return h.info == indefinite }

func (r *reader) head() (head, error) {
	if r.at == len(r.in) {
		return head{}, r.wrong("it ends too early")
	}
	h := head{major: r.in[r.at] >> 5, info: r.in[r.at] & 31}
	switch {
	case h.info < 24:
		h.n = uint64(h.info)
		r.at++
		return h, nil
	case h.info < 28:
		width := 1 << (h.info - 24)
		if len(r.in)-r.at-1 < width {
			return head{}, r.wrong("it ends too early")
		}
		var b [8]byte
		copy(b[8-width:], r.in[r.at+1:r.at+1+width])
		h.n = binary.BigEndian.Uint64(b[:])
		r.at += 1 + width
		return h, nil
	case h.info == indefinite && h.major >= majorBytes && h.major != majorTag:
		r.at++
		return h, nil
	}
	return head{}, r.wrong("an item has a beginning that is reserved")
}

// ended says whether an item of indefinite length ends here, and goes behind its end.
func (r *reader) ended() bool {
	if r.at < len(r.in) && r.in[r.at] == end {
		r.at++
		return true
	}
	return false
}

// item reads one item.
func (r *reader) item(s *shape) error {
	if r.items++; r.items > jsonwire.MaxValues {
		return jsonwire.TooMany()
	}
	h, err := r.head()
	if err != nil {
		return err
	}
	switch h.major {
	case majorUnsigned, majorNegative:
		if s.kind == timestamp || s.kind == blob {
			return r.unfit("NUMBER_VALUE", s)
		}
		r.integer(h)
	case majorBytes:
		if s.kind != blob && s.kind != other {
			return r.unfit("BYTES_VALUE", s)
		}
		b, err := r.text(h)
		if err != nil {
			return err
		}
		r.out = append(r.out, '"')
		r.out = base64.StdEncoding.AppendEncode(r.out, b)
		r.out = append(r.out, '"')
	case majorText:
		if s.kind == blob || s.kind == timestamp {
			return r.unfit("STRING_VALUE", s)
		}
		return r.quoted(h)
	case majorArray:
		if s.kind == blob || s.kind == timestamp {
			return r.unfit("START_ARRAY", s)
		}
		return r.within(func() error { return r.array(h, s) })
	case majorMap:
		if s.kind == timestamp {
			return r.unfit("START_OBJECT", s)
		}
		return r.within(func() error { return r.members(h, s) })
	case majorTag:
		return r.within(func() error { return r.tagged(h.n, s) })
	default:
		return r.simple(h, s)
	}
	return nil
}

// within reads what lies in an item.
func (r *reader) within(read func() error) error {
	if r.depth++; r.depth > jsonwire.MaxDepth {
		return malformed("The request body is nested deeper than %d levels.", jsonwire.MaxDepth)
	}
	err := read()
	r.depth--
	return err
}

// integer writes a whole number. -1-n of the least one is beyond 64 bits.
func (r *reader) integer(h head) {
	switch {
	case h.major == majorUnsigned:
		r.out = strconv.AppendUint(r.out, h.n, 10)
	case h.n == math.MaxUint64:
		r.out = append(r.out, "-18446744073709551616"...)
	default:
		r.out = append(r.out, '-')
		r.out = strconv.AppendUint(r.out, h.n+1, 10)
	}
}

// text reads the bytes of a byte string or a text string. Those of one that
// comes in pieces are a copy, others lie in the body.
func (r *reader) text(h head) ([]byte, error) {
	if !h.open() {
		if h.n > uint64(len(r.in)-r.at) {
			return nil, r.wrong("it ends too early")
		}
		b := r.in[r.at : r.at+int(h.n)]
		if h.major == majorText && !utf8.Valid(b) {
			return nil, r.wrong("a text is no UTF-8")
		}
		r.at += int(h.n)
		return b, nil
	}
	var all []byte
	for !r.ended() {
		piece, err := r.head()
		if err != nil {
			return nil, err
		}
		if piece.major != h.major || piece.open() {
			return nil, r.wrong("a piece of a string is none")
		}
		b, err := r.text(piece)
		if err != nil {
			return nil, err
		}
		all = append(all, b...)
	}
	return all, nil
}

// quoted writes a text.
func (r *reader) quoted(h head) error {
	b, err := r.text(h)
	if err != nil {
		return err
	}
	r.out, err = jsontext.AppendQuote(r.out, b)
	return err
}

func (r *reader) array(h head, s *shape) error {
	r.out = append(r.out, '[')
	for i := 0; ; i++ {
		if h.open() && r.ended() || !h.open() && uint64(i) == h.n {
			r.out = append(r.out, ']')
			return nil
		}
		if i > 0 {
			r.out = append(r.out, ',')
		}
		r.path = append(r.path, step{index: i})
		if err := r.item(s.element()); err != nil {
			return err
		}
		r.path = r.path[:len(r.path)-1]
	}
}

func (r *reader) members(h head, s *shape) error {
	if s.kind == blob {
		return r.unfit("START_OBJECT", s)
	}
	r.out = append(r.out, '{')
	for i := uint64(0); ; i++ {
		if h.open() && r.ended() || !h.open() && i == h.n {
			r.out = append(r.out, '}')
			return nil
		}
		if i > 0 {
			r.out = append(r.out, ',')
		}
		name, err := r.head()
		if err != nil {
			return err
		}
		if name.major != majorText {
			return r.wrong("a name in a map is no text")
		}
		b, err := r.text(name)
		if err != nil {
			return err
		}
		if r.out, err = jsontext.AppendQuote(r.out, b); err != nil {
			return err
		}
		r.out = append(r.out, ':')
		r.path = append(r.path, step{name: string(b)})
		if err := r.item(s.member(string(b))); err != nil {
			return err
		}
		r.path = r.path[:len(r.path)-1]
	}
}

// tagged reads what has a tag. Times have the tag 1 and nothing else has one;
// in members that nobody knows tags are passed over.
func (r *reader) tagged(tag uint64, s *shape) error {
	switch s.kind {
	case other:
		return r.item(s)
	case timestamp:
		if tag != tagEpoch {
			break
		}
		return r.item(&shape{kind: double, wanted: s.wanted})
	}
	return r.unfit("TAGGED_VALUE", s)
}

// simple reads a truth, a null or a number with a fraction.
func (r *reader) simple(h head, s *shape) error {
	switch h.info {
	case 20:
		r.out = append(r.out, "false"...)
	case 21:
		r.out = append(r.out, "true"...)
	case 22, 23: // null, and undefined, which clients mean alike
		r.out = append(r.out, "null"...)
		return nil
	case 25:
		return r.float(half(uint16(h.n)), s)
	case 26:
		return r.float(float64(math.Float32frombits(uint32(h.n))), s)
	case 27:
		return r.float(math.Float64frombits(h.n), s)
	default:
		return r.wrong("a simple value is not known")
	}
	if s.kind == timestamp || s.kind == blob {
		return r.unfit("BOOLEAN_VALUE", s)
	}
	return nil
}

func (r *reader) float(f float64, s *shape) error {
	switch {
	case s.kind == other && (math.IsNaN(f) || math.IsInf(f, 0)):
		r.out = append(r.out, "null"...)
	case s.kind != single && s.kind != double && s.kind != other, math.IsNaN(f), math.IsInf(f, 0):
		return r.unfit("FLOAT_VALUE", s)
	default:
		r.out = strconv.AppendFloat(r.out, f, 'g', -1, 64)
	}
	return nil
}

// half is the number that 16 bits are (IEEE 754).
func half(b uint16) float64 {
	exponent, fraction := int(b>>10&31), float64(b&1023)
	var f float64
	switch exponent {
	case 0:
		f = math.Ldexp(fraction, -24)
	case 31:
		if fraction != 0 {
			return math.NaN()
		}
		f = math.Inf(1)
	default:
		f = math.Ldexp(fraction+1024, exponent-25)
	}
	if b>>15 == 1 {
		return -f
	}
	return f
}

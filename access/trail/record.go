package trail

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// Record is what is known of one call. It is stored in a compact form; JSON
// makes the event of it that CloudTrail shows.
type Record struct {
	// ID is the event's id, a UUID of version 7: it begins with the time at which
	// the call came, to the microsecond nearly, so that records are in its order.
	ID        string
	Source    string // such as marketplacecatalog.amazonaws.com
	Name      string // such as StartChangeSet
	Region    string
	Account   string // whose trail it is in: that of who asked
	Key       string // access key id
	ARN       string // of who asked
	Principal string // principal id
	Role      string // ARN of the role of a session, "" without one
	Session   string // when the session began (ISO 8601), "" without one
	IP        string
	Agent     string
	Request   string // request id
	ReadOnly  bool

	Code, Message string // of the refusal, "" if none
	Input         string // requestParameters, JSON; "" is null
	Output        string // responseElements, JSON; "" is null
	TLS           string // tlsDetails, JSON; "" if the call came without TLS
	Resources     []string
}

const (
	recordFormat = 1 // the first byte of a stored record
	flagReadOnly = 1
	idSize       = 16
	// mostRecord bounds a stored record, in bytes: two members of 100 KB, and the rest.
	mostRecord = 2*mostMember + 64<<10
)

// errRecord says that bytes are no record.
var errRecord = errors.New("not a record of a call")

// append appends the record in its stored form.
func (r *Record) append(b []byte) []byte {
	var flags byte
	if r.ReadOnly {
		flags |= flagReadOnly
	}
	b = append(b, recordFormat, flags)
	b = appendID(b, r.ID)
	for _, s := range r.strings() {
		b = binary.AppendUvarint(b, uint64(len(*s)))
		b = append(b, *s...)
	}
	b = binary.AppendUvarint(b, uint64(len(r.Resources)))
	for _, s := range r.Resources {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// strings are the members that are stored one after the other. Their order is
// part of the format.
func (r *Record) strings() [17]*string {
	return [...]*string{
		&r.Source, &r.Name, &r.Region, &r.Account, &r.Key, &r.ARN, &r.Principal, &r.Role, &r.Session,
		&r.IP, &r.Agent, &r.Request, &r.Code, &r.Message, &r.Input, &r.Output, &r.TLS,
	}
}

// decode reads a stored record.
func decode(b []byte) (*Record, error) {
	r := &Record{}
	return r, r.decode(string(b)) // one piece of memory for all strings
}

// decode reads a stored record, whose memory it refers to.
func (r *Record) decode(b string) error {
	err := r.decodeRest(b)
	if err == nil {
		r.ID = idOf(b)
	}
	return err
}

// idOf is the id of a stored record.
func idOf(b string) string {
	var id [idSize]byte
	copy(id[:], b[2:])
	return idString(id)
}

// decodeRest is decode without the id.
func (r *Record) decodeRest(b string) error {
	if len(b) < 2+idSize || b[0] != recordFormat {
		return errRecord
	}
	*r = Record{ReadOnly: b[1]&flagReadOnly != 0, Resources: r.Resources[:0]}
	rest := b[2+idSize:]
	next := func() (string, bool) {
		n, size := uvarint(rest)
		if size <= 0 || n > uint64(len(rest)-size) {
			return "", false
		}
		s := rest[size : size+int(n)]
		rest = rest[size+int(n):]
		return s, true
	}
	for _, s := range r.strings() {
		var ok bool
		if *s, ok = next(); !ok {
			return errRecord
		}
	}
	n, size := uvarint(rest)
	if size <= 0 || n > uint64(len(rest)) {
		return errRecord
	}
	rest = rest[size:]
	for range n {
		s, ok := next()
		if !ok {
			return errRecord
		}
		r.Resources = append(r.Resources, s)
	}
	if rest != "" {
		return fmt.Errorf("%d bytes after its end: %w", len(rest), errRecord)
	}
	return nil
}

// uvarint is binary.Uvarint of a string.
func uvarint(s string) (uint64, int) {
	var head [binary.MaxVarintLen64]byte
	return binary.Uvarint(head[:copy(head[:], s)])
}

// newID makes the id of a call that came at a time: a UUID of version 7 whose
// 12 bits after the milliseconds are the part of the millisecond.
//
// RFC 9562, 5.7 and 6.2 (method 3).
func newID(at time.Time) string {
	var b [idSize]byte
	ms := at.UnixMilli()
	part := uint64(at.UnixNano()-ms*1e6) * 4096 / 1e6
	binary.BigEndian.PutUint64(b[0:], uint64(ms)<<16|0x7000|part&0xfff)
	binary.BigEndian.PutUint64(b[8:], rand.Uint64()&(1<<62-1)|1<<63)
	return idString(b)
}

func idString(b [idSize]byte) string {
	var s [36]byte
	hex.Encode(s[0:], b[0:4])
	hex.Encode(s[9:], b[4:6])
	hex.Encode(s[14:], b[6:8])
	hex.Encode(s[19:], b[8:10])
	hex.Encode(s[24:], b[10:])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}

// appendID appends the 16 bytes of an id that newID made.
func appendID(b []byte, id string) []byte {
	var digits [2 * idSize]byte
	n := 0
	for i := range len(id) {
		if id[i] != '-' && n < len(digits) {
			digits[n] = id[i]
			n++
		}
	}
	var raw [idSize]byte
	_, _ = hex.Decode(raw[:], digits[:n]) // ours has nothing but digits
	return append(b, raw[:]...)
}

// idTime is the time in an id; false if it is not of the form of ours.
func idTime(id string) (time.Time, bool) {
	if len(id) != 36 || id[8] != '-' || id[13] != '-' {
		return time.Time{}, false
	}
	high, err := strconv.ParseUint(id[:8], 16, 32)
	low, err2 := strconv.ParseUint(id[9:13], 16, 16)
	if err != nil || err2 != nil {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(high<<16 | low)).UTC(), true
}

// idAt is what every id of that time, or later, is not less than.
func idAt(at time.Time) string {
	ms := uint64(max(0, at.UnixMilli()))
	return fmt.Sprintf("%08x-%04x", ms>>16, ms&0xffff)
}

// Time is when the call came, to the millisecond, UTC.
func (r *Record) Time() time.Time {
	at, _ := idTime(r.ID)
	return at
}

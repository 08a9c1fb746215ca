// Package layout says how documents and their index entries lie in a database
// that orders bytes: the keys of entries, the ranges that a query walks, and
// what a batch must look like. The engines share it, so that they agree on
// every order and every refusal. It knows no SQL.
package layout

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"souk/storage/store"
)

const (
	// MaxID is the length of the longest id, in bytes.
	MaxID = 512
	// MaxSort is the length to which Sort values are cut, in bytes. They are
	// cut between bytes, not runes: any other cut would change their order.
	MaxSort = 512
	// MaxShown is the length of the longest summary that entries hold, in bytes.
	MaxShown = 512
	// DefaultScan is what a Query's Scan of 0 means.
	DefaultScan = 2000
)

// PrefixSize is the length of a Prefix.
const PrefixSize = 16

// Prefix begins the key of every entry in one partition of one index of one
// kind. It is a hash: lists never leave a partition, so the order of the
// partitions is of no interest, and a fixed short prefix makes the index a
// third smaller than the names would.
type Prefix [PrefixSize]byte

// PrefixOf returns the prefix of a partition.
func PrefixOf(kind, index, partition string) Prefix {
	return hash(kind, index, partition)
}

// DocumentKey returns the 16 bytes by which an engine may know a document. Its
// order is that of no list, but the same everywhere: locks are taken in it.
func DocumentKey(k store.Key) [16]byte {
	return hash(k.Kind, k.ID)
}

// hash maps a list of strings to 16 bytes; the lengths go in with the bytes,
// so that no two lists look alike.
func hash(parts ...string) [16]byte {
	var room [256]byte
	b := room[:0]
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	sum := sha256.Sum256(b)
	return [16]byte(sum[:16])
}

// In the key of an entry, the Sort value is followed by its id. So that "a"
// with any id stands before "a\x00" with any id, a zero byte within the Sort
// value is written as 00 FF and its end as 00 01.
const (
	zero    = 0x00
	zeroIn  = 0xFF
	zeroEnd = 0x01
)

// AppendPlace appends the part of an entry's key that stands before the
// document's id: the prefix and the Sort value.
func AppendPlace(dst []byte, prefix Prefix, sort string) []byte {
	dst = append(dst, prefix[:]...)
	return appendSort(dst, sort)
}

func appendSort(dst []byte, sort string) []byte {
	sort = cut(sort)
	for {
		i := strings.IndexByte(sort, zero)
		if i < 0 {
			break
		}
		dst = append(dst, sort[:i]...)
		dst = append(dst, zero, zeroIn)
		sort = sort[i+1:]
	}
	dst = append(dst, sort...)
	return append(dst, zero, zeroEnd)
}

func cut(sort string) string {
	if len(sort) > MaxSort {
		return sort[:MaxSort]
	}
	return sort
}

// SplitKey returns the Sort value and the id that an entry's key holds. Both
// are copies.
func SplitKey(key []byte) (sort, id string, err error) {
	if len(key) < PrefixSize {
		return "", "", errBadKey
	}
	rest := key[PrefixSize:]
	i := bytes.IndexByte(rest, zero)
	if i >= 0 && i+1 < len(rest) && rest[i+1] == zeroEnd { // no zero within: nearly always
		return string(rest[:i]), string(rest[i+2:]), nil
	}
	var b []byte
	for {
		if i < 0 || i+1 >= len(rest) {
			return "", "", errBadKey
		}
		b = append(b, rest[:i]...)
		switch rest[i+1] {
		case zeroEnd:
			return string(b), string(rest[i+2:]), nil
		case zeroIn:
			b = append(b, zero)
		default:
			return "", "", errBadKey
		}
		rest = rest[i+2:]
		i = bytes.IndexByte(rest, zero)
	}
}

var errBadKey = errors.New("the key of an index entry is damaged")

// Row is one entry as it is stored: its place, which is its key without the
// document's id, and its cover.
type Row struct {
	Place []byte
	Cover []byte
}

// Rows returns the entries of a document in the order of their places, each
// place once (of two entries with one place, the later in the index wins).
func Rows(kind string, index []store.Entry) []Row {
	if len(index) == 0 {
		return nil
	}
	n := 0
	for i := range index {
		n += PrefixSize + len(cut(index[i].Sort)) + 2 + strings.Count(cut(index[i].Sort), "\x00")
	}
	room := make([]byte, 0, n) // all places of a document lie in one piece
	rows := make([]Row, len(index))
	for i := range index {
		e := &index[i]
		at := len(room)
		room = AppendPlace(room, PrefixOf(kind, e.Index, e.Partition), e.Sort)
		rows[i] = Row{Place: room[at:len(room):len(room)], Cover: e.Cover}
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return bytes.Compare(a.Place, b.Place) })
	kept := rows[:1]
	for _, r := range rows[1:] {
		if last := &kept[len(kept)-1]; bytes.Equal(last.Place, r.Place) {
			*last = r
		} else {
			kept = append(kept, r)
		}
	}
	return kept
}

// Shows says whether the entries of a document hold what lists show, its
// revision and its summary, so that a page needs no other row. They do not for
// work: each claim would have to write them all again.
func Shows(d *store.Document) bool {
	return d.Due.IsZero() && len(d.Summary) <= MaxShown
}

// Range is the part of an index that a query walks: From <= key < To.
type Range struct {
	From, To []byte
}

// RangeOf returns the range of keys that a query still has to walk.
func RangeOf(q store.Query) Range {
	p := PrefixOf(q.Kind, q.Index, q.Partition)
	r := PartitionRange(p)
	if q.From != "" {
		r.From = AppendPlace(nil, p, q.From)
	}
	if q.To != "" {
		r.To = AppendPlace(nil, p, q.To)
	}
	if q.After == (store.Position{}) {
		return r
	}
	after := append(AppendPlace(nil, p, q.After.Sort), q.After.ID...)
	if q.Backward {
		if bytes.Compare(after, r.To) < 0 {
			r.To = after
		}
		return r
	}
	if after = append(after, 0); bytes.Compare(after, r.From) > 0 { // the next key that there can be
		r.From = after
	}
	return r
}

// PartitionRange returns the range of all entries of a partition.
func PartitionRange(p Prefix) Range {
	to := p
	for i := len(to) - 1; i >= 0; i-- {
		to[i]++
		if to[i] != 0 {
			return Range{From: p[:], To: to[:]}
		}
	}
	// The prefix is all ones: behind it only longer keys can be.
	return Range{From: p[:], To: bytes.Repeat([]byte{0xFF}, PrefixSize+2*MaxSort+MaxID+3)}
}

// CheckKey says what is wrong with a key.
func CheckKey(k store.Key) error {
	switch {
	case k.Kind == "" || len(k.Kind) > MaxID || !utf8.ValidString(k.Kind) || strings.IndexByte(k.Kind, 0) >= 0:
		return fmt.Errorf("document kind %q: must be 1 to %d bytes of UTF-8 without NUL", k.Kind, MaxID)
	case k.ID == "" || len(k.ID) > MaxID || !utf8.ValidString(k.ID) || strings.IndexByte(k.ID, 0) >= 0:
		return fmt.Errorf("document id %q: must be 1 to %d bytes of UTF-8 without NUL", k.ID, MaxID)
	}
	return nil
}

// CheckBatch says what is wrong with a batch, whatever is stored.
func CheckBatch(b store.Batch) error {
	for i := range b.Expect {
		if err := checkExpected(b.Expect[i].Key, b.Expect[i].Revision, 0); err != nil {
			return err
		}
	}
	written := make([]store.Key, 0, 16)
	for i := range b.Put {
		if err := checkExpected(b.Put[i].Key, b.Put[i].Was, store.Any); err != nil {
			return err
		}
		if o := b.Put[i].Owner; !utf8.ValidString(o) || strings.IndexByte(o, 0) >= 0 {
			return fmt.Errorf("document %s %s: owner %q must be UTF-8 without NUL", b.Put[i].Kind, b.Put[i].ID, o)
		}
		written = append(written, b.Put[i].Key)
	}
	for i := range b.Delete {
		if err := checkExpected(b.Delete[i].Key, b.Delete[i].Was, store.Any); err != nil {
			return err
		}
		written = append(written, b.Delete[i].Key)
	}
	for i := range b.Bounds {
		if b.Bounds[i].Most < 0 {
			return fmt.Errorf("bound of %s %s: must not be negative, is %d", b.Bounds[i].Kind, b.Bounds[i].Index, b.Bounds[i].Most)
		}
	}
	if len(written) < 2 {
		return nil
	}
	slices.SortFunc(written, CompareKeys)
	for i := range written[1:] {
		if written[i] == written[i+1] {
			return fmt.Errorf("document %s %s: is written twice in one batch", written[i].Kind, written[i].ID)
		}
	}
	return nil
}

func checkExpected(k store.Key, revision, least int64) error {
	if err := CheckKey(k); err != nil {
		return err
	}
	if revision < least {
		return fmt.Errorf("document %s %s: no document can have revision %d", k.Kind, k.ID, revision)
	}
	return nil
}

// CheckQuery says what is wrong with a query.
func CheckQuery(q store.Query) error {
	if q.Limit < 1 {
		return fmt.Errorf("list of %s by %s: a page must have at least 1 document, not %d", q.Kind, q.Index, q.Limit)
	}
	if q.Scan < 0 {
		return fmt.Errorf("list of %s by %s: can't look at %d entries", q.Kind, q.Index, q.Scan)
	}
	return nil
}

// CheckSearch says what is wrong with a search.
func CheckSearch(s store.Search) error {
	if s.Limit < 1 {
		return fmt.Errorf("search of %s: at least 1 document must be wanted, not %d", s.Kind, s.Limit)
	}
	if len(s.All) == 0 {
		return fmt.Errorf("search of %s: no term is given", s.Kind)
	}
	return nil
}

// Term is what engines know a term of documents of a kind by.
func Term(kind, term string) uint64 {
	h := hash(kind, "term", term)
	return binary.BigEndian.Uint64(h[:])
}

// TermsOf returns a document's terms, each once, in their order.
func TermsOf(kind string, terms []string) []uint64 {
	all := make([]uint64, len(terms))
	for i, t := range terms {
		all[i] = Term(kind, t)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// SumOf tells sets of terms apart. That of none is 0.
func SumOf(terms []uint64) (sum uint64) {
	for _, t := range terms {
		sum += t
	}
	return sum
}

// CompareKeys orders keys by kind and id, as bytes.
func CompareKeys(a, b store.Key) int {
	if c := cmp.Compare(a.Kind, b.Kind); c != 0 {
		return c
	}
	return cmp.Compare(a.ID, b.ID)
}

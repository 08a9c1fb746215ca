package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"

	"souk/storage/store/internal/layout"
)

// A document keeps a copy of its entries, so that the next write of the
// document knows what it must remove and what it may leave, without looking
// into the index. The list begins with a byte of flags: whether the entries show
// the document, and whether it has terms, whose sum (layout.SumOf) then follows.
// Behind that the entries stand in the order of their places, each as
//
//	length of the place, place, cover
//
// where a cover is 0 for none, 1 for that of the entry before, else its length
// plus 2 and its bytes. Most documents have one cover for all their entries.
const (
	coverNone = 0
	coverSame = 1
	coverNew  = 2
)

var errBadPlaces = errors.New("the list of a document's index entries is damaged")

// Flags.
const (
	flagShown = 1
	flagTerms = 2
)

// termsSize is the length of the sum of the terms.
const termsSize = 8

// appendPlaces appends the list of rows. No rows and no terms are no list.
func appendPlaces(dst []byte, rows []layout.Row, shown bool, terms uint64) []byte {
	if len(rows) == 0 && terms == 0 {
		return dst
	}
	flags := byte(0)
	if shown {
		flags |= flagShown
	}
	if terms != 0 {
		flags |= flagTerms
	}
	dst = append(dst, flags)
	if terms != 0 {
		dst = binary.BigEndian.AppendUint64(dst, terms)
	}
	var last []byte
	for _, r := range rows {
		dst = binary.AppendUvarint(dst, uint64(len(r.Place)))
		dst = append(dst, r.Place...)
		switch {
		case r.Cover == nil:
			dst = append(dst, coverNone)
		case last != nil && bytes.Equal(r.Cover, last):
			dst = append(dst, coverSame)
		default:
			dst = binary.AppendUvarint(dst, uint64(len(r.Cover))+coverNew)
			dst = append(dst, r.Cover...)
			last = r.Cover
		}
	}
	return dst
}

// termsIn is the sum of the terms of a document with this list; 0 is none.
func termsIn(list []byte) uint64 {
	if len(list) < 1+termsSize || list[0]&flagTerms == 0 {
		return 0
	}
	return binary.BigEndian.Uint64(list[1:])
}

// withTerms returns the list with another sum of terms.
func withTerms(list []byte, terms uint64) []byte {
	flags := byte(0)
	if len(list) > 0 {
		flags = list[0]
		if list = list[1:]; flags&flagTerms != 0 && len(list) >= termsSize {
			list = list[termsSize:]
		}
	}
	if terms == 0 {
		return append([]byte{flags &^ flagTerms}, list...)
	}
	return append(binary.BigEndian.AppendUint64([]byte{flags | flagTerms}, terms), list...)
}

// readPlaces appends the rows of a list; they point into it.
func readPlaces(dst []layout.Row, list []byte) (rows []layout.Row, shown bool, err error) {
	if len(list) == 0 {
		return dst, false, nil
	}
	if list[0] > flagShown|flagTerms {
		return nil, false, errBadPlaces
	}
	shown = list[0]&flagShown != 0
	if list[0]&flagTerms != 0 {
		if len(list) < 1+termsSize {
			return nil, false, errBadPlaces
		}
		list = list[termsSize:]
	}
	list = list[1:]
	var last []byte
	for len(list) > 0 {
		var r layout.Row
		n, used := binary.Uvarint(list)
		if used <= 0 || n > uint64(len(list)-used) {
			return nil, false, errBadPlaces
		}
		list = list[used:]
		r.Place, list = list[:n:n], list[n:]
		n, used = binary.Uvarint(list)
		if used <= 0 {
			return nil, false, errBadPlaces
		}
		list = list[used:]
		switch n {
		case coverNone:
		case coverSame:
			if last == nil {
				return nil, false, errBadPlaces
			}
			r.Cover = last
		default:
			n -= coverNew
			if n > uint64(len(list)) {
				return nil, false, errBadPlaces
			}
			r.Cover, list = list[:n:n], list[n:]
			last = r.Cover
		}
		dst = append(dst, r)
	}
	return dst, shown, nil
}

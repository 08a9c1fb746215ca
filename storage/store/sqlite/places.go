package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"

	"souk/storage/store/internal/layout"
)

// A document keeps a copy of its entries, so that the next write of the
// document knows what it must remove and what it may leave, without looking
// into the index. The list begins with a byte that says whether the entries
// show the document, then they stand in the order of their places, each as
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

// appendPlaces appends the list of rows. No rows are no list.
func appendPlaces(dst []byte, rows []layout.Row, shown bool) []byte {
	if len(rows) == 0 {
		return dst
	}
	if shown {
		dst = append(dst, 1)
	} else {
		dst = append(dst, 0)
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

// readPlaces appends the rows of a list; they point into it.
func readPlaces(dst []layout.Row, list []byte) (rows []layout.Row, shown bool, err error) {
	if len(list) == 0 {
		return dst, false, nil
	}
	if list[0] > 1 {
		return nil, false, errBadPlaces
	}
	shown, list = list[0] == 1, list[1:]
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

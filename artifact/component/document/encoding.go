package document

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// encoding is one of those that the actions on files know. Without BE they are
// little-endian; no byte order mark is written.
type encoding struct {
	bytes int // of a unit
	order binary.ByteOrder
}

// asEncoding returns false for what is none. Case does not matter, nor the dash
// in utf-16.
func asEncoding(s string) (encoding, bool) {
	s, big := strings.CutSuffix(strings.Replace(strings.ToLower(s), "utf-", "utf", 1), "-be")
	e := encoding{order: binary.LittleEndian}
	if big {
		e.order = binary.BigEndian
	} else {
		s = strings.TrimSuffix(s, "-le")
	}
	switch s {
	case "utf8", "":
		e.bytes = 1
	case "utf16":
		e.bytes = 2
	case "utf32":
		e.bytes = 4
	default:
		return e, false
	}
	return e, s != "" || !big
}

func isEncoding(s string) string {
	if _, ok := asEncoding(s); !ok || s == "" {
		return "there is no encoding [" + cut(s, 60) + "]; there are utf-8, utf-16 and utf-32, the latter with -LE or -BE"
	}
	return ""
}

// encode never fails: what is not UTF-8 is the replacement character.
func (e encoding) encode(s string) []byte {
	var b []byte
	switch e.bytes {
	case 2:
		for _, unit := range utf16.Encode([]rune(s)) {
			b = append(b, 0, 0)
			e.order.PutUint16(b[len(b)-2:], unit)
		}
	case 4:
		for _, r := range s {
			b = append(b, 0, 0, 0, 0)
			e.order.PutUint32(b[len(b)-4:], uint32(r))
		}
	default:
		b = []byte(s)
	}
	return b
}

// decode leaves out a byte order mark.
func (e encoding) decode(b []byte) (string, error) {
	if len(b)%e.bytes != 0 {
		return "", fmt.Errorf("%d bytes are no text of units of %d", len(b), e.bytes)
	}
	var s string
	switch e.bytes {
	case 2:
		units := make([]uint16, 0, len(b)/2)
		for ; len(b) > 0; b = b[2:] {
			units = append(units, e.order.Uint16(b))
		}
		s = string(utf16.Decode(units))
	case 4:
		var text strings.Builder
		for ; len(b) > 0; b = b[4:] {
			if r := e.order.Uint32(b); r <= utf8.MaxRune {
				text.WriteRune(rune(r))
			} else {
				return "", errors.New("a unit is no character")
			}
		}
		s = text.String()
	default:
		if !utf8.Valid(b) {
			return "", errors.New("is not UTF-8")
		}
		s = string(b)
	}
	return strings.TrimPrefix(s, "\uFEFF"), nil
}

package rpcv2cbor

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// appendJSON makes CBOR of a JSON text, and appends it. Lists and maps are of
// indefinite length, as their JSON does not say it either.
func appendJSON(b, text []byte, s *shape) ([]byte, error) {
	w := writer{in: jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowInvalidUTF8(true)), out: b}
	if err := w.value(s); err != nil {
		return nil, fmt.Errorf("writing an answer as CBOR: %w", err)
	}
	return w.out, nil
}

type writer struct {
	in  *jsontext.Decoder
	out []byte
}

// value writes the next value of the JSON.
func (w *writer) value(s *shape) error {
	t, err := w.in.ReadToken()
	if err != nil {
		return err
	}
	switch t.Kind() {
	case jsontext.KindNull:
		w.out = append(w.out, majorSimple<<5|22)
	case jsontext.KindTrue:
		w.out = append(w.out, majorSimple<<5|21)
	case jsontext.KindFalse:
		w.out = append(w.out, majorSimple<<5|20)
	case jsontext.KindString:
		if s.kind != blob {
			w.out = appendText(w.out, t.String())
			return nil
		}
		data, err := base64.StdEncoding.DecodeString(t.String())
		if err != nil {
			return err
		}
		w.out = append(appendHead(w.out, majorBytes, uint64(len(data))), data...)
	case jsontext.KindNumber:
		return w.number(t.String(), s)
	case jsontext.KindBeginArray:
		w.out = append(w.out, arrayBegin)
		for w.in.PeekKind() != jsontext.KindEndArray {
			if err := w.value(s.element()); err != nil {
				return err
			}
		}
		w.out = append(w.out, end)
		_, err = w.in.ReadToken()
	case jsontext.KindBeginObject:
		w.out = append(w.out, mapBegin)
		for w.in.PeekKind() != jsontext.KindEndObject {
			name, err := w.in.ReadToken()
			if err != nil {
				return err
			}
			member := name.String()
			w.out = appendText(w.out, member)
			if err := w.value(s.member(member)); err != nil {
				return err
			}
		}
		w.out = append(w.out, end)
		_, err = w.in.ReadToken()
	}
	return err
}

func (w *writer) number(text string, s *shape) error {
	if s.kind == integer || s.kind == other {
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			w.out = appendHead(w.out, majorUnsigned, n)
			return nil
		}
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			w.out = appendHead(w.out, majorNegative, uint64(-1-n))
			return nil
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return err
	}
	switch s.kind {
	case single:
		w.out = binary.BigEndian.AppendUint32(append(w.out, majorSimple<<5|26), math.Float32bits(float32(f)))
		return nil
	case timestamp:
		w.out = appendHead(w.out, majorTag, tagEpoch)
	}
	w.out = binary.BigEndian.AppendUint64(append(w.out, majorSimple<<5|27), math.Float64bits(f))
	return nil
}

// appendText appends a text. One that somebody else spoiled is no reason to fail.
func appendText(b []byte, s string) []byte {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return append(appendHead(b, majorText, uint64(len(s))), s...)
}

// appendHead appends the beginning of an item, as short as it can be.
func appendHead(b []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n <= math.MaxUint8:
		return append(b, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

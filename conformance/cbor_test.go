package conformance

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
)

// This file writes and reads the part of CBOR (RFC 8949) that AWS's rpc-v2-cbor
// uses. It has nothing in common with what the server reads it with, so that a
// mistake is not made twice.

// toCBOR is a JSON text as CBOR. Maps are of indefinite length, as SDKs may send
// them too; numbers that are whole are integers.
func toCBOR(text string) ([]byte, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return appendCBOR(nil, v), nil
}

func appendCBOR(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, 0xf6)
	case bool:
		if v {
			return append(b, 0xf5)
		}
		return append(b, 0xf4)
	case string:
		return append(head(b, 3, uint64(len(v))), v...)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			if n < 0 {
				return head(b, 1, uint64(-1-n))
			}
			return head(b, 0, uint64(n))
		}
		f, _ := v.Float64() // it was read as a number
		return binary.BigEndian.AppendUint64(append(b, 0xfb), math.Float64bits(f))
	case []any:
		b = head(b, 4, uint64(len(v)))
		for _, e := range v {
			b = appendCBOR(b, e)
		}
		return b
	case map[string]any:
		b = append(b, 0xbf)
		for k, e := range v {
			b = appendCBOR(appendCBOR(b, k), e)
		}
		return append(b, 0xff)
	}
	panic(fmt.Sprintf("%T is nothing that JSON has", v))
}

// head is the head of a data item: its major type and its length or value.
func head(b []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n < 1<<8:
		return append(b, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

// fromCBOR is a CBOR text as JSON. What is tagged as a time (1) must be a number.
func fromCBOR(t *testing.T, text string) string {
	t.Helper()
	if text == "" {
		return "{}"
	}
	r := &cborReader{in: []byte(text)}
	v, err := r.value()
	if err == nil && len(r.in) > 0 {
		err = fmt.Errorf("%d bytes follow", len(r.in))
	}
	if err != nil {
		t.Fatalf("the answer is no CBOR: %v: %x", err, text)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	must(t, e.Encode(v))
	return out.String()
}

type cborReader struct{ in []byte }

// stop is what ends an item of indefinite length.
type stop struct{}

func (r *cborReader) take(n uint64) ([]byte, error) {
	if uint64(len(r.in)) < n {
		return nil, fmt.Errorf("%d bytes are missing", n-uint64(len(r.in)))
	}
	b := r.in[:n]
	r.in = r.in[n:]
	return b, nil
}

func (r *cborReader) value() (any, error) {
	first, err := r.take(1)
	if err != nil {
		return nil, err
	}
	major, info := first[0]>>5, first[0]&31
	var n uint64
	indefinite := false
	switch {
	case info < 24:
		n = uint64(info)
	case info < 28:
		more, err := r.take(1 << (info - 24))
		if err != nil {
			return nil, err
		}
		n = binary.BigEndian.Uint64(append(make([]byte, 8-len(more), 8), more...))
	case info == 31 && major >= 2 && major != 6:
		indefinite = true
	default:
		return nil, fmt.Errorf("head %#x", first[0])
	}
	switch major {
	case 0:
		return n, nil
	case 1:
		return -1 - int64(n), nil
	case 2, 3:
		text, err := r.text(n, indefinite)
		if major == 2 {
			return base64.StdEncoding.EncodeToString(text), err
		}
		return string(text), err
	case 4, 5:
		return r.items(major == 5, n, indefinite)
	case 6:
		v, err := r.value()
		if _, isText := v.(string); n == 1 && isText {
			return nil, fmt.Errorf("a time that is a text: %q", v)
		}
		return v, err
	}
	switch info {
	case 20, 21:
		return info == 21, nil
	case 22, 23:
		return nil, nil
	case 26:
		return float64(math.Float32frombits(uint32(n))), nil
	case 27:
		return math.Float64frombits(n), nil
	case 31:
		return stop{}, nil
	}
	return nil, fmt.Errorf("simple value %d", info)
}

func (r *cborReader) text(n uint64, indefinite bool) ([]byte, error) {
	if !indefinite {
		return r.take(n)
	}
	return nil, fmt.Errorf("a text of indefinite length, which AWS never answers with")
}

func (r *cborReader) items(pairs bool, n uint64, indefinite bool) (any, error) {
	list, object := []any{}, map[string]any{}
	for i := uint64(0); indefinite || i < n; i++ {
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		if _, ends := v.(stop); ends {
			break
		}
		if !pairs {
			list = append(list, v)
			continue
		}
		name, ok := v.(string)
		if _, twice := object[name]; !ok || twice {
			return nil, fmt.Errorf("the name %v in a map", v)
		}
		object[name], err = r.value()
		if err != nil {
			return nil, err
		}
	}
	if pairs {
		return object, nil
	}
	return list, nil
}

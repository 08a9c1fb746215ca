package frame

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"testing"
)

// Both formats are spoken by programs of several versions: these bytes stay.
func TestBytesOfAFrame(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format Format
		want   string
	}{
		{Plain, "44" + "00000003" + "017879"},
		{Numbered, "44" + "80000007" + "00000003" + "017879"},
	} {
		got := hex.EncodeToString(c.format.Append(nil, 'D', 1<<31|7, []byte{1}, []byte("xy")))
		if got != c.want {
			t.Errorf("format %d: got %s, want %s", c.format, got, c.want)
		}
	}
}

func TestFrameThatIsCutOff(t *testing.T) {
	t.Parallel()
	for _, format := range []Format{Plain, Numbered} {
		whole := format.Append(nil, 'D', 7, []byte("text"))
		for n := range len(whole) {
			_, err := format.Read(bytes.NewReader(whole[:n]), make([]byte, Max))
			want := io.ErrUnexpectedEOF
			if n == 0 {
				want = io.EOF
			}
			if err != want {
				t.Errorf("format %d, %d bytes of %d: got %v, want %v", format, n, len(whole), err, want)
			}
		}
	}
}

func TestReadingEndsWithTheErrorOfWhoTakes(t *testing.T) {
	t.Parallel()
	two := Plain.Append(Plain.Append(nil, 'A', 0), 'B', 0)
	enough := errors.New("enough")
	kinds := ""
	err := Plain.Each(bytes.NewReader(two), func(f Frame) error {
		kinds += string(f.Kind)
		return enough
	})
	if err != enough || kinds != "A" {
		t.Errorf("read %q: %v", kinds, err)
	}
	kinds = ""
	err = Plain.Each(bytes.NewReader(two), func(f Frame) error {
		kinds += string(f.Kind)
		return nil
	})
	if err != io.EOF || kinds != "AB" {
		t.Errorf("read %q: %v", kinds, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(true, Numbered.Append(nil, 'D', 7, []byte{1}, []byte("text")))
	f.Add(false, Plain.Append(nil, 'D', 0, []byte("text")))
	f.Add(true, []byte{'D', 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff})
	f.Add(false, []byte{'D', 0xff, 0xff, 0xff, 0xff})
	f.Add(false, []byte{})
	f.Fuzz(func(t *testing.T, numbered bool, b []byte) {
		format := Plain
		if numbered {
			format = Numbered
		}
		got, err := format.Read(bytes.NewReader(b), make([]byte, Max))
		if err != nil {
			return
		}
		again := format.Append(nil, got.Kind, got.Stream, got.Data)
		if !bytes.Equal(again, b[:len(again)]) {
			t.Errorf("%x is read and written as %x", b, again)
		}
	})
}

package images

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"souk/artifact/archive"
	"souk/artifact/archive/archivetest"
)

// TestALayerOfHolesIsRefusedOnTheWay: what its reader would take for a bomb is not
// written to its end.
func TestALayerOfHolesIsRefusedOnTheWay(t *testing.T) {
	t.Parallel()
	const grace, piece = 8 << 20, 1 << 20
	written := 0
	l, err := compressLayer(io.Discard, grace, func(w io.Writer) error {
		for ; written < 1000*piece; written += piece {
			if _, err := w.Write(make([]byte, piece)); err != nil {
				return fmt.Errorf("copying %q: %w", "opt/hole", err)
			}
		}
		return nil
	})
	if !errors.Is(err, ErrBadImage) || !strings.Contains(err.Error(), `image is refused: the new layer: copying "opt/hole": decompression bomb: `) {
		t.Fatalf("got %+v, %v", l, err)
	}
	if written > 4*grace {
		t.Errorf("%d bytes were read of it", written)
	}
}

// TestLayersThatAreNoBombs: zeros below a GiB, and more than that beside what can't be
// compressed well, are written, and are read again.
func TestLayersThatAreNoBombs(t *testing.T) {
	t.Parallel()
	const grace = 8 << 20
	noise := make([]byte, 1<<20)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	for name, entries := range map[string][]archivetest.Entry{
		"nothing":                   {},
		"few zeros":                 {archivetest.File("zeros", strings.Repeat("\x00", grace/2))},
		"noise and then zeros":      {archivetest.File("a", string(noise)), archivetest.File("b", strings.Repeat("\x00", 3*grace))},
		"what comes to a sixteenth": {archivetest.File("text", strings.Repeat(string(noise[:4000])+strings.Repeat("x", 60000), 400))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "layer")
			f, err := os.Create(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			plain := archivetest.Tar(entries...)
			l, err := compressLayer(f, grace, func(w io.Writer) error {
				_, err := io.Copy(w, bytes.NewReader(plain))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if l.Unpacked != int64(len(plain)) {
				t.Errorf("it has %d bytes, want %d", l.Unpacked, len(plain))
			}
			again, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			b := budget{archive.Limits{Grace: grace}}
			if got, err := b.layer(t.Context(), again, nil, nil); err != nil || got.diffID != l.DiffID || got.packed != l.Size {
				t.Errorf("it is read as %+v, %v; it is %+v", got, err, l)
			}
		})
	}
}

package images

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"

	"souk/artifact/archive"
)

// LayerFile is a layer that lies in a file and is part of no image yet.
type LayerFile struct {
	File     string // gzip of a tar archive
	Digest   string // of the file, sha256:...
	DiffID   string // of the archive, sha256:...
	Size     int64  // bytes of the file
	Unpacked int64  // bytes of the archive
}

// CompressLayer writes the tar archive that write writes to a file, compressed,
// quickly rather than well. File is for the caller to set. ErrBadImage: it is one
// that a reader of the layer would take for a decompression bomb, as of files with
// huge holes; that is found on the way, after the first GiB. Of write's error for it
// the words are told.
func CompressLayer(to io.Writer, write func(w io.Writer) error) (*LayerFile, error) {
	return compressLayer(to, archive.DefaultGrace, write)
}

// compressLayer is CompressLayer with another number of bytes in the place of a GiB.
func compressLayer(to io.Writer, grace int64, write func(w io.Writer) error) (*LayerFile, error) {
	packed, plain := newSum(), newSum()
	z, err := gzip.NewWriterLevel(io.MultiWriter(to, packed), gzip.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("compressing a layer: %w", err)
	}
	// Whoever writes goes on while we compress.
	from, into := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := write(io.MultiWriter(plain, into))
		into.CloseWithError(err)
		written <- err
	}()
	m := &measured{to: z, packed: packed, grace: grace}
	_, err = io.CopyBuffer(m, struct{ io.Reader }{from}, make([]byte, 256<<10))
	if err == nil {
		err = z.Close()
	}
	from.CloseWithError(err) // so that write ends
	if failed := <-written; failed != nil {
		err = failed // its own words
	}
	if m.bomb {
		return nil, bad("the new layer: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("compressing a layer: %w", err)
	}
	return &LayerFile{Digest: packed.hash().String(), DiffID: plain.hash().String(), Size: packed.n, Unpacked: plain.n}, nil
}

// measured compresses what is written, as long as it is no bomb.
type measured struct {
	to     io.Writer
	packed *sum  // what has come out
	n      int64 // bytes that went in
	grace  int64
	bomb   bool // it was one
}

// lag is how much may have gone in of which nothing has come out yet.
const lag = 1 << 20

func (m *measured) Write(p []byte) (int, error) {
	n, err := m.to.Write(p)
	m.n += int64(n)
	if err == nil && m.n > m.grace && float64(m.n-lag) > archive.DefaultRatio*float64(m.packed.n) {
		m.bomb = true
		return n, fmt.Errorf("%s: %d bytes become %d", archive.Bomb, m.n, m.packed.n)
	}
	return n, err
}

// Layer is the layer for those that stack layers, as long as its file is there.
func (l *LayerFile) Layer() Layer {
	return NewLayer(
		Layer{Digest: l.Digest, DiffID: l.DiffID, MediaType: string(types.OCILayer), Size: l.Size},
		func(context.Context) (io.ReadCloser, error) { return os.Open(l.File) },
	)
}

// blob is the layer for those that push. mediaType is what its image's other
// layers have.
func (l *LayerFile) blob(mediaType types.MediaType) *blob {
	return &blob{
		digest: mustHash(l.Digest), diffID: mustHash(l.DiffID), size: l.Size, mediaType: mediaType,
		open: func() (io.ReadCloser, error) { return os.Open(l.File) },
	}
}

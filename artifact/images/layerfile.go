package images

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
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
// quickly rather than well. File is for the caller to set.
func CompressLayer(to io.Writer, write func(w io.Writer) error) (*LayerFile, error) {
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
	_, err = io.CopyBuffer(struct{ io.Writer }{z}, struct{ io.Reader }{from}, make([]byte, 256<<10))
	if err == nil {
		err = z.Close()
	}
	from.CloseWithError(err) // so that write ends
	if failed := <-written; failed != nil {
		err = failed // its own words
	}
	if err != nil {
		return nil, fmt.Errorf("compressing a layer: %w", err)
	}
	return &LayerFile{Digest: packed.hash().String(), DiffID: plain.hash().String(), Size: packed.n, Unpacked: plain.n}, nil
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

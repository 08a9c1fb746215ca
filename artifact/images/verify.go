package images

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"souk/artifact/archive"
)

// budget is what is left for the layers of one image together.
type budget struct{ limits archive.Limits }

// reading is what came of reading a layer to its end.
type reading struct {
	diffID string
	packed int64
	plain  int64
}

// layer reads a layer to its end, as one of the layers that share the budget,
// calls each with its entries, and writes what it is after decompression to also
// if that is not nil. The error is an *archive.Refusal, each's, or
// that of the reader.
func (b *budget) layer(ctx context.Context, r io.Reader, also io.Writer, each func(h *tar.Header, data io.Reader) error) (reading, error) {
	a, err := archive.New(&interrupted{ctx, r}, b.limits)
	if err != nil {
		return reading{}, err
	}
	defer a.Close()
	sum := sha256.New()
	if also == nil {
		a.Tee(sum)
	} else {
		a.Tee(io.MultiWriter(sum, also))
	}
	for {
		h, err := a.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return reading{}, err
		}
		b.limits.Entries = max(1, b.limits.Entries-1)
		if each != nil {
			err = each(h, a)
			if err != nil {
				return reading{}, err
			}
		}
	}
	got := reading{diffID: fmt.Sprintf("sha256:%x", sum.Sum(nil))}
	got.packed, got.plain = a.Progress()
	b.limits.Bytes = max(1, b.limits.Bytes-got.plain)
	return got, nil
}

// interrupted is a reader that ends with its context.
type interrupted struct {
	ctx context.Context
	r   io.Reader
}

func (i *interrupted) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}

// verified is what an image is by its layers.
type verified struct {
	os            OSRelease
	packed, plain int64 // bytes of the layers, as they are and after decompression
}

// into writes it down.
func (v verified) into(a *AMI) {
	a.Platform, a.OS, a.Size, a.Unpacked = v.os.Platform(), v.os, v.packed, v.plain
}

// verify reads all layers of an image: that they are what the config says, have
// nothing that archive refuses and make a root file system. Errors: ErrBadImage
// with the reason, ErrNoImage.
func verify(ctx context.Context, i Image, limits archive.Limits) (verified, error) {
	b := budget{limits}
	var merged releases
	var got verified
	for n, l := range i.Layers {
		bad := func(err error) error {
			return fmt.Errorf("%w: layer %d (%s): %w", ErrBadImage, n+1, l.Digest, err)
		}
		r, err := l.Open(ctx)
		if err != nil {
			return verified{}, err
		}
		merged.next()
		layer, err := b.layer(ctx, r, nil, merged.entry)
		r.Close()
		var refused *archive.Refusal
		switch {
		case errors.As(err, &refused):
			return verified{}, bad(refused)
		case err != nil:
			return verified{}, fmt.Errorf("reading layer %s: %w", l.Digest, err)
		case layer.packed != l.Size:
			return verified{}, bad(fmt.Errorf("it has %d bytes, the manifest says %d", layer.packed, l.Size))
		case layer.diffID != l.DiffID:
			return verified{}, bad(fmt.Errorf("its content is %s, the config says %s", layer.diffID, l.DiffID))
		}
		got.packed += layer.packed
		got.plain += layer.plain
	}
	got.os = merged.release()
	return got, merged.rooted()
}

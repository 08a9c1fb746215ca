package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// ExportLayout writes an image as an OCI layout to a folder, which must not be
// there or be empty.
func ExportLayout(dir string, image v1.Image) error {
	there, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("exporting to %s: %w", dir, err)
	}
	if len(there) > 0 {
		return fmt.Errorf("exporting to %s: the folder is not empty", dir)
	}
	to, err := layout.Write(dir, empty.Index)
	if err == nil {
		err = to.AppendImage(image)
	}
	if err != nil {
		return fmt.Errorf("exporting to %s: %w", dir, err)
	}
	return nil
}

// ExportRootFS writes the root file system of an image as one tar archive: its
// layers merged, with nothing that they have taken away, and with owners, modes,
// times, hard links and extended attributes (file capabilities among them) as
// they are. Errors: ErrBadImage for layers that are refused, those of w and of
// the registry.
func ExportRootFS(ctx context.Context, w io.Writer, image v1.Image, limits Limits) error {
	layers, err := layersOf(image)
	if err != nil {
		return fmt.Errorf("exporting a root file system: %w", err)
	}
	return Flatten(ctx, w, layers, limits)
}

// layersOf makes Layers of an image from elsewhere.
func layersOf(image v1.Image) ([]Layer, error) {
	all, err := image.Layers()
	if err != nil {
		return nil, err
	}
	var layers []Layer
	for _, l := range all {
		digest, err := l.Digest()
		if err != nil {
			return nil, err
		}
		diffID, err := l.DiffID()
		if err != nil {
			return nil, err
		}
		size, err := l.Size()
		if err != nil {
			return nil, err
		}
		kind, err := l.MediaType()
		if err != nil {
			return nil, err
		}
		layers = append(layers, Layer{
			Digest: digest.String(), DiffID: diffID.String(), MediaType: string(kind), Size: size,
			open: func(context.Context) (io.ReadCloser, error) { return l.Compressed() },
		})
	}
	return layers, nil
}

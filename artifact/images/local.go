package images

import (
	"context"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// LayerOf is a layer that lies elsewhere than in the registry: in a folder of
// the client, or of an image that was just made.
func LayerOf(l v1.Layer) (Layer, error) {
	digest, err := l.Digest()
	if err != nil {
		return Layer{}, fmt.Errorf("reading the digest of a layer: %w", err)
	}
	diffID, err := l.DiffID()
	if err != nil {
		return Layer{}, fmt.Errorf("reading the diff id of layer %s: %w", digest, err)
	}
	mediaType, err := l.MediaType()
	if err != nil {
		return Layer{}, fmt.Errorf("reading the media type of layer %s: %w", digest, err)
	}
	size, err := l.Size()
	if err != nil {
		return Layer{}, fmt.Errorf("reading the size of layer %s: %w", digest, err)
	}
	return Layer{
		Digest: digest.String(), DiffID: diffID.String(), MediaType: string(mediaType), Size: size,
		open: func(context.Context) (io.ReadCloser, error) { return l.Compressed() },
	}, nil
}

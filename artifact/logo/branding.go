package logo

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"

	"golang.org/x/image/draw"

	"souk/catalog/change"
)

// The requirements for the logo of a private marketplace.
//
// Catalog API Reference, "Changing the branding of a private marketplace
// experience": "The file must be either a .png or .svg file and be under 500kb.
// If necessary, the image file will be resized to a maximum height of 30 pixels
// and a maximum width of 100 pixels."; "Errors in the private marketplace API":
// "less than or equal to 500KB".
const (
	BrandingBytes  = 500 << 10
	BrandingWidth  = 100
	BrandingHeight = 30
	// brandingPixels bounds what a picture takes in memory when it is decoded:
	// 64 MiB at 8 bytes for a pixel.
	brandingPixels = 8 << 20
)

// Branding copies the logos of private marketplaces. Its methods may be called
// concurrently.
type Branding struct {
	config Config
	// decoding has a place for each logo that is decoded at once: decoded ones
	// are large.
	decoding chan struct{}
}

var _ change.Logos = (*Branding)(nil)

// NewBranding returns Branding.
func NewBranding(c Config) *Branding {
	return &Branding{config: c, decoding: make(chan struct{}, 1)}
}

// Copy implements change.Logos. The copy is a picture of at most 100 x 30 pixels
// that is encoded anew: a PNG, or an SVG of what is known to be harmless (see
// drawing). The URL of a logo that is kept already is read where it is kept.
func (b *Branding) Copy(ctx context.Context, address string) (kept string, err error) {
	file, ours, err := b.config.own(ctx, address)
	if err == nil && !ours {
		file, err = b.config.fetch(ctx, address, "image/png", "image/svg+xml")
	}
	if err != nil {
		return "", err
	}
	if len(file) > BrandingBytes {
		return "", unsupported("it has more than %d bytes", BrandingBytes)
	}
	select {
	case b.decoding <- struct{}{}:
		defer func() { <-b.decoding }()
	case <-ctx.Done():
		return "", fmt.Errorf("checking a logo: %w", ctx.Err())
	}
	if bytes.HasPrefix(file, []byte("\x89PNG\r\n\x1a\n")) {
		content, err := reduced(file)
		if err != nil {
			return "", err
		}
		return b.config.keep(ctx, content, ".png")
	}
	content, err := drawing(file)
	if err != nil {
		return "", err
	}
	return b.config.keep(ctx, content, ".svg")
}

// reduced is a PNG of the size that is shown. Smaller ones stay as they are.
func reduced(file []byte) ([]byte, error) {
	size, err := png.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return nil, unsupported("it is damaged: %v", err)
	}
	if size.Width < 1 || size.Height < 1 || size.Width > brandingPixels/size.Height {
		return nil, unsupported("it has %d x %d pixels, more than %d in all", size.Width, size.Height, brandingPixels)
	}
	picture, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, unsupported("it is damaged: %v", err)
	}
	if w, h := fit(float64(size.Width), float64(size.Height)); w < float64(size.Width) {
		small := image.NewNRGBA(image.Rect(0, 0, max(1, int(w+0.5)), max(1, int(h+0.5))))
		draw.CatmullRom.Scale(small, small.Bounds(), picture, picture.Bounds(), draw.Src, nil)
		picture = small
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		return nil, fmt.Errorf("encoding a logo: %w", err)
	}
	return out.Bytes(), nil
}

// fit makes a size as small as needed, in its proportions.
func fit(w, h float64) (float64, float64) {
	scale := min(1, BrandingWidth/w, BrandingHeight/h)
	return w * scale, h * scale
}

// Package logo fetches the logos that sellers and administrators point at, checks
// them and keeps a copy that Souk serves itself. It is change.Logos twice: Logos
// for products, Branding for private marketplaces.
package logo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"net/url"
	"path"

	"souk/catalog/change"
	"souk/egress/fetch"
	"souk/storage/blob"
)

// The logo requirements, in one place.
//
// AWS Marketplace Seller Guide, "Company and product logo requirements": "Your
// product logo image should have a transparent or white background and be 120
// to 640 pixels in size, with a 1:1 or 2:1 (wide) ratio." The product checklist
// of the same guide: "The product image is at least 110 pixels wide and between
// a 1:1 and 2:1 ratio." Where the two differ, the wider one is taken; 640 pixels
// are what a logo should have, and more are taken up to MaxSide. The background
// is for people to look at. Neither page names types or a size in bytes.
const (
	MinWidth = 110     // pixels
	MaxSide  = 2048    // pixels of width and of height; 32 MiB at most when decoded
	MaxBytes = 5 << 20 // of the file
	// A logo is as wide as high up to twice as wide. One pixel is forgiven,
	// since scaling rounds.
	maxRatio = 2
	slack    = 1
)

// Fetcher gets what lies at a URL; *fetch.Fetcher, whose MaxBytes should be
// this package's MaxBytes.
type Fetcher interface {
	Get(ctx context.Context, url string, accept ...string) (fetch.File, error)
}

// Keeper keeps logos; *blob.Store.
type Keeper interface {
	// Get returns what PutBytes kept; blob.ErrNotFound or blob.ErrName if there
	// is nothing of that name.
	Get(ctx context.Context, kind, name string) ([]byte, error)
	PutBytes(ctx context.Context, kind, name string, content []byte) error
	LogoURL(name string) string
}

// Config says how logos are fetched and where they are kept.
type Config struct {
	Fetcher Fetcher
	Keeper  Keeper
}

// Logos copies logos. Its methods may be called concurrently.
type Logos struct {
	config Config
	// decoding has a place for each logo that is decoded at once: decoded ones
	// are large.
	decoding chan struct{}
}

var _ change.Logos = (*Logos)(nil)

// New returns Logos.
func New(c Config) *Logos {
	return &Logos{config: c, decoding: make(chan struct{}, 1)}
}

// Copy implements change.Logos. The copy is the picture alone, encoded anew:
// what else was in the file (places, cameras, scripts behind the end) is not
// kept. Its name is its hash, so the same logo is kept once. The URL of a logo
// that is kept already, such as that of another product, is its own copy.
func (l *Logos) Copy(ctx context.Context, address string) (kept string, err error) {
	_, ours, err := l.config.own(ctx, address)
	if err != nil || ours {
		return address, err
	}
	file, err := l.config.fetch(ctx, address, "image/png", "image/jpeg")
	if err != nil {
		return "", err
	}
	if len(file) > MaxBytes {
		return "", unsupported("it has more than %d bytes", MaxBytes)
	}
	select {
	case l.decoding <- struct{}{}:
		defer func() { <-l.decoding }()
	case <-ctx.Done():
		return "", fmt.Errorf("checking a logo: %w", ctx.Err())
	}
	content, extension, err := check(file)
	if err != nil {
		return "", err
	}
	return l.config.keep(ctx, content, extension)
}

// fetch gets the file at a URL of others.
func (c *Config) fetch(ctx context.Context, address string, accept ...string) ([]byte, error) {
	file, err := c.Fetcher.Get(ctx, address, accept...)
	var refused *fetch.Refused
	if errors.As(err, &refused) && refused.TooLarge {
		return nil, fmt.Errorf("%w: %w", change.ErrLogoNotSupported, err)
	}
	if errors.Is(err, fetch.ErrRefused) {
		return nil, fmt.Errorf("%w from host %q: %w", change.ErrLogoUnreachable, hostOf(address), err)
	}
	if err != nil {
		return nil, fmt.Errorf("fetching a logo: %w", err)
	}
	return file.Body, nil
}

// keep stores a logo under the name of its content and returns its URL.
func (c *Config) keep(ctx context.Context, content []byte, extension string) (string, error) {
	name := fmt.Sprintf("%x%s", sha256.Sum256(content), extension)
	err := c.Keeper.PutBytes(ctx, blob.Logos, name, content)
	if err != nil {
		return "", fmt.Errorf("keeping a logo: %w", err)
	}
	return c.Keeper.LogoURL(name), nil
}

// own returns the logo at a URL that keep returned, if it is there.
func (c *Config) own(ctx context.Context, address string) (file []byte, ours bool, err error) {
	name := path.Base(address)
	if address != c.Keeper.LogoURL(name) {
		return nil, false, nil
	}
	file, err = c.Keeper.Get(ctx, blob.Logos, name)
	if errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrName) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("looking for a logo that is kept: %w", err)
	}
	return file, true, nil
}

// hostOf is the part of a URL that may stand in the log: paths and queries may
// hold what gives access.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: %s", change.ErrLogoNotSupported, fmt.Sprintf(format, args...))
}

// check finds out by decoding whether a file is a logo, whatever its server
// calls it. It returns the picture encoded anew and the extension of its type.
// All its errors are change.ErrLogoNotSupported but those of the encoder.
func check(file []byte) (content []byte, extension string, err error) {
	// The header first: a few bytes may claim any size.
	var size image.Config
	switch {
	case bytes.HasPrefix(file, []byte("\x89PNG\r\n\x1a\n")):
		extension = ".png"
		size, err = png.DecodeConfig(bytes.NewReader(file))
	case bytes.HasPrefix(file, []byte("\xff\xd8\xff")):
		extension = ".jpg"
		size, err = jpeg.DecodeConfig(bytes.NewReader(file))
	default:
		return nil, "", unsupported("it is neither PNG nor JPEG")
	}
	if err != nil {
		return nil, "", unsupported("it is damaged: %v", err)
	}
	switch {
	case size.Width < MinWidth:
		return nil, "", unsupported("it is %d pixels wide, fewer than %d", size.Width, MinWidth)
	case size.Width > MaxSide || size.Height > MaxSide:
		return nil, "", unsupported("it has %d x %d pixels, more than %d on a side", size.Width, size.Height, MaxSide)
	case size.Width+slack < size.Height || size.Width > maxRatio*(size.Height+slack):
		return nil, "", unsupported("it has %d x %d pixels: the ratio of width and height is not between 1:1 and 2:1", size.Width, size.Height)
	}
	var picture image.Image
	if extension == ".png" {
		picture, err = png.Decode(bytes.NewReader(file))
	} else {
		picture, err = jpeg.Decode(bytes.NewReader(file))
	}
	if err != nil {
		return nil, "", unsupported("it is damaged: %v", err)
	}
	var b bytes.Buffer
	if extension == ".png" {
		err = png.Encode(&b, picture)
	} else {
		err = jpeg.Encode(&b, picture, &jpeg.Options{Quality: 92})
	}
	if err != nil {
		return nil, "", fmt.Errorf("encoding a logo: %w", err)
	}
	return b.Bytes(), extension, nil
}

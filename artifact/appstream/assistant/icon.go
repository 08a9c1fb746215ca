package assistant

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/image/bmp"
)

// Bounds of icons. The guide gives the pixels.
const (
	mostPixels   = 256       // of each side
	mostIconFile = 1 << 20   // bytes of a file
	mostIcon     = 300 << 10 // bytes of an icon as it goes to the host: a PNG, of 256 x 256 pixels without a pattern
)

var errNoIcon = errors.New("no icon")

// icon reads the icon of an application, as a PNG; nil if it has none of its own.
func (c command) icon(e entry) ([]byte, error) {
	if e.IconPath == "" {
		return nil, nil
	}
	content, err := readFile(c.path(e.IconPath), mostIconFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refuse(noIcon)
	}
	if err != nil {
		return nil, refuse("Invalid icon (absolute-icon-path)")
	}
	var configure func(*bytes.Reader) (image.Config, error)
	var decode func(*bytes.Reader) (image.Image, error)
	switch strings.ToLower(filepath.Ext(e.IconPath)) {
	case ".png":
		configure = func(r *bytes.Reader) (image.Config, error) { return png.DecodeConfig(r) }
		decode = func(r *bytes.Reader) (image.Image, error) { return png.Decode(r) }
	case ".jpg", ".jpeg":
		configure = func(r *bytes.Reader) (image.Config, error) { return jpeg.DecodeConfig(r) }
		decode = func(r *bytes.Reader) (image.Image, error) { return jpeg.Decode(r) }
	case ".bmp":
		configure = func(r *bytes.Reader) (image.Config, error) { return bmp.DecodeConfig(r) }
		decode = func(r *bytes.Reader) (image.Image, error) { return bmp.Decode(r) }
	default:
		return nil, refuse("Unsupported file extension (absolute-icon-path): .jpg, .png and .bmp are supported")
	}
	is, err := configure(bytes.NewReader(content))
	if err != nil {
		return nil, refuse("Invalid icon (absolute-icon-path)")
	}
	if is.Width > mostPixels || is.Height > mostPixels {
		return nil, refuse("The icon is larger than 256 x 256 pixels (absolute-icon-path)")
	}
	picture, err := decode(bytes.NewReader(content))
	if err != nil {
		return nil, refuse("Invalid icon (absolute-icon-path)")
	}
	return encodeIcon(picture)
}

// encodeIcon is a picture as a PNG, with nothing in it but the picture.
func encodeIcon(picture image.Image) ([]byte, error) {
	b := picture.Bounds()
	if b.Dx() < 1 || b.Dy() < 1 || b.Dx() > mostPixels || b.Dy() > mostPixels {
		return nil, errNoIcon
	}
	plain := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	for y := range b.Dy() {
		for x := range b.Dx() {
			plain.Set(x, y, picture.At(b.Min.X+x, b.Min.Y+y))
		}
	}
	var out bytes.Buffer
	err := png.Encode(&out, plain)
	if err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// takeIcon checks an icon that a machine has sent, and makes it anew: what is
// served later was written here.
func takeIcon(content []byte) ([]byte, error) {
	if len(content) == 0 {
		return defaultIcon(), nil
	}
	if len(content) > mostIcon {
		return nil, errNoIcon
	}
	is, err := png.DecodeConfig(bytes.NewReader(content))
	if err != nil || is.Width > mostPixels || is.Height > mostPixels {
		return nil, errNoIcon
	}
	picture, err := png.Decode(bytes.NewReader(content))
	if err != nil {
		return nil, errNoIcon
	}
	return encodeIcon(picture)
}

// defaultIcon is the icon of applications that have none of their own: a window.
func defaultIcon() []byte {
	const size = 64
	frame, bar, inside := color.NRGBA{0x23, 0x3a, 0x5c, 0xff}, color.NRGBA{0x4a, 0x7e, 0xbb, 0xff}, color.NRGBA{0xf2, 0xf5, 0xf9, 0xff}
	picture := image.NewNRGBA(image.Rect(0, 0, size, size))
	for y := 8; y < size-8; y++ {
		for x := 4; x < size-4; x++ {
			c := inside
			switch {
			case y < 10 || y >= size-10 || x < 6 || x >= size-6:
				c = frame
			case y < 20:
				c = bar
			}
			picture.SetNRGBA(x, y, c)
		}
	}
	content, err := encodeIcon(picture)
	if err != nil {
		panic("artifact/appstream/assistant: the default icon: " + err.Error()) // it is always the same
	}
	return content
}

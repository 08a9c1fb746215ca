package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"souk/artifact/images"
)

// ImageExportCommand writes an AMI to files.
type ImageExportCommand struct {
	MarketFlags `embed:""`
	ID          imageID `arg:"" help:"The AMI: ami-..."`
	Oci         string  `xor:"to" required:"" placeholder:"DIR" env:"-" help:"A new folder for an OCI layout."`
	Rootfs      string  `xor:"to" required:"" placeholder:"FILE" env:"-" help:"A new file for a tar of the root file system; - is standard output."`
}

// Run writes the files and prints nothing.
func (c *ImageExportCommand) Run(app *App) error {
	m, err := c.market()
	if err != nil {
		return err
	}
	found, err := m.image(app.Ctx, c.ID)
	if err != nil {
		return err
	}
	if found.State != images.StateAvailable {
		return &refusedCall{"InvalidAMIID.Unavailable", fmt.Sprintf("%s can't be exported: it is %s", c.ID, found.State)}
	}
	ref, err := m.reference(found.Location)
	if err != nil {
		return err
	}
	image, err := remote.Image(ref, remote.WithContext(app.Ctx), remote.WithAuth(m.login()))
	if err != nil {
		return fmt.Errorf("reading %s in the registry, where it lies with its owner %s: %w", c.ID, found.Owner, err)
	}
	bar := newProgress(app.Err)
	defer bar.end()
	if c.Oci != "" {
		return exportLayout(c.Oci, image, bar)
	}
	return c.exportRootFS(app, image, bar)
}

// exportLayout writes an OCI layout. A folder that this has made goes again
// where the layout does not become whole.
func exportLayout(dir string, image v1.Image, bar *progress) error {
	_, err := os.Stat(dir)
	made := errors.Is(err, fs.ErrNotExist)
	total, err := layerBytes(image)
	if err != nil {
		return err
	}
	bar.tell("writing", 0, total)
	err = images.ExportLayout(dir, image)
	if err != nil && made {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// layerBytes is the size of an image's layers as they are stored.
func layerBytes(image v1.Image) (total int64, err error) {
	manifest, err := image.Manifest()
	if err != nil {
		return 0, fmt.Errorf("reading the image: %w", err)
	}
	for _, l := range manifest.Layers {
		total += l.Size
	}
	return total, nil
}

// exportRootFS writes the archive beside its place first: what is there under
// the name is whole.
func (c *ImageExportCommand) exportRootFS(app *App, image v1.Image, bar *progress) (err error) {
	write := func(w io.Writer) error {
		return images.ExportRootFS(app.Ctx, &counted{w: w, tell: func(n int64) { bar.tell("writing", n, 0) }}, image, images.Limits{})
	}
	if c.Rootfs == "-" {
		return write(app.Out)
	}
	_, err = os.Lstat(c.Rootfs)
	if err == nil {
		return fmt.Errorf("%s is there already: give the name of a new file", c.Rootfs)
	}
	f, err := os.CreateTemp(filepath.Dir(c.Rootfs), "."+filepath.Base(c.Rootfs)+"-")
	if err != nil {
		return fmt.Errorf("exporting %s: %w", c.ID, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	err = errors.Join(write(f), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), c.Rootfs)
}

// counted counts what is written.
type counted struct {
	w    io.Writer
	n    int64
	tell func(int64)
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.tell(c.n)
	return n, err
}

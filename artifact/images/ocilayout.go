package images

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"souk/artifact/archive"
)

// layout reads an OCI layout that lies in a folder ("OCI Image Layout
// Specification").
func (s *Source) layout(ctx context.Context, dir string, o Options) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	s.close = append(s.close, root.Close)
	f := folder{root}
	b, err := f.read("oci-layout", maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return bad("it is no OCI layout: it has no file oci-layout")
	}
	if err != nil {
		return err
	}
	var is struct {
		Version string `json:"imageLayoutVersion"`
	}
	err = json.Unmarshal(b, &is)
	if err != nil || is.Version != "1.0.0" {
		return bad("oci-layout has the version %q, not 1.0.0", is.Version)
	}
	index, err := f.read("index.json", maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return bad("it has no file index.json")
	}
	if err != nil {
		return err
	}
	all, err := newChoice(func(d v1.Descriptor) (string, []byte, error) {
		b, err := f.blob(d, maxManifest)
		return string(d.MediaType), b, err
	}).images(index, 0)
	if err != nil {
		return asBad(err)
	}
	p, err := pick(all, o, func(d v1.Descriptor) ([]byte, error) { return f.blob(d, maxConfig) })
	if err != nil {
		return err
	}
	var layers []*blob
	for _, d := range p.manifest.Layers {
		name := blobPath(d.Digest)
		_, err := f.regular(name)
		if errors.Is(err, fs.ErrNotExist) {
			return bad("the layer %s is not there", d.Digest)
		}
		if err != nil {
			return err
		}
		layers = append(layers, &blob{digest: d.Digest, size: d.Size, mediaType: d.MediaType, open: func() (io.ReadCloser, error) { return f.open(name) }})
	}
	return s.verified(ctx, p, layers, o)
}

// verified checks the layers of a picked image and makes it the source's.
func (s *Source) verified(ctx context.Context, p picked, layers []*blob, o Options) error {
	err := s.check(ctx, layers, p.config.RootFS.DiffIDs, o)
	if err != nil {
		return err
	}
	return s.finish(p.architecture, p.payload, p.rawConfig, layers)
}

// asBad marks an error of a manifest as the image's own, if it isn't yet and if
// it is not the disk's or the network's.
func asBad(err error) error {
	var disk *fs.PathError
	if errors.Is(err, ErrBadImage) || errors.As(err, &disk) {
		return err
	}
	return bad("%w", err)
}

// picked is the one image that is meant.
type picked struct {
	payload      []byte
	manifest     *v1.Manifest
	rawConfig    []byte
	config       *v1.ConfigFile
	architecture string
}

// pick finds the one image of the architecture. read reads a config.
func pick(all []found, o Options, read func(v1.Descriptor) ([]byte, error)) (picked, error) {
	var fit []picked
	var has []string
	for _, f := range all {
		m, err := parseManifest(f.payload, o.Limits.Layers)
		if err != nil {
			return picked{}, bad("manifest %s: %w", f.digest, err)
		}
		raw, err := read(m.Config)
		if err != nil {
			return picked{}, err
		}
		config, err := parseConfig(raw, len(m.Layers))
		if err != nil {
			return picked{}, bad("manifest %s: %w", f.digest, err)
		}
		has = append(has, platformOf(config.OS, config.Architecture))
		is, ok := fits(config.OS, config.Architecture, o.Architecture)
		if ok {
			fit = append(fit, picked{f.payload, m, raw, config, is})
		}
	}
	switch len(fit) {
	case 0:
		if len(has) == 0 {
			return picked{}, bad("it has no images")
		}
		return picked{}, unfit(has, o.Architecture)
	case 1:
		return fit[0], nil
	}
	return picked{}, bad("it has %d images for linux on %s; take a source of one", len(fit), wanted(o.Architecture))
}

// blobPath is where a layout has a blob.
func blobPath(digest v1.Hash) string { return path.Join("blobs", digest.Algorithm, digest.Hex) }

// folder is a layout's folder. Nothing outside of it is read, and no link.
type folder struct{ root *os.Root }

// regular says that a file is one, not a link or a pipe.
func (f folder) regular(name string) (fs.FileInfo, error) {
	info, err := f.root.Lstat(name)
	var system syscall.Errno
	if err != nil && !errors.As(err, &system) {
		return nil, bad("%v", err) // the root's own: a folder on the way links outside
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, bad("%s is no regular file but %s", name, info.Mode().Type())
	}
	return info, nil
}

func (f folder) open(name string) (*os.File, error) {
	before, err := f.regular(name)
	if err != nil {
		return nil, err
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, err
	}
	after, err := file.Stat()
	if err == nil && !os.SameFile(before, after) {
		err = bad("%s was replaced while it was opened", name)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func (f folder) read(name string, max int64) ([]byte, error) {
	file, err := f.open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := readLimited(file, max)
	var disk *fs.PathError
	if err != nil && !errors.As(err, &disk) {
		err = bad("%s: %w", name, err)
	}
	return b, err
}

// blob reads a small blob and checks that it is the one that is meant.
func (f folder) blob(d v1.Descriptor, max int64) ([]byte, error) {
	if !digestPattern.MatchString(d.Digest.String()) {
		return nil, bad("the digest %q is not sha256: and 64 hexadecimal digits", d.Digest)
	}
	b, err := f.read(blobPath(d.Digest), max)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, bad("the blob %s is not there", d.Digest)
	}
	if err != nil {
		return nil, err
	}
	return b, isMeant(b, d)
}

// isMeant says whether bytes are those of a descriptor.
func isMeant(b []byte, d v1.Descriptor) error {
	sum := newSum()
	sum.Write(b)
	if sum.hash() != d.Digest {
		return bad("the blob %s has other content: it is %s", d.Digest, sum.hash())
	}
	if int64(len(b)) != d.Size {
		return bad("the blob %s has %d bytes, its descriptor says %d", d.Digest, len(b), d.Size)
	}
	return nil
}

var blobName = regexp.MustCompile(`^blobs/sha256/[0-9a-f]{64}$`)

// layoutArchive unpacks an archive of a layout, its blobs and two more files
// alone, and reads that.
func (s *Source) layoutArchive(ctx context.Context, f io.ReadSeeker, size int64, o Options) error {
	dir, err := s.temp(o)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	err = root.MkdirAll("blobs/sha256", 0o700)
	if err != nil {
		return err
	}
	err = o.unpack(ctx, f, size, func(h *tar.Header, data io.Reader) error {
		isBlob := blobName.MatchString(h.Name)
		if !isBlob && h.Name != "index.json" && h.Name != "oci-layout" {
			return nil
		}
		if h.Typeflag != tar.TypeReg {
			return bad("%s is no regular file", h.Name)
		}
		return writeFile(root, h.Name, data)
	})
	if err != nil {
		return err
	}
	return s.layout(ctx, dir, o)
}

// unpack reads an archive again, from its start.
func (o Options) unpack(ctx context.Context, f io.ReadSeeker, size int64, each func(h *tar.Header, data io.Reader) error) error {
	_, err := f.Seek(0, io.SeekStart)
	if err != nil {
		return err
	}
	left := budget{o.Limits.Archive}
	_, err = left.layer(ctx, o.watch("unpacking", size, f), nil, each)
	var r *archive.Refusal
	if errors.As(err, &r) {
		return bad("%w", err)
	}
	return err
}

// writeFile writes a file that is not there yet.
func writeFile(root *os.Root, name string, data io.Reader) error {
	to, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, data)
	err = errors.Join(err, to.Close())
	if err != nil {
		return fmt.Errorf("unpacking %s: %w", name, err)
	}
	return nil
}

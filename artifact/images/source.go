package images

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"souk/artifact/archive"
)

// Options says how Open reads a source.
type Options struct {
	// Architecture, x86_64 or arm64, picks one of several images, and is that of
	// a root file system; "" is the only one there is, or what its programs are for.
	Architecture string
	// Remote is how a registry is talked to: credentials, transport.
	Remote []remote.Option
	// Insecure talks to registries by http.
	Insecure bool
	// Temp is where what must be unpacked lies until Close; "" is the system's own place.
	Temp   string
	Limits Limits
	// Progress, if set, is told how far a step ("checking", "unpacking",
	// "compressing", "downloading") is, in bytes. One step follows another.
	Progress func(step string, done, total int64)
}

// Kinds of a Source.
const (
	RootFS = "rootfs"   // a tar archive of a root file system
	OCI    = "oci"      // an OCI layout, a folder or an archive
	Docker = "docker"   // what docker save writes
	Remote = "registry" // a reference such as HOST/NAME:TAG
)

// Source is an image that was read, all of it checked: it is what its digests
// say, and its layers have nothing that artifact/archive refuses.
type Source struct {
	Kind         string
	Image        v1.Image // ready to be pushed until Close
	Architecture string   // x86_64 or arm64
	OS           OSRelease
	Size         int64 // bytes of its layers as they will be pushed
	close        []func() error
}

// Close removes what Open has unpacked.
func (s *Source) Close() error {
	var all []error
	for i := len(s.close) - 1; i >= 0; i-- {
		all = append(all, s.close[i]())
	}
	s.close = nil
	return errors.Join(all...)
}

// Open reads what an AMI can be imported from: a tar archive of a root file
// system, plain or compressed; an OCI layout, as a folder or an archive of one;
// a docker archive; or a registry reference. It writes below Options.Temp alone,
// under names of its own. What is refused is ErrBadImage, with the entry, layer
// or blob and the reason; an *archive.Refusal is in it if an archive was the
// reason. Errors of the file system and the network are as they come.
func Open(ctx context.Context, source string, o Options) (*Source, error) {
	o.Limits = o.Limits.orDefaults()
	if o.Architecture != "" && o.Architecture != X8664 && o.Architecture != ARM64 {
		return nil, &Invalid{"Architecture", o.Architecture, "it is x86_64 or arm64"}
	}
	s := &Source{}
	var err error
	info, missing := os.Stat(source)
	switch {
	case errors.Is(missing, fs.ErrNotExist) && isReference(source):
		err = s.pull(ctx, source, o)
	case missing != nil:
		err = missing
		if errors.Is(missing, fs.ErrNotExist) {
			err = fmt.Errorf("%w (and a registry reference is HOST/NAME:TAG)", missing)
		}
	case info.IsDir():
		err = s.layout(ctx, source, o)
		s.Kind = OCI
	case info.Mode().IsRegular():
		err = s.file(ctx, source, info.Size(), o)
	default:
		err = fmt.Errorf("%w: it is neither a file nor a folder", ErrBadImage)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", source, err), s.Close())
	}
	return s, nil
}

// isReference says whether a source names a registry's host. One without is
// taken for the name of a file: nobody means the Docker Hub by a typing error.
func isReference(source string) bool {
	host, _, ok := strings.Cut(source, "/")
	if !ok || !strings.ContainsAny(host, ".:") && host != "localhost" || strings.HasPrefix(host, ".") {
		return false
	}
	_, err := name.ParseReference(source)
	return err == nil
}

// temp makes a folder that Close removes.
func (s *Source) temp(o Options) (string, error) {
	dir, err := os.MkdirTemp(o.Temp, "souk-image-")
	if err != nil {
		return "", err
	}
	s.close = append(s.close, func() error { return os.RemoveAll(dir) })
	return dir, nil
}

// bad is a refusal of what a source is.
func bad(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrBadImage}, args...)...)
}

// refused marks an archive's refusal as one of the image; others stay.
func refused(what string, err error) error {
	var r *archive.Refusal
	if errors.As(err, &r) {
		return bad("%s%w", what, err)
	}
	return fmt.Errorf("%s%w", what, err)
}

// contents is what a first look through a file has found.
type contents struct {
	layout   bool   // it has an oci-layout
	manifest []byte // its manifest.json; nil if it has none
	links    map[string]string
	releases releases
	machine  elf.Machine // of its first program
}

// entry takes notice of an entry of the file.
func (c *contents) entry(h *tar.Header, data io.Reader) error {
	switch {
	case h.Name == "oci-layout":
		c.layout = true
	case h.Name == "manifest.json" && h.Typeflag == tar.TypeReg:
		b, err := readLimited(data, maxManifest)
		if err != nil {
			return bad("manifest.json: %w", err)
		}
		c.manifest = b
	case h.Typeflag == tar.TypeSymlink && path.Base(h.Name) == "layer.tar":
		// Older versions of docker save wrote a layer once and linked to it.
		c.links[h.Name] = path.Join(path.Dir(h.Name), h.Linkname)
	case h.Typeflag == tar.TypeLink && path.Base(h.Name) == "layer.tar":
		c.links[h.Name] = h.Linkname
	case h.Typeflag == tar.TypeReg && c.machine == elf.EM_NONE && h.Mode&0o111 != 0:
		var head [20]byte
		n, err := io.ReadFull(data, head[:])
		if err == nil && string(head[:4]) == elf.ELFMAG && head[5] == byte(elf.ELFDATA2LSB) {
			c.machine = elf.Machine(binary.LittleEndian.Uint16(head[18:]))
		} else if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return err
		}
		// It may be an os-release file that somebody may run: read it from its beginning.
		data = io.MultiReader(bytes.NewReader(head[:n]), data)
	}
	return c.releases.entry(h, data)
}

// file reads a file: an archive of one of three kinds.
func (s *Source) file(ctx context.Context, source string, size int64, o Options) error {
	f, err := os.Open(source)
	if err != nil {
		return err
	}
	defer f.Close()
	c := contents{links: map[string]string{}}
	c.releases.next()
	b := budget{o.Limits.Archive}
	sum := newSum()
	in := io.TeeReader(o.watch("checking", size, f), sum)
	got, err := b.layer(ctx, in, nil, c.entry)
	if err != nil {
		return refused("", err)
	}
	switch {
	case c.layout:
		s.Kind = OCI
		return s.layoutArchive(ctx, f, size, o)
	case c.manifest != nil:
		s.Kind = Docker
		return s.dockerArchive(ctx, f, size, c, o)
	}
	s.Kind = RootFS
	s.OS = c.releases.release()
	err = c.releases.rooted()
	if err != nil {
		return err
	}
	arch := o.Architecture
	switch is := map[elf.Machine]string{elf.EM_X86_64: X8664, elf.EM_AARCH64: ARM64}[c.machine]; {
	case arch == "" && is == "":
		return bad("its programs are for neither x86_64 nor arm64; say which architecture it has")
	case arch == "":
		arch = is
	case is != "" && arch != is:
		return bad("its programs are for %s, not for %s", is, arch)
	}
	l := &blob{diffID: mustHash(got.diffID), digest: sum.hash(), size: got.packed, open: func() (io.ReadCloser, error) { return os.Open(source) }}
	l.mediaType, err = compression(f)
	if err != nil {
		return err
	}
	if l.mediaType == "" {
		l, err = s.compress(ctx, l, size, o)
		if err != nil {
			return err
		}
	}
	return s.build(arch, &v1.ConfigFile{OS: "linux", RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{l.diffID}}}, nil, []*blob{l})
}

// compression is the media type of a layer that lies in a file as it can be
// pushed; "" if it is to be compressed first.
func compression(f io.ReaderAt) (types.MediaType, error) {
	var magic [4]byte
	_, err := f.ReadAt(magic[:], 0)
	switch {
	case err != nil && err != io.EOF:
		return "", err
	case magic[0] == 0x1f && magic[1] == 0x8b:
		return types.OCILayer, nil
	case magic == [4]byte{0x28, 0xb5, 0x2f, 0xfd}:
		return types.OCILayerZStd, nil
	}
	return "", nil
}

// build makes the image of layers. raw is its config as it came; nil makes one.
func (s *Source) build(arch string, config *v1.ConfigFile, raw []byte, layers []*blob) error {
	var err error
	if raw == nil {
		config.Architecture = map[string]string{X8664: "amd64", ARM64: "arm64"}[arch]
		raw, err = json.Marshal(config)
		if err != nil {
			return err
		}
	}
	sum := newSum()
	sum.Write(raw)
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: v1.Descriptor{MediaType: types.OCIConfigJSON, Size: int64(len(raw)), Digest: sum.hash()}}
	for _, l := range layers {
		m.Layers = append(m.Layers, v1.Descriptor{MediaType: l.mediaType, Size: l.size, Digest: l.digest})
	}
	manifest, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return s.finish(arch, manifest, raw, layers)
}

// watch tells Progress how far a reader is.
func (o Options) watch(step string, total int64, r io.Reader) io.Reader {
	if o.Progress == nil {
		return r
	}
	o.Progress(step, 0, total)
	return &watched{r: r, tell: func(done int64) { o.Progress(step, done, total) }}
}

type watched struct {
	r    io.Reader
	done int64
	tell func(int64)
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	w.done += int64(n)
	if n > 0 {
		w.tell(w.done)
	}
	return n, err
}

// in is the path of a file that was unpacked, under a name of ours.
func in(dir string, n int) string { return filepath.Join(dir, fmt.Sprintf("%06d", n)) }

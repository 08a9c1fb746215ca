package component

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"souk/artifact/archive"
	"souk/artifact/registry"
	"souk/catalog/change"
)

// manifest is what is read of an OCI image manifest.
type manifest struct {
	Layers []struct {
		Digest      string            `json:"digest"`
		Size        int64             `json:"size"`
		Annotations map[string]string `json:"annotations"`
	} `json:"layers"`
	Manifests []json.RawMessage `json:"manifests"`
}

// How oras writes a layer that is one file: its name, and whether it is an
// archive (of a folder of that name) rather than the file itself.
const (
	titleAnnotation  = "org.opencontainers.image.title"
	unpackAnnotation = "io.deis.oras.content.unpack"
)

var digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// resolve finds the artefact that a tag FilesTag names, in a repository of the
// account, and pins it to its digest. ErrBadFiles.
func (m *Components) resolve(ctx context.Context, account, reference string) (Files, error) {
	if reference == "" {
		return Files{}, nil
	}
	ref, ok := m.parse(reference)
	if !ok {
		return Files{}, bad("%q is no NAMESPACE/NAME:TAG and no NAMESPACE/NAME@DIGEST of this registry", reference)
	}
	owner, err := m.config.Registry.Owner(ctx, ref.Repository)
	if errors.Is(err, change.ErrImageNotFound) || err == nil && owner != account {
		return Files{}, bad("the account has no repository %s", ref.Repository)
	}
	if err != nil {
		return Files{}, fmt.Errorf("looking for the files %s: %w", reference, err)
	}
	f := Files{Repository: ref.Repository, Digest: ref.Digest}
	if f.Digest == "" {
		tag := ref.Tag
		if tag == "" {
			tag = "latest"
		}
		f.Digest, err = m.config.Registry.Current(ctx, ref.Repository, tag)
		if err != nil {
			return Files{}, fmt.Errorf("looking for the files %s: %w", reference, err)
		}
		if f.Digest == "" {
			return Files{}, bad("%s has no tag %s", ref.Repository, tag)
		}
	}
	is, err := m.manifest(ctx, f.Repository, f.Digest)
	if err != nil {
		return Files{}, err
	}
	for _, l := range is.Layers {
		f.Size += l.Size
	}
	// All of it is read now, so that a component whose files can't be unpacked is
	// never listed.
	err = m.each(ctx, f.Repository, is, nowhere{})
	if err != nil {
		return Files{}, err
	}
	return f, nil
}

// parse reads a reference, with or without the registry's host.
func (m *Components) parse(reference string) (change.ImageRef, bool) {
	ref, ok := m.config.Registry.Parse(reference)
	if !ok {
		ref, ok = m.config.Registry.Parse(registry.Host + "/" + reference)
	}
	return ref, ok
}

// manifest reads the manifest of files. ErrBadFiles.
func (m *Components) manifest(ctx context.Context, repository, digest string) (manifest, error) {
	if !digestPattern.MatchString(digest) {
		return manifest{}, bad("%q is no digest", digest)
	}
	_, payload, err := m.config.Registry.Manifest(ctx, repository, digest)
	if errors.Is(err, change.ErrImageNotFound) {
		return manifest{}, bad("%s@%s is not there", repository, digest)
	}
	if err != nil {
		return manifest{}, fmt.Errorf("reading the files %s@%s: %w", repository, digest, err)
	}
	var is manifest
	err = json.Unmarshal(payload, &is)
	switch {
	case err != nil:
		return manifest{}, bad("the manifest of %s@%s can't be read: %v", repository, digest, err)
	case len(is.Manifests) > 0:
		return manifest{}, bad("%s@%s is an index of several images: name one of them", repository, digest)
	case len(is.Layers) == 0:
		return manifest{}, bad("%s@%s has no layers", repository, digest)
	case len(is.Layers) > m.config.Limits.Layers:
		return manifest{}, bad("%s@%s has %d layers, more than %d", repository, digest, len(is.Layers), m.config.Limits.Layers)
	}
	return is, nil
}

// sink takes the entries of files, one after the other.
type sink interface {
	directory(name string) error
	file(name string, mode fs.FileMode, r io.Reader) error
	symlink(name, target string) error
	link(name, target string) error
}

// each gives every entry of all layers to a sink, the lowest layer first, within
// the limits of all together. What no file of an installer is is refused. ErrBadFiles.
func (m *Components) each(ctx context.Context, repository string, is manifest, to sink) error {
	left := m.config.Limits.Archive
	for _, l := range is.Layers {
		if left.Bytes <= 0 || left.Entries <= 0 {
			return bad("they are more than %d bytes or %d entries", m.config.Limits.Archive.Bytes, m.config.Limits.Archive.Entries)
		}
		blob, err := m.config.Registry.Blob(ctx, repository, l.Digest)
		if errors.Is(err, change.ErrImageNotFound) {
			return bad("layer %s is not there", l.Digest)
		}
		if err != nil {
			return fmt.Errorf("opening the files %s@%s: %w", repository, l.Digest, err)
		}
		// What a manifest says of sizes is its writer's word, and limits rest on it.
		size, err := blob.Seek(0, io.SeekEnd)
		if err == nil {
			_, err = blob.Seek(0, io.SeekStart)
		}
		if err == nil && size != l.Size {
			err = bad("layer %s has %d bytes, and its manifest says %d", l.Digest, size, l.Size)
		}
		if err != nil {
			blob.Close()
			return fmt.Errorf("reading the files %s@%s: %w", repository, l.Digest, err)
		}
		if title := l.Annotations[titleAnnotation]; title != "" && l.Annotations[unpackAnnotation] != "true" {
			err = single(title, l.Size, blob, &left, to)
		} else {
			err = layer(ctx, blob, &left, to)
		}
		blob.Close()
		var refused *archive.Refusal
		if errors.As(err, &refused) {
			return bad("layer %s: %v", l.Digest, refused)
		}
		if err != nil {
			return fmt.Errorf("reading the files %s@%s: %w", repository, l.Digest, err)
		}
	}
	return nil
}

// single is a layer that is one file, as oras pushes it.
func single(name string, size int64, r io.Reader, left *archive.Limits, to sink) error {
	name = path.Clean(name)
	if !fs.ValidPath(name) || name == "." || len(name) > 255 || strings.ContainsRune(name, 0) {
		return bad("%q is no name of a file", name)
	}
	if size > left.File || size > left.Bytes {
		return bad("file %s has %d bytes, more than it may", name, size)
	}
	left.Entries--
	left.Bytes -= size
	return to.file(name, 0o644, io.LimitReader(r, size))
}

// layer is a layer that is an archive; what it needs is taken from the limits.
func layer(ctx context.Context, r io.Reader, left *archive.Limits, to sink) error {
	a, err := archive.New(r, *left)
	if err != nil {
		return err
	}
	defer a.Close()
	for {
		h, err := a.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		left.Entries--
		left.Bytes -= h.Size
		name := h.Name
		if strings.HasPrefix(path.Base(name), ".wh.") {
			continue // a whiteout of an image that was made in steps
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = to.directory(name)
		case tar.TypeSymlink:
			if path.IsAbs(h.Linkname) {
				return bad("entry %q: symbolic link to %q leaves the files", name, h.Linkname)
			}
			err = to.symlink(name, h.Linkname)
		case tar.TypeLink:
			err = to.link(name, h.Linkname)
		default: // the reader lets nothing through but regular files
			err = to.file(name, h.FileInfo().Mode().Perm(), a)
		}
		if err != nil {
			return err
		}
	}
}

// nowhere is a sink that reads everything and keeps nothing but what stands
// where, so that what a folder would refuse is refused: a name that is too long, a
// file below a file, a hard link to nothing. What lies behind links is left to the
// folder.
type nowhere map[string]byte

// put takes notice of an entry.
func (n nowhere) put(name string, kind byte) error {
	for above, behind := name, false; above != "." && !behind; above = path.Dir(above) {
		if len(path.Base(above)) > maxName {
			return bad("entry %q: its name has more than %d bytes", name, maxName)
		}
		if above == name {
			continue
		}
		if n[above] == tar.TypeReg {
			return bad("entry %q: %q is no folder", name, above)
		}
		behind = n[above] == tar.TypeSymlink
	}
	n[name] = kind
	return nil
}

// maxName is how long the name of a file or folder may be on Linux.
const maxName = 255

func (n nowhere) directory(name string) error  { return n.put(name, tar.TypeDir) }
func (n nowhere) symlink(name, _ string) error { return n.put(name, tar.TypeSymlink) }

func (n nowhere) link(name, target string) error {
	behind := false
	for above := path.Dir(target); above != "."; above = path.Dir(above) {
		behind = behind || n[above] == tar.TypeSymlink
	}
	if !behind && n[target] != tar.TypeReg {
		return bad("entry %q: hard link to %q, which is no file before it", name, target)
	}
	return n.put(name, tar.TypeReg)
}

func (n nowhere) file(name string, _ fs.FileMode, r io.Reader) error {
	err := n.put(name, tar.TypeReg)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return err
}

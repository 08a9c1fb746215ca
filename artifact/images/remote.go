package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// pull downloads what a registry reference names and checks it.
func (s *Source) pull(ctx context.Context, source string, o Options) error {
	s.Kind = Remote
	var how []name.Option
	if o.Insecure {
		how = append(how, name.Insecure)
	}
	ref, err := name.ParseReference(source, how...)
	if err != nil {
		return err
	}
	options := append([]remote.Option{remote.WithContext(ctx)}, o.Remote...)
	got, err := remote.Get(ref, options...)
	if err != nil {
		return err
	}
	r := repository{ref.Context(), options}
	all := []found{{got.Digest.String(), got.Manifest}}
	if isIndex(string(got.MediaType), got.Manifest) {
		// Its own errors are about what the index says; the network's pass.
		c := newChoice(r.manifest)
		all, err = c.images(got.Manifest, 0)
		if err != nil {
			var failed *downloadError
			if errors.As(err, &failed) {
				return failed.err
			}
			return asBad(err)
		}
	}
	p, err := pick(all, o, func(d v1.Descriptor) ([]byte, error) { return r.small(d, maxConfig) })
	if err != nil {
		return err
	}
	dir, err := s.temp(o)
	if err != nil {
		return err
	}
	layers, err := r.layers(ctx, dir, p.manifest.Layers, o)
	if err != nil {
		return err
	}
	return s.verified(ctx, p, layers, o)
}

// downloadError is an error of the network, not of what came over it.
type downloadError struct{ err error }

func (e *downloadError) Error() string { return e.err.Error() }
func (e *downloadError) Unwrap() error { return e.err }

// repository is a repository of another registry.
type repository struct {
	name    name.Repository
	options []remote.Option
}

func (r repository) manifest(d v1.Descriptor) (string, []byte, error) {
	got, err := remote.Get(r.name.Digest(d.Digest.String()), r.options...)
	if err != nil {
		return "", nil, &downloadError{err}
	}
	return string(got.MediaType), got.Manifest, nil
}

// open opens a blob as it is stored.
func (r repository) open(d v1.Descriptor) (io.ReadCloser, error) {
	l, err := remote.Layer(r.name.Digest(d.Digest.String()), r.options...)
	if err != nil {
		return nil, err
	}
	return l.Compressed()
}

// small reads a blob that fits in memory.
func (r repository) small(d v1.Descriptor, max int64) ([]byte, error) {
	from, err := r.open(d)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	b, err := readLimited(from, max)
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", d.Digest, err)
	}
	return b, isMeant(b, d)
}

// layers downloads layers to files. Their digests are checked when they are read.
func (r repository) layers(ctx context.Context, dir string, all []v1.Descriptor, o Options) ([]*blob, error) {
	var total, done int64
	for _, d := range all {
		total += d.Size
	}
	if total > o.Limits.Archive.Bytes {
		return nil, bad("its layers have %d bytes, at most %d", total, o.Limits.Archive.Bytes)
	}
	files := map[v1.Hash]*blob{}
	var layers []*blob
	for n, d := range all {
		if b := files[d.Digest]; b != nil {
			layers = append(layers, b)
			continue
		}
		before, to := done, in(dir, n)
		watched := o
		if o.Progress != nil {
			watched.Progress = func(step string, now, _ int64) { o.Progress(step, before+now, total) }
		}
		err := r.download(ctx, d, to, watched)
		if err != nil {
			return nil, fmt.Errorf("downloading layer %s: %w", d.Digest, err)
		}
		done += d.Size
		files[d.Digest] = &blob{digest: d.Digest, size: d.Size, mediaType: d.MediaType, open: func() (io.ReadCloser, error) { return os.Open(to) }}
		layers = append(layers, files[d.Digest])
	}
	return layers, nil
}

func (r repository) download(ctx context.Context, d v1.Descriptor, to string, o Options) error {
	from, err := r.open(d)
	if err != nil {
		return err
	}
	defer from.Close()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(&interrupted{ctx, o.watch("downloading", d.Size, from)}, d.Size+1))
	if err == nil && n > d.Size {
		err = bad("it has more than the %d bytes that the manifest says", d.Size)
	}
	return errors.Join(err, f.Close())
}

package images

import (
	"archive/tar"
	"context"
	"encoding/json"
	"io"
	"os"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// saved is an image of a docker archive's manifest.json.
type saved struct {
	Config       string
	RepoTags     []string
	Layers       []string
	LayerSources map[string]v1.Descriptor
}

// dockerArchive unpacks what the manifest.json of a docker archive names, under
// names of our own, and makes an image of it.
func (s *Source) dockerArchive(ctx context.Context, f io.ReadSeeker, size int64, c contents, o Options) error {
	var all []saved
	err := json.Unmarshal(c.manifest, &all)
	if err != nil {
		return bad("manifest.json is no JSON of one: %w", err)
	}
	if len(all) != 1 {
		return bad("manifest.json has %d images; save one", len(all))
	}
	image := all[0]
	if len(image.Layers) == 0 {
		return bad("manifest.json names no layers")
	}
	if len(image.Layers) > o.Limits.Layers {
		return bad("it has %d layers, at most %d", len(image.Layers), o.Limits.Layers)
	}
	for _, d := range image.LayerSources {
		if len(d.URLs) > 0 || !d.MediaType.IsDistributable() {
			return bad("layer %s is foreign: it is to be fetched from elsewhere", d.Digest)
		}
	}
	wanted := map[string]string{} // entry -> the file that it is unpacked to
	place := func(name string) (string, error) {
		if name == "" || strings.HasPrefix(name, "/") || strings.Contains("/"+name+"/", "/../") {
			return "", bad("manifest.json names %q, which is outside of the archive", name)
		}
		entry := path.Clean(name)
		for range maxHops {
			to, linked := c.links[entry]
			if !linked {
				break
			}
			entry = to
		}
		if wanted[entry] == "" {
			wanted[entry] = in("", len(wanted))
		}
		return entry, nil
	}
	config, err := place(image.Config)
	if err != nil {
		return err
	}
	var names []string
	for _, l := range image.Layers {
		entry, err := place(l)
		if err != nil {
			return err
		}
		names = append(names, entry)
	}

	dir, err := s.temp(o)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	s.close = append(s.close, root.Close)
	unpacked := map[string]int64{}
	err = o.unpack(ctx, f, size, func(h *tar.Header, data io.Reader) error {
		to := wanted[h.Name]
		if to == "" {
			return nil
		}
		if h.Typeflag != tar.TypeReg {
			return bad("%s is no regular file", h.Name)
		}
		unpacked[h.Name] = h.Size
		return writeFile(root, to, data)
	})
	if err != nil {
		return err
	}
	for entry := range wanted {
		if _, ok := unpacked[entry]; !ok {
			return bad("manifest.json names %q, which is not there", entry)
		}
	}
	return s.docker(ctx, folder{root}, wanted, unpacked, config, names, o)
}

// docker makes an image of the files of a docker archive.
func (s *Source) docker(ctx context.Context, f folder, files map[string]string, sizes map[string]int64, config string, names []string, o Options) error {
	raw, err := f.read(files[config], maxConfig)
	if err != nil {
		return err
	}
	parsed, err := parseConfig(raw, len(names))
	if err != nil {
		return bad("%s: %w", config, err)
	}
	arch, ok := fits(parsed.OS, parsed.Architecture, o.Architecture)
	if !ok {
		return unfit([]string{platformOf(parsed.OS, parsed.Architecture)}, o.Architecture)
	}
	left := budget{o.Limits.Archive}
	var merged releases
	var layers []*blob
	for n, entry := range names {
		what := "layer " + entry + ": "
		open := func() (io.ReadCloser, error) { return f.open(files[entry]) }
		file, err := f.open(files[entry])
		if err != nil {
			return err
		}
		merged.next()
		sum := newSum()
		got, err := left.layer(ctx, io.TeeReader(o.watch("checking", sizes[entry], file), sum), nil, merged.entry)
		var kind types.MediaType
		if err == nil {
			kind, err = compression(file)
		}
		file.Close()
		if err != nil {
			return refused(what, err)
		}
		if want := parsed.RootFS.DiffIDs[n].String(); got.diffID != want {
			return bad("%safter decompression it is %s, the config says %s", what, got.diffID, want)
		}
		l := &blob{digest: sum.hash(), diffID: parsed.RootFS.DiffIDs[n], size: got.packed, mediaType: kind, open: open}
		if kind == "" {
			l, err = s.compress(ctx, l, sizes[entry], o)
			if err != nil {
				return err
			}
		}
		layers = append(layers, l)
	}
	s.OS = merged.release()
	err = merged.rooted()
	if err != nil {
		return err
	}
	return s.build(arch, parsed, raw, layers)
}

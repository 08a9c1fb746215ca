package images

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Bounds of what describes an image (the registry's own bound of a manifest).
const (
	maxManifest  = 4 << 20
	maxConfig    = 4 << 20
	maxDepth     = 3   // of indexes in indexes
	maxManifests = 500 // of an index with all that are in it
)

var digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// parseManifest reads the manifest of an image of layers and refuses what none
// of ours has: layers that lie elsewhere, more than can be stacked, other types.
func parseManifest(payload []byte, maxLayers int) (*v1.Manifest, error) {
	var m v1.Manifest
	err := json.Unmarshal(payload, &m)
	if err != nil {
		return nil, fmt.Errorf("the manifest is no JSON of a manifest: %v", err)
	}
	if m.SchemaVersion != 2 {
		return nil, fmt.Errorf("the manifest has schemaVersion %d, not 2", m.SchemaVersion)
	}
	switch m.MediaType {
	case types.OCIManifestSchema1, types.DockerManifestSchema2, "":
	default:
		return nil, fmt.Errorf("the manifest has the media type %q", m.MediaType)
	}
	switch m.Config.MediaType {
	case types.OCIConfigJSON, types.DockerConfigJSON:
	default:
		return nil, fmt.Errorf("it is no image of a file system: its config has the media type %q", m.Config.MediaType)
	}
	if m.Config.Size < 0 || m.Config.Size > maxConfig {
		return nil, fmt.Errorf("the config has %d bytes, at most %d", m.Config.Size, maxConfig)
	}
	if len(m.Layers) > maxLayers {
		return nil, fmt.Errorf("it has %d layers, at most %d", len(m.Layers), maxLayers)
	}
	if len(m.Layers) == 0 {
		return nil, errors.New("it has no layers")
	}
	for i, d := range slices.Concat([]v1.Descriptor{m.Config}, m.Layers) {
		what := fmt.Sprintf("layer %d", i)
		if i == 0 {
			what = "the config"
		}
		switch {
		case !digestPattern.MatchString(d.Digest.String()):
			return nil, fmt.Errorf("%s has the digest %q, not sha256: and 64 hexadecimal digits", what, d.Digest)
		case d.Size < 0:
			return nil, fmt.Errorf("%s has %d bytes", what, d.Size)
		case len(d.URLs) > 0, !d.MediaType.IsDistributable():
			return nil, fmt.Errorf("%s is foreign: it is to be fetched from elsewhere", what)
		}
	}
	for i, d := range m.Layers {
		switch d.MediaType {
		case types.OCILayer, types.OCILayerZStd, types.OCIUncompressedLayer, types.DockerLayer, types.DockerUncompressedLayer:
		default:
			return nil, fmt.Errorf("layer %d has the media type %q", i+1, d.MediaType)
		}
	}
	return &m, nil
}

// parseConfig reads the config of an image and checks it against its manifest.
func parseConfig(raw []byte, layers int) (*v1.ConfigFile, error) {
	var c v1.ConfigFile
	err := json.Unmarshal(raw, &c)
	if err != nil {
		return nil, fmt.Errorf("the config is no JSON of an image's config: %v", err)
	}
	if len(c.RootFS.DiffIDs) != layers {
		return nil, fmt.Errorf("the config names %d layers, the manifest %d", len(c.RootFS.DiffIDs), layers)
	}
	return &c, nil
}

// isIndex says whether a manifest names others instead of layers.
func isIndex(mediaType string, payload []byte) bool {
	if mediaType == "" {
		var m struct {
			MediaType string
			Manifests []json.RawMessage
		}
		if json.Unmarshal(payload, &m) != nil {
			return false
		}
		mediaType = m.MediaType
		if mediaType == "" && m.Manifests != nil {
			return true
		}
	}
	return types.MediaType(mediaType).IsIndex()
}

// choice walks an index for the images that it has.
type choice struct {
	read func(d v1.Descriptor) (mediaType string, payload []byte, err error)
	seen map[string]bool
	left int
}

// found is an image of an index.
type found struct {
	digest  string
	payload []byte
}

func newChoice(read func(v1.Descriptor) (string, []byte, error)) *choice {
	return &choice{read, map[string]bool{}, maxManifests}
}

// images returns the images below an index that are meant to run somewhere.
// Attestations, which say "unknown/unknown", are none.
func (c *choice) images(payload []byte, depth int) ([]found, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("the index is nested deeper than %d", maxDepth)
	}
	var index v1.IndexManifest
	err := json.Unmarshal(payload, &index)
	if err != nil {
		return nil, fmt.Errorf("the index is no JSON of an index: %v", err)
	}
	var all []found
	for _, d := range index.Manifests {
		digest := d.Digest.String()
		switch {
		case !digestPattern.MatchString(digest):
			return nil, fmt.Errorf("the index names the digest %q", digest)
		case len(d.URLs) > 0:
			return nil, fmt.Errorf("the index names the manifest %s, which is to be fetched from elsewhere", digest)
		case d.Platform != nil && d.Platform.OS == "unknown":
			continue
		}
		if c.seen[digest] {
			if d.MediaType.IsIndex() {
				return nil, fmt.Errorf("the index names the index %s twice: a loop", digest)
			}
			continue
		}
		c.seen[digest] = true
		c.left--
		if c.left < 0 {
			return nil, fmt.Errorf("the index has more than %d manifests", maxManifests)
		}
		mediaType, payload, err := c.read(d)
		if err != nil {
			return nil, err
		}
		if isIndex(mediaType, payload) {
			below, err := c.images(payload, depth+1)
			if err != nil {
				return nil, err
			}
			all = append(all, below...)
			continue
		}
		all = append(all, found{digest, payload})
	}
	return all, nil
}

// architecture turns the name of OCI into that of EC2. ok is false for those
// that AMIs don't have.
func architecture(oci string) (ec2 string, ok bool) {
	ec2, ok = map[string]string{"amd64": X8664, "arm64": ARM64}[oci]
	return ec2, ok
}

// fits says for which architecture of AMIs an image is, if it is one that is
// wanted ("" is any). A config that says nothing of its platform, as simple tools
// write it, is of the architecture that is wanted.
func fits(os, oci, want string) (is string, ok bool) {
	is, ok = architecture(oci)
	if oci == "" {
		is, ok = want, want != ""
	}
	return is, ok && (os == "linux" || os == "") && (want == "" || want == is)
}

// unfit refuses images whose platforms are none that is wanted.
func unfit(has []string, want string) error {
	if want == "" && slices.Contains(has, platformOf("", "")) {
		return bad("its config does not say which architecture it is for")
	}
	return bad("it is for %s, not for linux on %s", strings.Join(has, ", "), wanted(want))
}

func wanted(architecture string) string {
	if architecture == "" {
		return X8664 + " or " + ARM64
	}
	return architecture
}

// platformOf is the platform of a config, for people.
func platformOf(os, architecture string) string {
	return cmp.Or(os, "unknown") + "/" + cmp.Or(architecture, "unknown")
}

// readLimited reads all of what may have at most max bytes.
func readLimited(r io.Reader, max int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, max+1))
	if err == nil && int64(len(b)) > max {
		err = fmt.Errorf("it has more than %d bytes", max)
	}
	return b, err
}

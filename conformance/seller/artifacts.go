package seller

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// DocumentedHost is the registry host that the documentation's image URIs have.
const DocumentedHost = "709825985650.dkr.ecr.us-east-1.amazonaws.com"

// Media types of Helm charts in OCI registries (helm.sh, "Use OCI-based registries").
const (
	chartConfig = types.MediaType("application/vnd.cncf.helm.config.v1+json")
	chartLayer  = types.MediaType("application/vnd.cncf.helm.chart.content.v1.tar+gzip")
)

// Remote are the options with which go-containerregistry speaks as this seller.
func (s *Seller) Remote(ctx context.Context) []remote.Option {
	transport := s.HTTP.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	return []remote.Option{
		remote.WithContext(ctx),
		remote.WithTransport(transport),
		remote.WithAuth(&authn.Basic{Username: s.AccessKeyID, Password: s.SecretAccessKey}),
		remote.WithJobs(2),
	}
}

// Push pushes an image under PATH:TAG of the endpoint's registry.
func (s *Seller) Push(ctx context.Context, path, tag string, image v1.Image) error {
	ref, err := name.ParseReference(s.Host()+"/"+path+":"+tag, name.Insecure)
	if err != nil {
		return fmt.Errorf("pushing %s:%s: %w", path, tag, err)
	}
	err = remote.Write(ref, image, s.Remote(ctx)...)
	if err != nil {
		return fmt.Errorf("pushing %s:%s: %w", path, tag, err)
	}
	return nil
}

// Image is a container image with a layer for each text, in which the text is a file.
func Image(texts ...string) (v1.Image, error) {
	var layers []map[string]string
	for i, text := range texts {
		layers = append(layers, map[string]string{fmt.Sprintf("layer-%d.txt", i+1): text})
	}
	return ImageOf(layers...)
}

// ImageOf is a container image with a layer for each set of files: their
// contents by name.
func ImageOf(layers ...map[string]string) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, files := range layers {
		layer, err := archive(files)
		if err != nil {
			return nil, err
		}
		// The config names a layer by the digest of what is packed in it.
		packed, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer)), nil }, tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return nil, fmt.Errorf("making an image: %w", err)
		}
		image, err = mutate.AppendLayers(image, packed)
		if err != nil {
			return nil, fmt.Errorf("making an image: %w", err)
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("making an image: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	image, err = mutate.ConfigFile(image, config)
	if err != nil {
		return nil, fmt.Errorf("making an image: %w", err)
	}
	return image, nil
}

// Chart is a Helm chart whose one deployment runs an image and reads the values
// HelmKeyName1, HelmKeyName2 and new.parameter.key: those that the
// documentation's examples override.
func Chart(chartName, version, image string) (v1.Image, error) {
	meta := fmt.Sprintf("apiVersion: v2\nname: %s\nversion: %s\ndescription: A chart of one deployment\n", chartName, version)
	values := fmt.Sprintf("image: %s\nHelmKeyName1: one\nHelmKeyName2: two\nnew:\n  parameter:\n    key: three\n", image)
	deployment := `apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  selector:
    matchLabels: {app: example}
  template:
    metadata:
      labels: {app: example}
    spec:
      containers:
      - name: example
        image: {{ .Values.image }}
        env:
        - {name: ONE, value: {{ .Values.HelmKeyName1 | quote }}}
        - {name: TWO, value: {{ .Values.HelmKeyName2 | quote }}}
        - {name: THREE, value: {{ .Values.new.parameter.key | quote }}}
`
	return ChartOf(chartName, version, map[string]string{
		chartName + "/Chart.yaml":                meta,
		chartName + "/values.yaml":               values,
		chartName + "/templates/deployment.yaml": deployment,
	})
}

// ChartOf packs the files of a Helm chart as helm push does.
func ChartOf(chartName, version string, files map[string]string) (v1.Image, error) {
	content, err := archive(files)
	if err != nil {
		return nil, err
	}
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	image = mutate.ConfigMediaType(image, chartConfig)
	image, err = mutate.Append(image, mutate.Addendum{
		Layer:     static.NewLayer(content, chartLayer),
		MediaType: chartLayer,
	})
	if err != nil {
		return nil, fmt.Errorf("packing chart %s-%s: %w", chartName, version, err)
	}
	return image, nil
}

// archive is a gzipped tar of files.
func archive(files map[string]string) ([]byte, error) {
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	t := tar.NewWriter(zip)
	for path, content := range files {
		err := t.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg})
		if err != nil {
			return nil, fmt.Errorf("packing %s: %w", path, err)
		}
		_, err = t.Write([]byte(content))
		if err != nil {
			return nil, fmt.Errorf("packing %s: %w", path, err)
		}
	}
	err := t.Close()
	if err != nil {
		return nil, fmt.Errorf("packing files: %w", err)
	}
	err = zip.Close()
	if err != nil {
		return nil, fmt.Errorf("packing files: %w", err)
	}
	return b.Bytes(), nil
}

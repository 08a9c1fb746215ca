package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// This file makes what the demo sells: a container image, its Helm chart and
// its logo. All three are made here and now, and are real: the image runs, the
// chart loads and renders, the logo is a picture.

// file is one file of a layer, a chart or a package; a folder if its name ends in a slash.
type file struct {
	name string
	mode int64
	body string
}

// tarOf packs files; the time is fixed, so that the same files have the same digest.
func tarOf(files []file) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		err := w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.body)), ModTime: demoTime})
		if err == nil {
			_, err = io.WriteString(w, f.body)
		}
		if err != nil {
			return nil, fmt.Errorf("packing %s: %w", f.name, err)
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// gzipped packs files and compresses them.
func gzipped(files []file) ([]byte, error) {
	packed, err := tarOf(files)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err = w.Write(packed)
	if err == nil {
		err = w.Close()
	}
	return b.Bytes(), err
}

var demoTime = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// demoImage builds a two-layer image for linux/amd64: the files of a base
// system, and a program that says hello. docker run prints its words.
func demoImage(version string) (v1.Image, error) {
	base := []file{
		{"etc/os-release", 0o644, "ID=acme\nNAME=\"Acme Base\"\nVERSION_ID=1\nPRETTY_NAME=\"Acme Base 1\"\n"},
		{"etc/passwd", 0o644, "root:x:0:0:root:/root:/sbin/nologin\nquery:x:1000:1000::/:/sbin/nologin\n"},
		{"etc/group", 0o644, "root:x:0:\nquery:x:1000:\n"},
	}
	app := []file{
		{"usr/local/bin/query", 0o755, string(helloProgram("Acme Query " + version + " is ready to answer.\n"))},
		{"usr/share/doc/query/README", 0o644, "Acme Query " + version + "\n"},
	}
	img := empty.Image
	for _, files := range [][]file{base, app} {
		packed, err := tarOf(files)
		if err != nil {
			return nil, err
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(packed)), nil
		}, tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return nil, fmt.Errorf("building a layer: %w", err)
		}
		img, err = mutate.AppendLayers(img, layer)
		if err != nil {
			return nil, fmt.Errorf("building the image: %w", err)
		}
	}
	img = mutate.MediaType(mutate.ConfigMediaType(img, types.OCIConfigJSON), types.OCIManifestSchema1)
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("building the image: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.Created = v1.Time{Time: demoTime}
	config.Config.Entrypoint = []string{"/usr/local/bin/query"}
	config.Config.User = "1000:1000"
	config.Config.Labels = map[string]string{"org.opencontainers.image.version": version}
	return mutate.ConfigFile(img, config)
}

// helloProgram is a whole static program for linux/amd64 that prints its words
// and ends: an ELF header, one segment, eleven instructions.
func helloProgram(words string) []byte {
	const (
		start   = 0x400000
		headers = 64 + 56
	)
	code := []byte{
		0xb8, 1, 0, 0, 0, // mov eax, 1 (write)
		0xbf, 1, 0, 0, 0, // mov edi, 1 (standard output)
		0x48, 0x8d, 0x35, 16, 0, 0, 0, // lea rsi, [rip+16] (the words)
		0xba, byte(len(words)), byte(len(words) >> 8), 0, 0, // mov edx, their length
		0x0f, 0x05, // syscall
		0xb8, 60, 0, 0, 0, // mov eax, 60 (exit)
		0x31, 0xff, // xor edi, edi
		0x0f, 0x05, // syscall
	}
	size := headers + len(code) + len(words)
	var b bytes.Buffer
	le := func(width int, values ...uint64) {
		for _, v := range values {
			for i := range width {
				b.WriteByte(byte(v >> (8 * i)))
			}
		}
	}
	b.WriteString("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))
	le(2, 2, 62)                                               // executable, x86-64
	le(4, 1)                                                   // version
	le(8, start+headers, 64, 0)                                // entry, program header, no sections
	le(4, 0)                                                   // flags
	le(2, 64, 56, 1, 64, 0, 0)                                 // sizes and counts of headers
	le(4, 1, 5)                                                // load, readable and executable
	le(8, 0, start, start, uint64(size), uint64(size), 0x1000) // from the whole file
	b.Write(code)
	b.WriteString(words)
	return b.Bytes()
}

// chartName is the chart's and the second repository's name.
const chartName = "query-chart"

// demoChart builds a Helm chart, as helm package does, that runs an image.
func demoChart(version, image string) ([]byte, error) {
	repository, tag := image[:strings.LastIndex(image, ":")], image[strings.LastIndex(image, ":")+1:]
	return gzipped([]file{
		{chartName + "/Chart.yaml", 0o644, "apiVersion: v2\nname: " + chartName + "\nversion: " + version + "\nappVersion: \"" + version + "\"\ntype: application\ndescription: Runs Acme Query.\n"},
		{chartName + "/values.yaml", 0o644, "replicas: 1\nimage:\n  repository: " + repository + "\n  tag: \"" + tag + "\"\n  pullPolicy: IfNotPresent\nlicense:\n  secret: \"\"\n"},
		{chartName + "/templates/deployment.yaml", 0o644, demoTemplate},
	})
}

const demoTemplate = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}-query
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels:
      app: {{ .Release.Name }}-query
  template:
    metadata:
      labels:
        app: {{ .Release.Name }}-query
    spec:
      containers:
        - name: query
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          env:
            - name: LICENSE_SECRET
              value: {{ .Values.license.secret | quote }}
`

// Media types under which helm push stores a chart.
const (
	helmConfigType  types.MediaType = "application/vnd.cncf.helm.config.v1+json"
	helmContentType types.MediaType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// chartArtifact wraps a packed chart in a manifest, as helm push does.
func chartArtifact(version string, packed []byte) (v1.Image, error) {
	config := []byte(`{"name":"` + chartName + `","version":"` + version + `","apiVersion":"v2","appVersion":"` + version + `","type":"application","description":"Runs Acme Query."}`)
	return wrapped(static.NewLayer(packed, helmContentType), helmConfigType, config, nil)
}

// wrapped wraps a layer in a manifest.
func wrapped(layer v1.Layer, configType types.MediaType, config []byte, annotations map[string]string) (v1.Image, error) {
	content, err := partial.Descriptor(layer)
	if err != nil {
		return nil, fmt.Errorf("wrapping a layer: %w", err)
	}
	content.Annotations = annotations
	digest, size, err := v1.SHA256(bytes.NewReader(config))
	if err != nil {
		return nil, fmt.Errorf("wrapping a layer: %w", err)
	}
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		Config:        v1.Descriptor{MediaType: configType, Size: size, Digest: digest},
		Layers:        []v1.Descriptor{*content},
	})
	if err != nil {
		return nil, fmt.Errorf("wrapping a layer: %w", err)
	}
	return partial.CompressedToImage(&artifact{manifest, config, layer})
}

// artifact is an OCI artifact of one layer, for partial.CompressedToImage.
type artifact struct {
	manifest, config []byte
	layer            v1.Layer
}

// RawManifest returns the manifest's bytes.
func (a *artifact) RawManifest() ([]byte, error) { return a.manifest, nil }

// RawConfigFile returns what the manifest has as its configuration.
func (a *artifact) RawConfigFile() ([]byte, error) { return a.config, nil }

// MediaType returns the manifest's type.
func (a *artifact) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// LayerByDigest returns the layer, which is the only one.
func (a *artifact) LayerByDigest(v1.Hash) (partial.CompressedLayer, error) { return a.layer, nil }

// demoLogo paints a logo: a PNG of a market's awning.
func demoLogo() ([]byte, error) {
	const size = 300
	picture := image.NewNRGBA(image.Rect(0, 0, size, size))
	stripes := []color.NRGBA{{0xc8, 0x4b, 0x31, 0xff}, {0xf7, 0xf0, 0xe0, 0xff}}
	for y := range size {
		for x := range size {
			c := color.NRGBA{0x2d, 0x42, 0x63, 0xff}
			column := x / 50
			arc := (x%50 - 25) * (x%50 - 25)
			if y < 120 || arc+(y-120)*(y-120) < 25*25 {
				c = stripes[column%2]
			} else if x > 60 && x < 240 && y > 190 {
				c = color.NRGBA{0xec, 0xdb, 0xba, 0xff}
			}
			picture.SetNRGBA(x, y, c)
		}
	}
	var b bytes.Buffer
	err := png.Encode(&b, picture)
	return b.Bytes(), err
}

// Package chart loads Helm charts that strangers made: what a chart is called,
// which values it has, and which images it runs. It installs nothing and
// speaks to no cluster.
package chart

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
	helm "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

// Bounds of a chart, in bytes.
const (
	maxUnpacked = 32 << 20 // all files of the archive
	maxRendered = 16 << 20 // all that the templates write
	maxReason   = 1000     // the text of an Invalid
)

// Chart is what a chart says of itself.
type Chart struct {
	Name    string
	Version string
	Values  map[string]any // its default values, those of its subcharts under their names
	Images  []string       // what it runs with these values: sorted, each once
}

// Invalid is the error of a chart that can't be used.
type Invalid struct{ Reason string }

func (e *Invalid) Error() string { return "chart can't be used: " + e.Reason }

func invalid(format string, args ...any) error {
	reason := fmt.Sprintf(format, args...)
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "") + "..."
	}
	return &Invalid{reason}
}

// load reads a packed chart and renders it with its default values. All its
// errors are *Invalid.
func load(archive []byte) (c Chart, err error) {
	defer func() {
		if p := recover(); p != nil { // Helm's code, led astray by the chart
			c, err = Chart{}, invalid("it can't be loaded: %v", p)
		}
	}()
	return read(archive)
}

func read(archive []byte) (Chart, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return Chart{}, invalid("it is not a gzip file")
	}
	n, err := io.Copy(io.Discard, io.LimitReader(unzipped, maxUnpacked+1))
	if err != nil {
		return Chart{}, invalid("its archive is damaged: %v", err)
	}
	if n > maxUnpacked {
		return Chart{}, invalid("it unpacks to more than %d bytes", maxUnpacked)
	}
	c, err := loader.LoadArchive(bytes.NewReader(archive))
	if err != nil {
		return Chart{}, invalid("%v", err)
	}
	err = c.Validate()
	if err != nil {
		return Chart{}, invalid("%v", err)
	}
	if c.Metadata.Type == "library" {
		return Chart{}, invalid("it is a library chart, which can't be installed")
	}
	if missing := missingDependencies(c); len(missing) > 0 {
		return Chart{}, invalid("dependencies are declared but not in charts/: %s", strings.Join(missing, ", "))
	}
	// Rendering switches subcharts off and imports values: on a chart of its own.
	values, err := chartutil.CoalesceValues(c, map[string]any{})
	if err != nil {
		return Chart{}, invalid("%v", err)
	}
	images, err := render(c)
	if err != nil {
		return Chart{}, err
	}
	return Chart{Name: c.Metadata.Name, Version: c.Metadata.Version, Values: values, Images: images}, nil
}

func missingDependencies(c *helm.Chart) []string {
	packed := map[string]bool{}
	for _, d := range c.Dependencies() {
		packed[d.Name()] = true
	}
	missing := []string{}
	for _, d := range c.Metadata.Dependencies {
		if !packed[d.Name] {
			missing = append(missing, d.Name)
		}
	}
	return missing
}

// render collects the images that a chart runs with its default values.
func render(c *helm.Chart) ([]string, error) {
	err := chartutil.ProcessDependencies(c, map[string]any{})
	if err != nil {
		return nil, invalid("%v", err)
	}
	release := chartutil.ReleaseOptions{Name: "release-name", Namespace: "default", Revision: 1, IsInstall: true}
	values, err := chartutil.ToRenderValues(c, map[string]any{}, release, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, invalid("%v", err)
	}
	// No cluster and no DNS: what a template looks up is empty.
	files, err := engine.Render(c, values)
	if err != nil {
		return nil, invalid("its templates can't be rendered: %v", err)
	}
	seen := map[string]bool{}
	size := 0
	for _, name := range sortedNames(files) {
		size += len(files[name])
		if size > maxRendered {
			return nil, invalid("its templates render to more than %d bytes", maxRendered)
		}
		if path.Ext(name) == ".txt" { // NOTES.txt, for people
			continue
		}
		err = collect(files[name], seen)
		if err != nil {
			return nil, invalid("%s does not render to YAML: %v", name, err)
		}
	}
	images := []string{}
	for image := range seen {
		images = append(images, image)
	}
	sort.Strings(images)
	return images, nil
}

func sortedNames(files map[string]string) []string {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// collect reads the YAML documents of a file and adds every image in them.
func collect(file string, seen map[string]bool) error {
	d := yaml.NewDecoder(strings.NewReader(file))
	for {
		var document any
		err := d.Decode(&document)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !isTest(document) {
			walk(document, seen)
		}
	}
}

// isTest says whether a document is a test hook, which is no part of an
// installation: `helm test` runs it, and `helm create` writes one with an
// image of its own.
func isTest(document any) bool {
	m, _ := document.(map[string]any)
	meta, _ := m["metadata"].(map[string]any)
	annotations, _ := meta["annotations"].(map[string]any)
	hooks, _ := annotations["helm.sh/hook"].(string)
	if hooks == "" {
		return false
	}
	for _, h := range strings.Split(hooks, ",") {
		switch strings.TrimSpace(h) {
		case "test", "test-success", "test-failure":
		default:
			return false
		}
	}
	return true
}

// walk adds the value of every member called image that is a string: of the
// containers of all kinds that run pods, and of custom resources.
func walk(v any, seen map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if image, ok := member.(string); ok && name == "image" && image != "" {
				seen[image] = true
				continue
			}
			walk(member, seen)
		}
	case map[any]any: // some names in it are no strings
		for name, member := range v {
			walk(map[string]any{fmt.Sprint(name): member}, seen)
		}
	case []any:
		for _, member := range v {
			walk(member, seen)
		}
	}
}

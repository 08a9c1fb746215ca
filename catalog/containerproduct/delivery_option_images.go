package containerproduct

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"souk/catalog/change"
)

// findings are the images and charts of delivery options as the registry has
// them, and what is wrong with them.
type findings struct {
	digests map[string]string          // URI -> digest, of what was found
	refs    map[string]change.ImageRef // URI -> what it means

	foreign, foreignCharts []string // URIs of no registry that we serve
	absent                 []string // URIs that name nothing
	charts                 []string // URIs of charts where images belong
	invalid                []string // why charts can't be loaded
	external, undeclared   []string // images that charts render and options lack
	strangeKeys            []string // override keys that charts have no value for
}

// probeDeliveryOptions looks the images and charts of options up in the
// registry, keeps what their tags mean now, and publishes them into the product
// so that nothing that the seller does to the repositories takes them away.
func probeDeliveryOptions(ctx context.Context, c *change.Checks, options []DeliveryOption) error {
	f := findings{digests: map[string]string{}, refs: map[string]change.ImageRef{}}
	for _, option := range options {
		if err := f.images(ctx, c, option.Images); err != nil {
			return err
		}
		if option.chart() == nil {
			continue
		}
		if err := f.loadChart(ctx, c, option); err != nil {
			return err
		}
	}
	c.Refuse(len(f.foreign) > 0, "INVALID_CONTAINER_IMAGE_URI", "Provide a valid URI for the container image.", change.In("ContainerImages", f.foreign...))
	c.Refuse(len(f.foreignCharts) > 0, "INVALID_HELM_CHART_URI", "The Helm chart URI [invalid_uri] is invalid. Provide the URI of a chart in a repository of this marketplace, with its tag.", f.foreignCharts)
	c.Refuse(len(f.absent) > 0, "IMAGE_NOT_FOUND", "Provide a valid public image URI.", change.In("ContainerImages", f.absent...))
	c.Refuse(len(f.charts) > 0, "UNSUPPORTED_CONTAINER_IMAGE_URI", "The container image [unsupported_image] is unsupported. Provide a container image, not a Helm chart.", f.charts)
	c.Refuse(len(f.invalid) > 0, "INVALID_HELM_CHART", "Provide a Helm chart that can be loaded. [reason]", f.invalid)
	c.Refuse(len(f.external) > 0, "INVALID_HELM_CHART_IMAGES", "Provide a Helm chart containing images within repositories created via the AddRepositories change type. External images: [x].", f.external)
	c.Refuse(len(f.undeclared) > 0, "INVALID_HELM_UNDECLARED_IMAGES", "Provide the following Helm chart images within the delivery option of the request: [x].", f.undeclared)
	c.Refuse(len(f.strangeKeys) > 0, "INVALID_HELM_CHART", "Provide a Helm chart whose values have the override parameter keys. Keys not found: [x].", f.strangeKeys)
	if len(c.Refusals()) > 0 {
		return nil
	}
	if refused, err := f.scan(ctx, c, options); refused || err != nil {
		return err
	}
	for _, option := range options {
		for _, artifact := range option.Artifacts() {
			digest, ok := f.digests[artifact.URI]
			if !ok {
				continue // pinned and published by an earlier change
			}
			if err := c.World.Images.Publish(ctx, c.Entity.ID, f.refs[artifact.URI], digest); err != nil {
				return fmt.Errorf("publishing %s into %s: %w", artifact.URI, c.Entity.ID, err)
			}
			c.Keep(artifact.URI, digest)
		}
	}
	return nil
}

// images looks up images that are not pinned yet.
func (f *findings) images(ctx context.Context, c *change.Checks, images []Image) error {
	for _, image := range images {
		ref, ok := c.World.Images.Parse(image.URI)
		if !ok {
			f.foreign = append(f.foreign, image.URI)
			continue
		}
		f.refs[image.URI] = ref
		if image.Digest != "" || f.digests[image.URI] != "" {
			continue
		}
		found, err := c.World.Images.Resolve(ctx, c.Seller, ref)
		switch {
		case errors.Is(err, change.ErrImageNotFound):
			f.absent = append(f.absent, image.URI)
		case err != nil:
			return fmt.Errorf("resolving image %s of %s: %w", image.URI, c.Entity.ID, err)
		case found.Chart:
			f.charts = append(f.charts, image.URI)
		default:
			f.digests[image.URI] = found.Digest
		}
	}
	return nil
}

// loadChart loads the chart of a Helm option or an add-on and compares it with the option.
func (f *findings) loadChart(ctx context.Context, c *change.Checks, option DeliveryOption) error {
	present := option.chart()
	uri := present.URI
	ref, ok := c.World.Images.Parse(uri)
	if !ok {
		f.foreignCharts = append(f.foreignCharts, uri)
		return nil
	}
	f.refs[uri] = ref
	if pinned := present.Digest; pinned != "" {
		ref.Tag, ref.Digest, ref.Product = "", pinned, c.Entity.ID
	}
	chart, err := c.World.Images.Chart(ctx, c.Seller, ref)
	switch {
	case errors.Is(err, change.ErrImageNotFound):
		f.absent = append(f.absent, uri)
		return nil
	case errors.Is(err, change.ErrChartInvalid):
		reason := strings.TrimPrefix(err.Error(), change.ErrChartInvalid.Error()+": ")
		f.invalid = append(f.invalid, uri+": "+reason)
		return nil
	case err != nil:
		return fmt.Errorf("loading chart %s of %s: %w", uri, c.Entity.ID, err)
	}
	if present.Digest == "" {
		f.digests[uri] = chart.Digest
	}
	if chart.Name == "" {
		f.invalid = append(f.invalid, uri+": it has no name")
	}
	declared := f.declared(option.Images)
	for _, image := range chart.Images {
		ref, ok := c.World.Images.Parse(image)
		switch {
		case !ok:
			f.external = append(f.external, image)
		case !declared[ref]:
			f.undeclared = append(f.undeclared, image)
		}
	}
	for _, key := range option.overrideKeys() {
		if !hasValue(chart.Values, key) && !slices.Contains(f.strangeKeys, key) {
			f.strangeKeys = append(f.strangeKeys, key)
		}
	}
	return nil
}

// scan has the images looked into that this change brings. Without a scanner
// nothing is scanned.
func (f *findings) scan(ctx context.Context, c *change.Checks, options []DeliveryOption) (refused bool, err error) {
	if c.World.Scanner == nil {
		return false, nil
	}
	var vulnerabilities, images []string
	report := "" // of the first image that is refused
	scanned := map[string]bool{}
	for _, option := range options {
		target := change.ScanTarget{Seller: c.Seller, ChangeSet: c.ChangeSet, EntityID: c.Entity.ID, DeliveryOption: option.ID, Subject: option.Title}
		for _, image := range option.Images {
			digest, isNew := f.digests[image.URI]
			if !isNew || scanned[digest] {
				continue
			}
			scanned[digest] = true
			scan, err := c.World.Scanner.ScanImage(ctx, target, image.URI, digest)
			if err != nil {
				return false, fmt.Errorf("scanning image %s of %s: %w", image.URI, c.Entity.ID, err)
			}
			if len(scan.Findings) > 0 {
				vulnerabilities, images = append(vulnerabilities, scan.Findings...), append(images, image.URI)
				report = cmp.Or(report, scan.Report)
			}
		}
	}
	// The service tells a scan by the URL of its report alone, the page by this sentence: both.
	c.Refuse(report != "", "SCAN_ERROR", "[x]", report)
	c.Refuse(len(images) > 0, "SCAN_ERROR", `Fix security vulnerability "[y]" on Image "[x]".`, vulnerabilities, images)
	return len(images) > 0, nil
}

// declared holds what a chart's templates may call the images of an option: by
// the tag or digest that the option names, or by the digest that it means.
func (f *findings) declared(images []Image) map[change.ImageRef]bool {
	declared := map[change.ImageRef]bool{}
	for _, image := range images {
		ref, ok := f.refs[image.URI]
		if !ok {
			continue
		}
		declared[ref] = true
		digest := image.Digest
		if digest == "" {
			digest = f.digests[image.URI]
		}
		if digest != "" {
			declared[change.ImageRef{Repository: ref.Repository, Digest: digest}] = true
		}
	}
	return declared
}

// hasValue says whether a chart's values have a key in dot notation. Below a
// value that is empty, and within a list, anything may be set.
func hasValue(values map[string]any, key string) bool {
	var current any = values
	for i, name := range splitKey(key) {
		object, ok := current.(map[string]any)
		if i > 0 && (current == nil || ok && len(object) == 0) {
			return true
		}
		name, _, list := strings.Cut(name, "[")
		if current, ok = object[name]; !ok {
			return false
		}
		if list {
			return true
		}
	}
	return true
}

// splitKey splits a key at its dots, but not within double quotes.
func splitKey(key string) []string {
	var names []string
	quoted, name := false, ""
	for _, r := range key {
		switch {
		case r == '"':
			quoted = !quoted
		case r == '.' && !quoted:
			names, name = append(names, name), ""
		default:
			name += string(r)
		}
	}
	return append(names, name)
}

// pin writes into options what Probe found, and claims the tags that they name.
func pin(options []DeliveryOption, a *change.Applying) {
	claimed := map[string]bool{}
	one := func(image *Image) {
		digest, found := a.Found[image.URI]
		if image.Digest != "" || !found {
			return
		}
		image.Digest = digest
		ref, ok := parseReference(image.URI)
		id := ref.Repository + ":" + ref.Tag
		if !ok || ref.Digest != "" || claimed[id] {
			return
		}
		claimed[id] = true
		a.Claim("tag", id, claimBody(TagClaim{Product: a.Entity.ID, Digest: digest}))
	}
	for o := range options {
		for i := range options[o].Images {
			one(&options[o].Images[i])
		}
		if chart := options[o].chart(); chart != nil {
			one(chart)
		}
	}
}

package containerproduct_test

import (
	"context"
	"fmt"
	"testing"

	"souk/catalog/change"
	"souk/catalog/containerproduct"
)

// deleted is a registry whose seller has deleted all: only what is published of
// a product is left.
type deleted struct {
	change.Images
	product, digest string
	asked           []change.ImageRef
}

func (d *deleted) Parse(uri string) (change.ImageRef, bool) {
	return change.ImageRef{Repository: "sample-seller/charts", Tag: uri}, true
}

func (d *deleted) Chart(_ context.Context, _ change.Seller, ref change.ImageRef) (change.Chart, error) {
	d.asked = append(d.asked, ref)
	if ref.Product != d.product || ref.Digest != d.digest || ref.Tag != "" {
		return change.Chart{}, change.ErrImageNotFound
	}
	return change.Chart{Digest: d.digest, Name: "chart", Values: map[string]any{"replicas": 1}}, nil
}

func (d *deleted) Resolve(context.Context, change.Seller, change.ImageRef) (change.Image, error) {
	return change.Image{}, change.ErrImageNotFound
}

func (d *deleted) Publish(context.Context, string, change.ImageRef, string) error { return nil }

func TestOverrideParametersAreLookedUpInThePublishedChart(t *testing.T) {
	t.Parallel()
	i := given(t, "limited")
	chart := i.state.(*containerproduct.Product).Versions[0].DeliveryOptions[1].Helm.Chart
	decoded, refusals := i.refusals("UpdateDeliveryOptions", fmt.Appendf(nil,
		`{"DeliveryOptions":[{"Id":%q,"Details":{"HelmDeliveryOptionDetails":{"OverrideParameters":[{"Key":"replicas","DefaultValue":"2","Metadata":{"Label":"Replicas","Description":"How many.","Obfuscate":false}}]}}}]}`,
		i.placeholders(t)["option:Helm option"]))
	if len(refusals) > 0 {
		t.Fatalf("refused before the world is asked: %+v", refusals)
	}
	images := &deleted{product: i.entity.ID, digest: chart.Digest}
	c := &change.Checks{Seller: seller, Entity: i.entity, World: change.World{Images: images}}
	if err := decoded.Probe(t.Context(), i.state, c); err != nil {
		t.Fatal(err)
	}
	if len(c.Refusals()) > 0 || len(images.asked) != 1 {
		t.Errorf("refused with %+v, asked for %+v", c.Refusals(), images.asked)
	}
}

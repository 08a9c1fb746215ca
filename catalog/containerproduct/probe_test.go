package containerproduct_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"souk/catalog/change"
	"souk/catalog/containerproduct"
	"souk/catalog/product/producttest"
	"souk/spec"
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
	i := family.Given(t, "limited")
	chart := i.State.(*containerproduct.Product).Versions[0].DeliveryOptions[1].Helm.Chart
	decoded, refusals := i.Refusals("UpdateDeliveryOptions", fmt.Appendf(nil,
		`{"DeliveryOptions":[{"Id":%q,"Details":{"HelmDeliveryOptionDetails":{"OverrideParameters":[{"Key":"replicas","DefaultValue":"2","Metadata":{"Label":"Replicas","Description":"How many.","Obfuscate":false}}]}}}]}`,
		family.Placeholders(t, i)["option:Helm option"]))
	if len(refusals) > 0 {
		t.Fatalf("refused before the world is asked: %+v", refusals)
	}
	images := &deleted{product: i.Entity.ID, digest: chart.Digest}
	c := &change.Checks{Seller: seller, Entity: i.Entity, World: change.World{Images: images, Entities: producttest.Offers{}}}
	if err := decoded.Probe(t.Context(), i.State, c); err != nil {
		t.Fatal(err)
	}
	if len(c.Refusals()) > 0 || len(images.asked) != 1 {
		t.Errorf("refused with %+v, asked for %+v", c.Refusals(), images.asked)
	}
}

// stocked is a registry that has every image, and notes what is published.
type stocked struct {
	change.Images
	published []string
}

func (s *stocked) Parse(uri string) (change.ImageRef, bool) {
	return change.ImageRef{Repository: uri}, true
}

func (s *stocked) Resolve(_ context.Context, _ change.Seller, ref change.ImageRef) (change.Image, error) {
	return change.Image{Digest: "sha256:" + ref.Repository}, nil
}

func (s *stocked) Chart(_ context.Context, _ change.Seller, ref change.ImageRef) (change.Chart, error) {
	return change.Chart{Digest: "sha256:" + ref.Repository, Name: "chart", Values: map[string]any{"HelmKeyName1": ""}}, nil
}

func (s *stocked) Publish(_ context.Context, _ string, ref change.ImageRef, _ string) error {
	s.published = append(s.published, ref.Repository)
	return nil
}

// reportURL is the report of scanner's findings.
const reportURL = "http://127.0.0.1/reports/1"

// scanner finds a private key in the images of its map.
type scanner struct {
	change.Scanner
	keys    map[string]bool
	err     error
	scanned []string
}

func (s *scanner) ScanImage(_ context.Context, target change.ScanTarget, uri, digest string) (change.Scan, error) {
	if target.EntityID == "" || target.ChangeSet == "" || target.Subject == "" || target.Seller != seller || digest == "" {
		return change.Scan{}, fmt.Errorf("scanned for %+v", target)
	}
	s.scanned = append(s.scanned, uri)
	if s.keys[uri] {
		return change.Scan{Assessment: "asmt-1", Findings: []string{"/root/.ssh/id_rsa holds a private key (PRIVATE KEY)"}, Report: reportURL}, s.err
	}
	return change.Scan{Assessment: "asmt-1"}, s.err
}

// TestSamplesOfScans replays what a scanner refuses, and the same with scanners
// that find nothing, that fail and that are not there.
func TestSamplesOfScans(t *testing.T) {
	t.Parallel()
	samples, err := spec.ReadSamples(family.Testdata)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, sample := range samples {
		if sample.Code != "SCAN_ERROR" {
			continue
		}
		n++
		i := family.Given(t, sample.Given)
		details, err := spec.Expand(sample.Details, family.Placeholders(t, i))
		if err != nil {
			t.Fatal(err)
		}
		decoded, refusals := i.Refusals(sample.ChangeType, details)
		if len(refusals) > 0 {
			t.Fatalf("%s: refused before the world is asked: %+v", sample.Name, refusals)
		}
		probe := func(s change.Scanner) (*change.Checks, *stocked, error) {
			images := &stocked{}
			c := &change.Checks{Seller: seller, Entity: i.Entity, ChangeSet: "set", World: change.World{Images: images, Entities: producttest.Offers{}, Scanner: s}}
			return c, images, decoded.Probe(t.Context(), i.State, c)
		}
		bad := host + "/" + namespace + "/app:careless"
		c, images, err := probe(&scanner{keys: map[string]bool{bad: true}})
		want := change.Refusal{ErrorCode: sample.Code, ErrorMessage: spec.ExpandText(sample.Message, family.Placeholders(t, i))}
		if got := c.Refusals(); len(got) != 2 || !slices.Contains(got, want) || err != nil {
			t.Errorf("%s: %v, refusals %+v, want two, with %+v", sample.Name, err, got, want)
		}
		if len(images.published) > 0 || len(c.Found()) > 0 {
			t.Errorf("%s: what is refused was published: %q, kept %q", sample.Name, images.published, c.Found())
		}
		clean := &scanner{}
		if c, images, err = probe(clean); err != nil || len(c.Refusals()) > 0 || !slices.Equal(clean.scanned, []string{bad}) || !slices.Equal(images.published, clean.scanned) {
			t.Errorf("%s: a clean image: %v, %+v, scanned %q, published %q", sample.Name, err, c.Refusals(), clean.scanned, images.published)
		}
		if c, images, err = probe(&scanner{err: io.ErrUnexpectedEOF}); !errors.Is(err, io.ErrUnexpectedEOF) || len(c.Refusals()) > 0 || len(images.published) > 0 {
			t.Errorf("%s: a scan that fails: %v, %+v, published %q", sample.Name, err, c.Refusals(), images.published)
		}
		if c, _, err = probe(nil); err != nil || len(c.Refusals()) > 0 {
			t.Errorf("%s: without a scanner: %v, %+v", sample.Name, err, c.Refusals())
		}
	}
	if n == 0 {
		t.Error("no sample is of a scan")
	}
}

func TestAnOfferWithAPriceMakesAProductPaid(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "limited")
	free, paid := producttest.Offer{ProductID: i.Entity.ID}, producttest.Offer{ProductID: i.Entity.ID, HasPrice: true}
	update := func(value string) []byte {
		return fmt.Appendf(nil, `{"DeliveryOptions":[{"Id":%q,"Details":{"HelmDeliveryOptionDetails":{"Description":"Other.","OverrideParameters":[
			{"Key":"HelmKeyName1","DefaultValue":%q,"Metadata":{"Label":"l","Description":"d"}}]}}}]}`, family.Placeholders(t, i)["option:Helm option"], value)
	}
	for _, test := range []struct {
		name, value string
		offers      producttest.Offers
		want        bool
	}{
		{"no offer", "one", nil, false},
		{"a free offer", "one", producttest.Offers{"offer-1": free}, false},
		{"an offer with a price", "one", producttest.Offers{"offer-1": free, "offer-2": paid}, true},
		{"an offer with a price and the parameter", "${AWSMP_SERVICE_ACCOUNT}", producttest.Offers{"offer-2": paid}, false},
	} {
		decoded, refusals := i.Refusals("UpdateDeliveryOptions", update(test.value))
		if len(refusals) > 0 {
			t.Fatalf("%s: refused before the world is asked: %+v", test.name, refusals)
		}
		c := &change.Checks{Seller: seller, Entity: i.Entity, World: change.World{Images: &stocked{}, Entities: test.offers}}
		if err := decoded.Probe(t.Context(), i.State, c); err != nil {
			t.Fatal(err)
		}
		got := slices.ContainsFunc(c.Refusals(), func(r change.Refusal) bool { return r.ErrorCode == "NO_SERVICE_ACCOUNT_CONFIGURATION" })
		if got != test.want {
			t.Errorf("%s: refused: %t, want %t", test.name, got, test.want)
		}
	}
}

package saasproduct_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"souk/catalog/change"
	"souk/catalog/product/producttest"
	"souk/spec"
)

// pages are the pages that testdata/README.md describes, and who asked for them.
type pages struct {
	asked []string
	fails error
}

func (p *pages) Ports(*producttest.Item) change.World { return change.World{Pages: p} }

func (p *pages) Status(_ context.Context, address string) (int, error) {
	p.asked = append(p.asked, address)
	if p.fails != nil {
		return 0, p.fails
	}
	u, err := url.Parse(address)
	if err != nil {
		return 0, err
	}
	if u.Host != "pages.example.com" {
		return 0, change.ErrPageUnreachable
	}
	return strconv.Atoi(strings.Split(u.Path, "/")[1])
}

func TestPagesThatDoNotAnswerAreRefused(t *testing.T) {
	t.Parallel()
	samples, err := spec.ReadSamples(family.Testdata)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, sample := range samples {
		if !sample.Probe || !strings.HasSuffix(sample.ChangeType, "DeliveryOptions") {
			continue
		}
		seen++
		t.Run(sample.Name, func(t *testing.T) {
			t.Parallel()
			i := family.Given(t, sample.Given)
			i.World = &pages{}
			details, err := spec.Expand(sample.Details, family.Placeholders(t, i))
			if err != nil {
				t.Fatal(err)
			}
			v := i.Judge(t, sample.ChangeType, details)
			want := []change.Refusal{{ErrorCode: sample.Code, ErrorMessage: sample.Message}}
			if !v.Probed || !slices.Equal(v.Refusals, want) {
				t.Errorf("got  %+v\nwant %+v", v.Refusals, want)
			}
		})
	}
	if seen < 5 {
		t.Errorf("%d samples of pages, want one for each code at least", seen)
	}
}

// addAPI adds an API option with an address of its endpoint.
func addAPI(endpoint, parameters string) string {
	return `{"DeliveryOptions":[{"Details":{"ApiDeliveryOptionDetails":{"ApiType":"OTHER","QuickLaunchEnabled":true,
		"FulfillmentUrl":"https://pages.example.com/200/register","UsageInstructions":"Read.","Endpoints":[
		{"EndpointUrl":"` + endpoint + `","EndpointType":"DYNAMIC","EndpointUrlParameters":` + parameters + `,"AuthorizationTypes":["OAUTH2"]}]}}}]}`
}

func TestEndpointsAreAskedWithTheirDefaultValuesAlone(t *testing.T) {
	t.Parallel()
	for parameters, want := range map[string][]string{
		`[{"Name":"a","DefaultValue":"200"},{"Name":"b","DefaultValue":"x"}]`: {"https://pages.example.com/200/register", "https://pages.example.com/200/x/x"},
		`[{"Name":"a","DefaultValue":"200"},{"Name":"b"}]`:                    {"https://pages.example.com/200/register"},
	} {
		i, p := family.Given(t, "informed"), &pages{}
		i.World = p
		i.Do(t, "AddDeliveryOptions", addAPI("https://pages.example.com/{a}/{b}/{b}", parameters))
		if !slices.Equal(p.asked, want) {
			t.Errorf("%s: asked for %q, want %q", parameters, p.asked, want)
		}
	}
}

func TestAPageThatCanNotBeAskedNowIsTriedAgain(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "informed")
	i.World = &pages{fails: errors.New("it timed out")}
	decoded, refusals := i.Refusals("AddDeliveryOptions", []byte(`{"DeliveryOptions":[{"Details":{"SaaSUrlDeliveryOptionDetails":{"FulfillmentUrl":"https://pages.example.com/200"}}}]}`))
	if len(refusals) > 0 {
		t.Fatal(refusals)
	}
	c, err := i.Probe(t.Context(), "AddDeliveryOptions", decoded)
	if err == nil || len(c.Refusals()) > 0 {
		t.Errorf("got %+v, %v, want an error and no refusal", c.Refusals(), err)
	}
}

func TestNobodyIsAskedWhereTheMarketLooksAtNoPages(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "informed")
	i.World = none{}
	i.Do(t, "AddDeliveryOptions", `{"DeliveryOptions":[{"Details":{"SaaSUrlDeliveryOptionDetails":{"FulfillmentUrl":"https://nowhere.example.com/"}}}]}`)
}

// none is a world without ports.
type none struct{}

func (none) Ports(*producttest.Item) change.World { return change.World{} }

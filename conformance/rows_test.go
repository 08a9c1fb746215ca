package conformance

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"souk/conformance/seller"
	"souk/conformance/souktest"
	"souk/spec"
	"souk/spec/spectest"
)

func TestDocumentedErrorsOfContainerProducts(t *testing.T) {
	t.Parallel()
	provokeAll(t, "ContainerProduct", os.DirFS("../catalog/containerproduct/testdata"), []string{
		"CreateProduct", "UpdateInformation", "AddRepositories", "AddDeliveryOptions", "UpdateDeliveryOptions",
		"RestrictDeliveryOptions", "ReleaseProduct", "UpdateVisibility", "UpdateDeliveryOptionsVisibility",
		"AddDimensions", "UpdateDimensions", "RestrictDimensions", "UpdateTargeting",
	})
}

func TestDocumentedErrorsOfSaaSProducts(t *testing.T) {
	t.Parallel()
	provokeAll(t, "SaaSProduct", os.DirFS("../catalog/saasproduct/testdata"), []string{
		"CreateProduct", "UpdateInformation", "AddDeliveryOptions", "UpdateDeliveryOptions", "UpdateDeliveryOptionsVisibility",
		"ReleaseProduct", "UpdateVisibility", "AddDimensions", "UpdateDimensions", "RestrictDimensions", "UpdateTargeting",
	})
}

// provokeAll provokes every documented error of a type of products through the
// API and compares code and text. The samples lie beside the change types.
func provokeAll(t *testing.T, entity string, testdata fs.FS, types []string) {
	t.Helper()
	byState, setups := samplesByState(t, entity, testdata, types)
	logos := souktest.ServeLogos(t)
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		server := souktest.Start(t, o)
		t.Run("given", func(t *testing.T) {
			for state, samples := range byState {
				t.Run(state, func(t *testing.T) {
					t.Parallel()
					// A product for each state: what is refused changes nothing, so
					// all samples of a state use the same one, one after the other.
					namespace := fmt.Sprintf("rows-%d", slices.Index(states(byState), state))
					p := &rowProduct{
						Seller: server.Account(t, namespace, namespace).Seller(server), entity: entity, setups: setups,
						values: map[string]string{
							"report": "http" + scanned, "registry": "", "namespace": namespace, "logo:missing": logos.URL + "/missing.png",
							"logo:text": logos.URL + "/text.png", "logo:tiny": logos.URL + "/tiny.png",
						},
					}
					p.values["registry"] = p.Host()
					if entity == "AmiProduct" {
						p.images(t, setups, state, samples)
					}
					p.reach(t, state)
					for _, sample := range samples {
						t.Run(sample.Name, func(t *testing.T) { p.provoke(t, sample) })
					}
				})
			}
		})
	})
}

// samplesByState reads the samples of an entity type by their starting states,
// and the way to each state. A row of the tables without a sample fails.
func samplesByState(t *testing.T, entity string, testdata fs.FS, types []string) (map[string][]spec.Sample, map[string]spec.Setup) {
	t.Helper()
	byState := map[string][]spec.Sample{}
	for _, s := range spectest.CompareSamples(t, entity, types, testdata) {
		if ofPages(s) {
			continue // they need another server: TestPagesOfSellersAreAsked
		}
		if tooLarge(s) {
			continue
		}
		byState[s.Given] = append(byState[s.Given], s)
	}
	setups, err := spec.ReadSetups(testdata)
	must(t, err)
	return byState, setups
}

// states are the names of states in an order that is the same at every call.
func states(m map[string][]spec.Sample) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// rowProduct is the product of one starting state, in an account of its own.
type rowProduct struct {
	*seller.Seller
	entity string // its type, without version
	setups map[string]spec.Setup
	id     string            // "" before CreateProduct
	values map[string]string // of the samples' placeholders
}

// reach leads the product to a starting state.
func (p *rowProduct) reach(t *testing.T, state string) {
	t.Helper()
	if state == "" {
		return
	}
	setup, ok := p.setups[state]
	if !ok {
		t.Fatalf("testdata/states.json has no state %q", state)
	}
	p.reach(t, setup.From)
	for _, c := range setup.Changes {
		var beside []any
		switch {
		case c.ChangeType == "ReleaseProduct" && p.entity == "AmiProduct":
			beside = licenceOffer(p.id)
		case c.ChangeType == "ReleaseProduct" && p.entity != "ContainerProduct":
			beside = publicOffer(p.id)
		}
		status, body := p.change(t, c.ChangeType, c.Details, beside...)
		if status != 200 {
			t.Fatalf("%s for the state %s: status %d: %s", c.ChangeType, state, status, body)
		}
		set, err := p.Wait(t.Context(), startedID(t, body))
		must(t, err)
		if set.Status != "SUCCEEDED" {
			t.Fatalf("%s for the state %s is %s: %s", c.ChangeType, state, set.Status, seller.Refusals(set))
		}
		p.id = seller.EntityID(set.ChangeSet[0])
		if c.ChangeType == "AddRepositories" {
			p.push(t)
		}
	}
	p.values["product"] = p.id
	p.name(t)
}

// name gives the placeholders of versions and delivery options their values. An
// option without a title is named by its type.
func (p *rowProduct) name(t *testing.T) {
	t.Helper()
	out, err := p.Entity(t.Context(), p.id)
	must(t, err)
	var shown struct {
		Versions []struct {
			Id, VersionTitle string
			DeliveryOptions  []struct {
				Id, Title, Type string
				LaunchUrl       string
			}
		}
	}
	must(t, json.Unmarshal([]byte(aws.ToString(out.Details)), &shown))
	for _, v := range shown.Versions {
		p.values["version:"+v.VersionTitle] = v.Id
		for _, option := range v.DeliveryOptions {
			switch {
			case p.entity == "AmiProduct": // whose options have titles of their own making
				p.values["option:"+v.VersionTitle] = option.Id
			case option.Title != "":
				p.values["option:"+option.Title] = option.Id
			case option.LaunchUrl != "":
				p.values["option:QuickLaunch"] = option.Id
			default:
				p.values["option:"+option.Type] = option.Id
			}
		}
	}
}

// publicOffer is the changes that make a public offer of a product and release
// it: a contract about its dimension users.
func publicOffer(product string) []any {
	change := func(name, changeType, identifier string, details any) any {
		entity := map[string]string{"Type": "Offer@1.0"}
		if identifier != "" {
			entity["Identifier"] = identifier
		}
		c := map[string]any{"ChangeType": changeType, "Entity": entity, "DetailsDocument": details}
		if name != "" {
			c["ChangeName"] = name
		}
		return c
	}
	type object = map[string]any
	const offer = "$Offer.Entity.Identifier"
	prices := []any{object{
		"Type": "ConfigurableUpfrontPricingTerm", "CurrencyCode": "USD",
		"RateCards": []any{object{
			"Selector":    object{"Type": "Duration", "Value": "P12M"},
			"RateCard":    []any{object{"DimensionKey": "users", "Price": "25.00"}},
			"Constraints": object{"MultipleDimensionSelection": "Allowed", "QuantityConfiguration": "Allowed"},
		}},
	}}
	return []any{
		change("Offer", "CreateOffer", "", object{"ProductId": product}),
		change("", "UpdateInformation", offer, object{"Name": "Public offer", "Description": "Of a sample."}),
		change("", "UpdatePricingTerms", offer, object{"PricingModel": "Contract", "Terms": prices}),
		change("", "UpdateLegalTerms", offer, object{"Terms": []any{object{
			"Type": "LegalTerm", "Documents": []any{object{"Type": "StandardEula", "Version": "2022-07-14"}},
		}}}),
		change("", "UpdateSupportTerms", offer, object{"Terms": []any{object{"Type": "SupportTerm", "RefundPolicy": "None."}}}),
		change("", "UpdateRenewalTerms", offer, object{"Terms": []any{object{"Type": "RenewalTerm"}}}),
		change("", "ReleaseOffer", offer, object{}),
	}
}

// push fills the repositories app and charts of the samples. One of the images
// has a private key that somebody left behind.
func (p *rowProduct) push(t *testing.T) {
	t.Helper()
	ctx, namespace := t.Context(), p.values["namespace"]
	for _, tag := range []string{"1.0", "1.1"} {
		image, err := seller.Image("the sample's program, " + tag)
		must(t, err)
		must(t, p.Push(ctx, namespace+"/app", tag, image))
	}
	must(t, p.Push(ctx, namespace+"/app", "careless", carelessImage(t)))
	for tag, runs := range map[string]string{"1.0": p.Host() + "/" + namespace + "/app:1.0", "external": "docker.io/library/nginx:1.25"} {
		chart, err := seller.Chart("charts", "1.0.0", runs)
		must(t, err)
		must(t, p.Push(ctx, namespace+"/charts", tag, chart))
	}
}

// carelessImage is a container image with a private key, which belongs to nobody.
func carelessImage(t *testing.T) v1.Image {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	must(t, err)
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	image, err := seller.ImageOf(map[string]string{"root/.ssh/id_rsa": string(key)})
	must(t, err)
	return image
}

// change sends a change as a DetailsDocument, since some samples are longer
// than the string Details may be, and others of its set after it. It returns the
// answer.
func (p *rowProduct) change(t *testing.T, changeType string, details json.RawMessage, beside ...any) (status int, body string) {
	t.Helper()
	expanded, err := spec.Expand(details, p.values)
	must(t, err)
	entity := map[string]string{"Type": p.entity + "@1.0"}
	if p.id != "" && changeType != "CreateProduct" {
		entity["Identifier"] = p.id
	}
	a, err := p.Raw(t.Context(), "POST", "/StartChangeSet", seller.JSON(map[string]any{
		"Catalog":   seller.Catalog,
		"ChangeSet": append([]any{map[string]any{"ChangeType": changeType, "Entity": entity, "DetailsDocument": expanded}}, beside...),
	}))
	must(t, err)
	return a.Status, a.Body
}

// provoke sends a sample and compares the refusal.
func (p *rowProduct) provoke(t *testing.T, sample spec.Sample) {
	t.Helper()
	want := spec.ExpandText(sample.Message, p.values)
	status, body := p.change(t, sample.ChangeType, sample.Details)
	if sample.Code == "422" {
		var e struct {
			Type    string `json:"__type"`
			Message string
		}
		must(t, json.Unmarshal([]byte(body), &e))
		if status != 422 || e.Type != "ValidationException" || e.Message != want {
			t.Errorf("got %d %s\nwant 422 ValidationException %q", status, body, want)
		}
		return
	}
	if status != 200 {
		t.Fatalf("refused at once with %d %s, want %s in the change set's errors", status, body, sample.Code)
	}
	set, err := p.Wait(context.WithoutCancel(t.Context()), startedID(t, body))
	must(t, err)
	if set.Status != "FAILED" || set.FailureCode != "CLIENT_ERROR" {
		t.Errorf("the change set is %s, %q, want FAILED, CLIENT_ERROR", set.Status, set.FailureCode)
	}
	var got []string
	for _, e := range set.ChangeSet[0].ErrorDetailList {
		message := aws.ToString(e.ErrorMessage)
		if aws.ToString(e.ErrorCode) == sample.Code && (message == want || strings.Contains(want, scanned) && spectest.Fills(want, message)) {
			return
		}
		got = append(got, aws.ToString(e.ErrorCode)+": "+aws.ToString(e.ErrorMessage))
	}
	t.Errorf("got errors %q\nwant %s: %s", got, sample.Code, want)
}

// startedID reads the id of an answer of StartChangeSet.
func startedID(t *testing.T, body string) string {
	t.Helper()
	var started struct{ ChangeSetId string }
	must(t, json.Unmarshal([]byte(body), &started))
	return started.ChangeSetId
}

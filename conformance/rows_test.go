package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"souk/conformance/seller"
	"souk/conformance/souktest"
	"souk/spec"
	"souk/spec/spectest"
)

// TestDocumentedErrorsOfContainerProducts provokes every documented error of a
// container product through the API and compares code and text. The samples
// lie beside the change types; a row of the tables without a sample fails.
func TestDocumentedErrorsOfContainerProducts(t *testing.T) {
	t.Parallel()
	testdata := os.DirFS("../catalog/containerproduct/testdata")
	types := []string{
		"CreateProduct", "UpdateInformation", "AddRepositories", "AddDeliveryOptions", "UpdateDeliveryOptions",
		"RestrictDeliveryOptions", "ReleaseProduct", "UpdateVisibility",
		"AddDimensions", "UpdateDimensions", "RestrictDimensions", "UpdateTargeting",
	}
	spectest.CompareSamples(t, "ContainerProduct", types, testdata)
	samples, err := spec.ReadSamples(testdata)
	must(t, err)
	setups, err := spec.ReadSetups(testdata)
	must(t, err)
	logos := souktest.ServeLogos(t)
	byState := map[string][]spec.Sample{}
	for _, s := range samples {
		byState[s.Given] = append(byState[s.Given], s)
	}
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
						Seller: server.Account(t, namespace, namespace).Seller(server), setups: setups,
						values: map[string]string{
							"registry": "", "namespace": namespace, "logo:missing": logos.URL + "/missing.png",
							"logo:text": logos.URL + "/text.png", "logo:tiny": logos.URL + "/tiny.png",
						},
					}
					p.values["registry"] = p.Host()
					p.reach(t, state)
					for _, sample := range samples {
						t.Run(sample.Name, func(t *testing.T) { p.provoke(t, sample) })
					}
				})
			}
		})
	})
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
		status, body := p.change(t, c.ChangeType, c.Details)
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
	shown, err := p.Product(t.Context(), p.id)
	must(t, err)
	p.values["product"] = p.id
	for _, v := range shown.Versions {
		p.values["version:"+v.VersionTitle] = v.Id
		for _, option := range v.DeliveryOptions {
			p.values["option:"+option.Title] = option.Id
		}
	}
}

// push fills the repositories app and charts of the samples.
func (p *rowProduct) push(t *testing.T) {
	t.Helper()
	ctx, namespace := t.Context(), p.values["namespace"]
	for _, tag := range []string{"1.0", "1.1"} {
		image, err := seller.Image("the sample's program, " + tag)
		must(t, err)
		must(t, p.Push(ctx, namespace+"/app", tag, image))
	}
	for tag, runs := range map[string]string{"1.0": p.Host() + "/" + namespace + "/app:1.0", "external": "docker.io/library/nginx:1.25"} {
		chart, err := seller.Chart("charts", "1.0.0", runs)
		must(t, err)
		must(t, p.Push(ctx, namespace+"/charts", tag, chart))
	}
}

// change sends a change as a DetailsDocument, since some samples are longer
// than the string Details may be, and returns the answer.
func (p *rowProduct) change(t *testing.T, changeType string, details json.RawMessage) (status int, body string) {
	t.Helper()
	expanded, err := spec.Expand(details, p.values)
	must(t, err)
	entity := map[string]string{"Type": seller.ContainerProduct}
	if p.id != "" && changeType != "CreateProduct" {
		entity["Identifier"] = p.id
	}
	a, err := p.Raw(t.Context(), "POST", "/StartChangeSet", seller.JSON(map[string]any{
		"Catalog":   seller.Catalog,
		"ChangeSet": []any{map[string]any{"ChangeType": changeType, "Entity": entity, "DetailsDocument": expanded}},
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
		if aws.ToString(e.ErrorCode) == sample.Code && aws.ToString(e.ErrorMessage) == want {
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

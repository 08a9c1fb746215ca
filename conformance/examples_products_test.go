package conformance

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"

	"souk/conformance/seller"
	"souk/conformance/souktest"
	"souk/spec/examples"
)

// refusedTwice sends the example of a change set that can't be started
// "because it contains two changes to execute the same change type
// (AddRevisions) against the same entity (entity-id@1)". One of them alone is
// about a data product that nobody has.
func refusedTwice(t *testing.T, s *seller.Seller, e examples.Example) {
	t.Helper()
	r, err := examples.Parse(e.Text())
	must(t, err)
	send := func(body string) (status int, kind, message string) {
		t.Helper()
		a, err := s.Raw(t.Context(), r.Method, r.Target, body)
		must(t, err)
		var refusal struct {
			Type    string `json:"__type"`
			Message string
		}
		must(t, json.Unmarshal([]byte(a.Body), &refusal))
		return a.Status, refusal.Type, refusal.Message
	}
	status, kind, message := send(r.Body)
	if status != http.StatusUnprocessableEntity || kind != "ValidationException" || !strings.Contains(message, "'AddRevisions'") || !strings.Contains(message, "'entity-id@1'") {
		t.Errorf("got %d %s %q, want a ValidationException that names the change type and the entity", status, kind, message)
	}

	var body map[string]any
	must(t, json.Unmarshal([]byte(r.Body), &body))
	body["ChangeSet"] = body["ChangeSet"].([]any)[:1]
	if status, kind, message := send(seller.JSON(body)); status != http.StatusNotFound || kind != "ResourceNotFoundException" {
		t.Errorf("one change alone: got %d %s %q, want ResourceNotFoundException", status, kind, message)
	}
	list, err := s.Catalog.ListEntities(t.Context(), &marketplacecatalog.ListEntitiesInput{Catalog: aws.String(seller.Catalog), EntityType: aws.String("DataProduct")})
	must(t, err)
	if len(list.EntitySummaryList) > 0 {
		t.Errorf("data products: %+v, want none", list.EntitySummaryList)
	}
}

// exampleLogo is the URL in the examples where that of a logo is meant.
const exampleLogo = "https://s3.amazonaws.com/presigned-or-public-url-to-logo-stored-in-s3"

// makesProductAndOffer sends the example of one change set that makes a SaaS
// product and an offer of it, each by a reference to the other's change.
func makesProductAndOffer(t *testing.T, s *seller.Seller, e examples.Example) {
	t.Helper()
	logos := souktest.ServeLogos(t)
	r, err := examples.Parse(strings.ReplaceAll(e.Text(), exampleLogo, logos.URL+"/logo.png"))
	must(t, err)
	a, err := s.Raw(t.Context(), r.Method, r.Target, r.Body)
	must(t, err)
	if a.Status != http.StatusOK {
		t.Fatalf("got status %d: %s", a.Status, a.Body)
	}
	set, err := s.Wait(t.Context(), startedID(t, a.Body))
	must(t, err)
	if set.Status != types.ChangeStatusSucceeded {
		t.Fatalf("the change set is %s: %s", set.Status, seller.Refusals(set))
	}
	product, offer := seller.EntityID(set.ChangeSet[0]), seller.EntityID(set.ChangeSet[2])
	if seller.EntityID(set.ChangeSet[1]) != product || seller.EntityID(set.ChangeSet[3]) != offer || !strings.HasPrefix(offer, "offer-") {
		t.Errorf("the changes are of %s, %s, %s and %s", product, seller.EntityID(set.ChangeSet[1]), offer, seller.EntityID(set.ChangeSet[3]))
	}
	var shown struct {
		Description struct{ ProductTitle, Sku, Visibility string }
	}
	details(t, s, product, &shown)
	var offered struct{ Name, ProductId string }
	details(t, s, offer, &offered)
	if d := shown.Description; d.ProductTitle != "My Product Title" || d.Sku != "123example456" || d.Visibility != "Draft" {
		t.Errorf("the product is %+v", d)
	}
	if offered.Name != "Offer created together with SaaSProduct" || offered.ProductId != product {
		t.Errorf("the offer is %q of %s, want one of %s", offered.Name, offered.ProductId, product)
	}
}

// details reads an entity's Details into v.
func details(t *testing.T, s *seller.Seller, id string, v any) {
	t.Helper()
	out, err := s.Entity(t.Context(), id)
	must(t, err)
	must(t, json.Unmarshal([]byte(aws.ToString(out.Details)), v))
}

package conformance

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"

	"souk/conformance/seller"
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

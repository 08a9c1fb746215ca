package dataproduct

import (
	"encoding/json"
	"testing"
)

func TestTheExampleOfThePageIsRead(t *testing.T) {
	t.Parallel()
	kind := EntityType()
	decoded, err := kind.Types[0].Decode([]byte(`{"DataSetArn": "data-set-arn", "RevisionArns": ["revision-arn", "revision-arn-2"] }`))
	if err != nil || decoded.Check == nil {
		t.Fatalf("decoded as %+v, %v", decoded, err)
	}
	if _, err := kind.Types[0].Decode([]byte(`{"RevisionArns":"revision-arn"}`)); err == nil {
		t.Error("a string was read as a list of revisions")
	}
}

func TestAStateIsStoredAndShown(t *testing.T) {
	t.Parallel()
	kind := EntityType()
	state := kind.New()
	b, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, state); err != nil {
		t.Error(err)
	}
	if l := kind.List(state); l.Name != "" {
		t.Errorf("listed as %+v", l)
	}
}

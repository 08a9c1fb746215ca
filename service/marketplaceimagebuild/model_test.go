package marketplaceimagebuild

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestModelIsTheDocumentedOne: what `souk model imagebuild` prints is the model
// of the "API Reference" page of the Image Build Service, but for the words in
// which it is explained.
func TestModelIsTheDocumentedOne(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/marketplaceimagebuild-2017-12-15.normal.json")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Model()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(structure(t, text), structure(t, got)); d != "" {
		t.Error("the model (-documented +ours):\n", d)
	}
}

// structure is a model without its documentation.
func structure(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	strip(v)
	return v
}

func strip(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, text := v["documentation"].(string); text {
			delete(v, "documentation")
		}
		for _, below := range v {
			strip(below)
		}
	case []any:
		for _, below := range v {
			strip(below)
		}
	}
}

package amiproduct_test

import (
	"encoding/json"
	"os"
	"testing"

	"souk/spec"
)

// FuzzDetails feeds every change type documents of all kinds: nothing panics,
// the same document is judged and applied the same way twice, and what was
// applied can be stored, read and shown.
func FuzzDetails(f *testing.F) {
	samples, err := spec.ReadSamples(os.DirFS("testdata"))
	if err != nil {
		f.Fatal(err)
	}
	placeholders := given(f, "limited").placeholders(f)
	for _, sample := range samples {
		details, err := spec.Expand(sample.Details, placeholders)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(details))
	}
	for _, document := range []string{`{}`, `[]`, `null`, `{"DeliveryOptionIds":[null]}`, `{"DeliveryOptions":[{"Id":"x","Details":{"AmiDeliveryOptionDetails":{"AccessEndpointUrl":null,"SecurityGroups":{}}}}]}`, `{"Version":null,"DeliveryOptions":[{}]}`} {
		f.Add([]byte(document))
	}
	public := given(f, "public")
	stored := public.stored()
	copied := func(t *testing.T) *item {
		i := *public
		i.state = i.kind.New()
		if err := json.Unmarshal([]byte(stored), i.state); err != nil {
			t.Fatal(err)
		}
		return &i
	}
	names := changeTypes()
	f.Fuzz(func(t *testing.T, details []byte) {
		for _, changeType := range names {
			one, other := copied(t), copied(t)
			decoded, refusals := one.refusals(changeType, details)
			again, same := other.refusals(changeType, details)
			if len(refusals) != len(same) {
				t.Fatalf("%s: refused as %+v, then as %+v", changeType, refusals, same)
			}
			for _, refusal := range refusals {
				if refusal.ErrorCode == "" || refusal.ErrorMessage == "" || len(refusal.ErrorMessage) > 2048 {
					t.Errorf("%s: refused as %+v", changeType, refusal)
				}
			}
			if decoded.Apply == nil || len(refusals) > 0 {
				continue
			}
			found := map[string]string{"Digest": "sha256:0", "Architecture": "x86_64"}
			one.apply(decoded, "seed", found)
			other.apply(again, "seed", found)
			if a, b := one.stored(), other.stored(); a != b {
				t.Errorf("%s: applied twice it gives\n%s\nand\n%s", changeType, a, b)
			}
			one.described(t)
		}
	})
}

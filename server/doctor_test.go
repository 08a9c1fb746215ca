package server

import (
	"strings"
	"testing"

	"souk/catalog/change"
	"souk/catalog/containerproduct"
)

// TestDoctorMissesWhatAProductNamesAndTheRegistryLacks: a product whose
// repository, tag, images and logo are nowhere.
func TestDoctorMissesWhatAProductNamesAndTheRegistryLacks(t *testing.T) {
	t.Parallel()
	s, _ := start(t, Config{})
	host := strings.TrimPrefix(s.URL(), "http://")
	digest := "sha256:" + strings.Repeat("a", 64)
	p := &containerproduct.Product{
		Repositories: []containerproduct.Repository{{Name: "acme/query"}},
		Versions: []containerproduct.Version{{Title: "1.0", DeliveryOptions: []containerproduct.DeliveryOption{{
			Images: []containerproduct.Image{{URI: host + "/acme/query:1.0", Digest: digest}},
			Helm:   &containerproduct.Helm{Chart: containerproduct.Image{URI: host + "/acme/chart@" + digest, Digest: digest}},
		}}}},
	}
	p.PromotionalResources.LogoUrl = s.URL() + "/logos/" + strings.Repeat("b", 64) + ".png"
	wrong, err := s.market.verifyProduct(t.Context(), change.Entity{ID: "prod-lost", Owner: "123456789012"}, p)
	if err != nil {
		t.Fatalf("verifying: %v", err)
	}
	for _, want := range []string{
		"repository acme/query is not its own",
		"acme/query:1.0, which can be pushed again",
		"acme/query@" + digest + ", which is not in the registry",
		"acme/chart@" + digest + ", which is not in the registry",
		"its logo " + p.PromotionalResources.LogoUrl + " is not in the blob folder",
	} {
		if !strings.Contains(strings.Join(wrong, "\n"), want) {
			t.Errorf("the findings lack %q:\n%s", want, strings.Join(wrong, "\n"))
		}
	}
	if len(wrong) != 5 {
		t.Errorf("got %d findings, want 5:\n%s", len(wrong), strings.Join(wrong, "\n"))
	}
}

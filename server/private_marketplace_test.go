package server

import (
	"slices"
	"strings"
	"testing"

	"souk/catalog/change"
	"souk/catalog/experience"
)

// TestVerifyFindsWhatAnExperienceLacks looks at an experience whose audience and
// logo are nowhere.
func TestVerifyFindsWhatAnExperienceLacks(t *testing.T) {
	t.Parallel()
	s, _ := start(t, Config{})
	x := &experience.Experience{
		Audience: &experience.Audience{Principals: []string{"111122223333"}},
		Branding: &experience.Branding{LogoUrl: s.URL() + "/logos/" + strings.Repeat("b", 64) + ".png"},
	}
	wrong, err := s.market.verifyExperience(t.Context(), change.Entity{ID: "exp-doctor0000001", Owner: "123456789012"}, x)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`principal 111122223333 is in its audience and associated with ""`,
		"its logo " + x.Branding.LogoUrl + " is not in the blob folder",
	} {
		if !slices.Contains(wrong, want) {
			t.Errorf("the findings lack %q: %q", want, wrong)
		}
	}
	if findings, err := s.market.verifyExperiences(t.Context()); err != nil || len(findings) > 0 {
		t.Errorf("a new market: %q, %v", findings, err)
	}
}

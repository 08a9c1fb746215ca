package procurement

import (
	"path/filepath"
	"testing"
)

// The component of a version has no digest: it is obtained by its option's id,
// and written down by its version's.
func TestWhatIsInstalledIsObtainedByItsOption(t *testing.T) {
	t.Parallel()
	s := newShop(t, filepath.Join(t.TempDir(), "souk.db"))
	s.product.Store(&Product{Owner: seller, Visibility: public, Versions: []Version{
		{ID: "v-1", Title: "1.0", Options: []Option{{ID: "open", Visibility: public}, {ID: "closed", Visibility: restricted}}},
	}})
	const buyer = "222222222222"
	ctx := t.Context()
	ask := func(option string) bool {
		t.Helper()
		answer, err := s.ObtainOption(ctx, buyer, theProduct, "v-1", option)
		if err != nil {
			t.Fatal(err)
		}
		return answer.OK
	}
	if !ask("open") || ask("closed") || ask("none") {
		t.Errorf("before: open %t, closed %t, none %t", ask("open"), ask("closed"), ask("none"))
	}
	for range 2 {
		if err := s.ObtainedVersion(ctx, buyer, theProduct, "v-1"); err != nil {
			t.Fatal(err)
		}
	}
	if !ask("closed") {
		t.Error("who has the version may not install it again")
	}
	if err := s.ObtainedVersion(ctx, seller, theProduct, "v-1"); err != nil {
		t.Error(err)
	}
	if has, err := s.subscribed(ctx, seller, theProduct); err != nil || len(has) > 0 {
		t.Errorf("the seller is its own subscriber: %v, %v", has, err)
	}
}

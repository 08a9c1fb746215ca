package procurement

import (
	"context"
	"errors"
	"testing"
)

func TestMayObtain(t *testing.T) {
	t.Parallel()
	const seller, other = "111111111111", "222222222222"
	broken := errors.New("broken")
	p := New(Config{Product: func(_ context.Context, id string) (Product, error) {
		switch id {
		case "none":
			return Product{}, ErrNoProduct
		case "broken":
			return Product{}, broken
		}
		return Product{Owner: seller, Visibility: id}, nil
	}})
	for _, c := range []struct {
		account, product string
		want             bool
	}{
		{seller, "Draft", true}, {seller, "Limited", true}, {seller, "Public", true}, {seller, "Restricted", true},
		{other, "Draft", false}, {other, "Limited", false}, {other, "Public", true}, {other, "Restricted", false},
		{other, "Strange", false}, {"", "Limited", false}, {seller, "none", false}, {other, "none", false},
	} {
		got, reason, err := p.MayObtain(t.Context(), c.account, "acme/web", c.product)
		if err != nil || got != c.want || reason == "" {
			t.Errorf("%s of %s: %t, %q, %v, want %t", c.product, c.account, got, reason, err, c.want)
		}
	}
	if ok, _, err := p.MayObtain(t.Context(), seller, "acme/web", "broken"); ok || !errors.Is(err, broken) {
		t.Errorf("store broken: %t, %v", ok, err)
	}
}

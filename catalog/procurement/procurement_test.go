package procurement

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// seller owns the products of all tests.
const seller = "111111111111"

var broken = errors.New("broken")

// ofVisibilities has a product of each visibility, with that for an id. There is
// no product "none", and "broken" can't be read.
func ofVisibilities(artifacts ...Artifact) *Procurement {
	return New(Config{Product: func(_ context.Context, id string) (Product, error) {
		switch id {
		case "none":
			return Product{}, ErrNoProduct
		case "broken":
			return Product{}, broken
		}
		return Product{Owner: seller, Visibility: id, Artifacts: artifacts}, nil
	}})
}

func TestMayObtain(t *testing.T) {
	t.Parallel()
	const other = "222222222222"
	p := ofVisibilities()
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

func TestDeliveredLooksAtTheVisibilityOfOptions(t *testing.T) {
	t.Parallel()
	const other = "222222222222"
	artifacts := []Artifact{{"public", "Public"}, {"invited", "Limited"}, {"past", "Restricted"}, {"public", "Limited"}}
	p := ofVisibilities(artifacts...)
	for _, c := range []struct {
		account, product string
		want             []string
	}{
		{seller, "Public", []string{"public", "invited", "past", "public"}},
		{seller, "Draft", []string{"public", "invited", "past", "public"}},
		{other, "Public", []string{"public"}},
		{other, "Limited", nil}, {other, "Restricted", nil}, {other, "Draft", nil}, {"", "Limited", nil}, {seller, "none", nil},
	} {
		got, err := p.Delivered(t.Context(), c.account, c.product)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s of %s: got %v, %v, want %v", c.product, c.account, got, err, c.want)
		}
	}
	if _, err := p.Delivered(t.Context(), seller, "broken"); !errors.Is(err, broken) {
		t.Errorf("store broken: %v", err)
	}
}

func TestInvitedAccountsObtainALimitedProduct(t *testing.T) {
	t.Parallel()
	const friend, other = "222222222222", "333333333333"
	artifacts := []Artifact{{"public", "Public"}, {"limited", "Limited"}, {"past", "Restricted"}}
	for _, c := range []struct {
		visibility, account string
		want                []string
	}{
		{"Limited", friend, []string{"public", "limited"}}, {"Limited", other, nil}, {"Limited", seller, []string{"public", "limited", "past"}},
		{"Public", friend, []string{"public"}}, {"Draft", friend, nil}, {"Restricted", friend, nil},
	} {
		p := New(Config{Product: func(context.Context, string) (Product, error) {
			return Product{Owner: seller, Visibility: c.visibility, Invited: []string{friend}, Artifacts: artifacts}, nil
		}})
		got, err := p.Delivered(t.Context(), c.account, "x")
		ok, _, _ := p.MayObtain(t.Context(), c.account, "acme/web", "x")
		if err != nil || !slices.Equal(got, c.want) || ok != (c.want != nil) {
			t.Errorf("%s, account %s: %q, may obtain %t, %v; want %q", c.visibility, c.account, got, ok, err, c.want)
		}
	}
}

func TestAPrivateMarketplaceKeepsAccountsFromWhatItDoesNotAllow(t *testing.T) {
	t.Parallel()
	const buyer, free = "222222222222", "333333333333"
	p := ofVisibilities()
	p.config.Private = func(_ context.Context, account, product string) (bool, string, error) {
		if product == "broken" {
			return false, "", broken
		}
		return account != buyer, "the private marketplace says so", nil
	}
	ok, reason, err := p.MayObtain(t.Context(), buyer, "acme/web", "Public")
	var denial *Denial
	if ok || !errors.As(err, &denial) || denial.Reason != "the private marketplace says so" || reason != denial.Reason {
		t.Errorf("kept from: %t, %q, %v, want a Denial with the reason", ok, reason, err)
	}
	for account, product := range map[string]string{free: "Public", seller: "Draft"} {
		if ok, _, err := p.MayObtain(t.Context(), account, "acme/web", product); !ok || err != nil {
			t.Errorf("%s of %s: %t, %v", product, account, ok, err)
		}
	}
	if ok, _, err := p.MayObtain(t.Context(), buyer, "acme/web", "Limited"); ok || err != nil {
		t.Errorf("what the account can't see anyway: %t, %v, want no word of the private marketplace", ok, err)
	}
}

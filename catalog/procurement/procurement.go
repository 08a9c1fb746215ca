// Package procurement says which account may obtain which product, and why.
// The registry asks it at every pull.
//
// It decides by the product, who sells it and how visible it and its delivery
// options are, and by the private marketplace that governs the account.
package procurement

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// ErrNoProduct: there is no product of that id. Config.Product returns it.
var ErrNoProduct = errors.New("no such product")

// Product is what is asked of a product.
type Product struct {
	Owner      string   // account id of its seller
	Visibility string   // Draft, Limited, Public, Restricted
	Invited    []string // accounts that may obtain it while it is Limited
	Artifacts  []Artifact
}

// Artifact is an image or chart that a delivery option of a version names.
type Artifact struct {
	Digest     string
	Visibility string // of the option: Limited, Public, Restricted
}

// Config says whom to ask.
type Config struct {
	// Product reads a product as it is stored now. ErrNoProduct if there is none.
	Product func(ctx context.Context, id string) (Product, error)
	// Private says whether the private marketplace that governs an account lets
	// it obtain a product, in words too. Nil: there are none.
	Private func(ctx context.Context, account, product string) (ok bool, reason string, err error)
}

// Denial is why a private marketplace keeps an account from a product that it
// could obtain else. The account may be told: it sees the product.
type Denial struct{ Reason string }

func (d *Denial) Error() string { return d.Reason }

// Procurement answers. Its methods may be called concurrently.
type Procurement struct{ config Config }

// New returns a Procurement that asks c.Product.
func New(c Config) *Procurement { return &Procurement{c} }

// MayObtain says whether an account may obtain a product, in words too. The
// repository is the one that is to be read, NAMESPACE/NAME or published/...;
// it makes no difference today. A product that does not exist is one that
// nobody may obtain.
//
// "Public: discoverable by all; Limited: by the seller and invited accounts;
// Restricted: no new subscribers" (AWS Marketplace Seller Guide). Nobody can be
// subscribed yet, so a Restricted product is its seller's alone.
//
// What the private marketplace of the account keeps from it is a *Denial.
func (p *Procurement) MayObtain(ctx context.Context, account, repository, product string) (ok bool, reason string, err error) {
	found, err := p.config.Product(ctx, product)
	if errors.Is(err, ErrNoProduct) {
		return false, "there is no such product", nil
	}
	if err != nil {
		return false, "", fmt.Errorf("asking about product %s: %w", product, err)
	}
	switch {
	case account != "" && account == found.Owner:
		return true, "the account sells the product", nil
	case found.Visibility == "Public":
		reason = "the product is public"
	case found.invites(account):
		reason = "the product is Limited and the account is invited"
	default:
		return false, "the product is " + found.Visibility + " and the account has no subscription", nil
	}
	if p.config.Private == nil {
		return true, reason, nil
	}
	ok, why, err := p.config.Private(ctx, account, product)
	if err != nil {
		return false, "", fmt.Errorf("asking about the private marketplace of account %s: %w", account, err)
	}
	if !ok {
		return false, why, &Denial{Reason: why}
	}
	return true, reason + ", " + why, nil
}

// invites says whether an account may obtain the product although it is not public.
func (p *Product) invites(account string) bool {
	return p.Visibility == "Limited" && slices.Contains(p.Invited, account)
}

// Delivered returns the digests of the images and charts that an account may
// have of a product: its seller all that versions name, others what a Public
// delivery option names, if they may obtain the product, and invited accounts
// also what Limited ones name.
//
// "Limited" options are for invited accounts and "Restricted" ones for those
// that have them already (AWS Marketplace Seller Guide); see MayObtain.
func (p *Procurement) Delivered(ctx context.Context, account, product string) ([]string, error) {
	found, err := p.config.Product(ctx, product)
	if errors.Is(err, ErrNoProduct) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("asking about product %s: %w", product, err)
	}
	sells, invited := account != "" && account == found.Owner, found.invites(account)
	var digests []string
	for _, a := range found.Artifacts {
		open := a.Visibility == "Public" && (found.Visibility == "Public" || invited)
		if sells || open || invited && a.Visibility == "Limited" {
			digests = append(digests, a.Digest)
		}
	}
	return digests, nil
}

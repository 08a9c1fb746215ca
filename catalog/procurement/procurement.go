// Package procurement says which account may obtain which product and which
// version of it, and why. The registry asks it at every pull, machine images
// before another account uses them, and the discovery service for what it shows.
//
// It decides by the product, who sells it and how visible it and its delivery
// options are; by the private marketplace that governs the account; and by what
// the account has obtained before, which it writes down (subscription.go). It
// knows no change types and no files.
package procurement

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"souk/storage/store"
)

// ErrNoProduct: there is no product of that id. Config.Product returns it.
var ErrNoProduct = errors.New("no such product")

// Config says whom to ask.
type Config struct {
	// Product reads a product as it is stored now. ErrNoProduct if there is none.
	Product func(ctx context.Context, id string) (Product, error)
	// Private says whether the private marketplace that governs an account lets
	// it obtain a product, in words too. Nil: there are none.
	Private func(ctx context.Context, account, product string) (ok bool, reason string, err error)
	// Store keeps subscriptions. Nil: nobody has any, and none is written.
	Store store.Store

	Now func() time.Time // nil means time.Now
	Log *slog.Logger     // nil means slog.Default
}

// Procurement answers. Its methods may be called concurrently.
type Procurement struct {
	config Config

	mu       sync.Mutex
	recorded map[obtainment]bool // guarded by mu; what is known to be written down
}

// New returns a Procurement that asks c.Product.
func New(c Config) *Procurement {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return &Procurement{config: c, recorded: map[obtainment]bool{}}
}

// MayObtain says whether an account may obtain a version of a product, and why;
// version "" asks about the product as a whole. A product that does not exist is
// one that nobody may obtain.
func (p *Procurement) MayObtain(ctx context.Context, account, product, version string) (Answer, error) {
	c, err := p.read(ctx, account, product)
	if err != nil {
		return Answer{}, err
	}
	if version == "" {
		return c.Obtain(), nil
	}
	return c.ObtainVersion(version), nil
}

// Case reads all that a decision about an account and a product rests on.
// ErrNoProduct if there is none.
func (p *Procurement) Case(ctx context.Context, account, product string) (*Case, error) {
	c, err := p.read(ctx, account, product)
	if err == nil && !c.exists {
		err = fmt.Errorf("product %s: %w", product, ErrNoProduct)
	}
	return c, err
}

// read reads a case. Of private marketplaces and subscriptions it reads only
// what makes a difference.
func (p *Procurement) read(ctx context.Context, account, product string) (*Case, error) {
	c := &Case{Account: account, ID: product}
	found, err := p.config.Product(ctx, product)
	if errors.Is(err, ErrNoProduct) {
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("asking about product %s: %w", product, err)
	}
	c.Product, c.exists = found, true
	if c.sells() {
		return c, nil
	}
	if found.restricts() {
		c.Has, err = p.subscribed(ctx, account, product)
		if err != nil {
			return nil, err
		}
	}
	if p.config.Private == nil || !c.seen().OK {
		return c, nil
	}
	ok, reason, err := p.config.Private(ctx, account, product)
	if err != nil {
		return nil, fmt.Errorf("asking about the private marketplace of account %s: %w", account, err)
	}
	c.Private = &Verdict{ok, reason}
	return c, nil
}

// Delivered says of all images and charts that a product's versions deliver
// whether an account may have them, in the order of the versions. One that
// several delivery options deliver is there several times.
func (p *Procurement) Delivered(ctx context.Context, account, product string) ([]Artifact, error) {
	c, err := p.read(ctx, account, product)
	if err != nil {
		return nil, err
	}
	var all []Artifact
	for i := range c.Product.Versions {
		v := &c.Product.Versions[i]
		for j := range v.Options {
			answer := c.ObtainOption(v, &v.Options[j])
			for _, digest := range v.Options[j].Digests {
				all = append(all, Artifact{Digest: digest, Version: v.ID, Answer: answer})
			}
		}
	}
	return all, nil
}

// Artifact is an image or chart that a delivery option of a version delivers.
type Artifact struct {
	Digest  string
	Version string // its id
	Answer
}

// restricts says whether the product has anything that only those may have who
// have it already.
func (p *Product) restricts() bool {
	return p.Visibility == restricted || slices.ContainsFunc(p.Versions, func(v Version) bool {
		return slices.ContainsFunc(v.Options, func(o Option) bool { return o.Visibility == restricted })
	})
}

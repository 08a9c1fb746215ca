package procurement

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"souk/storage/store"
	"souk/storage/store/audit"
)

// KindSubscription is the kind of the documents that say what accounts have
// obtained: id ACCOUNT/PRODUCT, and a subscription as the body. They are never
// deleted: "restricted versions are still available for existing customers".
const KindSubscription = "subscription"

// subscription is the body of such a document.
type subscription struct{ Versions []Obtained }

// Obtained is a version that an account has obtained.
type Obtained struct {
	Version string    // its id
	First   time.Time // when it was obtained first, UTC
}

// The indexes of subscriptions.
const (
	indexAccount = "account" // partition account; by product
	indexProduct = "product" // partition product; by account
)

// obtainment is something that was seen to be written down: that an account has
// all versions of a product which deliver a digest.
type obtainment struct{ account, product, digest string }

// mostRecorded is how many obtainments are remembered, so that repeated pulls
// cost a look into a map. Then all are forgotten: each is read again once.
const mostRecorded = 1 << 16

// Obtained writes down, before an account is given what a product delivers by a
// digest, that it has the versions which it may obtain and which deliver it. The
// first time it is a commit; after that neither a write nor a read.
//
// The seller is no subscriber of its own product.
func (p *Procurement) Obtained(ctx context.Context, account, product, digest string) error {
	if p.config.Store == nil {
		return nil
	}
	one := obtainment{account, product, digest}
	p.mu.Lock()
	known := p.recorded[one]
	p.mu.Unlock()
	if known {
		return nil
	}
	c, err := p.read(ctx, account, product)
	if err != nil {
		return err
	}
	if c.sells() {
		return nil
	}
	versions, whole := c.versions(digest)
	if err := p.subscribe(ctx, account, product, versions); err != nil {
		return err
	}
	if whole {
		p.remember(one)
	}
	return nil
}

// versions are those that the account may obtain and that deliver a digest;
// whole: there are no others that deliver it, which the account might be given
// later by the same digest.
func (c *Case) versions(digest string) (ids []string, whole bool) {
	whole = true
	for i := range c.Product.Versions {
		v := &c.Product.Versions[i]
		for j := range v.Options {
			o := &v.Options[j]
			switch {
			case !slices.Contains(o.Digests, digest) || slices.Contains(ids, v.ID):
			case c.ObtainOption(v, o).OK:
				ids = append(ids, v.ID)
			default:
				whole = false
			}
		}
	}
	return ids, whole
}

func (p *Procurement) remember(one obtainment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.recorded) >= mostRecorded {
		clear(p.recorded)
	}
	p.recorded[one] = true
}

// subscribe adds versions to what an account has, in one commit that is guarded
// by the revision that was read. What others write meanwhile is kept.
func (p *Procurement) subscribe(ctx context.Context, account, product string, versions []string) error {
	for {
		has, revision, err := p.subscription(ctx, account, product)
		if err != nil {
			return err
		}
		missing := slices.DeleteFunc(slices.Clone(versions), func(id string) bool {
			return slices.ContainsFunc(has.Versions, func(o Obtained) bool { return o.Version == id })
		})
		if len(missing) == 0 {
			return nil
		}
		now := p.config.Now().UTC().Truncate(time.Millisecond)
		for _, id := range missing {
			has.Versions = append(has.Versions, Obtained{Version: id, First: now})
		}
		d, err := has.document(account, product)
		if err != nil {
			return err
		}
		err = p.config.Store.Commit(ctx, store.Batch{Put: []store.Write{{Document: d, Was: revision}}})
		if errors.Is(err, store.ErrConflict) {
			continue // another pull was quicker
		}
		if err != nil {
			return fmt.Errorf("writing down that account %s has product %s: %w", account, product, err)
		}
		p.config.Log.Info("an account has obtained a product", "account", account, "product", product, "versions", missing)
		return nil
	}
}

func (p *Procurement) subscribed(ctx context.Context, account, product string) ([]Obtained, error) {
	if p.config.Store == nil {
		return nil, nil
	}
	s, _, err := p.subscription(ctx, account, product)
	return s.Versions, err
}

// subscription reads what an account has of a product; revision 0: nothing.
func (p *Procurement) subscription(ctx context.Context, account, product string) (s subscription, revision int64, err error) {
	d, err := p.config.Store.Get(ctx, store.Key{Kind: KindSubscription, ID: account + "/" + product})
	if errors.Is(err, store.ErrNotFound) {
		return s, 0, nil
	}
	if err == nil {
		err = json.Unmarshal(d.Body, &s)
	}
	if err != nil {
		return s, 0, fmt.Errorf("reading what account %s has of product %s: %w", account, product, err)
	}
	return s, d.Revision, nil
}

// document is a subscription as the store keeps it.
func (s subscription) document(account, product string) (store.Document, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return store.Document{}, fmt.Errorf("writing what account %s has of product %s: %w", account, product, err)
	}
	return store.Document{
		Key:  store.Key{Kind: KindSubscription, ID: account + "/" + product},
		Body: body,
		Index: []store.Entry{
			{Index: indexAccount, Partition: account, Sort: product},
			{Index: indexProduct, Partition: product, Sort: account},
		},
	}, nil
}

// Verify says what is wrong with the subscriptions of a store: those of unknown
// products and versions, those that can't be read or have something twice, and
// lists that lack them.
func (p *Procurement) Verify(ctx context.Context) (wrong []string, err error) {
	walker, ok := p.config.Store.(store.Walker)
	if !ok {
		return nil, errors.New("verifying subscriptions: the store can't be walked")
	}
	err = walker.Walk(ctx, KindSubscription, func(d store.Document) error {
		what, err := p.wrongSubscription(ctx, d)
		if what != "" {
			wrong = append(wrong, d.Kind+" "+d.ID+": "+what)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("verifying subscriptions: %w", err)
	}
	lists, err := audit.Lists(ctx, walker, map[string]audit.Should{KindSubscription: func(d store.Document) ([]byte, []store.Entry, error) {
		account, product, s, err := readSubscription(d)
		if err != nil {
			return nil, nil, err
		}
		should, err := s.document(account, product)
		return should.Summary, should.Index, err
	}})
	if err != nil {
		return nil, fmt.Errorf("verifying subscriptions: %w", err)
	}
	for _, w := range lists {
		wrong = append(wrong, w.Kind+" "+w.ID+": "+w.What)
	}
	return wrong, nil
}

func (p *Procurement) wrongSubscription(ctx context.Context, d store.Document) (string, error) {
	_, product, s, err := readSubscription(d)
	if err != nil {
		return err.Error(), nil
	}
	if len(s.Versions) == 0 {
		return "it has no version", nil
	}
	found, err := p.config.Product(ctx, product)
	if errors.Is(err, ErrNoProduct) {
		return "there is no such product", nil
	}
	if err != nil {
		return "", err
	}
	for i, o := range s.Versions {
		switch {
		case o.First.IsZero():
			return "version " + o.Version + " has no time", nil
		case slices.ContainsFunc(s.Versions[:i], func(b Obtained) bool { return b.Version == o.Version }):
			return "version " + o.Version + " is there twice", nil
		case !slices.ContainsFunc(found.Versions, func(v Version) bool { return v.ID == o.Version }):
			return "the product has no version " + o.Version, nil
		}
	}
	return "", nil
}

func readSubscription(d store.Document) (account, product string, s subscription, err error) {
	account, product, ok := strings.Cut(d.ID, "/")
	if !ok || account == "" || product == "" {
		return "", "", s, errors.New("its id is not an account and a product")
	}
	if err := json.Unmarshal(d.Body, &s); err != nil {
		return "", "", s, fmt.Errorf("it can't be read: %w", err)
	}
	return account, product, s, nil
}

package listing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"souk/catalog/change"
	"souk/storage/store"
	"souk/storage/store/audit"
)

// wholeKey is the document that says that every product has its listing: those
// of a database of before listings are written by the first node that misses it.
var wholeKey = store.Key{Kind: "listings", ID: "whole"}

// Whole is that document. Who fills a store by hand, with listings, writes it.
func Whole() store.Write {
	return store.Write{Document: store.Document{Key: wholeKey, Body: []byte("1")}, Was: store.Any}
}

// Fill writes the listings of products that have none yet, unless that was done
// before. each calls a function for every product with its state.
func (l *Listings) Fill(ctx context.Context, each func(context.Context, func(change.Entity, any) error) error) error {
	whole, err := l.whole(ctx)
	if whole || err != nil {
		return err
	}
	err = each(ctx, func(e change.Entity, state any) error {
		writes, err := Write(e, state)
		if err != nil || len(writes) == 0 {
			return err
		}
		// One that is there by now was written with a newer product.
		writes[0].Was = 0
		err = l.store.Commit(ctx, store.Batch{Put: writes})
		if errors.Is(err, store.ErrConflict) {
			return nil
		}
		return err
	})
	if err == nil {
		err = l.store.Commit(ctx, store.Batch{Put: []store.Write{Whole()}})
	}
	if err != nil {
		return fmt.Errorf("writing the listings of products: %w", err)
	}
	return nil
}

func (l *Listings) whole(ctx context.Context) (bool, error) {
	_, err := l.store.Get(ctx, wholeKey)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Wrong says what is wrong with the listing of a product; "" for nothing.
func (l *Listings) Wrong(ctx context.Context, e change.Entity, state any) (string, error) {
	if whole, err := l.whole(ctx); !whole || err != nil {
		return "", err
	}
	d, err := l.store.Get(ctx, store.Key{Kind: Kind, ID: e.ID})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", fmt.Errorf("reading the listing of %s: %w", e.ID, err)
	}
	should, listed := Of(e, state)
	switch {
	case !listed && err == nil:
		return "it has a listing and was never released", nil
	case !listed:
		return "", nil
	case err != nil:
		return "it has no listing", nil
	}
	want, err := should.document()
	if err == nil && !bytes.Equal(want.Body, d.Body) {
		return "its listing is not as the product is", nil
	}
	return "", err
}

// Verify says which lists, and which terms, are not as the listings have them.
func (l *Listings) Verify(ctx context.Context) (wrong []string, err error) {
	walker, ok := l.store.(store.Walker)
	if !ok {
		return nil, errors.New("verifying listings: the store can't be walked")
	}
	should := func(d store.Document) (store.Document, error) {
		var listing Listing
		if err := json.Unmarshal(d.Body, &listing); err != nil {
			return store.Document{}, err
		}
		return listing.document()
	}
	lists, err := audit.Lists(ctx, walker, map[string]audit.Should{Kind: func(d store.Document) ([]byte, []store.Entry, error) {
		w, err := should(d)
		return w.Summary, w.Index, err
	}})
	if err != nil {
		return nil, fmt.Errorf("verifying listings: %w", err)
	}
	terms, err := audit.Terms(ctx, walker, Kind, func(d store.Document) ([]string, error) {
		w, err := should(d)
		return w.Terms, err
	})
	if err != nil {
		return nil, fmt.Errorf("verifying listings: %w", err)
	}
	for _, w := range append(lists, terms...) {
		wrong = append(wrong, w.Kind+" "+w.ID+": "+w.What)
	}
	return wrong, nil
}

package trail

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"souk/storage/store"
	"souk/storage/store/audit"
)

// Verify looks at every record and pack and returns what is wrong, a sentence
// for each, for souk doctor: what can't be read, what is listed where it doesn't
// belong, packs whose records are of others, deliveries of packs that are gone.
// It may run while calls are recorded: what is found twice in a row is reported.
func (t *Trail) Verify(ctx context.Context) (findings []string, err error) {
	walker, ok := t.store.(store.Walker)
	if !ok {
		return nil, errors.New("verifying the trail: the store can't be walked")
	}
	for n := range 2 {
		now, err := t.verify(ctx, walker)
		if err != nil {
			return nil, fmt.Errorf("verifying the trail: %w", err)
		}
		if n > 0 {
			now = slices.DeleteFunc(now, func(f string) bool { return !slices.Contains(findings, f) })
		}
		if findings = now; len(findings) == 0 {
			return nil, nil
		}
	}
	return findings, nil
}

func (t *Trail) verify(ctx context.Context, walker store.Walker) (findings []string, err error) {
	find := func(d store.Document, what any) {
		findings = append(findings, fmt.Sprintf("%s %s: %v", d.Kind, d.ID, what))
	}
	err = walker.Walk(ctx, kindSingle, func(d store.Document) error {
		r, err := decode(d.Body)
		if err == nil && r.ID != d.ID {
			err = fmt.Errorf("its record is that of %s", r.ID)
		}
		if err != nil {
			find(d, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = walker.Walk(ctx, kindPack, func(d store.Document) error {
		if _, err := t.stored(d); err != nil {
			find(d, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = walker.Walk(ctx, kindDelivery, func(d store.Document) error {
		_, err := t.store.Get(ctx, store.Key{Kind: kindPack, ID: d.ID})
		if errors.Is(err, store.ErrNotFound) {
			find(d, "its pack is missing")
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	wrong, err := audit.Lists(ctx, walker, map[string]audit.Should{
		kindSingle: func(d store.Document) ([]byte, []store.Entry, error) {
			r, err := decode(d.Body)
			if err != nil {
				return nil, nil, err
			}
			return nil, single(r, d.Body).Index, nil
		},
		kindPack: func(d store.Document) ([]byte, []store.Entry, error) {
			p, err := t.stored(d)
			if err != nil {
				return nil, nil, err
			}
			return []byte(strconv.Itoa(p.size)), p.index(), nil
		},
		kindDelivery: func(store.Document) ([]byte, []store.Entry, error) { return nil, nil, nil },
	})
	for _, w := range wrong {
		if w.Kind == kindSingle || w.Kind == kindPack || w.Kind == kindDelivery {
			find(store.Document{Key: w.Key}, w.What)
		}
	}
	return findings, err
}

// stored reads a pack and checks it.
func (t *Trail) stored(d store.Document) (*pack, error) {
	records, err := t.open(d.Body)
	if err != nil {
		return nil, err
	}
	p := &pack{id: d.ID, size: len(records)}
	var c cover
	var r Record
	newest := ""
	err = each(records, func(record string) error {
		if err := r.decode(record); err != nil {
			return err
		}
		if p.account == "" {
			p.account = r.Account
		}
		if r.Account != p.account {
			return fmt.Errorf("it has records of accounts %s and %s", p.account, r.Account)
		}
		newest = max(newest, r.ID)
		c.add(&r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if newest == "" || len(d.ID) != 45 || d.ID[:36] != newest {
		return nil, fmt.Errorf("its newest record is %q", newest)
	}
	p.cover = c.bytes()
	return p, nil
}

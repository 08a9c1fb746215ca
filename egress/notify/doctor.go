package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"

	"souk/storage/store"
	"souk/storage/store/audit"
)

// Verify looks at all topics, subscriptions and messages and returns what is
// wrong, a sentence for each, for souk doctor. It may run while messages are
// delivered: what is found twice in a row is reported.
func (n *Notify) Verify(ctx context.Context) (findings []string, err error) {
	walker, ok := n.store.(store.Walker)
	if !ok {
		return nil, errors.New("verifying topics: the store can't be walked")
	}
	for round := range 2 {
		now, err := n.verify(ctx, walker)
		if err != nil {
			return nil, fmt.Errorf("verifying topics: %w", err)
		}
		if round > 0 {
			now = slices.DeleteFunc(now, func(f string) bool { return !slices.Contains(findings, f) })
		}
		if findings = now; len(findings) == 0 {
			return nil, nil
		}
	}
	return findings, nil
}

func (n *Notify) verify(ctx context.Context, walker store.Walker) (findings []string, err error) {
	find := func(k store.Key, format string, args ...any) {
		findings = append(findings, k.Kind+" "+k.ID+": "+fmt.Sprintf(format, args...))
	}
	counts := map[string]map[State]int{} // by topic
	missing := func(k store.Key) (bool, error) {
		_, err := n.store.Get(ctx, k)
		if errors.Is(err, store.ErrNotFound) {
			return true, nil
		}
		return false, err
	}
	walk := func(kind string, look func(store.Document) error) {
		if err == nil {
			err = walker.Walk(ctx, kind, look)
		}
	}
	walk(kindSubscription, func(d store.Document) error {
		s, err := decodeSubscription(d)
		if err != nil {
			find(d.Key, "%v", err)
			return nil
		}
		if counts[s.Topic] == nil {
			counts[s.Topic] = map[State]int{}
		}
		counts[s.Topic][s.State]++
		gone, err := missing(store.Key{Kind: kindTopic, ID: s.Topic})
		if gone {
			find(d.Key, "its topic is gone")
		}
		if err != nil {
			return err
		}
		claim, err := n.store.Get(ctx, s.claim())
		if errors.Is(err, store.ErrNotFound) || err == nil && string(claim.Body) != s.ARN {
			find(d.Key, "its endpoint is not its own")
			return nil
		}
		return err
	})
	walk(kindTopic, func(d store.Document) error {
		t, err := decodeTopic(d)
		if err != nil {
			find(d.Key, "%v", err)
			return nil
		}
		c := counts[t.ARN]
		if t.ARN != d.ID || c[Pending] != t.Pending || c[Confirmed] != t.Confirmed || c[Ended] != t.Deleted {
			find(d.Key, "it counts %d pending, %d confirmed and %d ended subscriptions, and has %d, %d and %d", t.Pending, t.Confirmed, t.Deleted, c[Pending], c[Confirmed], c[Ended])
		}
		return nil
	})
	walk(kindEndpoint, func(d store.Document) error {
		gone, err := missing(store.Key{Kind: kindSubscription, ID: string(d.Body)})
		if gone {
			find(d.Key, "its subscription %s is gone", d.Body)
		}
		return err
	})
	walk(kindChoice, func(d store.Document) error {
		gone, err := missing(store.Key{Kind: kindTopic, ID: string(d.Body)})
		if gone {
			find(d.Key, "the topic that the account chose, %s, is gone", d.Body)
		}
		return err
	})
	walk(kindMessage, func(d store.Document) error {
		if err := json.Unmarshal(d.Body, &message{}); err != nil {
			find(d.Key, "%v", err)
		}
		return nil
	})
	walk(kindSigner, func(d store.Document) error {
		if _, err := n.openSigner(d); err != nil {
			find(d.Key, "%v", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	kinds := shoulds()
	wrong, err := audit.Lists(ctx, walker, kinds)
	for _, w := range wrong {
		if kinds[w.Kind] != nil {
			find(w.Key, "%s", w.What)
		}
	}
	return findings, err
}

// shoulds says how the documents of each kind are listed.
func shoulds() map[string]audit.Should {
	of := func(write func(d store.Document) (store.Write, error)) audit.Should {
		return func(d store.Document) ([]byte, []store.Entry, error) {
			w, err := write(d)
			return w.Summary, w.Index, err
		}
	}
	return map[string]audit.Should{
		kindTopic: of(func(d store.Document) (store.Write, error) {
			t, err := decodeTopic(d)
			if err != nil {
				return store.Write{}, err
			}
			return t.write(0)
		}),
		kindSubscription: of(func(d store.Document) (store.Write, error) {
			s, err := decodeSubscription(d)
			if err != nil {
				return store.Write{}, err
			}
			return s.write(0)
		}),
		kindDelivery: of(func(doc store.Document) (store.Write, error) {
			d, err := decodeDelivery(doc)
			if err != nil {
				return store.Write{}, err
			}
			return d.write(0, "", doc.Due)
		}),
		kindDeadLetter: of(func(d store.Document) (store.Write, error) {
			l, err := decodeDead(d)
			if err != nil {
				return store.Write{}, err
			}
			return l.write(0)
		}),
		kindChoice: of(func(d store.Document) (store.Write, error) { return choice(d.ID, string(d.Body), 0), nil }),
	}
}

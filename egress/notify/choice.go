package notify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"souk/storage/store"
)

// choicesEvery is how often a node looks for what accounts have chosen elsewhere.
const choicesEvery = 2 * time.Second

// chosenTopic is the topic of an account for the ends of its change sets.
type chosenTopic struct {
	topic    string // "" if none
	revision int64
}

func choiceKey(account string) store.Key { return store.Key{Kind: kindChoice, ID: account} }

// choice is the write of an account's choice.
func choice(account, topic string, was int64) store.Write {
	return store.Write{Was: was, Document: store.Document{
		Key: choiceKey(account), Summary: []byte(topic), Body: []byte(topic),
		Index: []store.Entry{{Index: "all", Sort: account}},
	}}
}

func (n *Notify) chosen(ctx context.Context, account string) (chosenTopic, error) {
	d, err := n.store.Get(ctx, choiceKey(account))
	if errors.Is(err, store.ErrNotFound) {
		return chosenTopic{}, nil
	}
	if err != nil {
		return chosenTopic{}, fmt.Errorf("reading the topic that %s chose: %w", account, err)
	}
	return chosenTopic{string(d.Body), d.Revision}, nil
}

// choose makes a topic its account's choice, in the place of another, or ends that.
func (n *Notify) choose(ctx context.Context, t *Topic, revision int64, yes bool) error {
	was, err := n.chosen(ctx, t.Account)
	if err != nil || yes == (was.topic == t.ARN) {
		return err
	}
	b := store.Batch{Expect: []store.Expectation{{Key: store.Key{Kind: kindTopic, ID: t.ARN}, Revision: revision}}}
	topic := ""
	if yes {
		topic = t.ARN
		b.Put = []store.Write{choice(t.Account, topic, was.revision)}
	} else {
		b.Delete = []store.Removal{{Key: choiceKey(t.Account), Was: was.revision}}
	}
	if err := n.store.Commit(ctx, b); err != nil {
		return err
	}
	n.chose(t.Account, topic)
	return nil
}

// chose notes an account's choice on this node, "" for none.
func (n *Notify) chose(account, topic string) {
	for {
		old := n.choices.Load()
		all := maps.Clone(*old)
		if topic == "" {
			delete(all, account)
		} else {
			all[account] = topic
		}
		if n.choices.CompareAndSwap(old, &all) {
			return
		}
	}
}

// ChangeSetTopic is the topic that an account chose for the ends of its change
// sets; "" if none. It asks nobody: what was chosen on another node is known
// within two seconds.
func (n *Notify) ChangeSetTopic(account string) string { return (*n.choices.Load())[account] }

// LoadChoices reads what accounts have chosen.
func (n *Notify) LoadChoices(ctx context.Context) error {
	old, all := n.choices.Load(), map[string]string{}
	q := store.Query{Kind: kindChoice, Index: "all", Limit: 1000}
	for more := true; more; {
		page, err := n.store.List(ctx, q)
		if err != nil {
			return fmt.Errorf("listing the topics of change sets: %w", err)
		}
		for _, d := range page.Documents {
			all[d.ID] = string(d.Summary)
		}
		q.After, more = page.Next, page.More
	}
	n.choices.CompareAndSwap(old, &all) // else somebody chose here meanwhile: the next look has it
	return nil
}

func (n *Notify) watchChoices(ctx context.Context) error {
	tick := time.NewTicker(choicesEvery)
	defer tick.Stop()
	for {
		if err := n.LoadChoices(ctx); err != nil && ctx.Err() == nil {
			n.cfg.Log.Warn("reading the topics of change sets failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

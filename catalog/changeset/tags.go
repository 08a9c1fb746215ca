package changeset

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"

	"souk/gateway/apierror"
	"souk/storage/store"
)

// MostTags is how many tags an entity or a change set may have.
//
// Catalog API Reference, "TagResource".
const MostTags = 50

// Resource names an entity or a change set of an account.
type Resource struct {
	Account string
	Kind    string // ChangeSet, or the entity's type without version
	ID      string // without revision
}

// changeSetKind is the Kind of change sets.
const changeSetKind = "ChangeSet"

// kindTags is the kind of documents with the tags of a resource, by its id.
// Tags are no part of what they are on: they change without a new revision.
const kindTags = "tags"

type tagsBody struct {
	Account string
	Tags    map[string]string
}

func (t tagsBody) write(id string, was int64) (store.Write, error) {
	body, err := json.Marshal(t, json.Deterministic(true))
	if err != nil {
		return store.Write{}, fmt.Errorf("encoding the tags of %s: %w", id, err)
	}
	return store.Write{Was: was, Document: store.Document{Key: store.Key{Kind: kindTags, ID: id}, Body: body}}, nil
}

// readTags reads the tags of a resource; none is revision 0.
func (e *Engine) readTags(ctx context.Context, id string) (tagsBody, int64, error) {
	d, err := e.store.Get(ctx, store.Key{Kind: kindTags, ID: id})
	if errors.Is(err, store.ErrNotFound) {
		return tagsBody{}, 0, nil
	}
	if err != nil {
		return tagsBody{}, 0, fmt.Errorf("reading the tags of %s: %w", id, err)
	}
	var t tagsBody
	if err := json.Unmarshal(d.Body, &t); err != nil {
		return tagsBody{}, 0, fmt.Errorf("decoding the tags of %s: %w", id, err)
	}
	return t, d.Revision, nil
}

// Tags returns the tags of an account's resource. ResourceNotFoundException if
// there is no such resource.
func (e *Engine) Tags(ctx context.Context, r Resource) (map[string]string, error) {
	if err := e.exists(ctx, r); err != nil {
		return nil, err
	}
	t, _, err := e.readTags(ctx, r.ID)
	return t.Tags, err
}

// TagsOf returns the tags of whatever has the id; none if there is nothing.
func (e *Engine) TagsOf(ctx context.Context, id string) (map[string]string, error) {
	t, _, err := e.readTags(ctx, id)
	return t.Tags, err
}

// Tag sets and removes tags of an account's resource. More than MostTags are a
// ValidationException; ResourceNotFoundException if there is no such resource.
func (e *Engine) Tag(ctx context.Context, r Resource, set map[string]string, remove []string) error {
	for range maxRounds {
		if err := e.exists(ctx, r); err != nil {
			return err
		}
		t, was, err := e.readTags(ctx, r.ID)
		if err != nil {
			return err
		}
		tags := maps.Clone(t.Tags)
		if tags == nil {
			tags = map[string]string{}
		}
		maps.Copy(tags, set)
		for _, key := range remove {
			delete(tags, key)
		}
		if len(tags) > MostTags {
			return tooManyTags(len(tags))
		}
		w, err := tagsBody{r.Account, tags}.write(r.ID, was)
		if err != nil {
			return err
		}
		err = e.store.Commit(ctx, store.Batch{Put: []store.Write{w}})
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, store.ErrConflict):
			return fmt.Errorf("tagging %s: %w", r.ID, err)
		}
	}
	return fmt.Errorf("tagging %s: its tags change too often", r.ID)
}

func tooManyTags(n int) error {
	return invalid("A resource can have %d tags. It would have %d.", MostTags, n)
}

// exists says with a ResourceNotFoundException that a resource is not there, or
// not the account's.
func (e *Engine) exists(ctx context.Context, r Resource) error {
	if r.Kind == changeSetKind {
		_, _, err := e.readSet(ctx, r.Account, r.ID, false)
		return err
	}
	d, err := e.store.Get(ctx, store.Key{Kind: kindEntity, ID: r.ID})
	if errors.Is(err, store.ErrNotFound) {
		return noEntity(r.ID)
	}
	if err != nil {
		return fmt.Errorf("reading entity %s: %w", r.ID, err)
	}
	s, err := decodeEntity(d)
	if err != nil {
		return err
	}
	et := e.types[s.Type]
	if s.Owner != r.Account || et == nil || et.Name != r.Kind {
		return noEntity(r.ID)
	}
	return nil
}

// entityTags returns the writes of the tags that a set's changes give their
// entities. What an entity has already stays.
func (w *working) entityTags(ctx context.Context, x *examined) ([]store.Write, error) {
	given := map[string]map[string]string{}
	for i := range w.set.Changes {
		r := &w.set.Changes[i]
		if len(r.Tags) == 0 {
			continue
		}
		if given[r.EntityID] == nil {
			given[r.EntityID] = map[string]string{}
		}
		maps.Copy(given[r.EntityID], r.Tags)
	}
	var writes []store.Write
	for _, id := range slices.Sorted(maps.Keys(given)) {
		t, was, err := w.e.readTags(ctx, id)
		if err != nil {
			return nil, err
		}
		tags := maps.Clone(t.Tags)
		if tags == nil {
			tags = map[string]string{}
		}
		maps.Copy(tags, given[id])
		write, err := tagsBody{x.entity(id).Owner, tags}.write(id, was)
		if err != nil {
			return nil, err
		}
		writes = append(writes, write)
	}
	return writes, nil
}

// checkTags refuses a request that gives more tags than a resource may have:
// those that an entity has already count.
func (e *Engine) checkTags(ctx context.Context, s *setBody, r *Request) error {
	if len(r.Tags) > MostTags {
		return tooManyTags(len(r.Tags))
	}
	for i := range s.Changes {
		c := &s.Changes[i]
		if len(c.Tags) == 0 {
			continue
		}
		t, _, err := e.readTags(ctx, c.EntityID)
		if err != nil {
			return err
		}
		all := maps.Clone(c.Tags)
		maps.Copy(all, t.Tags)
		for j := range s.Changes[:i] {
			if s.Changes[j].EntityID == c.EntityID {
				maps.Copy(all, s.Changes[j].Tags)
			}
		}
		if len(all) > MostTags {
			return tooManyTags(len(all))
		}
	}
	return nil
}

// Policies of resources: documents by the entity's id, listed under each
// account that they allow something.
const (
	kindPolicy   = "resourcepolicy"
	indexGrantee = "grantee" // partition account (or *) / type without version
	everybody    = "*"
)

type policyBody struct {
	Account string // whose the entity is
	Type    string // of the entity, without version
	Policy  string
}

// PutPolicy sets the policy of an account's entity, which allows the grantees
// ("*": everybody) something. ResourceNotFoundException if there is no such
// entity. Whether the text is a policy is the caller's to say.
func (e *Engine) PutPolicy(ctx context.Context, r Resource, policy string, grantees []string) error {
	if err := e.exists(ctx, r); err != nil {
		return err
	}
	body, err := json.Marshal(policyBody{Account: r.Account, Type: r.Kind, Policy: policy})
	if err != nil {
		return fmt.Errorf("encoding the policy of %s: %w", r.ID, err)
	}
	w := store.Write{Was: store.Any, Document: store.Document{Key: store.Key{Kind: kindPolicy, ID: r.ID}, Body: body}}
	for _, g := range grantees {
		w.Index = append(w.Index, store.Entry{Index: indexGrantee, Partition: g + "/" + r.Kind})
	}
	if err := e.store.Commit(ctx, store.Batch{Put: []store.Write{w, policyChanged}}); err != nil {
		return fmt.Errorf("writing the policy of %s: %w", r.ID, err)
	}
	return nil
}

// policyChanged is written with each change of a policy: its revision tells all
// nodes at once that what they know of policies is old.
var policyChanged = store.Write{Was: store.Any, Document: store.Document{Key: store.Key{Kind: "policies", ID: "changed"}}}

// PolicyChanges counts the changes of policies of entities.
func (e *Engine) PolicyChanges(ctx context.Context) (int64, error) {
	d, err := e.store.Get(ctx, policyChanged.Key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return 0, fmt.Errorf("asking whether policies have changed: %w", err)
	}
	return d.Revision, nil
}

// Policy returns the policy of an entity and its account; "" if it has none.
func (e *Engine) Policy(ctx context.Context, id string) (policy, account string, err error) {
	d, err := e.store.Get(ctx, store.Key{Kind: kindPolicy, ID: id})
	if errors.Is(err, store.ErrNotFound) {
		return "", "", nil
	}
	if err != nil {
		return "", "", fmt.Errorf("reading the policy of %s: %w", id, err)
	}
	var p policyBody
	if err := json.Unmarshal(d.Body, &p); err != nil {
		return "", "", fmt.Errorf("decoding the policy of %s: %w", id, err)
	}
	return p.Policy, p.Account, nil
}

// OwnPolicy returns the policy of an account's entity; ResourceNotFoundException
// if there is no such entity or it has none.
func (e *Engine) OwnPolicy(ctx context.Context, r Resource) (string, error) {
	if err := e.exists(ctx, r); err != nil {
		return "", err
	}
	p, _, err := e.Policy(ctx, r.ID)
	if err == nil && p == "" {
		err = apierror.New("ResourceNotFoundException", "Entity '%s' has no resource policy.", r.ID)
	}
	return p, err
}

// DeletePolicy takes the policy of an account's entity away;
// ResourceNotFoundException if there is no such entity or it has none.
func (e *Engine) DeletePolicy(ctx context.Context, r Resource) error {
	if _, err := e.OwnPolicy(ctx, r); err != nil {
		return err
	}
	err := e.store.Commit(ctx, store.Batch{
		Put:    []store.Write{policyChanged},
		Delete: []store.Removal{{Key: store.Key{Kind: kindPolicy, ID: r.ID}, Was: store.Any}},
	})
	if err != nil {
		return fmt.Errorf("deleting the policy of %s: %w", r.ID, err)
	}
	return nil
}

// mostShared is how many entities of others a list of shared ones looks at.
const mostShared = 1000

// sharedWith returns the ids of other accounts' entities of a type (without
// version) whose policies allow an account something; of a type that all
// accounts share, those of all accounts.
func (e *Engine) sharedWith(ctx context.Context, account, entityType string) ([]string, error) {
	var ids []string
	if e.names[entityType].Shared {
		page, err := e.store.List(ctx, store.Query{Kind: kindEntity, Index: indexOfAll, Partition: entityType, Limit: mostShared})
		if err != nil {
			return nil, fmt.Errorf("listing what all accounts share: %w", err)
		}
		for _, d := range page.Documents {
			ids = append(ids, d.ID)
		}
		return ids, nil
	}
	for _, grantee := range []string{account, everybody} {
		page, err := e.store.List(ctx, store.Query{Kind: kindPolicy, Index: indexGrantee, Partition: grantee + "/" + entityType, Limit: mostShared})
		if err != nil {
			return nil, fmt.Errorf("listing what is shared with account %s: %w", account, err)
		}
		for _, d := range page.Documents {
			if !slices.Contains(ids, d.ID) {
				ids = append(ids, d.ID)
			}
		}
	}
	return ids, nil
}

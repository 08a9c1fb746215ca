package changeset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"souk/storage/store"
	"souk/storage/store/audit"
)

// Finding is something in the store that can't be if Souk works.
type Finding struct {
	Kind string // of the document
	ID   string
	What string
}

func (f Finding) String() string { return f.Kind + " " + f.ID + ": " + f.What }

// Verify checks every invariant of the engine's documents: that each lock
// belongs to an open set and the reverse, each token to its set; that states,
// times and error lists agree; that each set was applied as a whole, once, or
// not at all; that the lists list what there is. It may run while the engine
// works: what is found twice in a row is reported.
func (e *Engine) Verify(ctx context.Context) ([]Finding, error) {
	var last []Finding
	for n := range 3 {
		v := &verifier{e: e}
		if err := v.run(ctx); err != nil {
			return nil, fmt.Errorf("verifying the store: %w", err)
		}
		if n > 0 {
			v.found = slices.DeleteFunc(v.found, func(f Finding) bool { return !slices.Contains(last, f) })
		}
		if last = v.found; len(last) == 0 {
			return nil, nil
		}
	}
	return last, nil
}

type verifier struct {
	e     *Engine
	found []Finding

	open     map[string]*setBody // open sets
	tokens   map[string]string   // of all sets, by token
	entities map[string]*history // that sets name
}

// history is what sets tell of an entity.
type history struct {
	created   bool // by a set that is still known
	successes int64
	modified  time.Time
	mustNot   string // the set which created it and did not succeed, or "" if none
	must      string // a set for which it must be there, or ""
}

func (v *verifier) find(d store.Key, format string, args ...any) {
	v.found = append(v.found, Finding{Kind: d.Kind, ID: d.ID, What: fmt.Sprintf(format, args...)})
}

func (v *verifier) run(ctx context.Context) error {
	v.open, v.tokens = map[string]*setBody{}, map[string]string{}
	v.entities = map[string]*history{}
	return errors.Join(
		v.walk(ctx, kindSet, v.set),
		v.walk(ctx, kindToken, v.token),
		v.leftTokens(ctx),
		v.walk(ctx, kindLock, v.lock(ctx)),
		v.heldLocks(ctx),
		v.walk(ctx, kindEntity, v.entity(ctx)),
		v.walk(ctx, kindTags, v.tagged(ctx)),
		v.walk(ctx, kindPolicy, v.shared(ctx)),
		v.missingEntities(ctx),
		v.lists(ctx),
	)
}

func (v *verifier) walker() (store.Walker, error) {
	walker, ok := v.e.store.(store.Walker)
	if !ok {
		return nil, errors.New("the store can't be walked")
	}
	return walker, nil
}

func (v *verifier) walk(ctx context.Context, kind string, look func(d store.Document)) error {
	walker, err := v.walker()
	if err != nil {
		return err
	}
	return walker.Walk(ctx, kind, func(d store.Document) error {
		look(d)
		return nil
	})
}

func (v *verifier) history(id string) *history {
	h := v.entities[id]
	if h == nil {
		h = &history{}
		v.entities[id] = h
	}
	return h
}

func (v *verifier) set(d store.Document) {
	if len(d.ID) != 25 || strings.Trim(d.ID, base36) != "" {
		v.find(d.Key, "its id has not 25 lower-case letters and digits")
	}
	s, err := decodeSet(d)
	if err != nil {
		v.find(d.Key, "%v", err)
		return
	}
	if s.Account == "" || s.Name == "" || s.Started.IsZero() || len(s.Changes) == 0 {
		v.find(d.Key, "it lacks its account, name, start or changes")
	}
	if d.Revision < s.Revision {
		v.find(d.Key, "its revision is %d and was %d", d.Revision, s.Revision)
	}
	if d.Due.IsZero() {
		v.find(d.Key, "nobody will work on it")
	}
	v.state(d, s)
	if s.Token != "" {
		v.tokens[s.Token] = d.ID
	}
	for i := range s.Changes {
		v.change(d, s, &s.Changes[i])
	}
	if s.Status.Ended() {
		if s.Status == Succeeded && s.Intent == IntentApply {
			for _, id := range s.shown() {
				h := v.history(id)
				h.successes++
				h.must = d.ID
				h.modified = latest(h.modified, s.Now)
			}
		}
		return
	}
	v.open[d.ID] = s
}

// state checks that a set's state agrees with what else it says.
func (v *verifier) state(d store.Document, s *setBody) {
	refused := 0
	for i := range s.Changes {
		refused += len(s.Changes[i].Errors)
	}
	switch s.Status {
	case Preparing, Applying, Succeeded, Cancelled, Failed:
	default:
		v.find(d.Key, "it has the state %q", s.Status)
	}
	if s.Status.Ended() == s.Ended.IsZero() {
		v.find(d.Key, "it is %s and ended at %v", s.Status, s.Ended)
	}
	if !s.Ended.IsZero() && s.Ended.Before(s.Started) {
		v.find(d.Key, "it ended before it started")
	}
	if s.Status == Applying && (s.Now.IsZero() || s.Seed == "") {
		v.find(d.Key, "it is APPLYING without a time or a seed")
	}
	if s.Intent == IntentValidate && s.Status == Applying {
		v.find(d.Key, "it is to be validated and is APPLYING")
	}
	switch {
	case s.Status != Failed && (s.Failure != "" || s.Reason != "" || refused > 0):
		v.find(d.Key, "it is %s and has a failure", s.Status)
	case s.Status == Failed && s.Failure != clientError && s.Failure != serverFault:
		v.find(d.Key, "it failed with the code %q", s.Failure)
	case s.Failure == clientError && refused == 0:
		v.find(d.Key, "it failed by the client's fault without an error")
	case s.Failure == serverFault && refused > 0:
		v.find(d.Key, "it failed by our fault and blames the client")
	}
}

// change checks one change of a set and notes what it says of its entity.
func (v *verifier) change(d store.Document, s *setBody, r *record) {
	if r.EntityID == "" || r.ChangeType == "" || (r.Text == "") == (r.Document == nil) {
		v.find(d.Key, "a change lacks its type, entity or details")
	}
	h := v.history(r.EntityID)
	applied := s.Status == Succeeded && s.Intent == IntentApply
	switch {
	case r.Creates && applied:
		h.created = true
	case r.Creates:
		h.mustNot = d.ID
	case !s.creates(r.EntityID):
		h.must = d.ID
	}
}

func (v *verifier) token(d store.Document) {
	t, err := decodeToken(d)
	if err != nil {
		v.find(d.Key, "%v", err)
		return
	}
	if v.tokens[d.ID] != t.Set {
		v.find(d.Key, "it stands for change set %s, which has another token or is gone", t.Set)
		return
	}
	delete(v.tokens, d.ID)
}

func (v *verifier) leftTokens(context.Context) error {
	for token, set := range v.tokens {
		v.find(store.Key{Kind: kindSet, ID: set}, "its token %s is gone", token)
	}
	return nil
}

// lock checks that a lock is held by open sets only, and takes what they hold
// off them; heldLocks finds what is left.
func (v *verifier) lock(ctx context.Context) func(store.Document) {
	return func(d store.Document) {
		l, err := decodeLock(d)
		if err != nil {
			v.find(d.Key, "%v", err)
			return
		}
		if !isMark(d.ID) {
			entity, err := v.e.store.Get(ctx, store.Key{Kind: kindEntity, ID: d.ID})
			if err != nil {
				v.find(d.Key, "its entity can't be read: %v", err)
				return
			}
			if s, err := decodeEntity(entity); err != nil || s.Owner != l.Owner || s.Type != l.Type {
				v.find(d.Key, "its entity is of another type or account")
			}
		}
		for _, h := range l.Held {
			s := v.open[h.Set]
			switch {
			case s == nil:
				v.find(d.Key, "it is held by change set %s, which is not open", h.Set)
			case !slices.Contains(s.locked(), d.ID):
				v.find(d.Key, "it is held by change set %s, which doesn't change the entity", h.Set)
			case !slices.Equal(s.types(d.ID), h.Types):
				v.find(d.Key, "it is held by change set %s for other change types", h.Set)
			}
		}
	}
}

// heldLocks checks that every open set holds its locks.
func (v *verifier) heldLocks(ctx context.Context) error {
	for set, s := range v.open {
		for _, id := range s.locked() {
			l, err := v.e.readLock(ctx, id)
			if errors.Is(err, store.ErrNotFound) {
				v.find(store.Key{Kind: kindSet, ID: set}, "its entity %s is gone", id)
				continue
			}
			if err != nil {
				return err
			}
			if n := len(slices.DeleteFunc(l.body.Held, func(h holder) bool { return h.Set != set })); n != 1 {
				v.find(store.Key{Kind: kindSet, ID: set}, "it holds the lock of entity %s %d times", id, n)
			}
		}
	}
	return nil
}

func (v *verifier) entity(ctx context.Context) func(store.Document) {
	return func(d store.Document) { v.oneEntity(ctx, d) }
}

func (v *verifier) oneEntity(ctx context.Context, d store.Document) {
	s, err := decodeEntity(d)
	if err != nil {
		v.find(d.Key, "%v", err)
		return
	}
	et := v.e.types[s.Type]
	if et == nil {
		v.find(d.Key, "it has the unknown type %q", s.Type)
		return
	}
	if s.Owner == "" || s.LastModified.IsZero() {
		v.find(d.Key, "it lacks its owner or date")
	}
	state, err := s.decode(et)
	if err != nil {
		v.find(d.Key, "%v", err)
	} else if et.Parts != nil {
		v.partsOf(ctx, d.Key, s, et.Parts(state))
	}
	h := v.entities[d.ID]
	if h == nil {
		return // its change sets are past their history, or it was loaded
	}
	delete(v.entities, d.ID)
	switch {
	case h.created && d.Revision != h.successes, d.Revision < h.successes:
		v.find(d.Key, "it has revision %d after %d successful change sets", d.Revision, h.successes)
	case h.created && !s.LastModified.Equal(h.modified):
		v.find(d.Key, "it was last modified at %v, by its change sets at %v", s.LastModified, h.modified)
	case h.mustNot != "":
		v.find(d.Key, "it was made by change set %s, which has not succeeded", h.mustNot)
	}
}

// tagged checks that tags are on something.
func (v *verifier) tagged(ctx context.Context) func(store.Document) {
	return func(d store.Document) {
		t, _, err := v.e.readTags(ctx, d.ID)
		if err != nil || t.Account == "" || len(t.Tags) > MostTags {
			v.find(d.Key, "its tags can't be read, lack their account or are more than %d", MostTags)
		}
		_, entity := v.e.store.Get(ctx, store.Key{Kind: kindEntity, ID: d.ID})
		_, set := v.e.store.Get(ctx, store.Key{Kind: kindSet, ID: d.ID})
		if errors.Is(entity, store.ErrNotFound) && errors.Is(set, store.ErrNotFound) {
			v.find(d.Key, "neither an entity nor a change set has its id")
		}
	}
}

// shared checks that a policy is that of an entity.
func (v *verifier) shared(ctx context.Context) func(store.Document) {
	return func(d store.Document) {
		_, account, err := v.e.Policy(ctx, d.ID)
		if err != nil {
			v.find(d.Key, "%v", err)
			return
		}
		entity, err := v.e.store.Get(ctx, store.Key{Kind: kindEntity, ID: d.ID})
		if err != nil {
			v.find(d.Key, "its entity can't be read: %v", err)
			return
		}
		if s, err := decodeEntity(entity); err != nil || s.Owner != account {
			v.find(d.Key, "its entity is of another account")
		}
	}
}

func (v *verifier) missingEntities(context.Context) error {
	for id, h := range v.entities {
		if h.must != "" && h.mustNot == "" {
			v.find(store.Key{Kind: kindEntity, ID: id}, "it is gone, and change set %s changes it", h.must)
		}
	}
	return nil
}

// lists checks that every list has what belongs there, shown as it is, and
// nothing else.
func (v *verifier) lists(ctx context.Context) error {
	walker, err := v.walker()
	if err != nil {
		return err
	}
	wrong, err := audit.Lists(ctx, walker, map[string]audit.Should{
		kindSet: func(d store.Document) ([]byte, []store.Entry, error) {
			s, err := decodeSet(d)
			if err != nil {
				return nil, nil, err
			}
			w, err := s.write(d.ID, d.Revision-1)
			return w.Summary, w.Index, err
		},
		kindEntity: func(d store.Document) ([]byte, []store.Entry, error) {
			s, err := decodeEntity(d)
			if err != nil {
				return nil, nil, err
			}
			et := v.e.types[s.Type]
			if et == nil {
				return nil, nil, errBroken
			}
			state, err := s.decode(et)
			if err != nil {
				return nil, nil, err
			}
			w, err := writeEntity(et, s.Entity, state, d.Revision-1)
			return w.Summary, w.Index, err
		},
	})
	if err == nil && v.e.searchable(ctx) {
		var terms []audit.Wrong
		terms, err = audit.Terms(ctx, walker, kindEntity, v.e.termsOf)
		wrong = append(wrong, terms...)
	}
	for _, w := range wrong {
		v.find(w.Key, "%s", w.What)
	}
	return err
}

package keyring

import (
	"context"
	"errors"
	"fmt"
	"time"

	"souk/storage/store"
)

// Rest says how one kind of sealed documents is found and sealed anew. A room
// that seals at rest declares one for each kind.
//
// What it writes must be sealed by the key that seals in the moment of the
// commit: it asks Choices.Guard before it seals, and has the answer in the
// batch's Expect. Then nothing is sealed with an old key behind Reseal's back.
type Rest struct {
	Name string // what is sealed, in the singular: "secret of access key"
	Kind string // of the documents
	// Index has all documents of the kind in partition "". If it is "", IDs are
	// all the documents that there may be.
	Index string
	IDs   []string
	// Sealed finds what is sealed in a document. nil: nothing is.
	Sealed func(store.Document) (*Sealed, error)
}

// Sealed is what a document has sealed.
type Sealed struct {
	Purpose     string
	Text, Bound []byte // as Ring.Open takes them
	// With returns the document, with its Summary, Index, Terms and Due, that has another
	// text in the place of this one.
	With func(text []byte) (store.Document, error)
}

// Choice is what the database says about the keys.
type Choice struct {
	Seals string // the fingerprint of the key that seals
	// Retired says of keys that sealed before, by fingerprint, when they stopped.
	Retired map[string]time.Time
}

// Choices is where the database keeps the choice: the organisation.
type Choices interface {
	// Guard makes the ring seal with the key of the database, and returns the
	// expectation that it is still that key.
	Guard(ctx context.Context) (store.Expectation, error)
	// Choice returns the choice.
	Choice(ctx context.Context) (Choice, error)
	// Choose makes a key of the ring the one that seals. If it is already,
	// nothing is written.
	Choose(ctx context.Context, fingerprint string) error
}

// Rotation knows all that a market has sealed at rest. Its methods may be
// called concurrently, and on several nodes; Add is called before.
type Rotation struct {
	ring    *Ring
	store   store.Store
	choices Choices
	rests   []Rest
}

// NewRotation returns the rotation of a ring and a store. It knows the market's
// own secrets (Secret); rooms are added.
func NewRotation(r *Ring, s store.Store, c Choices) *Rotation {
	return &Rotation{ring: r, store: s, choices: c, rests: []Rest{secretsAtRest}}
}

// Add adds what a room seals.
func (r *Rotation) Add(rests ...Rest) { r.rests = append(r.rests, rests...) }

// pageSize is how many documents are looked at, and sealed anew in one commit.
const pageSize = 100

// Cursor is how far a walk over all that is sealed has come. The zero value is
// the beginning.
type Cursor struct {
	Rest  int
	After store.Position
}

// Progress is what a step of Reseal has done.
type Progress struct {
	Looked int    // documents
	Sealed int    // anew
	Broken int    // that no key opens: souk doctor names them
	Next   Cursor // where the next step goes on
	Done   bool   // there is no next step
}

// Reseal is one step, of at most a few hundred documents, of sealing all that
// lies in the database with the key that seals. What is sealed with it already
// is left alone: whoever was interrupted starts from the beginning.
func (r *Rotation) Reseal(ctx context.Context, from Cursor) (Progress, error) {
	if from.Rest < 0 || from.Rest >= len(r.rests) {
		return Progress{Done: true}, nil
	}
	rest := r.rests[from.Rest]
	documents, next, more, err := r.page(ctx, rest, from.After)
	if err != nil {
		return Progress{}, err
	}
	p := Progress{Looked: len(documents), Next: Cursor{Rest: from.Rest, After: next}}
	if !more {
		p.Next = Cursor{Rest: from.Rest + 1}
		p.Done = p.Next.Rest == len(r.rests)
	}
	// All at once; if another write came between, one by one.
	sealed, broken, err := r.reseal(ctx, rest, documents)
	if errors.Is(err, store.ErrConflict) {
		sealed, broken, err = 0, 0, nil
		for _, d := range documents {
			s, b, again := r.resealOne(ctx, rest, d.Key)
			sealed, broken, err = sealed+s, broken+b, errors.Join(err, again)
		}
	}
	p.Sealed, p.Broken = sealed, broken
	if err != nil {
		return Progress{}, fmt.Errorf("sealing anew: %w", err)
	}
	return p, nil
}

// reseal seals documents anew in one commit.
func (r *Rotation) reseal(ctx context.Context, rest Rest, documents []store.Document) (sealed, broken int, err error) {
	guard, err := r.choices.Guard(ctx)
	if err != nil {
		return 0, 0, err
	}
	now := r.ring.now.Load().seals
	batch := store.Batch{Expect: []store.Expectation{guard}}
	for _, d := range documents {
		s, plain, by := r.look(rest, d)
		switch {
		case s == nil:
		case by == nil:
			broken++
		case by != now || s.Text[0] != formatNamed:
			renewed, err := s.With(now.seal(s.Purpose, plain, s.Bound))
			if err != nil {
				return 0, 0, fmt.Errorf("%s %s: %w", rest.Name, d.ID, err)
			}
			batch.Put = append(batch.Put, store.Write{Document: renewed, Was: d.Revision})
		}
	}
	if len(batch.Put) == 0 {
		return 0, broken, nil
	}
	return len(batch.Put), broken, r.store.Commit(ctx, batch)
}

// resealOne seals one document anew, as often as others write to it.
func (r *Rotation) resealOne(ctx context.Context, rest Rest, key store.Key) (sealed, broken int, err error) {
	for range 20 {
		var d store.Document
		d, err = r.store.Get(ctx, key)
		if errors.Is(err, store.ErrNotFound) {
			return 0, 0, nil // deleted since
		}
		if err == nil {
			sealed, broken, err = r.reseal(ctx, rest, []store.Document{d})
		}
		if !errors.Is(err, store.ErrConflict) {
			break
		}
	}
	if err != nil {
		return 0, 0, fmt.Errorf("%s %s: %w", rest.Name, key.ID, err)
	}
	return sealed, broken, nil
}

// look opens what is sealed in a document. s is nil if there is nothing; by is
// nil if no key opens it.
func (r *Rotation) look(rest Rest, d store.Document) (s *Sealed, plain []byte, by *key) {
	s, err := rest.Sealed(d)
	if err != nil {
		return &Sealed{}, nil, nil
	}
	if s == nil {
		return nil, nil, nil
	}
	plain, by, _ = r.ring.open(s.Purpose, s.Text, s.Bound) // its one error says that by is nil
	return s, plain, by
}

// page reads the next documents of a kind, in the order of their ids.
func (r *Rotation) page(ctx context.Context, rest Rest, after store.Position) (documents []store.Document, next store.Position, more bool, err error) {
	var ids []store.Key
	if rest.Index == "" {
		for _, id := range rest.IDs {
			ids = append(ids, store.Key{Kind: rest.Kind, ID: id})
		}
	} else {
		page, err := r.store.List(ctx, store.Query{Kind: rest.Kind, Index: rest.Index, After: after, Limit: pageSize})
		if err != nil {
			return nil, next, false, fmt.Errorf("listing documents of kind %s: %w", rest.Kind, err)
		}
		for _, d := range page.Documents {
			ids = append(ids, d.Key)
		}
		next, more = page.Next, page.More
	}
	documents, err = r.store.GetAll(ctx, ids)
	if err != nil {
		return nil, next, false, fmt.Errorf("reading documents of kind %s: %w", rest.Kind, err)
	}
	return documents, next, more, nil
}

// Needs is what a key is needed for.
type Needs struct {
	Key
	Documents int       // sealed with it
	Retired   time.Time // when it stopped sealing; the zero time: it seals, or never did
}

// Needs says of each key how many documents it seals, and lists the documents
// that no key opens.
func (r *Rotation) Needs(ctx context.Context) (needs []Needs, broken []string, err error) {
	_, err = r.ring.Look()
	if err != nil {
		return nil, nil, err
	}
	return r.count(ctx)
}

// count is Needs of the ring as it is.
func (r *Rotation) count(ctx context.Context) (needs []Needs, broken []string, err error) {
	_, err = r.choices.Guard(ctx) // so that the ring seals with the database's key
	if err != nil {
		return nil, nil, err
	}
	choice, err := r.choices.Choice(ctx)
	if err != nil {
		return nil, nil, err
	}
	count := map[string]int{}
	for _, rest := range r.rests {
		for after, more := (store.Position{}), true; more; {
			var documents []store.Document
			documents, after, more, err = r.page(ctx, rest, after)
			if err != nil {
				return nil, nil, err
			}
			for _, d := range documents {
				switch s, _, by := r.look(rest, d); {
				case s == nil:
				case by == nil:
					broken = append(broken, fmt.Sprintf("the %s %s: no key of the key file opens it, or it was altered", rest.Name, d.ID))
				default:
					count[by.print]++
				}
			}
		}
	}
	for _, k := range r.ring.Keys() {
		needs = append(needs, Needs{Key: k, Documents: count[k.Fingerprint], Retired: choice.Retired[k.Fingerprint]})
	}
	return needs, broken, nil
}

// Verify returns, for souk doctor, what no key opens, whether something is
// still sealed with an old key, and what is wrong with the key file.
func (r *Rotation) Verify(ctx context.Context) (findings []string, err error) {
	_, wrong := r.ring.Look()
	needs, findings, err := r.count(ctx)
	if err != nil {
		return nil, fmt.Errorf("verifying what is sealed: %w", err)
	}
	if wrong != nil {
		findings = append(findings, wrong.Error())
	}
	seals := r.ring.now.Load().seals.name()
	for _, n := range needs {
		if n.Documents > 0 && !n.Seals {
			findings = append(findings, fmt.Sprintf("%d documents are still sealed with key %s, although %s seals: run `souk keyring use %s` to the end", n.Documents, n.ID, seals, seals))
		}
	}
	return findings, nil
}

// Use makes a key of the file the one that seals, by its id. Reseal comes next.
func (r *Rotation) Use(ctx context.Context, id string) (Key, error) {
	k, err := r.find(id)
	if err != nil {
		return Key{}, err
	}
	err = r.choices.Choose(ctx, k.Fingerprint)
	if err == nil {
		_, err = r.choices.Guard(ctx)
	}
	if err != nil {
		return Key{}, fmt.Errorf("using key %s: %w", id, err)
	}
	return r.find(id)
}

// find looks into the file and finds a key by its id.
func (r *Rotation) find(id string) (Key, error) {
	_, err := r.ring.Look()
	if err != nil {
		return Key{}, err
	}
	for _, k := range r.ring.Keys() {
		if k.ID == id {
			return k, nil
		}
	}
	return Key{}, fmt.Errorf("the key file has no key %q: `souk keyring list` shows its keys", id)
}

// How long what is sealed outside of the database lives, at most.
const (
	loginsLive    = 12 * time.Hour      // log-ins to the registry, session tokens
	addressesLive = 60 * 24 * time.Hour // signed addresses of reports
)

// Lost says what would become invalid at a time if a key left the ring, apart
// from documents; "" if nothing can.
func (n Needs) Lost(now time.Time) string {
	const addresses = "signed addresses of reports (60 days) and page tokens"
	switch age := now.Sub(n.Retired); {
	case n.Retired.IsZero() || age > addressesLive:
		return ""
	case age > loginsLive:
		return "what it sealed until " + n.Retired.Format(time.DateTime) + " UTC and is still valid: " + addresses
	}
	return "what it sealed until " + n.Retired.Format(time.DateTime) + " UTC and is still valid: log-ins to the registry and session tokens (12 hours), " + addresses
}

// Drop removes a key from the file, by its id. It is refused for the key that
// seals, while a document needs the key, and, unless force is set, while
// something else that it sealed may be valid.
func (r *Rotation) Drop(ctx context.Context, id string, now time.Time, force bool) (lost string, err error) {
	_, err = r.find(id)
	if err != nil {
		return "", err
	}
	all, broken, err := r.Needs(ctx)
	if err != nil {
		return "", err
	}
	for _, n := range all {
		if n.ID != id {
			continue
		}
		lost = n.Lost(now)
		switch {
		case n.Seals:
			return "", fmt.Errorf("key %s seals: add another one and use that first", id)
		case n.Documents > 0:
			return "", fmt.Errorf("%d documents are sealed with key %s: run `souk keyring use` with the key that seals to the end first", n.Documents, id)
		case len(broken) > 0 && !force:
			return "", fmt.Errorf("%d documents can't be opened by any key: see `souk doctor`, and give --force if they are lost anyway", len(broken))
		case lost != "" && !force:
			return "", fmt.Errorf("without key %s this would become invalid: %s; wait, or give --force", id, lost)
		}
		return lost, r.ring.Drop(n.Fingerprint)
	}
	return "", fmt.Errorf("key %s left the key file meanwhile", id)
}

// AddKey makes a new key in the file, which opens only until it is used.
func (r *Rotation) AddKey() (Key, error) { return r.ring.Add() }

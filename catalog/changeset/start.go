package changeset

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"souk/catalog/change"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// Request asks for a change set.
type Request struct {
	Account string            // whose change set it is
	Name    string            // ChangeSetName; "": "Submitted by <account>"
	Token   string            // ClientRequestToken; "": none
	Intent  string            // IntentApply or IntentValidate; "": IntentApply
	Tags    map[string]string // ChangeSetTags
	Changes []Change

	// Begins, if set, is told of the set's id before it is stored: so a record of
	// the request can be stored with it. Where the token was used before, or the
	// request is refused, there will be no such set.
	Begins func(id string)
}

// Change is one change of a Request, as it was sent.
type Change struct {
	ChangeType      string
	EntityType      string // with version
	Identifier      string // ENTITY, ENTITY@REVISION, $CHANGE.Entity.Identifier; "" for change types that create
	ChangeName      string
	Details         *string           // one of the two
	DetailsDocument jsontext.Value    // JSON null is absent
	Tags            map[string]string // EntityTags: of the entity, when the change is applied
}

// Start stores a change set and hands it to the workers; it returns its id. A
// refused request stores nothing. The errors that a caller may see are
// *apierror.Error: ValidationException, ResourceNotFoundException,
// ResourceInUseException and ServiceQuotaExceededException.
func (e *Engine) Start(ctx context.Context, r *Request) (id string, err error) {
	s, p, err := e.accept(r)
	if err != nil {
		return "", err
	}
	id, err = e.newSetID()
	if err != nil {
		return "", err
	}
	input := ""
	if r.Token != "" {
		s.Token, input = tokenID(r.Account, r.Token), r.hash()
	}
	if err := e.checkTags(ctx, s, r); err != nil {
		return "", err
	}
	if r.Begins != nil {
		r.Begins(id)
	}
	e.starting.Add(1)
	defer e.starting.Add(-1)
	// Each round reads, decides and commits; a conflict means that what was
	// read has changed, and begins the next.
	for range 100 {
		l, expected, err := e.admit(ctx, s)
		if errors.Is(err, errStale) {
			continue
		}
		var known string
		if err == nil {
			known, err = e.begin(ctx, id, s, p, l, expected, input, r.Tags)
		}
		switch {
		case err == nil && known != "":
			return known, nil
		case err == nil:
			return id, nil
		case errors.Is(err, store.ErrConflict):
			continue
		case errors.Is(err, store.ErrLimit):
			err = apierror.New("ServiceQuotaExceededException",
				"The maximum number of open change sets per account has been exceeded. Maximum: %d.", e.cfg.OpenSets(s.Account))
		}
		// A set that was started by this very request may be what stands in the way.
		known, tokenErr := e.known(ctx, s.Token, input)
		if tokenErr != nil {
			return "", tokenErr
		}
		if known != "" {
			return known, nil
		}
		return "", err
	}
	return "", fmt.Errorf("starting change set %s: the entities' locks change too often", id)
}

// accept checks everything that can be checked without the store, and makes
// the set's document and plan.
func (e *Engine) accept(r *Request) (*setBody, *plan, error) {
	s := &setBody{
		Account: r.Account, Name: r.Name, Intent: r.Intent, Status: Preparing,
		Changes: make([]record, len(r.Changes)),
	}
	if s.Name == "" {
		s.Name = defaultName(r.Account)
	}
	if s.Intent == "" {
		s.Intent = IntentApply
	}
	if len(r.Changes) == 0 {
		return nil, nil, invalid("A change set must have at least one change.")
	}
	for i := range r.Changes {
		c := &r.Changes[i]
		s.Changes[i] = record{ChangeType: c.ChangeType, EntityType: c.EntityType, Sent: c.Identifier, ChangeName: c.ChangeName, Tags: c.Tags}
		if err := readDetails(c, &s.Changes[i]); err != nil {
			return nil, nil, e.notJSON(err, c.EntityType)
		}
	}
	err := e.resolve(s.Changes, func(et *change.EntityType) (string, error) {
		seed, err := e.newSeed()
		return et.NewID(change.NewIDs(seed, e.cfg.Clock())), err
	})
	if err != nil {
		return nil, nil, err
	}
	p, err := e.plan(s.Changes)
	if err != nil {
		return nil, nil, err
	}
	for i := range p.steps {
		step := &p.steps[i]
		i := step.index
		if unknown := step.change.Unknown; len(unknown) > 0 && e.cfg.StrictDetails {
			return nil, nil, ofChange(invalidDetails("Unknown members: "+strings.Join(unknown, ", ")+"."), i, &s.Changes[i])
		}
		if step.change.Valid == nil {
			continue
		}
		c := &change.Checks{Seller: change.Seller{Account: r.Account}}
		step.change.Valid(c)
		if refused := c.Refusals(); len(refused) > 0 {
			return nil, nil, because(ofChange(invalid("%s", refused[0].ErrorMessage), i, &s.Changes[i]), c.Reason())
		}
	}
	s.Shared = true
	for i := range p.steps {
		s.Shared = s.Shared && p.steps[i].entity.Shared // details of anything else are the account's own
		s.Marks = append(s.Marks, p.steps[i].change.Marks...)
	}
	slices.Sort(s.Marks)
	s.Marks = slices.Compact(s.Marks)
	return s, p, nil
}

// admit reads the locks of the set's entities and says whether the set may
// start now. The locks were read before the entities: a lock that is unchanged
// in the commit proves that no set has ended on its entity since.
func (e *Engine) admit(ctx context.Context, s *setBody) (locks, []store.Expectation, error) {
	l, expected := locks{}, []store.Expectation(nil)
	for i := range s.Changes {
		r := &s.Changes[i]
		if s.creates(r.EntityID) {
			continue
		}
		d, read := l[r.EntityID]
		if !read {
			var err error
			d, err = e.readLock(ctx, r.EntityID)
			if errors.Is(err, store.ErrNotFound) || err == nil && d.body.Owner != s.Account && !e.isShared(d.body.Type) {
				return nil, nil, noEntity(r.EntityID)
			}
			if err != nil {
				return nil, nil, err
			}
			l[r.EntityID] = d
		}
		if d.body.Type != r.EntityType {
			return nil, nil, noEntity(r.EntityID)
		}
		if id, ok := parseIdentifier(r.Sent); ok && id.revision != "" {
			key := store.Key{Kind: kindEntity, ID: r.EntityID}
			entity, err := e.store.Get(ctx, key)
			if err != nil {
				return nil, nil, fmt.Errorf("reading entity %s: %w", r.EntityID, err)
			}
			if !id.at(entity.Revision) {
				return nil, nil, invalid("Entity.Identifier '%s' is not the latest revision of the entity. The latest revision is '%s@%d'.", r.Sent, r.EntityID, entity.Revision)
			}
			expected = append(expected, store.Expectation{Key: key, Revision: entity.Revision})
		}
		if read {
			continue
		}
		sets, rest, err := e.blocking(ctx, e.types[r.EntityType], s.types(r.EntityID), d.body)
		if err != nil {
			return nil, nil, err
		}
		if len(sets) > 0 {
			return nil, nil, inUse(r.EntityID, sets)
		}
		expected = append(expected, rest...)
	}
	for _, mark := range s.Marks {
		var err error
		if l[mark], err = e.readLock(ctx, mark); err != nil {
			return nil, nil, err
		}
	}
	return l, expected, nil
}

func noEntity(id string) error {
	return apierror.New("ResourceNotFoundException", "Entity '%s' can't be found.", id)
}

// begin commits a new set with its token and locks and hands it to the
// workers. known is the id of the set that the token stands for already.
func (e *Engine) begin(ctx context.Context, id string, s *setBody, p *plan, l locks, expected []store.Expectation, input string, tags map[string]string) (known string, err error) {
	s.Started = e.now()
	directed, err := e.direct(ctx, s)
	if err != nil {
		return "", err
	}
	w, err := s.write(id, 0)
	if err != nil {
		return "", err
	}
	w.Owner, w.Due = e.runner.Lease()
	holds, held, err := l.hold(id, s)
	if err != nil {
		return "", err
	}
	b := store.Batch{
		Expect: expected,
		Put:    append([]store.Write{w}, holds...),
	}
	if most := e.cfg.OpenSets(s.Account); most > 0 {
		b.Bounds = []store.Bound{{Kind: kindSet, Index: indexOpen, Partition: s.Account, Most: most}}
	}
	if s.Token != "" {
		body, err := json.Marshal(tokenBody{Input: input, Set: id})
		if err != nil {
			return "", fmt.Errorf("encoding token of change set %s: %w", id, err)
		}
		b.Put = append(b.Put, store.Write{Document: store.Document{Key: store.Key{Kind: kindToken, ID: s.Token}, Body: body}})
	}
	b.Put = append(b.Put, directed...)
	if len(tags) > 0 {
		w, err := tagsBody{s.Account, tags}.write(id, 0)
		if err != nil {
			return "", err
		}
		b.Put = append(b.Put, w)
	}
	ctx, cancel := durable(ctx)
	defer cancel()
	err = e.store.Commit(ctx, b)
	var conflict *store.Conflict
	switch {
	case err == nil:
	case errors.As(err, &conflict) && conflict.Key.Kind == kindToken:
		known, err = e.known(ctx, s.Token, input)
		if err == nil && known == "" { // it was swept in between: try again
			err = store.ErrConflict
		}
		return known, err
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrLimit):
		return "", err
	default:
		// Written or not? The id is in no other set.
		if _, read := e.store.Get(ctx, w.Key); read != nil {
			return "", fmt.Errorf("storing change set %s: %w", id, err)
		}
	}
	for i := range p.steps {
		if unknown := p.steps[i].change.Unknown; len(unknown) > 0 {
			e.cfg.Log.Warn("a change has members that its type doesn't know; they are ignored",
				"id", id, "change", s.Changes[p.steps[i].index].ChangeType, "members", unknown)
		}
	}
	e.observe(id, Started, Preparing)
	w.Document.Revision = 1
	e.runner.Hand(w.Document, &working{set: s, plan: p, locks: held})
	return "", nil
}

// known returns the set that a token was used for; "" if it was not used.
func (e *Engine) known(ctx context.Context, token, input string) (string, error) {
	if token == "" {
		return "", nil
	}
	d, err := e.store.Get(ctx, store.Key{Kind: kindToken, ID: token})
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading token %s: %w", token, err)
	}
	t, err := decodeToken(d)
	if err != nil {
		return "", err
	}
	if t.Input != input {
		return "", invalid("The ClientRequestToken was used before with a different request.")
	}
	return t.Set, nil
}

// tokenID is the id of a token's document.
func tokenID(account, token string) string {
	sum := sha256.Sum256([]byte(token))
	return account + "/" + hex.EncodeToString(sum[:])
}

// hash identifies what is asked for: requests with one token must have one
// hash. A DetailsDocument counts without its spaces and the order of its
// members, a Details string as it was sent.
func (r *Request) hash() string {
	h := sha256.New()
	put := func(s string) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		io.WriteString(h, s)
	}
	put(r.Name)
	if r.Intent == IntentValidate {
		put(r.Intent)
	} else {
		put(IntentApply)
	}
	putTags := func(tags map[string]string) {
		for _, key := range slices.Sorted(maps.Keys(tags)) {
			put("Tag")
			put(key)
			put(tags[key])
		}
	}
	putTags(r.Tags)
	for i := range r.Changes {
		c := &r.Changes[i]
		putTags(c.Tags)
		put(c.ChangeType)
		put(c.EntityType)
		put(c.Identifier)
		put(c.ChangeName)
		if c.Details != nil {
			put("Details")
			put(*c.Details)
			continue
		}
		v := c.DetailsDocument.Clone()
		// It was checked; if it could not be formatted it would count as sent.
		_ = v.Format(jsontext.ReorderRawObjects(true), jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false))
		put("DetailsDocument")
		put(string(v))
	}
	return hex.EncodeToString(h.Sum(nil))
}

const base36 = "0123456789abcdefghijklmnopqrstuvwxyz"

// newSetID returns 25 lower-case letters and digits: 9 of the time in
// milliseconds, so that new sets lie together in the database, and 16 random
// ones. Programs demand exactly 25.
func (e *Engine) newSetID() (string, error) {
	t := strconv.FormatInt(e.cfg.Clock().UnixMilli(), 36)
	b := make([]byte, 0, 25)
	for range 9 - len(t) {
		b = append(b, '0')
	}
	b = append(b, t...)
	var random [32]byte
	for len(b) < 25 {
		if _, err := io.ReadFull(e.cfg.Rand, random[:]); err != nil {
			return "", fmt.Errorf("making a change set id: %w", err)
		}
		for _, r := range random {
			if r < 252 && len(b) < 25 { // 252 = 7 * 36: all characters alike
				b = append(b, base36[r%36])
			}
		}
	}
	return string(b), nil
}

func (e *Engine) newSeed() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(e.cfg.Rand, b[:]); err != nil {
		return "", fmt.Errorf("making a seed of ids: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

package changeset

import (
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"souk/catalog/change"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// Description is what DescribeChangeSet shows of a change set.
type Description struct {
	Account            string // whose it is
	ID                 string
	Name               string
	Intent             string
	Status             Status
	Start              time.Time
	End                time.Time // zero while the set is open
	FailureCode        string    // "" if none
	FailureDescription string    // "" if none
	Changes            []ChangeDescription
}

// ChangeDescription is one change of a Description, in the order of the request.
type ChangeDescription struct {
	ChangeType string
	ChangeName string
	EntityType string // with version
	// Identifier is what was sent; where that was nothing or a reference, the
	// entity's ENTITY@1. Of a set with intent VALIDATE new ids are not shown.
	Identifier string
	Details    string         // as it was sent, or Document as a string
	Document   jsontext.Value //
	Errors     []change.Refusal
}

// Describe returns a change set of an account, or one of another that changes
// what all accounts share. ResourceNotFoundException if there is neither.
func (e *Engine) Describe(ctx context.Context, account, id string) (*Description, error) {
	_, s, err := e.readSet(ctx, account, id, true)
	if err != nil {
		return nil, err
	}
	d := &Description{
		Account: s.Account,
		ID:      id, Name: s.Name, Intent: s.Intent, Status: s.Status, Start: s.Started, End: s.Ended,
		FailureCode: s.Failure, FailureDescription: s.Reason,
		Changes: make([]ChangeDescription, len(s.Changes)),
	}
	for i := range s.Changes {
		r := &s.Changes[i]
		d.Changes[i] = ChangeDescription{
			ChangeType: r.ChangeType, ChangeName: r.ChangeName, EntityType: r.EntityType,
			Identifier: s.identifier(r),
			Details:    string(r.details()), Document: jsontext.Value(r.details()),
			Errors: r.Errors,
		}
	}
	return d, nil
}

// identifier is the Identifier under which a record's entity is shown.
func (s *setBody) identifier(r *record) string {
	_, refers := reference(r.Sent)
	switch {
	case r.Sent != "" && !refers:
		return r.Sent
	case !s.creates(r.EntityID):
		return r.EntityID
	case s.Intent == IntentValidate:
		return r.Sent
	}
	return r.EntityID + "@1"
}

// Entity is an entity as it is stored, not yet decoded.
type Entity struct {
	ID       string
	Revision int64
	document store.Document
	engine   *Engine
}

// Entity reads an entity of whatever account with one look into the store.
// ResourceNotFoundException if there is none.
func (e *Engine) Entity(ctx context.Context, id string) (*Entity, error) {
	d, err := e.store.Get(ctx, store.Key{Kind: kindEntity, ID: id})
	if errors.Is(err, store.ErrNotFound) {
		return nil, noEntity(id)
	}
	if err != nil {
		return nil, fmt.Errorf("reading entity %s: %w", id, err)
	}
	return &Entity{ID: id, Revision: d.Revision, document: d, engine: e}, nil
}

// Entities reads entities of whatever accounts, by their ids. What is not there
// is missing in the answer.
func (e *Engine) Entities(ctx context.Context, ids []string) (map[string]*Entity, error) {
	keys := make([]store.Key, 0, len(ids))
	for _, id := range ids {
		keys = append(keys, store.Key{Kind: kindEntity, ID: id})
	}
	documents, err := e.store.GetAll(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("reading %d entities: %w", len(ids), err)
	}
	all := make(map[string]*Entity, len(documents))
	for _, d := range documents {
		all[d.ID] = &Entity{ID: d.ID, Revision: d.Revision, document: d, engine: e}
	}
	return all, nil
}

// EntityDescription is what DescribeEntity shows of an entity.
type EntityDescription struct {
	change.Entity
	Details jsontext.Value // the DetailsDocument
}

// Describe decodes the entity.
func (s *Entity) Describe() (*EntityDescription, error) {
	was, err := decodeEntity(s.document)
	if err != nil {
		return nil, err
	}
	et := s.engine.types[was.Type]
	if et == nil {
		return nil, apierror.New("ResourceNotSupportedException", "Entities of type '%s' are not supported.", was.Type)
	}
	state, err := was.decode(et)
	if err != nil {
		return nil, err
	}
	details, err := encodeState(et.Describe(state, was.Entity))
	if err != nil {
		return nil, fmt.Errorf("describing entity %s: %w", s.ID, err)
	}
	return &EntityDescription{Entity: was.Entity, Details: details}, nil
}

// State decodes the entity's state, a pointer to the P of its type, which is
// also in what is returned first. ResourceNotSupportedException where this
// server does not know the type.
func (s *Entity) State() (change.Entity, any, error) {
	was, err := decodeEntity(s.document)
	if err != nil {
		return change.Entity{}, nil, err
	}
	et := s.engine.types[was.Type]
	if et == nil {
		return change.Entity{}, nil, apierror.New("ResourceNotSupportedException", "Entities of type '%s' are not supported.", was.Type)
	}
	state, err := was.decode(et)
	return was.Entity, state, err
}

// State decodes the state of an entity of the given type (with version) into
// state, a pointer to it, for rooms that read entities: a storefront, a
// procurement decision. ResourceNotFoundException if there is none of that type.
func (e *Engine) State(ctx context.Context, entityType, id string, state any) (change.Entity, error) {
	s, err := e.Entity(ctx, id)
	if err != nil {
		return change.Entity{}, err
	}
	was, err := decodeEntity(s.document)
	if err != nil {
		return change.Entity{}, err
	}
	if was.Type != entityType {
		return change.Entity{}, noEntity(id)
	}
	if err := stdjson.Unmarshal(was.state, state); err != nil {
		return change.Entity{}, fmt.Errorf("decoding entity %s: %w", id, err)
	}
	return was.Entity, nil
}

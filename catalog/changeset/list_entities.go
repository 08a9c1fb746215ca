package changeset

import (
	"context"
	"fmt"
	"slices"
	"time"

	"souk/catalog/change"
	"souk/storage/store"
)

// EntitySummary is what ListEntities shows of an entity.
type EntitySummary struct {
	ID           string // without revision
	Type         string // without version
	Owner        string // account id
	Name         string
	Visibility   string
	LastModified time.Time
	Fields       map[string][]string // those of change.EntityType.Fields that have values
}

const listEntities = "ListEntities"

// ListEntities returns a page of an account's entities of one type and the
// token of the next page, "" if there is none. Sorted by LastModifiedDate (the
// default), EntityId, Name, Visibility or a field. Refusals are ValidationExceptions.
func (e *Engine) ListEntities(ctx context.Context, q Query) ([]EntitySummary, string, error) {
	et := e.names[q.EntityType]
	if et == nil {
		// Programs look for the words "entity type" to find out what a
		// marketplace has.
		if e.support(q.EntityType, "") != "supported" {
			return nil, "", invalid("Requested entity type '%s' is not offered yet.", q.EntityType)
		}
		return nil, "", invalid("Requested entity type '%s' is not a supported entity type.", q.EntityType)
	}
	f, err := readEntityFilters(&q)
	if err != nil {
		return nil, "", err
	}
	key, err := entityKey(&q, f)
	if err != nil {
		return nil, "", err
	}
	from, err := e.from(&q, listEntities)
	if err != nil {
		return nil, "", err
	}
	var page []listed
	var next *position
	switch l := (entityList{e, &q, et, f, key, from}); {
	case f.shared:
		page, next, err = l.shared(ctx)
	case f.ids != nil:
		page, next, err = l.pick(ctx, f.ids)
	default:
		page, next, err = l.page(ctx)
	}
	if err != nil {
		return nil, "", err
	}
	token, err := e.token(&q, listEntities, next)
	if err != nil {
		return nil, "", err
	}
	entities := make([]EntitySummary, len(page))
	for i, l := range page {
		s, err := decodeEntitySummary(l.summary)
		if err == nil {
			entities[i] = EntitySummary{ID: l.ID, Type: et.Name, Owner: q.Account, Name: s.name, Visibility: s.visibility, Fields: s.all()}
			if l.owner != "" {
				entities[i].Owner = l.owner
			}
			entities[i].LastModified, err = time.Parse(sortTime, s.modified)
		}
		if err != nil {
			return nil, "", fmt.Errorf("listing entity %s: %w", l.ID, err)
		}
	}
	return entities, token, nil
}

// entityKey returns what finds an entity's key in a list: the value that it is
// sorted by. Entities with one key are in the order of their ids.
func entityKey(q *Query, f *entityFilters) (func([]byte) (string, error), error) {
	var value func(s *entitySummary) string
	switch {
	case q.SortField != "":
		value = func(s *entitySummary) string { return s.key(q.SortField) }
	case q.SortBy == "" || q.SortBy == "LastModifiedDate":
		value = func(s *entitySummary) string { return s.modified }
	case q.SortBy == "EntityId":
		value = func(*entitySummary) string { return "" }
	case q.SortBy == "Name":
		value = func(s *entitySummary) string {
			if f.visibilities != nil {
				return cut(s.name)
			}
			return cut(s.name) + "\x00" + s.modified // as indexNameModified has it
		}
	case q.SortBy == "Visibility":
		value = func(s *entitySummary) string { return s.visibility }
	default:
		return nil, invalid("SortBy '%s' is not supported. Supported: LastModifiedDate, EntityId, Name, Visibility.", q.SortBy)
	}
	return func(raw []byte) (string, error) {
		s, err := decodeEntitySummary(raw)
		if err != nil {
			return "", err
		}
		return value(&s), nil
	}, nil
}

// entityList is a page of ListEntities that is being read.
type entityList struct {
	e    *Engine
	q    *Query
	et   *change.EntityType
	f    *entityFilters
	key  func(summary []byte) (string, error)
	from *position // behind it the page begins; nil: at the beginning
}

// partition begins those of the indexes.
func (l *entityList) partition() string { return l.q.Account + "/" + l.et.Name }

const (
	// firstLook is how many index entries are looked at before the terms are
	// asked: most filters fill a page by then.
	firstLook = 400
	// mostFound is how many entities that the terms found are sorted.
	mostFound = 1000
)

// page reads a page of the account's entities. With filters that no index has
// together, it walks in the order of the list and takes what matches. Where that
// doesn't fill the page soon, few entities match: these are found by their
// terms and sorted. And where that finds too many, the walk goes on.
func (l *entityList) page(ctx context.Context) (page []listed, next *position, err error) {
	streams := l.f.streams(l.partition(), l.q, l.et)
	matching := 0
	for i := range streams {
		if streams[i].Match != nil {
			matching++
		}
	}
	terms := l.f.terms(l.partition())
	if matching == 0 || len(terms) == 0 || !l.e.searchable(ctx) {
		return l.e.merge(ctx, streams, l.from, l.q.Max, l.key)
	}
	for i := range streams {
		if streams[i].Match != nil {
			streams[i].Scan = max(l.e.firstLook/len(streams), l.q.Max)
		}
	}
	page, next, err = l.e.merge(ctx, streams, l.from, l.q.Max, l.key)
	if err != nil || next == nil || len(page) >= l.q.Max {
		return page, next, err
	}
	found, whole, err := l.e.store.Find(ctx, store.Search{Kind: kindEntity, All: terms, Limit: l.e.mostFound})
	if err != nil {
		return nil, nil, fmt.Errorf("finding entities of type %s: %w", l.et.Name, err)
	}
	if whole {
		return l.sorted(found, nil)
	}
	for i := range streams {
		streams[i].Scan = 0
	}
	return l.e.merge(ctx, streams, l.from, l.q.Max, l.key)
}

// sorted makes a page of documents, whichever of them the filters keep. owners
// has the owners of those of others.
func (l *entityList) sorted(found []store.Document, owners map[string]string) (page []listed, next *position, err error) {
	order := position.compare
	if !l.q.Ascending {
		order = func(p, q position) int { return q.compare(p) }
	}
	for _, d := range found {
		s, err := decodeEntitySummary(d.Summary)
		if err != nil {
			return nil, nil, fmt.Errorf("listing entity %s: %w", d.ID, err)
		}
		if !l.f.keeps(s) {
			continue
		}
		k, err := l.key(d.Summary)
		if err != nil {
			return nil, nil, fmt.Errorf("listing entity %s: %w", d.ID, err)
		}
		at := position{k, d.ID}
		if l.from == nil || order(at, *l.from) > 0 {
			page = append(page, listed{position: at, summary: d.Summary, owner: owners[d.ID]})
		}
	}
	slices.SortFunc(page, func(a, b listed) int { return order(a.position, b.position) })
	if len(page) > l.q.Max {
		page = page[:l.q.Max]
		next = &page[l.q.Max-1].position
	}
	return page, next, nil
}

// pick reads entities by their ids.
func (l *entityList) pick(ctx context.Context, ids []string) (page []listed, next *position, err error) {
	docs, owners, err := l.read(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	docs = slices.DeleteFunc(docs, func(d store.Document) bool { return owners[d.ID] != l.q.Account })
	return l.sorted(docs, owners)
}

// shared reads the entities of others that are shared with the account.
func (l *entityList) shared(ctx context.Context) (page []listed, next *position, err error) {
	ids, err := l.e.sharedWith(ctx, l.q.Account, l.et.Name)
	if err != nil {
		return nil, nil, err
	}
	if l.f.ids != nil {
		ids = slices.DeleteFunc(ids, func(id string) bool { return !slices.Contains(l.f.ids, id) })
	}
	docs, owners, err := l.read(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	docs = slices.DeleteFunc(docs, func(d store.Document) bool { return owners[d.ID] == l.q.Account })
	return l.sorted(docs, owners)
}

// read reads the entities of the list's type among ids, and whose they are.
func (l *entityList) read(ctx context.Context, ids []string) ([]store.Document, map[string]string, error) {
	var keys []store.Key
	for _, id := range ids {
		if isWord(id) { // no entity has another
			keys = append(keys, store.Key{Kind: kindEntity, ID: id})
		}
	}
	if len(keys) == 0 {
		return nil, nil, nil
	}
	all, err := l.e.store.GetAll(ctx, keys)
	if err != nil {
		return nil, nil, fmt.Errorf("reading %d entities: %w", len(keys), err)
	}
	var docs []store.Document
	owners := map[string]string{}
	for _, d := range all {
		was, err := decodeEntity(d)
		if err != nil {
			return nil, nil, err
		}
		if l.e.types[was.Type] == l.et {
			docs = append(docs, d)
			owners[d.ID] = was.Owner
		}
	}
	return docs, owners, nil
}

package changeset

import (
	"context"
	"errors"
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
	Name         string
	Visibility   string
	LastModified time.Time
}

const listEntities = "ListEntities"

// ListEntities returns a page of an account's entities of one type and the
// token of the next page, "" if there is none. Sorted by LastModifiedDate (the
// default), EntityId, Name or Visibility. Refusals are ValidationExceptions.
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
	f, err := readEntityFilters(q.Filters)
	if err != nil {
		return nil, "", err
	}
	key, err := entityKey(q.SortBy, f)
	if err != nil {
		return nil, "", err
	}
	from, err := e.from(&q, listEntities)
	if err != nil || f.shared {
		// Nothing is shared between accounts; that is the whole list.
		return nil, "", err
	}
	var page []listed
	var next *position
	if f.ids != nil {
		page, next, err = e.pick(ctx, q, et, f, from, key)
	} else {
		page, next, err = e.merge(ctx, f.streams(q.Account+"/"+et.Name, q.SortBy, visibilities(et), !q.Ascending), from, q.Max, key)
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
			entities[i] = EntitySummary{ID: l.ID, Type: et.Name, Name: s.name, Visibility: s.visibility}
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
func entityKey(sortBy string, f *entityFilters) (func([]byte) (string, error), error) {
	var value func(s *entitySummary) string
	switch sortBy {
	case "", "LastModifiedDate":
		value = func(s *entitySummary) string { return s.modified }
	case "EntityId":
		value = func(*entitySummary) string { return "" }
	case "Name":
		value = func(s *entitySummary) string {
			if f.visibilities != nil {
				return cut(s.name)
			}
			return cut(s.name) + "\x00" + s.modified // as indexNameModified has it
		}
	case "Visibility":
		value = func(s *entitySummary) string { return s.visibility }
	default:
		return nil, invalid("SortBy '%s' is not supported. Supported: LastModifiedDate, EntityId, Name, Visibility.", sortBy)
	}
	return func(raw []byte) (string, error) {
		s, err := decodeEntitySummary(raw)
		if err != nil {
			return "", err
		}
		return value(&s), nil
	}, nil
}

// entityFilters are the filters of ListEntities.
type entityFilters struct {
	ids, names, visibilities []string
	modified                 []string // seconds, in the form of sortTime
	shared                   bool
	count                    int
}

func readEntityFilters(filters []Filter) (*entityFilters, error) {
	m, err := byName(filters, "EntityId", "Name", "Visibility", "LastModifiedDate", "Scope")
	if err != nil {
		return nil, err
	}
	f := &entityFilters{ids: m["EntityId"], names: m["Name"], visibilities: m["Visibility"], count: len(m)}
	for _, v := range m["LastModifiedDate"] {
		t, err := readTime("LastModifiedDate", v)
		if err != nil {
			return nil, err
		}
		if s := t.Format(sortTime); !slices.Contains(f.modified, s) {
			f.modified = append(f.modified, s)
		}
	}
	f.shared, err = shared(m)
	return f, err
}

// streams says where the entities of a partition (account/type) are to be
// found: the index of the filter that leaves the fewest, and Match for the rest.
func (f *entityFilters) streams(partition, sortBy string, all []string, backward bool) (streams []stream) {
	q := store.Query{Kind: kindEntity, Backward: backward}
	matched := func(used int) store.Query {
		q := q
		if used < f.count {
			q.Match = f.match
		}
		return q
	}
	add := func(q store.Query, index, partition string, s stream) {
		q.Index, q.Partition = index, partition
		s.Query = q
		streams = append(streams, s)
	}
	if sortBy == "" || sortBy == "LastModifiedDate" {
		switch {
		case f.names != nil:
			for _, name := range f.names {
				q := matched(f.exactNames())
				q.From, q.To = nameRange(name)
				add(q, indexNameModified, partition, stream{lead: q.From})
			}
		case f.visibilities != nil:
			for _, v := range f.visibilities {
				add(matched(1), indexVisibilityModified, partition+"/"+v, stream{})
			}
		case f.modified != nil:
			for _, second := range f.modified {
				q := matched(1)
				q.From, q.To = second, nextSecond(second)
				add(q, indexModified, partition, stream{})
			}
		default:
			add(matched(0), indexModified, partition, stream{})
		}
		return streams
	}
	if sortBy == "Name" && f.visibilities == nil {
		if f.names == nil {
			add(matched(0), indexNameModified, partition, stream{})
		}
		for _, name := range f.names {
			q := matched(f.exactNames())
			q.From, q.To = nameRange(name)
			add(q, indexNameModified, partition, stream{})
		}
		return streams
	}
	used := f.exactNames()
	if f.visibilities != nil {
		all = f.visibilities
		used++
	}
	for _, v := range all {
		s := stream{}
		if sortBy == "Visibility" {
			s.prefix = v
		}
		switch {
		case f.names != nil:
			for _, name := range f.names {
				q := matched(used)
				q.From, q.To = cut(name), cut(name)+"\x00"
				if name == "" { // "" is no bound
					q.To = "\x00"
				}
				s := s
				if sortBy != "Name" {
					s.fixed, s.lead = true, cut(name)
				}
				add(q, indexVisibilityName, partition+"/"+v, s)
			}
		case sortBy == "Name":
			add(matched(used), indexVisibilityName, partition+"/"+v, s)
		default:
			s.fixed = true
			add(matched(used), indexVisibilityID, partition+"/"+v, s)
		}
	}
	return streams
}

// nameRange is the part of indexNameModified that has a name.
func nameRange(name string) (from, to string) {
	return cut(name) + "\x00", cut(name) + "\x01"
}

// exactNames is the number of filters that a walk over an index by names
// needs no Match for: 1 if names are given and none of them is cut there.
func (f *entityFilters) exactNames() int {
	if f.names == nil || slices.ContainsFunc(f.names, func(n string) bool { return len(n) > maxSort }) {
		return 0
	}
	return 1
}

func nextSecond(second string) string {
	t, err := time.Parse(sortTime, second)
	if err != nil { // it was made by readTime
		return second
	}
	return t.Add(time.Second).Format(sortTime)
}

// match looks at an entity's summary.
func (f *entityFilters) match(_, _ string, cover []byte) bool {
	s, err := decodeEntitySummary(cover)
	return err == nil && f.keeps(s)
}

func (f *entityFilters) keeps(s entitySummary) bool {
	switch {
	case f.visibilities != nil && !slices.Contains(f.visibilities, s.visibility),
		f.names != nil && !slices.Contains(f.names, s.name):
		return false
	}
	const toSeconds = len("2006-01-02T15:04:05")
	return f.modified == nil || slices.ContainsFunc(f.modified, func(second string) bool { return second[:toSeconds] == s.modified[:toSeconds] })
}

// pick reads the entities that the filter EntityId names: ten at most.
func (e *Engine) pick(ctx context.Context, q Query, et *change.EntityType, f *entityFilters, from *position, key func([]byte) (string, error)) (page []listed, next *position, err error) {
	order := position.compare
	if !q.Ascending {
		order = func(p, q position) int { return q.compare(p) }
	}
	for _, id := range f.ids {
		if !isWord(id) {
			continue // no entity has such an id
		}
		d, err := e.store.Get(ctx, store.Key{Kind: kindEntity, ID: id})
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("reading entity %s: %w", id, err)
		}
		was, err := decodeEntity(d)
		if err != nil {
			return nil, nil, err
		}
		s, err := decodeEntitySummary(d.Summary)
		if err != nil {
			return nil, nil, fmt.Errorf("listing entity %s: %w", id, err)
		}
		if was.Owner != q.Account || e.types[was.Type] != et || !f.keeps(s) {
			continue
		}
		k, err := key(d.Summary)
		if err != nil {
			return nil, nil, fmt.Errorf("listing entity %s: %w", id, err)
		}
		l := listed{position{k, id}, d.Summary}
		if from == nil || order(l.position, *from) > 0 {
			page = append(page, l)
		}
	}
	slices.SortFunc(page, func(a, b listed) int { return order(a.position, b.position) })
	if len(page) > q.Max {
		page = page[:q.Max]
		next = &page[q.Max-1].position
	}
	return page, next, nil
}

package changeset

import (
	"bytes"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"souk/catalog/change"
	"souk/storage/store"
)

// entityFilters are the filters of ListEntities.
type entityFilters struct {
	ids, names, visibilities []string
	contains                 string   // of the name, folded
	modified                 []string // seconds, in the form of sortTime
	after, before            string   // bounds of the time, in the form of sortTime: after <= it < before; "" is none
	fields                   []fieldFilter
	shared                   bool
	count                    int // of conditions
}

// fieldFilter is one by a field, as the values of fields are compared with it:
// Values in order, Contains folded, and the bounds of a range: from <= it < to.
type fieldFilter struct {
	FieldFilter
	from, to string
}

func readEntityFilters(q *Query) (*entityFilters, error) {
	m, err := byName(q.Filters, "EntityId", "Name", "Visibility", "LastModifiedDate", "Scope")
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
	for i, field := range q.Fields {
		_, given := m[field.Name]
		if given || slices.ContainsFunc(q.Fields[:i], func(f FieldFilter) bool { return f.Name == field.Name }) {
			return nil, invalid("Filter '%s' is given more than once.", field.Name)
		}
		f.add(field)
	}
	f.shared, err = shared(m)
	f.shared = f.shared || q.Shared
	return f, err
}

// add adds a filter by a field.
func (f *entityFilters) add(field FieldFilter) {
	f.count++
	values := slices.Clone(field.Values)
	slices.Sort(values)
	values = slices.Compact(values)
	switch {
	case field.Name == "EntityId":
		f.ids = values
	case field.Name == "Name" && field.Contains != "":
		f.contains = folded(field.Contains)
	case field.Name == "Name":
		f.names = values
	case field.Name == "Visibility":
		f.visibilities = values
	case field.Name == "LastModifiedDate":
		f.after, f.before = bounds(field, sortTime)
	default:
		field.Values, field.Contains = values, folded(field.Contains)
		from, to := bounds(field, time.RFC3339)
		f.fields = append(f.fields, fieldFilter{field, from, to})
	}
}

// bounds are those of a range of times to the second, in a form: from the first
// until before the second.
func bounds(field FieldFilter, form string) (from, to string) {
	if !field.From.IsZero() {
		from = field.From.UTC().Truncate(time.Second).Format(form)
	}
	if !field.To.IsZero() {
		to = field.To.UTC().Truncate(time.Second).Add(time.Second).Format(form)
	}
	return from, to
}

// streams says where the entities of a partition (account/type) are to be
// found: the index of the filter that leaves the fewest, and Match for the rest.
func (f *entityFilters) streams(partition string, q *Query, et *change.EntityType) []stream {
	w := walks{f: f, partition: partition, backward: !q.Ascending}
	switch {
	case slices.Contains(et.Fields, q.SortField):
		w.byField(q.SortField)
	case q.SortField != "":
		// None has a value: all are in the order of their ids.
		w.byOthers("EntityId", visibilities(et))
	case q.SortBy == "" || q.SortBy == "LastModifiedDate":
		w.byModified(et)
	case q.SortBy == "Name" && f.visibilities == nil:
		w.byName()
	default:
		w.byOthers(q.SortBy, visibilities(et))
	}
	return w.streams
}

// walks collects the streams of a list.
type walks struct {
	f         *entityFilters
	partition string
	backward  bool
	streams   []stream
}

// query is one that a number of conditions need no Match for.
func (w *walks) query(used int) store.Query {
	q := store.Query{Kind: kindEntity, Backward: w.backward}
	if used < w.f.count {
		q.Match = w.f.match
	}
	return q
}

func (w *walks) add(q store.Query, index, partition string, s stream) {
	q.Index, q.Partition = index, w.partition+partition
	s.Query = q
	w.streams = append(w.streams, s)
}

func (w *walks) byField(name string) {
	q := w.query(0)
	for _, field := range w.f.fields {
		if field.Name == name && field.isRange() {
			q = w.query(1)
			q.From, q.To = max(field.from, "0"), field.to // those without a value stand before all times
		}
	}
	w.add(q, indexSorted, "/"+name, stream{})
}

func (w *walks) byName() {
	if w.f.names == nil {
		w.add(w.query(0), indexNameModified, "", stream{})
	}
	for _, name := range w.f.names {
		q := w.query(w.f.exactNames())
		q.From, q.To = nameRange(name)
		w.add(q, indexNameModified, "", stream{})
	}
}

func (w *walks) byModified(et *change.EntityType) {
	within := func(used int) store.Query {
		if w.f.after != "" || w.f.before != "" {
			used++
		}
		q := w.query(used)
		q.From, q.To = w.f.after, w.f.before
		return q
	}
	field := slices.IndexFunc(w.f.fields, func(field fieldFilter) bool { return field.Values != nil })
	switch {
	case w.f.names != nil:
		for _, name := range w.f.names {
			q := w.query(w.f.exactNames())
			q.From, q.To = nameRange(name)
			w.add(q, indexNameModified, "", stream{lead: q.From})
		}
	case field >= 0:
		if !slices.Contains(et.Fields, w.f.fields[field].Name) {
			return // none has a value
		}
		for _, v := range w.f.fields[field].Values {
			w.add(within(1), indexField, fieldPartition("", w.f.fields[field].Name, v), stream{})
		}
	case w.f.visibilities != nil:
		for _, v := range w.f.visibilities {
			w.add(within(1), indexVisibilityModified, "/"+v, stream{})
		}
	case w.f.modified != nil:
		for _, second := range w.f.modified {
			q := w.query(1)
			q.From, q.To = second, nextSecond(second)
			w.add(q, indexModified, "", stream{})
		}
	default:
		w.add(within(0), indexModified, "", stream{})
	}
}

// byOthers has the streams of lists that are sorted by id, by visibility, or by
// name within some visibilities.
func (w *walks) byOthers(sortBy string, all []string) {
	used := w.f.exactNames()
	if w.f.visibilities != nil {
		all = w.f.visibilities
		used++
	}
	for _, v := range all {
		s := stream{}
		if sortBy == "Visibility" {
			s.prefix = v
		}
		switch {
		case w.f.names != nil:
			for _, name := range w.f.names {
				q := w.query(used)
				q.From, q.To = cut(name), cut(name)+"\x00"
				if name == "" { // "" is no bound
					q.To = "\x00"
				}
				s := s
				if sortBy != "Name" {
					s.fixed, s.lead = true, cut(name)
				}
				w.add(q, indexVisibilityName, "/"+v, s)
			}
		case sortBy == "Name":
			w.add(w.query(used), indexVisibilityName, "/"+v, s)
		default:
			s.fixed = true
			w.add(w.query(used), indexVisibilityID, "/"+v, s)
		}
	}
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
	if f.contains != "" { // most are turned down here, without a copy of them
		_, rest, _ := bytes.Cut(cover, []byte{0})
		if _, name, whole := bytes.Cut(rest, []byte{0}); whole && !mayContain(name, f.contains) {
			return false
		}
	}
	s, err := decodeEntitySummary(cover)
	return err == nil && f.keeps(s)
}

// mayContain is false only if a text has no such part. The part is folded.
func mayContain(text []byte, part string) bool {
	for i := range text {
		if text[i] >= utf8.RuneSelf {
			return true // what it is folded to takes a closer look
		}
	}
	for i := 0; i+len(part) <= len(text); i++ {
		n := 0
		for n < len(part) && lower(text[i+n]) == part[n] {
			n++
		}
		if n == len(part) {
			return true
		}
	}
	return false
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

func (f *entityFilters) keeps(s entitySummary) bool {
	switch {
	case f.visibilities != nil && !slices.Contains(f.visibilities, s.visibility),
		f.names != nil && !slices.Contains(f.names, s.name),
		f.contains != "" && !strings.Contains(folded(s.name), f.contains),
		s.modified < f.after,
		f.before != "" && s.modified >= f.before:
		return false
	}
	for i := range f.fields {
		if !slices.ContainsFunc(s.values(f.fields[i].Name), f.fields[i].keeps) {
			return false
		}
	}
	const toSeconds = len("2006-01-02T15:04:05")
	return f.modified == nil || slices.ContainsFunc(f.modified, func(second string) bool { return second[:toSeconds] == s.modified[:toSeconds] })
}

// isRange says whether the filter's condition is a range of times.
func (f *fieldFilter) isRange() bool { return f.Values == nil && f.Contains == "" }

// keeps says whether a value fulfils the condition.
func (f *fieldFilter) keeps(value string) bool {
	switch {
	case f.Values != nil:
		return slices.Contains(f.Values, value)
	case f.Contains != "":
		return strings.Contains(folded(value), f.Contains)
	}
	return value >= f.from && (f.to == "" || value < f.to)
}

// mostTrigrams is how many trigrams of a text are searched for: more leave
// hardly fewer entities.
const mostTrigrams = 24

// terms are those that all entities have which the filters keep. There are none
// for short texts and for times.
func (f *entityFilters) terms(partition string) (all [][]string) {
	contains := func(prefix, text string) {
		trigrams := appendTrigrams(nil, prefix, text)
		if n := len(trigrams); n > mostTrigrams {
			trigrams = slices.Concat(trigrams[:mostTrigrams/2], trigrams[n-mostTrigrams/2:])
		}
		for _, t := range trigrams {
			all = append(all, []string{t})
		}
	}
	contains(partition+"/", f.contains)
	for i := range f.fields {
		switch field := &f.fields[i]; {
		case field.Values != nil:
			group := make([]string, len(field.Values))
			for i, v := range field.Values {
				group[i] = valueTerm(partition, field.Name, v)
			}
			all = append(all, group)
		case slices.Contains(searched, field.Name):
			contains(trigramsOf(partition, field.Name), field.Contains)
		}
	}
	return all
}

package changeset

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"souk/catalog/change"
)

// entitySummary is what lists show of an entity, beside its id, and what
// filters look at. It is stored as the visibility with the fields, the time and
// the name, with NUL between them.
type entitySummary struct {
	visibility string
	// fields are those with values, each as its name and its values with
	// valueMark before each value and fieldMark before all.
	fields   string
	modified string // LastModified, in the form of sortTime
	name     string
}

const (
	fieldMark = "\x01"
	valueMark = "\x02"
)

// summarize makes the summary of an entity.
func summarize(et *change.EntityType, l change.Listing, modified time.Time) (entitySummary, error) {
	s := entitySummary{visibility: l.Visibility, modified: modified.Format(sortTime), name: l.Name}
	var b strings.Builder
	for _, field := range et.Fields {
		values := l.Fields[field]
		if len(values) == 0 {
			continue
		}
		b.WriteString(fieldMark + field)
		for _, v := range values {
			if strings.ContainsAny(v, "\x00"+fieldMark+valueMark) {
				return s, fmt.Errorf("a value of field %s has control characters", field)
			}
			b.WriteString(valueMark + v)
		}
	}
	s.fields = b.String()
	return s, nil
}

func (s *entitySummary) encode() []byte {
	return []byte(s.visibility + s.fields + "\x00" + s.modified + "\x00" + s.name)
}

func decodeEntitySummary(raw []byte) (entitySummary, error) {
	head, rest, _ := strings.Cut(string(raw), "\x00") // lists do this thousands of times
	modified, name, whole := strings.Cut(rest, "\x00")
	if !whole || len(modified) != len(sortTime) {
		return entitySummary{}, errors.New("an entity's summary is damaged")
	}
	s := entitySummary{visibility: head, modified: modified, name: name}
	if i := strings.Index(head, fieldMark); i >= 0 {
		s.visibility, s.fields = head[:i], head[i:]
	}
	return s, nil
}

// values are those of a field; nil if it has none.
func (s *entitySummary) values(field string) []string {
	_, rest, found := strings.Cut(s.fields, fieldMark+field+valueMark)
	if !found {
		return nil
	}
	rest, _, _ = strings.Cut(rest, fieldMark)
	return strings.Split(rest, valueMark)
}

// key is what an entity has in a list that is sorted by a field.
func (s *entitySummary) key(field string) string { return cut(strings.Join(s.values(field), ",")) }

// all are the fields by their names.
func (s *entitySummary) all() map[string][]string {
	if s.fields == "" {
		return nil
	}
	fields := map[string][]string{}
	for field := range strings.SplitSeq(s.fields[1:], fieldMark) {
		values := strings.Split(field, valueMark)
		fields[values[0]] = values[1:]
	}
	return fields
}

// searched are the fields that have FieldFilters with Contains, beside names.
var searched = []string{"BuyerAccounts"}

// TitleTerms are the terms by which an entity of a type (without version) is
// found by its name, as part of a store.Document.
func TitleTerms(owner, entityType, name string) []string {
	return appendTrigrams([]string{}, owner+"/"+entityType+"/", name)
}

// entityTerms are all terms of an entity: the trigrams of its name and of what
// else is searched, and the values of its fields.
func entityTerms(et *change.EntityType, owner string, l change.Listing) []string {
	terms := TitleTerms(owner, et.Name, l.Name)
	all := owner + "/" + et.Name
	for _, field := range et.Fields {
		for _, v := range l.Fields[field] {
			terms = append(terms, valueTerm(all, field, v))
			if slices.Contains(searched, field) {
				terms = appendTrigrams(terms, trigramsOf(all, field), v)
			}
		}
	}
	return terms
}

// valueTerm is the term of a field's value. all is owner/type.
func valueTerm(all, field, value string) string { return all + "/" + field + "=" + value }

// trigramsOf begins the trigrams of a field.
func trigramsOf(all, field string) string { return all + "/" + field + "/" }

// appendTrigrams appends each run of three characters of a text, as folded has
// it, behind a prefix. A shorter text has none.
func appendTrigrams(terms []string, prefix, text string) []string {
	text = folded(text)
	var at [3]int // where the last three characters begin
	n := 0
	for i := range text {
		if n >= 3 {
			terms = append(terms, prefix+text[at[n%3]:i])
		}
		at[n%3] = i
		n++
	}
	if n >= 3 {
		terms = append(terms, prefix+text[at[n%3]:])
	}
	return terms
}

// folded is a text in which substrings are searched: searches don't tell
// capital letters from small ones.
func folded(text string) string { return strings.ToLower(text) }

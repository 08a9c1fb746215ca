package trail

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"souk/storage/store"
)

// Attribute is what records can be looked up by.
type Attribute int

// The attributes of LookupEvents. None looks up all records.
const (
	None Attribute = iota
	EventID
	EventName
	ReadOnly
	Username
	ResourceType
	ResourceName
	EventSource
	AccessKeyID
	attributeCount
)

// Attributes are the names that the API has for them.
var attributes = map[string]Attribute{
	"EventId": EventID, "EventName": EventName, "ReadOnly": ReadOnly, "Username": Username,
	"ResourceType": ResourceType, "ResourceName": ResourceName, "EventSource": EventSource, "AccessKeyId": AccessKeyID,
}

// AttributeNamed finds an attribute by its name in the API; ok is false if there is none.
func AttributeNamed(name string) (a Attribute, ok bool) {
	a, ok = attributes[name]
	return a, ok
}

// Query asks for the records of an account, the newest first.
type Query struct {
	Account   string
	Attribute Attribute
	Value     string    // that the attribute has
	Start     time.Time // not older; zero: no bound
	End       time.Time // not younger, to the second; zero: no bound
	Most      int       // records in a page, at least 1
	Token     string    // of the page before; "" begins
}

// ErrToken says that a page token was made for another query, or by nobody.
var ErrToken = errors.New("not a token of this query")

const tokenPurpose = "trail page"

// bound is what a token is bound to: everything but the page's size.
func (q *Query) bound() []byte {
	return []byte(strings.Join([]string{q.Account, strconv.Itoa(int(q.Attribute)), q.Value, q.Start.String(), q.End.String()}, "\x00"))
}

// value is what a record has for an attribute that it has one of.
func (r *Record) value(a Attribute) string {
	switch a {
	case EventID:
		return r.ID
	case EventName:
		return r.Name
	case ReadOnly:
		return strconv.FormatBool(r.ReadOnly)
	case Username:
		return r.Username()
	case EventSource:
		return r.Source
	case AccessKeyID:
		return r.Key
	}
	return ""
}

// has says whether a record is one that is asked for.
func (q *Query) has(r *Record) bool {
	switch q.Attribute {
	case None:
		return true
	case ResourceName, ResourceType:
		return slices.ContainsFunc(r.Resources, func(arn string) bool {
			about := ResourceOf(arn)
			if q.Attribute == ResourceType {
				return about.Type == q.Value
			}
			return about.Name == q.Value || arn == q.Value
		})
	}
	return r.value(q.Attribute) == q.Value
}

// Lookup returns a page of records and the token of the next page, "" at the
// end. A page may be short, even empty, and have a next one, where much had to be
// looked through. Records that this node has not stored yet are stored first.
//
// Errors: ErrToken, or what is wrong with the store.
func (t *Trail) Lookup(ctx context.Context, q Query) (records []*Record, next string, err error) {
	if err := t.flush(ctx, true); err != nil {
		return nil, "", err
	}
	l := lookup{t: t, q: &q, low: idAt(t.cfg.Clock().Add(-t.cfg.Keep)), high: "g"} // above every id
	if !q.Start.IsZero() {
		l.low = max(l.low, idAt(q.Start))
	}
	if !q.End.IsZero() {
		l.high = idAt(q.End.Truncate(time.Second).Add(time.Second))
	}
	if q.Attribute == EventID {
		at, ok := idTime(q.Value)
		if !ok {
			return nil, "", nil
		}
		l.low, l.high = max(l.low, idAt(at)), min(l.high, idAt(at.Add(time.Millisecond)))
	}
	if q.Token != "" {
		at, err := t.openToken(&q)
		if err != nil {
			return nil, "", err
		}
		l.high = min(l.high, at)
	}
	t.packing.RLock()
	defer t.packing.RUnlock()
	err = l.run(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("looking up records of account %s: %w", q.Account, err)
	}
	if l.rest != "" && t.cfg.Tokens != nil {
		next = base64.RawURLEncoding.EncodeToString(t.cfg.Tokens.Seal(tokenPurpose, []byte(l.rest), q.bound()))
	}
	return l.found, next, nil
}

func (t *Trail) openToken(q *Query) (string, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(q.Token)
	if err != nil || t.cfg.Tokens == nil {
		return "", ErrToken
	}
	at, err := t.cfg.Tokens.Open(tokenPurpose, sealed, q.bound())
	if err != nil {
		return "", ErrToken
	}
	return string(at), nil
}

const (
	// lookupRounds bounds the work for a page: lists that are read.
	lookupRounds = 40
	// packsAtOnce is how many packs are opened together: few, since one may do.
	packsAtOnce = 4
	// singlesAtOnce is the same of records on their own.
	singlesAtOnce = 64
	// packSpan is how much younger the newest record of a pack may be than any other.
	packSpan = time.Minute
)

// lookup walks back through single records and packs together. Both lists are in
// the order of ids. What was read and is younger than all that both still have
// is in its place.
type lookup struct {
	t         *Trail
	q         *Query
	low, high string // low <= id < high

	found []*Record // in their place, the newest first
	rest  string    // the next page has ids below that; "" at the end
}

// source is one of the two lists.
type source struct {
	query store.Query
	bound string // no record that is still in it has an id above that; "" at its end
}

func (l *lookup) run(ctx context.Context) error {
	print, whole := fingerprint(l.q.Attribute, l.q.Value), l.q.Attribute == None || l.q.Attribute == EventID
	top, youngest := l.high, int64(1)<<62
	if at, ok := idTime((l.high + noID)[:36]); ok {
		youngest = at.UnixMilli()
		top = idAt(at.Add(packSpan + time.Millisecond))
	}
	match := func(_, id string, cover []byte) bool {
		return id >= l.low && oldestOf(cover) <= youngest && (whole || mayHave(cover, print))
	}
	list := func(kind string, limit int, from string) *source {
		return &source{bound: from, query: store.Query{
			Kind: kind, Index: indexTime, Partition: l.q.Account, Backward: true, Limit: limit, Match: match, After: store.Position{ID: from},
		}}
	}
	packs, singles := list(kindPack, packsAtOnce, top), list(kindSingle, singlesAtOnce, l.high)
	var waiting []*Record // read, and not in their place yet; the newest first
	for range lookupRounds {
		s := packs
		if singles.bound > packs.bound {
			s = singles
		}
		more, err := l.read(ctx, s)
		if err != nil {
			return err
		}
		waiting = append(waiting, more...)
		slices.SortFunc(waiting, func(a, b *Record) int { return strings.Compare(b.ID, a.ID) })
		waiting = slices.CompactFunc(waiting, func(a, b *Record) bool { return a.ID == b.ID })
		limit := max(packs.bound, singles.bound)
		for len(waiting) > 0 && waiting[0].ID > limit {
			if len(l.found) == l.q.Most {
				l.rest = l.found[len(l.found)-1].ID
				return nil
			}
			l.found, waiting = append(l.found, waiting[0]), waiting[1:]
		}
		if limit == "" {
			l.rest = ""
			return nil
		}
		// What is not in its place is read again for the next page.
		l.rest = min(l.high, limit+"~")
	}
	return nil
}

// noID fills what is only the beginning of an id.
const noID = "-0000-000000000000000000000000000000"

// read reads the next part of a source, and returns what is asked for of it.
func (l *lookup) read(ctx context.Context, s *source) ([]*Record, error) {
	page, err := l.t.store.List(ctx, s.query)
	if err != nil {
		return nil, err
	}
	keys := make([]store.Key, len(page.Documents))
	for i := range page.Documents {
		keys[i] = page.Documents[i].Key
	}
	s.query.After, s.bound = page.Next, ""
	if page.More {
		s.bound = page.Next.ID[:min(36, len(page.Next.ID))]
	}
	if s.bound < l.low {
		s.bound = ""
	}
	if len(keys) == 0 {
		return nil, nil
	}
	documents, err := l.t.store.GetAll(ctx, keys)
	if err != nil {
		return nil, err
	}
	var found []*Record
	add := func(body string) error {
		r := &Record{}
		err := r.decode(body)
		if err == nil && r.ID >= l.low && r.ID < l.high && l.q.has(r) {
			found = append(found, r)
		}
		return err
	}
	for i := range documents {
		d := &documents[i]
		if d.Kind == kindSingle {
			err = add(string(d.Body))
		} else {
			var records string
			if records, err = l.t.open(d.Body); err == nil {
				err = each(records, add)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s %s: %w", d.Kind, d.ID, err)
		}
	}
	return found, nil
}

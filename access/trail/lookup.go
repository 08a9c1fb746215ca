package trail

import (
	"cmp"
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
	Others    []string // accounts whose records it sees, too, among its own in the order of time
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

// bound is what a token is bound to: everything but the page's size, and which
// other accounts there are by now.
func (q *Query) bound() []byte {
	return []byte(strings.Join([]string{q.Account, strconv.FormatBool(len(q.Others) > 0), strconv.Itoa(int(q.Attribute)), q.Value, q.Start.String(), q.End.String()}, "\x00"))
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
	// lookupRounds bounds the work for a page: lists and packs that are read,
	// beside the first two lists of each account.
	lookupRounds = 40
	// packsAtOnce is how many packs are listed, and opened, together: few, since
	// one may do.
	packsAtOnce = 4
	// singlesAtOnce is the same of records on their own.
	singlesAtOnce = 64
	// packSpan is how much younger the newest record of a pack may be than any other.
	packSpan = time.Minute
)

// lookup walks back through the single records and packs of all accounts
// together. Ids begin with the time, so all lists are in one order. What was
// read and is younger than all that any list still has is in its place.
type lookup struct {
	t         *Trail
	q         *Query
	low, high string // low <= id < high

	found []*Record // in their place, the newest first
	rest  string    // the next page has ids below that; "" at the end
}

// source is one of the lists.
type source struct {
	query  store.Query
	listed []store.Key // and not read yet, the newest first
	beyond string      // no id that is not listed yet is above that; "" if all are
}

// bound is what no record that is still in the list has an id above; "" at its end.
func (s *source) bound() string {
	if len(s.listed) > 0 {
		return newest(s.listed[0].ID)
	}
	return s.beyond
}

// newest is the id of the newest record behind a document's id.
func newest(id string) string { return id[:min(36, len(id))] }

// sources are the lists of all accounts.
func (l *lookup) sources() []*source {
	print, whole := fingerprint(l.q.Attribute, l.q.Value), l.q.Attribute == None || l.q.Attribute == EventID
	top, youngest := l.high, int64(1)<<62
	if at, ok := idTime((l.high + noID)[:36]); ok {
		youngest = at.UnixMilli()
		top = idAt(at.Add(packSpan + time.Millisecond))
	}
	match := func(_, id string, cover []byte) bool {
		return id >= l.low && oldestOf(cover) <= youngest && (whole || mayHave(cover, print))
	}
	all := make([]*source, 0, 2+2*len(l.q.Others))
	list := func(account, kind string, limit int, from string) {
		all = append(all, &source{beyond: from, query: store.Query{
			Kind: kind, Index: indexTime, Partition: account, Backward: true, Limit: limit, Match: match, After: store.Position{ID: from},
		}})
	}
	for i := -1; i < len(l.q.Others); i++ {
		account := l.q.Account
		if i >= 0 {
			account = l.q.Others[i]
		}
		list(account, kindPack, packsAtOnce, top)
		list(account, kindSingle, singlesAtOnce, l.high)
	}
	return all
}

// first finds the source whose next record may be the newest, and how new those
// of all others are.
func first(all []*source) (s *source, others string) {
	s = all[0]
	for _, other := range all[1:] {
		if other.bound() > s.bound() {
			s, other = other, s
		}
		others = max(others, other.bound())
	}
	return s, others
}

func (l *lookup) run(ctx context.Context) error {
	all := l.sources()
	var waiting []*Record // read, and not in their place yet; the newest first
	for range lookupRounds + len(all) {
		s, others := first(all)
		limit := s.bound()
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
		if len(s.listed) == 0 {
			if err := l.list(ctx, s); err != nil {
				return err
			}
			continue
		}
		more, err := l.read(ctx, s, others)
		if err != nil {
			return err
		}
		waiting = append(waiting, more...)
		// A record that is written again while it is moved may stand twice: that
		// with the answer is the later one.
		slices.SortFunc(waiting, func(a, b *Record) int {
			return cmp.Or(strings.Compare(b.ID, a.ID), len(b.Output)-len(a.Output))
		})
		waiting = slices.CompactFunc(waiting, func(a, b *Record) bool { return a.ID == b.ID })
	}
	return nil
}

// noID fills what is only the beginning of an id.
const noID = "-0000-000000000000000000000000000000"

// list lists the next part of a source.
func (l *lookup) list(ctx context.Context, s *source) error {
	page, err := l.t.store.List(ctx, s.query)
	if err != nil {
		return err
	}
	for i := range page.Documents {
		s.listed = append(s.listed, page.Documents[i].Key)
	}
	s.query.After, s.beyond = page.Next, ""
	if page.More {
		s.beyond = newest(page.Next.ID)
	}
	if s.beyond < l.low {
		s.beyond = ""
	}
	return nil
}

// read reads of what a source has listed all that is newer than what others
// have, at least one document, and returns what is asked for of it.
func (l *lookup) read(ctx context.Context, s *source, others string) ([]*Record, error) {
	n := 1
	for n < len(s.listed) && newest(s.listed[n].ID) > others {
		n++
	}
	keys := s.listed[:n]
	s.listed = s.listed[n:]
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

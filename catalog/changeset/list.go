package changeset

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"souk/storage/store"
)

// Query asks for a page of a list.
type Query struct {
	Account    string
	EntityType string // without version; of ListEntities only
	Filters    []Filter
	Fields     []FieldFilter // of ListEntities only
	Shared     bool          // of ListEntities only: what others share with the account, not what it owns
	SortBy     string        // "": the list's default
	SortField  string        // a field to sort by instead of SortBy; of ListEntities only
	Ascending  bool
	Max        int    // results in a page
	Token      string // NextToken of the page before, "" for the first
}

// Filter keeps what has one of the values. Filters of a query must all hold.
type Filter struct {
	Name   string
	Values []string
}

// FieldFilter is a filter by Name, Visibility, LastModifiedDate, EntityId or one
// of the Fields of a change.Listing. It has one condition.
type FieldFilter struct {
	Name     string
	Values   []string  // it has one of them
	Contains string    // one of its values has this within it, in capital letters or small ones
	From, To time.Time // it is a time of this range, to the second, both included; zero is no bound
}

// scan is how many index entries a page of a combination of filters looks at.
const scan = 2000

// position is a place in a list: behind the document with this key and id. It
// is what a page token holds. The key is what the list is sorted by.
type position struct {
	Key string `json:"k,omitzero"`
	ID  string `json:"i"`
}

func (p position) compare(q position) int {
	return cmp.Or(cmp.Compare(p.Key, q.Key), cmp.Compare(p.ID, q.ID))
}

// stream is a part of an index in the order of a list. A list is the merger of
// its streams: of the partitions for each value of a filter, or of open and
// ended change sets.
type stream struct {
	store.Query
	// An entry's Sort value is lead and a rest, its key in the list is prefix
	// and that rest.
	lead, prefix string
	// fixed: the Sort value is lead alone, and the key prefix alone.
	fixed bool
}

// after says where the stream goes on behind a place of the list; over: nowhere.
func (s *stream) after(p *position) (after store.Position, over bool) {
	if p == nil {
		return store.Position{}, false
	}
	rest, within := strings.CutPrefix(p.Key, s.prefix)
	if within && !(s.fixed && rest != "") {
		return store.Position{Sort: s.lead + rest, ID: p.ID}, false
	}
	// The place is before all keys of the stream or behind them.
	return store.Position{}, (p.Key > s.prefix) != s.Backward
}

func (s *stream) position(p store.Position) position {
	if s.fixed {
		return position{Key: s.prefix, ID: p.ID}
	}
	return position{Key: s.prefix + strings.TrimPrefix(p.Sort, s.lead), ID: p.ID}
}

// listed is a document of a page with its place in the list.
type listed struct {
	position
	summary []byte
	owner   string // of an entity; "": the account that asks
}

// merge reads a page of limit documents from streams that all are sorted the
// same way. key finds a document's key in the list from its summary. Of two
// documents with one id, that of the later stream counts. next is nil at the
// end of the list.
func (e *Engine) merge(ctx context.Context, streams []stream, from *position, limit int, key func(summary []byte) (string, error)) (page []listed, next *position, err error) {
	if len(streams) == 0 {
		return nil, nil, nil
	}
	order := position.compare
	if streams[0].Backward {
		order = func(p, q position) int { return q.compare(p) }
	}
	var frontier *position // up to here every stream was read
	found := map[string]int{}
	for i := range streams {
		s := &streams[i]
		var over bool
		if s.After, over = s.after(from); over {
			continue
		}
		s.Limit = limit
		if s.Match != nil && s.Scan == 0 {
			s.Scan = max(scan/len(streams), limit)
		}
		p, err := e.store.List(ctx, s.Query)
		if err != nil {
			return nil, nil, fmt.Errorf("listing %s by %s: %w", s.Kind, s.Index, err)
		}
		for _, d := range p.Documents {
			k, err := key(d.Summary)
			if err != nil {
				return nil, nil, fmt.Errorf("listing %s %s: %w", s.Kind, d.ID, err)
			}
			at, twice := found[d.ID]
			if !twice {
				at = len(page)
				page, found[d.ID] = append(page, listed{}), at
			}
			page[at] = listed{position: position{k, d.ID}, summary: d.Summary}
		}
		if p.More {
			end := s.position(p.Next)
			if frontier == nil || order(end, *frontier) < 0 {
				frontier = &end
			}
		}
	}
	slices.SortFunc(page, func(a, b listed) int { return order(a.position, b.position) })
	if frontier != nil {
		page = slices.DeleteFunc(page, func(l listed) bool { return order(l.position, *frontier) > 0 })
		next = frontier
	}
	if len(page) > limit {
		page = page[:limit]
		next = &page[limit-1].position
	}
	return page, next, nil
}

const pagePurpose = "page"

// bound is what a page token is bound to: everything but its place and the
// size of pages.
func (q *Query) bound(list string) ([]byte, error) {
	b := *q
	b.Token, b.Max = "", 0
	raw, err := json.Marshal(struct {
		List  string
		Query Query
	}{list, b})
	if err != nil {
		return nil, fmt.Errorf("encoding a query: %w", err)
	}
	sum := sha256.Sum256(raw)
	return sum[:], nil
}

// from reads the query's token.
func (e *Engine) from(q *Query, list string) (*position, error) {
	if q.Token == "" {
		return nil, nil
	}
	bound, err := q.bound(list)
	if err != nil {
		return nil, err
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(q.Token)
	if err != nil {
		return nil, errToken
	}
	plain, err := e.cfg.Keys.Open(pagePurpose, sealed, bound)
	if err != nil {
		return nil, errToken
	}
	p := &position{}
	if err := json.Unmarshal(plain, p); err != nil {
		return nil, errToken
	}
	return p, nil
}

var errToken = invalid("NextToken is not valid for this request.")

// token makes the token of a page that starts behind p; "" for nil.
func (e *Engine) token(q *Query, list string, p *position) (string, error) {
	if p == nil {
		return "", nil
	}
	bound, err := q.bound(list)
	if err != nil {
		return "", err
	}
	plain, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("encoding a page token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(e.cfg.Keys.Seal(pagePurpose, plain, bound)), nil
}

// byName sorts a query's filters by their names, each given once at most.
func byName(filters []Filter, known ...string) (map[string][]string, error) {
	m := map[string][]string{}
	for _, f := range filters {
		if !slices.Contains(known, f.Name) {
			return nil, invalid("Filter name '%s' is not supported. Supported: %s.", f.Name, strings.Join(known, ", "))
		}
		if _, twice := m[f.Name]; twice {
			return nil, invalid("Filter '%s' is given more than once.", f.Name)
		}
		if len(f.Values) == 0 {
			return nil, invalid("Filter '%s' must have a value.", f.Name)
		}
		values := slices.Clone(f.Values)
		slices.Sort(values)
		m[f.Name] = slices.Compact(values)
	}
	return m, nil
}

// shared says whether the filter Scope asks for what others have shared. The
// other scope is what the account owns, which is the default.
func shared(filters map[string][]string) (bool, error) {
	values, given := filters["Scope"]
	if !given {
		return false, nil
	}
	if len(values) != 1 || values[0] != "SharedWithMe" {
		return false, invalid("Filter 'Scope' supports the value 'SharedWithMe' only.")
	}
	return true, nil
}

package listing

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"souk/storage/store"
)

// ErrToken: a page's token is none that this search has returned.
var ErrToken = errors.New("the page token is not valid for this search")

// Sealer seals page tokens, as change sets' lists do.
type Sealer interface {
	Seal(purpose string, plain, bound []byte) []byte
	Open(purpose string, sealed, bound []byte) ([]byte, error)
}

// Listings searches. Its methods may be called concurrently.
type Listings struct {
	store store.Store
	keys  Sealer
	most  int // see mostFound
}

// New returns the listings of a store.
func New(s store.Store, keys Sealer) *Listings { return &Listings{s, keys, mostFound} }

// Query asks for a page of what an account sees.
type Query struct {
	Account   string
	Text      string   // words that are all to be found, as parts of words; "" is any
	Filters   []Filter // that must all hold
	Ascending bool     // the least relevant first
	Max       int      // results in a page
	Token     string   // Page.Next of the page before
}

// Filter keeps the listings that have one of the values.
type Filter struct {
	Name   string // Category, Publisher, ...
	Values []string
}

// Page is a part of what was found.
type Page struct {
	Listings []Listing
	Total    int // that the search finds; of more than 1,000 it is a lower bound
	Next     string
}

// mostFound is how many listings a search sorts by their relevance, and how many
// it counts. Where it finds more, they come in the order of their titles, and a
// page looks at 2,000 of them at most.
const mostFound = 1000

// place is where a page ends.
type place struct {
	Walk  bool   `json:"w,omitzero"` // in the order of titles
	Rank  int    `json:"r,omitzero"`
	Title string `json:"t"`
	ID    string `json:"i"`
	Total int    `json:"n"`
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.Rank, q.Rank), cmp.Compare(p.Title, q.Title), cmp.Compare(p.ID, q.ID))
}

// Search returns a page. Without a condition, all that the account sees comes in
// the order of titles.
func (l *Listings) Search(ctx context.Context, q Query) (Page, error) {
	from, err := l.open(&q)
	if err != nil {
		return Page{}, err
	}
	mine, err := l.limited(ctx, q.Account)
	if err != nil {
		return Page{}, err
	}
	words := strings.Fields(strings.ToLower(q.Text))
	if from == nil || !from.Walk {
		found, whole, err := l.find(ctx, &q, words)
		if err != nil {
			return Page{}, err
		}
		if whole {
			return l.sorted(&q, words, append(found, mine...), from)
		}
		if from != nil {
			return Page{}, ErrToken // too much has come since
		}
	}
	return l.walk(ctx, &q, words, mine, from)
}

// find returns the Public listings that may be meant, with others perhaps; not
// whole if they are too many. All that there are is a search too.
func (l *Listings) find(ctx context.Context, q *Query, words []string) (found []Listing, whole bool, err error) {
	var groups [][]string
	for _, word := range words {
		for _, t := range trigrams(word) {
			groups = append(groups, []string{t})
		}
	}
	for _, f := range q.Filters {
		var any []string
		for _, v := range f.Values {
			any = append(any, valueTerm(f.Name, v))
		}
		groups = append(groups, any)
	}
	if len(groups) == 0 {
		return nil, false, nil
	}
	docs, whole, err := l.store.Find(ctx, store.Search{Kind: Kind, All: groups, Limit: l.most})
	if err != nil {
		return nil, false, fmt.Errorf("searching listings: %w", err)
	}
	found, err = read(docs)
	return found, whole, err
}

// limited returns the Limited listings that an account sees: its own, and those
// that it is invited to. Beyond 1,000 they are not looked at.
func (l *Listings) limited(ctx context.Context, account string) ([]Listing, error) {
	page, err := l.store.List(ctx, store.Query{Kind: Kind, Index: indexShown, Partition: account, Limit: mostFound})
	if err != nil {
		return nil, fmt.Errorf("listing what is limited to account %s: %w", account, err)
	}
	return read(page.Documents)
}

func read(docs []store.Document) ([]Listing, error) {
	all := make([]Listing, len(docs))
	for i, d := range docs {
		if err := json.Unmarshal(d.Summary, &all[i]); err != nil {
			return nil, fmt.Errorf("reading the listing of %s: %w", d.ID, err)
		}
	}
	return all, nil
}

// sorted makes a page of listings that were all found.
func (l *Listings) sorted(q *Query, words []string, found []Listing, from *place) (Page, error) {
	var page Page
	type ranked struct {
		place
		listing Listing
	}
	var all []ranked
	for _, listing := range found {
		if rank, ok := listing.meets(q.Filters, words); ok {
			all = append(all, ranked{place{Rank: rank, Title: listing.sort(), ID: listing.Product}, listing})
		}
	}
	order := func(a, b place) int {
		if q.Ascending {
			return b.compare(a)
		}
		return a.compare(b)
	}
	slices.SortFunc(all, func(a, b ranked) int { return order(a.place, b.place) })
	page.Total = len(all)
	for _, r := range all {
		if from != nil && order(r.place, *from) <= 0 {
			continue
		}
		if len(page.Listings) == q.Max {
			last := page.Listings[q.Max-1]
			rank, _ := last.meets(q.Filters, words)
			page.Next = l.seal(q, place{Rank: rank, Title: last.sort(), ID: last.Product, Total: page.Total})
			break
		}
		page.Listings = append(page.Listings, r.listing)
	}
	return page, nil
}

// walk makes a page in the order of titles.
func (l *Listings) walk(ctx context.Context, q *Query, words []string, mine []Listing, from *place) (Page, error) {
	query := store.Query{Kind: Kind, Index: indexShown, Partition: everybody, Backward: q.Ascending, Limit: q.Max + 1}
	if from != nil {
		query.After = store.Position{Sort: from.Title, ID: from.ID}
	}
	if len(words) > 0 || len(q.Filters) > 0 {
		query.Match = func(_, _ string, cover []byte) bool {
			var listing Listing
			if json.Unmarshal(cover, &listing) != nil {
				return false // souk doctor finds it
			}
			_, ok := listing.meets(q.Filters, words)
			return ok
		}
	}
	found, err := l.store.List(ctx, query)
	if err != nil {
		return Page{}, fmt.Errorf("listing what is public: %w", err)
	}
	all, err := read(found.Documents)
	if err != nil {
		return Page{}, err
	}
	order := func(a, b place) int {
		if q.Ascending {
			return b.compare(a)
		}
		return a.compare(b)
	}
	at := func(l *Listing) place { return place{Title: l.sort(), ID: l.Product} }
	// Where the walk of what is public was cut short, nothing beyond is told yet.
	var end *place
	if found.More {
		end = &place{Title: found.Next.Sort, ID: found.Next.ID}
	}
	start := from
	if start != nil {
		start = &place{Title: from.Title, ID: from.ID}
	}
	matching := 0
	for i := range mine {
		if _, ok := mine[i].meets(q.Filters, words); !ok {
			continue
		}
		matching++
		p := at(&mine[i])
		if (start == nil || order(p, *start) > 0) && (end == nil || order(p, *end) <= 0) {
			all = append(all, mine[i])
		}
	}
	slices.SortFunc(all, func(a, b Listing) int { return order(at(&a), at(&b)) })
	page := Page{}
	if from != nil {
		page.Total = from.Total
	} else {
		n, err := l.count(ctx, query.Match)
		if err != nil {
			return Page{}, err
		}
		page.Total = n + matching
	}
	next := end
	if len(all) > q.Max {
		all = all[:q.Max]
		p := at(&all[q.Max-1])
		next = &p
	}
	if next != nil {
		next.Walk, next.Total = true, page.Total
		page.Next = l.seal(q, *next)
	}
	page.Listings = all
	return page, nil
}

// count counts what is public and matches, up to mostFound.
func (l *Listings) count(ctx context.Context, match func(sort, id string, cover []byte) bool) (int, error) {
	page, err := l.store.List(ctx, store.Query{Kind: Kind, Index: indexShown, Partition: everybody, Match: match, Limit: l.most})
	if err != nil {
		return 0, fmt.Errorf("counting what is public: %w", err)
	}
	return len(page.Documents), nil
}

// meets says whether a listing has all words and values, and its rank among
// those that do: the lower, the more relevant.
func (l *Listing) meets(all []Filter, words []string) (rank int, ok bool) {
	for _, f := range all {
		has := l.values(f.Name)
		if !slices.ContainsFunc(f.Values, func(v string) bool { return slices.Contains(has, v) }) {
			return 0, false
		}
	}
	texts := l.texts()
	for i := range texts {
		texts[i] = strings.ToLower(texts[i])
	}
	for _, word := range words {
		at := slices.IndexFunc(texts, func(text string) bool { return strings.Contains(text, word) })
		if at < 0 {
			return 0, false
		}
		rank += 2 * at
		if at == 0 && !slices.Contains(strings.Fields(texts[0]), word) {
			rank++ // a part of a word of the title
		}
	}
	return rank, true
}

// purpose names page tokens among what is sealed.
const purpose = "discovery-page"

// bound is what a token belongs to: the account and all of the search but the
// page's size.
func (q *Query) bound() []byte {
	c := *q
	c.Max, c.Token = 0, ""
	b, _ := json.Marshal(c) // strings always marshal
	return b
}

func (l *Listings) seal(q *Query, p place) string {
	plain, _ := json.Marshal(p)
	return base64.StdEncoding.EncodeToString(l.keys.Seal(purpose, plain, q.bound()))
}

func (l *Listings) open(q *Query) (*place, error) {
	if q.Token == "" {
		return nil, nil
	}
	sealed, err := base64.StdEncoding.Strict().DecodeString(q.Token)
	if err != nil {
		return nil, ErrToken
	}
	plain, err := l.keys.Open(purpose, sealed, q.bound())
	if err != nil {
		return nil, ErrToken
	}
	p := &place{}
	if json.Unmarshal(plain, p) != nil {
		return nil, ErrToken
	}
	return p, nil
}

// Sees says whether an account sees a listing: what is Public, and what is
// Limited to its seller and those who are invited.
func (l *Listing) Sees(account string) bool {
	return account == l.Owner || l.Visibility == "Public" || l.Visibility == "Limited" && slices.Contains(l.Invited, account)
}

// Get returns the listing of a product, whoever sees it; ok is false if it has none.
func (l *Listings) Get(ctx context.Context, product string) (listing Listing, ok bool, err error) {
	d, err := l.store.Get(ctx, store.Key{Kind: Kind, ID: product})
	if errors.Is(err, store.ErrNotFound) {
		return Listing{}, false, nil
	}
	if err == nil {
		err = json.Unmarshal(d.Body, &listing)
	}
	if err != nil {
		return Listing{}, false, fmt.Errorf("reading the listing of %s: %w", product, err)
	}
	return listing, true, nil
}

// MadeFrom returns the ids of an account's products whose versions are made of
// an AMI.
func (l *Listings) MadeFrom(ctx context.Context, owner, ami string) ([]string, error) {
	return l.under(ctx, indexSource, ami, func(l Listing) bool { return l.Owner == owner })
}

// OfCode returns the id of the product that has a product code; none, if none has.
func (l *Listings) OfCode(ctx context.Context, code string) ([]string, error) {
	return l.under(ctx, indexCode, code, func(Listing) bool { return true })
}

func (l *Listings) under(ctx context.Context, index, partition string, keep func(Listing) bool) ([]string, error) {
	page, err := l.store.List(ctx, store.Query{Kind: Kind, Index: index, Partition: partition, Limit: mostFound})
	if err != nil {
		return nil, fmt.Errorf("looking for the products of %s: %w", partition, err)
	}
	found, err := read(page.Documents)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, listing := range found {
		if keep(listing) {
			ids = append(ids, listing.Product)
		}
	}
	return ids, nil
}

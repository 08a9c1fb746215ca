package build

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"souk/gateway/apierror"
	"souk/storage/store"
)

// Names of filters of DescribeBuilds. They are case-sensitive.
const (
	FilterID      = "build-id"
	FilterOption  = "fulfillment-option-id"
	FilterProduct = "product-id"
	FilterStatus  = "status"
)

// Bounds of a Query.
const (
	MostIDs     = 50  // "Maximum number of build identifiers in an call is 50."
	MostResults = 256 // of a page
	anyResults  = 100 // of a page where MaxResults says nothing
	mostToken   = 1024
	mostValues  = 200 // of a filter
)

// filterStatus spells the statuses as filters have them.
var filterStatus = map[string]Status{"in-progress": InProgress, "internal-error": InternalError, "failed": Failed, "succeeded": Succeeded}

// facts are what filters compare, by the name of the filter.
func (r *Build) facts() map[string][]string {
	f := map[string][]string{FilterID: {r.ID}}
	for name, s := range filterStatus {
		if s == r.Status {
			f[FilterStatus] = []string{name}
		}
	}
	for _, o := range r.Options {
		f[FilterOption] = append(f[FilterOption], o.ID)
		f[FilterProduct] = append(f[FilterProduct], o.Product)
	}
	return f
}

// Query says which builds List returns: those of the account and the region that
// meet all the rest, each filter by any of its values.
type Query struct {
	Account, Region string
	IDs             []string // nil: all
	Filters         []Filter
	MaxResults      *int
	NextToken       *string
}

// Filter is a filter of a Query.
type Filter struct {
	Name   string
	Values []string
}

// Page is what List returns. A page may be short, or empty, and have a token:
// where few builds meet the filters, they are looked for on the pages behind.
type Page struct {
	Builds    []*Build // the newest first, without the documents of components
	NextToken string   // "" on the last page
}

// List returns builds. Its errors are InvalidFilterException,
// InvalidMaxResultsException and InvalidNextTokenException.
func (b *Builds) List(ctx context.Context, q Query) (Page, error) {
	limit := anyResults
	if q.MaxResults != nil {
		if *q.MaxResults < 0 || *q.MaxResults > MostResults {
			return Page{}, apierror.New("InvalidMaxResultsException", "MaxResults is %d, and must be from 0 to %d.", *q.MaxResults, MostResults)
		}
		limit = cmp.Or(*q.MaxResults, anyResults)
	}
	if len(q.IDs) > MostIDs {
		return Page{}, apierror.New("InvalidMaxResultsException", "There are %d build identifiers, and may be %d at most.", len(q.IDs), MostIDs)
	}
	filters, err := q.filters()
	if err != nil {
		return Page{}, err
	}
	after, err := b.openToken(q, filters)
	if err != nil {
		return Page{}, err
	}
	if ids, ok := filters[FilterID]; ok {
		return b.named(ctx, q, ids, filters, after, limit)
	}
	walk := store.Query{
		Kind: Kind, Index: indexAll, Partition: place(q.Account, q.Region), Backward: true, After: after, Limit: limit,
		Match: func(_, _ string, cover []byte) bool { return meets(cover, filters) },
	}
	for _, name := range []string{FilterOption, FilterProduct, FilterStatus} {
		if values := filters[name]; len(values) == 1 && walk.Index == indexAll {
			walk.Index, walk.Partition = indexBy, walk.Partition+"/"+name+"="+values[0]
		}
	}
	if len(filters) == 0 {
		walk.Match = nil
	}
	found, err := b.config.Store.List(ctx, walk)
	if err != nil {
		return Page{}, fmt.Errorf("listing builds of %s: %w", q.Account, err)
	}
	var page Page
	for _, d := range found.Documents {
		d.Body = d.Summary
		r, err := decode(d)
		if err != nil {
			return Page{}, err
		}
		page.Builds = append(page.Builds, r)
	}
	if found.More {
		page.NextToken = b.sealToken(q, filters, found.Next)
	}
	return page, nil
}

// filters makes one set of values of each filter that is asked for, also of the
// build ids: what several filters of one name have in common.
func (q Query) filters() (map[string][]string, error) {
	all := map[string][]string{}
	add := func(name string, values []string) {
		values = slices.Compact(slices.Sorted(slices.Values(values)))
		if before, ok := all[name]; ok {
			values = slices.DeleteFunc(values, func(v string) bool { return !slices.Contains(before, v) })
		}
		all[name] = values
	}
	if q.IDs != nil {
		add(FilterID, q.IDs)
	}
	for _, f := range q.Filters {
		if !slices.Contains([]string{FilterID, FilterOption, FilterProduct, FilterStatus}, f.Name) {
			return nil, apierror.New("InvalidFilterException", "The filter '%s' does not exist: it is build-id, fulfillment-option-id, product-id or status.", f.Name)
		}
		if len(f.Values) == 0 || len(f.Values) > mostValues {
			return nil, apierror.New("InvalidFilterException", "The filter '%s' has %d values: it must have 1 to %d.", f.Name, len(f.Values), mostValues)
		}
		for _, v := range f.Values {
			if _, ok := filterStatus[v]; f.Name == FilterStatus && !ok {
				return nil, apierror.New("InvalidFilterException", "The filter 'status' has the value '%s': it is in-progress, internal-error, failed or succeeded.", v)
			}
		}
		add(f.Name, f.Values)
	}
	return all, nil
}

// meets says whether a build with a cover meets all filters.
func meets(cover []byte, filters map[string][]string) bool {
	var facts map[string][]string
	if json.Unmarshal(cover, &facts) != nil {
		return false
	}
	return meetsAll(facts, filters)
}

func meetsAll(facts, filters map[string][]string) bool {
	for name, values := range filters {
		if !slices.ContainsFunc(facts[name], func(v string) bool { return slices.Contains(values, v) }) {
			return false
		}
	}
	return true
}

// named lists builds of certain ids. What is no id of a build is passed over.
func (b *Builds) named(ctx context.Context, q Query, ids []string, filters map[string][]string, after store.Position, limit int) (Page, error) {
	var keys []store.Key
	for _, id := range ids {
		if formOfID.MatchString(id) {
			keys = append(keys, store.Key{Kind: Kind, ID: id})
		}
	}
	if len(keys) == 0 {
		return Page{}, nil
	}
	found, err := b.config.Store.GetAll(ctx, keys)
	if err != nil {
		return Page{}, fmt.Errorf("reading builds of %s: %w", q.Account, err)
	}
	var all []*Build
	for _, d := range found {
		r, err := decode(d)
		if err != nil {
			return Page{}, err
		}
		if r.Account == q.Account && r.Region == q.Region && meetsAll(r.facts(), filters) {
			for i := range r.Options {
				r.Options[i].Component = Component{}
			}
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(x, y *Build) int {
		return -cmp.Or(cmp.Compare(x.sort(), y.sort()), cmp.Compare(x.ID, y.ID))
	})
	if after != (store.Position{}) {
		all = slices.DeleteFunc(all, func(r *Build) bool {
			return cmp.Or(cmp.Compare(r.sort(), after.Sort), cmp.Compare(r.ID, after.ID)) >= 0
		})
	}
	page := Page{Builds: all}
	if len(all) > limit {
		page.Builds = all[:limit]
		last := all[limit-1]
		page.NextToken = b.sealToken(q, filters, store.Position{Sort: last.sort(), ID: last.ID})
	}
	return page, nil
}

// formOfID is that of a UUID. What has another can't even be asked for: a key of
// the store has no NUL.
var formOfID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// sort is the order of lists: the time of the start.
func (r *Build) sort() string { return fmt.Sprintf("%015d", r.Started.UnixMilli()) }

const tokenPurpose = "token of a list of builds"

// bound is what a page token is good for: the same question of the same account.
func bound(q Query, filters map[string][]string) []byte {
	h := sha256.New()
	put := func(s string) { fmt.Fprintf(h, "%d %s\n", len(s), s) }
	put(q.Account)
	put(q.Region)
	for _, name := range slices.Sorted(maps.Keys(filters)) {
		put(name)
		for _, v := range filters[name] {
			put(v)
		}
	}
	return h.Sum(nil)
}

func (b *Builds) sealToken(q Query, filters map[string][]string, at store.Position) string {
	return base64.RawURLEncoding.EncodeToString(b.config.Keys.Seal(tokenPurpose, []byte(at.Sort+"/"+at.ID), bound(q, filters)))
}

func (b *Builds) openToken(q Query, filters map[string][]string) (store.Position, error) {
	if q.NextToken == nil {
		return store.Position{}, nil
	}
	wrong := apierror.New("InvalidNextTokenException", "The NextToken is not valid, or was returned for another request.")
	if len(*q.NextToken) > mostToken {
		return store.Position{}, wrong
	}
	sealed, err := base64.RawURLEncoding.DecodeString(*q.NextToken)
	if err != nil {
		return store.Position{}, wrong
	}
	plain, err := b.config.Keys.Open(tokenPurpose, sealed, bound(q, filters))
	if err != nil {
		return store.Position{}, wrong
	}
	sort, id, _ := strings.Cut(string(plain), "/")
	return store.Position{Sort: sort, ID: id}, nil
}

// logTime is for how long the address of a log is good.
const logTime = 12 * time.Hour

// LogURLs are where the logs of a build can be read from now on for half a day;
// "" while there are none. They grow while the build runs.
func (b *Builds) LogURLs(r *Build) (stdout, stderr string, err error) {
	if !r.Begun {
		return "", "", nil
	}
	names := logsOf(r.ID)
	until := b.config.Now().Add(logTime)
	stdout, err = b.config.Logs.URL(KindLogs, names[0], until)
	if err != nil {
		return "", "", err
	}
	stderr, err = b.config.Logs.URL(KindLogs, names[1], until)
	return stdout, stderr, err
}

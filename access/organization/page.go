package organization

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"

	"souk/storage/store"
)

// Page asks for a part of a list of users, groups, roles or policies, which
// are in the order of their names in lower case.
type Page struct {
	PathPrefix string // only those below this path; "" and "/" are all
	After      string // List.Next of the page before; "" is the beginning
	Limit      int    // at most so many; 0 is 100, more than 1,000 is 1,000
}

// List is a part of a list.
type List[T any] struct {
	Items []T
	Next  string // Page.After of the page that follows; "" at the end
}

// limit is the number of items that a page may have.
func (p Page) limit() int {
	if p.Limit <= 0 {
		return 100
	}
	return min(p.Limit, 1000)
}

// list returns a page of an index partition. Positions are the Sort values,
// which tell the ids that have them: id makes one from the other. The cover of
// an entry is the path.
func list[T any](ctx context.Context, o *Organization, q store.Query, p Page, id func(sort string) string) (List[T], error) {
	out := List[T]{Items: []T{}}
	q.Limit = p.limit()
	if p.After != "" {
		q.After = store.Position{Sort: p.After, ID: id(p.After)}
	}
	if p.PathPrefix != "" && p.PathPrefix != "/" {
		q.Match = func(_, _ string, cover []byte) bool { return strings.HasPrefix(string(cover), p.PathPrefix) }
	}
	page, err := o.store.List(ctx, q)
	if err != nil {
		return out, fmt.Errorf("listing documents of kind %s: %w", q.Kind, err)
	}
	for _, d := range page.Documents {
		var t T
		if err := json.Unmarshal(d.Summary, &t); err != nil {
			return out, fmt.Errorf("reading the summary of %s %s: %w", q.Kind, d.ID, err)
		}
		out.Items = append(out.Items, t)
	}
	if page.More {
		out.Next = page.Next.Sort
	}
	return out, nil
}

// inAccount is the id of a document that an account has one of by name: names
// of one account differ by more than the case of their letters.
func inAccount(account, name string) string { return account + "/" + strings.ToLower(name) }

// byName lists what an account has of a kind.
func byAccount[T any](ctx context.Context, o *Organization, kind, account string, p Page) (List[T], error) {
	return list[T](ctx, o, store.Query{Kind: kind, Index: indexAccount, Partition: account}, p,
		func(sort string) string { return account + "/" + sort })
}

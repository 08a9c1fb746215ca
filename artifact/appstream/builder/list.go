package builder

import (
	"context"
	"fmt"
	"strings"
	"time"

	"souk/artifact/appstream/image"
	"souk/artifact/appstream/resource"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// Query says which builders Describe returns: those of the account in the region,
// or those of them that are named.
type Query struct {
	Account, Region string
	Names           []string
	MaxResults      *int // 0, or nil: mostResults
	NextToken       *string
}

// mostResults is the most that a page has. A larger MaxResults is no mistake.
const mostResults = 100

// showAnyway is how long Describe waits for a node to look at what an earlier run left.
const showAnyway = 5 * time.Second

// mostNames bounds what one request may name.
const mostNames = 100

// Page is what Describe returns.
type Page struct {
	Builders  []*Builder // by name, or in the order in which they are named
	NextToken string     // "" on the last page
}

// Describe returns builders. Its errors are ResourceNotFoundException for one that
// is named and not there, and ValidationException.
//
// AppStream API Reference, "DescribeImageBuilders".
func (b *Builders) Describe(ctx context.Context, q Query) (Page, error) {
	limit := mostResults
	if q.MaxResults != nil {
		if *q.MaxResults < 0 {
			return Page{}, apierror.New("ValidationException", "MaxResults is %d, and must be 0 or more.", *q.MaxResults)
		}
		if *q.MaxResults > 0 {
			limit = min(limit, *q.MaxResults)
		}
	}
	// What ran when an earlier run of this node ended is not shown as if it did still,
	// unless this one can't find out.
	patience, stop := context.WithTimeout(ctx, showAnyway)
	_ = b.ready(patience)
	stop()
	tokens := resource.Tokens{Keys: b.config.Keys, Purpose: "token of a list of image builders"}
	after, err := tokens.Open(q.NextToken, append([]string{q.Account, q.Region}, q.Names...)...)
	if err != nil {
		return Page{}, err
	}
	if len(q.Names) > 0 { // all are on one page, for which no token is good
		return b.describeNamed(ctx, q)
	}
	walk := store.Query{Kind: Kind, Index: indexAll, Partition: resource.Place(q.Account, q.Region), Limit: limit}
	if after != "" {
		walk.After = store.Position{Sort: after, ID: identity(q.Account, q.Region, after)}
	}
	found, err := b.config.Store.List(ctx, walk)
	if err != nil {
		return Page{}, fmt.Errorf("listing image builders of %s: %w", q.Account, err)
	}
	var page Page
	for _, d := range found.Documents {
		r, err := decode(d)
		if err != nil {
			return Page{}, err
		}
		page.Builders = append(page.Builders, r)
	}
	if found.More {
		page.NextToken = tokens.Seal(found.Next.Sort, q.Account, q.Region)
	}
	return page, nil
}

// describeNamed returns the builders that a query names.
func (b *Builders) describeNamed(ctx context.Context, q Query) (Page, error) {
	if len(q.Names) > mostNames {
		return Page{}, apierror.New("ValidationException", "There are %d names, and may be %d at most.", len(q.Names), mostNames)
	}
	var keys []store.Key
	var names []string
	seen := map[string]bool{}
	for _, name := range q.Names {
		if !resource.IsName(name) {
			return Page{}, notFound(name, q.Account)
		}
		if !seen[name] {
			keys, names = append(keys, keyOf(q.Account, q.Region, name)), append(names, name)
		}
		seen[name] = true
	}
	all, err := b.config.Store.GetAll(ctx, keys)
	if err != nil {
		return Page{}, fmt.Errorf("reading image builders of %s: %w", q.Account, err)
	}
	found := map[string]*Builder{}
	for _, d := range all {
		r, err := decode(d)
		if err != nil {
			return Page{}, err
		}
		found[r.Name] = r
	}
	var page Page
	for _, name := range names {
		if found[name] == nil {
			return Page{}, notFound(name, q.Account)
		}
		page.Builders = append(page.Builders, found[name])
	}
	return page, nil
}

// Latest says whether a builder's agent is the one that machines have now.
func (b *Builders) Latest(r *Builder) bool { return r.Agent == b.config.AgentVersion }

// InUse names a builder that is made from an image, by its ARN; "" if none is. Of
// several it is one of the image's own account.
func (b *Builders) InUse(ctx context.Context, i image.Image) (string, error) {
	walk := store.Query{Kind: Kind, Index: indexImage, Partition: i.ID, Limit: 1}
	own := walk
	own.After.ID = i.Account + "/" // ids begin with the account
	for _, q := range []store.Query{own, walk} {
		page, err := b.config.Store.List(ctx, q)
		if err != nil {
			return "", fmt.Errorf("looking for image builders of image %s: %w", i.Name, err)
		}
		if len(page.Documents) == 0 {
			continue
		}
		r, err := decode(page.Documents[0])
		if err != nil {
			return "", err
		}
		if q.After.ID == walk.After.ID || r.Account == i.Account {
			return r.ARN, nil
		}
	}
	return "", nil
}

// ofID reads the id of a builder's document.
func ofID(id string) (account, region, name string, err error) {
	parts := strings.Split(id, "/")
	if len(parts) != 3 {
		return "", "", "", fmt.Errorf("%q is no id of an image builder", id)
	}
	return parts[0], parts[1], parts[2], nil
}

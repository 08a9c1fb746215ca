package directory

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"souk/artifact/appstream/resource"
	"souk/storage/store"
)

// Query says which directory configurations List returns.
type Query struct {
	Account, Region string
	Names           []string // none: all
	MaxResults      *int     // of a page; 0 and nil leave it to the service
	NextToken       *string
}

// Page is what List returns.
type Page struct {
	Directories []Directory // in the order of Names, else by their names
	NextToken   string      // "" on the last page
}

const mostResults = 50 // of a page

func (d *Directories) tokens() resource.Tokens {
	return resource.Tokens{Keys: d.config.Keys, Purpose: "token of a list of directory configurations"}
}

// List returns directory configurations, without their passwords. Errors:
// ResourceNotFoundException for a name that there is not.
//
// AppStream API Reference, "DescribeDirectoryConfigs".
func (d *Directories) List(ctx context.Context, q Query) (Page, error) {
	most := mostResults
	if q.MaxResults != nil && *q.MaxResults < 0 {
		return Page{}, invalid("MaxResults is %d, and must not be below 0.", *q.MaxResults)
	}
	if q.MaxResults != nil && *q.MaxResults > 0 {
		most = min(most, *q.MaxResults)
	}
	question := append([]string{q.Account, q.Region}, q.Names...)
	at, err := d.tokens().Open(q.NextToken, question...)
	if err != nil {
		return Page{}, err
	}
	var page Page
	if len(q.Names) > 0 {
		page, at, err = d.named(ctx, q, at, most)
	} else {
		page, at, err = d.all(ctx, q, at, most)
	}
	if err != nil {
		return Page{}, err
	}
	if at != "" {
		page.NextToken = d.tokens().Seal(at, question...)
	}
	return page, nil
}

// named lists configurations by their names; the place is how many are before.
func (d *Directories) named(ctx context.Context, q Query, at string, most int) (Page, string, error) {
	skip, _ := strconv.Atoi(at) // it was sealed here
	names := q.Names[min(skip, len(q.Names)):]
	var page Page
	for i, name := range names {
		if i == most {
			return page, strconv.Itoa(skip + i), nil
		}
		s, _, err := d.get(ctx, q.Account, q.Region, name)
		if err != nil {
			return Page{}, "", err
		}
		page.Directories = append(page.Directories, s.Directory)
	}
	return page, "", nil
}

// all lists all configurations; the place is the position in the index.
func (d *Directories) all(ctx context.Context, q Query, at string, most int) (Page, string, error) {
	sort, id, _ := strings.Cut(at, "\n")
	found, err := d.config.Store.List(ctx, store.Query{
		Kind: Kind, Index: indexOwn, Partition: resource.Place(q.Account, q.Region), After: store.Position{Sort: sort, ID: id}, Limit: most,
	})
	if err != nil {
		return Page{}, "", fmt.Errorf("listing directory configurations of %s: %w", q.Account, err)
	}
	var page Page
	for _, one := range found.Documents {
		s, err := decode(one)
		if err != nil {
			return Page{}, "", err
		}
		page.Directories = append(page.Directories, s.Directory)
	}
	if !found.More {
		return page, "", nil
	}
	return page, found.Next.Sort + "\n" + found.Next.ID, nil
}

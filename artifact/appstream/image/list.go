package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"souk/artifact/appstream/resource"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// Query says which images List returns: of those that the account sees in a region.
type Query struct {
	Account, Region string
	Names           []string
	ARNs            []string
	Type            Visibility // "": all
	MaxResults      *int       // 0 to 25
	NextToken       *string
}

// Page is what List returns. A page may be short, or empty, and have a token.
type Page struct {
	Images    []Image
	NextToken string
}

const mostImages = 25 // of a page

func (r *Images) imageTokens() resource.Tokens {
	return resource.Tokens{Keys: r.config.Keys, Purpose: "token of a list of AppStream images"}
}

func (r *Images) permissionTokens() resource.Tokens {
	return resource.Tokens{Keys: r.config.Keys, Purpose: "token of a list of image permissions"}
}

func (r *Images) taskTokens() resource.Tokens {
	return resource.Tokens{Keys: r.config.Keys, Purpose: "token of a list of export tasks"}
}

// List returns images: those named, in the order in which they are named, or the
// account's own, those shared with it and the public ones, each by their names.
// Errors: InvalidParameterCombinationException, ResourceNotFoundException.
//
// AppStream API reference, "DescribeImages".
func (r *Images) List(ctx context.Context, q Query) (Page, error) {
	if len(q.Names) > 0 && len(q.ARNs) > 0 {
		return Page{}, apierror.New("InvalidParameterCombinationException", "Names and Arns can't be given together.")
	}
	most := mostImages
	if q.MaxResults != nil {
		most = min(most, cmp.Or(*q.MaxResults, most))
	}
	question := slices.Concat([]string{q.Account, q.Region, string(q.Type)}, q.Names, []string{"/"}, q.ARNs)
	at, err := r.imageTokens().Open(q.NextToken, question...)
	if err != nil {
		return Page{}, err
	}
	var page Page
	if len(q.Names)+len(q.ARNs) > 0 {
		page, at, err = r.named(ctx, q, at, most)
	} else {
		page, at, err = r.all(ctx, q, at, most)
	}
	if err == nil && at != "" {
		page.NextToken = r.imageTokens().Seal(at, question...)
	}
	return page, err
}

// named lists images by their names or ARNs. A name may be that of an image of the
// account's own and of a public one. The place in the list is how many are before.
func (r *Images) named(ctx context.Context, q Query, at string, most int) (Page, string, error) {
	skip, _ := strconv.Atoi(at)
	var page Page
	n := 0
	for _, name := range slices.Concat(q.Names, q.ARNs) {
		found, err := r.byName(ctx, q, name)
		if err != nil {
			return Page{}, "", err
		}
		for _, i := range found {
			n++
			if n <= skip {
				continue
			}
			if len(page.Images) == most {
				return page, strconv.Itoa(n - 1), nil
			}
			page.Images = append(page.Images, i)
		}
	}
	return page, "", nil
}

// byName returns the images of one name or ARN that have the type that is asked for.
func (r *Images) byName(ctx context.Context, q Query, name string) ([]Image, error) {
	asked := []string{name}
	if len(q.Names) > 0 { // names can be both: look under each
		own := resource.ARN{Region: q.Region, Account: q.Account, Type: resource.TypeImage, Name: name}
		public := own
		public.Account = ""
		asked = []string{own.String(), public.String()}
	}
	var found []Image
	for _, one := range asked {
		i, err := r.find(ctx, q.Account, q.Region, one)
		if apierror.Is(err, "ResourceNotFoundException") {
			continue
		}
		if err != nil {
			return nil, err
		}
		if q.Type == "" || q.Type == i.Visibility {
			found = append(found, i)
		}
	}
	if len(found) == 0 {
		return nil, notFound(name, q.Account)
	}
	return found, nil
}

// stages are the indexes that List walks, one behind the other.
var stages = []struct {
	is    Visibility
	index string
}{{Private, indexOwn}, {Shared, indexShared}, {Public, indexPublic}}

// all lists all that an account sees. The place in the list is the stage and the
// position in it.
func (r *Images) all(ctx context.Context, q Query, at string, most int) (Page, string, error) {
	parts := strings.SplitN(at, "\n", 3)
	first := 0
	var after store.Position
	if len(parts) == 3 {
		first, _ = strconv.Atoi(parts[0])
		after = store.Position{Sort: parts[1], ID: parts[2]}
	}
	var page Page
	for n := first; n < len(stages); n++ {
		if q.Type != "" && q.Type != stages[n].is {
			continue
		}
		partition := resource.Place(q.Account, q.Region)
		if stages[n].is == Public {
			partition = publicPlace
		}
		if most == len(page.Images) {
			return page, fmt.Sprintf("%d\n\n", n), nil
		}
		found, err := r.config.Store.List(ctx, store.Query{Kind: Kind, Index: stages[n].index, Partition: partition, After: after, Limit: most - len(page.Images)})
		if err != nil {
			return Page{}, "", fmt.Errorf("listing the images of %s: %w", q.Account, err)
		}
		after = store.Position{}
		for _, d := range found.Documents {
			i, err := decode(d, q.Account, q.Region)
			if err != nil {
				return Page{}, "", err
			}
			page.Images = append(page.Images, i)
		}
		if found.More {
			return page, fmt.Sprintf("%d\n%s\n%s", n, found.Next.Sort, found.Next.ID), nil
		}
	}
	return page, "", nil
}

// LatestAgent says whether an image has the agent that machines have now, and which
// one it has.
func (r *Images) LatestAgent(i Image) (version string, latest bool) {
	version = cmp.Or(i.AgentVersion, r.config.AgentVersion)
	return version, version == r.config.AgentVersion
}

// Count is how many images there are of each state, for metrics.
func (r *Images) Count(ctx context.Context) (map[State]int, error) {
	counts := map[State]int{}
	for _, s := range States() {
		counts[s] = 0
		for _, err := range store.All(ctx, r.config.Store, store.Query{Kind: Kind, Index: indexState, Partition: string(s), Limit: 1000}) {
			if err != nil {
				return nil, fmt.Errorf("counting images: %w", err)
			}
			counts[s]++
		}
	}
	return counts, nil
}

// missing says whether an error is that there is no such document.
func missing(err error) bool { return errors.Is(err, store.ErrNotFound) }

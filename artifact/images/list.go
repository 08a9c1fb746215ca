package images

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"souk/storage/store"
)

// Query says which AMIs List returns: those that Account may use and that meet
// all the rest.
//
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html
type Query struct {
	Account string // who asks
	// Owners keeps the images of account ids, "self", or the aliases "amazon",
	// "aws-marketplace" and "aws-backup-vault", which own none here.
	Owners []string
	// ExecutableUsers keeps the images that account ids or "self" have been
	// given by id, and for "all" the public ones.
	ExecutableUsers []string
	// IDs keeps these images. One that the account may not use is a *NotFound.
	IDs []string
	// Filters are by name (FilterNames). An image must meet each of them by any
	// of its values, in which * is any text and ? any character; a backslash
	// takes their meaning.
	Filters map[string][]string
	// MaxResults is the size of a page, 5 to 1,000; 0 is all in one page.
	MaxResults int
	NextToken  string // of the page before
}

// Page is what List returns.
type Page struct {
	Images    []AMI  // in the order of their ids
	NextToken string // "" on the last page
}

// filters says what each filter compares. All of them are of API_DescribeImages.
func filters(a AMI) map[string][]string {
	return map[string][]string{
		"architecture":        {a.Architecture},
		"creation-date":       {a.CreationDate()},
		"description":         {a.Description},
		"ena-support":         {strconv.FormatBool(a.EnaSupport)},
		"image-id":            {a.ID},
		"image-type":          {"machine"},
		"is-public":           {strconv.FormatBool(a.Public)},
		"name":                {a.Name},
		"owner-id":            {a.Owner},
		"platform-details":    {a.PlatformDetails()},
		"product-code":        a.ProductCodes,
		"root-device-type":    {a.RootDeviceType},
		"state":               {a.State},
		"virtualization-type": {a.VirtualizationType},
	}
}

// FilterNames returns the names that Query.Filters may have, sorted.
func FilterNames() []string {
	var names []string
	for name := range filters(AMI{}) {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Bounds of a Query (API_DescribeImages; 200 values of a filter is EC2's own limit).
const (
	minResults = 5
	maxResults = 1000
	maxValues  = 200
	listPage   = 200 // how many are read of the store at a time
)

var accountPattern = regexp.MustCompile(`^[0-9]{12}$`)

// List returns the AMIs that a query asks for. One that the account may not use
// (Config.MayUse) is left out; asked for by its id it is an error. Errors:
// *NotFound, *Denied, *Invalid.
func (m *Images) List(ctx context.Context, q Query) (Page, error) {
	matches, err := q.match()
	if err != nil {
		return Page{}, err
	}
	after := ""
	if q.NextToken != "" {
		b, err := base64.RawURLEncoding.DecodeString(q.NextToken)
		after = string(b)
		if err != nil || !idPattern.MatchString(after) {
			return Page{}, &Invalid{"NextToken", q.NextToken, "it is none that an earlier page has returned"}
		}
	}
	if len(q.IDs) > 0 {
		return m.listed(ctx, q, matches)
	}
	var page Page
	merged := merge{m.config.Store, [2]visible{{partition: q.Account}, {partition: everybody}}}
	for i := range merged.of {
		merged.of[i].after = store.Position{Sort: after, ID: after}
		merged.of[i].more = true
	}
	for {
		a, ok, err := merged.next(ctx)
		if err != nil {
			return Page{}, fmt.Errorf("listing AMIs of %s: %w", q.Account, err)
		}
		if !ok {
			return page, nil
		}
		if !matches(a) {
			continue
		}
		err = m.denied(ctx, q.Account, a)
		if errors.Is(err, ErrDenied) {
			continue
		}
		if err != nil {
			return Page{}, err
		}
		if q.MaxResults > 0 && len(page.Images) == q.MaxResults {
			last := page.Images[len(page.Images)-1].ID
			page.NextToken = base64.RawURLEncoding.EncodeToString([]byte(last))
			return page, nil
		}
		page.Images = append(page.Images, a)
	}
}

// listed is the list of a query that names its images.
func (m *Images) listed(ctx context.Context, q Query, matches func(AMI) bool) (Page, error) {
	var page Page
	ids := slices.Clone(q.IDs)
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		a, err := m.Find(ctx, q.Account, id)
		if err != nil {
			return Page{}, err
		}
		if matches(a) {
			page.Images = append(page.Images, a)
		}
	}
	return page, nil
}

// match checks a query and returns what its images have in common.
func (q Query) match() (func(AMI) bool, error) {
	if q.MaxResults != 0 && (q.MaxResults < minResults || q.MaxResults > maxResults) {
		return nil, &Invalid{"MaxResults", strconv.Itoa(q.MaxResults), fmt.Sprintf("it is %d to %d", minResults, maxResults)}
	}
	if q.MaxResults != 0 && len(q.IDs) > 0 {
		return nil, &Invalid{"MaxResults", strconv.Itoa(q.MaxResults), "it does not go with image ids"}
	}
	for _, o := range q.Owners {
		if !accountPattern.MatchString(o) && !slices.Contains([]string{"self", "amazon", "aws-marketplace", "aws-backup-vault"}, o) {
			return nil, &Invalid{"Owners", o, "it is an account id, self, amazon, aws-marketplace or aws-backup-vault"}
		}
	}
	for _, u := range q.ExecutableUsers {
		if !accountPattern.MatchString(u) && u != "self" && u != "all" {
			return nil, &Invalid{"ExecutableUsers", u, "it is an account id, self or all"}
		}
	}
	known := filters(AMI{})
	patterns := map[string][]*regexp.Regexp{}
	for name, values := range q.Filters {
		if _, ok := known[name]; !ok {
			return nil, &Invalid{"Filters", name, "no filter of that name"}
		}
		if len(values) == 0 || len(values) > maxValues {
			return nil, &Invalid{"Filters", name, fmt.Sprintf("a filter has 1 to %d values", maxValues)}
		}
		for _, v := range values {
			patterns[name] = append(patterns[name], wildcard(v))
		}
	}
	return func(a AMI) bool {
		return q.owned(a) && q.executable(a) && meets(a, patterns)
	}, nil
}

func (q Query) owned(a AMI) bool {
	return len(q.Owners) == 0 || slices.ContainsFunc(q.Owners, func(o string) bool {
		return o == a.Owner || o == "self" && a.Owner == q.Account
	})
}

func (q Query) executable(a AMI) bool {
	return len(q.ExecutableUsers) == 0 || slices.ContainsFunc(q.ExecutableUsers, func(u string) bool {
		switch u {
		case "all":
			return a.Public
		case "self":
			u = q.Account
		}
		return slices.Contains(a.SharedWith, u)
	})
}

func meets(a AMI, patterns map[string][]*regexp.Regexp) bool {
	if len(patterns) == 0 {
		return true
	}
	has := filters(a)
	for name, any := range patterns {
		if !slices.ContainsFunc(has[name], func(value string) bool {
			return slices.ContainsFunc(any, func(p *regexp.Regexp) bool { return p.MatchString(value) })
		}) {
			return false
		}
	}
	return true
}

// wildcard compiles a filter's value. Letters count as they are written.
func wildcard(value string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	escaped := false
	for _, c := range value {
		switch {
		case escaped:
			b.WriteString(regexp.QuoteMeta(string(c)))
			escaped = false
		case c == '\\':
			escaped = true
		case c == '*':
			b.WriteString(`.*`)
		case c == '?':
			b.WriteString(`.`)
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	if escaped {
		b.WriteString(`\\`)
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String()) // all of it is quoted
}

// visible walks one partition of the index, in the order of ids.
type visible struct {
	partition string
	read      []AMI
	after     store.Position
	more      bool
}

// peek returns the next one without going on; ok is false at the end.
func (v *visible) peek(ctx context.Context, s store.Store) (a AMI, ok bool, err error) {
	for len(v.read) == 0 && v.more {
		p, err := s.List(ctx, store.Query{Kind: KindAMI, Index: index, Partition: v.partition, After: v.after, Limit: listPage})
		if err != nil {
			return AMI{}, false, err
		}
		for _, d := range p.Documents {
			var a AMI
			err = json.Unmarshal(d.Summary, &a)
			if err != nil {
				return AMI{}, false, fmt.Errorf("reading the summary of %s: %w", d.ID, err)
			}
			v.read = append(v.read, a)
		}
		v.after, v.more = p.Next, p.More
	}
	if len(v.read) == 0 {
		return AMI{}, false, nil
	}
	return v.read[0], true, nil
}

// merge walks what an account has and what everybody has as one list.
type merge struct {
	store store.Store
	of    [2]visible
}

func (m *merge) next(ctx context.Context) (AMI, bool, error) {
	var heads [2]AMI
	var there [2]bool
	for i := range m.of {
		var err error
		heads[i], there[i], err = m.of[i].peek(ctx, m.store)
		if err != nil {
			return AMI{}, false, err
		}
	}
	order := 0
	switch {
	case !there[0] && !there[1]:
		return AMI{}, false, nil
	case !there[1]:
		order = -1
	case !there[0]:
		order = 1
	default:
		order = cmp.Compare(heads[0].ID, heads[1].ID)
	}
	a := heads[1]
	if order <= 0 {
		a = heads[0]
		m.of[0].read = m.of[0].read[1:]
	}
	if order >= 0 {
		m.of[1].read = m.of[1].read[1:]
	}
	return a, true, nil
}

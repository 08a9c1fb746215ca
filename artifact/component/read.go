package component

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"souk/storage/store"
)

// read reads a build by its whole ARN.
func (m *Components) read(ctx context.Context, arn string) (Component, int64, error) {
	d, err := m.config.Store.Get(ctx, store.Key{Kind: KindComponent, ID: arn})
	if errors.Is(err, store.ErrNotFound) {
		return Component{}, 0, fmt.Errorf("%w: %s", ErrNotFound, arn)
	}
	var c Component
	if err == nil {
		err = json.Unmarshal(d.Body, &c)
	}
	if err != nil {
		return Component{}, 0, fmt.Errorf("reading component %s: %w", arn, err)
	}
	return c, d.Revision, nil
}

// version reads a version by its ARN.
func (m *Components) version(ctx context.Context, arn string) (versionOf, int64, error) {
	d, err := m.config.Store.Get(ctx, store.Key{Kind: KindVersion, ID: arn})
	if errors.Is(err, store.ErrNotFound) {
		return versionOf{}, 0, fmt.Errorf("%w: %s", ErrNotFound, arn)
	}
	var v versionOf
	if err == nil {
		err = json.Unmarshal(d.Body, &v)
	}
	if err != nil {
		return versionOf{}, 0, fmt.Errorf("reading component version %s: %w", arn, err)
	}
	return v, d.Revision, nil
}

// Get returns a component of an account: the build that an ARN names, the newest
// build of a version, or that of the newest version where the ARN has an x.
// ErrNotFound, also for those of other accounts.
//
// EC2 Image Builder API Reference, "GetComponent".
func (m *Components) Get(ctx context.Context, account string, arn ARN) (Component, error) {
	if arn.Account != account {
		return Component{}, fmt.Errorf("%w: %s", ErrNotFound, arn)
	}
	if arn.Build > 0 {
		c, _, err := m.read(ctx, arn.String())
		return c, err
	}
	if arn.open() {
		newest, err := m.newest(ctx, arn)
		if err != nil {
			return Component{}, err
		}
		arn.Version = newest
	}
	v, _, err := m.version(ctx, arn.version())
	if err != nil {
		return Component{}, err
	}
	arn.Build = v.Builds[len(v.Builds)-1].Build
	c, _, err := m.read(ctx, arn.String())
	return c, err
}

// newest finds the newest version that an ARN with x means.
func (m *Components) newest(ctx context.Context, arn ARN) (version string, err error) {
	q := store.Query{
		Kind: KindVersion, Index: indexAccount, Partition: partition(arn.Account, arn.Region), Backward: true, Limit: 100,
		From: arn.Name + "/", To: arn.Name + "0", // '0' follows '/'
	}
	for {
		page, err := m.config.Store.List(ctx, q)
		if err != nil {
			return "", fmt.Errorf("looking for %s: %w", arn, err)
		}
		for _, d := range page.Documents {
			found, _ := ParseARN(d.ID)
			n, err := parseVersion(found.Version)
			if err == nil && n.fits(arn.Version) {
				return found.Version, nil
			}
		}
		if !page.More {
			return "", fmt.Errorf("%w: %s", ErrNotFound, arn)
		}
		q.After = page.Next
	}
}

// Query says which versions List returns.
type Query struct {
	Account string
	Region  string
	Matches func(Summary) bool // nil: all
	Asked   string             // what Matches was made of; tokens are good for the same
	Max     int                // at least 1
	Token   string             // of the page before
}

// List returns versions of the components of an account, in the order of names
// and versions, and the token of the next page, "" on the last. ErrBadToken.
//
// EC2 Image Builder API Reference, "ListComponents".
func (m *Components) List(ctx context.Context, q Query) (found []Summary, next string, err error) {
	walk := store.Query{Kind: KindVersion, Index: indexAccount, Partition: partition(q.Account, q.Region), Limit: 100}
	if q.Token != "" {
		at, err := m.unseal(q.Token, q.Account, q.Region, q.Asked)
		if err != nil {
			return nil, "", err
		}
		walk.After.Sort, walk.After.ID, _ = strings.Cut(at, " ")
	}
	for {
		page, err := m.config.Store.List(ctx, walk)
		if err != nil {
			return nil, "", fmt.Errorf("listing components of %s: %w", q.Account, err)
		}
		for _, d := range page.Documents {
			var s Summary
			err := json.Unmarshal(d.Summary, &s)
			if err != nil {
				return nil, "", fmt.Errorf("reading component version %s: %w", d.ID, err)
			}
			if q.Matches != nil && !q.Matches(s) {
				continue
			}
			if len(found) == q.Max {
				last := found[len(found)-1]
				n, _ := parseVersion(last.Version) // it was checked when it was made
				return found, m.seal(sort(Slug(last.Name), n)+" "+last.ARN, q.Account, q.Region, q.Asked), nil
			}
			found = append(found, s)
		}
		if !page.More {
			return found, "", nil
		}
		walk.After = page.Next
	}
}

// seal makes a page token: where a list goes on, good for the list that it is
// bound to.
func (m *Components) seal(at string, list ...string) string {
	return base64.RawURLEncoding.EncodeToString(m.config.Keys.Seal(tokenPurpose, []byte(at), bound(list)))
}

// unseal opens a page token. ErrBadToken.
func (m *Components) unseal(token string, list ...string) (at string, err error) {
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", ErrBadToken
	}
	plain, err := m.config.Keys.Open(tokenPurpose, sealed, bound(list))
	if err != nil {
		return "", ErrBadToken
	}
	return string(plain), nil
}

const tokenPurpose = "token of a list of components"

func bound(list []string) []byte { return []byte(sum(list)) }

// Builds returns the builds of a version of an account, the oldest first. ErrNotFound.
//
// EC2 Image Builder API Reference, "ListComponentBuildVersions".
func (m *Components) Builds(ctx context.Context, account string, arn ARN) ([]Component, error) {
	if arn.Account != account || arn.open() {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, arn)
	}
	v, _, err := m.version(ctx, arn.version())
	if err != nil {
		return nil, err
	}
	keys := make([]store.Key, len(v.Builds))
	for i, b := range v.Builds {
		arn.Build = b.Build
		keys[i] = store.Key{Kind: KindComponent, ID: arn.String()}
	}
	documents, err := m.config.Store.GetAll(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("reading the builds of %s: %w", arn.version(), err)
	}
	var all []Component
	for _, d := range documents {
		var c Component
		err := json.Unmarshal(d.Body, &c)
		if err != nil {
			return nil, fmt.Errorf("reading component %s: %w", d.ID, err)
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Component) int { return a.Build - b.Build })
	return all, nil
}

// BuildsPage is a page of Builds, of at most most builds behind the page that a
// token ends, and the token of the next page, "" on the last. ErrNotFound, ErrBadToken.
func (m *Components) BuildsPage(ctx context.Context, account string, arn ARN, most int, token string) (page []Component, next string, err error) {
	all, err := m.Builds(ctx, account, arn)
	if err != nil {
		return nil, "", err
	}
	after := 0
	if token != "" {
		at, err := m.unseal(token, arn.version())
		if err != nil {
			return nil, "", err
		}
		after, err = strconv.Atoi(at)
		if err != nil {
			return nil, "", ErrBadToken
		}
	}
	all = slices.DeleteFunc(all, func(c Component) bool { return c.Build <= after })
	if len(all) <= most {
		return all, "", nil
	}
	return all[:most], m.seal(strconv.Itoa(all[most-1].Build), arn.version()), nil
}

// Delete removes a build of a component of an account. Products keep what they
// have published of it. ErrNotFound, ErrInUse.
//
// EC2 Image Builder API Reference, "DeleteComponent".
func (m *Components) Delete(ctx context.Context, account string, arn ARN) error {
	if arn.Account != account || arn.Build == 0 {
		return fmt.Errorf("%w: %s", ErrNotFound, arn)
	}
	for range attempts {
		err := m.remove(ctx, arn)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("deleting component %s: its version was changed all the time", arn)
}

func (m *Components) remove(ctx context.Context, arn ARN) error {
	c, revision, err := m.read(ctx, arn.String())
	if err != nil {
		return err
	}
	if m.config.InUse != nil {
		by, err := m.config.InUse(ctx, c)
		if err != nil {
			return fmt.Errorf("looking for what names component %s: %w", arn, err)
		}
		if by != "" {
			return fmt.Errorf("%w: %s", ErrInUse, by)
		}
	}
	v, versionRevision, err := m.version(ctx, arn.version())
	if err != nil {
		return err
	}
	b := store.Batch{Delete: []store.Removal{{Key: store.Key{Kind: KindComponent, ID: c.ARN}, Was: revision}}}
	if c.Token != "" {
		b.Delete = append(b.Delete, store.Removal{Key: tokenKey(c.Account, c.Region, c.Token), Was: store.Any})
	}
	if !c.Files.None() {
		b.Delete = append(b.Delete, store.Removal{Key: c.tagKey(), Was: store.Any})
	}
	v.Builds = slices.DeleteFunc(v.Builds, func(b build) bool { return b.Build == c.Build })
	if len(v.Builds) == 0 {
		b.Delete = append(b.Delete, store.Removal{Key: store.Key{Kind: KindVersion, ID: arn.version()}, Was: versionRevision})
	} else {
		d, err := m.shown(ctx, arn, v)
		if err != nil {
			return err
		}
		b.Put = append(b.Put, store.Write{Document: d, Was: versionRevision})
	}
	err = m.config.Store.Commit(ctx, b)
	if err != nil {
		return err
	}
	if c.Files.None() {
		return nil
	}
	// The tag without its document is gc's, if this fails.
	err = m.config.Registry.Untag(ctx, c.Files.Repository, c.tag())
	if err != nil {
		m.config.Log.Error("components: a tag of files stays until gc removes it", "component", c.ARN, "error", err)
	}
	return nil
}

// shown is the document of a version whose newest build may be another now.
func (m *Components) shown(ctx context.Context, arn ARN, v versionOf) (store.Document, error) {
	arn.Build = v.Builds[len(v.Builds)-1].Build
	newest, _, err := m.read(ctx, arn.String())
	if err != nil {
		return store.Document{}, err
	}
	n, err := parseVersion(newest.Version)
	if err != nil {
		return store.Document{}, err
	}
	v.Latest = newest.summary()
	return v.document(newest.Region, n)
}

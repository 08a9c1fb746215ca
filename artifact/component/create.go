package component

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"souk/artifact/registry"
	"souk/storage/store"
)

// New is a component that is to be made.
type NewComponent struct {
	Account           string
	Region            string
	Name              string
	Version           string // 1.0.0
	SupportedOS       []string
	Description       string
	ChangeDescription string
	Document          string
	Tags              map[string]string // FilesTag names the files
	Token             string            // client token, unique in the account and region
	DryRun            bool              // everything is checked and nothing is made
}

// versionOf is the document of a version: its builds, and what lists show of it.
type versionOf struct {
	Builds []build
	Latest Summary // of the newest build
}

// build is one build of a version.
type build struct {
	Build   int
	Content string // hash of what makes a build another one
}

// Summary is what lists show of a component.
type Summary struct {
	ARN         string // of the version
	Account     string
	Name        string
	Version     string
	Description string `json:",omitempty"`
	Platform    string
	SupportedOS []string `json:",omitempty"`
	Type        string
	Created     string
}

// usedToken is the document of a client token.
type usedToken struct {
	Request string // hash of what was asked for
	ARN     string
}

// attempts is how often a write is tried that another one came before.
const attempts = 10

// Create makes a component, or a further build of one. The same token with the
// same request returns what it made. With DryRun the component is as it would be
// and is not kept. Errors: ErrVersion, ErrBadDocument, ErrBadFiles, ErrToken,
// *Exists, ErrLimit.
//
// EC2 Image Builder API Reference, "CreateComponent".
func (m *Components) Create(ctx context.Context, n NewComponent) (Component, error) {
	version, err := parseVersion(n.Version)
	if err != nil {
		return Component{}, err
	}
	asked := n.hash()
	made, ok, err := m.madeBy(ctx, n, asked)
	if ok || err != nil {
		return made, err
	}
	document, err := m.config.Parse(n.Document)
	if err != nil {
		return Component{}, fmt.Errorf("%w: %w", ErrBadDocument, err)
	}
	files, err := m.resolve(ctx, n.Account, n.Tags[FilesTag])
	if err != nil {
		return Component{}, err
	}
	c := Component{
		Account: n.Account, Region: n.Region, Name: n.Name, Version: n.Version, Platform: Linux, SupportedOS: n.SupportedOS, Type: Build,
		Description: n.Description, ChangeDescription: n.ChangeDescription, Document: n.Document, Tags: n.Tags, Token: n.Token,
		Phases: document.Phases, Parameters: document.Parameters, Files: files, Created: m.config.Now().UTC(),
	}
	if slices.Equal(document.Phases, []string{"test"}) {
		c.Type = Test
	}
	for range attempts {
		made, err := m.write(ctx, c, version, asked, n.DryRun)
		if errors.Is(err, errDry) {
			return made, nil
		}
		conflict := errors.Is(err, store.ErrConflict)
		if !conflict && !errors.Is(err, ErrExists) {
			return made, err
		}
		// Another build, or the same request, came before this one.
		same, ok, wrong := m.madeBy(ctx, n, asked)
		if ok || wrong != nil {
			return same, wrong
		}
		if !conflict {
			return made, err
		}
	}
	return Component{}, fmt.Errorf("making component %s %s: others made builds of it all the time", c.Name, c.Version)
}

// hash tells requests apart.
func (n NewComponent) hash() string {
	n.Token = ""
	return sum(n)
}

func sum(v any) string {
	b, err := json.Marshal(v) // of maps, with sorted keys
	if err != nil {
		panic("component: " + err.Error()) // strings alone
	}
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// content tells builds of a version apart.
func (c Component) content() string {
	return sum([]any{c.Document, c.Platform, c.SupportedOS, c.Description, c.ChangeDescription, c.Files, c.Tags})
}

// madeBy returns what a token has made.
func (m *Components) madeBy(ctx context.Context, n NewComponent, asked string) (Component, bool, error) {
	if n.Token == "" {
		return Component{}, false, nil
	}
	d, err := m.config.Store.Get(ctx, tokenKey(n.Account, n.Region, n.Token))
	if errors.Is(err, store.ErrNotFound) {
		return Component{}, false, nil
	}
	var used usedToken
	if err == nil {
		err = json.Unmarshal(d.Body, &used)
	}
	if err != nil {
		return Component{}, false, fmt.Errorf("reading client token %s of %s: %w", n.Token, n.Account, err)
	}
	if used.Request != asked {
		return Component{}, false, ErrToken
	}
	c, _, err := m.read(ctx, used.ARN)
	return c, err == nil, err
}

// write writes the next build of a version.
func (m *Components) write(ctx context.Context, c Component, version number, asked string, dry bool) (Component, error) {
	arn := ARN{Region: c.Region, Account: c.Account, Name: Slug(c.Name), Version: c.Version}
	all, revision, err := m.version(ctx, arn.version())
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Component{}, err
	}
	content := c.content()
	arn.Build = 1
	for _, b := range all.Builds {
		if b.Content == content {
			arn.Build = b.Build
			return Component{}, &Exists{arn.String()}
		}
		arn.Build = max(arn.Build, b.Build+1)
	}
	if len(all.Builds) >= m.config.Limits.Builds {
		return Component{}, fmt.Errorf("%w: at most %d builds of a version", ErrLimit, m.config.Limits.Builds)
	}
	c.ARN, c.Build = arn.String(), arn.Build
	all.Builds = append(all.Builds, build{c.Build, content})
	all.Latest = c.summary()
	if dry {
		return c, errDry
	}
	b := store.Batch{Bounds: []store.Bound{{Kind: KindVersion, Index: indexAccount, Partition: partition(c.Account, c.Region), Most: m.config.Limits.Versions}}}
	v, err := all.document(c.Region, version)
	if err != nil {
		return Component{}, err
	}
	body, err := json.Marshal(c)
	if err != nil {
		return Component{}, fmt.Errorf("writing component %s: %w", c.ARN, err)
	}
	b.Put = append(b.Put, store.Write{Document: v, Was: revision}, store.Write{Document: store.Document{Key: store.Key{Kind: KindComponent, ID: c.ARN}, Body: body}})
	if c.Token != "" {
		used, err := json.Marshal(usedToken{asked, c.ARN})
		if err != nil {
			return Component{}, fmt.Errorf("writing component %s: %w", c.ARN, err)
		}
		b.Put = append(b.Put, store.Write{Document: store.Document{Key: tokenKey(c.Account, c.Region, c.Token), Body: used}})
	}
	if !c.Files.None() {
		// The tag holds the files in the registry, and nobody pushes under it. It is
		// written first: a crash leaves a tag without a record, which gc removes.
		tag, err := json.Marshal(registry.Tag{Digest: c.Files.Digest})
		if err != nil {
			return Component{}, fmt.Errorf("writing component %s: %w", c.ARN, err)
		}
		err = m.config.Registry.Tag(ctx, c.Files.Repository, c.tag(), c.Files.Digest)
		if err != nil {
			return Component{}, fmt.Errorf("keeping the files of component %s: %w", c.ARN, err)
		}
		b.Put = append(b.Put, store.Write{Document: store.Document{Key: c.tagKey(), Body: tag}})
	}
	err = m.config.Store.Commit(ctx, b)
	if errors.Is(err, store.ErrLimit) {
		err = fmt.Errorf("%w: at most %d versions of components in a region", ErrLimit, m.config.Limits.Versions)
	}
	if err != nil {
		return Component{}, err
	}
	return c, nil
}

// summary is what lists show of the component's version.
func (c Component) summary() Summary {
	arn, _ := ParseARN(c.ARN)
	return Summary{
		ARN: arn.version(), Account: c.Account, Name: c.Name, Version: c.Version, Description: c.Description,
		Platform: c.Platform, SupportedOS: c.SupportedOS, Type: c.Type, Created: c.CreatedText(),
	}
}

// CreatedText is Created as the service shows it: 2026-03-01T12:00:00.000Z.
func (c Component) CreatedText() string { return c.Created.UTC().Format("2006-01-02T15:04:05.000Z") }

// document is the version as the store keeps it.
func (v versionOf) document(region string, n number) (store.Document, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return store.Document{}, fmt.Errorf("writing %s: %w", v.Latest.ARN, err)
	}
	summary, err := json.Marshal(v.Latest)
	if err != nil {
		return store.Document{}, fmt.Errorf("writing %s: %w", v.Latest.ARN, err)
	}
	return store.Document{
		Key: store.Key{Kind: KindVersion, ID: v.Latest.ARN}, Body: body, Summary: summary,
		Index: []store.Entry{{Index: indexAccount, Partition: partition(v.Latest.Account, region), Sort: sort(Slug(v.Latest.Name), n)}},
	}, nil
}

// tagPrefix begins the tags that hold files in the registry.
const tagPrefix = "component-"

// tag is the tag that holds the files of the component. One that is made under
// the same ARN later has another.
func (c Component) tag() string {
	s := sha256.Sum256([]byte(c.ARN + c.Created.Format(time.RFC3339Nano)))
	return tagPrefix + hex.EncodeToString(s[:16])
}

func (c Component) tagKey() store.Key {
	return store.Key{Kind: registry.KindTag, ID: c.Files.Repository + ":" + c.tag()}
}

// Lost says whether a tag is that of a component that has no record; gc removes
// those that have been there for long.
func (m *Components) Lost(ctx context.Context, repository, tag string) (bool, error) {
	if !strings.HasPrefix(tag, tagPrefix) || len(tag) != len(tagPrefix)+32 {
		return false, nil
	}
	_, err := m.config.Store.Get(ctx, store.Key{Kind: registry.KindTag, ID: repository + ":" + tag})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, fmt.Errorf("looking for tag %s of %s: %w", tag, repository, err)
	}
	return err != nil, nil
}

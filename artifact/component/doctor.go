package component

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"souk/storage/store"
	"souk/storage/store/audit"
)

// Doctor says what is wrong with the records of the components: each build is
// one of its version's, and has its token and the tag of its files; each version
// has all its builds and stands in its lists; each token has what it made. It may
// run while components are made and deleted: what is found wrong is looked at again.
func (m *Components) Doctor(ctx context.Context) ([]string, error) {
	wrong, err := audit.Documents(ctx, m.config.Store, map[string]audit.Look{
		KindComponent: m.wrongBuild, KindVersion: m.wrongVersion, KindToken: m.wrongToken,
	})
	if err != nil {
		return nil, fmt.Errorf("verifying components: %w", err)
	}
	walker, err := audit.Walker(m.config.Store)
	if err != nil {
		return nil, fmt.Errorf("verifying components: %w", err)
	}
	should := func(store.Document) ([]byte, []store.Entry, error) { return nil, nil, nil }
	lists, err := audit.Lists(ctx, walker, map[string]audit.Should{KindVersion: shouldVersion, KindComponent: should, KindToken: should})
	if err != nil {
		return nil, fmt.Errorf("verifying components: %w", err)
	}
	var findings []string
	for _, w := range append(wrong, lists...) {
		findings = append(findings, w.String())
	}
	slices.Sort(findings)
	return findings, nil
}

// shouldVersion is what a version's document should have in lists.
func shouldVersion(d store.Document) ([]byte, []store.Entry, error) {
	var v versionOf
	err := json.Unmarshal(d.Body, &v)
	if err != nil {
		return nil, nil, err
	}
	n, err := parseVersion(v.Latest.Version)
	if err != nil {
		return nil, nil, err
	}
	arn, _ := ParseARN(d.ID)
	want, err := v.document(arn.Region, n)
	return want.Summary, want.Index, err
}

func (m *Components) wrongBuild(ctx context.Context, d store.Document) (string, error) {
	var c Component
	err := json.Unmarshal(d.Body, &c)
	arn, ok := ParseARN(d.ID)
	if err != nil || !ok || c.ARN != d.ID || c.Account != arn.Account || c.Region != arn.Region || c.Build != arn.Build {
		return "it can't be read, or is not what its id says", nil
	}
	v, _, err := m.version(ctx, arn.version())
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", err
	}
	if !slices.ContainsFunc(v.Builds, func(b build) bool { return b.Build == c.Build }) {
		return "its version does not have it", nil
	}
	if c.Token != "" {
		there, err := m.has(ctx, tokenKey(c.Account, c.Region, c.Token))
		if err != nil || !there {
			return "it lacks its client token", err
		}
	}
	if c.Files.None() {
		return "", nil
	}
	there, err := m.has(ctx, c.tagKey())
	if err != nil || !there {
		return "the tag of its files can be pushed again", err
	}
	digest, err := m.config.Registry.Current(ctx, c.Files.Repository, c.tag())
	if err != nil {
		return "", err
	}
	if digest != c.Files.Digest {
		return "the tag of its files names " + digest + ", not " + c.Files.Digest, nil
	}
	return "", nil
}

func (m *Components) wrongVersion(ctx context.Context, d store.Document) (string, error) {
	var v versionOf
	err := json.Unmarshal(d.Body, &v)
	arn, ok := ParseARN(d.ID)
	if err != nil || !ok || v.Latest.ARN != d.ID || len(v.Builds) == 0 {
		return "it can't be read, or has no builds", nil
	}
	for _, b := range v.Builds {
		arn.Build = b.Build
		there, err := m.has(ctx, store.Key{Kind: KindComponent, ID: arn.String()})
		if err != nil || !there {
			return fmt.Sprintf("build %d has no record", b.Build), err
		}
	}
	return "", nil
}

func (m *Components) wrongToken(ctx context.Context, d store.Document) (string, error) {
	var used usedToken
	err := json.Unmarshal(d.Body, &used)
	if err != nil {
		return "it can't be read: " + err.Error(), nil
	}
	there, err := m.has(ctx, store.Key{Kind: KindComponent, ID: used.ARN})
	if err != nil || !there {
		return "what it made is not there", err
	}
	return "", nil
}

func (m *Components) has(ctx context.Context, key store.Key) (bool, error) {
	_, err := m.config.Store.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

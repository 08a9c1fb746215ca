package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"souk/artifact/registry"
	"souk/catalog/change"
	"souk/storage/store"
	"souk/storage/store/audit"
)

// Doctor says what is wrong with the records of the machine images: each has its
// name and its tag, each name its record, and an image that the registry has is
// whole; and that no tag of an AMI has lost its record and holds an image for
// nobody (souk gc removes those). An image that the registry hasn't got is no fault: its owner may delete it,
// and published versions have a copy of their own. It may run while AMIs are
// registered and deregistered: what is found wrong is looked at again.
func (m *Images) Doctor(ctx context.Context) ([]string, error) {
	wrong, err := audit.Documents(ctx, m.config.Store, map[string]audit.Look{
		KindAMI: m.wrongAMI, KindName: m.wrongName, registry.KindRepository: m.wrongRepository,
	})
	if err != nil {
		return nil, fmt.Errorf("verifying the machine images: %w", err)
	}
	var findings []string
	for _, w := range wrong {
		findings = append(findings, w.String())
	}
	slices.Sort(findings)
	return findings, nil
}

// wrongAMI says what is wrong with a record, "" if nothing is.
func (m *Images) wrongAMI(ctx context.Context, d store.Document) (string, error) {
	var a AMI
	err := json.Unmarshal(d.Body, &a)
	if err != nil {
		return "it can't be read: " + err.Error(), nil
	}
	if a.ID != d.ID || a.Owner == "" || a.Repository == "" || a.Digest == "" {
		return "it lacks its id, owner or image", nil
	}
	name, err := m.config.Store.Get(ctx, nameKey(a.Owner, a.Name))
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && string(name.Body) != a.ID:
		return fmt.Sprintf("the name %q is not its own", a.Name), nil
	case err != nil:
		return "", err
	}
	tag := store.Key{Kind: registry.KindTag, ID: a.Repository + ":" + a.ID}
	_, err = m.config.Store.Get(ctx, tag)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Sprintf("its tag %s can be pushed again", tag.ID), nil
	}
	if err != nil {
		return "", err
	}
	switch {
	case a.State == StatePending && d.Due.IsZero():
		return "it is pending and nobody will read it", nil
	case a.State != StatePending && !d.Due.IsZero():
		return "it is work, and is not pending but " + a.State, nil
	case a.State != StateAvailable:
		return "", nil // whether its image is whole is not known, or known
	}
	_, _, err = m.config.Registry.Manifest(ctx, a.Repository, a.Digest)
	if errors.Is(err, change.ErrImageNotFound) {
		return "", nil // its owner has deleted it
	}
	if err == nil {
		err = m.Whole(ctx, a.Content().Place)
	}
	if errors.Is(err, ErrNoImage) || errors.Is(err, ErrBadImage) {
		return fmt.Sprintf("its image %s@%s is not whole: %v", a.Repository, a.Digest, err), nil
	}
	return "", err
}

// wrongName says what is wrong with a name, "" if nothing is.
func (m *Images) wrongName(ctx context.Context, d store.Document) (string, error) {
	if h := parseHeld(d.Body); h.holder != (store.Key{}) {
		_, err := m.config.Store.Get(ctx, h.holder)
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Sprintf("it is held for %s %s, which is not there", h.holder.Kind, h.holder.ID), nil
		}
		return "", err
	}
	a, _, err := m.read(ctx, string(d.Body))
	if errors.Is(err, ErrNotFound) {
		return fmt.Sprintf("there is no AMI %q", d.Body), nil
	}
	if err != nil {
		return "", err
	}
	owner, name, _ := strings.Cut(d.ID, "/")
	if a.Owner != owner || a.Name != name {
		return fmt.Sprintf("%s has the name %q and is of account %s", a.ID, a.Name, a.Owner), nil
	}
	return "", nil
}

// wrongRepository says which tags of a repository of machine images hold an image
// that is no AMI's, "" if none does.
func (m *Images) wrongRepository(ctx context.Context, d store.Document) (string, error) {
	if _, name, _ := strings.Cut(d.ID, "/"); name != repositoryName {
		return "", nil
	}
	lost, err := m.StrayTags(ctx, d.ID, m.Lost)
	if err != nil || len(lost) == 0 {
		return "", err
	}
	return fmt.Sprintf("images are held by tags that no AMI has: %s (souk gc removes them)", strings.Join(lost, ", ")), nil
}

// Lost says whether a tag is that of an AMI that has no record: the tag is written
// first, and a crash between the two leaves it. One that was written just now may
// be on its way.
func (m *Images) Lost(ctx context.Context, repository, tag string) (bool, error) {
	if !idPattern.MatchString(tag) {
		return false, nil
	}
	for _, key := range []store.Key{{Kind: KindAMI, ID: tag}, {Kind: registry.KindTag, ID: repository + ":" + tag}} {
		_, err := m.config.Store.Get(ctx, key)
		if err == nil {
			return false, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return false, fmt.Errorf("looking for %s %s: %w", key.Kind, key.ID, err)
		}
	}
	return true, nil
}

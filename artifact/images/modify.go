package images

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"souk/artifact/registry"
	"souk/storage/store"
)

// Modification is what Modify changes; what is not set stays.
//
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyImageAttribute.html
type Modification struct {
	Account string // who asks; only the owner may
	ID      string

	Description *string
	Public      *bool    // launch permission of the group all
	Share       []string // account ids that get the launch permission
	Unshare     []string // and that lose it
}

// Modify changes an AMI's launch permissions or description. Errors: *NotFound,
// ErrNotOwner, ErrUnavailable, *Invalid.
func (m *Images) Modify(ctx context.Context, c Modification) (AMI, error) {
	for {
		a, revision, err := m.own(ctx, c.Account, c.ID)
		if err != nil {
			return AMI{}, err
		}
		if a.State != StateAvailable {
			return AMI{}, fmt.Errorf("%s: %w: it is %s", c.ID, ErrUnavailable, a.State)
		}
		err = c.apply(&a)
		if err != nil {
			return AMI{}, err
		}
		d, err := a.document()
		if err != nil {
			return AMI{}, err
		}
		err = m.config.Store.Commit(ctx, store.Batch{Put: []store.Write{{Document: d, Was: revision}}})
		if errors.Is(err, store.ErrConflict) {
			continue // decide anew on what another has written
		}
		if err != nil {
			return AMI{}, fmt.Errorf("changing %s: %w", c.ID, err)
		}
		return a, nil
	}
}

func (c Modification) apply(a *AMI) error {
	for _, id := range slices.Concat(c.Share, c.Unshare) {
		if !accountPattern.MatchString(id) {
			return &Invalid{"Account", id, "an account id has 12 digits"}
		}
	}
	if c.Description != nil {
		if err := checkDescription(*c.Description); err != nil {
			return err
		}
		a.Description = *c.Description
	}
	if c.Public != nil {
		a.Public = *c.Public
	}
	shared := slices.DeleteFunc(slices.Clone(a.SharedWith), func(id string) bool { return slices.Contains(c.Unshare, id) })
	for _, id := range c.Share {
		if id != a.Owner { // who may use it anyway
			shared = append(shared, id)
		}
	}
	slices.Sort(shared)
	a.SharedWith = slices.Compact(shared)
	if len(a.SharedWith) > MaxShared {
		return &Invalid{"Share", a.ID, fmt.Sprintf("an AMI is shared with %d accounts at most", MaxShared)}
	}
	return nil
}

// Deregister removes an AMI's record and the tag that held its image. Errors:
// *NotFound, ErrNotOwner, ErrInUse.
//
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeregisterImage.html
func (m *Images) Deregister(ctx context.Context, account, id string) error {
	a, revision, err := m.own(ctx, account, id)
	if err != nil {
		return err
	}
	if m.config.InUse != nil {
		by, err := m.config.InUse(ctx, id)
		if err != nil {
			return fmt.Errorf("asking what uses %s: %w", id, err)
		}
		if by != "" {
			return fmt.Errorf("%s: %w by %s", id, ErrInUse, by)
		}
	}
	err = m.config.Store.Commit(ctx, store.Batch{Delete: []store.Removal{
		{Key: store.Key{Kind: KindAMI, ID: id}, Was: revision},
		{Key: nameKey(a.Owner, a.Name), Was: store.Any},
		{Key: store.Key{Kind: registry.KindTag, ID: a.Repository + ":" + a.ID}, Was: store.Any},
	}})
	if errors.Is(err, store.ErrConflict) {
		return m.Deregister(ctx, account, id)
	}
	if err != nil {
		return fmt.Errorf("deregistering %s: %w", id, err)
	}
	err = m.config.Registry.Untag(ctx, a.Repository, a.ID)
	if err != nil {
		return fmt.Errorf("deregistering %s: %w", id, err)
	}
	return nil
}

func nameKey(account, name string) store.Key {
	return store.Key{Kind: KindName, ID: account + "/" + name}
}

// Lent returns the digests of the images in a repository of AMIs that an account
// which does not own it may read: those of AMIs that it may use.
func (m *Images) Lent(ctx context.Context, account, repository string) (digests []string, err error) {
	if _, name, _ := strings.Cut(repository, "/"); name != repositoryName {
		return nil, nil
	}
	owner, err := m.config.Registry.Owner(ctx, repository)
	if err != nil {
		return nil, err
	}
	all := visible{partition: owner, more: true}
	for {
		a, ok, err := all.peek(ctx, m.config.Store)
		if err != nil {
			return nil, fmt.Errorf("listing AMIs of %s: %w", owner, err)
		}
		if !ok {
			return digests, nil
		}
		all.read = all.read[1:]
		if a.Repository == repository && a.State == StateAvailable && a.MayUse(account) {
			digests = append(digests, a.Digest)
		}
	}
}

// Lends says why an account may not have an image that Lent returned: of all
// AMIs of that digest that it sees there is none that it may use. "" if it may.
func (m *Images) Lends(ctx context.Context, account, repository, digest string) (why string, err error) {
	if m.config.MayUse == nil {
		return "", nil
	}
	owner, err := m.config.Registry.Owner(ctx, repository)
	if err != nil {
		return "", err
	}
	for all := (visible{partition: owner, more: true}); ; all.read = all.read[1:] {
		a, ok, err := all.peek(ctx, m.config.Store)
		if err != nil || !ok {
			return why, err
		}
		if a.Repository != repository || a.Digest != digest || !a.MayUse(account) {
			continue
		}
		err = m.denied(ctx, account, a)
		var no *Denied
		if !errors.As(err, &no) {
			return "", err
		}
		why = no.Error()
	}
}

package organization

import (
	"context"
	"fmt"

	"souk/access/iam"
	"souk/storage/store"
)

// sources are the documents that a principal was made from, with the revisions
// that they had. While they are the same, so is the principal.
type sources []source

type source struct {
	key      store.Key
	revision int64
}

// unchanged says whether all documents are still those of the sources.
func (o *Organization) unchanged(ctx context.Context, s sources) (bool, error) {
	keys := make([]store.Key, len(s))
	for i, one := range s {
		keys[i] = one.key
	}
	found, err := o.store.GetAll(ctx, keys)
	if err != nil {
		return false, err
	}
	now := make(map[store.Key]int64, len(found))
	for _, d := range found {
		now[d.Key] = d.Revision
	}
	for _, one := range s {
		if now[one.key] != one.revision {
			return false, nil
		}
	}
	return true, nil
}

// read reads a document, and counts it among the sources.
func (o *Organization) read(ctx context.Context, key store.Key, body any, from *sources) error {
	revision, err := o.get(ctx, key, body)
	if err == nil {
		*from = append(*from, source{key, revision})
	}
	return err
}

// rootPrincipal is the root user of an account.
func (o *Organization) rootPrincipal(ctx context.Context, account string, from *sources) (*iam.Principal, error) {
	a, err := o.opened(ctx, account, from)
	if err != nil {
		return nil, err
	}
	p := &iam.Principal{Account: a.ID, ARN: a.RootARN(), ID: a.ID, Root: true}
	return p, o.join(ctx, p)
}

// userPrincipal is a user, with the policies of its own and of its groups.
func (o *Organization) userPrincipal(ctx context.Context, account, name string, from *sources) (*iam.Principal, error) {
	if _, err := o.opened(ctx, account, from); err != nil {
		return nil, err
	}
	var u userDocument
	if err := o.read(ctx, userKey(account, name), &u, from); err != nil {
		return nil, err
	}
	p := &iam.Principal{Account: u.Account, ARN: u.shown().ARN(), ID: u.ID, Name: u.Name, Tags: tagsByKey(u.Tags)}
	if err := o.give(ctx, p, u.Account, &u.grants, from); err != nil {
		return nil, err
	}
	for _, group := range u.Groups {
		var g groupDocument
		if err := o.read(ctx, groupKey(account, group), &g, from); err != nil {
			return nil, err
		}
		if err := o.give(ctx, p, u.Account, &g.grants, from); err != nil {
			return nil, err
		}
	}
	return p, o.join(ctx, p)
}

// give adds the policies of a holder to a principal. A policy that is not there
// is an error, never left out: it may be one that denies.
func (o *Organization) give(ctx context.Context, p *iam.Principal, account string, g *grants, from *sources) error {
	add := func(name, text string) error {
		parsed, err := iam.ParsePolicy([]byte(text))
		if err != nil {
			return fmt.Errorf("reading policy %s of %s: %w", name, p.ARN, err)
		}
		p.Policies = append(p.Policies, parsed)
		return nil
	}
	for _, policy := range g.Policies {
		if err := add(policy.Name, policy.Document); err != nil {
			return err
		}
	}
	for _, arn := range g.Attached {
		m := o.aws[arn]
		if m == nil {
			key, ok := managedKeyOf(account, arn)
			if !ok {
				return fmt.Errorf("%s has the policy %s: %w", p.ARN, arn, errDamaged)
			}
			m = &managedDocument{}
			if err := o.read(ctx, key, m, from); err != nil {
				return err
			}
		}
		if err := add(arn, m.document()); err != nil {
			return err
		}
	}
	return nil
}

package organization

import (
	"context"
	"errors"

	"souk/access/iam"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// group finds what is wrong with a group: with its policies.
func (v *verification) group(ctx context.Context, d store.Document) error {
	var g groupDocument
	if err := decode(d, &g); err != nil || groupKey(g.Account, g.Name) != d.Key {
		v.unreadable("group", d, err)
		return nil
	}
	return v.holds(ctx, Holder{OfGroup, g.Account, g.Name}, &g.grants)
}

// role finds what is wrong with a role: with its policies and whom it trusts.
func (v *verification) role(ctx context.Context, d store.Document) error {
	var r roleDocument
	if err := decode(d, &r); err != nil || roleKey(r.Account, r.Name) != d.Key {
		v.unreadable("role", d, err)
		return nil
	}
	if _, err := iam.ParseTrustPolicy([]byte(r.Trust)); err != nil {
		v.find("the trust policy of role %s: %v", d.ID, err)
	}
	return v.holds(ctx, Holder{OfRole, r.Account, r.Name}, &r.grants)
}

// managed finds what is wrong with a managed policy: with its versions.
func (v *verification) managed(_ context.Context, d store.Document) error {
	var m managedDocument
	if err := decode(d, &m); err != nil || managedKey(m.Account, m.Name) != d.Key {
		v.unreadable("policy", d, err)
		return nil
	}
	if _, ok := m.version(m.Default); !ok {
		v.find("policy %s has no version %s, which is its default", d.ID, m.Default)
	}
	for _, version := range m.Versions {
		if _, err := iam.ParsePolicy([]byte(version.Document)); err != nil {
			v.find("version %s of policy %s: %v", version.ID, d.ID, err)
		}
	}
	return nil
}

// holds finds policies of a holder that are not there or can't be read. What
// is missing is looked for again in the holder as it is now.
func (v *verification) holds(ctx context.Context, h Holder, g *grants) error {
	err := v.o.give(ctx, &iam.Principal{ARN: h.Kind.String() + " " + h.Name}, h.Account, g, &sources{})
	if errors.Is(err, store.ErrNotFound) {
		now, readErr := v.o.grants(ctx, h)
		if apierror.Is(readErr, "NoSuchEntity") || errors.Is(readErr, errDamaged) {
			return nil
		}
		if readErr != nil {
			return readErr
		}
		err = v.o.give(ctx, &iam.Principal{}, h.Account, &now, &sources{})
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		v.find("%s %s of account %s has a policy that is missing", h.Kind, h.Name, h.Account)
	case err != nil:
		v.find("%s %s of account %s: %v", h.Kind, h.Name, h.Account, err)
	}
	return nil
}

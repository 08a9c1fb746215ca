package organization

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"souk/gateway/apierror"
	"souk/storage/store"
)

// Verify looks at every document of this room and returns what is wrong, a
// sentence for each, for souk doctor. No finding means that every account has
// its namespace and every namespace its account, owners and access keys know each
// other, and all policies parse. Whether secrets open is keyring.Rotation's to say.
func (o *Organization) Verify(ctx context.Context) (findings []string, err error) {
	v := &verification{o: o, owned: map[string]string{}}
	info, err := o.Info(ctx)
	if err != nil {
		if errors.Is(err, ErrNone) {
			return []string{err.Error()}, nil
		}
		return nil, err
	}
	if err := o.fits(info); err != nil {
		return []string{err.Error()}, nil
	}
	for _, look := range []struct {
		kind string
		at   func(context.Context, store.Document) error
	}{
		{kindUnit, v.unit}, {kindAccount, v.account}, {kindNamespace, v.namespace}, {kindUser, v.user}, {kindAccessKey, v.key},
		{kindGroup, v.group}, {kindRole, v.role}, {kindManaged, v.managed},
	} {
		err := o.each(ctx, look.kind, indexAll, "", func(d store.Document) error {
			whole, err := o.store.Get(ctx, d.Key)
			if errors.Is(err, store.ErrNotFound) {
				return nil // deleted since it was listed
			}
			if err != nil {
				return fmt.Errorf("reading %s %s: %w", d.Kind, d.ID, err)
			}
			return look.at(ctx, whole)
		})
		if err != nil {
			return nil, err
		}
	}
	if !slices.Contains(v.accounts, info.Management) {
		v.find("the management account %s of organisation %s is missing", info.Management, info.ID)
	}
	for id, owner := range v.owned {
		if err := v.missing(ctx, id, owner); err != nil {
			return nil, err
		}
	}
	slices.Sort(v.findings)
	return v.findings, nil
}

// verification is one run of Verify.
type verification struct {
	o        *Organization
	findings []string
	accounts []string
	owned    map[string]string // key id to its owner, as the owners say; less those that were found
}

func (v *verification) find(format string, args ...any) {
	v.findings = append(v.findings, fmt.Sprintf(format, args...))
}

// unreadable finds a document that can't be decoded, or is not what its id says.
func (v *verification) unreadable(what string, d store.Document, err error) {
	if err != nil {
		v.find("%s %s can't be read (%v)", what, d.ID, err)
		return
	}
	v.find("%s %s can't be read (its document is of something else, or empty)", what, d.ID)
}

func (v *verification) account(ctx context.Context, d store.Document) error {
	var a accountDocument
	if err := decode(d, &a); err != nil || a.ID != d.ID {
		v.unreadable("account", d, err)
		return nil
	}
	v.accounts = append(v.accounts, a.ID)
	if err := v.inUnit(ctx, "account", a.ID, a.Parent); err != nil {
		return err
	}
	for _, id := range a.RootKeys {
		v.owned[id] = ownerName(a.ID, "")
	}
	owner, ok, err := v.o.NamespaceOwner(ctx, a.Namespace)
	if err != nil {
		return err
	}
	if !ok || owner != a.ID {
		v.find("namespace %s of account %s belongs to %q", a.Namespace, a.ID, owner)
	}
	return nil
}

func (v *verification) namespace(ctx context.Context, d store.Document) error {
	var n namespaceDocument
	if err := decode(d, &n); err != nil {
		v.unreadable("namespace", d, err)
		return nil
	}
	var a accountDocument
	_, err := v.o.get(ctx, accountKey(n.Account), &a)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err != nil || a.Namespace != d.ID {
		v.find("namespace %s is kept for account %q, which has %q", d.ID, n.Account, a.Namespace)
	}
	return nil
}

func (v *verification) user(ctx context.Context, d store.Document) error {
	var u userDocument
	if err := decode(d, &u); err != nil || userKey(u.Account, u.Name) != d.Key {
		v.unreadable("user", d, err)
		return nil
	}
	if !slices.Contains(v.accounts, u.Account) {
		v.find("user %s is of an account that is missing", d.ID)
	}
	if _, err := v.o.userPrincipal(ctx, u.Account, u.Name, &sources{}); err != nil && !errors.Is(err, store.ErrNotFound) {
		v.find("user %s: %v", d.ID, err)
	}
	for _, id := range u.Keys {
		v.owned[id] = ownerName(u.Account, u.Name)
	}
	return nil
}

func (v *verification) key(ctx context.Context, d store.Document) error {
	var k keyDocument
	if err := decode(d, &k); err != nil || k.ID != d.ID {
		v.unreadable("access key", d, err)
		return nil
	}
	owner := ownerName(k.Account, k.User)
	if v.owned[k.ID] != owner {
		knows, err := v.knows(ctx, k.Account, k.User, k.ID)
		if err != nil {
			return err
		}
		if !knows {
			v.find("access key %s is of %s, which does not know it", k.ID, owner)
		}
	}
	delete(v.owned, k.ID)
	return nil
}

func ownerName(account, user string) string { return account + "/" + user }

// knows says whether an owner lists a key now: it may have been made since the
// owner was looked at.
func (v *verification) knows(ctx context.Context, account, user, id string) (bool, error) {
	knows := false
	_, err := v.o.changeOwner(ctx, account, user, func(name string, keys *[]string) error {
		knows = name == user && slices.Contains(*keys, id)
		return nil
	})
	if apierror.Is(err, "NoSuchEntity") || errors.Is(err, errDamaged) { // the latter is a finding of its own
		err = nil
	}
	return knows, err
}

// missing finds a key that its owner lists and that was not met, unless it was
// deleted meanwhile, or made behind the place where the list was.
func (v *verification) missing(ctx context.Context, id, owner string) error {
	_, err := v.o.store.Get(ctx, keyKey(id))
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	account, user, _ := strings.Cut(owner, "/")
	knows, err := v.knows(ctx, account, user, id)
	if err == nil && knows {
		v.find("access key %s of %s is missing", id, owner)
	}
	return err
}

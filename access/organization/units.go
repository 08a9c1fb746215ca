package organization

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"souk/gateway/apierror"
	"souk/storage/store"
)

// Unit is an organisational unit: accounts and further units below the root.
// Units are not moved, so what is above one never changes.
type Unit struct {
	ID      string // ou-, four characters of the root's id, - and eight more
	Name    string
	Parent  string   // the unit or root that it is in
	Above   []string // ids from the root to Parent
	Created time.Time
}

// The quotas of units: AWS Organizations User Guide, "Quotas and service
// limits": "OU nesting depth" and "Number of OUs in an organization".
const (
	maxUnitDepth = 5
	maxUnits     = 2000
)

// Root is the id of the organisation's one root. It is made of the
// organisation's, so that no document is needed that could be missing.
func (i Info) Root() string { return "r-" + i.ID[len("o-"):][:4] }

// The ARNs of what an organisation has. Service Authorization Reference,
// "Resource types defined by AWS Organizations".
func (i Info) arn(kind, id string) string {
	return "arn:aws:organizations::" + i.Management + ":" + kind + "/" + id
}

// ARN is the organisation's ARN.
func (i Info) ARN() string { return i.arn("organization", i.ID) }

// RootARN is the ARN of the organisation's root.
func (i Info) RootARN() string { return i.arn("root", i.ID+"/"+i.Root()) }

// AccountARN is the ARN of an account as a part of the organisation.
func (i Info) AccountARN(account string) string { return i.arn("account", i.ID+"/"+account) }

// UnitARN is the ARN of a unit.
func (i Info) UnitARN(unit string) string { return i.arn("ou", i.ID+"/"+unit) }

func unitKey(id string) store.Key { return store.Key{Kind: kindUnit, ID: id} }

func (u *Unit) write(was int64) store.Write {
	return store.Write{Was: was, Document: document(unitKey(u.ID), u, u,
		store.Entry{Index: indexAll, Sort: u.ID},
		store.Entry{Index: indexParent, Partition: u.Parent, Sort: u.ID},
		store.Entry{Index: indexName, Partition: u.siblings()})}
}

// siblings is the partition that has at most one unit: those of one parent differ in name.
func (u *Unit) siblings() string { return u.Parent + "/" + u.Name }

// sole bounds the units of one name.
func (u *Unit) sole() store.Bound {
	return store.Bound{Kind: kindUnit, Index: indexName, Partition: u.siblings(), Most: 1}
}

// Unit returns an organisational unit, or OrganizationalUnitNotFoundException.
func (o *Organization) Unit(ctx context.Context, id string) (Unit, error) {
	u, _, err := o.unit(ctx, id)
	return u, err
}

func (o *Organization) unit(ctx context.Context, id string) (Unit, int64, error) {
	var u Unit
	revision, err := o.get(ctx, unitKey(id), &u)
	if errors.Is(err, store.ErrNotFound) {
		return u, 0, apierror.New("OrganizationalUnitNotFoundException", "You specified an organizational unit that doesn't exist.")
	}
	if err != nil {
		return u, 0, fmt.Errorf("reading organisational unit %s: %w", id, err)
	}
	return u, revision, nil
}

// parent is a place of accounts and units: what is above those that are in it,
// and what a batch that puts something there relies on.
type parent struct {
	above  []string
	expect []store.Expectation
}

// parent reads the root or a unit. missing is the error if there is none.
func (o *Organization) parent(ctx context.Context, id string, missing error) (parent, error) {
	info, err := o.Info(ctx)
	if err != nil {
		return parent{}, err
	}
	if id == info.Root() {
		return parent{above: []string{id}}, nil
	}
	u, revision, err := o.unit(ctx, id)
	if apierror.Is(err, "OrganizationalUnitNotFoundException") {
		return parent{}, missing
	}
	if err != nil {
		return parent{}, err
	}
	return parent{
		above:  append(slices.Clip(u.Above), id),
		expect: []store.Expectation{{Key: unitKey(id), Revision: revision}},
	}, nil
}

// errNoParent refuses a parent that is not there.
var errNoParent = apierror.New("ParentNotFoundException", "You specified a parent that doesn't exist.")

// CreateUnit makes a unit in the root or in another unit.
func (o *Organization) CreateUnit(ctx context.Context, in, name string, tags map[string]string) (Unit, error) {
	var u Unit
	if err := checkUnitTags(tags); err != nil {
		return u, err
	}
	err := retry(func() error {
		p, err := o.parent(ctx, in, errNoParent)
		if err != nil {
			return err
		}
		if len(p.above) > maxUnitDepth {
			return violates("OU_DEPTH_LIMIT_EXCEEDED", "You have exceeded the maximum allowed depth of %d levels of organizational units.", maxUnitDepth)
		}
		u = Unit{
			ID:   "ou-" + strings.TrimPrefix(p.above[0], "r-") + "-" + o.random(lowerAlphabet, 8),
			Name: name, Parent: in, Above: p.above, Created: o.now().UTC().Truncate(time.Millisecond),
		}
		err = o.store.Commit(ctx, store.Batch{
			Put: append(writeTags(u.ID, tags), u.write(0)), Expect: p.expect,
			Bounds: []store.Bound{u.sole(), {Kind: kindUnit, Index: indexAll, Most: maxUnits}},
		})
		if errors.Is(err, store.ErrLimit) {
			return o.tooMany(ctx, u)
		}
		if err != nil {
			return fmt.Errorf("making an organisational unit in %s: %w", in, err)
		}
		return nil
	})
	return u, err
}

// tooMany says which bound a unit would have passed.
func (o *Organization) tooMany(ctx context.Context, u Unit) error {
	same, err := o.store.List(ctx, store.Query{Kind: kindUnit, Index: indexName, Partition: u.siblings(), Limit: 1})
	if err != nil {
		return fmt.Errorf("looking for organisational units of the same name: %w", err)
	}
	if len(same.Documents) > 0 {
		return apierror.New("DuplicateOrganizationalUnitException", "An OU with the same name already exists.")
	}
	return violates("OU_NUMBER_LIMIT_EXCEEDED", "You have exceeded the allowed number of organizational units: %d.", maxUnits)
}

func violates(reason, format string, args ...any) error {
	e := apierror.New("ConstraintViolationException", format, args...)
	e.Fields = map[string]any{"Reason": reason}
	return e
}

// RenameUnit gives a unit another name. The name that it has is no change.
func (o *Organization) RenameUnit(ctx context.Context, id, name string) (Unit, error) {
	var u Unit
	err := retry(func() error {
		var (
			revision int64
			err      error
		)
		u, revision, err = o.unit(ctx, id)
		if err != nil || u.Name == name {
			return err
		}
		u.Name = name
		err = o.store.Commit(ctx, store.Batch{Put: []store.Write{u.write(revision)}, Bounds: []store.Bound{u.sole()}})
		if errors.Is(err, store.ErrLimit) {
			return o.tooMany(ctx, u)
		}
		if err != nil {
			return fmt.Errorf("renaming organisational unit %s: %w", id, err)
		}
		return nil
	})
	return u, err
}

// DeleteUnit deletes a unit without accounts and units.
func (o *Organization) DeleteUnit(ctx context.Context, id string) error {
	return retry(func() error {
		_, revision, err := o.unit(ctx, id)
		if err != nil {
			return err
		}
		err = o.store.Commit(ctx, store.Batch{
			Delete: []store.Removal{{Key: unitKey(id), Was: revision}, {Key: tagsKey(id), Was: store.Any}},
			Bounds: []store.Bound{
				{Kind: kindUnit, Index: indexParent, Partition: id},
				{Kind: kindAccount, Index: indexParent, Partition: id},
			},
		})
		if errors.Is(err, store.ErrLimit) {
			return apierror.New("OrganizationalUnitNotEmptyException", "You can't delete an organizational unit that has accounts or other OUs in it.")
		}
		if err != nil {
			return fmt.Errorf("deleting organisational unit %s: %w", id, err)
		}
		return nil
	})
}

// MoveAccount moves an account from one parent, where it must be, to another.
func (o *Organization) MoveAccount(ctx context.Context, account, from, to string) error {
	return retry(func() error {
		info, err := o.Info(ctx)
		if err != nil {
			return err
		}
		a, revision, err := o.account(ctx, account)
		if apierror.Is(err, "NoSuchEntity") || apierror.Is(err, "ValidationError") {
			return noAccount()
		}
		if err != nil {
			return err
		}
		noSource := apierror.New("SourceParentNotFoundException", "You specified a source parent that doesn't exist, or that the account is not in.")
		if _, err := o.parent(ctx, from, noSource); err != nil {
			return err
		}
		p, err := o.parent(ctx, to, apierror.New("DestinationParentNotFoundException", "You specified a destination parent that doesn't exist."))
		if err != nil {
			return err
		}
		at := a.Parent
		if at == "" {
			at = info.Root()
		}
		switch {
		case at == to:
			return apierror.New("DuplicateAccountException", "The account is already present in the specified destination.")
		case at != from:
			return noSource
		}
		a.Parent = to
		if to == info.Root() {
			a.Parent = ""
		}
		err = o.store.Commit(ctx, store.Batch{Put: []store.Write{a.write(revision)}, Expect: p.expect})
		if err != nil {
			return fmt.Errorf("moving account %s to %s: %w", account, to, err)
		}
		return nil
	})
}

// Path returns the ids of all that an account is in, the nearest first: the
// account itself, its units, the root, the organisation.
func (o *Organization) Path(ctx context.Context, account string) ([]string, error) {
	info, err := o.Info(ctx)
	if err != nil {
		return nil, err
	}
	a, err := o.Account(ctx, account)
	if err != nil {
		return nil, err
	}
	path := []string{account}
	if a.Parent == "" {
		return append(path, info.Root(), info.ID), nil
	}
	u, err := o.Unit(ctx, a.Parent)
	if err != nil {
		return nil, fmt.Errorf("finding where account %s is: %w", account, err)
	}
	path = append(path, u.ID)
	for _, id := range slices.Backward(u.Above) {
		path = append(path, id)
	}
	return append(path, info.ID), nil
}

// Contains says whether an id is that of an account, a unit, the root or the
// organisation itself.
func (o *Organization) Contains(ctx context.Context, id string) (bool, error) {
	info, err := o.Info(ctx)
	if err != nil {
		return false, err
	}
	key := unitKey(id)
	switch {
	case id == info.ID || id == info.Root():
		return true, nil
	case accountIDs.MatchString(id):
		key = accountKey(id)
	case !strings.HasPrefix(id, "ou-"):
		return false, nil
	}
	_, err = o.store.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for %s: %w", id, err)
	}
	return true, nil
}

// ListAccounts returns a page of all accounts, by id.
func (o *Organization) ListAccounts(ctx context.Context, p Portion) (page []Account, next string, err error) {
	return portion[Account](ctx, o, store.Query{Kind: kindAccount, Index: indexAll}, p)
}

// AccountsIn returns a page of the accounts that are in a root or a unit
// itself, by id, or ParentNotFoundException.
func (o *Organization) AccountsIn(ctx context.Context, id string, p Portion) (page []Account, next string, err error) {
	at, err := o.parent(ctx, id, errNoParent)
	if err != nil {
		return nil, "", err
	}
	if len(at.above) > 1 {
		return portion[Account](ctx, o, store.Query{Kind: kindAccount, Index: indexParent, Partition: id}, p)
	}
	// Most are in the root, also those that were stored before there were units.
	return portion[Account](ctx, o, store.Query{
		Kind: kindAccount, Index: indexAll,
		Match: func(_, _ string, parent []byte) bool { return len(parent) == 0 },
	}, p)
}

// UnitsIn returns a page of the units that are in a root or a unit itself, by
// id, or ParentNotFoundException.
func (o *Organization) UnitsIn(ctx context.Context, id string, p Portion) (page []Unit, next string, err error) {
	if _, err := o.parent(ctx, id, errNoParent); err != nil {
		return nil, "", err
	}
	return portion[Unit](ctx, o, store.Query{Kind: kindUnit, Index: indexParent, Partition: id}, p)
}

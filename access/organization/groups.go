package organization

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"souk/storage/store"
)

// Group is an IAM group of an account: its policies hold for its members.
type Group struct {
	Account string
	Name    string
	Path    string // begins and ends with a slash
	ID      string // AGPA and 17 letters and digits, never used again
	Created time.Time
}

// ARN is the group's ARN.
func (g Group) ARN() string { return "arn:aws:iam::" + g.Account + ":group" + g.Path + g.Name }

// Quotas of IAM (IAM User Guide, "IAM and AWS STS quotas").
const (
	maxGroups        = 300
	maxUsers         = 5000
	maxRoles         = 1000
	maxManaged       = 1500
	maxGroupsPerUser = 10
)

// groupDocument is what is stored of a group. Who is in it, the documents of
// the users tell, by the index indexGroup.
type groupDocument struct {
	Group
	grants
}

var (
	groupNames = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\w+=,.@-]{1,128}$`) }) // IAM API Reference, CreateGroup, GroupName
	paths      = regexp.MustCompile(`^/(?:[!-~]+/)?$`)                                                      // IAM API Reference, CreateUser, Path: at most 512 characters
)

// checkPath returns the path that is meant: "" is "/".
func checkPath(path string) (string, error) {
	if path == "" {
		return "/", nil
	}
	if len(path) > 512 || !paths.MatchString(path) {
		return "", refuse(400, "ValidationError", "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.")
	}
	return path, nil
}

func groupKey(account, name string) store.Key {
	return store.Key{Kind: kindGroup, ID: inAccount(account, name)}
}

func (g *groupDocument) write(was int64) store.Write {
	key := groupKey(g.Account, g.Name)
	h := Holder{OfGroup, g.Account, g.Name}
	return store.Write{Was: was, Document: document(key, g.Group, g, append(g.entries(h, g.Path),
		store.Entry{Index: indexAll, Sort: key.ID},
		store.Entry{Index: indexAccount, Partition: g.Account, Sort: strings.ToLower(g.Name), Cover: []byte(g.Path)})...)}
}

// members is the partition of a group's members in the index of users.
func members(account, group string) string { return inAccount(account, group) }

// CreateGroup makes a group without members and policies.
func (o *Organization) CreateGroup(ctx context.Context, account, name, path string) (Group, error) {
	if !groupNames().MatchString(name) {
		return Group{}, noGroupName(name)
	}
	path, err := checkPath(path)
	if err != nil {
		return Group{}, err
	}
	if _, err := o.Account(ctx, account); err != nil {
		return Group{}, err
	}
	g := groupDocument{Group: Group{Account: account, Name: name, Path: path, ID: "AGPA" + o.random(upperAlphabet, 17), Created: o.moment()}}
	err = o.create(ctx, g.write(0), "Group", name, maxGroups, "GroupsPerAccount")
	return g.Group, err
}

func noGroupName(name string) error {
	return refuse(400, "ValidationError", "%q is no group name: 1 to 128 letters, digits and characters of _+=,.@-", name)
}

// create commits a new document that an account may have only so many of.
func (o *Organization) create(ctx context.Context, w store.Write, what, name string, most int, quota string) error {
	account, _, _ := strings.Cut(w.ID, "/")
	err := o.store.Commit(ctx, store.Batch{
		Bounds: []store.Bound{{Kind: w.Kind, Index: indexAccount, Partition: account, Most: most}},
		Put:    []store.Write{w},
	})
	switch {
	case errors.Is(err, store.ErrConflict) && w.Kind == kindManaged:
		return refuse(409, "EntityAlreadyExists", "A policy called %s already exists. Duplicate names are not allowed.", name)
	case errors.Is(err, store.ErrConflict):
		return refuse(409, "EntityAlreadyExists", "%s with name %s already exists.", what, name)
	case errors.Is(err, store.ErrLimit):
		return refuse(409, "LimitExceeded", "Cannot exceed quota for %s: %d", quota, most)
	case err != nil:
		return fmt.Errorf("making %s %s of account %s: %w", strings.ToLower(what), name, account, err)
	}
	return nil
}

// moment is now, as documents keep it.
func (o *Organization) moment() time.Time { return o.now().UTC().Truncate(time.Millisecond) }

// Group returns a group.
func (o *Organization) Group(ctx context.Context, account, name string) (Group, error) {
	g, _, err := o.group(ctx, account, name)
	return g.Group, err
}

func (o *Organization) group(ctx context.Context, account, name string) (groupDocument, int64, error) {
	var g groupDocument
	missing := refuse(404, "NoSuchEntity", "The group with name %s cannot be found.", name)
	if !groupNames().MatchString(name) || !accountIDs.MatchString(account) {
		return g, 0, missing
	}
	revision, err := o.get(ctx, groupKey(account, name), &g)
	if errors.Is(err, store.ErrNotFound) {
		return g, 0, missing
	}
	if err != nil {
		return g, 0, fmt.Errorf("reading group %s of account %s: %w", name, account, err)
	}
	return g, revision, nil
}

// Groups returns a page of an account's groups.
func (o *Organization) Groups(ctx context.Context, account string, p Page) (List[Group], error) {
	return byAccount[Group](ctx, o, kindGroup, account, p)
}

// Members returns a page of a group's users.
func (o *Organization) Members(ctx context.Context, account, group string, p Page) (List[User], error) {
	if _, err := o.Group(ctx, account, group); err != nil {
		return List[User]{}, err
	}
	return list[User](ctx, o, store.Query{Kind: kindUser, Index: indexGroup, Partition: members(account, group)}, p,
		func(sort string) string { return account + "/" + sort })
}

// GroupsOf returns the groups of a user, by name.
func (o *Organization) GroupsOf(ctx context.Context, account, user string) ([]Group, error) {
	u, _, err := o.user(ctx, account, user)
	if err != nil {
		return nil, err
	}
	all := []Group{}
	for _, name := range u.Groups {
		g, err := o.Group(ctx, account, name)
		if err != nil {
			return nil, err
		}
		all = append(all, g)
	}
	return all, nil
}

// AddMember puts a user into a group; one who is in it stays.
func (o *Organization) AddMember(ctx context.Context, account, group, user string) error {
	return o.changeMember(ctx, account, group, user, "adding to group "+group, func(u *userDocument, name string) error {
		i, found := slices.BinarySearch(u.Groups, name)
		if found {
			return errUnchanged
		}
		if len(u.Groups) >= maxGroupsPerUser {
			return refuse(409, "LimitExceeded", "Cannot exceed quota for GroupsPerUser: %d", maxGroupsPerUser)
		}
		u.Groups = slices.Insert(u.Groups, i, name)
		return nil
	})
}

// RemoveMember takes a user out of a group.
func (o *Organization) RemoveMember(ctx context.Context, account, group, user string) error {
	return o.changeMember(ctx, account, group, user, "removing from group "+group, func(u *userDocument, name string) error {
		i, found := slices.BinarySearch(u.Groups, name)
		if !found {
			return errUnchanged
		}
		u.Groups = slices.Delete(u.Groups, i, i+1)
		return nil
	})
}

func (o *Organization) changeMember(ctx context.Context, account, group, user, what string, change func(u *userDocument, name string) error) error {
	err := retry(func() error {
		g, revision, err := o.group(ctx, account, group)
		if err != nil {
			return err
		}
		u, was, err := o.user(ctx, account, user)
		if err == nil {
			err = change(&u, g.Name)
		}
		if err != nil {
			return err
		}
		batch := store.Batch{
			Expect: []store.Expectation{{Key: groupKey(account, group), Revision: revision}},
			Put:    []store.Write{u.write(was)},
		}
		return o.commitKeys(ctx, batch, u.Keys, what+" user "+user+" of account "+account)
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// GroupUpdate is a change of a group; what is nil stays.
type GroupUpdate struct {
	Name *string
	Path *string
}

// UpdateGroup changes a group. Its policies stay, and its members with it: a new
// name is written into each of them by the same commit.
//
// IAM API Reference, UpdateGroup.
func (o *Organization) UpdateGroup(ctx context.Context, account, name string, change GroupUpdate) error {
	return retry(func() error {
		g, revision, err := o.group(ctx, account, name)
		if err == nil && change.Path != nil {
			g.Path, err = checkPath(*change.Path)
		}
		if err != nil {
			return err
		}
		batch := store.Batch{}
		was := g.Name
		if change.Name != nil && *change.Name != was {
			if !groupNames().MatchString(*change.Name) {
				return noGroupName(*change.Name)
			}
			g.Name = *change.Name
			batch.Put, err = o.follow(ctx, account, was, g.Name)
			if err != nil {
				return err
			}
		}
		if old := groupKey(account, was); groupKey(account, g.Name) == old {
			batch.Put = append(batch.Put, g.write(revision))
		} else {
			batch.Put = append(batch.Put, g.write(0))
			batch.Delete = []store.Removal{{Key: old, Was: revision}}
			// One who came in meanwhile would be a member of nothing.
			batch.Bounds = []store.Bound{{Kind: kindUser, Index: indexGroup, Partition: members(account, was), Most: 0}}
		}
		err = o.commitAll(ctx, batch, "updating group "+name+" of account "+account)
		var conflict *store.Conflict
		switch {
		case errors.As(err, &conflict) && conflict.Key.Kind == kindGroup && conflict.Want == 0:
			return refuse(409, "EntityAlreadyExists", "Group with name %s already exists.", g.Name)
		case errors.Is(err, store.ErrLimit):
			return fmt.Errorf("%w: %w", store.ErrConflict, err) // again, with that one
		}
		return err
	})
}

// follow writes the new name of a group into each of its members.
func (o *Organization) follow(ctx context.Context, account, was, name string) ([]store.Write, error) {
	users, err := summaries[User](ctx, o, kindUser, indexGroup, members(account, was))
	if err != nil {
		return nil, err
	}
	var all []store.Write
	for _, member := range users {
		u, revision, err := o.user(ctx, account, member.Name)
		if err != nil {
			return nil, err
		}
		i, found := slices.BinarySearch(u.Groups, was)
		if !found { // it left meanwhile
			continue
		}
		u.Groups[i] = name
		slices.Sort(u.Groups)
		all = append(all, u.write(revision))
	}
	return all, nil
}

// DeleteGroup deletes a group that has neither members nor policies.
func (o *Organization) DeleteGroup(ctx context.Context, account, name string) error {
	return retry(func() error {
		g, revision, err := o.group(ctx, account, name)
		if err == nil {
			err = g.empty()
		}
		if err != nil {
			return err
		}
		err = o.commitAll(ctx, store.Batch{
			Bounds: []store.Bound{{Kind: kindUser, Index: indexGroup, Partition: members(account, name), Most: 0}},
			Delete: []store.Removal{{Key: groupKey(account, name), Was: revision}},
		}, "deleting group "+name+" of account "+account)
		if errors.Is(err, store.ErrLimit) {
			return refuse(409, "DeleteConflict", "Cannot delete entity, must remove users from group first.")
		}
		return err
	})
}

// empty refuses to delete a holder that has policies.
func (g *grants) empty() error {
	switch {
	case len(g.Attached) > 0:
		return refuse(409, "DeleteConflict", "Cannot delete entity, must detach all policies first.")
	case len(g.Policies) > 0:
		return refuse(409, "DeleteConflict", "Cannot delete entity, must delete policies first.")
	}
	return nil
}

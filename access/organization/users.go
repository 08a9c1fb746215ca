package organization

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"souk/storage/store"
)

// User is an IAM user of an account.
type User struct {
	Account  string
	Name     string
	Path     string // begins and ends with a slash
	ID       string // AIDA and 17 letters and digits, never used again
	Created  time.Time
	Policies []string          // names of its inline policies, in order
	Keys     []string          // its access key ids
	Tags     map[string]string `json:",omitempty"`
}

// ARN is the user's ARN.
func (u User) ARN() string { return "arn:aws:iam::" + u.Account + ":user" + u.path() + u.Name }

// path is the path of a user; those that were made when there were none have the root.
func (u User) path() string {
	if u.Path == "" {
		return "/"
	}
	return u.Path
}

// NewUser says which user is to be made.
type NewUser struct {
	Account string
	Name    string // 1 to 64 letters, digits and characters of _+=,.@-
	Path    string // "" is /
	Tags    map[string]string
}

// userDocument is what is stored of a user.
type userDocument struct {
	Account string
	Name    string
	Path    string
	ID      string
	Created time.Time
	grants
	Groups []string          `json:",omitempty"` // names of its groups, in order
	Tags   map[string]string `json:",omitempty"`
	Keys   []string
}

var (
	userNames   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\w+=,.@-]{1,64}$`) })  // IAM API Reference, CreateUser, UserName
	policyNames = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\w+=,.@-]{1,128}$`) }) // IAM API Reference, PutUserPolicy, PolicyName
)

func userKey(account, name string) store.Key {
	return store.Key{Kind: kindUser, ID: inAccount(account, name)}
}

func (u *userDocument) shown() User {
	s := User{Account: u.Account, Name: u.Name, Path: u.Path, ID: u.ID, Created: u.Created, Keys: u.Keys, Tags: u.Tags, Policies: u.names()}
	s.Path = s.path()
	return s
}

func (u *userDocument) write(was int64) store.Write {
	key := userKey(u.Account, u.Name)
	shown := u.shown()
	lower, path := strings.ToLower(u.Name), []byte(shown.Path)
	index := append(u.entries(Holder{OfUser, u.Account, u.Name}, shown.Path),
		store.Entry{Index: indexAll, Sort: key.ID},
		store.Entry{Index: indexAccount, Partition: u.Account, Sort: lower, Cover: path})
	for _, group := range u.Groups {
		index = append(index, store.Entry{Index: indexGroup, Partition: members(u.Account, group), Sort: lower, Cover: path})
	}
	return store.Write{Was: was, Document: document(key, shown, u, index...)}
}

// CreateUser makes a user without keys and policies, at the root of the paths.
func (o *Organization) CreateUser(ctx context.Context, account, name string) (User, error) {
	return o.MakeUser(ctx, NewUser{Account: account, Name: name})
}

// MakeUser makes a user without keys and policies. Names of one account differ
// by more than the case of their letters.
func (o *Organization) MakeUser(ctx context.Context, n NewUser) (User, error) {
	if err := checkUserName(n.Name); err != nil {
		return User{}, err
	}
	path, err := checkPath(n.Path)
	if err != nil {
		return User{}, err
	}
	if err := checkTags(n.Tags); err != nil {
		return User{}, err
	}
	if _, err := o.Account(ctx, n.Account); err != nil {
		return User{}, err
	}
	u := userDocument{Account: n.Account, Name: n.Name, Path: path, Tags: n.Tags, ID: "AIDA" + o.random(upperAlphabet, 17), Created: o.moment()}
	if err := o.create(ctx, u.write(0), "User", n.Name, maxUsers, "UsersPerAccount"); err != nil {
		return User{}, err
	}
	return u.shown(), nil
}

func checkUserName(name string) error {
	if !userNames().MatchString(name) {
		return refuse(400, "ValidationError", "%q is no user name: 1 to 64 letters, digits and characters of _+=,.@-", name)
	}
	return nil
}

// User returns a user.
func (o *Organization) User(ctx context.Context, account, name string) (User, error) {
	u, _, err := o.user(ctx, account, name)
	return u.shown(), err
}

func (o *Organization) user(ctx context.Context, account, name string) (userDocument, int64, error) {
	var u userDocument
	missing := refuse(404, "NoSuchEntity", "The user with name %s cannot be found.", name)
	if !userNames().MatchString(name) || !accountIDs.MatchString(account) {
		return u, 0, missing
	}
	revision, err := o.get(ctx, userKey(account, name), &u)
	if errors.Is(err, store.ErrNotFound) {
		return u, 0, missing
	}
	if err != nil {
		return u, 0, fmt.Errorf("reading user %s of account %s: %w", name, account, err)
	}
	return u, revision, nil
}

// Users returns the users of an account, by name.
func (o *Organization) Users(ctx context.Context, account string) ([]User, error) {
	if _, err := o.Account(ctx, account); err != nil {
		return nil, err
	}
	return summaries[User](ctx, o, kindUser, indexAccount, account)
}

// UserPage returns a page of an account's users.
func (o *Organization) UserPage(ctx context.Context, account string, p Page) (List[User], error) {
	return byAccount[User](ctx, o, kindUser, account, p)
}

// UserUpdate is a change of a user; what is nil stays.
type UserUpdate struct {
	Name       *string
	Path       *string
	SetTags    map[string]string
	RemoveTags []string
}

// UpdateUser changes a user and returns it. Its access keys follow a new name.
//
// IAM API Reference, UpdateUser, TagUser, UntagUser.
func (o *Organization) UpdateUser(ctx context.Context, account, name string, change UserUpdate) (User, error) {
	var changed User
	err := retry(func() error {
		u, revision, err := o.user(ctx, account, name)
		if err != nil {
			return err
		}
		old := userKey(account, u.Name)
		if change.Path != nil {
			if u.Path, err = checkPath(*change.Path); err != nil {
				return err
			}
		}
		if change.SetTags != nil || change.RemoveTags != nil {
			u.Tags = retagged(u.Tags, change.SetTags, change.RemoveTags)
			if err := checkTags(u.Tags); err != nil {
				return err
			}
		}
		var batch store.Batch
		if change.Name != nil && *change.Name != u.Name {
			if err := checkUserName(*change.Name); err != nil {
				return err
			}
			u.Name = *change.Name
			for _, id := range u.Keys {
				k, was, err := o.key(ctx, account, id)
				if err != nil {
					return err
				}
				k.User = u.Name
				batch.Put = append(batch.Put, k.write(was))
			}
		}
		changed = u.shown()
		if userKey(account, u.Name) == old {
			batch.Put = append(batch.Put, u.write(revision))
		} else {
			batch.Put = append(batch.Put, u.write(0))
			batch.Delete = []store.Removal{{Key: old, Was: revision}}
		}
		err = o.commitKeys(ctx, batch, u.Keys, "updating user "+name+" of account "+account)
		var conflict *store.Conflict
		if errors.As(err, &conflict) && conflict.Key.Kind == kindUser && conflict.Want == 0 {
			return refuse(409, "EntityAlreadyExists", "User with name %s already exists.", u.Name)
		}
		return err
	})
	return changed, err
}

// DeleteUser deletes a user. With all, its access keys, policies and
// memberships go with it; without, a user that has any is refused, as IAM does.
func (o *Organization) DeleteUser(ctx context.Context, account, name string, all bool) error {
	return retry(func() error {
		u, revision, err := o.user(ctx, account, name)
		if err != nil {
			return err
		}
		if !all {
			if err := u.empty(); err != nil {
				return err
			}
			if len(u.Keys) > 0 {
				return refuse(409, "DeleteConflict", "Cannot delete entity, must delete access keys first.")
			}
			if len(u.Groups) > 0 {
				return refuse(409, "DeleteConflict", "Cannot delete entity, must remove users from group first.")
			}
		}
		batch := store.Batch{Delete: []store.Removal{{Key: userKey(account, name), Was: revision}}}
		for _, id := range u.Keys {
			batch.Delete = append(batch.Delete, store.Removal{Key: keyKey(id), Was: store.Any})
		}
		return o.commitKeys(ctx, batch, u.Keys, "deleting user "+name+" of account "+account)
	})
}

// ofUser names a user as a holder of policies.
func ofUser(account, name string) Holder { return Holder{OfUser, account, name} }

// PutPolicy gives a user an inline policy, in the place of one of that name.
func (o *Organization) PutPolicy(ctx context.Context, account, user string, p Policy) error {
	return o.PutInline(ctx, ofUser(account, user), p)
}

// Policies returns the inline policies of a user, by name.
func (o *Organization) Policies(ctx context.Context, account, user string) ([]Policy, error) {
	return o.InlinePolicies(ctx, ofUser(account, user))
}

// Policy returns an inline policy of a user.
func (o *Organization) Policy(ctx context.Context, account, user, name string) (Policy, error) {
	return o.InlinePolicy(ctx, ofUser(account, user), name)
}

// DeletePolicy takes an inline policy from a user.
func (o *Organization) DeletePolicy(ctx context.Context, account, user, name string) error {
	return o.DeleteInline(ctx, ofUser(account, user), name)
}

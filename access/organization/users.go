package organization

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"souk/access/iam"
	"souk/storage/store"
)

// User is an IAM user of an account.
type User struct {
	Account  string
	Name     string
	ID       string // AIDA and 17 letters and digits, never used again
	Created  time.Time
	Policies []string // names of its policies, in order
	Keys     []string // its access key ids
}

// ARN is the user's ARN.
func (u User) ARN() string { return "arn:aws:iam::" + u.Account + ":user/" + u.Name }

// Policy is a policy that is attached to a user.
type Policy struct {
	Name     string
	Document string // as it was put
}

// maxPolicies is how many policies a user may have (IAM User Guide, "IAM and
// AWS STS quotas": managed policies attached to a user).
const maxPolicies = 10

// userDocument is what is stored of a user.
type userDocument struct {
	Account  string
	Name     string
	ID       string
	Created  time.Time
	Policies []Policy // by name
	Keys     []string
}

var (
	userNames   = regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)  // IAM API Reference, CreateUser, UserName
	policyNames = regexp.MustCompile(`^[\w+=,.@-]{1,128}$`) // IAM API Reference, PutUserPolicy, PolicyName
)

func userKey(account, name string) store.Key {
	return store.Key{Kind: kindUser, ID: account + "/" + strings.ToLower(name)}
}

func (u *userDocument) shown() User {
	s := User{Account: u.Account, Name: u.Name, ID: u.ID, Created: u.Created, Keys: u.Keys}
	for _, p := range u.Policies {
		s.Policies = append(s.Policies, p.Name)
	}
	return s
}

func (u *userDocument) write(was int64) store.Write {
	key := userKey(u.Account, u.Name)
	return store.Write{Was: was, Document: document(key, u.shown(), u,
		store.Entry{Index: indexAll, Sort: key.ID},
		store.Entry{Index: indexAccount, Partition: u.Account, Sort: strings.ToLower(u.Name)})}
}

// principal makes the principal of a user.
func (u *userDocument) principal() (*iam.Principal, error) {
	p := &iam.Principal{Account: u.Account, ARN: u.shown().ARN(), ID: u.ID, Name: u.Name}
	for _, policy := range u.Policies {
		parsed, err := iam.ParsePolicy([]byte(policy.Document))
		if err != nil {
			return nil, fmt.Errorf("reading policy %s of user %s: %w", policy.Name, p.ARN, err)
		}
		p.Policies = append(p.Policies, parsed)
	}
	return p, nil
}

// CreateUser makes a user without keys and policies. Names of one account
// differ by more than the case of their letters.
func (o *Organization) CreateUser(ctx context.Context, account, name string) (User, error) {
	if !userNames.MatchString(name) {
		return User{}, refuse(400, "ValidationError", "%q is no user name: 1 to 64 letters, digits and characters of _+=,.@-", name)
	}
	if _, err := o.Account(ctx, account); err != nil {
		return User{}, err
	}
	u := userDocument{Account: account, Name: name, ID: "AIDA" + o.random(upperAlphabet, 17), Created: o.now().UTC().Truncate(time.Millisecond)}
	err := o.store.Commit(ctx, store.Batch{Put: []store.Write{u.write(0)}})
	if errors.Is(err, store.ErrConflict) {
		return User{}, refuse(409, "EntityAlreadyExists", "User with name %s already exists.", name)
	}
	if err != nil {
		return User{}, fmt.Errorf("making user %s of account %s: %w", name, account, err)
	}
	return u.shown(), nil
}

// User returns a user.
func (o *Organization) User(ctx context.Context, account, name string) (User, error) {
	u, _, err := o.user(ctx, account, name)
	return u.shown(), err
}

func (o *Organization) user(ctx context.Context, account, name string) (userDocument, int64, error) {
	var u userDocument
	missing := refuse(404, "NoSuchEntity", "The user with name %s cannot be found.", name)
	if !userNames.MatchString(name) || !accountIDs.MatchString(account) {
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

// DeleteUser deletes a user. With all, its access keys and policies go with
// it; without, a user that has any is refused, as IAM does.
func (o *Organization) DeleteUser(ctx context.Context, account, name string, all bool) error {
	return retry(func() error {
		u, revision, err := o.user(ctx, account, name)
		if err != nil {
			return err
		}
		if !all && len(u.Policies) > 0 {
			return refuse(409, "DeleteConflict", "Cannot delete entity, must delete policies first.")
		}
		if !all && len(u.Keys) > 0 {
			return refuse(409, "DeleteConflict", "Cannot delete entity, must delete access keys first.")
		}
		batch := store.Batch{Delete: []store.Removal{{Key: userKey(account, name), Was: revision}}}
		for _, id := range u.Keys {
			batch.Delete = append(batch.Delete, store.Removal{Key: keyKey(id), Was: store.Any})
		}
		return o.commitKeys(ctx, batch, u.Keys, "deleting user "+name+" of account "+account)
	})
}

// PutPolicy attaches a policy to a user, in the place of one of that name.
func (o *Organization) PutPolicy(ctx context.Context, account, user string, p Policy) error {
	if !policyNames.MatchString(p.Name) {
		return refuse(400, "ValidationError", "%q is no policy name: 1 to 128 letters, digits and characters of _+=,.@-", p.Name)
	}
	if _, err := iam.ParsePolicy([]byte(p.Document)); err != nil {
		return malformed(err)
	}
	return o.changeUser(ctx, account, user, "putting policy "+p.Name, func(u *userDocument) error {
		i, found := slices.BinarySearchFunc(u.Policies, p.Name, byName)
		if found {
			u.Policies[i] = p
			return nil
		}
		if len(u.Policies) >= maxPolicies {
			return refuse(409, "LimitExceeded", "Cannot exceed quota for PoliciesPerUser: %d", maxPolicies)
		}
		u.Policies = slices.Insert(u.Policies, i, p)
		return nil
	})
}

// Policies returns the policies of a user, by name.
func (o *Organization) Policies(ctx context.Context, account, user string) ([]Policy, error) {
	u, _, err := o.user(ctx, account, user)
	return u.Policies, err
}

// Policy returns a policy of a user.
func (o *Organization) Policy(ctx context.Context, account, user, name string) (Policy, error) {
	u, _, err := o.user(ctx, account, user)
	if err != nil {
		return Policy{}, err
	}
	i, found := slices.BinarySearchFunc(u.Policies, name, byName)
	if !found {
		return Policy{}, noPolicy(name)
	}
	return u.Policies[i], nil
}

// DeletePolicy takes a policy from a user.
func (o *Organization) DeletePolicy(ctx context.Context, account, user, name string) error {
	return o.changeUser(ctx, account, user, "deleting policy "+name, func(u *userDocument) error {
		i, found := slices.BinarySearchFunc(u.Policies, name, byName)
		if !found {
			return noPolicy(name)
		}
		u.Policies = slices.Delete(u.Policies, i, i+1)
		return nil
	})
}

func byName(p Policy, name string) int { return strings.Compare(p.Name, name) }

func noPolicy(name string) error {
	return refuse(404, "NoSuchEntity", "The user policy with name %s cannot be found.", name)
}

// changeUser changes a user's document; what its keys may do changes with it.
func (o *Organization) changeUser(ctx context.Context, account, name, what string, change func(*userDocument) error) error {
	return retry(func() error {
		u, revision, err := o.user(ctx, account, name)
		if err != nil {
			return err
		}
		if err := change(&u); err != nil {
			return err
		}
		return o.commitKeys(ctx, store.Batch{Put: []store.Write{u.write(revision)}}, u.Keys, what+" of user "+name+" of account "+account)
	})
}

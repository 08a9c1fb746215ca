package organization

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"souk/access/iam"
	"souk/storage/store"
)

// Role is an IAM role of an account: who may assume it, its trust policy says.
type Role struct {
	Account     string
	Name        string
	Path        string // begins and ends with a slash
	ID          string // AROA and 17 letters and digits, never used again
	Description string
	MaxSession  int    // the longest session in seconds, 3600 to 43200
	Trust       string // its trust policy, as it was put
	Tags        map[string]string
	Created     time.Time
}

// ARN is the role's ARN.
func (r Role) ARN() string { return "arn:aws:iam::" + r.Account + ":role" + r.Path + r.Name }

// NewRole says which role is to be made.
type NewRole struct {
	Account     string
	Name        string // 1 to 64 letters, digits and characters of _+=,.@-
	Path        string // "" is /
	Description string // at most 1,000 characters
	MaxSession  int    // in seconds; 0 is an hour
	Trust       string
	Tags        map[string]string
}

// roleDocument is what is stored of a role.
type roleDocument struct {
	Role
	grants
}

// Bounds of a role's longest session, in seconds (IAM API Reference, CreateRole, MaxSessionDuration).
const (
	shortestMaxSession = 3600
	longestMaxSession  = 43200
)

// maxTags is how many tags a user or role may have (IAM User Guide, "IAM and AWS STS quotas").
const maxTags = 50

// roleNames: IAM API Reference, CreateRole, RoleName.
var roleNames = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\w+=,.@-]{1,64}$`) })

func roleKey(account, name string) store.Key {
	return store.Key{Kind: kindRole, ID: inAccount(account, name)}
}

func (r *roleDocument) write(was int64) store.Write {
	key := roleKey(r.Account, r.Name)
	h := Holder{OfRole, r.Account, r.Name}
	return store.Write{Was: was, Document: document(key, r.Role, r, append(r.entries(h, r.Path),
		store.Entry{Index: indexAll, Sort: key.ID},
		store.Entry{Index: indexAccount, Partition: r.Account, Sort: strings.ToLower(r.Name), Cover: []byte(r.Path)})...)}
}

// CreateRole makes a role without policies.
//
// IAM API Reference, CreateRole.
func (o *Organization) CreateRole(ctx context.Context, n NewRole) (Role, error) {
	if !roleNames().MatchString(n.Name) {
		return Role{}, refuse(400, "ValidationError", "%q is no role name: 1 to 64 letters, digits and characters of _+=,.@-", n.Name)
	}
	path, err := checkPath(n.Path)
	if err != nil {
		return Role{}, err
	}
	if n.MaxSession == 0 {
		n.MaxSession = shortestMaxSession
	}
	if err := errors.Join(checkDescription(n.Description), checkMaxSession(n.MaxSession), checkTrust(n.Trust), checkTags(n.Tags)); err != nil {
		return Role{}, first(err)
	}
	if _, err := o.Account(ctx, n.Account); err != nil {
		return Role{}, err
	}
	r := roleDocument{Role: Role{
		Account: n.Account, Name: n.Name, Path: path, ID: "AROA" + o.random(upperAlphabet, 17), Description: n.Description,
		MaxSession: n.MaxSession, Trust: n.Trust, Tags: n.Tags, Created: o.moment(),
	}}
	err = o.create(ctx, r.write(0), "Role", n.Name, maxRoles, "RolesPerAccount")
	return r.Role, err
}

// first is the first of joined errors: the caller hears of one at a time.
func first(err error) error {
	if all, ok := err.(interface{ Unwrap() []error }); ok && len(all.Unwrap()) > 0 {
		return all.Unwrap()[0]
	}
	return err
}

func checkDescription(text string) error {
	if utf8.RuneCountInString(text) > 1000 {
		return refuse(400, "ValidationError", "The description is longer than 1000 characters.")
	}
	return nil
}

func checkMaxSession(seconds int) error {
	if seconds < shortestMaxSession || seconds > longestMaxSession {
		return refuse(400, "ValidationError", "The longest session of a role is 3600 to 43200 seconds, not %d.", seconds)
	}
	return nil
}

func checkTrust(document string) error {
	_, err := iam.ParseTrustPolicy([]byte(document))
	return malformed(err)
}

// checkTags refuses tags that IAM does not take (IAM API Reference, Tag).
func checkTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return refuse(409, "LimitExceeded", "The number of tags has reached the maximum limit of %d.", maxTags)
	}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		switch {
		case key == "" || utf8.RuneCountInString(key) > 128 || strings.ContainsFunc(key, notInTags):
			return refuse(400, "ValidationError", "%q is no key of a tag: 1 to 128 letters, digits, spaces and characters of _.:/=+-@", key)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return refuse(400, "InvalidInput", "The tag key %s is reserved: it begins with aws:.", key)
		case utf8.RuneCountInString(tags[key]) > 256 || strings.ContainsFunc(tags[key], notInTags):
			return refuse(400, "ValidationError", "The value of the tag %s is invalid: up to 256 letters, digits, spaces and characters of _.:/=+-@", key)
		}
	}
	return nil
}

// notInTags says that a character has no place in a tag.
func notInTags(c rune) bool {
	return !unicode.In(c, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", c)
}

// Role returns a role.
func (o *Organization) Role(ctx context.Context, account, name string) (Role, error) {
	r, _, err := o.role(ctx, account, name)
	return r.Role, err
}

func (o *Organization) role(ctx context.Context, account, name string) (roleDocument, int64, error) {
	var r roleDocument
	missing := refuse(404, "NoSuchEntity", "The role with name %s cannot be found.", name)
	if !roleNames().MatchString(name) || !accountIDs.MatchString(account) {
		return r, 0, missing
	}
	revision, err := o.get(ctx, roleKey(account, name), &r)
	if errors.Is(err, store.ErrNotFound) {
		return r, 0, missing
	}
	if err != nil {
		return r, 0, fmt.Errorf("reading role %s of account %s: %w", name, account, err)
	}
	return r, revision, nil
}

// Roles returns a page of an account's roles.
func (o *Organization) Roles(ctx context.Context, account string, p Page) (List[Role], error) {
	return byAccount[Role](ctx, o, kindRole, account, p)
}

// RoleUpdate is a change of a role; what is nil stays.
type RoleUpdate struct {
	Description *string
	MaxSession  *int
	Trust       *string
	SetTags     map[string]string
	RemoveTags  []string
}

// UpdateRole changes a role and returns it.
//
// IAM API Reference, UpdateRole, UpdateAssumeRolePolicy, TagRole, UntagRole.
func (o *Organization) UpdateRole(ctx context.Context, account, name string, change RoleUpdate) (Role, error) {
	var changed Role
	err := retry(func() error {
		r, revision, err := o.role(ctx, account, name)
		if err != nil {
			return err
		}
		if change.Description != nil {
			r.Description = *change.Description
		}
		if change.MaxSession != nil {
			r.MaxSession = *change.MaxSession
		}
		if change.Trust != nil {
			r.Trust = *change.Trust
		}
		r.Tags = retagged(r.Tags, change.SetTags, change.RemoveTags)
		if err := errors.Join(checkDescription(r.Description), checkMaxSession(r.MaxSession), checkTrust(r.Trust), checkTags(r.Tags)); err != nil {
			return first(err)
		}
		changed = r.Role
		return o.commitAll(ctx, store.Batch{Put: []store.Write{r.write(revision)}}, "updating role "+name+" of account "+account)
	})
	return changed, err
}

// retagged returns tags with some set and then some removed.
func retagged(tags, set map[string]string, remove []string) map[string]string {
	all := maps.Clone(tags)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, set)
	for _, key := range remove {
		delete(all, key)
	}
	return all
}

// DeleteRole deletes a role that has no policies. Its sessions end with it.
func (o *Organization) DeleteRole(ctx context.Context, account, name string) error {
	return retry(func() error {
		r, revision, err := o.role(ctx, account, name)
		if err == nil {
			err = r.empty()
		}
		if err != nil {
			return err
		}
		return o.commitAll(ctx, store.Batch{Delete: []store.Removal{{Key: roleKey(account, name), Was: revision}}}, "deleting role "+name+" of account "+account)
	})
}

package organization

import (
	"context"
	"errors"
	"slices"
	"strings"

	"souk/access/iam"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// HolderKind says what has policies.
type HolderKind uint8

// The holders of policies.
const (
	OfUser HolderKind = iota
	OfGroup
	OfRole
)

// String is the holder's kind as IAM's messages have it: user, group, role.
func (k HolderKind) String() string { return [...]string{"user", "group", "role"}[k] }

// Holder names a user, group or role of an account, which all have inline
// policies of their own and managed policies attached.
type Holder struct {
	Kind    HolderKind
	Account string
	Name    string
}

// Policy is an inline policy.
type Policy struct {
	Name     string
	Document string // as it was put
}

// AttachedPolicy is a managed policy that a holder has.
type AttachedPolicy struct {
	Name string
	ARN  string
}

// maxAttached is how many managed policies a user, a group or a role may have
// (IAM User Guide, "IAM and AWS STS quotas").
const maxAttached = 10

// maxInline is how many characters the inline policies of a holder may have
// together, white space not counted, by HolderKind (same page).
var maxInline = [...]int{OfUser: 2048, OfGroup: 5120, OfRole: 10240}

// grants is what a holder's document keeps of its policies.
type grants struct {
	Policies []Policy // inline, by name
	Attached []string `json:",omitempty"` // ARNs of managed policies, in order
}

// entries are the places in the index that tells who has a managed policy.
func (g *grants) entries(h Holder, path string) []store.Entry {
	var all []store.Entry
	for _, arn := range g.Attached {
		all = append(all, store.Entry{Index: indexPolicy, Partition: attachment(h.Account, arn), Sort: strings.ToLower(h.Name), Cover: []byte(path)})
	}
	return all
}

// attachment is the partition of those of an account who have a policy.
// Policies of AWS are had in many accounts.
func attachment(account, arn string) string { return account + " " + arn }

func byPolicyName(p Policy, name string) int { return strings.Compare(p.Name, name) }

func (g *grants) names() []string {
	var names []string
	for _, p := range g.Policies {
		names = append(names, p.Name)
	}
	return names
}

func checkPolicyName(name string) error {
	if !policyNames().MatchString(name) {
		return refuse(400, "ValidationError", "%q is no policy name: 1 to 128 letters, digits and characters of _+=,.@-", name)
	}
	return nil
}

// PutInline gives a holder an inline policy, in the place of one of that name.
//
// IAM API Reference, PutUserPolicy, PutGroupPolicy, PutRolePolicy.
func (o *Organization) PutInline(ctx context.Context, h Holder, p Policy) error {
	if err := checkPolicyName(p.Name); err != nil {
		return err
	}
	if _, err := iam.ParsePolicy([]byte(p.Document)); err != nil {
		return malformed(err)
	}
	return o.changeGrants(ctx, h, "putting policy "+p.Name, "", func(g *grants) error {
		i, found := slices.BinarySearchFunc(g.Policies, p.Name, byPolicyName)
		if found {
			g.Policies[i] = p
		} else {
			g.Policies = slices.Insert(g.Policies, i, p)
		}
		size := 0
		for _, one := range g.Policies {
			size += iam.Size([]byte(one.Document))
		}
		if most := maxInline[h.Kind]; size > most {
			return refuse(409, "LimitExceeded", "Maximum policy size of %d bytes exceeded for %s %s", most, h.Kind, h.Name)
		}
		return nil
	})
}

// InlinePolicies returns the inline policies of a holder, by name.
func (o *Organization) InlinePolicies(ctx context.Context, h Holder) ([]Policy, error) {
	g, err := o.grants(ctx, h)
	return g.Policies, err
}

// InlinePolicy returns an inline policy of a holder.
func (o *Organization) InlinePolicy(ctx context.Context, h Holder, name string) (Policy, error) {
	g, err := o.grants(ctx, h)
	if err != nil {
		return Policy{}, err
	}
	i, found := slices.BinarySearchFunc(g.Policies, name, byPolicyName)
	if !found {
		return Policy{}, noInline(h, name)
	}
	return g.Policies[i], nil
}

// DeleteInline takes an inline policy from a holder.
func (o *Organization) DeleteInline(ctx context.Context, h Holder, name string) error {
	return o.changeGrants(ctx, h, "deleting policy "+name, "", func(g *grants) error {
		i, found := slices.BinarySearchFunc(g.Policies, name, byPolicyName)
		if !found {
			return noInline(h, name)
		}
		g.Policies = slices.Delete(g.Policies, i, i+1)
		return nil
	})
}

func noInline(h Holder, name string) error {
	return refuse(404, "NoSuchEntity", "The %s policy with name %s cannot be found.", h.Kind, name)
}

// Attach gives a holder a managed policy: one of AWS, or of its own account.
// What it has already stays.
//
// IAM API Reference, AttachUserPolicy, AttachGroupPolicy, AttachRolePolicy.
func (o *Organization) Attach(ctx context.Context, h Holder, arn string) error {
	return o.changeGrants(ctx, h, "attaching policy "+arn, arn, func(g *grants) error {
		i, found := slices.BinarySearch(g.Attached, arn)
		if found {
			return errUnchanged
		}
		if len(g.Attached) >= maxAttached {
			return refuse(409, "LimitExceeded", "Cannot exceed quota for Policies%s: %d", [...]string{"PerUser", "PerGroup", "PerRole"}[h.Kind], maxAttached)
		}
		g.Attached = slices.Insert(g.Attached, i, arn)
		return nil
	})
}

// Detach takes a managed policy from a holder.
func (o *Organization) Detach(ctx context.Context, h Holder, arn string) error {
	return o.changeGrants(ctx, h, "detaching policy "+arn, "", func(g *grants) error {
		i, found := slices.BinarySearch(g.Attached, arn)
		if !found {
			return refuse(404, "NoSuchEntity", "Policy %s was not found.", arn)
		}
		g.Attached = slices.Delete(g.Attached, i, i+1)
		return nil
	})
}

// Attached returns the managed policies of a holder, by ARN.
func (o *Organization) Attached(ctx context.Context, h Holder) ([]AttachedPolicy, error) {
	g, err := o.grants(ctx, h)
	if err != nil {
		return nil, err
	}
	all := []AttachedPolicy{}
	for _, arn := range g.Attached {
		all = append(all, AttachedPolicy{Name: arn[strings.LastIndexByte(arn, '/')+1:], ARN: arn})
	}
	return all, nil
}

// Attachments returns the names of the holders of a kind, within an account,
// that have a managed policy, by name: one page of them.
//
// IAM API Reference, ListEntitiesForPolicy.
func (o *Organization) Attachments(ctx context.Context, account, arn string, kind HolderKind, p Page) (List[EntityName], error) {
	return list[EntityName](ctx, o, store.Query{Kind: kindOf(kind), Index: indexPolicy, Partition: attachment(account, arn)}, p,
		func(sort string) string { return account + "/" + sort })
}

// EntityName names a user, group or role: what their summaries have in common.
type EntityName struct {
	Name string
	ID   string
}

func kindOf(k HolderKind) string { return [...]string{kindUser, kindGroup, kindRole}[k] }

// errUnchanged ends a change that has nothing to do.
var errUnchanged = errors.New("nothing to change")

// grants reads what a holder has.
func (o *Organization) grants(ctx context.Context, h Holder) (grants, error) {
	switch h.Kind {
	case OfGroup:
		g, _, err := o.group(ctx, h.Account, h.Name)
		return g.grants, err
	case OfRole:
		r, _, err := o.role(ctx, h.Account, h.Name)
		return r.grants, err
	}
	u, _, err := o.user(ctx, h.Account, h.Name)
	return u.grants, err
}

// changeGrants changes what a holder has, in one commit. The managed policy
// arn, if it is not "", must be there when it happens.
func (o *Organization) changeGrants(ctx context.Context, h Holder, what, arn string, change func(*grants) error) error {
	what += " of " + h.Kind.String() + " " + h.Name + " of account " + h.Account
	err := retry(func() error {
		batch := store.Batch{}
		if arn != "" && o.aws[arn] == nil {
			m, revision, err := o.managed(ctx, h.Account, arn)
			if apierror.Is(err, "NoSuchEntity") {
				return notAttachable(arn)
			}
			if err != nil {
				return err
			}
			batch.Expect = []store.Expectation{{Key: managedKey(m.Account, m.Name), Revision: revision}}
		}
		switch h.Kind {
		case OfGroup:
			g, revision, err := o.group(ctx, h.Account, h.Name)
			if err == nil {
				err = change(&g.grants)
			}
			if err != nil {
				return err
			}
			batch.Put = []store.Write{g.write(revision)}
		case OfRole:
			r, revision, err := o.role(ctx, h.Account, h.Name)
			if err == nil {
				err = change(&r.grants)
			}
			if err != nil {
				return err
			}
			batch.Put = []store.Write{r.write(revision)}
		default:
			u, revision, err := o.user(ctx, h.Account, h.Name)
			if err == nil {
				err = change(&u.grants)
			}
			if err != nil {
				return err
			}
			batch.Put = []store.Write{u.write(revision)}
			return o.commitKeys(ctx, batch, u.Keys, what)
		}
		return o.commitAll(ctx, batch, what)
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

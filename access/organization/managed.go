package organization

import (
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"souk/access/iam"
	"souk/storage/store"
)

// ManagedPolicy is a policy that users, groups and roles can have: one that a
// customer wrote, or one of AWS.
type ManagedPolicy struct {
	Account     string // "aws" for one of AWS
	Name        string
	Path        string // begins and ends with a slash
	ID          string // ANPA and 17 letters and digits
	Description string
	Default     string // id of the default version: the one that holds
	Created     time.Time
	Updated     time.Time // when a version was last added or made the default
	Tags        map[string]string
}

// ARN is the policy's ARN.
func (p ManagedPolicy) ARN() string { return "arn:aws:iam::" + p.Account + ":policy" + p.Path + p.Name }

// PolicyVersion is a version of a managed policy.
type PolicyVersion struct {
	ID       string // v1 and on
	Document string // as it was put
	Created  time.Time
	Default  bool
}

// NewManagedPolicy says which policy is to be made.
type NewManagedPolicy struct {
	Account     string
	Name        string
	Path        string // "" is /
	Description string // at most 1,000 characters; it can't be changed later
	Document    string
	Tags        map[string]string
}

// maxVersions is how many versions a policy may have (IAM User Guide, "IAM and AWS STS quotas").
const maxVersions = 5

// managedDocument is what is stored of a customer's managed policy.
type managedDocument struct {
	ManagedPolicy
	Last     int             // number of the newest version ever
	Versions []PolicyVersion // oldest first; PolicyVersion.Default is not stored
}

// awsAccount stands in the ARNs of AWS's policies.
const awsAccount = "aws"

func managedKey(account, name string) store.Key {
	return store.Key{Kind: kindManaged, ID: inAccount(account, name)}
}

// managedKeyOf is the key of a customer's policy of an account, by its ARN.
// The path is compared by who reads the document.
func managedKeyOf(account, arn string) (store.Key, bool) {
	rest, ok := strings.CutPrefix(arn, "arn:aws:iam::"+account+":policy/")
	name := rest[strings.LastIndexByte(rest, '/')+1:]
	if !ok || len(arn) > 2048 || !policyNames().MatchString(name) {
		return store.Key{}, false
	}
	return managedKey(account, name), true
}

func notAttachable(arn string) error {
	return refuse(404, "NoSuchEntity", "Policy %s does not exist or is not attachable.", arn)
}

func (m *managedDocument) write(was int64) store.Write {
	key := managedKey(m.Account, m.Name)
	return store.Write{Was: was, Document: document(key, m.ManagedPolicy, m,
		store.Entry{Index: indexAll, Sort: key.ID},
		store.Entry{Index: indexAccount, Partition: m.Account, Sort: strings.ToLower(m.Name), Cover: []byte(m.Path)})}
}

func (m *managedDocument) version(id string) (int, bool) {
	i := slices.IndexFunc(m.Versions, func(v PolicyVersion) bool { return v.ID == id })
	return i, i >= 0
}

// document is the text of the default version.
func (m *managedDocument) document() string {
	if i, ok := m.version(m.Default); ok {
		return m.Versions[i].Document
	}
	return ""
}

// CreateManagedPolicy makes a policy with its first version.
//
// IAM API Reference, CreatePolicy.
func (o *Organization) CreateManagedPolicy(ctx context.Context, n NewManagedPolicy) (ManagedPolicy, error) {
	if err := checkPolicyName(n.Name); err != nil {
		return ManagedPolicy{}, err
	}
	path, err := checkPath(n.Path)
	if err != nil {
		return ManagedPolicy{}, err
	}
	if err := errors.Join(checkDescription(n.Description), checkDocument(n.Document), checkTags(n.Tags)); err != nil {
		return ManagedPolicy{}, first(err)
	}
	if _, err := o.Account(ctx, n.Account); err != nil {
		return ManagedPolicy{}, err
	}
	now := o.moment()
	m := managedDocument{
		ManagedPolicy: ManagedPolicy{
			Account: n.Account, Name: n.Name, Path: path, ID: "ANPA" + o.random(upperAlphabet, 17),
			Description: n.Description, Default: "v1", Created: now, Updated: now, Tags: n.Tags,
		},
		Last: 1, Versions: []PolicyVersion{{ID: "v1", Document: n.Document, Created: now}},
	}
	err = o.create(ctx, m.write(0), "Policy", n.Name, maxManaged, "PoliciesPerAccount")
	return m.ManagedPolicy, err
}

func checkDocument(text string) error {
	_, err := iam.ParsePolicy([]byte(text))
	return malformed(err)
}

// ManagedPolicy returns a policy of an account, or of AWS, by its ARN.
func (o *Organization) ManagedPolicy(ctx context.Context, account, arn string) (ManagedPolicy, error) {
	m, _, err := o.managed(ctx, account, arn)
	return m.ManagedPolicy, err
}

func (o *Organization) managed(ctx context.Context, account, arn string) (managedDocument, int64, error) {
	if m, ok := o.aws[arn]; ok {
		return *m, 0, nil
	}
	var m managedDocument
	missing := refuse(404, "NoSuchEntity", "Policy %s was not found.", arn)
	key, ok := managedKeyOf(account, arn)
	if !ok || !accountIDs.MatchString(account) {
		return m, 0, missing
	}
	revision, err := o.get(ctx, key, &m)
	if errors.Is(err, store.ErrNotFound) || err == nil && m.ARN() != arn {
		return managedDocument{}, 0, missing
	}
	if err != nil {
		return m, 0, fmt.Errorf("reading policy %s: %w", arn, err)
	}
	return m, revision, nil
}

// ManagedPolicies returns a page of an account's own policies.
func (o *Organization) ManagedPolicies(ctx context.Context, account string, p Page) (List[ManagedPolicy], error) {
	return byAccount[ManagedPolicy](ctx, o, kindManaged, account, p)
}

// AWSPolicies returns the policies of AWS that there are, by name.
func (o *Organization) AWSPolicies() []ManagedPolicy {
	var all []ManagedPolicy
	for _, arn := range slices.Sorted(maps.Keys(o.aws)) {
		all = append(all, o.aws[arn].ManagedPolicy)
	}
	return all
}

// PolicyVersions returns the versions of a policy, the newest first.
func (o *Organization) PolicyVersions(ctx context.Context, account, arn string) ([]PolicyVersion, error) {
	m, _, err := o.managed(ctx, account, arn)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(m.Versions)
	for i := range all {
		all[i].Default = all[i].ID == m.Default
	}
	slices.Reverse(all)
	return all, nil
}

// PolicyVersion returns a version of a policy.
func (o *Organization) PolicyVersion(ctx context.Context, account, arn, id string) (PolicyVersion, error) {
	all, err := o.PolicyVersions(ctx, account, arn)
	if err != nil {
		return PolicyVersion{}, err
	}
	for _, v := range all {
		if v.ID == id {
			return v, nil
		}
	}
	return PolicyVersion{}, noVersion(arn, id)
}

func noVersion(arn, id string) error {
	return refuse(404, "NoSuchEntity", "Policy %s version %s does not exist or is not attachable.", arn, id)
}

// CreatePolicyVersion adds a version to a policy, as its default if asked.
func (o *Organization) CreatePolicyVersion(ctx context.Context, account, arn, text string, asDefault bool) (PolicyVersion, error) {
	var v PolicyVersion
	if err := checkDocument(text); err != nil {
		return v, err
	}
	err := o.changeManaged(ctx, account, arn, "adding a version to policy "+arn, func(m *managedDocument) error {
		if len(m.Versions) >= maxVersions {
			return refuse(409, "LimitExceeded", "A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxVersions)
		}
		m.Last++
		v = PolicyVersion{ID: fmt.Sprintf("v%d", m.Last), Document: text, Created: o.moment()}
		m.Versions = append(m.Versions, v)
		m.Updated = v.Created
		if asDefault {
			m.Default, v.Default = v.ID, true
		}
		return nil
	})
	return v, err
}

// SetDefaultVersion makes a version of a policy the one that holds.
func (o *Organization) SetDefaultVersion(ctx context.Context, account, arn, id string) error {
	return o.changeManaged(ctx, account, arn, "setting the default version of policy "+arn, func(m *managedDocument) error {
		if _, ok := m.version(id); !ok {
			return noVersion(arn, id)
		}
		m.Default, m.Updated = id, o.moment()
		return nil
	})
}

// DeletePolicyVersion deletes a version that is not the default.
func (o *Organization) DeletePolicyVersion(ctx context.Context, account, arn, id string) error {
	return o.changeManaged(ctx, account, arn, "deleting a version of policy "+arn, func(m *managedDocument) error {
		i, ok := m.version(id)
		if !ok {
			return noVersion(arn, id)
		}
		if id == m.Default {
			return refuse(409, "DeleteConflict", "Cannot delete the default version of a policy.")
		}
		m.Versions = slices.Delete(m.Versions, i, i+1)
		return nil
	})
}

// TagManagedPolicy sets some tags of a policy and removes others.
func (o *Organization) TagManagedPolicy(ctx context.Context, account, arn string, set map[string]string, remove []string) error {
	return o.changeManaged(ctx, account, arn, "tagging policy "+arn, func(m *managedDocument) error {
		m.Tags = retagged(m.Tags, set, remove)
		return checkTags(m.Tags)
	})
}

// DeleteManagedPolicy deletes a policy that nobody has, and that has its
// default version alone.
func (o *Organization) DeleteManagedPolicy(ctx context.Context, account, arn string) error {
	return retry(func() error {
		m, revision, err := o.ownManaged(ctx, account, arn)
		if err != nil {
			return err
		}
		if len(m.Versions) > 1 {
			return refuse(409, "DeleteConflict", "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
		}
		batch := store.Batch{Delete: []store.Removal{{Key: managedKey(m.Account, m.Name), Was: revision}}}
		for _, kind := range []HolderKind{OfUser, OfGroup, OfRole} {
			batch.Bounds = append(batch.Bounds, store.Bound{Kind: kindOf(kind), Index: indexPolicy, Partition: attachment(account, arn), Most: 0})
		}
		err = o.commitAll(ctx, batch, "deleting policy "+arn)
		if errors.Is(err, store.ErrLimit) {
			return refuse(409, "DeleteConflict", "Cannot delete a policy attached to entities.")
		}
		return err
	})
}

// ownManaged is managed for a change, which AWS's policies don't suffer.
func (o *Organization) ownManaged(ctx context.Context, account, arn string) (managedDocument, int64, error) {
	if o.aws[arn] != nil {
		return managedDocument{}, 0, refuse(403, "AccessDenied", "Policy %s is managed by AWS: it can't be changed.", arn)
	}
	return o.managed(ctx, account, arn)
}

func (o *Organization) changeManaged(ctx context.Context, account, arn, what string, change func(*managedDocument) error) error {
	return retry(func() error {
		m, revision, err := o.ownManaged(ctx, account, arn)
		if err == nil {
			err = change(&m)
		}
		if err != nil {
			return err
		}
		return o.commitAll(ctx, store.Batch{Put: []store.Write{m.write(revision)}}, what)
	})
}

// awsPolicyID makes an id of a policy of AWS from its name.
func awsPolicyID(name string) string {
	sum := sha256.Sum256([]byte(name))
	id := []byte("ANPA")
	for _, b := range sum[:17] {
		id = append(id, upperAlphabet[int(b)%len(upperAlphabet)])
	}
	return string(id)
}

// awsFiles are the policies of AWS; managed/README.md tells where they are from.
//
//go:embed managed/*.json
var awsFiles embed.FS

// awsPolicies reads the policies of AWS, by ARN. It panics at what the tests
// would have found.
func awsPolicies() map[string]*managedDocument {
	all := map[string]*managedDocument{}
	files, err := awsFiles.ReadDir("managed")
	for _, f := range files {
		var text []byte
		if text, err = awsFiles.ReadFile("managed/" + f.Name()); err != nil {
			break
		}
		var file struct {
			Name, Description, Version, Source string
			Created, Updated                   time.Time
			Document                           jsontext.Value
		}
		if err = json.Unmarshal(text, &file); err != nil {
			break
		}
		m := &managedDocument{
			ManagedPolicy: ManagedPolicy{
				Account: awsAccount, Name: file.Name, Path: "/", ID: awsPolicyID(file.Name), Description: file.Description,
				Default: file.Version, Created: file.Created, Updated: file.Updated,
			},
			Versions: []PolicyVersion{{ID: file.Version, Document: string(file.Document), Created: file.Updated}},
		}
		all[m.ARN()] = m
	}
	if err != nil {
		panic("organization: reading the policies of AWS: " + err.Error())
	}
	return all
}

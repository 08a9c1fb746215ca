package iam

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"souk/access/organization"
	"souk/gateway/apierror"
)

// Members is a list on the wire, which is there also when it is empty.
type Members[T any] struct {
	Member []T `xml:"member"`
}

// shown are items as the service shows them.
func shown[A, B any](items []A, show func(A) B) Members[B] {
	m := Members[B]{Member: make([]B, len(items))}
	for i, item := range items {
		m.Member[i] = show(item)
	}
	return m
}

// Tag is a tag of a user, role or policy.
type Tag struct {
	Key   string  `required:"" len:"1,128" pattern:"[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+"`
	Value *string `required:"" len:"0,256" pattern:"[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*"`
}

// User is a user, or the root user of an account, which has no name.
type User struct {
	Path       string
	UserName   string `xml:",omitempty"`
	UserId     string
	Arn        string
	CreateDate string
	Tags       *Members[Tag] `xml:",omitempty"` // lists leave them out
}

// Group is a group.
type Group struct {
	Path       string
	GroupName  string
	GroupId    string
	Arn        string
	CreateDate string
}

// Role is a role.
type Role struct {
	Path                     string
	RoleName                 string
	RoleId                   string
	Arn                      string
	CreateDate               string
	AssumeRolePolicyDocument string
	Description              string `xml:",omitempty"`
	MaxSessionDuration       int
	Tags                     *Members[Tag] `xml:",omitempty"` // lists leave them out
}

// Policy is a managed policy.
type Policy struct {
	PolicyName                    string
	PolicyId                      string
	Arn                           string
	Path                          string
	DefaultVersionId              string
	AttachmentCount               int
	PermissionsBoundaryUsageCount int // 0: there are none
	IsAttachable                  bool
	Description                   string `xml:",omitempty"` // lists leave it out
	CreateDate                    string
	UpdateDate                    string
	Tags                          *Members[Tag] `xml:",omitempty"` // lists leave them out
}

// PolicyVersion is a version of a managed policy.
type PolicyVersion struct {
	Document         string `xml:",omitempty"` // lists leave it out
	VersionId        string
	IsDefaultVersion bool
	CreateDate       string
}

// AttachedPolicy is a managed policy that a user, group or role has.
type AttachedPolicy struct {
	PolicyName string
	PolicyArn  string
}

// AccessKeyMetadata is an access key without its secret.
type AccessKeyMetadata struct {
	UserName    string `xml:",omitempty"` // the root user has none
	AccessKeyId string
	Status      string
	CreateDate  string
}

// value is what a pointer points at, or the zero value.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// date is a time as IAM writes it.
func date(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// encoded is a policy document as answers have it: "Policies returned by this
// operation are URL-encoded compliant with RFC 3986."
func encoded(document string) string {
	return strings.ReplaceAll(url.QueryEscape(document), "+", "%20")
}

func shownUser(u organization.User) User {
	return User{Path: u.Path, UserName: u.Name, UserId: u.ID, Arn: u.ARN(), CreateDate: date(u.Created)}
}

func shownGroup(g organization.Group) Group {
	return Group{Path: g.Path, GroupName: g.Name, GroupId: g.ID, Arn: g.ARN(), CreateDate: date(g.Created)}
}

func shownRole(r organization.Role) Role {
	return Role{
		Path: r.Path, RoleName: r.Name, RoleId: r.ID, Arn: r.ARN(), CreateDate: date(r.Created),
		AssumeRolePolicyDocument: encoded(r.Trust), Description: r.Description, MaxSessionDuration: r.MaxSession,
	}
}

func shownVersion(v organization.PolicyVersion) PolicyVersion {
	return PolicyVersion{VersionId: v.ID, IsDefaultVersion: v.Default, CreateDate: date(v.Created)}
}

func shownAttached(p organization.AttachedPolicy) AttachedPolicy {
	return AttachedPolicy{PolicyName: p.Name, PolicyArn: p.ARN}
}

func shownKey(k organization.AccessKey) AccessKeyMetadata {
	return AccessKeyMetadata{UserName: k.User, AccessKeyId: k.ID, Status: status(k.Active), CreateDate: date(k.Created)}
}

func status(active bool) string {
	if active {
		return "Active"
	}
	return "Inactive"
}

func shownTags(tags map[string]string) *Members[Tag] {
	if len(tags) == 0 {
		return nil
	}
	m := shown(tagList(tags), func(t Tag) Tag { return t })
	return &m
}

// tagList are tags in the order of their keys.
func tagList(tags map[string]string) []Tag {
	var list []Tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		v := tags[key]
		list = append(list, Tag{Key: key, Value: &v})
	}
	return list
}

// tagMap are the tags of a request, each key once.
func tagMap(tags []Tag) (map[string]string, error) {
	if len(tags) == 0 {
		return nil, nil
	}
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		if _, twice := m[t.Key]; twice {
			return nil, apierror.New("InvalidInput", "Duplicate tag keys found.")
		}
		m[t.Key] = value(t.Value)
	}
	return m, nil
}

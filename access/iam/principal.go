// Package iam says who may do what: principals, policies in AWS's JSON policy
// language, and Decide, which is a pure function of both.
package iam

import "errors"

// Principal is who signed a request. It is not changed once it is made.
type Principal struct {
	Account  string    // 12 digits
	ARN      string    // arn:aws:iam::123456789012:root, .../user/NAME, arn:aws:sts::...:assumed-role/ROLE/SESSION
	ID       string    // the account id for root, AIDA... for a user, AROA...:SESSION for a role's session
	Name     string    // the user's name; "" for others
	Root     bool      // the account's root user: all is allowed that no resource's policy denies
	Policies []*Policy // identity policies: of the user and its groups, or of the role

	// Organization is the id of the organisation, o-..., "" if it is in none.
	Organization string
	// Tags are those of the user, or of the role and its session, by their keys
	// in lower case.
	Tags map[string]string

	// What only a role's session has.
	Role           string    // the role's ARN
	Session        []*Policy // session policies: they limit what the role may; nil if there are none
	Issued         string    // when the session began, ISO 8601
	SourceIdentity string    // "" if none was set
}

// ErrExpiredToken says that a session was one, and is over.
var ErrExpiredToken = errors.New("the security token included in the request is expired")

// Question is one thing that must be allowed: an action on a resource.
type Question struct {
	Action   string  // such as aws-marketplace:StartChangeSet
	Resource string  // an ARN, or "*" where the action has no resources
	Context  Context // condition keys of the request, such as catalog:ChangeType
	// Policy is the policy of the resource, nil if it has none.
	Policy *Policy
	// Trust says that Policy is a role's trust policy, which must allow the
	// action also within one account.
	Trust bool
	// Owner is the account that the resource belongs to; "" is the principal's own.
	Owner string
	// About says in words what of the request is asked about, for who is
	// refused: "change type CreateProduct". Policies don't see it; "" where
	// action and resource say it all.
	About string
}

// Context has the values of condition keys, by their full name in lower case.
// A key that is absent has no entry.
type Context map[string][]string

// Decision is the answer to a Question.
type Decision struct {
	Allowed bool
	// Explicit: a Deny statement matched. Otherwise, when not Allowed, a
	// statement that allows it is lacking.
	Explicit bool
	// By is where that Deny stands, or where the Allow is lacking.
	By PolicyType
}

// PolicyType is what a policy belongs to.
type PolicyType uint8

// The types of policies.
const (
	IdentityBased PolicyType = iota
	ResourceBased
	SessionPolicy
)

// String is the type as AWS's messages have it.
func (t PolicyType) String() string {
	return [...]string{"identity-based policy", "resource-based policy", "session policy"}[t]
}

package iam

import "fmt"

// MaxPolicySize is the most characters that a policy may have, white space not
// counted (IAM User Guide, "IAM and AWS STS quotas": the quota of a managed policy).
const MaxPolicySize = 6144

// maxDocument bounds what is parsed at all, in bytes (IAM API Reference, the
// length of the parameter PolicyDocument).
const maxDocument = 131072

// The two versions of the policy language. Policy variables are replaced in
// the newer one only; a policy without Version is of the older.
const (
	Version2008 = "2008-10-17"
	Version2012 = "2012-10-17"
)

// Policy is a parsed identity policy. It is not changed after ParsePolicy, so
// that any number of goroutines may decide by it.
//
// IAM User Guide, "Grammar of the IAM JSON policy language".
type Policy struct {
	Version    string // Version2008 or Version2012
	ID         string
	Statements []Statement

	exact  map[uint64][]int // statements that name their actions, by hashOf each
	others []int            // those with wildcards or NotAction
}

// Effect is what a statement does to the requests that it matches.
type Effect bool

// The two effects.
const (
	Allow Effect = true
	Deny  Effect = false
)

func (e Effect) String() string {
	if e == Allow {
		return "Allow"
	}
	return "Deny"
}

// Statement is one statement of a policy, as it was written. Exactly one of
// Action and NotAction and one of Resource and NotResource is set.
type Statement struct {
	Sid         string
	Principals  []string // of a resource's policy: "*", account ids, ARNs of users; nil in identity policies
	Effect      Effect
	Action      []string
	NotAction   []string
	Resource    []string
	NotResource []string
	Condition   []Condition // in the order of the document; all must hold

	actions, resources []pattern // of whichever of the two is set
	conditions         []test
}

// Condition is one key of a statement's Condition element.
type Condition struct {
	Operator string // as written, such as ForAnyValue:StringLikeIfExists
	Key      string // as written, such as catalog:ChangeType
	Values   []string
}

// DocumentError says why a policy document is refused.
type DocumentError struct {
	Code    string // MalformedPolicyDocument or LimitExceeded
	Message string // begins with AWS's text where AWS has one
}

func (e *DocumentError) Error() string { return e.Code + ": " + e.Message }

func malformed(format string, args ...any) *DocumentError {
	return &DocumentError{Code: "MalformedPolicyDocument", Message: fmt.Sprintf(format, args...)}
}

// syntax is malformed with the text that IAM gives for any breach of the grammar.
func syntax(format string, args ...any) *DocumentError {
	return malformed("Syntax errors in policy. "+format, args...)
}

// Package iam says who may do what: principals, policies in AWS's JSON policy
// language, and Decide, which is a pure function of both.
package iam

// Principal is who signed a request.
type Principal struct {
	Account  string    // 12 digits
	ARN      string    // arn:aws:iam::123456789012:root, .../user/NAME
	ID       string    // the account id for root, AIDA... for a user
	Name     string    // the user's name; "" for root
	Root     bool      // the account's root user: all is allowed that no policy of an organisation denies
	Policies []*Policy // identity policies
}

// Question is one thing that must be allowed: an action on a resource.
type Question struct {
	Action   string  // such as aws-marketplace:StartChangeSet
	Resource string  // an ARN, or "*" where the action has no resources
	Context  Context // condition keys of the request, such as catalog:ChangeType
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
	// Explicit: a Deny statement matched. Otherwise, when not Allowed, no
	// statement allowed it.
	Explicit bool
}

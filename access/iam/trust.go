package iam

import (
	"slices"
	"strings"
)

// MaxTrustSize is the most characters that a trust policy may have, white space
// not counted (IAM User Guide, "IAM and AWS STS quotas": "Role trust policy length").
const MaxTrustSize = 2048

// Actions that a trust policy may speak of. Federated log-in is not offered:
// AssumeRoleWithSAML and AssumeRoleWithWebIdentity are refused.
var trustActions = []string{"sts:assumerole", "sts:tagsession", "sts:setsourceidentity", "sts:*", "*"}

// ParseTrustPolicy parses the policy of a role that says who may assume it:
// every statement names principals ("*", accounts, users, roles, sessions, or
// services) and actions of STS, and no resources. Its errors are *DocumentError.
//
// IAM User Guide, "Roles terms and concepts", "Trust policy".
func ParseTrustPolicy(document []byte) (*Policy, error) {
	if err := checkSize(document); err != nil {
		return nil, err
	}
	if Size(document) > MaxTrustSize {
		return nil, &DocumentError{Code: "LimitExceeded", Message: "Cannot exceed quota for ACLSizePerRole: 2048"}
	}
	p, err := parse(document, ofRole)
	if err != nil {
		return nil, err
	}
	for i := range p.Statements {
		s := &p.Statements[i]
		for _, a := range slices.Concat(s.Action, s.NotAction) {
			if !slices.Contains(trustActions, strings.ToLower(a)) {
				return nil, malformed("AssumeRole policy may only specify STS AssumeRole actions.")
			}
		}
	}
	return p, nil
}

// ServicePrincipal is an AWS service as the principal of a trust policy.
func ServicePrincipal(service string) *Principal { return &Principal{ARN: servicePrefix + service} }

// Size returns the number of characters of a policy document, white space not
// counted, as IAM's quotas count it.
func Size(document []byte) int {
	n := 0
	for _, r := range string(document) {
		switch r {
		case ' ', '\t', '\n', '\r':
		default:
			n++
		}
	}
	return n
}

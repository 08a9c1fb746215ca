package iam

import (
	"context"
	"slices"
	"strings"

	"souk/access/organization"
	"souk/gateway"
)

// ListPoliciesInput asks for a page of managed policies.
type ListPoliciesInput struct {
	Scope             *string `enum:"All,AWS,Local"`
	OnlyAttached      bool
	PathPrefix        *string `len:"1,512" pattern:"((/[A-Za-z0-9\\.,\\+@=_-]+)*)/"`
	PolicyUsageFilter *string `enum:"PermissionsPolicy,PermissionsBoundary"`
	Marker            *string `len:"1,2048"`
	MaxItems          *int    `range:"1,1000"`
}

// ListPoliciesOutput is a page of policies.
type ListPoliciesOutput struct {
	Policies Members[Policy]
	Truncation
}

// listPolicies lists managed policies: the account's own by name, then those of
// AWS. With OnlyAttached a page may be short, also empty, and have more behind it.
//
// IAM API Reference, "ListPolicies".
func (s *service) listPolicies() gateway.Operation {
	return gateway.Op(gateway.Def[ListPoliciesInput, *ListPoliciesOutput]{
		Name: "ListPolicies", ReadOnly: true,
		Authorize: all[ListPoliciesInput]("ListPolicies"),
		Call: func(ctx context.Context, c *gateway.Caller, in *ListPoliciesInput) (*ListPoliciesOutput, error) {
			r := request{name: "ListPolicies " + value(in.Scope), marker: in.Marker, max: in.MaxItems, prefix: in.PathPrefix}
			p, err := s.page(c, r)
			if err != nil {
				return nil, err
			}
			if value(in.PolicyUsageFilter) == "PermissionsBoundary" { // nobody has one
				return &ListPoliciesOutput{}, nil
			}
			policies, next, err := s.policies(ctx, c.Principal.Account, value(in.Scope), p)
			if err != nil {
				return nil, err
			}
			out := &ListPoliciesOutput{Truncation: s.truncation(c, r, next)}
			for _, policy := range policies {
				n, err := s.attachments(ctx, c.Principal.Account, policy.ARN())
				if err != nil {
					return nil, err
				}
				if n > 0 || !in.OnlyAttached {
					out.Policies.Member = append(out.Policies.Member, shownPolicy(policy, n))
				}
			}
			return out, nil
		},
	})
}

// ofAWS begins the places of a list that are among the policies of AWS; those
// before are among the account's own.
const ofAWS = "arn:aws:iam::aws:"

// policies are a page of the managed policies of a scope, and where the next
// one begins: behind a place of the account's own policies, or of those of AWS.
func (s *service) policies(ctx context.Context, account, scope string, p organization.Page) (policies []organization.ManagedPolicy, next string, err error) {
	if scope != "AWS" && !strings.HasPrefix(p.After, ofAWS) {
		page, err := s.organization.ManagedPolicies(ctx, account, p)
		if err != nil || page.Next != "" {
			return page.Items, page.Next, err
		}
		policies = page.Items
		if len(policies) == p.Limit && scope != "Local" {
			return policies, ofAWS, nil
		}
		p.Limit, p.After = p.Limit-len(policies), ofAWS
	}
	if scope == "Local" {
		return policies, "", nil
	}
	aws := slices.DeleteFunc(s.organization.AWSPolicies(), func(m organization.ManagedPolicy) bool { return !below(m.ARN(), p.PathPrefix) })
	page := cut(aws, organization.ManagedPolicy.ARN, p)
	return append(policies, page.Items...), page.Next, nil
}

// below says whether a policy is below a path.
func below(arn, prefix string) bool {
	_, path, _ := strings.Cut(arn, ":policy")
	return prefix == "" || strings.HasPrefix(path[:strings.LastIndexByte(path, '/')+1], prefix)
}

// age orders the ids of a policy's versions, the newest first.
func age(newest, id string) string {
	// A shorter number is an older version: it is as far behind as it is shorter.
	return strings.Repeat("z", len(newest)-len(id)) + strings.Map(func(c rune) rune { return '0' + '9' - c }, strings.TrimPrefix(id, "v"))
}

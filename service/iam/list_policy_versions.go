package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// ListPolicyVersionsInput asks for a page of the versions of a managed policy.
type ListPolicyVersionsInput struct {
	PolicyArn string  `required:"" len:"20,2048"`
	Marker    *string `len:"1,2048"`
	MaxItems  *int    `range:"1,1000"`
}

// ListPolicyVersionsOutput is a page of versions.
type ListPolicyVersionsOutput struct {
	Versions Members[PolicyVersion]
	Truncation
}

// listPolicyVersions lists the versions of a managed policy, the newest first.
//
// IAM API Reference, "ListPolicyVersions".
func (s *service) listPolicyVersions() gateway.Operation {
	return gateway.Op(gateway.Def[ListPolicyVersionsInput, *ListPolicyVersionsOutput]{
		Name: "ListPolicyVersions", ReadOnly: true,
		Authorize: ask("ListPolicyVersions", func(_ string, in *ListPolicyVersionsInput) string { return in.PolicyArn }),
		Call: func(ctx context.Context, c *gateway.Caller, in *ListPolicyVersionsInput) (*ListPolicyVersionsOutput, error) {
			r := request{name: "ListPolicyVersions " + in.PolicyArn, marker: in.Marker, max: in.MaxItems}
			p, err := s.page(c, r)
			if err != nil {
				return nil, err
			}
			versions, err := s.organization.PolicyVersions(ctx, c.Principal.Account, in.PolicyArn)
			if err != nil {
				return nil, err
			}
			newest := versions[0].ID // a policy has a version at all times
			page := cut(versions, func(v organization.PolicyVersion) string { return age(newest, v.ID) }, p)
			return &ListPolicyVersionsOutput{shown(page.Items, shownVersion), s.truncation(c, r, page.Next)}, nil
		},
	})
}

package iam

import (
	"context"

	"souk/gateway"
)

// ListPolicyTagsInput asks for a page of the tags of a managed policy.
type ListPolicyTagsInput struct {
	PolicyArn string  `required:"" len:"20,2048"`
	Marker    *string `len:"1,2048"`
	MaxItems  *int    `range:"1,1000"`
}

// ListPolicyTagsOutput is a page of tags.
type ListPolicyTagsOutput struct {
	Tags Members[Tag]
	Truncation
}

// listPolicyTags lists the tags of a managed policy, by key.
//
// IAM API Reference, "ListPolicyTags".
func (s *service) listPolicyTags() gateway.Operation {
	return gateway.Op(gateway.Def[ListPolicyTagsInput, *ListPolicyTagsOutput]{
		Name: "ListPolicyTags", ReadOnly: true,
		Authorize: ask("ListPolicyTags", func(_ string, in *ListPolicyTagsInput) string { return in.PolicyArn }),
		Call: func(ctx context.Context, c *gateway.Caller, in *ListPolicyTagsInput) (*ListPolicyTagsOutput, error) {
			r := request{name: "ListPolicyTags " + in.PolicyArn, marker: in.Marker, max: in.MaxItems}
			p, err := s.page(c, r)
			if err != nil {
				return nil, err
			}
			policy, err := s.organization.ManagedPolicy(ctx, c.Principal.Account, in.PolicyArn)
			if err != nil {
				return nil, err
			}
			page := cut(tagList(policy.Tags), func(t Tag) string { return t.Key }, p)
			return &ListPolicyTagsOutput{Members[Tag]{page.Items}, s.truncation(c, r, page.Next)}, nil
		},
	})
}

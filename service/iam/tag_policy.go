package iam

import (
	"context"

	"souk/access/iam"
	"souk/gateway"
)

// TagPolicyInput says which tags a managed policy gets.
type TagPolicyInput struct {
	PolicyArn string `required:"" len:"20,2048"`
	Tags      []Tag  `required:"" size:"0,50"`
}

// tagPolicy gives a managed policy tags, in the place of those with the same keys.
//
// IAM API Reference, "TagPolicy".
func (s *service) tagPolicy() gateway.Operation {
	return gateway.Op(gateway.Def[TagPolicyInput, gateway.Raw]{
		Name: "TagPolicy",
		Authorize: with(ask("TagPolicy", func(_ string, in *TagPolicyInput) string { return in.PolicyArn }),
			func(in *TagPolicyInput) iam.Context { return tagKeys(in.Tags) }),
		Call: func(ctx context.Context, c *gateway.Caller, in *TagPolicyInput) (gateway.Raw, error) {
			tags, err := tagMap(in.Tags)
			if err == nil {
				err = s.organization.TagManagedPolicy(ctx, c.Principal.Account, in.PolicyArn, tags, nil)
			}
			return nil, err
		},
	})
}

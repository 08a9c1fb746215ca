package iam

import (
	"context"

	"souk/access/iam"
	"souk/gateway"
)

// UntagPolicyInput says which tags are taken from a managed policy.
type UntagPolicyInput struct {
	PolicyArn string   `required:"" len:"20,2048"`
	TagKeys   []string `required:"" size:"0,50" memberlen:"1,128"`
}

// untagPolicy takes tags from a managed policy.
//
// IAM API Reference, "UntagPolicy".
func (s *service) untagPolicy() gateway.Operation {
	return gateway.Op(gateway.Def[UntagPolicyInput, gateway.Raw]{
		Name: "UntagPolicy",
		Authorize: with(ask("UntagPolicy", func(_ string, in *UntagPolicyInput) string { return in.PolicyArn }),
			func(in *UntagPolicyInput) iam.Context { return iam.Context{"aws:tagkeys": in.TagKeys} }),
		Call: func(ctx context.Context, c *gateway.Caller, in *UntagPolicyInput) (gateway.Raw, error) {
			return nil, s.organization.TagManagedPolicy(ctx, c.Principal.Account, in.PolicyArn, nil, in.TagKeys)
		},
	})
}

package iam

import (
	"context"

	"souk/access/iam"
	"souk/access/organization"
	"souk/gateway"
)

// UntagUserInput says which tags are taken from a user.
type UntagUserInput struct {
	UserName string   `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	TagKeys  []string `required:"" size:"0,50" memberlen:"1,128"`
}

// untagUser takes tags from a user.
//
// IAM API Reference, "UntagUser".
func (s *service) untagUser() gateway.Operation {
	return gateway.Op(gateway.Def[UntagUserInput, gateway.Raw]{
		Name: "UntagUser",
		Authorize: with(on(s, "UntagUser", organization.OfUser, func(in *UntagUserInput) string { return in.UserName }),
			func(in *UntagUserInput) iam.Context { return iam.Context{"aws:tagkeys": in.TagKeys} }),
		Call: func(ctx context.Context, c *gateway.Caller, in *UntagUserInput) (gateway.Raw, error) {
			_, err := s.organization.UpdateUser(ctx, c.Principal.Account, in.UserName, organization.UserUpdate{RemoveTags: in.TagKeys})
			return nil, err
		},
	})
}

package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// DeleteUserInput names a user.
type DeleteUserInput struct {
	UserName string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
}

// deleteUser deletes a user who has neither access keys, nor policies, nor groups.
//
// IAM API Reference, "DeleteUser".
func (s *service) deleteUser() gateway.Operation {
	return gateway.Op(gateway.Def[DeleteUserInput, gateway.Raw]{
		Name:      "DeleteUser",
		Authorize: on(s, "DeleteUser", organization.OfUser, func(in *DeleteUserInput) string { return in.UserName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *DeleteUserInput) (gateway.Raw, error) {
			return nil, s.organization.DeleteUser(ctx, c.Principal.Account, in.UserName, false)
		},
	})
}

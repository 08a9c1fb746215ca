package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// UpdateUserInput says what of a user is changed.
type UpdateUserInput struct {
	UserName    string  `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	NewPath     *string `len:"1,512" pattern:"(\\x2F)|(\\x2F[\\x21-\\x7E]+\\x2F)"`
	NewUserName *string `len:"1,64" pattern:"[\\w+=,.@-]+"`
}

// updateUser gives a user another name or path. Its access keys and groups stay.
//
// IAM API Reference, "UpdateUser".
func (s *service) updateUser() gateway.Operation {
	return gateway.Op(gateway.Def[UpdateUserInput, gateway.Raw]{
		Name:      "UpdateUser",
		Authorize: renamed(s, "UpdateUser", organization.OfUser, func(in *UpdateUserInput) (string, *string, *string) { return in.UserName, in.NewPath, in.NewUserName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *UpdateUserInput) (gateway.Raw, error) {
			_, err := s.organization.UpdateUser(ctx, c.Principal.Account, in.UserName, organization.UserUpdate{Name: in.NewUserName, Path: in.NewPath})
			return nil, err
		},
	})
}

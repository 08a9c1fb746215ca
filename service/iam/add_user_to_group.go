package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// AddUserToGroupInput names a group and a user.
type AddUserToGroupInput struct {
	GroupName string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	UserName  string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
}

// addUserToGroup puts a user into a group.
//
// IAM API Reference, "AddUserToGroup".
func (s *service) addUserToGroup() gateway.Operation {
	return gateway.Op(gateway.Def[AddUserToGroupInput, gateway.Raw]{
		Name:      "AddUserToGroup",
		Authorize: on(s, "AddUserToGroup", organization.OfGroup, func(in *AddUserToGroupInput) string { return in.GroupName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *AddUserToGroupInput) (gateway.Raw, error) {
			return nil, s.organization.AddMember(ctx, c.Principal.Account, in.GroupName, in.UserName)
		},
	})
}

package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// RemoveUserFromGroupInput names a group and a user.
type RemoveUserFromGroupInput struct {
	GroupName string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	UserName  string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
}

// removeUserFromGroup takes a user out of a group.
//
// IAM API Reference, "RemoveUserFromGroup".
func (s *service) removeUserFromGroup() gateway.Operation {
	return gateway.Op(gateway.Def[RemoveUserFromGroupInput, gateway.Raw]{
		Name:      "RemoveUserFromGroup",
		Authorize: on(s, "RemoveUserFromGroup", organization.OfGroup, func(in *RemoveUserFromGroupInput) string { return in.GroupName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *RemoveUserFromGroupInput) (gateway.Raw, error) {
			return nil, s.organization.RemoveMember(ctx, c.Principal.Account, in.GroupName, in.UserName)
		},
	})
}

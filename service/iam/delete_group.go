package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// DeleteGroupInput names a group.
type DeleteGroupInput struct {
	GroupName string `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
}

// deleteGroup deletes a group that has neither users nor policies.
//
// IAM API Reference, "DeleteGroup".
func (s *service) deleteGroup() gateway.Operation {
	return gateway.Op(gateway.Def[DeleteGroupInput, gateway.Raw]{
		Name:      "DeleteGroup",
		Authorize: on(s, "DeleteGroup", organization.OfGroup, func(in *DeleteGroupInput) string { return in.GroupName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *DeleteGroupInput) (gateway.Raw, error) {
			return nil, s.organization.DeleteGroup(ctx, c.Principal.Account, in.GroupName)
		},
	})
}

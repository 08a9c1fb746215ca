package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// UpdateGroupInput says what of a group is changed.
type UpdateGroupInput struct {
	GroupName    string  `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	NewPath      *string `len:"1,512" pattern:"(\\x2F)|(\\x2F[\\x21-\\x7E]+\\x2F)"`
	NewGroupName *string `len:"1,128" pattern:"[\\w+=,.@-]+"`
}

// updateGroup gives a group another name or path. Its members and policies stay.
//
// IAM API Reference, "UpdateGroup".
func (s *service) updateGroup() gateway.Operation {
	return gateway.Op(gateway.Def[UpdateGroupInput, gateway.Raw]{
		Name: "UpdateGroup",
		Authorize: renamed(s, "UpdateGroup", organization.OfGroup, func(in *UpdateGroupInput) (string, *string, *string) {
			return in.GroupName, in.NewPath, in.NewGroupName
		}),
		Call: func(ctx context.Context, c *gateway.Caller, in *UpdateGroupInput) (gateway.Raw, error) {
			return nil, s.organization.UpdateGroup(ctx, c.Principal.Account, in.GroupName, organization.GroupUpdate{Name: in.NewGroupName, Path: in.NewPath})
		},
	})
}

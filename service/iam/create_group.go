package iam

import (
	"context"

	"souk/gateway"
)

// CreateGroupInput says which group is to be made.
type CreateGroupInput struct {
	GroupName string  `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	Path      *string `len:"1,512" pattern:"(\\x2F)|(\\x2F[\\x21-\\x7E]+\\x2F)"`
}

// CreateGroupOutput is the new group.
type CreateGroupOutput struct{ Group Group }

// createGroup makes a group.
//
// IAM API Reference, "CreateGroup".
func (s *service) createGroup() gateway.Operation {
	return gateway.Op(gateway.Def[CreateGroupInput, *CreateGroupOutput]{
		Name:      "CreateGroup",
		Authorize: made("CreateGroup", "group", func(in *CreateGroupInput) (*string, string) { return in.Path, in.GroupName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *CreateGroupInput) (*CreateGroupOutput, error) {
			g, err := s.organization.CreateGroup(ctx, c.Principal.Account, in.GroupName, value(in.Path))
			if err != nil {
				return nil, err
			}
			return &CreateGroupOutput{shownGroup(g)}, nil
		},
	})
}

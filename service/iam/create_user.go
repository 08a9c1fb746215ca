package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// CreateUserInput says which user is to be made.
type CreateUserInput struct {
	UserName            string  `required:"" len:"1,64" pattern:"[\\w+=,.@-]+"`
	Path                *string `len:"1,512" pattern:"(\\x2F)|(\\x2F[\\x21-\\x7E]+\\x2F)"`
	PermissionsBoundary *string
	Tags                []Tag `size:"0,50"`
}

// CreateUserOutput is the new user.
type CreateUserOutput struct{ User User }

// createUser makes a user, who may do nothing yet.
//
// IAM API Reference, "CreateUser".
func (s *service) createUser() gateway.Operation {
	return gateway.Op(gateway.Def[CreateUserInput, *CreateUserOutput]{
		Name: "CreateUser",
		Authorize: tagged(made("CreateUser", "user", func(in *CreateUserInput) (*string, string) { return in.Path, in.UserName }),
			"TagUser", func(in *CreateUserInput) []Tag { return in.Tags }),
		Call: func(ctx context.Context, c *gateway.Caller, in *CreateUserInput) (*CreateUserOutput, error) {
			if err := noBoundary(in.PermissionsBoundary); err != nil {
				return nil, err
			}
			tags, err := tagMap(in.Tags)
			if err != nil {
				return nil, err
			}
			u, err := s.organization.MakeUser(ctx, organization.NewUser{Account: c.Principal.Account, Name: in.UserName, Path: value(in.Path), Tags: tags})
			if err != nil {
				return nil, err
			}
			out := &CreateUserOutput{shownUser(u)}
			out.User.Tags = shownTags(u.Tags)
			return out, nil
		},
	})
}

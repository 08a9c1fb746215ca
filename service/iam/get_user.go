package iam

import (
	"context"

	"souk/gateway"
)

// GetUserInput names a user.
type GetUserInput struct {
	UserName *string `len:"1,128" pattern:"[\\w+=,.@-]+"`
}

// GetUserOutput is the user.
type GetUserOutput struct{ User User }

// getUser shows a user: the caller where none is named.
//
// IAM API Reference, "GetUser".
func (s *service) getUser() gateway.Operation {
	return gateway.Op(gateway.Def[GetUserInput, *GetUserOutput]{
		Name: "GetUser", ReadOnly: true,
		Authorize: self(s, "GetUser", func(in *GetUserInput) *string { return in.UserName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *GetUserInput) (*GetUserOutput, error) {
			name, err := caller(c, in.UserName)
			if err != nil {
				return nil, err
			}
			if name == "" {
				a, err := s.organization.Account(ctx, c.Principal.Account)
				if err != nil {
					return nil, err
				}
				return &GetUserOutput{User{Path: "/", UserId: a.ID, Arn: a.RootARN(), CreateDate: date(a.Created)}}, nil
			}
			u, err := s.organization.User(ctx, c.Principal.Account, name)
			if err != nil {
				return nil, err
			}
			out := &GetUserOutput{shownUser(u)}
			out.User.Tags = shownTags(u.Tags)
			return out, nil
		},
	})
}

package iam

import (
	"context"
	"strings"

	"souk/access/iam"
	"souk/access/organization"
	"souk/gateway"
)

// UpdateUserInput says what of a user is changed.
type UpdateUserInput struct {
	UserName    string  `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	NewPath     *string `len:"1,512" pattern:"(\\x2F)|(\\x2F[\\x21-\\x7E]+\\x2F)"`
	NewUserName *string `len:"1,64" pattern:"[\\w+=,.@-]+"`
}

// renaming asks for the user as it is, and as it is to be: "To change a user
// name, the requester must have appropriate permissions on both the source
// object and the target object." Else who may change users of one path could
// give them another, and what policies allow there.
func (s *service) renaming(ctx context.Context, c *gateway.Caller, in *UpdateUserInput) ([]iam.Question, error) {
	was, err := s.arn(ctx, organization.Holder{Kind: organization.OfUser, Account: c.Principal.Account, Name: in.UserName})
	if err != nil {
		return nil, err
	}
	kind, rest, _ := strings.Cut(was, "/") // arn:aws:iam::ACCOUNT:user, division/Bob
	slash := strings.LastIndexByte(rest, '/') + 1
	path, name := "/"+rest[:slash], rest[slash:]
	if in.NewPath != nil {
		path = *in.NewPath
	}
	if in.NewUserName != nil {
		name = *in.NewUserName
	}
	questions := []iam.Question{{Action: "iam:UpdateUser", Resource: was}}
	if is := kind + path + name; is != was {
		questions = append(questions, iam.Question{Action: "iam:UpdateUser", Resource: is})
	}
	return questions, nil
}

// updateUser gives a user another name or path. Its access keys and groups stay.
//
// IAM API Reference, "UpdateUser".
func (s *service) updateUser() gateway.Operation {
	return gateway.Op(gateway.Def[UpdateUserInput, gateway.Raw]{
		Name:      "UpdateUser",
		Authorize: s.renaming,
		Call: func(ctx context.Context, c *gateway.Caller, in *UpdateUserInput) (gateway.Raw, error) {
			_, err := s.organization.UpdateUser(ctx, c.Principal.Account, in.UserName, organization.UserUpdate{Name: in.NewUserName, Path: in.NewPath})
			return nil, err
		},
	})
}

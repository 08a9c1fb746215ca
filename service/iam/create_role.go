package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// CreateRoleInput says which role is to be made.
type CreateRoleInput struct {
	RoleName                 string  `required:"" len:"1,64" pattern:"[\\w+=,.@-]+"`
	Path                     *string `len:"1,512" pattern:"(\\x2F)|(\\x2F[\\x21-\\x7E]+\\x2F)"`
	AssumeRolePolicyDocument string  `required:"" len:"1,131072" pattern:"[\\x09\\x0A\\x0D\\x20-\\x{FF}]+"`
	Description              *string `len:"0,1000"`
	MaxSessionDuration       *int    `range:"3600,43200"`
	PermissionsBoundary      *string
	Tags                     []Tag `size:"0,50"`
}

// CreateRoleOutput is the new role.
type CreateRoleOutput struct{ Role Role }

// createRole makes a role that may do nothing yet.
//
// IAM API Reference, "CreateRole".
func (s *service) createRole() gateway.Operation {
	return gateway.Op(gateway.Def[CreateRoleInput, *CreateRoleOutput]{
		Name: "CreateRole",
		Authorize: tagged(made("CreateRole", "role", func(in *CreateRoleInput) (*string, string) { return in.Path, in.RoleName }),
			"TagRole", func(in *CreateRoleInput) []Tag { return in.Tags }),
		Call: func(ctx context.Context, c *gateway.Caller, in *CreateRoleInput) (*CreateRoleOutput, error) {
			if err := noBoundary(in.PermissionsBoundary); err != nil {
				return nil, err
			}
			tags, err := tagMap(in.Tags)
			if err != nil {
				return nil, err
			}
			r, err := s.organization.CreateRole(ctx, organization.NewRole{
				Account: c.Principal.Account, Name: in.RoleName, Path: value(in.Path), Description: value(in.Description),
				MaxSession: value(in.MaxSessionDuration), Trust: in.AssumeRolePolicyDocument, Tags: tags,
			})
			if err != nil {
				return nil, err
			}
			out := &CreateRoleOutput{shownRole(r)}
			out.Role.Tags = shownTags(r.Tags)
			return out, nil
		},
	})
}

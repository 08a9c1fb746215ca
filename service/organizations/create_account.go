package organizations

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// CreateAccountInput asks for a member account.
type CreateAccountInput struct {
	Email                  string  `required:"" len:"6,64" pattern:"[^\\s@]+@[^\\s@]+\\.[^\\s@]+" sensitive:""`
	AccountName            string  `required:"" len:"1,50" pattern:"[\\x20-\\x7E]+" sensitive:""`
	RoleName               *string `len:"0,64" pattern:"[\\w+=,.@-]{1,64}"`
	IamUserAccessToBilling *string `enum:"ALLOW,DENY"` // there is no billing to see
	Tags                   []Tag
}

// CreateAccountOutput is the request, which is in progress.
type CreateAccountOutput struct{ CreateAccountStatus CreateAccountStatus }

// createAccount asks for an account, which is made soon after.
//
// AWS Organizations API Reference, "CreateAccount".
func (s *service) createAccount() gateway.Operation {
	return gateway.Op(gateway.Def[CreateAccountInput, *CreateAccountOutput]{
		Name:      "CreateAccount",
		Authorize: tagged(anything[CreateAccountInput]("CreateAccount"), func(in *CreateAccountInput) []Tag { return in.Tags }),
		Call: managed(s, func(ctx context.Context, _ organization.Info, in *CreateAccountInput) (*CreateAccountOutput, error) {
			tags, err := tagMap(in.Tags)
			if err != nil {
				return nil, err
			}
			want := organization.NewAccount{Name: in.AccountName, Email: in.Email, Tags: tags}
			if in.RoleName != nil {
				want.Role = *in.RoleName
			}
			c, err := s.organization.RequestAccount(ctx, want)
			if err != nil {
				return nil, err
			}
			return &CreateAccountOutput{shownStatus(c)}, nil
		}),
	})
}

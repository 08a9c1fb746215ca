package iam

import (
	"context"

	"souk/gateway"
)

// CreatePolicyVersionInput is a new version of a managed policy.
type CreatePolicyVersionInput struct {
	PolicyArn      string `required:"" len:"20,2048"`
	PolicyDocument string `required:"" len:"1,131072" pattern:"[\\x09\\x0A\\x0D\\x20-\\x{FF}]+"`
	SetAsDefault   bool
}

// CreatePolicyVersionOutput is the new version.
type CreatePolicyVersionOutput struct{ PolicyVersion PolicyVersion }

// createPolicyVersion adds a version to a managed policy.
//
// IAM API Reference, "CreatePolicyVersion".
func (s *service) createPolicyVersion() gateway.Operation {
	return gateway.Op(gateway.Def[CreatePolicyVersionInput, *CreatePolicyVersionOutput]{
		Name:      "CreatePolicyVersion",
		Authorize: ask("CreatePolicyVersion", func(_ string, in *CreatePolicyVersionInput) string { return in.PolicyArn }),
		Call: func(ctx context.Context, c *gateway.Caller, in *CreatePolicyVersionInput) (*CreatePolicyVersionOutput, error) {
			v, err := s.organization.CreatePolicyVersion(ctx, c.Principal.Account, in.PolicyArn, in.PolicyDocument, in.SetAsDefault)
			if err != nil {
				return nil, err
			}
			return &CreatePolicyVersionOutput{shownVersion(v)}, nil
		},
	})
}

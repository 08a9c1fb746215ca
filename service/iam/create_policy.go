package iam

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// CreatePolicyInput says which policy is to be made.
type CreatePolicyInput struct {
	PolicyName     string  `required:"" len:"1,128" pattern:"[\\w+=,.@-]+"`
	Path           *string `len:"1,512" pattern:"((/[A-Za-z0-9\\.,\\+@=_-]+)*)/"`
	PolicyDocument string  `required:"" len:"1,131072" pattern:"[\\x09\\x0A\\x0D\\x20-\\x{FF}]+"`
	Description    *string `len:"0,1000"`
	Tags           []Tag   `size:"0,50"`
}

// CreatePolicyOutput is the new policy.
type CreatePolicyOutput struct{ Policy Policy }

// createPolicy makes a managed policy with its first version.
//
// IAM API Reference, "CreatePolicy".
func (s *service) createPolicy() gateway.Operation {
	return gateway.Op(gateway.Def[CreatePolicyInput, *CreatePolicyOutput]{
		Name: "CreatePolicy",
		Authorize: tagged(made("CreatePolicy", "policy", func(in *CreatePolicyInput) (*string, string) { return in.Path, in.PolicyName }),
			"TagPolicy", func(in *CreatePolicyInput) []Tag { return in.Tags }),
		Call: func(ctx context.Context, c *gateway.Caller, in *CreatePolicyInput) (*CreatePolicyOutput, error) {
			tags, err := tagMap(in.Tags)
			if err != nil {
				return nil, err
			}
			p, err := s.organization.CreateManagedPolicy(ctx, organization.NewManagedPolicy{
				Account: c.Principal.Account, Name: in.PolicyName, Path: value(in.Path), Description: value(in.Description),
				Document: in.PolicyDocument, Tags: tags,
			})
			if err != nil {
				return nil, err
			}
			out := &CreatePolicyOutput{shownPolicy(p, 0)}
			out.Policy.Tags = shownTags(p.Tags)
			return out, nil
		},
	})
}

package iam

import (
	"context"

	"souk/gateway"
)

// GetPolicyVersionInput names a version of a managed policy.
type GetPolicyVersionInput struct {
	PolicyArn string `required:"" len:"20,2048"`
	VersionId string `required:"" pattern:"v[1-9][0-9]*(\\.[A-Za-z0-9-]*)?"`
}

// GetPolicyVersionOutput is the version.
type GetPolicyVersionOutput struct{ PolicyVersion PolicyVersion }

// getPolicyVersion shows a version of a managed policy, with its document.
//
// IAM API Reference, "GetPolicyVersion".
func (s *service) getPolicyVersion() gateway.Operation {
	return gateway.Op(gateway.Def[GetPolicyVersionInput, *GetPolicyVersionOutput]{
		Name: "GetPolicyVersion", ReadOnly: true,
		Authorize: ask("GetPolicyVersion", func(_ string, in *GetPolicyVersionInput) string { return in.PolicyArn }),
		Call: func(ctx context.Context, c *gateway.Caller, in *GetPolicyVersionInput) (*GetPolicyVersionOutput, error) {
			v, err := s.organization.PolicyVersion(ctx, c.Principal.Account, in.PolicyArn, in.VersionId)
			if err != nil {
				return nil, err
			}
			out := &GetPolicyVersionOutput{shownVersion(v)}
			out.PolicyVersion.Document = encoded(v.Document)
			return out, nil
		},
	})
}

package sts

import (
	"context"

	"souk/access/iam"
	"souk/gateway"
)

// GetCallerIdentityInput has no members.
type GetCallerIdentityInput struct{}

// GetCallerIdentityOutput says who signed the request.
type GetCallerIdentityOutput struct {
	UserId  string // AIDA... of a user, the account id of a root user
	Account string // 12 digits
	Arn     string
}

// getCallerIdentity asks no policy: "No permissions are required to perform
// this operation. If an administrator attaches a policy to your identity that
// explicitly denies access to the sts:GetCallerIdentity action, you can still
// perform this operation."
//
// AWS Security Token Service API Reference, "GetCallerIdentity".
func getCallerIdentity() gateway.Operation {
	return gateway.Op(gateway.Def[GetCallerIdentityInput, *GetCallerIdentityOutput]{
		Name:     "GetCallerIdentity",
		ReadOnly: true,
		Authorize: func(context.Context, *gateway.Caller, *GetCallerIdentityInput) ([]iam.Question, error) {
			return nil, nil
		},
		Call: func(_ context.Context, c *gateway.Caller, _ *GetCallerIdentityInput) (*GetCallerIdentityOutput, error) {
			p := c.Principal
			return &GetCallerIdentityOutput{UserId: p.ID, Account: p.Account, Arn: p.ARN}, nil
		},
	})
}

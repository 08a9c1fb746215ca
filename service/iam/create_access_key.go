package iam

import (
	"context"

	"souk/gateway"
)

// CreateAccessKeyInput names a user.
type CreateAccessKeyInput struct {
	UserName *string `len:"1,128" pattern:"[\\w+=,.@-]+"`
}

// CreateAccessKeyOutput is the new access key.
type CreateAccessKeyOutput struct{ AccessKey AccessKey }

// createAccessKey makes an access key of a user, of the caller where none is named. Its secret is told this once.
//
// IAM API Reference, "CreateAccessKey".
func (s *service) createAccessKey() gateway.Operation {
	return gateway.Op(gateway.Def[CreateAccessKeyInput, *CreateAccessKeyOutput]{
		Name:      "CreateAccessKey",
		Authorize: self(s, "CreateAccessKey", func(in *CreateAccessKeyInput) *string { return in.UserName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *CreateAccessKeyInput) (*CreateAccessKeyOutput, error) {
			name, err := caller(c, in.UserName)
			if err != nil {
				return nil, err
			}
			k, err := s.organization.CreateKey(ctx, c.Principal.Account, name)
			if err != nil {
				return nil, err
			}
			return &CreateAccessKeyOutput{AccessKey{
				UserName: name, AccessKeyId: k.ID, Status: status(true), SecretAccessKey: k.Secret, CreateDate: date(c.Time),
			}}, nil
		},
	})
}

// AccessKey is an access key with its secret.
type AccessKey struct {
	UserName        string
	AccessKeyId     string
	Status          string
	SecretAccessKey string
	CreateDate      string
}

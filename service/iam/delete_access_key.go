package iam

import (
	"context"

	"souk/gateway"
)

// DeleteAccessKeyInput names an access key of a user, of the caller where none is named.
type DeleteAccessKeyInput struct {
	UserName    *string `len:"1,128" pattern:"[\\w+=,.@-]+"`
	AccessKeyId string  `required:"" len:"16,128" pattern:"[\\w]+"`
}

// deleteAccessKey deletes an access key.
//
// IAM API Reference, "DeleteAccessKey".
func (s *service) deleteAccessKey() gateway.Operation {
	return gateway.Op(gateway.Def[DeleteAccessKeyInput, gateway.Raw]{
		Name:      "DeleteAccessKey",
		Authorize: self(s, "DeleteAccessKey", func(in *DeleteAccessKeyInput) *string { return in.UserName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *DeleteAccessKeyInput) (gateway.Raw, error) {
			name, err := caller(c, in.UserName)
			if err == nil {
				err = s.owned(ctx, c.Principal.Account, name, in.AccessKeyId)
			}
			if err != nil {
				return nil, err
			}
			return nil, s.organization.DeleteKey(ctx, c.Principal.Account, in.AccessKeyId)
		},
	})
}

package iam

import (
	"context"

	"souk/gateway"
)

// UpdateAccessKeyInput names an access key of a user, of the caller where none is named.
type UpdateAccessKeyInput struct {
	UserName    *string `len:"1,128" pattern:"[\\w+=,.@-]+"`
	AccessKeyId string  `required:"" len:"16,128" pattern:"[\\w]+"`
	Status      string  `required:"" enum:"Active,Inactive"`
}

// updateAccessKey makes an access key valid or invalid.
//
// IAM API Reference, "UpdateAccessKey".
func (s *service) updateAccessKey() gateway.Operation {
	return gateway.Op(gateway.Def[UpdateAccessKeyInput, gateway.Raw]{
		Name:      "UpdateAccessKey",
		Authorize: self(s, "UpdateAccessKey", func(in *UpdateAccessKeyInput) *string { return in.UserName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *UpdateAccessKeyInput) (gateway.Raw, error) {
			name, err := caller(c, in.UserName)
			if err == nil {
				err = s.owned(ctx, c.Principal.Account, name, in.AccessKeyId)
			}
			if err != nil {
				return nil, err
			}
			return nil, s.organization.SetKeyActive(ctx, c.Principal.Account, in.AccessKeyId, in.Status == "Active")
		},
	})
}

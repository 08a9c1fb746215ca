package iam

import (
	"context"
	"slices"

	"souk/access/organization"
	"souk/gateway"
	"souk/gateway/apierror"
)

// ListAccessKeysInput asks for a page of the access keys of a user.
type ListAccessKeysInput struct {
	UserName *string `len:"1,128" pattern:"[\\w+=,.@-]+"`
	Marker   *string `len:"1,2048"`
	MaxItems *int    `range:"1,1000"`
}

// ListAccessKeysOutput is a page of access keys.
type ListAccessKeysOutput struct {
	AccessKeyMetadata Members[AccessKeyMetadata]
	Truncation
}

// listAccessKeys lists the access keys of a user, of the caller where none is named.
//
// IAM API Reference, "ListAccessKeys".
func (s *service) listAccessKeys() gateway.Operation {
	return gateway.Op(gateway.Def[ListAccessKeysInput, *ListAccessKeysOutput]{
		Name: "ListAccessKeys", ReadOnly: true,
		Authorize: self(s, "ListAccessKeys", func(in *ListAccessKeysInput) *string { return in.UserName }),
		Call: func(ctx context.Context, c *gateway.Caller, in *ListAccessKeysInput) (*ListAccessKeysOutput, error) {
			name, err := caller(c, in.UserName)
			if err != nil {
				return nil, err
			}
			r := request{name: "ListAccessKeys " + name, marker: in.Marker, max: in.MaxItems}
			p, err := s.page(c, r)
			if err != nil {
				return nil, err
			}
			keys, err := s.keys(ctx, c.Principal.Account, name)
			if err != nil {
				return nil, err
			}
			page := cut(keys, func(k organization.AccessKey) string { return k.ID }, p)
			return &ListAccessKeysOutput{shown(page.Items, shownKey), s.truncation(c, r, page.Next)}, nil
		},
	})
}

// keys are the access keys of a user, or of the root user if user is "".
func (s *service) keys(ctx context.Context, account, user string) ([]organization.AccessKey, error) {
	keys, err := s.organization.Keys(ctx, account, user)
	if user == "" {
		keys = slices.DeleteFunc(keys, func(k organization.AccessKey) bool { return k.User != "" })
	}
	return keys, err
}

// owned refuses an access key that the user does not have.
func (s *service) owned(ctx context.Context, account, user, id string) error {
	keys, err := s.keys(ctx, account, user)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(keys, func(k organization.AccessKey) bool { return k.ID == id }) {
		return apierror.New("NoSuchEntity", "The Access Key with id %s cannot be found.", id)
	}
	return nil
}

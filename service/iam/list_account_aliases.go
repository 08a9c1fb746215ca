package iam

import (
	"context"

	"souk/gateway"
)

// ListAccountAliasesInput asks for a page of aliases.
type ListAccountAliasesInput struct {
	Marker   *string `len:"1,2048"`
	MaxItems *int    `range:"1,1000"`
}

// ListAccountAliasesOutput is the empty list.
type ListAccountAliasesOutput struct {
	AccountAliases Members[string]
	Truncation
}

// listAccountAliases answers that the account has no alias: there are none.
//
// IAM API Reference, "ListAccountAliases".
func (s *service) listAccountAliases() gateway.Operation {
	return gateway.Op(gateway.Def[ListAccountAliasesInput, *ListAccountAliasesOutput]{
		Name: "ListAccountAliases", ReadOnly: true,
		Authorize: all[ListAccountAliasesInput]("ListAccountAliases"),
		Call: func(_ context.Context, _ *gateway.Caller, _ *ListAccountAliasesInput) (*ListAccountAliasesOutput, error) {
			return &ListAccountAliasesOutput{}, nil
		},
	})
}

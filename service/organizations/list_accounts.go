package organizations

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// ListAccountsInput asks for a page of all accounts.
type ListAccountsInput struct {
	NextToken  *string `len:"0,100000"`
	MaxResults *int    `range:"1,20"`
}

// ListAccountsOutput is a page of accounts.
type ListAccountsOutput struct {
	Accounts  []Account
	NextToken string `json:",omitzero"`
}

// listAccounts lists all accounts of the organisation, by id.
//
// AWS Organizations API Reference, "ListAccounts".
func (s *service) listAccounts() gateway.Operation {
	return gateway.Op(gateway.Def[ListAccountsInput, *ListAccountsOutput]{
		Name: "ListAccounts", ReadOnly: true,
		Authorize: anything[ListAccountsInput]("ListAccounts"),
		Call: managed(s, func(ctx context.Context, info organization.Info, in *ListAccountsInput) (*ListAccountsOutput, error) {
			found, next, err := s.organization.ListAccounts(ctx, page(in.MaxResults, in.NextToken))
			if err != nil {
				return nil, err
			}
			shown, err := s.shownAccounts(ctx, info, found)
			if err != nil {
				return nil, err
			}
			return &ListAccountsOutput{shown, next}, nil
		}),
	})
}

package organizations

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// ListAccountsForParentInput asks for a page of the accounts in a parent.
type ListAccountsForParentInput struct {
	ParentId   string  `required:"" len:"0,100" pattern:"^(r-[0-9a-z]{4,32})|(ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})$"`
	NextToken  *string `len:"0,100000"`
	MaxResults *int    `range:"1,20"`
}

// ListAccountsForParentOutput is a page of accounts.
type ListAccountsForParentOutput struct {
	Accounts  []Account
	NextToken string `json:",omitzero"`
}

// listAccountsForParent lists the accounts in the root or a unit itself, not
// those in units of it.
//
// AWS Organizations API Reference, "ListAccountsForParent".
func (s *service) listAccountsForParent() gateway.Operation {
	return gateway.Op(gateway.Def[ListAccountsForParentInput, *ListAccountsForParentOutput]{
		Name: "ListAccountsForParent", ReadOnly: true,
		Authorize: about(s, "ListAccountsForParent", func(in *ListAccountsForParentInput) []string { return []string{in.ParentId} }),
		Call: managed(s, func(ctx context.Context, info organization.Info, in *ListAccountsForParentInput) (*ListAccountsForParentOutput, error) {
			found, next, err := s.organization.AccountsIn(ctx, in.ParentId, page(in.MaxResults, in.NextToken))
			if err != nil {
				return nil, err
			}
			shown, err := s.shownAccounts(ctx, info, found)
			if err != nil {
				return nil, err
			}
			return &ListAccountsForParentOutput{shown, next}, nil
		}),
	})
}

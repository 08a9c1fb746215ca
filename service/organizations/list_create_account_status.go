package organizations

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// ListCreateAccountStatusInput asks for a page of the requests to make accounts.
type ListCreateAccountStatusInput struct {
	States     []string `memberenum:"IN_PROGRESS,SUCCEEDED,FAILED"`
	NextToken  *string  `len:"0,100000"`
	MaxResults *int     `range:"1,20"`
}

// ListCreateAccountStatusOutput is a page of requests.
type ListCreateAccountStatusOutput struct {
	CreateAccountStatuses []CreateAccountStatus
	NextToken             string `json:",omitzero"`
}

// listCreateAccountStatus lists the requests to make accounts, the newest first.
//
// AWS Organizations API Reference, "ListCreateAccountStatus".
func (s *service) listCreateAccountStatus() gateway.Operation {
	return gateway.Op(gateway.Def[ListCreateAccountStatusInput, *ListCreateAccountStatusOutput]{
		Name: "ListCreateAccountStatus", ReadOnly: true,
		Authorize: anything[ListCreateAccountStatusInput]("ListCreateAccountStatus"),
		Call: managed(s, func(ctx context.Context, _ organization.Info, in *ListCreateAccountStatusInput) (*ListCreateAccountStatusOutput, error) {
			found, next, err := s.organization.Creations(ctx, in.States, page(in.MaxResults, in.NextToken))
			if err != nil {
				return nil, err
			}
			out := &ListCreateAccountStatusOutput{CreateAccountStatuses: make([]CreateAccountStatus, len(found)), NextToken: next}
			for i, c := range found {
				out.CreateAccountStatuses[i] = shownStatus(c)
			}
			return out, nil
		}),
	})
}

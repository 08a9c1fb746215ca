package organizations

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// ListDelegatedAdministratorsInput asks for the accounts that administrate the
// organisation, or a service of it, for the management account.
type ListDelegatedAdministratorsInput struct {
	ServicePrincipal *string `len:"1,128"`
	NextToken        *string `len:"0,100000"`
	MaxResults       *int    `range:"1,20"`
}

// ListDelegatedAdministratorsOutput is the empty list.
type ListDelegatedAdministratorsOutput struct {
	DelegatedAdministrators []Account
	NextToken               string `json:",omitzero"`
}

// listDelegatedAdministrators answers that there are none. Programs that
// describe an organisation ask.
//
// AWS Organizations API Reference, "ListDelegatedAdministrators".
func (s *service) listDelegatedAdministrators() gateway.Operation {
	return gateway.Op(gateway.Def[ListDelegatedAdministratorsInput, *ListDelegatedAdministratorsOutput]{
		Name: "ListDelegatedAdministrators", ReadOnly: true,
		Authorize: anything[ListDelegatedAdministratorsInput]("ListDelegatedAdministrators"),
		Call: managed(s, func(_ context.Context, _ organization.Info, in *ListDelegatedAdministratorsInput) (*ListDelegatedAdministratorsOutput, error) {
			return &ListDelegatedAdministratorsOutput{DelegatedAdministrators: []Account{}}, single(in.NextToken)
		}),
	})
}

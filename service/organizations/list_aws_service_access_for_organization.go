package organizations

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// ListAWSServiceAccessForOrganizationInput asks for the services that are
// trusted with the organisation.
type ListAWSServiceAccessForOrganizationInput struct {
	NextToken  *string `len:"0,100000"`
	MaxResults *int    `range:"1,20"`
}

// ListAWSServiceAccessForOrganizationOutput is the empty list.
type ListAWSServiceAccessForOrganizationOutput struct {
	EnabledServicePrincipals []EnabledServicePrincipal
	NextToken                string `json:",omitzero"`
}

// EnabledServicePrincipal is a service that is trusted with the organisation.
type EnabledServicePrincipal struct {
	ServicePrincipal string
}

// listAWSServiceAccessForOrganization answers that no service is trusted: there
// is nothing to be trusted with. Programs that describe an organisation ask.
//
// AWS Organizations API Reference, "ListAWSServiceAccessForOrganization".
func (s *service) listAWSServiceAccessForOrganization() gateway.Operation {
	return gateway.Op(gateway.Def[ListAWSServiceAccessForOrganizationInput, *ListAWSServiceAccessForOrganizationOutput]{
		Name: "ListAWSServiceAccessForOrganization", ReadOnly: true,
		Authorize: anything[ListAWSServiceAccessForOrganizationInput]("ListAWSServiceAccessForOrganization"),
		Call: managed(s, func(_ context.Context, _ organization.Info, in *ListAWSServiceAccessForOrganizationInput) (*ListAWSServiceAccessForOrganizationOutput, error) {
			return &ListAWSServiceAccessForOrganizationOutput{EnabledServicePrincipals: []EnabledServicePrincipal{}}, single(in.NextToken)
		}),
	})
}

package organizations

import (
	"context"
	"maps"
	"slices"

	"souk/access/organization"
	"souk/gateway"
	"souk/gateway/awsjson"
)

// ListAWSServiceAccessForOrganizationInput asks for the services that are
// trusted with the organisation.
type ListAWSServiceAccessForOrganizationInput struct {
	NextToken  *string `len:"0,100000"`
	MaxResults *int    `range:"1,20"`
}

// ListAWSServiceAccessForOrganizationOutput is the list, which has one page.
type ListAWSServiceAccessForOrganizationOutput struct {
	EnabledServicePrincipals []EnabledServicePrincipal
	NextToken                string `json:",omitzero"`
}

// EnabledServicePrincipal is a service that is trusted with the organisation.
type EnabledServicePrincipal struct {
	ServicePrincipal string
	DateEnabled      awsjson.Time
}

// listAWSServiceAccessForOrganization shows which services are trusted.
//
// AWS Organizations API Reference, "ListAWSServiceAccessForOrganization".
func (s *service) listAWSServiceAccessForOrganization() gateway.Operation {
	return gateway.Op(gateway.Def[ListAWSServiceAccessForOrganizationInput, *ListAWSServiceAccessForOrganizationOutput]{
		Name: "ListAWSServiceAccessForOrganization", ReadOnly: true,
		Authorize: anything[ListAWSServiceAccessForOrganizationInput]("ListAWSServiceAccessForOrganization"),
		Call: managed(s, func(_ context.Context, info organization.Info, in *ListAWSServiceAccessForOrganizationInput) (*ListAWSServiceAccessForOrganizationOutput, error) {
			out := &ListAWSServiceAccessForOrganizationOutput{EnabledServicePrincipals: []EnabledServicePrincipal{}}
			for _, name := range slices.Sorted(maps.Keys(info.Trusted)) {
				out.EnabledServicePrincipals = append(out.EnabledServicePrincipals, EnabledServicePrincipal{name, awsjson.Time{Time: info.Trusted[name]}})
			}
			return out, single(in.NextToken)
		}),
	})
}

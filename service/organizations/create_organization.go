package organizations

import (
	"context"

	"souk/gateway"
	"souk/gateway/apierror"
)

// CreateOrganizationInput asks for an organisation.
type CreateOrganizationInput struct {
	FeatureSet *string `enum:"ALL,CONSOLIDATED_BILLING"`
}

// CreateOrganizationOutput is the organisation that was made.
type CreateOrganizationOutput struct{ Organization Organization }

// createOrganization is refused to every account: a market is born with its
// organisation, and its accounts are born as members.
//
// AWS Organizations API Reference, "CreateOrganization".
func (s *service) createOrganization() gateway.Operation {
	return gateway.Op(gateway.Def[CreateOrganizationInput, *CreateOrganizationOutput]{
		Name:      "CreateOrganization",
		Authorize: anything[CreateOrganizationInput]("CreateOrganization"),
		Call: func(ctx context.Context, _ *gateway.Caller, _ *CreateOrganizationInput) (*CreateOrganizationOutput, error) {
			if _, err := s.organization.Info(ctx); err != nil {
				return nil, answer(err)
			}
			return nil, apierror.New("AlreadyInOrganizationException", "The AWS account is already a member of an organization.")
		},
	})
}

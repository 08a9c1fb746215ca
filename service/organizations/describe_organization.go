package organizations

import (
	"context"

	"souk/gateway"
)

// DescribeOrganizationInput has no members.
type DescribeOrganizationInput struct{}

// DescribeOrganizationOutput is the caller's organisation.
type DescribeOrganizationOutput struct{ Organization Organization }

// describeOrganization describes the organisation to any of its accounts.
//
// AWS Organizations API Reference, "DescribeOrganization".
func (s *service) describeOrganization() gateway.Operation {
	return gateway.Op(gateway.Def[DescribeOrganizationInput, *DescribeOrganizationOutput]{
		Name: "DescribeOrganization", ReadOnly: true,
		Authorize: anything[DescribeOrganizationInput]("DescribeOrganization"),
		Call: func(ctx context.Context, _ *gateway.Caller, _ *DescribeOrganizationInput) (*DescribeOrganizationOutput, error) {
			info, err := s.organization.Info(ctx)
			if err != nil {
				return nil, answer(err)
			}
			a, err := s.organization.Account(ctx, info.Management)
			if err != nil {
				return nil, answer(err)
			}
			return &DescribeOrganizationOutput{Organization{
				Id: info.ID, Arn: info.ARN(), FeatureSet: "ALL",
				MasterAccountId: a.ID, MasterAccountArn: info.AccountARN(a.ID), MasterAccountEmail: a.Address(),
				AvailablePolicyTypes: []PolicyType{},
			}}, nil
		},
	})
}

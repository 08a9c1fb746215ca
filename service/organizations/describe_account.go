package organizations

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
	"souk/gateway/apierror"
)

// DescribeAccountInput names an account.
type DescribeAccountInput struct {
	AccountId string `required:"" len:"0,12" pattern:"^\\d{12}$"`
}

// DescribeAccountOutput is the account.
type DescribeAccountOutput struct{ Account Account }

// describeAccount describes an account of the organisation.
//
// AWS Organizations API Reference, "DescribeAccount".
func (s *service) describeAccount() gateway.Operation {
	return gateway.Op(gateway.Def[DescribeAccountInput, *DescribeAccountOutput]{
		Name: "DescribeAccount", ReadOnly: true,
		Authorize: about(s, "DescribeAccount", func(in *DescribeAccountInput) []string { return []string{in.AccountId} }),
		Call: managed(s, func(ctx context.Context, info organization.Info, in *DescribeAccountInput) (*DescribeAccountOutput, error) {
			a, err := s.organization.Account(ctx, in.AccountId)
			if apierror.Is(err, "NoSuchEntity") || apierror.Is(err, "ValidationError") {
				return nil, apierror.New("AccountNotFoundException", "You specified an account that doesn't exist.")
			}
			if err != nil {
				return nil, err
			}
			shown, err := s.shownAccounts(ctx, info, []organization.Account{a})
			if err != nil {
				return nil, err
			}
			return &DescribeAccountOutput{shown[0]}, nil
		}),
	})
}

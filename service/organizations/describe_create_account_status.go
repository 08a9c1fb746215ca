package organizations

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// DescribeCreateAccountStatusInput names a request to make an account.
type DescribeCreateAccountStatusInput struct {
	CreateAccountRequestId string `required:"" len:"0,36" pattern:"^car-[a-z0-9]{8,32}$"`
}

// DescribeCreateAccountStatusOutput is the request as it is now.
type DescribeCreateAccountStatusOutput struct{ CreateAccountStatus CreateAccountStatus }

// describeCreateAccountStatus tells what came of a request to make an account.
//
// AWS Organizations API Reference, "DescribeCreateAccountStatus".
func (s *service) describeCreateAccountStatus() gateway.Operation {
	return gateway.Op(gateway.Def[DescribeCreateAccountStatusInput, *DescribeCreateAccountStatusOutput]{
		Name: "DescribeCreateAccountStatus", ReadOnly: true,
		Authorize: anything[DescribeCreateAccountStatusInput]("DescribeCreateAccountStatus"),
		Call: managed(s, func(ctx context.Context, _ organization.Info, in *DescribeCreateAccountStatusInput) (*DescribeCreateAccountStatusOutput, error) {
			c, err := s.organization.Creation(ctx, in.CreateAccountRequestId)
			if err != nil {
				return nil, err
			}
			return &DescribeCreateAccountStatusOutput{shownStatus(c)}, nil
		}),
	})
}

package marketplacecatalog

import (
	"context"

	"souk/access/iam"
	"souk/gateway"
)

// deleteResourcePolicy ends the sharing of an entity.
//
// Catalog API Reference, "DeleteResourcePolicy".
func (s *service) deleteResourcePolicy() gateway.Operation {
	return gateway.Op(gateway.Def[ResourcePolicyInput, *struct{}]{
		Name: "DeleteResourcePolicy", Method: "DELETE", Path: "/DeleteResourcePolicy",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *ResourcePolicyInput) (_ []iam.Question, err error) {
			in.resource, err = parsePolicyARN(in.ResourceArn, c.Principal.Account)
			if err != nil {
				return nil, err
			}
			keys, err := s.resourceTags(ctx, c, in.resource.ID, nil)
			return []iam.Question{{Action: action("DeleteResourcePolicy"), Resource: in.ResourceArn, Context: keys}}, err
		},
		Call: func(ctx context.Context, _ *gateway.Caller, in *ResourcePolicyInput) (*struct{}, error) {
			defer s.policies.forget()
			return &struct{}{}, s.engine.DeletePolicy(ctx, in.resource)
		},
	})
}

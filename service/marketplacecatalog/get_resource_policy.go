package marketplacecatalog

import (
	"context"

	"souk/access/iam"
	"souk/catalog/changeset"
	"souk/gateway"
)

// ResourcePolicyInput names the entity whose policy is meant.
type ResourcePolicyInput struct {
	ResourceArn string `query:"resourceArn" required:"" len:"1,255"`

	resource changeset.Resource
}

// GetResourcePolicyOutput has the policy as it was put.
type GetResourcePolicyOutput struct{ Policy string }

// getResourcePolicy shows the policy of an entity.
//
// Catalog API Reference, "GetResourcePolicy".
func (s *service) getResourcePolicy() gateway.Operation {
	return gateway.Op(gateway.Def[ResourcePolicyInput, *GetResourcePolicyOutput]{
		Name: "GetResourcePolicy", Method: "GET", Path: "/GetResourcePolicy", ReadOnly: true,
		Authorize: func(ctx context.Context, c *gateway.Caller, in *ResourcePolicyInput) (_ []iam.Question, err error) {
			in.resource, err = parsePolicyARN(in.ResourceArn, c.Principal.Account)
			if err != nil {
				return nil, err
			}
			keys, err := s.resourceTags(ctx, c, in.resource.ID, nil)
			return []iam.Question{{Action: action("GetResourcePolicy"), Resource: in.ResourceArn, Context: keys}}, err
		},
		Call: func(ctx context.Context, _ *gateway.Caller, in *ResourcePolicyInput) (*GetResourcePolicyOutput, error) {
			policy, err := s.engine.OwnPolicy(ctx, in.resource)
			if err != nil {
				return nil, err
			}
			return &GetResourcePolicyOutput{Policy: policy}, nil
		},
	})
}

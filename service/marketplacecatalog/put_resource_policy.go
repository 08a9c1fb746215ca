package marketplacecatalog

import (
	"context"
	"errors"

	"souk/access/iam"
	"souk/catalog/changeset"
	"souk/gateway"
)

// PutResourcePolicyInput has a policy for an entity.
type PutResourcePolicyInput struct {
	ResourceArn string `required:"" len:"1,255"`
	Policy      string `required:"" len:"1,10240" pattern:"^[\\x09\\x0A\\x0D\\x20-\\xFF]+$"`

	resource changeset.Resource
}

// putResourcePolicy shares an entity with those whom the policy names.
//
// Catalog API Reference, "PutResourcePolicy".
func (s *service) putResourcePolicy() gateway.Operation {
	return gateway.Op(gateway.Def[PutResourcePolicyInput, *struct{}]{
		Name: "PutResourcePolicy", Method: "POST", Path: "/PutResourcePolicy",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *PutResourcePolicyInput) (_ []iam.Question, err error) {
			in.resource, err = parsePolicyARN(in.ResourceArn, c.Principal.Account)
			if err != nil {
				return nil, err
			}
			keys, err := s.resourceTags(ctx, c, in.resource.ID, nil)
			return []iam.Question{{Action: action("PutResourcePolicy"), Resource: in.ResourceArn, Context: keys}}, err
		},
		Call: func(ctx context.Context, _ *gateway.Caller, in *PutResourcePolicyInput) (*struct{}, error) {
			policy, err := iam.ParseResourcePolicy([]byte(in.Policy))
			var refused *iam.DocumentError
			if errors.As(err, &refused) {
				return nil, invalid("Policy is not valid. %s", refused.Message)
			}
			if err != nil {
				return nil, err
			}
			return &struct{}{}, s.engine.PutPolicy(ctx, in.resource, in.Policy, policy.Grantees())
		},
	})
}

// parsePolicyARN reads the ARN of an entity: change sets have no policies.
func parsePolicyARN(arn, account string) (changeset.Resource, error) {
	r, err := parseARN(arn, account)
	if err == nil && r.Kind == "ChangeSet" {
		err = invalid("ResourceArn '%s' is that of a change set. Resource policies are for entities.", arn)
	}
	return r, err
}

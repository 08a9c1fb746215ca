package marketplacecatalog

import (
	"context"
	"errors"
	"strings"

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
			entity := arn(in.resource.Account, in.resource.Kind, in.resource.ID)
			if unfit := policy.Unfit(actions(), entity); len(unfit) > 0 {
				return nil, invalid("Policy is not valid. It can't match: %s.", strings.Join(unfit, "; "))
			}
			defer s.policies.forget()
			return &struct{}{}, s.engine.PutPolicy(ctx, in.resource, in.Policy, policy.Grantees())
		},
	})
}

// actions are the actions of the Catalog API that a policy may name, those of
// the Management Portal's tasks among them, which nobody answers here.
//
// Service Authorization Reference, "Actions, resources, and condition keys for
// AWS Marketplace Catalog", 2026.
func actions() []string {
	var all []string
	for _, name := range []string{
		"BatchDescribeEntities", "CancelChangeSet", "CompleteTask", "DeleteResourcePolicy", "DescribeAssessment", "DescribeChangeSet",
		"DescribeEntity", "DescribeTask", "GetResourcePolicy", "ListAssessments", "ListChangeSets", "ListEntities", "ListTagsForResource",
		"ListTasks", "PutResourcePolicy", "StartChangeSet", "TagResource", "UntagResource", "UpdateTask",
	} {
		all = append(all, action(name))
	}
	return all
}

// parsePolicyARN reads the ARN of an entity: change sets have no policies.
func parsePolicyARN(arn, account string) (changeset.Resource, error) {
	r, err := parseARN(arn, account)
	if err == nil && r.Kind == "ChangeSet" {
		err = invalid("ResourceArn '%s' is that of a change set. Resource policies are for entities.", arn)
	}
	return r, err
}

package marketplacecatalog

import (
	"context"

	"souk/access/iam"
	"souk/gateway"
)

// Inputs of the actions of today's API that Souk knows and does not do. Their
// members are checked, so that a request that AWS refuses is told so first.
type (
	// BatchDescribeEntitiesInput names entities.
	BatchDescribeEntitiesInput struct {
		EntityRequestList []EntityRequest `required:"" size:"1,20"`
	}
	// EntityRequest names an entity.
	EntityRequest struct {
		Catalog  string `required:"" len:"1,64" pattern:"^[a-zA-Z]+$"`
		EntityId string `required:"" len:"1,255" pattern:"^[\\w\\-]+$"`
	}
	// PutResourcePolicyInput has a policy for an entity.
	PutResourcePolicyInput struct {
		ResourceArn string `required:"" len:"1,255"`
		Policy      string `required:"" len:"1,10240"`
	}
	// ResourcePolicyInput names the entity whose policy is meant.
	ResourcePolicyInput struct {
		ResourceArn string `query:"resourceArn" required:"" len:"1,255"`
	}
	// TagResourceInput has tags for an entity or a change set.
	TagResourceInput struct {
		ResourceArn string `required:"" len:"1,255"`
		Tags        []Tag  `required:"" size:"1,200"`
	}
	// UntagResourceInput names tags of an entity or a change set.
	UntagResourceInput struct {
		ResourceArn string   `required:"" len:"1,255"`
		TagKeys     []string `required:"" size:"1,200" memberlen:"1,128"`
	}
	// ListTagsForResourceInput names an entity or a change set.
	ListTagsForResourceInput struct {
		ResourceArn string `required:"" len:"1,255"`
	}
	// DescribeAssessmentInput names an assessment.
	DescribeAssessmentInput struct {
		AssessmentIdentifier string  `required:""`
		Catalog              string  `required:"" len:"1,64" pattern:"^[a-zA-Z]+$"`
		MaxResults           *int    `range:"1,100"`
		NextToken            *string `len:"1,2048"`
	}
	// ListAssessmentsInput asks for assessments.
	ListAssessmentsInput struct {
		Catalog    string  `required:"" len:"1,64" pattern:"^[a-zA-Z]+$"`
		MaxResults *int    `range:"1,100"`
		NextToken  *string `len:"1,2048"`
	}
)

// notOffered are the actions of today's API that Souk knows by name and does
// not do: who may call them is told so.
//
// Catalog API Reference, "Actions".
func notOffered() []gateway.Operation {
	return []gateway.Operation{
		refusal[BatchDescribeEntitiesInput]("BatchDescribeEntities", "POST", "DescribeEntity"),
		refusal[PutResourcePolicyInput]("PutResourcePolicy", "POST", "PutResourcePolicy"),
		refusal[ResourcePolicyInput]("GetResourcePolicy", "GET", "GetResourcePolicy"),
		refusal[ResourcePolicyInput]("DeleteResourcePolicy", "DELETE", "DeleteResourcePolicy"),
		refusal[TagResourceInput]("TagResource", "POST", "TagResource"),
		refusal[UntagResourceInput]("UntagResource", "POST", "UntagResource"),
		refusal[ListTagsForResourceInput]("ListTagsForResource", "POST", "ListTagsForResource"),
		refusal[DescribeAssessmentInput]("DescribeAssessment", "POST", "DescribeAssessment"),
		refusal[ListAssessmentsInput]("ListAssessments", "POST", "ListAssessments"),
	}
}

// refusal is an action that is refused once its input has been checked.
func refusal[In any](name, method, asks string) gateway.Operation {
	return gateway.Op(gateway.Def[In, *struct{}]{
		Name: name, Method: method, Path: "/" + name, ReadOnly: true,
		Authorize: func(context.Context, *gateway.Caller, *In) ([]iam.Question, error) {
			return []iam.Question{{Action: action(asks), Resource: "*"}}, nil
		},
		Call: func(context.Context, *gateway.Caller, *In) (*struct{}, error) {
			return nil, invalid("%s is not offered yet.", name)
		},
	})
}

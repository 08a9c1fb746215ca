package marketplacecatalog

import (
	"context"

	"souk/access/iam"
	"souk/gateway"
)

// Inputs of the actions of today's API that Souk knows and does not do. Their
// members are checked, so that a request that AWS refuses is told so first.
type (
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

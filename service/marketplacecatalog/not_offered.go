package marketplacecatalog

import (
	"context"

	"souk/access/iam"
	"souk/gateway"
)

// notOffered are the actions of today's API that Souk knows by name and does
// not do: a client is told so, whoever may call them.
func notOffered() []gateway.Operation {
	var operations []gateway.Operation
	for _, o := range []struct{ name, method, action string }{
		{"BatchDescribeEntities", "POST", "DescribeEntity"},
		{"PutResourcePolicy", "POST", "PutResourcePolicy"},
		{"GetResourcePolicy", "GET", "GetResourcePolicy"},
		{"DeleteResourcePolicy", "DELETE", "DeleteResourcePolicy"},
		{"TagResource", "POST", "TagResource"},
		{"UntagResource", "POST", "UntagResource"},
		{"ListTagsForResource", "POST", "ListTagsForResource"},
		{"DescribeAssessment", "POST", "DescribeAssessment"},
		{"ListAssessments", "POST", "ListAssessments"},
	} {
		operations = append(operations, gateway.Op(gateway.Def[struct{}, *struct{}]{
			Name: o.name, Method: o.method, Path: "/" + o.name, ReadOnly: true,
			Authorize: func(context.Context, *gateway.Caller, *struct{}) ([]iam.Question, error) {
				return []iam.Question{{Action: action(o.action), Resource: "*"}}, nil
			},
			Call: func(context.Context, *gateway.Caller, *struct{}) (*struct{}, error) {
				return nil, invalid("%s is not offered yet.", o.name)
			},
		}))
	}
	return operations
}

package organizations

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// ListRootsInput asks for the roots.
type ListRootsInput struct {
	NextToken  *string `len:"0,100000"`
	MaxResults *int    `range:"1,20"`
}

// ListRootsOutput is the root: there is one.
type ListRootsOutput struct {
	Roots     []Root
	NextToken string `json:",omitzero"`
}

// listRoots shows the root of the organisation's tree.
//
// AWS Organizations API Reference, "ListRoots".
func (s *service) listRoots() gateway.Operation {
	return gateway.Op(gateway.Def[ListRootsInput, *ListRootsOutput]{
		Name: "ListRoots", ReadOnly: true,
		Authorize: anything[ListRootsInput]("ListRoots"),
		Call: managed(s, func(_ context.Context, info organization.Info, in *ListRootsInput) (*ListRootsOutput, error) {
			if err := single(in.NextToken); err != nil {
				return nil, err
			}
			root := Root{Id: info.Root(), Arn: info.RootARN(), Name: "Root", PolicyTypes: []PolicyType{}}
			return &ListRootsOutput{Roots: []Root{root}}, nil
		}),
	})
}

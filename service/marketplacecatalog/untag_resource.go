package marketplacecatalog

import (
	"context"

	"souk/access/iam"
	"souk/catalog/changeset"
	"souk/gateway"
)

// UntagResourceInput names tags of an entity or a change set.
type UntagResourceInput struct {
	ResourceArn string   `required:"" len:"1,255"`
	TagKeys     []string `required:"" size:"1,200" memberlen:"1,128"`

	resource changeset.Resource
}

// untagResource removes tags of an entity or a change set. A key that it does
// not have is no error.
//
// Catalog API Reference, "UntagResource".
func (s *service) untagResource() gateway.Operation {
	return gateway.Op(gateway.Def[UntagResourceInput, *struct{}]{
		Name: "UntagResource", Method: "POST", Path: "/UntagResource",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *UntagResourceInput) (_ []iam.Question, err error) {
			if in.resource, err = parseARN(in.ResourceArn, c.Principal.Account); err != nil {
				return nil, err
			}
			keys, err := s.resourceTags(ctx, c, in.resource.ID, iam.Context{"aws:tagkeys": in.TagKeys})
			return []iam.Question{{Action: action("UntagResource"), Resource: in.ResourceArn, Context: keys}}, err
		},
		Call: func(ctx context.Context, _ *gateway.Caller, in *UntagResourceInput) (*struct{}, error) {
			return &struct{}{}, s.engine.Tag(ctx, in.resource, nil, in.TagKeys)
		},
	})
}

package marketplacecatalog

import (
	"context"

	"souk/access/iam"
	"souk/catalog/changeset"
	"souk/gateway"
)

// TagResourceInput has tags for an entity or a change set.
type TagResourceInput struct {
	ResourceArn string `required:"" len:"1,255"`
	Tags        []Tag  `required:"" size:"1,200"`

	resource changeset.Resource
	tags     map[string]string
}

// tagResource sets tags of an entity or a change set.
//
// Catalog API Reference, "TagResource".
func (s *service) tagResource() gateway.Operation {
	return gateway.Op(gateway.Def[TagResourceInput, *struct{}]{
		Name: "TagResource", Method: "POST", Path: "/TagResource",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *TagResourceInput) (_ []iam.Question, err error) {
			if in.resource, err = parseARN(in.ResourceArn, c.Principal.Account); err != nil {
				return nil, err
			}
			if in.tags, err = tagsOf(in.Tags); err != nil {
				return nil, err
			}
			keys, err := s.resourceTags(ctx, c, in.resource.ID, requestTags(in.tags, nil))
			return []iam.Question{{Action: action("TagResource"), Resource: in.ResourceArn, Context: keys}}, err
		},
		Call: func(ctx context.Context, _ *gateway.Caller, in *TagResourceInput) (*struct{}, error) {
			return &struct{}{}, s.engine.Tag(ctx, in.resource, in.tags, nil)
		},
	})
}

package marketplacecatalog

import (
	"context"
	"maps"
	"slices"

	"souk/access/iam"
	"souk/catalog/changeset"
	"souk/gateway"
)

// ListTagsForResourceInput names an entity or a change set.
type ListTagsForResourceInput struct {
	ResourceArn string `required:"" len:"1,255"`

	resource changeset.Resource
}

// ListTagsForResourceOutput has the tags, in the order of their keys.
type ListTagsForResourceOutput struct {
	ResourceArn string
	Tags        []Tag
}

// listTagsForResource shows the tags of an entity or a change set.
//
// Catalog API Reference, "ListTagsForResource".
func (s *service) listTagsForResource() gateway.Operation {
	return gateway.Op(gateway.Def[ListTagsForResourceInput, *ListTagsForResourceOutput]{
		Name: "ListTagsForResource", Method: "POST", Path: "/ListTagsForResource", ReadOnly: true,
		Authorize: func(ctx context.Context, c *gateway.Caller, in *ListTagsForResourceInput) (_ []iam.Question, err error) {
			if in.resource, err = parseARN(in.ResourceArn, c.Principal.Account); err != nil {
				return nil, err
			}
			keys, err := s.resourceTags(ctx, c, in.resource.ID, nil)
			return []iam.Question{{Action: action("ListTagsForResource"), Resource: in.ResourceArn, Context: keys}}, err
		},
		Call: func(ctx context.Context, _ *gateway.Caller, in *ListTagsForResourceInput) (*ListTagsForResourceOutput, error) {
			tags, err := s.engine.Tags(ctx, in.resource)
			if err != nil {
				return nil, err
			}
			out := &ListTagsForResourceOutput{ResourceArn: in.ResourceArn, Tags: make([]Tag, 0, len(tags))}
			for _, key := range slices.Sorted(maps.Keys(tags)) {
				out.Tags = append(out.Tags, Tag{Key: key, Value: new(tags[key])})
			}
			return out, nil
		},
	})
}

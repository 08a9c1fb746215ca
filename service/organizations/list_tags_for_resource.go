package organizations

import (
	"context"
	"maps"
	"slices"

	"souk/access/organization"
	"souk/gateway"
)

// ListTagsForResourceInput names an account, a unit or the root.
type ListTagsForResourceInput struct {
	ResourceId string  `required:"" len:"0,130" pattern:"^(r-[0-9a-z]{4,32})|(\\d{12})|(ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})$"`
	NextToken  *string `len:"0,100000"`
}

// ListTagsForResourceOutput are the tags, by key, on one page.
type ListTagsForResourceOutput struct {
	Tags      []Tag
	NextToken string `json:",omitzero"`
}

// listTagsForResource lists the tags of an account, a unit or the root.
//
// AWS Organizations API Reference, "ListTagsForResource".
func (s *service) listTagsForResource() gateway.Operation {
	return gateway.Op(gateway.Def[ListTagsForResourceInput, *ListTagsForResourceOutput]{
		Name: "ListTagsForResource", ReadOnly: true,
		Authorize: about(s, "ListTagsForResource", func(in *ListTagsForResourceInput) []string { return []string{in.ResourceId} }),
		Call: managed(s, func(ctx context.Context, _ organization.Info, in *ListTagsForResourceInput) (*ListTagsForResourceOutput, error) {
			if err := single(in.NextToken); err != nil {
				return nil, err
			}
			tags, err := s.organization.Tags(ctx, in.ResourceId)
			if err != nil {
				return nil, err
			}
			out := &ListTagsForResourceOutput{Tags: []Tag{}}
			for _, key := range slices.Sorted(maps.Keys(tags)) {
				v := tags[key]
				out.Tags = append(out.Tags, Tag{Key: key, Value: &v})
			}
			return out, nil
		}),
	})
}

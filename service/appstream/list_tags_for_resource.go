package appstream

import (
	"context"

	"souk/gateway"
)

// ListTagsForResourceRequest names a resource.
type ListTagsForResourceRequest struct {
	ResourceArn string `required:"" pattern:"^arn:aws(?:\\-cn|\\-iso\\-b|\\-iso|\\-us\\-gov)?:[A-Za-z0-9][A-Za-z0-9_/.-]{0,62}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9][A-Za-z0-9:_/+=,@.\\\\-]{0,1023}$"`
}

// ListTagsForResourceResponse has the tags of a resource, {} of one that has none.
type ListTagsForResourceResponse struct{ Tags map[string]string }

// listTagsForResource "retrieves a list of all tags for the specified AppStream
// 2.0 resource".
//
// AppStream API Reference, "ListTagsForResource".
func (s *service) listTagsForResource() action {
	return act(gateway.Def[ListTagsForResourceRequest, *ListTagsForResourceResponse]{
		Name:     "ListTagsForResource",
		ReadOnly: true,
		Authorize: func(ctx context.Context, c *gateway.Caller, in *ListTagsForResourceRequest) ([]question, error) {
			q, err := s.onARN(ctx, c, "ListTagsForResource", in.ResourceArn)
			return []question{q}, err
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *ListTagsForResourceRequest) (*ListTagsForResourceResponse, error) {
			a, err := ofCaller(in.ResourceArn, c.Principal.Account, c.Region)
			if err != nil {
				return nil, err
			}
			tags, err := s.Tags.List(ctx, a)
			if err != nil {
				return nil, err
			}
			out := &ListTagsForResourceResponse{Tags: map[string]string{}}
			for key, value := range tags {
				out.Tags[key] = value
			}
			return out, nil
		},
	})
}

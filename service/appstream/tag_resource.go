package appstream

import (
	"context"

	"souk/access/trail"
	"souk/gateway"
)

// TagResourceRequest puts tags on a resource.
type TagResourceRequest struct {
	ResourceArn string            `required:"" pattern:"^arn:aws(?:\\-cn|\\-iso\\-b|\\-iso|\\-us\\-gov)?:[A-Za-z0-9][A-Za-z0-9_/.-]{0,62}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9][A-Za-z0-9:_/+=,@.\\\\-]{0,1023}$"`
	Tags        map[string]string `required:"" size:"1,50" keylen:"1,128" keypattern:"^(^(?!aws:).[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$" memberlen:"0,256" memberpattern:"^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$"`
}

// TagResourceResponse is empty.
type TagResourceResponse struct{}

// tagResource "adds or overwrites one or more tags for the specified AppStream
// 2.0 resource. [...] If a resource already has a tag with the same key, this
// operation updates its value."
//
// AppStream API Reference, "TagResource".
func (s *service) tagResource() action {
	return act(gateway.Def[TagResourceRequest, *TagResourceResponse]{
		Name: "TagResource",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *TagResourceRequest) ([]question, error) {
			q, err := s.onARN(ctx, c, "TagResource", in.ResourceArn)
			return []question{withTags(q, in.Tags)}, err
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *TagResourceRequest) (*TagResourceResponse, error) {
			a, err := ofCaller(in.ResourceArn, c.Principal.Account, c.Region)
			if err != nil {
				return nil, err
			}
			out := &TagResourceResponse{}
			trail.Answer(ctx, out)
			return out, s.Tags.Tag(ctx, a, in.Tags)
		},
	})
}

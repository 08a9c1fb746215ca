package appstream

import (
	"context"

	"souk/access/trail"
	"souk/gateway"
)

// UntagResourceRequest takes tags from a resource.
type UntagResourceRequest struct {
	ResourceArn string   `required:"" pattern:"^arn:aws(?:\\-cn|\\-iso\\-b|\\-iso|\\-us\\-gov)?:[A-Za-z0-9][A-Za-z0-9_/.-]{0,62}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9][A-Za-z0-9:_/+=,@.\\\\-]{0,1023}$"`
	TagKeys     []string `required:"" size:"1,50" memberlen:"1,128" memberpattern:"^(^(?!aws:).[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$"`
}

// UntagResourceResponse is empty.
type UntagResourceResponse struct{}

// untagResource "disassociates one or more specified tags from the specified
// AppStream 2.0 resource". A key that the resource does not have is no mistake.
//
// AppStream API Reference, "UntagResource".
func (s *service) untagResource() action {
	return act(gateway.Def[UntagResourceRequest, *UntagResourceResponse]{
		Name: "UntagResource",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *UntagResourceRequest) ([]question, error) {
			q, err := s.onARN(ctx, c, "UntagResource", in.ResourceArn)
			return []question{withTagKeys(q, in.TagKeys)}, err
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *UntagResourceRequest) (*UntagResourceResponse, error) {
			a, err := ofCaller(in.ResourceArn, c.Principal.Account, c.Region)
			if err != nil {
				return nil, err
			}
			out := &UntagResourceResponse{}
			trail.Answer(ctx, out)
			return out, s.Tags.Untag(ctx, a, in.TagKeys)
		},
	})
}

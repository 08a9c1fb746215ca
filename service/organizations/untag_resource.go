package organizations

import (
	"context"

	"souk/access/iam"
	"souk/access/organization"
	"souk/gateway"
)

// UntagResourceInput says which tags are taken from an account, a unit or the root.
type UntagResourceInput struct {
	ResourceId string   `required:"" len:"0,130" pattern:"^(r-[0-9a-z]{4,32})|(\\d{12})|(ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})$"`
	TagKeys    []string `required:"" memberlen:"1,128"`
}

// untagResource takes tags from an account, a unit or the root.
//
// AWS Organizations API Reference, "UntagResource".
func (s *service) untagResource() gateway.Operation {
	resource := about(s, "UntagResource", func(in *UntagResourceInput) []string { return []string{in.ResourceId} })
	return gateway.Op(gateway.Def[UntagResourceInput, gateway.Raw]{
		Name: "UntagResource",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *UntagResourceInput) ([]iam.Question, error) {
			questions, err := resource(ctx, c, in)
			for i := range questions {
				questions[i].Context = iam.Context{"aws:tagkeys": in.TagKeys}
			}
			return questions, err
		},
		Call: managed(s, func(ctx context.Context, _ organization.Info, in *UntagResourceInput) (gateway.Raw, error) {
			return gateway.Raw("{}"), s.organization.Retag(ctx, in.ResourceId, nil, in.TagKeys)
		}),
	})
}

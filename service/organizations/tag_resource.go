package organizations

import (
	"context"

	"souk/access/iam"
	"souk/access/organization"
	"souk/gateway"
)

// TagResourceInput says which tags an account, a unit or the root gets.
type TagResourceInput struct {
	ResourceId string `required:"" len:"0,130" pattern:"^(r-[0-9a-z]{4,32})|(\\d{12})|(ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})$"`
	Tags       []Tag  `required:""`
}

// tagResource gives an account, a unit or the root tags, in the place of those
// with the same keys.
//
// AWS Organizations API Reference, "TagResource".
func (s *service) tagResource() gateway.Operation {
	resource := about(s, "TagResource", func(in *TagResourceInput) []string { return []string{in.ResourceId} })
	return gateway.Op(gateway.Def[TagResourceInput, gateway.Raw]{
		Name: "TagResource",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *TagResourceInput) ([]iam.Question, error) {
			questions, err := resource(ctx, c, in)
			for i := range questions {
				questions[i].Context = tagKeys(in.Tags)
			}
			return questions, err
		},
		Call: managed(s, func(ctx context.Context, _ organization.Info, in *TagResourceInput) (gateway.Raw, error) {
			tags, err := tagMap(in.Tags)
			if err != nil {
				return nil, err
			}
			return gateway.Raw("{}"), s.organization.Retag(ctx, in.ResourceId, tags, nil)
		}),
	})
}

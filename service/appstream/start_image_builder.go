package appstream

import (
	"context"

	"souk/access/trail"
	"souk/artifact/appstream/builder"
	"souk/gateway"
)

// StartImageBuilderRequest names an image builder.
type StartImageBuilderRequest struct {
	Name                  string  `required:"" len:"1,"`
	AppstreamAgentVersion *string `len:"1,100"`
}

// StartImageBuilderResult is the builder in its new state.
type StartImageBuilderResult struct{ ImageBuilder ImageBuilder }

// startImageBuilder "starts the specified image builder": one that is STOPPED.
//
// AppStream API Reference, "StartImageBuilder".
func (s *service) startImageBuilder() action {
	return act(gateway.Def[StartImageBuilderRequest, *StartImageBuilderResult]{
		Name: "StartImageBuilder",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *StartImageBuilderRequest) ([]question, error) {
			q, err := s.on(ctx, c, "StartImageBuilder", builderKind, in.Name)
			return []question{q}, err
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *StartImageBuilderRequest) (*StartImageBuilderResult, error) {
			agent := ""
			if in.AppstreamAgentVersion != nil {
				agent = *in.AppstreamAgentVersion
			}
			b, err := s.Builders.Start(ctx, c.Principal.Account, c.Region, in.Name, agent, func(b *builder.Builder) {
				trail.Answer(ctx, &StartImageBuilderResult{s.shownBuilder(b)}, b.ARN)
			})
			if err != nil {
				return nil, err
			}
			return &StartImageBuilderResult{s.shownBuilder(b)}, nil
		},
	})
}

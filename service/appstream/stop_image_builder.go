package appstream

import (
	"context"

	"souk/access/trail"
	"souk/artifact/appstream/builder"
	"souk/gateway"
)

// StopImageBuilderRequest names an image builder.
type StopImageBuilderRequest struct {
	Name string `required:"" len:"1,"`
}

// StopImageBuilderResult is the builder in its new state.
type StopImageBuilderResult struct{ ImageBuilder ImageBuilder }

// stopImageBuilder "stops the specified image builder": one that is RUNNING. One
// that is STOPPING or STOPPED stays so.
//
// AppStream API Reference, "StopImageBuilder".
func (s *service) stopImageBuilder() action {
	return act(gateway.Def[StopImageBuilderRequest, *StopImageBuilderResult]{
		Name: "StopImageBuilder",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *StopImageBuilderRequest) ([]question, error) {
			q, err := s.on(ctx, c, "StopImageBuilder", builderKind, in.Name)
			return []question{q}, err
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *StopImageBuilderRequest) (*StopImageBuilderResult, error) {
			b, err := s.Builders.Stop(ctx, c.Principal.Account, c.Region, in.Name, func(b *builder.Builder) {
				trail.Answer(ctx, &StopImageBuilderResult{s.shownBuilder(b)}, b.ARN)
			})
			if err != nil {
				return nil, err
			}
			return &StopImageBuilderResult{s.shownBuilder(b)}, nil
		},
	})
}

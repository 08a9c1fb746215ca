package appstream

import (
	"context"

	"souk/access/trail"
	"souk/artifact/appstream/builder"
	"souk/gateway"
)

// DeleteImageBuilderRequest names an image builder.
type DeleteImageBuilderRequest struct {
	Name string `required:"" pattern:"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}$"`
}

// DeleteImageBuilderResult is the builder in its new state.
type DeleteImageBuilderResult struct{ ImageBuilder ImageBuilder }

// deleteImageBuilder "deletes the specified image builder and releases the
// capacity": one that is RUNNING, STOPPED or FAILED.
//
// AppStream API Reference, "DeleteImageBuilder".
func (s *service) deleteImageBuilder() action {
	return act(gateway.Def[DeleteImageBuilderRequest, *DeleteImageBuilderResult]{
		Name: "DeleteImageBuilder",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *DeleteImageBuilderRequest) ([]question, error) {
			q, err := s.on(ctx, c, "DeleteImageBuilder", builderKind, in.Name)
			return []question{q}, err
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *DeleteImageBuilderRequest) (*DeleteImageBuilderResult, error) {
			b, err := s.Builders.Delete(ctx, c.Principal.Account, c.Region, in.Name, func(b *builder.Builder) {
				trail.Answer(ctx, &DeleteImageBuilderResult{s.shownBuilder(b)}, b.ARN)
			})
			if err != nil {
				return nil, err
			}
			return &DeleteImageBuilderResult{s.shownBuilder(b)}, nil
		},
	})
}

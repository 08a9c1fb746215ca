package imagebuilder

import (
	"context"

	"souk/access/iam"
	"souk/gateway"
)

// DeleteComponentInput names a build of a component.
type DeleteComponentInput struct {
	ComponentBuildVersionARN string `query:"componentBuildVersionArn" required:"" pattern:"^arn:aws[^:]*:imagebuilder:[^:]+:(?:[0-9]{12}|aws(?:-[a-z-]+)?):component/[a-z0-9-_]+/[0-9]+\\.[0-9]+\\.[0-9]+/[0-9]+$"`
}

// DeleteComponentOutput names what was deleted.
type DeleteComponentOutput struct {
	RequestID                string `json:"requestId"`
	ComponentBuildVersionARN string `json:"componentBuildVersionArn"`
}

// deleteComponent deletes a build of a component, unless a version of a product
// that new buyers get names it.
//
// EC2 Image Builder API Reference, "DeleteComponent".
func (s *service) deleteComponent() gateway.Operation {
	return gateway.Op(gateway.Def[DeleteComponentInput, *DeleteComponentOutput]{
		Name: "DeleteComponent", Method: "DELETE", Path: "/DeleteComponent",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *DeleteComponentInput) ([]iam.Question, error) {
			return s.question(ctx, c, "DeleteComponent", in.ComponentBuildVersionARN)
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *DeleteComponentInput) (*DeleteComponentOutput, error) {
			arn, err := parse(c, in.ComponentBuildVersionARN)
			if err == nil {
				err = failure(s.components.Delete(ctx, c.Principal.Account, arn), in.ComponentBuildVersionARN)
			}
			if err != nil {
				return nil, err
			}
			return &DeleteComponentOutput{c.RequestID, in.ComponentBuildVersionARN}, nil
		},
	})
}

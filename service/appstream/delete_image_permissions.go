package appstream

import (
	"context"

	"souk/gateway"
)

// DeleteImagePermissionsRequest names an image and an account that it is shared with.
type DeleteImagePermissionsRequest struct {
	Name            string `required:"" pattern:"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}$"`
	SharedAccountId string `required:"" pattern:"^\\d+$"`
}

// DeleteImagePermissionsResult is empty.
type DeleteImagePermissionsResult struct{}

// deleteImagePermissions "deletes permissions for the specified private image. After
// you delete permissions for an image, AWS accounts to which you previously granted
// these permissions can no longer use the image."
//
// AppStream API Reference, "DeleteImagePermissions".
func (s *service) deleteImagePermissions() action {
	return act(gateway.Def[DeleteImagePermissionsRequest, *DeleteImagePermissionsResult]{
		Name: "DeleteImagePermissions",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *DeleteImagePermissionsRequest) ([]question, error) {
			return s.onImage(ctx, c, "DeleteImagePermissions", in.Name)
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *DeleteImagePermissionsRequest) (*DeleteImagePermissionsResult, error) {
			return &DeleteImagePermissionsResult{}, s.Images.Unshare(ctx, c.Principal.Account, c.Region, in.Name, in.SharedAccountId)
		},
	})
}

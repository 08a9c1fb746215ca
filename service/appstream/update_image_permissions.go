package appstream

import (
	"context"

	"souk/artifact/appstream/image"
	"souk/gateway"
)

// UpdateImagePermissionsRequest says what an account may do with an image. What is
// left out is not allowed.
type UpdateImagePermissionsRequest struct {
	Name             string       `required:"" pattern:"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}$"`
	SharedAccountId  string       `required:"" pattern:"^\\d+$"`
	ImagePermissions *Permissions `required:""`
}

// UpdateImagePermissionsResult is empty.
type UpdateImagePermissionsResult struct{}

// updateImagePermissions "adds or updates permissions for the specified private
// image".
//
// AppStream API Reference, "UpdateImagePermissions".
func (s *service) updateImagePermissions() action {
	return act(gateway.Def[UpdateImagePermissionsRequest, *UpdateImagePermissionsResult]{
		Name: "UpdateImagePermissions",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *UpdateImagePermissionsRequest) ([]question, error) {
			return s.onImage(ctx, c, "UpdateImagePermissions", in.Name)
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *UpdateImagePermissionsRequest) (*UpdateImagePermissionsResult, error) {
			p := image.Permissions{AllowFleet: isTrue(in.ImagePermissions.AllowFleet), AllowImageBuilder: isTrue(in.ImagePermissions.AllowImageBuilder)}
			return &UpdateImagePermissionsResult{}, s.Images.Share(ctx, c.Principal.Account, c.Region, in.Name, in.SharedAccountId, p)
		},
	})
}

func isTrue(b *bool) bool { return b != nil && *b }

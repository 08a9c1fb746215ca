package appstream

import (
	"context"

	"souk/gateway"
)

// DeleteImageRequest names an image of the caller's.
type DeleteImageRequest struct {
	Name string `required:"" pattern:"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}$"`
}

// DeleteImageResult is the image, which is DELETING.
type DeleteImageResult struct{ Image *Image }

// deleteImage "deletes the specified image. You cannot delete an image when it is in
// use."
//
// AppStream API Reference, "DeleteImage".
func (s *service) deleteImage() action {
	return act(gateway.Def[DeleteImageRequest, *DeleteImageResult]{
		Name: "DeleteImage",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *DeleteImageRequest) ([]question, error) {
			return s.onImage(ctx, c, "DeleteImage", in.Name)
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *DeleteImageRequest) (*DeleteImageResult, error) {
			i, err := s.Images.Delete(ctx, c.Principal.Account, c.Region, in.Name)
			if err != nil {
				return nil, err
			}
			shown, err := s.shownImage(i, c.Principal.Account)
			return &DeleteImageResult{shown}, err
		},
	})
}

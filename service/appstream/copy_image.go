package appstream

import (
	"context"

	"souk/access/trail"
	"souk/artifact/appstream/image"
	"souk/gateway"
)

// CopyImageRequest asks for a copy of an image of the caller's.
type CopyImageRequest struct {
	SourceImageName             string `required:"" pattern:"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}$"`
	DestinationImageName        string `required:"" pattern:"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}$"`
	DestinationRegion           string `required:"" len:"1,32"`
	DestinationImageDescription string `len:"0,256"`
}

// CopyImageResponse names the copy.
type CopyImageResponse struct{ DestinationImageName string }

// copyImage "copies the image within the same region or to a new region within the
// same AWS account".
//
// AppStream API Reference, "CopyImage".
func (s *service) copyImage() action {
	return act(gateway.Def[CopyImageRequest, *CopyImageResponse]{
		Name: "CopyImage",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *CopyImageRequest) ([]question, error) {
			return s.onImage(ctx, c, "CopyImage", in.SourceImageName)
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *CopyImageRequest) (*CopyImageResponse, error) {
			out := &CopyImageResponse{in.DestinationImageName}
			_, err := s.Images.Copy(ctx, image.CopyRequest{
				Account: c.Principal.Account, Region: c.Region, Source: in.SourceImageName, Name: in.DestinationImageName,
				To: in.DestinationRegion, Description: in.DestinationImageDescription,
				Begins: func(image.Image) { trail.Answer(ctx, out) },
			})
			return out, err
		},
	})
}

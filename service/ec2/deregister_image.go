package ec2

import (
	"context"

	"souk/gateway"
)

// DeregisterImageInput names an AMI of the caller's account.
type DeregisterImageInput struct {
	ImageId string `query:"ImageId"`
	DryRun  bool   `query:"DryRun"`
}

// DeregisterImageOutput says that it is gone.
type DeregisterImageOutput struct {
	Return bool `xml:"return"`
}

// deregisterImage removes an AMI. One that something names stays: AWS would
// deregister it and leave the product without its image.
//
// Amazon EC2 API Reference, "DeregisterImage".
func deregisterImage(c Config) gateway.Operation {
	return action(gateway.Def[DeregisterImageInput, *DeregisterImageOutput]{
		Name:      "DeregisterImage",
		Authorize: onImage("DeregisterImage", func(in *DeregisterImageInput) string { return in.ImageId }),
		Call: func(ctx context.Context, caller *gateway.Caller, in *DeregisterImageInput) (*DeregisterImageOutput, error) {
			if err := c.Images.Deregister(ctx, caller.Principal.Account, in.ImageId); err != nil {
				return nil, failure(err)
			}
			return &DeregisterImageOutput{Return: true}, nil
		},
	}, func(in *DeregisterImageInput) bool { return in.DryRun })
}

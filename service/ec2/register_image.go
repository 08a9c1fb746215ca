package ec2

import (
	"context"
	"errors"
	"net/http"

	"souk/access/iam"
	"souk/artifact/images"
	"souk/gateway"
	"souk/gateway/apierror"
)

// RegisterImageInput is an AMI to be. The image was pushed to the registry;
// that takes the place of the manifest in S3 and of the snapshots.
type RegisterImageInput struct {
	Name               string `query:"Name"`
	Description        string `query:"Description"`
	ImageLocation      string `query:"ImageLocation"`      // HOST/NAMESPACE/ami@sha256:... of the registry
	Architecture       string `query:"Architecture"`       // x86_64 or arm64; "" is the image's own
	VirtualizationType string `query:"VirtualizationType"` // hvm or paravirtual; "" is hvm
	EnaSupport         bool   `query:"EnaSupport"`
	RootDeviceName     string `query:"RootDeviceName"` // /dev/xvda, or ""
	DryRun             bool   `query:"DryRun"`

	// Souk's own, which the AWS CLI can't say: AWS takes them from snapshots.
	RootDeviceType string   `query:"RootDeviceType"` // ebs or instance-store; "" is ebs
	ProductCodes   []string `query:"ProductCode"`
	Source         string   `query:"Source"` // where the image came from, for people

	// What AMIs of Souk don't have; refused where given.
	BlockDeviceMappings []struct{} `query:"BlockDeviceMapping"`
	TagSpecifications   []struct{} `query:"TagSpecification"`
	BillingProducts     []string   `query:"BillingProduct"`
	KernelId            string     `query:"KernelId"`
	RamdiskId           string     `query:"RamdiskId"`
	BootMode            string     `query:"BootMode"`
	TpmSupport          string     `query:"TpmSupport"`
	UefiData            string     `query:"UefiData"`
	ImdsSupport         string     `query:"ImdsSupport"`
	SriovNetSupport     string     `query:"SriovNetSupport"`
}

// RegisterImageOutput has the id of the new AMI.
type RegisterImageOutput struct {
	ImageID string `xml:"imageId"`
}

// registerImage makes an AMI of an image in the registry, for the caller's
// account. All layers are read first: what is hostile or broken becomes none. An
// image of more than half a gigabyte is pending until they are read, then
// available or failed.
// "ec2:RegisterImage" is asked on the image that will be:
// arn:aws:ec2:REGION::image/*; on a snapshot it is not, since there is none.
//
// Amazon EC2 API Reference, "RegisterImage".
func registerImage(c Config) gateway.Operation {
	return action(gateway.Def[RegisterImageInput, *RegisterImageOutput]{
		Name: "RegisterImage",
		Authorize: func(_ context.Context, caller *gateway.Caller, _ *RegisterImageInput) ([]iam.Question, error) {
			return registering(caller, ""), nil
		},
		Call: func(ctx context.Context, caller *gateway.Caller, in *RegisterImageInput) (*RegisterImageOutput, error) {
			if err := in.check(); err != nil {
				return nil, err
			}
			repository, digest, ok := c.Locate(in.ImageLocation)
			if !ok || digest == "" {
				return nil, apierror.New("InvalidManifest", "The image location '%s' is no image of this registry by its digest: push it and give HOST/NAMESPACE/ami@sha256:DIGEST", shortened(in.ImageLocation))
			}
			a, err := c.Images.Register(ctx, images.Registration{
				Account: caller.Principal.Account, Name: in.Name, Description: in.Description, Repository: repository, Digest: digest,
				Architecture: in.Architecture, VirtualizationType: in.VirtualizationType, RootDeviceType: in.RootDeviceType,
				EnaSupport: in.EnaSupport, ProductCodes: in.ProductCodes, Source: in.Source,
			})
			if errors.Is(err, context.DeadlineExceeded) {
				return nil, apierror.WithStatus(http.StatusServiceUnavailable, "Unavailable", "The image could not be looked at in the time that a request may take. Try again when the server has less to do")
			}
			if err != nil {
				return nil, failure(err)
			}
			return &RegisterImageOutput{ImageID: a.ID}, nil
		},
	}, func(in *RegisterImageInput) bool { return in.DryRun })
}

// registering asks whether the caller may register images.
func registering(c *gateway.Caller, about string) []iam.Question {
	return []iam.Question{{Action: "ec2:RegisterImage", Resource: "arn:aws:ec2:" + c.Region + "::image/*", About: about}}
}

// check refuses what is missing, and what would be lost.
func (in *RegisterImageInput) check() error {
	if err := required("Name", in.Name != ""); err != nil {
		return err
	}
	if err := required("ImageLocation", in.ImageLocation != ""); err != nil {
		return err
	}
	if in.RootDeviceName != "" && in.RootDeviceName != rootDevice {
		return wrong("Value (%s) for parameter rootDeviceName is invalid. The root device of every AMI here is %s.", shortened(in.RootDeviceName), rootDevice)
	}
	for _, other := range []struct {
		name  string
		given bool
	}{
		{"BlockDeviceMappings", len(in.BlockDeviceMappings) > 0},
		{"TagSpecifications", len(in.TagSpecifications) > 0},
		{"BillingProducts", len(in.BillingProducts) > 0},
		{"KernelId", in.KernelId != ""},
		{"RamdiskId", in.RamdiskId != ""},
		{"BootMode", in.BootMode != ""},
		{"TpmSupport", in.TpmSupport != ""},
		{"UefiData", in.UefiData != ""},
		{"ImdsSupport", in.ImdsSupport != ""},
		{"SriovNetSupport", in.SriovNetSupport != ""},
	} {
		if other.given {
			return apierror.New("UnsupportedOperation", "The parameter %s is not offered at this endpoint: an AMI here is an image in its registry, by ImageLocation", other.name)
		}
	}
	return nil
}

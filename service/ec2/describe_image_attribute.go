package ec2

import (
	"context"

	"souk/artifact/images"
	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/ec2query"
)

// DescribeImageAttributeInput names an AMI of the caller's account and one of
// its attributes.
type DescribeImageAttributeInput struct {
	ImageId   string `query:"ImageId"`
	Attribute string `query:"Attribute" enum:"description,kernel,ramdisk,launchPermission,productCodes,blockDeviceMapping,sriovNetSupport,bootMode,tpmSupport,uefiData,lastLaunchedTime,imdsSupport,deregistrationProtection"`
	DryRun    bool   `query:"DryRun"`
}

// DescribeImageAttributeOutput has the attribute that was asked for.
type DescribeImageAttributeOutput struct {
	ImageID           string                          `xml:"imageId"`
	Description       *AttributeValue                 `xml:"description"`
	LaunchPermissions *ec2query.Set[LaunchPermission] `xml:"launchPermission"`
	ProductCodes      *ec2query.Set[ProductCode]      `xml:"productCodes"`
}

// describeImageAttribute shows an attribute of an AMI to its owner. Attributes
// that no AMI of Souk has are absent from the answer.
//
// Amazon EC2 API Reference, "DescribeImageAttribute".
func describeImageAttribute(c Config) gateway.Operation {
	return action(gateway.Def[DescribeImageAttributeInput, *DescribeImageAttributeOutput]{
		Name:      "DescribeImageAttribute",
		ReadOnly:  true,
		Authorize: onImage("DescribeImageAttribute", func(in *DescribeImageAttributeInput) string { return in.ImageId }),
		Call: func(ctx context.Context, caller *gateway.Caller, in *DescribeImageAttributeInput) (*DescribeImageAttributeOutput, error) {
			if err := required("Attribute", in.Attribute != ""); err != nil {
				return nil, err
			}
			a, err := c.Images.Find(ctx, caller.Principal.Account, in.ImageId)
			if err != nil {
				return nil, failure(err)
			}
			if a.Owner != caller.Principal.Account {
				return nil, apierror.New("AuthFailure", "Not authorized for image: %s", a.ID)
			}
			return c.attribute(a, in.Attribute)
		},
	}, func(in *DescribeImageAttributeInput) bool { return in.DryRun })
}

// attribute shows one attribute.
func (c Config) attribute(a images.AMI, attribute string) (*DescribeImageAttributeOutput, error) {
	out := &DescribeImageAttributeOutput{ImageID: a.ID}
	switch attribute {
	case "description":
		out.Description = &AttributeValue{a.Description}
	case "launchPermission":
		out.LaunchPermissions = new(ec2query.Set[LaunchPermission])
		if a.Public {
			out.LaunchPermissions.Items = append(out.LaunchPermissions.Items, LaunchPermission{Group: "all"})
		}
		for _, id := range a.SharedWith {
			out.LaunchPermissions.Items = append(out.LaunchPermissions.Items, LaunchPermission{UserId: id})
		}
	case "productCodes":
		codes := c.describe(a).ProductCodes
		out.ProductCodes = &codes
	case "blockDeviceMapping": // "Using this attribute returns the Client.AuthFailure error."
		return nil, apierror.New("AuthFailure", "Unauthorized attempt to access restricted resource")
	}
	return out, nil
}

package ec2

import (
	"context"
	"fmt"
	"slices"

	"souk/artifact/images"
	"souk/gateway"
	"souk/gateway/ec2query"
)

// DescribeImagesInput says which AMIs are wanted; without anything all that the
// caller may use.
type DescribeImagesInput struct {
	ImageIds          []string `query:"ImageId"`
	Owners            []string `query:"Owner"`        // account ids, self, amazon, aws-marketplace, aws-backup-vault
	ExecutableUsers   []string `query:"ExecutableBy"` // account ids, self, all
	Filters           []Filter `query:"Filter"`
	IncludeDeprecated bool     `query:"IncludeDeprecated"` // no AMI is
	IncludeDisabled   bool     `query:"IncludeDisabled"`   // no AMI is
	MaxResults        *int     `query:"MaxResults" range:"1,1000"`
	NextToken         string   `query:"NextToken"`
	DryRun            bool     `query:"DryRun"`
}

// DescribeImagesOutput has AMIs in the order of their ids.
type DescribeImagesOutput struct {
	Images    ec2query.Set[Image] `xml:"imagesSet"`
	NextToken string              `xml:"nextToken,omitempty"`
}

// Image is an AMI as it is described.
//
// Amazon EC2 API Reference, "Image".
type Image struct {
	ImageID             string                           `xml:"imageId"`
	ImageLocation       string                           `xml:"imageLocation"` // HOST/NAMESPACE/ami@sha256:... in the registry
	ImageState          string                           `xml:"imageState"`
	ImageOwnerID        string                           `xml:"imageOwnerId"`
	CreationDate        string                           `xml:"creationDate"`
	IsPublic            bool                             `xml:"isPublic"`
	ProductCodes        ec2query.Set[ProductCode]        `xml:"productCodes"`
	Architecture        string                           `xml:"architecture"`
	ImageType           string                           `xml:"imageType"`
	PlatformDetails     string                           `xml:"platformDetails"`
	UsageOperation      string                           `xml:"usageOperation"`
	Name                string                           `xml:"name"`
	Description         string                           `xml:"description,omitempty"`
	RootDeviceType      string                           `xml:"rootDeviceType"`
	RootDeviceName      string                           `xml:"rootDeviceName"`
	BlockDeviceMappings ec2query.Set[BlockDeviceMapping] `xml:"blockDeviceMapping"`
	VirtualizationType  string                           `xml:"virtualizationType"`
	Hypervisor          string                           `xml:"hypervisor"`
	EnaSupport          bool                             `xml:"enaSupport"`
	StateReason         *StateReason                     `xml:"stateReason"` // nil for an available one
}

// StateReason says why an AMI is in its state.
//
// Amazon EC2 API Reference, "StateReason".
type StateReason struct {
	Code    string `xml:"code"` // pending, Client.InvalidManifest or Server.InternalError
	Message string `xml:"message"`
}

// ProductCode is a code of the marketplace that an AMI carries.
type ProductCode struct {
	ProductCode string `xml:"productCode"`
	Type        string `xml:"type"` // marketplace
}

// BlockDeviceMapping is the root volume of an AMI that EBS backs.
type BlockDeviceMapping struct {
	DeviceName          string `xml:"deviceName"`
	DeleteOnTermination bool   `xml:"ebs>deleteOnTermination"`
	VolumeSize          int64  `xml:"ebs>volumeSize"` // GiB
	VolumeType          string `xml:"ebs>volumeType"`
	Encrypted           bool   `xml:"ebs>encrypted"`
}

// What every AMI of Souk has.
const (
	rootDevice     = "/dev/xvda"
	hypervisor     = "xen" // AWS says so of AMIs for Nitro, too
	usageOperation = "RunInstances"
	volumeType     = "gp3"
)

// describe shows an AMI.
func (c Config) describe(a images.AMI) Image {
	shown := Image{
		ImageID: a.ID, ImageLocation: c.location(a), ImageState: a.State, ImageOwnerID: a.Owner,
		CreationDate: a.CreationDate(), IsPublic: a.Public, Architecture: a.Architecture, ImageType: "machine",
		PlatformDetails: a.PlatformDetails(), UsageOperation: usageOperation, Name: a.Name, Description: a.Description,
		RootDeviceType: a.RootDeviceType, RootDeviceName: rootDevice, VirtualizationType: a.VirtualizationType,
		Hypervisor: hypervisor, EnaSupport: a.EnaSupport,
	}
	if r := stateReason(a); r.Code != "" {
		shown.StateReason = &r
	}
	for _, code := range a.ProductCodes {
		shown.ProductCodes.Items = append(shown.ProductCodes.Items, ProductCode{ProductCode: code, Type: "marketplace"})
	}
	if a.RootDeviceType == images.EBS {
		shown.BlockDeviceMappings.Items = []BlockDeviceMapping{{
			DeviceName: rootDevice, DeleteOnTermination: true, VolumeSize: gibibytes(a.Unpacked), VolumeType: volumeType,
		}}
	}
	return shown
}

// stateReason is why an AMI is pending or has failed; of a pending one it says how
// much of its image was read, as a client that waits may show it.
func stateReason(a images.AMI) StateReason {
	switch {
	case a.StateReason != nil:
		return StateReason{a.StateReason.Code, sentence(a.StateReason.Message)}
	case a.State == images.StatePending:
		return StateReason{"pending", fmt.Sprintf("%d of %d bytes of the image were read.", a.Read, a.Size)}
	}
	return StateReason{}
}

// location is where the registry has an AMI's image: what RegisterImage takes.
func (c Config) location(a images.AMI) string {
	return c.Endpoint + "/" + a.Repository + "@" + a.Digest
}

// gibibytes is the size of the smallest volume for so many bytes.
func gibibytes(n int64) int64 { return max(1, (n+1<<30-1)>>30) }

// imageFields are the filters that the records of AMIs don't answer by
// themselves: what is the same for all AMIs of Souk, or what none has.
var imageFields = fields[images.AMI]{
	"block-device-mapping.delete-on-termination": ofRoot("true"),
	"block-device-mapping.device-name":           ofRoot(rootDevice),
	"block-device-mapping.encrypted":             ofRoot("false"),
	"block-device-mapping.volume-type":           ofRoot(volumeType),
	"hypervisor":                                 func(images.AMI) []string { return []string{hypervisor} },
	"image-allowed":                              func(images.AMI) []string { return []string{"true"} },
	"manifest-location":                          func(a images.AMI) []string { return []string{a.Repository + "@" + a.Digest} }, // without the host
	"product-code.type": func(a images.AMI) []string {
		if len(a.ProductCodes) == 0 {
			return nil
		}
		return []string{"marketplace"}
	},
	"root-device-name": func(images.AMI) []string { return []string{rootDevice} },
	"state-reason-code": func(a images.AMI) []string {
		if r := stateReason(a); r.Code != "" {
			return []string{r.Code}
		}
		return nil
	},
	"state-reason-message": func(a images.AMI) []string {
		if r := stateReason(a); r.Code != "" {
			return []string{r.Message}
		}
		return nil
	},

	"block-device-mapping.snapshot-id": nil, "block-device-mapping.volume-size": nil, "free-tier-eligible": nil, "kernel-id": nil,
	"owner-alias": nil, "platform": nil, "ramdisk-id": nil, "source-image-id": nil, "source-image-region": nil, "source-instance-id": nil,
	"sriov-net-support": nil, "tag-key": nil,
}

// ofRoot is a property of the root volume, which AMIs have that EBS backs.
func ofRoot(value string) func(images.AMI) []string {
	return func(a images.AMI) []string {
		if a.RootDeviceType != images.EBS {
			return nil
		}
		return []string{value}
	}
}

// describeImages lists AMIs that the caller owns, that are shared with the
// caller's account, or that are public. With a filter that only this file knows
// a page may be shorter than MaxResults, and have a token all the same.
//
// Amazon EC2 API Reference, "DescribeImages".
func describeImages(c Config) gateway.Operation {
	return action(gateway.Def[DescribeImagesInput, *DescribeImagesOutput]{
		Name:      "DescribeImages",
		ReadOnly:  true,
		Authorize: anywhere[DescribeImagesInput]("DescribeImages"),
		Call: func(ctx context.Context, caller *gateway.Caller, in *DescribeImagesInput) (*DescribeImagesOutput, error) {
			q := images.Query{
				Account: caller.Principal.Account, Owners: in.Owners, ExecutableUsers: in.ExecutableUsers,
				IDs: in.ImageIds, Filters: map[string][]string{}, NextToken: in.NextToken,
			}
			if in.MaxResults != nil {
				q.MaxResults = *in.MaxResults
			}
			for _, id := range in.ImageIds {
				if err := checkID(id); err != nil {
					return nil, err
				}
			}
			var mine []Filter
			for _, f := range in.Filters {
				_, twice := q.Filters[f.Name]
				if err := checkValues(f); err != nil {
					return nil, err
				}
				switch {
				case !slices.Contains(images.FilterNames(), f.Name):
					mine = append(mine, f)
				case twice:
					return nil, wrong("The filter '%s' is given more than once", f.Name)
				default:
					q.Filters[f.Name] = f.Values
				}
			}
			if err := imageFields.check(mine); err != nil {
				return nil, err
			}
			found, err := c.Images.List(ctx, q)
			if err != nil {
				return nil, failure(err)
			}
			out := &DescribeImagesOutput{NextToken: found.NextToken}
			for _, a := range found.Images {
				if imageFields.fit(mine, a) {
					out.Images.Items = append(out.Images.Items, c.describe(a))
				}
			}
			return out, nil
		},
	}, func(in *DescribeImagesInput) bool { return in.DryRun })
}

package appstream

import (
	"context"

	"souk/artifact/appstream/image"
	"souk/artifact/appstream/resource"
	"souk/gateway"
	"souk/gateway/awsjson"
)

// Images is what the operations on AppStream images need of their room;
// *image.Images does it.
type Images interface {
	List(ctx context.Context, q image.Query) (image.Page, error)
	Delete(ctx context.Context, account, region, name string) (image.Image, error)
	Copy(ctx context.Context, q image.CopyRequest) (image.Image, error)
	Import(ctx context.Context, q image.ImportRequest) (image.Image, error)
	Export(ctx context.Context, q image.ExportRequest) (*image.Task, error)
	Task(ctx context.Context, account, region, id string) (*image.Task, error)
	Tasks(ctx context.Context, q image.TaskQuery) (tasks []*image.Task, next string, err error)
	Permissions(ctx context.Context, q image.PermissionsQuery) (page []image.Permission, next string, err error)
	Share(ctx context.Context, account, region, name, with string, p image.Permissions) error
	Unshare(ctx context.Context, account, region, name, with string) error
	IconURL(a image.Application) (string, error)
	LatestAgent(i image.Image) (version string, latest bool)
}

// Image is an image as answers have it.
//
// AppStream API Reference, "Image".
type Image struct {
	Name                        string
	Arn                         string             `json:",omitzero"`
	BaseImageArn                string             `json:",omitzero"`
	DisplayName                 string             `json:",omitzero"`
	State                       string             `json:",omitzero"`
	Visibility                  string             `json:",omitzero"`
	ImageBuilderSupported       bool               // whether an image builder can be made from it
	ImageBuilderName            string             `json:",omitzero"`
	Platform                    string             `json:",omitzero"`
	Description                 string             `json:",omitzero"`
	StateChangeReason           *StateChangeReason `json:",omitzero"`
	Applications                []Application      // none: empty
	CreatedTime                 awsjson.Time
	PublicBaseImageReleasedDate awsjson.Time    `json:",omitzero"`
	AppstreamAgentVersion       string          `json:",omitzero"`
	ImagePermissions            *Permissions    `json:",omitzero"` // of one that is shared with the caller
	ImageErrors                 []ResourceError `json:",omitzero"`
	LatestAppstreamAgentVersion string          `json:",omitzero"` // TRUE or FALSE
	SupportedInstanceFamilies   []string        `json:",omitzero"`
	DynamicAppProvidersEnabled  string          `json:",omitzero"`
	ImageSharedWithOthers       string          `json:",omitzero"` // TRUE or FALSE, for its owner
	ManagedSoftwareIncluded     bool
	ImageType                   string `json:",omitzero"`
}

// Permissions are what an account may do with an image.
type Permissions struct {
	AllowFleet        *bool `json:"allowFleet,omitzero"`
	AllowImageBuilder *bool `json:"allowImageBuilder,omitzero"`
}

// Application is an application of an image.
//
// AppStream API Reference, "Application".
type Application struct {
	Name             string
	DisplayName      string `json:",omitzero"`
	IconURL          string `json:",omitzero"`
	LaunchPath       string `json:",omitzero"`
	LaunchParameters string `json:",omitzero"`
	Enabled          bool
	Metadata         map[string]string `json:",omitzero"`
	WorkingDirectory string            `json:",omitzero"`
	Description      string            `json:",omitzero"`
	Platforms        []string          `json:",omitzero"`
	InstanceFamilies []string          `json:",omitzero"`
	CreatedTime      awsjson.Time      `json:",omitzero"`
}

// families are the instance families on which images run here: all without a
// graphics processor ("Image", SupportedInstanceFamilies).
var families = []string{"General Purpose", "Compute Optimized", "Memory Optimized"}

// shownImage is an image as its asker sees it.
func (s *service) shownImage(i image.Image, account string) (*Image, error) {
	version, latest := s.Images.LatestAgent(i)
	out := &Image{
		Name: i.Name, Arn: i.ARN, BaseImageArn: i.BaseARN, DisplayName: i.DisplayName, State: string(i.State), Visibility: string(i.Visibility),
		ImageBuilderSupported: i.State == image.Available, ImageBuilderName: i.BuilderName, Platform: i.Platform, Description: i.Description,
		Applications: []Application{}, CreatedTime: awsjson.Time{Time: i.Created}, PublicBaseImageReleasedDate: awsjson.Time{Time: i.BaseReleased},
		AppstreamAgentVersion: version, LatestAppstreamAgentVersion: truth(latest), SupportedInstanceFamilies: families,
		DynamicAppProvidersEnabled: "DISABLED", ImageType: i.Type,
	}
	if i.Reason != nil {
		out.StateChangeReason = &StateChangeReason{Code: i.Reason.Code, Message: i.Reason.Message}
	}
	for _, e := range i.Errors {
		out.ImageErrors = append(out.ImageErrors, shownBuilderError(e))
	}
	switch i.Visibility {
	case image.Shared:
		p := i.Shared[account]
		out.ImagePermissions = &Permissions{&p.AllowFleet, &p.AllowImageBuilder}
		out.ImageBuilderName = ""
		out.ImageBuilderSupported = out.ImageBuilderSupported && p.AllowImageBuilder
	case image.Private:
		out.ImageSharedWithOthers = truth(len(i.Shared) > 0)
	}
	for _, a := range i.Applications {
		icon, err := s.Images.IconURL(a)
		if err != nil {
			return nil, err
		}
		app := Application{
			Name: a.Name, DisplayName: a.DisplayName, IconURL: icon, LaunchPath: a.LaunchPath, LaunchParameters: a.LaunchParameters, Enabled: a.Enabled,
			Metadata: a.Metadata, WorkingDirectory: a.WorkingDirectory, Description: a.Description, CreatedTime: awsjson.Time{Time: a.Created},
		}
		if i.Platform != "" {
			app.Platforms = []string{i.Platform}
		}
		out.Applications = append(out.Applications, app)
	}
	return out, nil
}

// truth is a boolean where the model has an enum of TRUE and FALSE.
func truth(b bool) string {
	if b {
		return "TRUE"
	}
	return "FALSE"
}

// imageARN is the ARN of an image of the caller's.
func imageARN(c *gateway.Caller, name string) string {
	return resource.ARN{Region: c.Region, Account: c.Principal.Account, Type: resource.TypeImage, Name: name}.String()
}

// onImage asks for an action on an image of the caller's, and whatever else.
func (s *service) onImage(ctx context.Context, c *gateway.Caller, action, name string, also ...[]question) ([]question, error) {
	q, err := s.on(ctx, c, action, imageKind, name)
	all := []question{q}
	for _, more := range also {
		all = append(all, more...)
	}
	return all, err
}

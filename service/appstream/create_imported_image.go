package appstream

import (
	"context"

	"souk/access/trail"
	"souk/artifact/appstream/image"
	"souk/gateway"
	"souk/gateway/apierror"
)

// CreateImportedImageRequest asks for an image of a machine image.
type CreateImportedImageRequest struct {
	Name                    string            `required:"" pattern:"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}$"`
	SourceAmiId             string            `pattern:"^ami-[a-z0-9]{8,17}$"`
	IamRoleArn              string            `pattern:"^arn:aws(?:\\-cn|\\-iso\\-b|\\-iso|\\-us\\-gov)?:[A-Za-z0-9][A-Za-z0-9_/.-]{0,62}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9][A-Za-z0-9:_/+=,@.\\\\-]{0,1023}$"`
	Description             string            `len:"0,256" pattern:"^[a-zA-Z0-9_.() -]+$"`
	DisplayName             string            `len:"0,100" pattern:"^[a-zA-Z0-9_.() -]+$"`
	Tags                    map[string]string `size:"1,50" keylen:"1,128" keypattern:"^(^(?!aws:).[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$" memberlen:"0,256" memberpattern:"^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$"`
	RuntimeValidationConfig *RuntimeValidation
	AgentSoftwareVersion    string              `enum:"CURRENT_LATEST,ALWAYS_LATEST"`
	AppCatalogConfig        []ApplicationConfig `size:"0,50"`
	DryRun                  bool
	WorkspaceImageId        string

	// Visibility is a member of ours: PUBLIC makes an image for all accounts, which
	// the management account may.
	Visibility string `enum:"PUBLIC,PRIVATE"`
}

// RuntimeValidation asks for a machine to be started of the image.
type RuntimeValidation struct {
	IntendedInstanceType string `pattern:"^[a-zA-Z0-9-]+(\\.[a-z0-9-]+)+\\.(small|medium|large|xlarge|\\d+xlarge|metal)$"`
}

// ApplicationConfig is an application that the image must have.
type ApplicationConfig struct {
	Name                 string `required:"" pattern:"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,99}$" len:"0,100" sensitive:""`
	DisplayName          string `pattern:"^[a-zA-Z0-9][a-zA-Z0-9_. -]{0,99}$" len:"0,100" sensitive:""`
	AbsoluteAppPath      string `required:"" len:"0,32767" sensitive:""`
	AbsoluteIconPath     string `len:"0,32767" sensitive:""`
	AbsoluteManifestPath string `len:"0,32767" sensitive:""`
	WorkingDirectory     string `len:"0,32767" sensitive:""`
	LaunchParameters     string `len:"0,1024" pattern:"[^\\x00]+" sensitive:""`
}

// CreateImportedImageResult is the image, which is CREATING.
type CreateImportedImageResult struct{ Image *Image }

// createImportedImage "creates a custom WorkSpaces Applications image by importing
// an EC2 AMI".
//
// AppStream API Reference, "CreateImportedImage".
func (s *service) createImportedImage() action {
	return act(gateway.Def[CreateImportedImageRequest, *CreateImportedImageResult]{
		Name: "CreateImportedImage",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *CreateImportedImageRequest) ([]question, error) {
			all, err := s.onImage(ctx, c, "CreateImportedImage", in.Name, tagging(imageARN(c, in.Name), in.Tags), passing(in.IamRoleArn))
			if err == nil {
				all[0] = withTags(all[0], in.Tags)
			}
			return all, err
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *CreateImportedImageRequest) (*CreateImportedImageResult, error) {
			switch {
			case in.WorkspaceImageId != "":
				return nil, apierror.New(operationNotPermitted, "Images of WorkSpaces are not offered. Name a machine image in SourceAmiId.")
			case in.SourceAmiId == "" || in.IamRoleArn == "":
				return nil, apierror.New(invalidParameterCombination, "An image is imported of a machine image by a role that may read it. Give SourceAmiId and IamRoleArn.")
			}
			q := image.ImportRequest{
				Account: c.Principal.Account, Region: c.Region, Name: in.Name, AMI: in.SourceAmiId, Role: in.IamRoleArn,
				DisplayName: in.DisplayName, Description: in.Description, Tags: in.Tags, Always: in.AgentSoftwareVersion == "ALWAYS_LATEST",
				Public: in.Visibility == "PUBLIC", DryRun: in.DryRun,
			}
			if in.RuntimeValidationConfig != nil {
				q.Try, q.Instance = true, in.RuntimeValidationConfig.IntendedInstanceType
			}
			for _, a := range in.AppCatalogConfig {
				q.Catalog = append(q.Catalog, image.CatalogItem{
					Name: a.Name, DisplayName: a.DisplayName, AppPath: a.AbsoluteAppPath, IconPath: a.AbsoluteIconPath,
					ManifestPath: a.AbsoluteManifestPath, WorkingDirectory: a.WorkingDirectory, LaunchParameters: a.LaunchParameters,
				})
			}
			answer := func(i image.Image) (*CreateImportedImageResult, error) {
				shown, err := s.shownImage(i, c.Principal.Account)
				return &CreateImportedImageResult{shown}, err
			}
			q.Begins = func(i image.Image) {
				if out, err := answer(i); err == nil {
					trail.Answer(ctx, out)
				}
			}
			i, err := s.Images.Import(ctx, q)
			if err != nil {
				return nil, err
			}
			return answer(i)
		},
	})
}

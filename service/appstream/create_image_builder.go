package appstream

import (
	"context"

	"souk/access/trail"
	"souk/artifact/appstream/builder"
	"souk/artifact/appstream/resource"
	"souk/gateway"
)

// CreateImageBuilderRequest asks for an image builder.
type CreateImageBuilderRequest struct {
	Name                        string `required:"" pattern:"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}$"`
	ImageName                   string `len:"1,"`
	ImageArn                    string `pattern:"^arn:aws(?:\\-cn|\\-iso\\-b|\\-iso|\\-us\\-gov)?:[A-Za-z0-9][A-Za-z0-9_/.-]{0,62}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9][A-Za-z0-9:_/+=,@.\\\\-]{0,1023}$"`
	InstanceType                string `required:"" len:"1,"`
	Description                 string `len:"0,256"`
	DisplayName                 string `len:"0,100"`
	VpcConfig                   *VpcConfig
	IamRoleArn                  string `pattern:"^arn:aws(?:\\-cn|\\-iso\\-b|\\-iso|\\-us\\-gov)?:[A-Za-z0-9][A-Za-z0-9_/.-]{0,62}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9][A-Za-z0-9:_/+=,@.\\\\-]{0,1023}$"`
	EnableDefaultInternetAccess bool
	DomainJoinInfo              *DomainJoinInfo
	AppstreamAgentVersion       *string           `len:"1,100"`
	Tags                        map[string]string `size:"1,50" keylen:"1,128" keypattern:"^(^(?!aws:).[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$" memberlen:"0,256" memberpattern:"^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$"`
	AccessEndpoints             []AccessEndpoint  `size:"1,4"`
	RootVolumeConfig            *VolumeConfig
	SoftwaresToInstall          []string `memberlen:"1,"`
	SoftwaresToUninstall        []string `memberlen:"1,"`
	DisableIMDSV1               *bool
}

// CreateImageBuilderResult is the builder, which is PENDING.
type CreateImageBuilderResult struct{ ImageBuilder ImageBuilder }

// createImageBuilder "creates an image builder. An image builder is a virtual
// machine that is used to create an image. The initial state of the builder is
// PENDING. When it is ready, the state is RUNNING."
//
// AppStream API Reference, "CreateImageBuilder".
func (s *service) createImageBuilder() action {
	return act(gateway.Def[CreateImageBuilderRequest, *CreateImageBuilderResult]{
		Name: "CreateImageBuilder", ThrottledCode: requestLimitExceeded,
		Authorize: func(ctx context.Context, c *gateway.Caller, in *CreateImageBuilderRequest) ([]question, error) {
			own, err := s.on(ctx, c, "CreateImageBuilder", builderKind, in.Name)
			if err != nil {
				return nil, err
			}
			image := in.ImageArn
			if image == "" {
				image = resource.ARN{Region: c.Region, Account: c.Principal.Account, Type: imageKind, Name: in.ImageName}.String()
			}
			from, err := s.onARN(ctx, c, "CreateImageBuilder", image)
			if err != nil {
				return nil, err
			}
			all := []question{withTags(own, in.Tags), withTags(from, in.Tags)}
			all = append(all, tagging(own.Resource, in.Tags)...)
			return append(all, passing(in.IamRoleArn)...), nil
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *CreateImageBuilderRequest) (*CreateImageBuilderResult, error) {
			r := builder.Request{
				Account: c.Principal.Account, Region: c.Region, Name: in.Name, InstanceType: in.InstanceType, ImageName: in.ImageName, ImageARN: in.ImageArn,
				Description: in.Description, DisplayName: in.DisplayName, Role: in.IamRoleArn, Internet: in.EnableDefaultInternetAccess,
				Softwares: len(in.SoftwaresToInstall)+len(in.SoftwaresToUninstall) > 0, NoIMDSv1: in.DisableIMDSV1, Tags: in.Tags,
			}
			if in.VpcConfig != nil {
				r.Network = &builder.Network{Subnets: in.VpcConfig.SubnetIds, Groups: in.VpcConfig.SecurityGroupIds}
			}
			if in.DomainJoinInfo != nil {
				r.Domain = &builder.Domain{Directory: in.DomainJoinInfo.DirectoryName, Unit: in.DomainJoinInfo.OrganizationalUnitDistinguishedName}
			}
			if in.AppstreamAgentVersion != nil {
				r.Agent = *in.AppstreamAgentVersion
			}
			for _, e := range in.AccessEndpoints {
				r.Endpoints = append(r.Endpoints, builder.Endpoint{Type: e.EndpointType, VPCE: e.VpceId})
			}
			if in.RootVolumeConfig != nil {
				r.Volume = in.RootVolumeConfig.VolumeSizeInGb
			}
			r.Begins = func(b *builder.Builder) {
				trail.Answer(ctx, &CreateImageBuilderResult{s.shownBuilder(b)}, b.ARN)
			}
			b, err := s.Builders.Create(ctx, r)
			if err != nil {
				return nil, err
			}
			return &CreateImageBuilderResult{s.shownBuilder(b)}, nil
		},
	})
}

package appstream

import (
	"context"

	"souk/artifact/appstream/builder"
	"souk/artifact/appstream/resource"
	"souk/gateway/awsjson"
)

// Builders is what the operations on image builders need of their room;
// *builder.Builders does it.
type Builders interface {
	Create(ctx context.Context, r builder.Request) (*builder.Builder, error)
	Describe(ctx context.Context, q builder.Query) (builder.Page, error)
	Start(ctx context.Context, account, region, name, agent string, begins func(*builder.Builder)) (*builder.Builder, error)
	Stop(ctx context.Context, account, region, name string, begins func(*builder.Builder)) (*builder.Builder, error)
	Delete(ctx context.Context, account, region, name string, begins func(*builder.Builder)) (*builder.Builder, error)
	// Latest says whether a builder's agent is the one that machines have now.
	Latest(r *builder.Builder) bool
}

// ImageBuilder is an image builder as callers see it: the members that it has.
//
// AppStream API Reference, "ImageBuilder". NetworkAccessConfiguration is missing:
// no builder has a network interface of its own.
type ImageBuilder struct {
	Name                        string
	Arn                         string
	ImageArn                    string
	Description                 string     `json:",omitzero"`
	DisplayName                 string     `json:",omitzero"`
	VpcConfig                   *VpcConfig `json:",omitzero"`
	InstanceType                string
	Platform                    string `json:",omitzero"`
	IamRoleArn                  string `json:",omitzero"`
	State                       string
	StateChangeReason           *StateChangeReason `json:",omitzero"`
	CreatedTime                 awsjson.Time
	EnableDefaultInternetAccess bool
	DomainJoinInfo              *DomainJoinInfo `json:",omitzero"`
	ImageBuilderErrors          []ResourceError `json:",omitzero"`
	AppstreamAgentVersion       string
	AccessEndpoints             []AccessEndpoint `json:",omitzero"`
	RootVolumeConfig            *VolumeConfig    `json:",omitzero"`
	LatestAppstreamAgentVersion string           // TRUE or FALSE
	DisableIMDSV1               *bool            `json:",omitzero"`
}

// StateChangeReason says why a state was entered that nobody asked for. Code is
// INTERNAL_ERROR or IMAGE_UNAVAILABLE; it is missing where nothing went wrong.
type StateChangeReason struct {
	Code    string `json:",omitzero"`
	Message string `json:",omitzero"`
}

// ResourceError is what stands in the way of a builder.
type ResourceError struct {
	ErrorCode      string
	ErrorMessage   string
	ErrorTimestamp awsjson.Time
}

// VpcConfig names a subnet and security groups.
type VpcConfig struct {
	SubnetIds        []string `json:",omitzero" memberlen:"1,"`
	SecurityGroupIds []string `json:",omitzero" size:"0,5" memberlen:"1,"`
}

// DomainJoinInfo names a directory.
type DomainJoinInfo struct {
	DirectoryName                       string `json:",omitzero"`
	OrganizationalUnitDistinguishedName string `json:",omitzero" len:"0,2000"`
}

// AccessEndpoint names an interface endpoint.
type AccessEndpoint struct {
	EndpointType string `required:"" enum:"STREAMING"`
	VpceId       string `json:",omitzero"`
}

// VolumeConfig is the size of a disk.
type VolumeConfig struct {
	VolumeSizeInGb *int `json:",omitzero"`
}

// shownBuilder is a builder as callers see it.
func (s *service) shownBuilder(b *builder.Builder) ImageBuilder {
	out := ImageBuilder{
		Name: b.Name, Arn: b.ARN, ImageArn: b.ImageARN, Description: b.Description, DisplayName: b.DisplayName,
		InstanceType: b.InstanceType, Platform: b.Platform, IamRoleArn: b.Role, State: string(b.State), CreatedTime: awsjson.Time{Time: b.Created},
		EnableDefaultInternetAccess: b.Internet, AppstreamAgentVersion: b.Agent, LatestAppstreamAgentVersion: "FALSE", DisableIMDSV1: b.NoIMDSv1,
	}
	if s.Builders.Latest(b) {
		out.LatestAppstreamAgentVersion = "TRUE"
	}
	if b.Network != nil {
		out.VpcConfig = &VpcConfig{SubnetIds: b.Network.Subnets, SecurityGroupIds: b.Network.Groups}
	}
	if b.Reason != nil {
		out.StateChangeReason = &StateChangeReason{Code: b.Reason.Code, Message: b.Reason.Message}
	}
	if b.Domain != nil {
		out.DomainJoinInfo = &DomainJoinInfo{DirectoryName: b.Domain.Directory, OrganizationalUnitDistinguishedName: b.Domain.Unit}
	}
	for _, e := range b.Errors {
		out.ImageBuilderErrors = append(out.ImageBuilderErrors, shownBuilderError(e))
	}
	for _, e := range b.Endpoints {
		out.AccessEndpoints = append(out.AccessEndpoints, AccessEndpoint{EndpointType: e.Type, VpceId: e.VPCE})
	}
	if b.Volume > 0 {
		out.RootVolumeConfig = &VolumeConfig{VolumeSizeInGb: &b.Volume}
	}
	return out
}

func shownBuilderError(e resource.Error) ResourceError {
	return ResourceError{ErrorCode: e.Code, ErrorMessage: e.Message, ErrorTimestamp: awsjson.Time{Time: e.Timestamp}}
}

package ec2

import (
	"context"
	"slices"

	"souk/artifact/images"
	"souk/gateway"
	"souk/gateway/apierror"
)

// ModifyImageAttributeInput changes the launch permissions or the description
// of an AMI: in the newer form by LaunchPermission or Description, in the older
// one by Attribute with OperationType, UserIds, UserGroups or Value.
type ModifyImageAttributeInput struct {
	ImageId          string                         `query:"ImageId"`
	LaunchPermission *LaunchPermissionModifications `query:"LaunchPermission"`
	Description      *AttributeValue                `query:"Description"`
	Attribute        string                         `query:"Attribute"`
	OperationType    string                         `query:"OperationType" enum:"add,remove"`
	UserIds          []string                       `query:"UserId"`
	UserGroups       []string                       `query:"UserGroup"`
	Value            *string                        `query:"Value"`
	DryRun           bool                           `query:"DryRun"`

	// What AMIs of Souk don't have; refused where given.
	ImdsSupport            *AttributeValue `query:"ImdsSupport"`
	OrganizationArns       []string        `query:"OrganizationArn"`
	OrganizationalUnitArns []string        `query:"OrganizationalUnitArn"`
	ProductCodes           []string        `query:"ProductCode"`
}

// LaunchPermissionModifications says who is given the permission, and from whom
// it is taken.
type LaunchPermissionModifications struct {
	Add    []LaunchPermission `query:"Add"`
	Remove []LaunchPermission `query:"Remove"`
}

// LaunchPermission is an account, or the group all.
type LaunchPermission struct {
	UserId                string `query:"UserId" xml:"userId,omitempty"`
	Group                 string `query:"Group" xml:"group,omitempty"`
	OrganizationArn       string `query:"OrganizationArn" xml:"-"`
	OrganizationalUnitArn string `query:"OrganizationalUnitArn" xml:"-"`
}

// AttributeValue is a text in a structure of its own.
type AttributeValue struct {
	Value string `query:"Value" xml:"value"`
}

// ModifyImageAttributeOutput says that it is done.
type ModifyImageAttributeOutput struct {
	Return bool `xml:"return"`
}

// modifyImageAttribute changes an AMI of the caller's account. Permissions are
// given to accounts and to all; there are no organisational units to give them
// to.
//
// Amazon EC2 API Reference, "ModifyImageAttribute".
func modifyImageAttribute(c Config) gateway.Operation {
	return action(gateway.Def[ModifyImageAttributeInput, *ModifyImageAttributeOutput]{
		Name:      "ModifyImageAttribute",
		Authorize: onImage("ModifyImageAttribute", func(in *ModifyImageAttributeInput) string { return in.ImageId }),
		Call: func(ctx context.Context, caller *gateway.Caller, in *ModifyImageAttributeInput) (*ModifyImageAttributeOutput, error) {
			m, err := in.modification()
			if err != nil {
				return nil, err
			}
			m.Account, m.ID = caller.Principal.Account, in.ImageId
			if _, err := c.Images.Modify(ctx, m); err != nil {
				return nil, failure(err)
			}
			return &ModifyImageAttributeOutput{Return: true}, nil
		},
	}, func(in *ModifyImageAttributeInput) bool { return in.DryRun })
}

// modification reads both forms; one attribute is changed at a time: "You can
// specify only one attribute at a time."
func (in *ModifyImageAttributeInput) modification() (m images.Modification, err error) {
	if in.ImdsSupport != nil || len(in.OrganizationArns) > 0 || len(in.OrganizationalUnitArns) > 0 || len(in.ProductCodes) > 0 {
		return m, apierror.New("UnsupportedOperation", "Only the launch permissions of accounts and of the group all, and the description, can be modified at this endpoint")
	}
	permissions := in.LaunchPermission
	description := in.Description
	switch in.Attribute {
	case "":
	case "description":
		if description == nil && in.Value != nil {
			description = &AttributeValue{*in.Value}
		}
	case "launchPermission":
		if permissions == nil {
			permissions = in.listed()
		}
	case "imdsSupport":
		return m, apierror.New("UnsupportedOperation", "The attribute imdsSupport is not offered at this endpoint")
	default:
		return m, wrong("Value (%s) for parameter attribute is invalid. Unknown attribute.", shortened(in.Attribute))
	}
	switch {
	case permissions != nil && description != nil:
		return m, apierror.New("InvalidParameterCombination", "Only one attribute can be modified at a time")
	case description != nil:
		m.Description = &description.Value
	case permissions != nil:
		err = permissions.into(&m)
	default:
		return m, apierror.New("InvalidParameterCombination", "No attributes specified.")
	}
	return m, err
}

// listed are the permissions of the older form.
func (in *ModifyImageAttributeInput) listed() *LaunchPermissionModifications {
	var list []LaunchPermission
	for _, id := range in.UserIds {
		list = append(list, LaunchPermission{UserId: id})
	}
	for _, group := range in.UserGroups {
		list = append(list, LaunchPermission{Group: group})
	}
	if in.OperationType == "remove" {
		return &LaunchPermissionModifications{Remove: list}
	}
	return &LaunchPermissionModifications{Add: list}
}

func (p *LaunchPermissionModifications) into(m *images.Modification) error {
	if len(p.Add)+len(p.Remove) == 0 {
		return apierror.New("InvalidParameterCombination", "No attributes specified.")
	}
	for _, one := range slices.Concat(p.Add, p.Remove) {
		switch {
		case one.OrganizationArn != "" || one.OrganizationalUnitArn != "":
			return apierror.New("UnsupportedOperation", "Launch permissions of organizations are not offered at this endpoint")
		case one.Group != "" && one.Group != "all":
			return wrong("Value (%s) for parameter group is invalid. The only group is all.", shortened(one.Group))
		case (one.Group == "") == (one.UserId == ""):
			return apierror.New("InvalidParameterCombination", "A launch permission is of an account or of a group")
		}
	}
	for _, one := range p.Add {
		if one.Group != "" {
			yes := true
			m.Public = &yes
		} else {
			m.Share = append(m.Share, one.UserId)
		}
	}
	for _, one := range p.Remove {
		if one.Group != "" {
			no := false
			m.Public = &no
		} else {
			m.Unshare = append(m.Unshare, one.UserId)
		}
	}
	return nil
}

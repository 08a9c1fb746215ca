package appstream

import (
	"context"

	"souk/artifact/appstream/image"
	"souk/gateway"
)

// DescribeImagePermissionsRequest names an image of the caller's.
type DescribeImagePermissionsRequest struct {
	Name                string   `required:"" pattern:"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}$"`
	MaxResults          *int     `range:"0,500"`
	SharedAwsAccountIds []string `size:"1,5" memberpattern:"^\\d+$"`
	NextToken           *string  `len:"1,"`
}

// DescribeImagePermissionsResult is a page of those that it is shared with.
type DescribeImagePermissionsResult struct {
	Name                       string
	SharedImagePermissionsList []SharedImagePermissions
	NextToken                  string `json:",omitzero"`
}

// SharedImagePermissions are those of one account.
type SharedImagePermissions struct {
	SharedAccountId  string      `json:"sharedAccountId"`
	ImagePermissions Permissions `json:"imagePermissions"`
}

// describeImagePermissions "retrieves a list that describes the permissions for
// shared AWS account IDs on a private image that you own".
//
// AppStream API Reference, "DescribeImagePermissions".
func (s *service) describeImagePermissions() action {
	return act(gateway.Def[DescribeImagePermissionsRequest, *DescribeImagePermissionsResult]{
		Name:     "DescribeImagePermissions",
		ReadOnly: true,
		Authorize: func(ctx context.Context, c *gateway.Caller, in *DescribeImagePermissionsRequest) ([]question, error) {
			return s.onImage(ctx, c, "DescribeImagePermissions", in.Name)
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *DescribeImagePermissionsRequest) (*DescribeImagePermissionsResult, error) {
			page, next, err := s.Images.Permissions(ctx, image.PermissionsQuery{
				Account: c.Principal.Account, Region: c.Region, Name: in.Name, Accounts: in.SharedAwsAccountIds, MaxResults: in.MaxResults, NextToken: in.NextToken,
			})
			if err != nil {
				return nil, err
			}
			out := &DescribeImagePermissionsResult{Name: in.Name, SharedImagePermissionsList: []SharedImagePermissions{}, NextToken: next}
			for _, p := range page {
				out.SharedImagePermissionsList = append(out.SharedImagePermissionsList, SharedImagePermissions{p.Account, Permissions{&p.AllowFleet, &p.AllowImageBuilder}})
			}
			return out, nil
		},
	})
}

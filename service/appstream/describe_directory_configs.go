package appstream

import (
	"context"

	"souk/artifact/appstream/directory"
	"souk/gateway"
)

// DescribeDirectoryConfigsRequest says which configurations are meant: those that
// are named, or all.
type DescribeDirectoryConfigsRequest struct {
	DirectoryNames []string
	MaxResults     *int
	NextToken      *string `len:"1,"`
}

// DescribeDirectoryConfigsResult is a page of configurations.
type DescribeDirectoryConfigsResult struct {
	DirectoryConfigs []DirectoryConfig
	NextToken        string `json:",omitzero"`
}

// describeDirectoryConfigs "retrieves a list that describes one or more specified
// Directory Config objects for AppStream 2.0, if the names for these objects are
// provided. Otherwise, all Directory Config objects in the account are described."
//
// AppStream API Reference, "DescribeDirectoryConfigs".
func (s *service) describeDirectoryConfigs() action {
	return act(gateway.Def[DescribeDirectoryConfigsRequest, *DescribeDirectoryConfigsResult]{
		Name:     "DescribeDirectoryConfigs",
		ReadOnly: true,
		Authorize: func(context.Context, *gateway.Caller, *DescribeDirectoryConfigsRequest) ([]question, error) {
			return onAll("DescribeDirectoryConfigs"), nil
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *DescribeDirectoryConfigsRequest) (*DescribeDirectoryConfigsResult, error) {
			page, err := s.Directories.List(ctx, directory.Query{
				Account: c.Principal.Account, Region: c.Region, Names: in.DirectoryNames, MaxResults: in.MaxResults, NextToken: in.NextToken,
			})
			if err != nil {
				return nil, err
			}
			out := &DescribeDirectoryConfigsResult{NextToken: page.NextToken, DirectoryConfigs: []DirectoryConfig{}}
			for _, d := range page.Directories {
				out.DirectoryConfigs = append(out.DirectoryConfigs, shownDirectory(d))
			}
			return out, nil
		},
	})
}

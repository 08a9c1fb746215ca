package appstream

import (
	"context"

	"souk/artifact/appstream/builder"
	"souk/gateway"
)

// DescribeImageBuildersRequest says which image builders are meant: those that are
// named, or all.
type DescribeImageBuildersRequest struct {
	Names      []string `memberlen:"1,"`
	MaxResults *int
	NextToken  *string `len:"1,"`
}

// DescribeImageBuildersResult is a page of image builders.
type DescribeImageBuildersResult struct {
	ImageBuilders []ImageBuilder
	NextToken     string `json:",omitzero"`
}

// describeImageBuilders "retrieves a list that describes one or more specified
// image builders, if the image builder names are provided. Otherwise, all image
// builders in the account are described."
//
// AppStream API Reference, "DescribeImageBuilders".
func (s *service) describeImageBuilders() action {
	return act(gateway.Def[DescribeImageBuildersRequest, *DescribeImageBuildersResult]{
		Name:     "DescribeImageBuilders",
		ReadOnly: true,
		Authorize: func(ctx context.Context, c *gateway.Caller, in *DescribeImageBuildersRequest) ([]question, error) {
			return s.onEach(ctx, c, "DescribeImageBuilders", builderKind, in.Names)
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *DescribeImageBuildersRequest) (*DescribeImageBuildersResult, error) {
			page, err := s.Builders.Describe(ctx, builder.Query{
				Account: c.Principal.Account, Region: c.Region, Names: in.Names, MaxResults: in.MaxResults, NextToken: in.NextToken,
			})
			if err != nil {
				return nil, err
			}
			out := &DescribeImageBuildersResult{NextToken: page.NextToken, ImageBuilders: []ImageBuilder{}}
			for _, b := range page.Builders {
				out.ImageBuilders = append(out.ImageBuilders, s.shownBuilder(b))
			}
			return out, nil
		},
	})
}

package appstream

import (
	"context"

	"souk/artifact/appstream/image"
	"souk/artifact/appstream/resource"
	"souk/gateway"
)

// DescribeImagesRequest says which images are meant: those that are named, or all.
type DescribeImagesRequest struct {
	Names      []string `memberlen:"1,"`
	Arns       []string `memberpattern:"^arn:aws(?:\\-cn|\\-iso\\-b|\\-iso|\\-us\\-gov)?:[A-Za-z0-9][A-Za-z0-9_/.-]{0,62}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9][A-Za-z0-9:_/+=,@.\\\\-]{0,1023}$"`
	Type       string   `enum:"PUBLIC,PRIVATE,SHARED"`
	NextToken  *string  `len:"1,"`
	MaxResults *int     `range:"0,25"`
}

// DescribeImagesResult is a page of images.
type DescribeImagesResult struct {
	Images    []*Image
	NextToken string `json:",omitzero"`
}

// describeImages "retrieves a list that describes one or more specified images, if
// the image names or image ARNs are provided. Otherwise, all images in the account
// are described."
//
// AppStream API Reference, "DescribeImages".
func (s *service) describeImages() action {
	return act(gateway.Def[DescribeImagesRequest, *DescribeImagesResult]{
		Name:     "DescribeImages",
		ReadOnly: true,
		Authorize: func(ctx context.Context, c *gateway.Caller, in *DescribeImagesRequest) ([]question, error) {
			all, err := s.onEach(ctx, c, "DescribeImages", imageKind, in.Names)
			if len(in.Arns) > 0 {
				all = nil
			}
			for _, arn := range in.Arns {
				if _, ok := resource.ParseARN(arn); !ok && err == nil {
					err = resource.NotFound("image", arn, c.Principal.Account)
				}
				if err == nil {
					var q question
					q, err = s.onARN(ctx, c, "DescribeImages", arn)
					all = append(all, q)
				}
			}
			return all, err
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *DescribeImagesRequest) (*DescribeImagesResult, error) {
			page, err := s.Images.List(ctx, image.Query{
				Account: c.Principal.Account, Region: c.Region, Names: in.Names, ARNs: in.Arns, Type: image.Visibility(in.Type),
				MaxResults: in.MaxResults, NextToken: in.NextToken,
			})
			if err != nil {
				return nil, err
			}
			out := &DescribeImagesResult{Images: []*Image{}, NextToken: page.NextToken}
			for _, i := range page.Images {
				shown, err := s.shownImage(i, c.Principal.Account)
				if err != nil {
					return nil, err
				}
				out.Images = append(out.Images, shown)
			}
			return out, nil
		},
	})
}

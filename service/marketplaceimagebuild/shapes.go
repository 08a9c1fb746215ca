package marketplaceimagebuild

import (
	"souk/artifact/build"
	"souk/gateway/awsjson"
)

// Types of members that the model names. What is said of them beside their kind
// stands in scalars; what is said of members, in their tag doc.

// DateTime is a time in seconds since 1970.
type DateTime = awsjson.Time

// BuildStatus is a status of a build.
type BuildStatus string

// ErrorCode says why a build failed.
type ErrorCode string

// NextToken is a token of a page.
type NextToken string

// MaxResults is the size of a page.
type MaxResults int

// Build is a build as DescribeBuilds shows it.
type Build struct {
	BuildId              string           `doc:"The id of the build."`
	DestinationImage     DestinationImage `doc:"The image that the build makes."`
	FulfillmentOptionIds []string         `doc:"What is installed, in this order: fulfillment options of products. DescribeEntity of a product shows the ids of its options."`
	Products             []Product        `doc:"The products of the fulfillment options, in the same order."`
	SourceImage          SourceImage      `doc:"The image on which is installed."`
	SnsTopicArn          string           `json:",omitzero" doc:"The SNS topic that is told of each change of the status."`
	Status               BuildStatus      `doc:"<ul> <li> <p>InProgress - The build was started.</p> </li> <li> <p>InternalError - The build ended by a failure of the server. It may be started again.</p> </li> <li> <p>Failed - The build has failed; there is no image.</p> </li> <li> <p>Succeeded - The build has ended and there is the image.</p> </li> </ul>"`
	StandardOutputUrl    string           `json:",omitzero" doc:"Where what the installers write to their standard output can be read for twelve hours from now on, also while they run."`
	StandardErrorUrl     string           `json:",omitzero" doc:"The same of their standard error."`
	ErrorDetail          *ErrorDetail     `json:",omitzero"`
	StartTime            DateTime         `doc:"When the build was started."`
	LastUpdateTime       DateTime         `doc:"When its status changed."`
}

// DestinationImage is the image that a build makes.
type DestinationImage struct {
	Id          string `json:",omitzero" doc:"The id of the image, when there is one."`
	Description string `json:",omitzero" doc:"What it is for."`
	Name        string `doc:"Its name."`
}

// SourceImage is the image on which is installed.
type SourceImage struct {
	Id   string `doc:"Its id."`
	Name string `doc:"Its name."`
}

// Product is a product that is installed.
type Product struct {
	Id      string `doc:"The id of the product."`
	Version string `doc:"The title of the version that is installed."`
	Title   string `doc:"The title of the product."`
}

// ErrorDetail says why a build did not succeed.
type ErrorDetail struct {
	Code    ErrorCode `json:",omitzero" doc:"What failed, where it was the installation."`
	Message string    `doc:"How it failed, for people."`
}

// Filter is a filter of DescribeBuilds.
type Filter struct {
	Name   string   `doc:"The name of the filter. Case counts."`
	Values []string `doc:"The values of which a build must have one. Case counts."`
}

// products shows what is installed.
func products(options []build.Option) []Product {
	all := []Product{}
	for _, o := range options {
		all = append(all, Product{Id: o.Product, Version: o.Version, Title: o.Title})
	}
	return all
}

// shown shows a build.
func (s *service) shown(b *build.Build) (Build, error) {
	shown := Build{
		BuildId:          b.ID,
		DestinationImage: DestinationImage{Description: b.Destination.Description, Name: b.Destination.Name},
		Products:         products(b.Options),
		SourceImage:      SourceImage{Id: b.Source.ID, Name: b.Source.Name},
		SnsTopicArn:      b.Topic,
		Status:           BuildStatus(b.Status),
		StartTime:        DateTime{Time: b.Started},
		LastUpdateTime:   DateTime{Time: b.Updated},
	}
	for _, o := range b.Options {
		shown.FulfillmentOptionIds = append(shown.FulfillmentOptionIds, o.ID)
	}
	if b.Status == build.Succeeded {
		shown.DestinationImage.Id = b.Destination.ID
	}
	if b.Detail != nil {
		shown.ErrorDetail = &ErrorDetail{ErrorCode(b.Detail.Code), b.Detail.Message}
	}
	var err error
	shown.StandardOutputUrl, shown.StandardErrorUrl, err = s.builds.LogURLs(b)
	return shown, err
}

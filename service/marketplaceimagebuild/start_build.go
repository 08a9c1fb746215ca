package marketplaceimagebuild

import (
	"context"

	"souk/access/iam"
	"souk/access/trail"
	"souk/artifact/build"
	"souk/gateway"
)

// StartBuildRequest asks for a build.
type StartBuildRequest struct {
	ClientToken                 *string  `idempotent:"" doc:"(Optional) Unique, case-sensitive identifier of the request: sent again with the same parameters it starts nothing and answers the same."`
	FulfillmentOptionIds        []string `required:"" doc:"What is installed, in this order: fulfillment options of products, at most 10. DescribeEntity of a product shows the ids of its options."`
	SourceImageId               *string  `required:"" doc:"The image on which is installed."`
	DestinationImageName        *string  `required:"" doc:"<p>The name of the new image; the account may have no other of that name.</p> <p>Constraints: 3-128 alphanumeric characters, parentheses (()), square brackets ([]), spaces ( ), periods (.), slashes (/), dashes (-), single quotes ('), at-signs (@), or underscores(_)</p>"`
	DestinationImageDescription *string  `doc:"(Optional) What the new image is for, at most 255 characters."`
	SnsTopicArn                 *string  `doc:"(Optional) The ARN of a topic of the account that is told of each change of the build's status."`
}

// StartBuildResult names the build.
type StartBuildResult struct {
	BuildId  string    `doc:"The id of the build."`
	Products []Product `doc:"The products that are installed."`
}

// startBuild "initiates a build that installs the specified Marketplace product
// on the source AMI, creating a new AMI in the same region".
//
// Image Build Service model, "StartBuild".
func (s *service) startBuild() action {
	return action{
		output: StartBuildResult{},
		errors: []string{
			internal, "BuildLimitExceededException", "IdempotentParameterMismatchException", "InstallerMismatchException", "InvalidFulfillmentOptionIdException",
			"InvalidSourceImageIdException", "InvalidDestinationImageNameException", "InvalidSnsTopicArnException", unauthorized,
		},
		doc: "Starts a build, which installs products on an image and makes a new image of it.",
		operation: gateway.Op(gateway.Def[StartBuildRequest, *StartBuildResult]{
			Name:       "StartBuild",
			DeniedCode: unauthorized,
			Authorize: func(context.Context, *gateway.Caller, *StartBuildRequest) ([]iam.Question, error) {
				return asks("StartBuild"), nil
			},
			Call: func(ctx context.Context, c *gateway.Caller, in *StartBuildRequest) (*StartBuildResult, error) {
				answer := func(b *build.Build) *StartBuildResult { return &StartBuildResult{b.ID, products(b.Options)} }
				b, err := s.builds.Start(ctx, build.Request{
					Account: c.Principal.Account, Region: c.Region, Token: text(in.ClientToken), Options: in.FulfillmentOptionIds,
					Source: text(in.SourceImageId), Name: text(in.DestinationImageName), Description: text(in.DestinationImageDescription), Topic: text(in.SnsTopicArn),
					Begins: func(b *build.Build) { trail.Answer(ctx, answer(b)) },
				})
				if err != nil {
					return nil, err
				}
				return answer(b), nil
			},
		}),
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

package ec2

import (
	"context"

	"souk/access/iam"
	"souk/gateway"
)

// GetImageRepositoryInput has no members but the dry run.
type GetImageRepositoryInput struct {
	DryRun bool `query:"DryRun"`
}

// GetImageRepositoryOutput says where the images of AMIs are pushed to.
type GetImageRepositoryOutput struct {
	RepositoryURI string `xml:"repositoryUri"` // HOST/NAMESPACE/ami
}

// getImageRepository says which repository of the registry takes the images of
// the caller's AMIs, and makes it if it is not there. EC2 has no such action,
// since its images come from snapshots and S3: it is Souk's own, the step
// before RegisterImage, and whoever may register may ask it.
func getImageRepository(c Config) gateway.Operation {
	return action(gateway.Def[GetImageRepositoryInput, *GetImageRepositoryOutput]{
		Name: "GetImageRepository",
		Authorize: func(_ context.Context, caller *gateway.Caller, _ *GetImageRepositoryInput) ([]iam.Question, error) {
			return registering(caller, "where images are pushed to"), nil
		},
		Call: func(ctx context.Context, caller *gateway.Caller, _ *GetImageRepositoryInput) (*GetImageRepositoryOutput, error) {
			name, err := c.Repository(ctx, caller.Principal.Account)
			if err != nil {
				return nil, failure(err)
			}
			return &GetImageRepositoryOutput{RepositoryURI: c.Endpoint + "/" + name}, nil
		},
	}, func(in *GetImageRepositoryInput) bool { return in.DryRun })
}

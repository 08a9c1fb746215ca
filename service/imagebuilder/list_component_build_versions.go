package imagebuilder

import (
	"context"

	"souk/access/iam"
	"souk/gateway"
)

// ListComponentBuildVersionsInput names a version of a component.
type ListComponentBuildVersionsInput struct {
	ComponentVersionARN string `json:"componentVersionArn" required:"" pattern:"^arn:aws[^:]*:imagebuilder:[^:]+:(?:[0-9]{12}|aws(?:-[a-z-]+)?):component/[a-z0-9-_]+/[0-9]+\\.[0-9]+\\.[0-9]+$"`
	MaxResults          *int   `json:"maxResults" range:"1,25"`
	NextToken           string `json:"nextToken" len:"1,65535"`
}

// ListComponentBuildVersionsOutput is a page of builds, the oldest first.
type ListComponentBuildVersionsOutput struct {
	RequestID            string      `json:"requestId"`
	ComponentSummaryList []Component `json:"componentSummaryList"`
	NextToken            string      `json:"nextToken,omitempty"`
}

// mostResults is the size of a page where none is asked for.
const mostResults = 25

// listComponentBuildVersions lists the builds of a version. The model lets the
// ARN be left out; there would be nothing to list.
//
// EC2 Image Builder API Reference, "ListComponentBuildVersions".
func (s *service) listComponentBuildVersions() gateway.Operation {
	return gateway.Op(gateway.Def[ListComponentBuildVersionsInput, *ListComponentBuildVersionsOutput]{
		Name: "ListComponentBuildVersions", Method: "POST", Path: "/ListComponentBuildVersions", ReadOnly: true,
		Authorize: func(ctx context.Context, c *gateway.Caller, in *ListComponentBuildVersionsInput) ([]iam.Question, error) {
			return s.question(ctx, c, "ListComponentBuildVersions", in.ComponentVersionARN)
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *ListComponentBuildVersionsInput) (*ListComponentBuildVersionsOutput, error) {
			arn, err := parse(c, in.ComponentVersionARN)
			if err != nil {
				return nil, err
			}
			all, next, err := s.components.BuildsPage(ctx, c.Principal.Account, arn, most(in.MaxResults), in.NextToken)
			if err != nil {
				return nil, failure(err, in.ComponentVersionARN)
			}
			out := &ListComponentBuildVersionsOutput{RequestID: c.RequestID, ComponentSummaryList: []Component{}, NextToken: next}
			for _, is := range all {
				out.ComponentSummaryList = append(out.ComponentSummaryList, shown(is))
			}
			return out, nil
		},
	})
}

func most(asked *int) int {
	if asked == nil {
		return mostResults
	}
	return *asked
}

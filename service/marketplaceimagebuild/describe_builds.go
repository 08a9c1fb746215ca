package marketplaceimagebuild

import (
	"context"

	"souk/access/iam"
	"souk/artifact/build"
	"souk/gateway"
)

// DescribeBuildsRequest says which builds are meant.
type DescribeBuildsRequest struct {
	BuildIds   []string    `doc:"The ids of builds, at most 50. Those that the account does not have are passed over."`
	NextToken  *NextToken  `doc:"(Optional) The token of the next page, which the page before returned."`
	MaxResults *MaxResults `doc:"(Optional) The size of a page; 0 leaves it to the service."`
	Filters    []Filter    `doc:"<p>(Optional) What the builds have in common:</p> <ul> <li> <p>build-id - The id of a build.</p> </li> <li> <p>fulfillment-option-id - A fulfillment option that is installed.</p> </li> <li> <p>product-id - A product that is installed.</p> </li> <li> <p>status - The status (in-progress | internal-error | failed | succeeded).</p> </li> </ul>"`
}

// DescribeBuildsResult is a page of builds.
type DescribeBuildsResult struct {
	NextToken NextToken `json:",omitzero" doc:"The token of the next page, if there is one."`
	Builds    []Build   `doc:"The builds, the newest first."`
}

// describeBuilds "retrieves information about build records for all builds
// associated with the AWS account in use".
//
// Image Build Service model, "DescribeBuilds". Without ids it is the permission
// ListBuilds that is asked for, the third of the three that the service has.
func (s *service) describeBuilds() action {
	return action{
		output: DescribeBuildsResult{},
		errors: []string{internal, "InvalidNextTokenException", "InvalidMaxResultsException", "InvalidFilterException"},
		doc:    "Shows the account's builds in this region, the newest first: how they are, which image they made, and where their logs are.",
		operation: gateway.Op(gateway.Def[DescribeBuildsRequest, *DescribeBuildsResult]{
			Name:     "DescribeBuilds",
			ReadOnly: true,
			Authorize: func(_ context.Context, _ *gateway.Caller, in *DescribeBuildsRequest) ([]iam.Question, error) {
				if len(in.BuildIds) == 0 {
					return asks("ListBuilds"), nil
				}
				return asks("DescribeBuilds"), nil
			},
			Call: func(ctx context.Context, c *gateway.Caller, in *DescribeBuildsRequest) (*DescribeBuildsResult, error) {
				q := build.Query{
					Account: c.Principal.Account, Region: c.Region,
					MaxResults: (*int)(in.MaxResults), NextToken: (*string)(in.NextToken),
				}
				if len(in.BuildIds) > 0 {
					q.IDs = in.BuildIds
				}
				for _, f := range in.Filters {
					q.Filters = append(q.Filters, build.Filter(f))
				}
				page, err := s.builds.List(ctx, q)
				if err != nil {
					return nil, err
				}
				out := &DescribeBuildsResult{NextToken: NextToken(page.NextToken), Builds: []Build{}}
				for _, b := range page.Builds {
					shown, err := s.shown(b)
					if err != nil {
						return nil, err
					}
					out.Builds = append(out.Builds, shown)
				}
				return out, nil
			},
		}),
	}
}

package ec2

import (
	"context"
	_ "embed"
	"slices"
	"strings"
	"sync"

	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/ec2query"
)

// DescribeRegionsInput names regions, or none for all.
type DescribeRegionsInput struct {
	RegionNames []string `query:"RegionName"`
	AllRegions  bool     `query:"AllRegions"` // every region is enabled for every account: no difference
	Filters     []Filter `query:"Filter"`
	DryRun      bool     `query:"DryRun"`
}

// DescribeRegionsOutput has regions in the order of their names.
type DescribeRegionsOutput struct {
	Regions ec2query.Set[Region] `xml:"regionInfo"`
}

// Region is a region of AWS.
type Region struct {
	OptInStatus    string `xml:"optInStatus"`
	RegionName     string `xml:"regionName"`
	RegionEndpoint string `xml:"regionEndpoint"`
}

//go:embed regions.tsv
var regionsTable string

// regions reads the table at its first use: name and opt-in status.
var regions = sync.OnceValue(func() []Region {
	var list []Region
	for line := range strings.Lines(regionsTable) {
		name, status, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		r := Region{RegionName: name, OptInStatus: "opt-in-not-required"}
		if status == "opt-in" {
			r.OptInStatus = "opted-in"
		}
		list = append(list, r)
	}
	return list
})

var regionFields = fields[Region]{
	"endpoint":      func(r Region) []string { return []string{r.RegionEndpoint} },
	"opt-in-status": func(r Region) []string { return []string{r.OptInStatus} },
	"region-name":   func(r Region) []string { return []string{r.RegionName} },
}

// describeRegions lists the regions of AWS. Every account has opted in to all
// of them, and all have one endpoint: this server.
//
// Amazon EC2 API Reference, "DescribeRegions".
func describeRegions(endpoint string) gateway.Operation {
	return action(gateway.Def[DescribeRegionsInput, *DescribeRegionsOutput]{
		Name:      "DescribeRegions",
		ReadOnly:  true,
		Authorize: anywhere[DescribeRegionsInput]("DescribeRegions"),
		Call: func(_ context.Context, _ *gateway.Caller, in *DescribeRegionsInput) (*DescribeRegionsOutput, error) {
			if err := regionFields.check(in.Filters); err != nil {
				return nil, err
			}
			for _, name := range in.RegionNames {
				if !slices.ContainsFunc(regions(), func(r Region) bool { return r.RegionName == name }) {
					return nil, apierror.New("InvalidParameterValue", "Invalid region names: [%s]", name)
				}
			}
			out := new(DescribeRegionsOutput)
			for _, r := range regions() {
				r.RegionEndpoint = endpoint
				if len(in.RegionNames) > 0 && !slices.Contains(in.RegionNames, r.RegionName) || !regionFields.fit(in.Filters, r) {
					continue
				}
				out.Regions.Items = append(out.Regions.Items, r)
			}
			return out, nil
		},
	}, func(in *DescribeRegionsInput) bool { return in.DryRun })
}

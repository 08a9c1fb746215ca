package imagebuilder

import (
	"context"
	"encoding/json"
	"slices"

	"souk/access/iam"
	"souk/artifact/component"
	"souk/gateway"
	"souk/gateway/apierror"
)

// ListComponentsInput says which versions of components are listed.
type ListComponentsInput struct {
	Owner      string   `json:"owner" enum:"Self,Shared,Amazon,ThirdParty,AWSMarketplace"`
	Filters    []Filter `json:"filters" size:"1,10"`
	ByName     bool     `json:"byName"`
	MaxResults *int     `json:"maxResults" range:"1,25"`
	NextToken  string   `json:"nextToken" len:"1,65535"`
}

// Filter keeps what has one of its values.
type Filter struct {
	Name   string   `json:"name" len:"1,1024" pattern:"^[a-zA-Z]+$"`
	Values []string `json:"values" size:"1,10" memberlen:"1,1024" memberpattern:"^[0-9a-zA-Z./_ :,{}\"-]+$"`
}

// ListComponentsOutput is a page of versions, in the order of names and versions.
type ListComponentsOutput struct {
	RequestID            string             `json:"requestId"`
	ComponentVersionList []ComponentVersion `json:"componentVersionList"`
	NextToken            string             `json:"nextToken,omitempty"`
}

// ComponentVersion is a version of a component, as its newest build has it.
type ComponentVersion struct {
	ARN                 string   `json:"arn"`
	Name                string   `json:"name"`
	Version             string   `json:"version"`
	Description         string   `json:"description,omitempty"`
	Platform            string   `json:"platform"`
	SupportedOsVersions []string `json:"supportedOsVersions,omitempty"`
	Type                string   `json:"type"`
	Owner               string   `json:"owner"`
	DateCreated         string   `json:"dateCreated"`
	Status              string   `json:"status"`
}

// listComponents lists versions of components that the caller's account owns.
// Those of Amazon, of others and of the Marketplace are none.
//
// EC2 Image Builder API Reference, "ListComponents".
func (s *service) listComponents() gateway.Operation {
	return gateway.Op(gateway.Def[ListComponentsInput, *ListComponentsOutput]{
		Name: "ListComponents", Method: "POST", Path: "/ListComponents", ReadOnly: true,
		Authorize: func(context.Context, *gateway.Caller, *ListComponentsInput) ([]iam.Question, error) {
			return []iam.Question{{Action: "imagebuilder:ListComponents", Resource: "*"}}, nil
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *ListComponentsInput) (*ListComponentsOutput, error) {
			for _, f := range in.Filters {
				if values(component.Summary{}, f.Name) == nil {
					return nil, apierror.New("InvalidParameterValueException", "The value supplied for parameter 'filters' is not valid. There is no filter '%s'; there are description, name, platform, supportedOsVersion, type and version.", f.Name)
				}
			}
			out := &ListComponentsOutput{RequestID: c.RequestID, ComponentVersionList: []ComponentVersion{}}
			if in.Owner != "" && in.Owner != "Self" {
				return out, nil
			}
			asked, err := json.Marshal(in.Filters)
			if err != nil {
				return nil, err
			}
			found, next, err := s.components.List(ctx, component.Query{
				Account: c.Principal.Account, Region: c.Region, Asked: string(asked), Max: most(in.MaxResults), Token: in.NextToken,
				Matches: func(is component.Summary) bool { return matches(is, in.Filters) },
			})
			if err != nil {
				return nil, failure(err, "")
			}
			out.NextToken = next
			for _, is := range found {
				out.ComponentVersionList = append(out.ComponentVersionList, ComponentVersion{
					ARN: is.ARN, Name: is.Name, Version: is.Version, Description: is.Description, Platform: is.Platform,
					SupportedOsVersions: is.SupportedOS, Type: is.Type, Owner: is.Account, DateCreated: is.Created, Status: active,
				})
			}
			return out, nil
		},
	})
}

// matches says whether a version has, for each filter, one of its values. A
// version number may have x in the place of numbers.
func matches(is component.Summary, filters []Filter) bool {
	for _, f := range filters {
		has := values(is, f.Name)
		one := func(value string) bool {
			return slices.Contains(has, value) || f.Name == "version" && component.VersionFits(is.Version, value)
		}
		if !slices.ContainsFunc(f.Values, one) {
			return false
		}
	}
	return true
}

// values are what a filter looks at; nil if there is no such filter.
func values(is component.Summary, filter string) []string {
	switch filter {
	case "description":
		return []string{is.Description}
	case "name":
		return []string{is.Name}
	case "platform":
		return []string{is.Platform}
	case "supportedOsVersion":
		return append([]string{}, is.SupportedOS...)
	case "type":
		return []string{is.Type}
	case "version":
		return []string{is.Version}
	}
	return nil
}

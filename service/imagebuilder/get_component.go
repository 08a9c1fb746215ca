package imagebuilder

import (
	"context"

	"souk/access/iam"
	"souk/artifact/component"
	"souk/gateway"
)

// GetComponentInput names a component.
type GetComponentInput struct {
	ComponentBuildVersionARN string `query:"componentBuildVersionArn" required:"" pattern:"^arn:aws[^:]*:imagebuilder:[^:]+:(?:[0-9]{12}|aws(?:-[a-z-]+)?):component/[a-z0-9-_]+/(?:(?:([0-9]+|x)\\.([0-9]+|x)\\.([0-9]+|x))|(?:[0-9]+\\.[0-9]+\\.[0-9]+/[0-9]+))$"`
}

// GetComponentOutput is a component as a whole.
type GetComponentOutput struct {
	RequestID               string                   `json:"requestId"`
	Component               Component                `json:"component"`
	LatestVersionReferences *LatestVersionReferences `json:"latestVersionReferences"`
}

// Component is a build of a version of a component. Summaries leave out what is
// in the document.
type Component struct {
	ARN                 string            `json:"arn"`
	Name                string            `json:"name"`
	Version             string            `json:"version"`
	Description         string            `json:"description,omitempty"`
	ChangeDescription   string            `json:"changeDescription,omitempty"`
	Type                string            `json:"type"`
	Platform            string            `json:"platform"`
	SupportedOsVersions []string          `json:"supportedOsVersions,omitempty"`
	State               State             `json:"state"`
	Parameters          []Parameter       `json:"parameters,omitempty"`
	Owner               string            `json:"owner"`
	Data                string            `json:"data,omitempty"`
	DateCreated         string            `json:"dateCreated"`
	Tags                map[string]string `json:"tags,omitempty"`
}

// Parameter is a parameter of a component's document.
type Parameter struct {
	Name         string   `json:"name"`
	Type         string   `json:"type"`
	DefaultValue []string `json:"defaultValue,omitempty"`
	Description  string   `json:"description,omitempty"`
}

// getComponent shows a component; an ARN without a build, or with x in the place
// of numbers, names the newest one.
//
// EC2 Image Builder API Reference, "GetComponent".
func (s *service) getComponent() gateway.Operation {
	return gateway.Op(gateway.Def[GetComponentInput, *GetComponentOutput]{
		Name: "GetComponent", Method: "GET", Path: "/GetComponent", ReadOnly: true,
		Authorize: func(ctx context.Context, c *gateway.Caller, in *GetComponentInput) ([]iam.Question, error) {
			return s.question(ctx, c, "GetComponent", in.ComponentBuildVersionARN)
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *GetComponentInput) (*GetComponentOutput, error) {
			arn, err := parse(c, in.ComponentBuildVersionARN)
			if err != nil {
				return nil, err
			}
			is, err := s.components.Get(ctx, c.Principal.Account, arn)
			if err != nil {
				return nil, failure(err, in.ComponentBuildVersionARN)
			}
			out := &GetComponentOutput{c.RequestID, shown(is), latest(is.ARN)}
			out.Component.Data = is.Document
			for _, p := range is.Parameters {
				shown := Parameter{Name: p.Name, Type: p.Type, Description: p.Description}
				if p.Default != nil {
					shown.DefaultValue = []string{*p.Default}
				}
				out.Component.Parameters = append(out.Component.Parameters, shown)
			}
			return out, nil
		},
	})
}

// shown is a component as a summary shows it.
func shown(is component.Component) Component {
	return Component{
		ARN: is.ARN, Name: is.Name, Version: is.Version, Description: is.Description, ChangeDescription: is.ChangeDescription, Type: is.Type,
		Platform: is.Platform, SupportedOsVersions: is.SupportedOS, State: State{active}, Owner: is.Account, DateCreated: is.CreatedText(), Tags: is.Tags,
	}
}

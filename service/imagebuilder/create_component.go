package imagebuilder

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"souk/access/iam"
	"souk/artifact/component"
	"souk/gateway"
	"souk/gateway/apierror"
)

// CreateComponentInput describes a component that is to be made.
type CreateComponentInput struct {
	Name                string            `json:"name" required:"" pattern:"^[-_A-Za-z-0-9][-_A-Za-z0-9 ]{1,126}[-_A-Za-z-0-9]$"`
	SemanticVersion     string            `json:"semanticVersion" required:""`
	Description         string            `json:"description" len:"1,1024"`
	ChangeDescription   string            `json:"changeDescription" len:"1,1024"`
	Platform            string            `json:"platform" required:"" enum:"Windows,Linux,macOS"`
	SupportedOsVersions []string          `json:"supportedOsVersions" size:"1,25" memberlen:"1,1024"`
	Data                string            `json:"data" len:"1,16000" sensitive:""` // it may have licence keys in it
	URI                 string            `json:"uri"`
	KmsKeyID            string            `json:"kmsKeyId" len:"1,1024"`
	Tags                map[string]string `json:"tags" size:"1,50"`
	ClientToken         string            `json:"clientToken" required:"" len:"1,64"`
	DryRun              bool              `json:"dryRun"`
}

// CreateComponentOutput names the component that was made.
type CreateComponentOutput struct {
	RequestID                string                   `json:"requestId"`
	ClientToken              string                   `json:"clientToken"`
	ComponentBuildVersionARN string                   `json:"componentBuildVersionArn"`
	LatestVersionReferences  *LatestVersionReferences `json:"latestVersionReferences"`
}

// createComponent makes a component, or the next build of a version of one. Its
// document is read at once, and so are the files that the tag souk:files names.
//
// EC2 Image Builder API Reference, "CreateComponent".
func (s *service) createComponent() gateway.Operation {
	return gateway.Op(gateway.Def[CreateComponentInput, *CreateComponentOutput]{
		Name: "CreateComponent", Method: "PUT", Path: "/CreateComponent",
		Authorize: func(_ context.Context, c *gateway.Caller, in *CreateComponentInput) ([]iam.Question, error) {
			resource := "arn:aws:imagebuilder:" + c.Region + ":" + c.Principal.Account + ":component/" + component.Slug(in.Name) + "/" + in.SemanticVersion + "/*"
			questions := []iam.Question{{Action: "imagebuilder:CreateComponent", Resource: resource, Context: requestTags(in.Tags)}}
			if len(in.Tags) > 0 {
				questions = append(questions, iam.Question{Action: "imagebuilder:TagResource", Resource: resource, Context: requestTags(in.Tags), About: "the tags of the component"})
			}
			return questions, nil
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *CreateComponentInput) (*CreateComponentOutput, error) {
			if err := in.check(); err != nil {
				return nil, err
			}
			made, err := s.components.Create(ctx, component.NewComponent{
				Account: c.Principal.Account, Region: c.Region, Name: in.Name, Version: in.SemanticVersion, SupportedOS: in.SupportedOsVersions,
				Description: in.Description, ChangeDescription: in.ChangeDescription, Document: in.Data, Tags: in.Tags, Token: in.ClientToken, DryRun: in.DryRun,
			})
			if err != nil {
				return nil, failure(err, "")
			}
			if in.DryRun {
				return nil, apierror.New("DryRunOperationException", "The dry run operation of the resource was successful, and no resources or mutations were actually performed due to the dry run flag in the request.")
			}
			return &CreateComponentOutput{c.RequestID, in.ClientToken, made.ARN, latest(made.ARN)}, nil
		},
	})
}

var tagKey = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9\s_.:/=+\-@]{1,128}$`) })

// check refuses what is not offered, and what no constraint of a member says.
func (in *CreateComponentInput) check() error {
	switch {
	case in.Data != "" && in.URI != "":
		return apierror.New("InvalidParameterCombinationException", "You can specify 'data' or 'uri', not both.")
	case in.URI != "":
		return apierror.New("InvalidRequestException", "Component documents in Amazon S3 are not offered. Provide the document in 'data'.")
	case in.Data == "":
		return apierror.New("InvalidParameterCombinationException", "You must specify 'data'.")
	case strings.ContainsRune(in.Data, 0):
		return apierror.New("InvalidParameterValueException", `The value supplied for parameter 'data' is not valid. data must match pattern [^\x00]+`)
	case in.Platform != component.Linux:
		return apierror.New("InvalidRequestException", "Components for the platform %s are not offered. The platform is Linux.", in.Platform)
	case in.KmsKeyID != "":
		return apierror.New("InvalidRequestException", "Keys of AWS KMS are not offered. Leave 'kmsKeyId' out.")
	}
	for key, value := range in.Tags {
		if strings.HasPrefix(strings.ToLower(key), "aws:") || !tagKey().MatchString(key) || utf8.RuneCountInString(value) > 256 {
			return apierror.New("InvalidParameterValueException", "The value supplied for parameter 'tags' is not valid. Tag '%s' has a key that is reserved or malformed, or a value of more than 256 characters.", key)
		}
	}
	return nil
}

// requestTags are the condition keys aws:RequestTag/KEY and aws:TagKeys.
func requestTags(tags map[string]string) iam.Context {
	if len(tags) == 0 {
		return nil
	}
	keys := iam.Context{}
	for k, v := range tags {
		keys["aws:requesttag/"+strings.ToLower(k)] = []string{v}
		keys["aws:tagkeys"] = append(keys["aws:tagkeys"], k)
	}
	return keys
}

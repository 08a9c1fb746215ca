// Package imagebuilder is EC2 Image Builder as a service of the gateway, as far
// as sellers need it: the components that install their products. One file for
// each action, with the action's input, its permission and its answer.
//
// Components are kept by artifact/component. Recipes, pipelines, images, workflows
// and the components of Amazon are not offered; the Image Build Service builds
// images (service/marketplaceimagebuild).
package imagebuilder

import (
	"context"
	"errors"
	"strings"

	"souk/access/iam"
	"souk/artifact/component"
	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/restjson"
)

type service struct{ components *component.Components }

// Service returns the service for the gateway.
//
// EC2 Image Builder API Reference, version 2019-12-02.
func Service(components *component.Components) (*gateway.Service, error) {
	if components == nil {
		return nil, errors.New("service imagebuilder: components are needed")
	}
	s := &service{components}
	return &gateway.Service{
		Name:         "imagebuilder",
		SigningNames: []string{"imagebuilder"},
		Protocol:     restjson.Protocol{},
		APIVersion:   "2019-12-02",
		EventSource:  "imagebuilder.amazonaws.com",
		Errors: map[string]int{
			"AccessDeniedException":                403,
			"CallRateLimitExceededException":       429,
			"ClientException":                      400,
			"DryRunOperationException":             412,
			"ForbiddenException":                   403,
			"IdempotentParameterMismatchException": 400,
			"InvalidPaginationTokenException":      400,
			"InvalidParameterCombinationException": 400,
			"InvalidParameterException":            400,
			"InvalidParameterValueException":       400,
			"InvalidRequestException":              400,
			"InvalidVersionNumberException":        400,
			"ResourceAlreadyExistsException":       400,
			"ResourceDependencyException":          400,
			"ResourceInUseException":               400,
			"ResourceNotFoundException":            404,
			"ServiceException":                     500,
			"ServiceQuotaExceededException":        402,
			"ServiceUnavailableException":          503,
		},
		Internal:   "ServiceException",
		Validation: "InvalidParameterValueException",
		Denied:     "AccessDeniedException",
		Throttled:  "CallRateLimitExceededException",
		Operations: []gateway.Operation{
			s.createComponent(),
			s.deleteComponent(),
			s.getComponent(),
			s.listComponentBuildVersions(),
			s.listComponents(),
		},
	}, nil
}

// failure turns the room's errors into those of the service.
func failure(err error, arn string) error {
	var exists *component.Exists
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exists):
		return apierror.New("ResourceAlreadyExistsException", "The following resource 'Component' already exists: '%s'.", exists.ARN)
	case errors.Is(err, component.ErrNotFound):
		return notFound(arn)
	case errors.Is(err, component.ErrToken):
		return apierror.New("IdempotentParameterMismatchException", "The client token was used before with other parameter values.")
	case errors.Is(err, component.ErrLimit):
		return apierror.New("ServiceQuotaExceededException", "You have exceeded the number of permitted resources: %s.", reason(err))
	case errors.Is(err, component.ErrInUse):
		return apierror.New("ResourceDependencyException", "The component '%s' can't be deleted: it is named by %s.", arn, reason(err))
	case errors.Is(err, component.ErrVersion):
		return apierror.New("InvalidVersionNumberException", "Your version number is out of bounds or does not follow the required syntax: %s.", reason(err))
	case errors.Is(err, component.ErrBadDocument):
		return apierror.New("InvalidParameterValueException", "The value supplied for parameter 'data' is not valid. %s", reason(err))
	case errors.Is(err, component.ErrBadFiles):
		return apierror.New("InvalidParameterValueException", "The value supplied for parameter 'tags' is not valid. %s: %s", component.FilesTag, reason(err))
	case errors.Is(err, component.ErrBadToken):
		return apierror.New("InvalidPaginationTokenException", "You have provided an invalid pagination token in your request.")
	}
	return err
}

// reason is what a room's error says behind its sentinel's text.
func reason(err error) string {
	_, after, ok := strings.Cut(err.Error(), ": ")
	if !ok {
		return err.Error()
	}
	return after
}

func notFound(arn string) error {
	return apierror.New("ResourceNotFoundException", "The resource with ARN '%s' cannot be found.", arn)
}

// parse reads the ARN of a request. What is of another region is not there: the
// regions keep their components apart.
func parse(c *gateway.Caller, text string) (component.ARN, error) {
	arn, ok := component.ParseARN(text)
	if !ok || arn.Region != c.Region {
		return component.ARN{}, notFound(text)
	}
	return arn, nil
}

// question asks for an action on a component, with the tags that it has.
//
// Service Authorization Reference, "Actions, resources, and condition keys for
// Amazon EC2 Image Builder".
func (s *service) question(ctx context.Context, c *gateway.Caller, action, text string) ([]iam.Question, error) {
	q := iam.Question{Action: "imagebuilder:" + action, Resource: text}
	arn, ok := component.ParseARN(text)
	if !ok {
		return []iam.Question{q}, nil
	}
	if arn.Account != c.Principal.Account {
		q.Owner = arn.Account
		return []iam.Question{q}, nil
	}
	is, err := s.components.Get(ctx, c.Principal.Account, arn)
	if err != nil && !errors.Is(err, component.ErrNotFound) {
		return nil, err
	}
	for key, value := range is.Tags {
		if q.Context == nil {
			q.Context = iam.Context{}
		}
		q.Context["aws:resourcetag/"+strings.ToLower(key)] = []string{value}
	}
	return []iam.Question{q}, nil
}

// LatestVersionReferences are the ARNs by which the newest of several versions
// is named.
type LatestVersionReferences struct {
	LatestVersionARN      string `json:"latestVersionArn"`
	LatestMajorVersionARN string `json:"latestMajorVersionArn"`
	LatestMinorVersionARN string `json:"latestMinorVersionArn"`
	LatestPatchVersionARN string `json:"latestPatchVersionArn"`
}

// latest makes them of a component's ARN.
func latest(text string) *LatestVersionReferences {
	arn, _ := component.ParseARN(text)
	parts := strings.Split(arn.Version, ".")
	with := func(version ...string) string {
		arn.Version, arn.Build = strings.Join(version, "."), 0
		return arn.String()
	}
	return &LatestVersionReferences{
		with("x", "x", "x"), with(parts[0], "x", "x"), with(parts[0], parts[1], "x"), with(parts...),
	}
}

// State is the state of a component: always ACTIVE.
type State struct {
	Status string `json:"status"`
}

const active = "ACTIVE"

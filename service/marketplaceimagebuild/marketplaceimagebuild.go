// Package marketplaceimagebuild is the AWS Marketplace Image Build Service:
// StartBuild installs listed products on a machine image and makes a new one,
// DescribeBuilds tells how builds are and where their logs can be read. One file
// for each action. No SDK has the service; Model makes the description by which
// the AWS CLI learns it, of the same structs that requests are read into.
//
// The builds are artifact/build's.
package marketplaceimagebuild

import (
	"context"
	"errors"
	"net/http"

	"souk/access/iam"
	"souk/artifact/build"
	"souk/gateway"
	"souk/gateway/awsjson"
)

// Builds starts and lists builds; *build.Builds does.
type Builds interface {
	Start(ctx context.Context, r build.Request) (*build.Build, error)
	List(ctx context.Context, q build.Query) (build.Page, error)
	LogURLs(b *build.Build) (stdout, stderr string, err error)
}

type service struct{ builds Builds }

// The names of the service on the wire.
const (
	apiVersion   = "2017-12-15"
	targetPrefix = "AWSMPImageBuilding"
	signingName  = "aws-marketplace"
)

// internal is the service's word for a failure of ours.
const internal = "InternalServerErrorException"

// unauthorized is StartBuild's own word for a denial.
const unauthorized = "UnauthorizedOperationException"

// exceptions are all errors of the model, with their HTTP status and what the
// model says of them.
var exceptions = []exception{
	{"BuildLimitExceededException", 400, "The account has as many builds in progress as it may have."},
	{"IdempotentParameterMismatchException", 400, "The ClientToken was used before, and the parameters are others now."},
	{"InstallerMismatchException", 400, "The fulfillment option can't be installed on the platform of the source image."},
	{internal, 500, "The server failed. The request may be sent again."},
	{"InvalidDestinationImageNameException", 400, "The name does not meet its constraints, or the account has an image or a build of that name."},
	{"InvalidFilterException", 400, "There is no such filter, or the filter has no such value."},
	{"InvalidFulfillmentOptionIdException", 400, "There is no such fulfillment option, or the account may not obtain it."},
	{"InvalidMaxResultsException", 400, "MaxResults is out of its range, or more than 50 build ids were given."},
	{"InvalidNextTokenException", 400, "The token is none that the same request has returned."},
	{"InvalidSnsTopicArnException", 400, "The account has no such SNS topic."},
	{"InvalidSourceImageIdException", 400, "There is no such image, or it can't be used."},
	{unauthorized, 403, "The policies of the caller do not allow it."},
}

type exception struct {
	name   string
	status int
	doc    string
}

// Service returns the service for the gateway.
//
// AWS Marketplace Image Build Service, version 2017-12-15.
func Service(b Builds) (*gateway.Service, error) {
	if b == nil {
		return nil, errors.New("service marketplaceimagebuild: builds are needed")
	}
	s := &service{b}
	declared := map[string]int{"AccessDeniedException": http.StatusBadRequest}
	for _, e := range exceptions {
		declared[e.name] = e.status
	}
	g := &gateway.Service{
		Name:         "marketplaceimagebuild",
		SigningNames: []string{signingName},
		Protocol:     awsjson.Protocol{Version: "1.1"},
		TargetPrefix: targetPrefix,
		APIVersion:   apiVersion,
		EventSource:  "marketplaceimagebuild.amazonaws.com",
		Errors:       declared,
		Internal:     internal,
		Validation:   "ValidationException",
		Denied:       "AccessDeniedException",
		Throttled:    "ThrottlingException",
	}
	for _, a := range s.actions() {
		g.Operations = append(g.Operations, a.operation)
	}
	return g, nil
}

// action is an operation with what the model says of it.
type action struct {
	operation gateway.Operation
	output    any // of its type
	errors    []string
	doc       string
}

func (s *service) actions() []action { return []action{s.describeBuilds(), s.startBuild()} }

// asks is the question of an action. The service has no resources that policies
// could name.
//
// Service Authorization Reference, "Actions, resources, and condition keys for
// AWS Marketplace Image Building Service".
func asks(name string) []iam.Question {
	return []iam.Question{{Action: "aws-marketplace:" + name, Resource: "*"}}
}

// Package ecr is the Amazon Elastic Container Registry: log-in to the registry
// that Souk serves at /v2/. It offers GetAuthorizationToken alone; repositories
// are made by change sets (AddRepositories).
package ecr

import (
	"errors"
	"time"

	"souk/gateway"
	"souk/gateway/awsjson"
)

// Config says where log-in tokens come from and where they are good.
type Config struct {
	// Token makes the log-in token of an access key: the password that goes
	// with the user name AWS, and until when it is good.
	Token func(accessKeyID, session string) (password string, expires time.Time, err error)
	// ProxyEndpoint is the registry's URL for docker login, such as
	// http://127.0.0.1:8470: Souk's public URL.
	ProxyEndpoint string
}

// Service returns the service for the gateway.
//
// Amazon ECR API Reference, version 2015-09-21.
func Service(c Config) (*gateway.Service, error) {
	if c.Token == nil || c.ProxyEndpoint == "" {
		return nil, errors.New("service ecr: Token and ProxyEndpoint are needed")
	}
	return &gateway.Service{
		Name:         "ecr",
		SigningNames: []string{"ecr"},
		Protocol:     awsjson.Protocol{Version: "1.1"},
		TargetPrefix: "AmazonEC2ContainerRegistry_V20150921",
		APIVersion:   "2015-09-21",
		EventSource:  "ecr.amazonaws.com",
		Errors: map[string]int{
			"AccessDeniedException":     400,
			"InvalidParameterException": 400,
			"ServerException":           500,
			"ThrottlingException":       400,
		},
		Internal:   "ServerException",
		Validation: "InvalidParameterException",
		Denied:     "AccessDeniedException",
		Throttled:  "ThrottlingException",
		Operations: []gateway.Operation{getAuthorizationToken(c)},
	}, nil
}

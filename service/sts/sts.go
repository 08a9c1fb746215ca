// Package sts is the AWS Security Token Service: who the caller is
// (GetCallerIdentity), and temporary credentials of roles (AssumeRole).
//
// It keeps nothing: a session lies sealed in its token.
package sts

import (
	"souk/access/organization"
	"souk/gateway"
	"souk/gateway/awsquery"
)

// Config says what the service works with.
type Config struct {
	Organization *organization.Organization // required: it has the roles
}

type service struct {
	organization *organization.Organization
}

// Service returns the service for the gateway.
//
// AWS Security Token Service API Reference, version 2011-06-15.
func Service(c Config) *gateway.Service {
	s := &service{organization: c.Organization}
	return &gateway.Service{
		Name:         "sts",
		SigningNames: []string{"sts"},
		Protocol:     awsquery.Protocol{},
		APIVersion:   "2011-06-15",
		Namespace:    "https://sts.amazonaws.com/doc/2011-06-15/",
		EventSource:  "sts.amazonaws.com",
		Errors: map[string]int{
			"ExpiredToken": 403, "MalformedPolicyDocument": 400, "PackedPolicyTooLarge": 400, "RegionDisabledException": 403,
		},
		Operations: []gateway.Operation{getCallerIdentity(), s.assumeRole()},
	}
}

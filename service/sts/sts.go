// Package sts is the AWS Security Token Service: who the caller is. It offers
// GetCallerIdentity; temporary credentials are not offered yet.
package sts

import (
	"souk/gateway"
	"souk/gateway/awsquery"
)

// Service returns the service for the gateway. It needs nothing but the caller.
//
// AWS Security Token Service API Reference, version 2011-06-15.
func Service() *gateway.Service {
	return &gateway.Service{
		Name:         "sts",
		SigningNames: []string{"sts"},
		Protocol:     awsquery.Protocol{},
		APIVersion:   "2011-06-15",
		Namespace:    "https://sts.amazonaws.com/doc/2011-06-15/",
		EventSource:  "sts.amazonaws.com",
		Operations:   []gateway.Operation{getCallerIdentity()},
	}
}

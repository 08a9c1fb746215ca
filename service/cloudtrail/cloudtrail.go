// Package cloudtrail is AWS CloudTrail's event history: LookupEvents over the
// calls of the last 90 days. Trails, event data stores and Insights are not
// offered; log files are delivered by a setting of the server.
package cloudtrail

import (
	"context"

	"souk/access/trail"
	"souk/gateway"
	"souk/gateway/awsjson"
)

// Events looks up records of calls; trail.Trail does.
type Events interface {
	Lookup(ctx context.Context, q trail.Query) (records []*trail.Record, next string, err error)
}

// Overseen returns the other accounts whose events an account sees beside its own.
type Overseen func(ctx context.Context, account string) ([]string, error)

// Service returns the service for the gateway. Without overseen each account
// sees its own events alone.
//
// AWS CloudTrail API Reference, version 2013-11-01.
func Service(events Events, overseen Overseen) *gateway.Service {
	return &gateway.Service{
		Name:         "cloudtrail",
		SigningNames: []string{"cloudtrail"},
		Protocol:     awsjson.Protocol{Version: "1.1"},
		// The AWS CLI and boto3 send the longer one, the other SDKs this.
		TargetPrefix: "CloudTrail_20131101",
		AlsoTargets:  []string{"com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"},
		APIVersion:   "2013-11-01",
		EventSource:  "cloudtrail.amazonaws.com",
		Errors: map[string]int{
			"AccessDeniedException":            400,
			"InvalidEventCategoryException":    400,
			"InvalidLookupAttributesException": 400,
			"InvalidMaxResultsException":       400,
			"InvalidNextTokenException":        400,
			"InvalidTimeRangeException":        400,
			"OperationNotPermittedException":   400,
			"ThrottlingException":              400,
			"UnsupportedOperationException":    400,
			"ValidationException":              400,
		},
		Denied:     "AccessDeniedException",
		Validation: "ValidationException",
		Throttled:  "ThrottlingException",
		Operations: []gateway.Operation{lookupEvents(events, overseen)},
	}
}

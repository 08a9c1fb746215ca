package gateway_test

import (
	"context"
	"net/http"
	"testing"

	"souk/access/iam"
)

// over has sessions, all of which are over.
type over struct{}

func (over) LookupSession(context.Context, string, string) (string, *iam.Principal, bool, error) {
	return "", nil, false, iam.ErrExpiredToken
}

func TestExpiredSessionsHaveTheCodeOfTheirProtocol(t *testing.T) {
	t.Parallel()
	c := config()
	c.Credentials = over{}
	g := newGateway(t, c)
	for name, tt := range map[string]struct {
		q    request
		code string
	}{
		"REST":  {request{target: "/DescribeEntity?catalog=AWSMarketplace&entityId=prod-1", header: http.Header{"X-Amz-Security-Token": {"token"}}}, "ExpiredTokenException"},
		"query": {request{service: "sts", target: "/?Action=GetCallerIdentity&Version=2011-06-15", header: http.Header{"X-Amz-Security-Token": {"token"}}}, "ExpiredToken"},
	} {
		got := send(t, g, tt.q)
		if got.status != http.StatusForbidden || got.code != tt.code || got.message != "The security token included in the request is expired" {
			t.Errorf("%s: got %d %s %s", name, got.status, got.code, got.message)
		}
	}
}

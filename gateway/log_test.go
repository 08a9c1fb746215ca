package gateway_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"souk/access/iam"
)

// TestLogOfCalls: what the log has of a call, at either level.
func TestLogOfCalls(t *testing.T) {
	t.Parallel()
	const (
		entity = "/DescribeEntity?catalog=AWSMarketplace&entityId=prod-1"
		id     = "request=11111111-2222-4333-8444-555555555555 "
	)
	deny := func(*iam.Principal, iam.Question) iam.Decision { return iam.Decision{} }
	for _, tt := range []struct {
		name   string
		q      request
		decide func(*iam.Principal, iam.Question) iam.Decision
		level  slog.Level // the highest at which the call is logged
		want   string
	}{
		{"a call that went well", request{target: entity}, nil, slog.LevelDebug,
			"msg=answered " + id + "service=marketplacecatalog action=DescribeEntity account=123456789012 principal=arn:aws:iam::123456789012:root from=192.0.2.1 status=200 microseconds="},
		{"a mistake of the client", request{target: "/DescribeEntity?catalog=A&entityId=prod-none"}, nil, slog.LevelDebug,
			"msg=refused " + id + "service=marketplacecatalog action=DescribeEntity account=123456789012 principal=arn:aws:iam::123456789012:root from=192.0.2.1 status=404 error=ResourceNotFoundException microseconds="},
		{"a denial", request{target: entity, key: "AKIDANN"}, deny, slog.LevelInfo,
			"msg=refused " + id + "service=marketplacecatalog action=DescribeEntity account=123456789012 principal=arn:aws:iam::123456789012:user/ann from=192.0.2.1 status=403 error=AccessDeniedException reason=\"User: arn:aws:iam"},
		{"a wrong signature", request{target: entity, key: "AKIDANN", header: http.Header{"X-Amz-Content-Sha256": {strings.Repeat("0", 64)}}}, nil, slog.LevelInfo,
			"msg=refused " + id + "service=marketplacecatalog action=DescribeEntity key=AKIDANN from=192.0.2.1 status="},
		{"an unknown key", request{target: entity, key: "AKIDNOBODY"}, nil, slog.LevelInfo,
			"msg=refused " + id + "service=marketplacecatalog action=DescribeEntity key=AKIDNOBODY from=192.0.2.1 status=403 error=UnrecognizedClientException microseconds="},
		{"no signature", request{target: entity, unsigned: true}, nil, slog.LevelInfo,
			"msg=refused " + id + "service=marketplacecatalog action=DescribeEntity from=192.0.2.1 status=403 error=MissingAuthenticationTokenException microseconds="},
		{"a failure", request{target: "/DescribeEntity?catalog=A&entityId=prod-broken"}, nil, slog.LevelInfo,
			"msg=failed " + id + "service=marketplacecatalog action=DescribeEntity account=123456789012 principal=arn:aws:iam::123456789012:root from=192.0.2.1 status=500 error=InternalServiceException microseconds="},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn} {
				var log bytes.Buffer
				c := config()
				c.Decide = tt.decide
				c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level}))
				r := tt.q.build(t)
				newGateway(t, c).ServeHTTP(httptest.NewRecorder(), r)
				if got, want := strings.Contains(log.String(), tt.want), level <= tt.level; got != want {
					t.Errorf("at level %s logged is %v, want %v: %s\nwant %s", level, got, want, log.String(), tt.want)
				}
				if strings.Contains(log.String(), secret) || strings.Contains(log.String(), "Signature=") {
					t.Errorf("the log tells secrets: %s", log.String())
				}
			}
		})
	}
}

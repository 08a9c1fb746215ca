package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"souk/access/iam"
	"souk/gateway"
)

const (
	startBody  = `{"Catalog":"AWSMarketplace","ChangeSet":[{"ChangeType":"CreateProduct","Entity":{"Type":"ContainerProduct@1.0"},"DetailsDocument":{}}]}`
	stsVersion = "Version=2011-06-15"
)

var (
	jsonType = http.Header{"Content-Type": {"application/json"}}
	formType = http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}}
)

func target(name string) http.Header {
	return http.Header{"X-Amz-Target": {name}, "Content-Type": {"application/x-amz-json-1.1"}}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		q    request
		want string
	}{
		{"REST with query members", request{target: "/DescribeEntity?catalog=AWSMarketplace&entityId=prod-1"}, string(entityBytes)},
		{"REST with escaped query members", request{target: "/DescribeEntity?catalog=%41WSMarketplace&entityId=prod%2D1"}, string(entityBytes)},
		{"REST with unknown query members", request{target: "/DescribeEntity?catalog=AWSMarketplace&entityId=prod-1&more=1&more=2"}, string(entityBytes)},
		{"REST with a body", request{method: "POST", target: "/StartChangeSet", body: startBody, header: jsonType}, `{"ChangeSetId":"2de11mwkeagfwj07225x1h5a5","Changes":1}`},
		{"REST with a body of unknown type", request{method: "POST", target: "/StartChangeSet", body: startBody}, `{"ChangeSetId":"2de11mwkeagfwj07225x1h5a5","Changes":1}`},
		{"unknown members of a body", request{method: "POST", target: "/StartChangeSet", body: strings.Replace(startBody, "{", `{"New":[{}],`, 1)}, `{"ChangeSetId":"2de11mwkeagfwj07225x1h5a5","Changes":1}`},
		{"null for an absent member", request{method: "POST", target: "/StartChangeSet", body: strings.Replace(startBody, "{", `{"Intent":null,`, 1)}, `{"ChangeSetId":"2de11mwkeagfwj07225x1h5a5","Changes":1}`},
		{"no absent members in the answer", request{target: "/DescribeChangeSet?catalog=AWSMarketplace&changeSetId=abc"}, `{"ChangeSetId":"abc"}`},
		{"the documents' form of DescribeChangeSet", request{method: "POST", target: "/DescribeChangeSet", body: `{"Catalog":"AWSMarketplace","ChangeSetID":"abc"}`}, `{"ChangeSetId":"abc"}`},
		{"that form with the query's names", request{method: "POST", target: "/DescribeChangeSet?catalog=AWSMarketplace", body: `{"changeSetId":"abc"}`}, `{"ChangeSetId":"abc"}`},
		{"JSON by target", request{method: "POST", target: "/", body: startBody, header: target("AWSMPImageBuilding_v20171215.StartBuild")}, `{"ChangeSetId":"","Changes":1}`},
		{"query by form", request{method: "POST", target: "/", body: "Action=GetCallerIdentity&" + stsVersion + "&Names.member.2=b&Names.member.1=a%26", header: formType, service: "sts"},
			`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>123456789012</Account><Arn>arn:aws:iam::123456789012:root</Arn><UserId>123456789012</UserId><Names><member>a&amp;</member><member>b</member></Names></GetCallerIdentityResult><ResponseMetadata><RequestId>11111111-2222-4333-8444-555555555555</RequestId></ResponseMetadata></GetCallerIdentityResponse>`},
		{"query by query string", request{target: "/?Action=GetCallerIdentity&" + stsVersion + "&Names.1=x", service: "sts"},
			`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>123456789012</Account><Arn>arn:aws:iam::123456789012:root</Arn><UserId>123456789012</UserId><Names><member>x</member></Names></GetCallerIdentityResult><ResponseMetadata><RequestId>11111111-2222-4333-8444-555555555555</RequestId></ResponseMetadata></GetCallerIdentityResponse>`},
	}
	g := newGateway(t, config())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := send(t, g, tt.q)
			if got.status != 200 {
				t.Fatalf("status %d: %s", got.status, got.body)
			}
			if diff := cmp.Diff(tt.want, got.body); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if id := got.header.Get("x-amzn-RequestId"); id != "11111111-2222-4333-8444-555555555555" {
				t.Errorf("request id %q", id)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70)
	const entity = "/DescribeEntity?catalog=AWSMarketplace&entityId=prod-1"
	post := func(body string) request {
		return request{method: "POST", target: "/StartChangeSet", body: body, header: jsonType}
	}
	sts := func(body string) request {
		return request{method: "POST", target: "/", body: body, header: formType, service: "sts"}
	}
	tests := []struct {
		name   string
		q      request
		status int
		code   string
		text   string
	}{
		{"no signature", request{target: entity, unsigned: true}, 403, "MissingAuthenticationTokenException", "missing Authentication Token"},
		{"no signature for sts", request{target: "/?Action=GetCallerIdentity&" + stsVersion, unsigned: true}, 403, "MissingAuthenticationToken", "missing Authentication Token"},
		{"no signature, no service", request{target: "/nowhere", unsigned: true}, 403, "MissingAuthenticationTokenException", ""},
		{"half a signature", request{target: entity, unsigned: true, header: http.Header{"Authorization": {"AWS4-HMAC-SHA256 Credential=A"}}}, 400, "IncompleteSignatureException", "requires 'Signature'"},
		{"half a signature for sts", request{target: "/?Action=GetCallerIdentity", unsigned: true, header: http.Header{"Authorization": {"AWS4-HMAC-SHA256 Credential=A"}}}, 400, "IncompleteSignature", "requires 'Signature'"},
		{"unknown key", request{target: entity, key: "AKIDNOBODY"}, 403, "UnrecognizedClientException", "The security token included in the request is invalid."},
		{"unknown key for sts", request{target: "/?Action=GetCallerIdentity&" + stsVersion, key: "AKIDNOBODY", service: "sts"}, 403, "InvalidClientTokenId", "security token"},
		{"signed for a service that is not here", request{target: entity, service: "s3"}, 403, "InvalidSignatureException", "Credential should be scoped to correct service: 's3' is not offered here, only 'aws-marketplace' and 'sts' are."},
		{"signed for a service that is not here, in the form of no service", request{target: "/", service: "s3"}, 403, "SignatureDoesNotMatch", "'s3' is not offered here"},

		{"unknown path", request{target: "/Nowhere"}, 404, "UnknownOperationException", "operation GET /Nowhere is not"},
		{"wrong method", request{method: "POST", target: "/DescribeEntity", body: "{}"}, 404, "UnknownOperationException", ""},
		{"unknown target prefix", request{method: "POST", target: "/", header: target("Foo.StartBuild")}, 400, "UnknownOperationException", ""},
		{"unknown target", request{method: "POST", target: "/", header: target("AWSMPImageBuilding_v20171215.Nothing")}, 400, "UnknownOperationException", "operation Nothing is not recognized"},
		{"target without a dot", request{method: "POST", target: "/", header: target("StartBuild")}, 400, "UnknownOperationException", ""},
		{"empty target", request{method: "POST", target: "/", header: target("")}, 400, "UnknownOperationException", ""},
		{"GET of a target", request{method: "GET", target: "/", header: target("AWSMPImageBuilding_v20171215.StartBuild")}, 400, "UnknownOperationException", ""},
		{"no JSON for a target under the service's other prefix", request{method: "POST", target: "/", body: "no", header: target("com.amazonaws.AWSMPImageBuilding.StartBuild")}, 400, "SerializationException", ""},
		{"no action", sts(stsVersion), 400, "MissingAction", ""},
		{"no body at all", sts(""), 400, "MissingAction", ""},
		{"no version", sts("Action=GetCallerIdentity"), 400, "MissingParameter", "Version"},
		{"unknown action", sts("Action=AssumeTheWorld&" + stsVersion), 400, "InvalidAction", "Could not find operation AssumeTheWorld for version 2011-06-15"},
		{"unknown version", sts("Action=GetCallerIdentity&Version=1999-01-01"), 400, "InvalidAction", "1999-01-01"},
		{"PUT of an action", request{method: "PUT", target: "/?Action=GetCallerIdentity&" + stsVersion, service: "sts"}, 400, "InvalidAction", ""},
		{"form of another content type", request{method: "POST", target: "/", body: "Action=GetCallerIdentity&" + stsVersion, header: jsonType, service: "sts"}, 400, "MissingAction", ""},
		{"parameter twice", sts("Action=GetCallerIdentity&" + stsVersion + "&Names.1=a&Names.1=b"), 404, "MalformedQueryString", "more than once"},
		{"broken escape in a form", sts("Action=GetCallerIdentity&" + stsVersion + "&Names.1=%zz"), 404, "MalformedQueryString", ""},
		{"bad UTF-8 in a form", sts("Action=GetCallerIdentity&" + stsVersion + "&Names.1=%ff"), 404, "MalformedQueryString", ""},
		{"a thousand parameters", sts("Action=GetCallerIdentity&" + stsVersion + manyParameters(1001)), 404, "MalformedQueryString", "1000 parameters"},
		{"very deep parameter", sts("Action=GetCallerIdentity&" + stsVersion + "&a" + strings.Repeat(".1", 40) + "=1"), 404, "MalformedQueryString", "parts"},

		{"JSON cut off", post(`{"Catalog":"A`), 400, "SerializationException", "no valid JSON"},
		{"no JSON", post(`Catalog=AWSMarketplace`), 400, "SerializationException", "no valid JSON"},
		{"two JSON texts", post(`{}{}`), 400, "SerializationException", "no valid JSON"},
		{"an array", post(`[]`), 400, "SerializationException", "START_ARRAY can not be converted to a Structure"},
		{"number for a string", post(`{"Catalog":1}`), 400, "SerializationException", "NUMBER_VALUE can not be converted to a String at '/Catalog'"},
		{"string for a number", post(`{"MaxResults":"1"}`), 400, "SerializationException", "STRING_VALUE can not be converted to an Integer at '/MaxResults'"},
		{"fraction for a number", post(`{"MaxResults":1.5}`), 400, "SerializationException", "at '/MaxResults'"},
		{"huge number", post(`{"MaxResults":1e400}`), 400, "SerializationException", "at '/MaxResults'"},
		{"object for a list", post(`{"ChangeSet":{}}`), 400, "SerializationException", "START_OBJECT can not be converted to a List at '/ChangeSet'"},
		{"object for details", post(`{"ChangeSet":[{"Details":{}}]}`), 400, "SerializationException", "START_OBJECT can not be converted to a String at '/ChangeSet/0/Details'"},
		{"member twice", post(`{"Catalog":"A","Catalog":"B"}`), 400, "SerializationException", "'/Catalog' is given more than once"},
		{"member twice in a document", post(`{"ChangeSet":[{"DetailsDocument":{"a":1,"a":2}}]}`), 400, "SerializationException", "more than once"},
		{"bad UTF-8", post("{\"Catalog\":\"\xff\"}"), 400, "SerializationException", "UTF-8"},
		{"too deep", post(`{"ChangeSet":[{"DetailsDocument":` + deep + `}]}`), 400, "SerializationException", "deeper than 64"},
		{"text body", request{method: "POST", target: "/StartChangeSet", body: startBody, header: http.Header{"Content-Type": {"text/plain"}}}, 415, "UnsupportedMediaTypeException", "text/plain"},
		{"JSON in Latin-1", request{method: "POST", target: "/StartChangeSet", body: startBody, header: http.Header{"Content-Type": {"application/json; charset=latin-1"}}}, 415, "UnsupportedMediaTypeException", ""},
		{"compressed body", request{method: "POST", target: "/StartChangeSet", body: startBody, header: http.Header{"Content-Encoding": {"gzip"}}}, 415, "UnsupportedMediaTypeException", "gzip"},
		{"query member twice", request{target: entity + "&catalog=B"}, 400, "SerializationException", "'catalog' is given more than once"},
		{"query member in bad UTF-8", request{target: "/DescribeEntity?catalog=%ff"}, 400, "SerializationException", "no valid text"},
		{"the documents' form with a member twice", request{method: "POST", target: "/DescribeChangeSet", body: `{"Catalog":"A","catalog":"B"}`}, 400, "SerializationException", "more than once"},
		{"the documents' form with a wrong type", request{method: "POST", target: "/DescribeChangeSet", body: `{"Catalog":1}`}, 400, "SerializationException", "String"},
		{"body for a query operation is not read as members", request{method: "GET", target: "/DescribeChangeSet", body: `{"Catalog":"A","ChangeSetID":"b"}`}, 422, "ValidationException", "2 validation errors detected: Value null at 'catalog'"},

		{"empty body", post(""), 422, "ValidationException", "2 validation errors detected: Value null at 'catalog' failed to satisfy constraint: Member must not be null; Value null at 'changeSet'"},
		{"null body", post("null"), 422, "ValidationException", "Value null at 'catalog'"},
		{"null in a list", post(`{"Catalog":"A","ChangeSet":[null]}`), 422, "ValidationException", "Value null at 'changeSet.1.member.changeType'"},
		{"catalog with a digit", request{target: "/DescribeEntity?catalog=AWS1&entityId=prod-1"}, 422, "ValidationException", "1 validation error detected: Value 'AWS1' at 'catalog' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z]+$"},
		{"empty texts", post(`{"Catalog":"","ChangeSet":[{"ChangeType":"","Entity":{"Type":"T"}}]}`), 422, "ValidationException", "Value '' at 'catalog' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z]+$"},
		{"empty text in a list", post(`{"Catalog":"A","ChangeSet":[{"ChangeType":"","Entity":{"Type":"T"}}]}`), 422, "ValidationException", "Value '' at 'changeSet.1.member.changeType'"},
		{"empty text in the query", request{target: "/DescribeEntity?catalog=&entityId=prod-1"}, 422, "ValidationException", "Value '' at 'catalog' failed to satisfy constraint"},
		{"empty text in the documents' form", request{method: "POST", target: "/DescribeChangeSet", body: `{"Catalog":""}`}, 422, "ValidationException", "Value '' at 'catalog'"},
		{"empty text by target", request{method: "POST", target: "/", body: `{"Catalog":""}`, header: target("AWSMPImageBuilding_v20171215.StartBuild")}, 400, "ValidationException", "Value '' at 'catalog'"},
		{"more values than any request has", post(`{"Catalog":"A","ChangeSet":[` + strings.Repeat("{},", 250_000) + `{}]}`), 400, "SerializationException", "The request body has more than 200000 values."},
		{"validation by target", request{method: "POST", target: "/", body: "{}", header: target("AWSMPImageBuilding_v20171215.StartBuild")}, 400, "ValidationException", "Value null"},

		{"the service's own error", request{target: "/DescribeEntity?catalog=A&entityId=prod-none"}, 404, "ResourceNotFoundException", "There is no entity prod-none."},
		{"inner error", request{target: "/DescribeEntity?catalog=A&entityId=prod-broken"}, 500, "InternalServiceException", "unknown error"},
		{"panic", request{target: "/DescribeEntity?catalog=A&entityId=prod-panics"}, 500, "InternalServiceException", "unknown error"},
		{"credentials can't be read", request{target: entity, key: "AKIDBROKEN"}, 500, "InternalServiceException", "unknown error"},
	}
	g := newGateway(t, config())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := send(t, g, tt.q)
			if got.status != tt.status || got.code != tt.code || !strings.Contains(got.message, tt.text) {
				t.Errorf("got %d %s %q\nwant %d %s %q", got.status, got.code, got.message, tt.status, tt.code, tt.text)
			}
			if strings.Contains(got.body, "secret inner text") {
				t.Errorf("the inner text got out: %s", got.body)
			}
			if strings.HasPrefix(got.body, "{") && got.header.Get("x-amzn-ErrorType") != tt.code {
				t.Errorf("the header says %q, want %s", got.header.Get("x-amzn-ErrorType"), tt.code)
			}
			if got.header.Get("x-amzn-RequestId") == "" {
				t.Error("there is no request id")
			}
		})
	}
}

func manyParameters(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "&a%d=", i)
	}
	return b.String()
}

func TestErrorForms(t *testing.T) {
	t.Parallel()
	g := newGateway(t, config())
	got := send(t, g, request{target: "/DescribeEntity?catalog=A&entityId=prod-locked"})
	want := `{"__type":"ResourceInUseException","Message":"It is locked.","A":1,"ResourceId":"prod-locked"}`
	if got.status != 423 || got.body != want || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("REST: got %d %s %s\nwant %s", got.status, got.header, got.body, want)
	}
	got = send(t, g, request{target: "/?Version=2011-06-15&Action=%3CX%3E", service: "sts"})
	want = `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>InvalidAction</Code>` +
		`<Message>Could not find operation &lt;X&gt; for version 2011-06-15</Message></Error><RequestId>11111111-2222-4333-8444-555555555555</RequestId></ErrorResponse>`
	if got.status != 400 || got.body != want || got.header.Get("Content-Type") != "text/xml" {
		t.Errorf("query: got %d %s %s\nwant %s", got.status, got.header, got.body, want)
	}
}

func TestExpiredSignature(t *testing.T) {
	t.Parallel()
	c := config()
	c.Clock = func() time.Time { return now.Add(16 * time.Minute) }
	got := send(t, newGateway(t, c), request{target: "/DescribeEntity?catalog=A&entityId=b"})
	if got.status != 400 || got.code != "RequestExpired" {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestBodyLimits(t *testing.T) {
	t.Parallel()
	c := config()
	c.MaxBody = 100
	g := newGateway(t, c)
	long := request{method: "POST", target: "/StartChangeSet", body: startBody}
	if got := send(t, g, long); got.status != 413 || got.code != "RequestEntityTooLargeException" {
		t.Errorf("announced: got %d %s", got.status, got.body)
	}
	r := long.build(t)
	r.ContentLength = -1
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	if got := read(t, w.Result()); got.status != 413 {
		t.Errorf("chunked: got %d %s", got.status, got.body)
	}
	r = long.build(t)
	r.ContentLength = -1
	r.Body = readCloser{iotest.TimeoutReader(strings.NewReader(startBody))}
	w = httptest.NewRecorder()
	g.ServeHTTP(w, r)
	if got := read(t, w.Result()); got.status != 413 {
		t.Errorf("after a time-out: got %d %s", got.status, got.body)
	}

	// The largest change set that is allowed fits into the default.
	doc := `{"a":"` + strings.Repeat("x", 262144-8) + `"}`
	change := `{"ChangeType":"X","Entity":{"Type":"T"},"DetailsDocument":` + doc + `}`
	body := `{"Catalog":"AWSMarketplace","ChangeSet":[` + change + strings.Repeat(","+change, 19) + `]}`
	got := send(t, newGateway(t, config()), request{method: "POST", target: "/StartChangeSet", body: body})
	if got.status != 200 {
		t.Errorf("%d bytes: got %d %s", len(body), got.status, got.body)
	}
	got = send(t, newGateway(t, config()), request{method: "POST", target: "/StartChangeSet", body: strings.Replace(body, "xxx", "xxxx", 1)})
	if got.status != 422 || !strings.Contains(got.message, "'changeSet.1.member.detailsDocument'") {
		t.Errorf("a longer document: got %d %s", got.status, got.body)
	}
}

type readCloser struct{ readOnly }

type readOnly interface{ Read([]byte) (int, error) }

func (readCloser) Close() error { return nil }

func TestDenials(t *testing.T) {
	t.Parallel()
	const (
		entity   = "/DescribeEntity?catalog=AWSMarketplace&entityId=prod-1"
		resource = "arn:aws:aws-marketplace:us-east-1:123456789012:AWSMarketplace/ContainerProduct/prod-1"
		user     = "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: "
	)
	tests := []struct {
		name     string
		decision iam.Decision
		q        request
		code     string
		message  string
	}{
		{"no policy allows it", iam.Decision{}, request{target: entity, key: "AKIDANN"}, "AccessDeniedException",
			user + "aws-marketplace:DescribeEntity on resource: " + resource + " because no identity-based policy allows the aws-marketplace:DescribeEntity action"},
		{"a policy denies it", iam.Decision{Explicit: true}, request{target: entity, key: "AKIDANN"}, "AccessDeniedException",
			user + "aws-marketplace:DescribeEntity on resource: " + resource + " with an explicit deny in an identity-based policy"},
		{"the operation names its own denial", iam.Decision{}, request{method: "POST", target: "/", body: startBody, header: target("AWSMPImageBuilding_v20171215.StartBuild"), key: "AKIDANN"},
			"UnauthorizedOperationException", user + "aws-marketplace:StartBuild on resource: " + resource + " because no identity-based policy allows the aws-marketplace:StartBuild action"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := config()
			c.Decide = func(*iam.Principal, iam.Question) iam.Decision { return tt.decision }
			got := send(t, newGateway(t, c), tt.q)
			if got.status != 403 || got.code != tt.code || got.message != tt.message {
				t.Errorf("got %d %s %s\nwant 403 %s %s", got.status, got.code, got.message, tt.code, tt.message)
			}
		})
	}
}

func TestConditionKeysOfEveryRequest(t *testing.T) {
	t.Parallel()
	var asked []iam.Question
	c := config()
	c.Decide = func(p *iam.Principal, q iam.Question) iam.Decision {
		asked = append(asked, q)
		return iam.Decision{Allowed: true}
	}
	g := newGateway(t, c)
	const entity = "/DescribeEntity?catalog=AWSMarketplace&entityId=prod-1"
	send(t, g, request{target: entity, key: "AKIDANN", header: http.Header{"User-Agent": {"test/1"}}})
	send(t, g, request{target: entity})
	want := iam.Context{
		"aws:currenttime": {"2026-03-01T12:00:00Z"}, "aws:epochtime": {"1772366400"}, "aws:requestedregion": {"us-east-1"},
		"aws:securetransport": {"false"}, "aws:sourceip": {"192.0.2.1"}, "aws:useragent": {"test/1"},
	}
	if diff := cmp.Diff(want, asked[0].Context); diff != "" {
		t.Errorf("of a user (-want +got)\n%s", diff)
	}
	if asked[1].Context != nil {
		t.Errorf("of root: got %v, want none", asked[1].Context)
	}
}

// refuseAll is a Limiter whose rates are used up.
type refuseAll struct{ asked *[]string }

func (l refuseAll) Allow(_ context.Context, account, service, operation string) bool {
	*l.asked = append(*l.asked, account+" "+service+" "+operation)
	return false
}

func TestThrottling(t *testing.T) {
	t.Parallel()
	var asked []string
	c := config()
	c.Limiter = refuseAll{&asked}
	g := newGateway(t, c)
	got := send(t, g, request{target: "/DescribeEntity?catalog=A&entityId=b"})
	if got.status != 429 || got.code != "ThrottlingException" || got.message != "Rate exceeded" {
		t.Errorf("REST: got %d %s", got.status, got.body)
	}
	got = send(t, g, request{target: "/?Action=GetCallerIdentity&" + stsVersion, service: "sts"})
	if got.status != 400 || got.code != "Throttling" {
		t.Errorf("query: got %d %s", got.status, got.body)
	}
	send(t, g, request{target: "/DescribeEntity?catalog=1&entityId=b"})                    // malformed
	send(t, g, request{target: "/DescribeEntity?catalog=A&entityId=b", key: "AKIDNOBODY"}) // unknown
	if diff := cmp.Diff([]string{account + " marketplacecatalog DescribeEntity", account + " sts GetCallerIdentity"}, asked); diff != "" {
		t.Errorf("asked (-want +got)\n%s", diff)
	}
}

func TestThrottlingOfAnOperationWithItsOwnError(t *testing.T) {
	t.Parallel()
	var asked []string
	c := config()
	c.Limiter = refuseAll{&asked}
	for _, s := range c.Services {
		for i := range s.Operations {
			if s.Operations[i].Name == "DescribeEntity" {
				s.Operations[i].ThrottledCode = "ResourceInUseException"
			}
		}
	}
	got := send(t, newGateway(t, c), request{target: "/DescribeEntity?catalog=A&entityId=b"})
	if got.status != 423 || got.code != "ResourceInUseException" || got.message != "Rate exceeded" {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestUnknownErrorsAreLoggedWithTheRequestID(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"prod-broken", "prod-panics"} {
		var log bytes.Buffer
		c := config()
		c.Log = slog.New(slog.NewTextHandler(&log, nil))
		got := send(t, newGateway(t, c), request{target: "/DescribeEntity?catalog=A&entityId=" + id})
		for _, want := range []string{"secret inner text", "11111111-2222-4333-8444-555555555555", "marketplacecatalog.DescribeEntity"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("%s: the log %q lacks %s", id, log.String(), want)
			}
		}
		if !strings.Contains(got.message, "11111111-2222-4333-8444-555555555555") {
			t.Errorf("%s: the message %q lacks the request id", id, got.message)
		}
		log.Reset()
		send(t, newGateway(t, c), request{target: "/DescribeEntity?catalog=A&entityId=prod-1"})
		send(t, newGateway(t, c), request{target: "/DescribeEntity?catalog=1&entityId=prod-1"})
		if log.Len() > 0 {
			t.Errorf("an everyday request was logged: %s", log.String())
		}
	}
}

func TestObserveHearsOfEveryCall(t *testing.T) {
	t.Parallel()
	var heard []string
	c := config()
	c.Observe = func(_ context.Context, o gateway.Outcome) {
		s := o.Service.Name
		if o.Operation != nil {
			s += " " + o.Operation.Name
		}
		if o.Caller.Principal != nil {
			s += " " + o.Caller.Principal.Account
		}
		if o.Err != nil {
			s += " " + o.Err.Code
		}
		heard = append(heard, s)
	}
	g := newGateway(t, c)
	send(t, g, request{target: "/DescribeEntity?catalog=A&entityId=prod-1"})
	send(t, g, request{target: "/DescribeEntity?catalog=1&entityId=prod-1"})
	send(t, g, request{target: "/DescribeEntity?catalog=A&entityId=prod-1", key: "AKIDNOBODY"})
	send(t, g, request{target: "/Nowhere"})
	want := []string{
		"marketplacecatalog DescribeEntity 123456789012",
		"marketplacecatalog DescribeEntity 123456789012 ValidationException",
		"marketplacecatalog DescribeEntity UnrecognizedClientException",
		"marketplacecatalog 123456789012 UnknownOperationException",
	}
	if diff := cmp.Diff(want, heard); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWiringMistakesShowWhenTheGatewayIsMade(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*gateway.Config){
		"no services":              func(c *gateway.Config) { c.Services = nil },
		"no credentials":           func(c *gateway.Config) { c.Credentials = nil },
		"no signing name":          func(c *gateway.Config) { c.Services[0].SigningNames = nil },
		"no protocol":              func(c *gateway.Config) { c.Services[0].Protocol = nil },
		"no path":                  func(c *gateway.Config) { c.Services[0].Operations[0].Path = "" },
		"no Authorize":             func(c *gateway.Config) { c.Services[0].Operations[0].Authorize = nil },
		"two operations, one path": func(c *gateway.Config) { c.Services[0].Operations[1].Path = "/DescribeEntity" },
		"input without a pointer":  func(c *gateway.Config) { c.Services[0].Operations[0].Input = func() any { return identityIn{} } },
		"constraint that is none": func(c *gateway.Config) {
			c.Services[0].Operations[0].Input = func() any {
				return &struct {
					A string `query:"a" pattern:"("`
				}{}
			}
		},
		"query member of an odd type": func(c *gateway.Config) {
			c.Services[0].Operations[0].Input = func() any {
				return &struct {
					A map[string]string `query:"a"`
				}{}
			}
		},
	}
	for name, edit := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config()
			edit(&c)
			if _, err := gateway.New(c); err == nil {
				t.Error("made without an error")
			}
		})
	}
}

func TestOpRefusesAnOperationWithoutAuthorize(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("made without a panic")
		}
	}()
	gateway.Op(gateway.Def[identityIn, *identityOut]{Name: "Forgotten"})
}

func TestInputsDoNotShareTheBodysMemory(t *testing.T) {
	t.Parallel()
	var kept []jsontext.Value
	c := config()
	c.Services[0].Operations[2].Call = func(_ context.Context, _ *gateway.Caller, in any) (any, error) {
		kept = append(kept, in.(*startChangeSetIn).ChangeSet[0].DetailsDocument)
		return &startChangeSetOut{}, nil
	}
	g := newGateway(t, c)
	for _, text := range []string{"first", "other", "third"} {
		send(t, g, request{method: "POST", target: "/StartChangeSet", body: strings.Replace(startBody, "{}", `{"a":"`+text+`"}`, 1)})
	}
	if len(kept) != 3 || string(kept[0]) != `{"a":"first"}` || string(kept[1]) != `{"a":"other"}` {
		t.Errorf("got %s", kept)
	}
}

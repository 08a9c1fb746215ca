package gateway_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/go-json-experiment/json/jsontext"

	"souk/access/iam"
	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/awsjson"
	"souk/gateway/awsquery"
	"souk/gateway/restjson"
)

// A small market to test the gateway with: one service of each protocol, two of
// them under the same signing name.

type describeEntityIn struct {
	Catalog  string `query:"catalog" required:"" len:"1,64" pattern:"^[a-zA-Z]+$"`
	EntityID string `query:"entityId" required:"" len:"1,255" pattern:"^[\\w\\-]+$"`
}

type describeChangeSetIn struct {
	Catalog     string `query:"catalog" required:"" len:"1,64" pattern:"^[a-zA-Z]+$"`
	ChangeSetID string `query:"changeSetId" required:"" len:"1,255" pattern:"^[\\w\\-]+$"`
}

type describeChangeSetOut struct {
	ChangeSetID string  `json:"ChangeSetId"`
	EndTime     *string `json:"EndTime,omitzero"`
	Failure     string  `json:"FailureCode,omitempty"`
}

type entity struct {
	Type       string `json:"Type" required:""`
	Identifier string `json:"Identifier"`
}

type changeIn struct {
	ChangeType      string         `json:"ChangeType" required:"" len:"1,255" pattern:"^[A-Z][\\w]*$"`
	Entity          *entity        `json:"Entity" required:""`
	Details         string         `json:"Details" len:"2,16384" pattern:"^[\\s]*\\{[\\s\\S]*\\}[\\s]*$"`
	DetailsDocument jsontext.Value `json:"DetailsDocument" len:",262144"`
}

type startChangeSetIn struct {
	Catalog   string     `json:"Catalog" required:"" len:"1,64" pattern:"^[a-zA-Z]+$"`
	ChangeSet []changeIn `json:"ChangeSet" required:"" size:"1,20"`
	Intent    *string    `json:"Intent" enum:"VALIDATE,APPLY"`
	Max       *int       `json:"MaxResults" range:"1,20"`
}

type startChangeSetOut struct {
	ChangeSetID string `json:"ChangeSetId"`
	Changes     int    `json:"Changes"`
}

type identityIn struct {
	Names []string `query:"Names"`
}

type identityOut struct {
	Account, Arn, UserId string
	Names                []string `xml:"Names>member"`
}

const (
	account = "123456789012"
	secret  = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

var entityBytes = gateway.Raw(`{"EntityType":"ContainerProduct@1.0","EntityIdentifier":"prod-1@1","Details":"{}"}`)

// ask makes an Authorize that asks for one action.
func ask[In any](action string) func(context.Context, *gateway.Caller, *In) ([]iam.Question, error) {
	return func(context.Context, *gateway.Caller, *In) ([]iam.Question, error) {
		return []iam.Question{{Action: action, Resource: "arn:aws:aws-marketplace:us-east-1:" + account + ":AWSMarketplace/ContainerProduct/prod-1"}}, nil
	}
}

func services() []*gateway.Service {
	catalog := &gateway.Service{
		Name: "marketplacecatalog", SigningNames: []string{"aws-marketplace"}, Protocol: restjson.Protocol{},
		Internal: "InternalServiceException", Validation: "ValidationException", Denied: "AccessDeniedException", Throttled: "ThrottlingException",
		Errors: map[string]int{
			"InternalServiceException": 500, "ValidationException": 422, "AccessDeniedException": 403,
			"ThrottlingException": 429, "ResourceNotFoundException": 404, "ResourceInUseException": 423,
		},
		Operations: []gateway.Operation{
			gateway.Op(gateway.Def[describeEntityIn, gateway.Raw]{
				Name: "DescribeEntity", Method: "GET", Path: "/DescribeEntity", ReadOnly: true,
				Authorize: ask[describeEntityIn]("aws-marketplace:DescribeEntity"),
				Call: func(_ context.Context, _ *gateway.Caller, in *describeEntityIn) (gateway.Raw, error) {
					switch in.EntityID {
					case "prod-none":
						return nil, apierror.New("ResourceNotFoundException", "There is no entity %s.", in.EntityID)
					case "prod-locked":
						e := apierror.New("ResourceInUseException", "It is locked.")
						e.Fields = map[string]any{"ResourceId": "prod-locked", "A": 1}
						return nil, e
					case "prod-broken":
						return nil, errors.New("reading the document prod-broken: secret inner text")
					case "prod-panics":
						panic("secret inner text")
					}
					return entityBytes, nil
				},
			}),
			gateway.Op(gateway.Def[describeChangeSetIn, *describeChangeSetOut]{
				Name: "DescribeChangeSet", Method: "GET", Path: "/DescribeChangeSet", Also: []string{"POST /DescribeChangeSet"},
				Authorize: ask[describeChangeSetIn]("aws-marketplace:DescribeChangeSet"),
				Call: func(_ context.Context, _ *gateway.Caller, in *describeChangeSetIn) (*describeChangeSetOut, error) {
					return &describeChangeSetOut{ChangeSetID: in.ChangeSetID}, nil
				},
			}),
			gateway.Op(gateway.Def[startChangeSetIn, *startChangeSetOut]{
				Name: "StartChangeSet", Method: "POST", Path: "/StartChangeSet",
				Authorize: ask[startChangeSetIn]("aws-marketplace:StartChangeSet"),
				Call: func(_ context.Context, _ *gateway.Caller, in *startChangeSetIn) (*startChangeSetOut, error) {
					return &startChangeSetOut{ChangeSetID: "2de11mwkeagfwj07225x1h5a5", Changes: len(in.ChangeSet)}, nil
				},
			}),
		},
	}
	build := &gateway.Service{
		Name: "marketplaceimagebuild", SigningNames: []string{"aws-marketplace"}, Protocol: awsjson.Protocol{}, TargetPrefix: "AWSMPImageBuilding_v20171215",
		AlsoTargets: []string{"com.amazonaws.AWSMPImageBuilding"},
		Operations: []gateway.Operation{gateway.Op(gateway.Def[startChangeSetIn, *startChangeSetOut]{
			Name: "StartBuild", DeniedCode: "UnauthorizedOperationException",
			Authorize: ask[startChangeSetIn]("aws-marketplace:StartBuild"),
			Call: func(_ context.Context, _ *gateway.Caller, in *startChangeSetIn) (*startChangeSetOut, error) {
				return &startChangeSetOut{Changes: len(in.ChangeSet)}, nil
			},
		})},
	}
	sts := &gateway.Service{
		Name: "sts", SigningNames: []string{"sts"}, Protocol: awsquery.Protocol{},
		APIVersion: "2011-06-15", Namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
		Operations: []gateway.Operation{gateway.Op(gateway.Def[identityIn, *identityOut]{
			Name: "GetCallerIdentity",
			Authorize: func(context.Context, *gateway.Caller, *identityIn) ([]iam.Question, error) {
				return nil, nil
			},
			Call: func(_ context.Context, c *gateway.Caller, in *identityIn) (*identityOut, error) {
				return &identityOut{Account: c.Principal.Account, Arn: c.Principal.ARN, UserId: c.Principal.ID, Names: in.Names}, nil
			},
		})},
	}
	return []*gateway.Service{catalog, build, sts}
}

// keys are the credentials of the test's accounts.
type keys map[string]*iam.Principal

func (k keys) LookupSession(_ context.Context, id, session string) (string, *iam.Principal, bool, error) {
	if id == "AKIDBROKEN" {
		return "", nil, false, errors.New("reading the key: secret inner text")
	}
	p := k[id]
	return secret, p, p != nil && session == "", nil
}

var (
	now  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	root = &iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":root", ID: account, Root: true}
	ann  = &iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":user/ann", ID: "AIDAANN", Name: "ann"}
)

// config is a gateway's configuration for tests; they may change it.
func config() gateway.Config {
	return gateway.Config{
		Services:    services(),
		Credentials: keys{"AKIDROOT": root, "AKIDANN": ann},
		Clock:       func() time.Time { return now },
		RequestID:   func() string { return "11111111-2222-4333-8444-555555555555" },
	}
}

func newGateway(t testing.TB, c gateway.Config) *gateway.Gateway {
	t.Helper()
	g, err := gateway.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// request is a request of a test, signed by sign unless it says otherwise.
type request struct {
	method, target, body string
	header               http.Header
	key, service         string // "": AKIDROOT, aws-marketplace
	unsigned             bool
}

func (q request) build(t testing.TB) *http.Request {
	t.Helper()
	if q.method == "" {
		q.method = "GET"
	}
	r := httptest.NewRequest(q.method, "http://127.0.0.1:8470"+q.target, strings.NewReader(q.body))
	if q.body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	for k, v := range q.header {
		r.Header[k] = v
	}
	if !q.unsigned {
		sign(t, r, q.body, q.key, q.service)
	}
	return r
}

func sign(t testing.TB, r *http.Request, body, key, service string) {
	t.Helper()
	if key == "" {
		key = "AKIDROOT"
	}
	if service == "" {
		service = "aws-marketplace"
	}
	sum := sha256.Sum256([]byte(body))
	err := v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: key, SecretAccessKey: secret},
		r, hex.EncodeToString(sum[:]), service, "us-east-1", now)
	if err != nil {
		t.Fatal(err)
	}
}

// answer is what came back.
type answer struct {
	status  int
	header  http.Header
	body    string
	code    string // of an error, from the body
	message string
}

func send(t testing.TB, h http.Handler, q request) answer {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, q.build(t))
	return read(t, w.Result())
}

func read(t testing.TB, res *http.Response) answer {
	t.Helper()
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: res.StatusCode, header: res.Header, body: string(b)}
	if strings.HasPrefix(a.body, "{") {
		var e struct {
			Type    string `json:"__type"`
			Message string
		}
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatalf("the body %q is no JSON: %v", b, err)
		}
		a.code, a.message = e.Type, e.Message
	} else if _, rest, ok := strings.Cut(a.body, "<Code>"); ok {
		a.code, _, _ = strings.Cut(rest, "</Code>")
		_, rest, _ = strings.Cut(a.body, "<Message>")
		a.message, _, _ = strings.Cut(rest, "</Message>")
		a.message = html.UnescapeString(a.message)
	}
	return a
}

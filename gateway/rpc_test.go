package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	smithycbor "github.com/aws/smithy-go/encoding/cbor"
	"github.com/google/go-cmp/cmp"

	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/awsjson"
	"souk/gateway/rpcv2cbor"
)

type stopIn struct {
	Name string `json:"Name" required:"" pattern:"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}$"`
}

type stopOut struct {
	Name    string
	Created awsjson.Time
}

// twoProtocols is a service that is spoken in JSON and in CBOR.
func twoProtocols() *gateway.Service {
	return &gateway.Service{
		Name: "appstream", SigningNames: []string{"appstream"}, Protocol: awsjson.Protocol{}, TargetPrefix: "PhotonAdminProxyService",
		RPC: rpcv2cbor.Protocol{Namespace: "com.amazonaws.appstream"}, RPCName: "PhotonAdminProxyService",
		Errors: map[string]int{"ResourceNotFoundException": 404, "AccessDeniedException": 400},
		Operations: []gateway.Operation{gateway.Op(gateway.Def[stopIn, *stopOut]{
			Name:      "StopImageBuilder",
			Authorize: ask[stopIn]("appstream:StopImageBuilder"),
			Call: func(_ context.Context, c *gateway.Caller, in *stopIn) (*stopOut, error) {
				switch in.Name {
				case "none":
					return nil, apierror.New("ResourceNotFoundException", "There is no image builder %s.", in.Name)
				case "broken":
					return nil, errors.New("secret inner text")
				}
				return &stopOut{in.Name, awsjson.Time{Time: c.Time}}, nil
			},
		})},
		NotOffered: []string{"CreateFleet", "CreateStack"},
		Instead:    map[string]string{"CreateStack": "There is a command for it."},
	}
}

const stopPath = "/service/PhotonAdminProxyService/operation/StopImageBuilder"

// rpc is a request in CBOR.
func rpc(path string, members smithycbor.Map) request {
	return request{method: "POST", target: path, body: string(smithycbor.Encode(members)), service: "appstream",
		header: http.Header{"Smithy-Protocol": {"rpc-v2-cbor"}, "Content-Type": {"application/cbor"}, "Accept": {"application/cbor"}}}
}

func name(s string) smithycbor.Map { return smithycbor.Map{"Name": smithycbor.String(s)} }

func TestOneOperationInTwoProtocols(t *testing.T) {
	t.Parallel()
	var calls []string
	c := config()
	c.Services = append(services(), twoProtocols())
	c.Observe = func(_ context.Context, o gateway.Outcome) {
		calls = append(calls, o.Service.Name+"."+o.Operation.Name+" "+o.Input.(*stopIn).Name)
	}
	g := newGateway(t, c)

	got := send(t, g, request{method: "POST", target: "/", body: `{"Name":"a"}`, header: target("PhotonAdminProxyService.StopImageBuilder"), service: "appstream"})
	if want := `{"Name":"a","Created":1772366400}`; got.status != 200 || got.body != want {
		t.Errorf("JSON: status %d: %s, want %s", got.status, got.body, want)
	}
	for _, prefix := range []string{"", "/prefix"} {
		got = send(t, g, rpc(prefix+stopPath, name("a")))
		v, err := smithycbor.Decode([]byte(got.body))
		if err != nil || got.status != 200 || got.header.Get("Smithy-Protocol") != "rpc-v2-cbor" {
			t.Fatalf("CBOR: status %d: %q, %v", got.status, got.body, err)
		}
		want := smithycbor.Map{"Name": smithycbor.String("a"), "Created": &smithycbor.Tag{ID: 1, Value: smithycbor.Float64(1772366400)}}
		if d := cmp.Diff(smithycbor.Value(want), v); d != "" {
			t.Errorf("CBOR (-want +got):\n%s", d)
		}
	}
	if d := cmp.Diff([]string{"appstream.StopImageBuilder a", "appstream.StopImageBuilder a", "appstream.StopImageBuilder a"}, calls); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
}

func TestRefusalsInCBOR(t *testing.T) {
	t.Parallel()
	edited := func(q request, edit func(*request)) request {
		q.header = q.header.Clone()
		edit(&q)
		return q
	}
	right := rpc(stopPath, name("a"))
	for name, tt := range map[string]struct {
		q      request
		status int
		code   string
		text   string
	}{
		"no signature":                  {edited(right, func(q *request) { q.unsigned = true }), 403, "MissingAuthenticationTokenException", "missing Authentication Token"},
		"no signature, unknown service": {edited(right, func(q *request) { q.unsigned, q.target = true, "/service/X/operation/Y" }), 403, "MissingAuthenticationTokenException", ""},
		"signed for no service":         {edited(right, func(q *request) { q.service = "s3" }), 403, "InvalidSignatureException", "'s3' is not offered here"},
		"unknown key":                   {edited(right, func(q *request) { q.key = "AKIDNOBODY" }), 403, "UnrecognizedClientException", "security token"},
		"key that can't be read":        {edited(right, func(q *request) { q.key = "AKIDBROKEN" }), 500, "InternalFailure", "unknown error"},
		"too large":                     {edited(right, func(q *request) { q.body = strings.Repeat("x", 100<<10) }), 413, "RequestEntityTooLargeException", "too large"},
		"denied":                        {edited(right, func(q *request) { q.key = "AKIDANN" }), 400, "AccessDeniedException", "is not authorized to perform: appstream:StopImageBuilder"},
		"unknown operation":             {edited(right, func(q *request) { q.target += "s" }), 400, "UnknownOperationException", "The requested operation StopImageBuilders is not recognized by the service."},
		"operation that is not offered": {edited(right, func(q *request) { q.target = "/service/PhotonAdminProxyService/operation/CreateFleet" }), 400, "UnknownOperationException", "The operation CreateFleet is not offered at this endpoint."},
		"unknown service":               {edited(right, func(q *request) { q.target = "/service/X/operation/StopImageBuilder" }), 404, "UnknownOperationException", "/service/X/operation/StopImageBuilder"},
		"GET":                           {edited(right, func(q *request) { q.method = "GET" }), 400, "UnknownOperationException", "StopImageBuilder"},
		"JSON in the body":              {edited(right, func(q *request) { q.body = `{"Name":"a"}` }), 400, "SerializationException", "no valid CBOR"},
		"a target too":                  {edited(right, func(q *request) { q.header["X-Amz-Target"] = []string{"PhotonAdminProxyService.StopImageBuilder"} }), 400, "SerializationException", "X-Amz-Target"},
		"a constraint does not hold":    {rpc(stopPath, smithycbor.Map{"Name": smithycbor.String("-")}), 400, "ValidationException", "1 validation error detected: Value '-' at 'name' failed to satisfy constraint"},
		"an empty text":                 {rpc(stopPath, name("")), 400, "ValidationException", "1 validation error detected: Value '' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern"},
		"no members":                    {rpc(stopPath, smithycbor.Map{}), 400, "ValidationException", "Value null at 'name'"},
		"no body":                       {edited(right, func(q *request) { q.body = "" }), 400, "ValidationException", "Value null at 'name'"},
		"the operation's own error":     {rpc(stopPath, smithycbor.Map{"Name": smithycbor.String("none")}), 404, "ResourceNotFoundException", "There is no image builder none."},
		"an operation that fails":       {rpc(stopPath, smithycbor.Map{"Name": smithycbor.String("broken")}), 500, "InternalFailure", "unknown error"},
		"body that is not what is signed": {edited(right, func(q *request) {
			q.header = http.Header{"X-Amz-Content-Sha256": {strings.Repeat("0", 64)}, "Smithy-Protocol": {"rpc-v2-cbor"}}
		}), 403, "InvalidSignatureException", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config()
			c.Services = append(services(), twoProtocols())
			c.MaxBody = 64 << 10
			got := send(t, newGateway(t, c), tt.q)
			v, err := smithycbor.Decode([]byte(got.body))
			if err != nil {
				t.Fatalf("status %d: the answer %q is no CBOR: %v", got.status, got.body, err)
			}
			e := v.(smithycbor.Map)
			code, message := e["__type"].(smithycbor.String), e["message"].(smithycbor.String)
			if got.status != tt.status || string(code) != "com.amazonaws.appstream#"+tt.code || !strings.Contains(string(message), tt.text) {
				t.Errorf("got %d %s: %s", got.status, code, message)
			}
			if h := got.header; h.Get("Content-Type") != "application/cbor" || h.Get("Smithy-Protocol") != "rpc-v2-cbor" || h.Get("X-Amzn-Requestid") == "" {
				t.Errorf("header %v", h)
			}
		})
	}
}

func TestNotOfferedInJSON(t *testing.T) {
	t.Parallel()
	c := config()
	c.Services = append(services(), twoProtocols())
	g := newGateway(t, c)
	for operation, want := range map[string]string{
		"CreateFleet": "The operation CreateFleet is not offered at this endpoint.",
		"CreateStack": "The operation CreateStack is not offered at this endpoint. There is a command for it.",
	} {
		got := send(t, g, request{method: "POST", target: "/", body: `{}`, header: target("PhotonAdminProxyService." + operation), service: "appstream"})
		if got.status != 400 || got.code != "UnknownOperationException" || got.message != want {
			t.Errorf("got %d: %s", got.status, got.body)
		}
	}
}

func TestSecondProtocolsThatAreDeclaredWrongly(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*gateway.Service){
		"no name":              func(s *gateway.Service) { s.RPCName = "" },
		"of another style":     func(s *gateway.Service) { s.RPC = awsjson.Protocol{} },
		"operation without it": func(s *gateway.Service) { s.Operations[0].Input = func() any { return 1 } },
	} {
		s := twoProtocols()
		edit(s)
		c := config()
		c.Services = []*gateway.Service{s}
		if _, err := gateway.New(c); err == nil {
			t.Errorf("%s: the gateway was made", name)
		}
	}
	c := config()
	again := twoProtocols()
	again.TargetPrefix = "Other"
	c.Services = []*gateway.Service{twoProtocols(), again}
	if _, err := gateway.New(c); err == nil {
		t.Error("two services of one name: the gateway was made")
	}
}

package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"souk/access/iam"
	"souk/conformance/seller"
	"souk/conformance/souktest"
	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/awsjson"
	"souk/gateway/rpcv2cbor"
)

// newCommandStudioInCBOR is the AWS CLI with a model of the service that leaves it
// no protocol but rpc-v2-cbor. An AWS CLI that is older than the protocol gives way
// to the SDK for JavaScript.
func newCommandStudioInCBOR(t *testing.T, s *seller.Seller, region string) studio {
	t.Helper()
	home := t.TempDir()
	err := souktest.SpeakCBOR(home, "appstream")
	if errors.Is(err, souktest.ErrNoCBOR) {
		t.Log(err)
		return newJavaScriptStudioInCBOR(t, s, region)
	}
	must(t, err)
	return &commandStudio{s, souktest.NewAWS(t, home), region}
}

// newJavaScriptStudioInCBOR is the SDK for JavaScript with the protocol that its
// newer releases choose.
func newJavaScriptStudioInCBOR(t *testing.T, s *seller.Seller, region string) studio {
	t.Helper()
	return startJavaScriptStudio(t, s, region, "rpc-v2-cbor")
}

// echoIn and echoOut have members of AppStream's model, of all the kinds that the
// operations of image builders have.
type echoIn struct {
	Name                        string `required:"" pattern:"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}$"`
	InstanceType                string `required:""`
	Description                 string `len:",256"`
	VpcConfig                   *vpcConfig
	EnableDefaultInternetAccess *bool
	Tags                        map[string]string
	RootVolumeConfig            *struct{ VolumeSizeInGb *int }
}

type vpcConfig struct{ SubnetIds []string }

type echoOut struct{ ImageBuilder echoed }

type echoed struct {
	Name                        string
	InstanceType                string
	Description                 string `json:",omitzero"`
	VpcConfig                   *vpcConfig
	EnableDefaultInternetAccess *bool
	CreatedTime                 awsjson.Time
	ImageBuilderErrors          []echoedError
}

type echoedError struct {
	ErrorCode      string
	ErrorTimestamp awsjson.Time
}

// echo is a server with one operation of AppStream in both protocols, that tells
// in which path its requests came.
func echo(t *testing.T) (s *seller.Seller, paths func() []string, got func() echoIn) {
	t.Helper()
	created := time.UnixMilli(1529960569430).UTC()
	var last echoIn
	var came []string
	g, err := gateway.New(gateway.Config{
		Credentials: oneKey{},
		Services: []*gateway.Service{{
			Name: "appstream", SigningNames: []string{"appstream"}, Protocol: awsjson.Protocol{}, TargetPrefix: photon,
			RPC: rpcv2cbor.Protocol{Namespace: "com.amazonaws.appstream"}, RPCName: photon,
			Errors: map[string]int{"ResourceAlreadyExistsException": 400, "AccessDeniedException": 400},
			Operations: []gateway.Operation{gateway.Op(gateway.Def[echoIn, *echoOut]{
				Name: "CreateImageBuilder",
				Authorize: func(_ context.Context, _ *gateway.Caller, in *echoIn) ([]iam.Question, error) {
					if in.Name == "denied" {
						return nil, apierror.New("AccessDeniedException", "It is denied.")
					}
					return nil, nil
				},
				Call: func(_ context.Context, _ *gateway.Caller, in *echoIn) (*echoOut, error) {
					if in.Name == "taken" {
						return nil, apierror.New("ResourceAlreadyExistsException", "The image builder taken is there.")
					}
					last = *in
					return &echoOut{echoed{
						Name: in.Name, InstanceType: in.InstanceType, Description: in.Description, VpcConfig: in.VpcConfig,
						EnableDefaultInternetAccess: in.EnableDefaultInternetAccess, CreatedTime: awsjson.Time{Time: created},
						ImageBuilderErrors: []echoedError{{"SUBNET_NOT_FOUND", awsjson.Time{Time: created}}},
					}}, nil
				},
			})},
			NotOffered: []string{"DescribeFleets"},
		}},
	})
	must(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		came = append(came, r.URL.Path)
		g.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s = seller.New(seller.Config{URL: server.URL, AccessKeyID: "AKIDECHO", SecretAccessKey: "secret"})
	return s, func() []string { return came }, func() echoIn { return last }
}

// oneKey is the one key of echo.
type oneKey struct{}

func (oneKey) LookupSession(_ context.Context, id, session string) (string, *iam.Principal, bool, error) {
	const account = "123456789012"
	return "secret", &iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":root", ID: account, Root: true}, id == "AKIDECHO" && session == "", nil
}

// TestClientsSpeakEitherProtocol: every client sends what it was given and shows
// what was answered, in the protocol that its name says.
func TestClientsSpeakEitherProtocol(t *testing.T) {
	t.Parallel()
	const rpc = "/service/" + photon + "/operation/"
	for name, path := range map[string]func(operation string) string{
		"AWS CLI":                           func(string) string { return "/" },
		"SDK for Go":                        func(string) string { return "/" },
		"SDK for JavaScript":                func(string) string { return "/" },
		"JSON 1.1":                          func(string) string { return "/" },
		"AWS CLI in rpc-v2-cbor":            func(operation string) string { return rpc + operation },
		"SDK for JavaScript in rpc-v2-cbor": func(operation string) string { return rpc + operation },
		"rpc-v2-cbor":                       func(operation string) string { return rpc + operation },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, paths, got := echo(t)
			client := studios[name](t, s, "us-east-1")
			text, err := client.do(t, "CreateImageBuilder", `{"Name":"desk","InstanceType":"stream.standard.medium","Description":"Für alle","VpcConfig":{"SubnetIds":["subnet-1","subnet-2"]},"EnableDefaultInternetAccess":false,"Tags":{"team":"blue"},"RootVolumeConfig":{"VolumeSizeInGb":300}}`)
			must(t, err)
			want := echoIn{
				Name: "desk", InstanceType: "stream.standard.medium", Description: "Für alle", VpcConfig: &vpcConfig{[]string{"subnet-1", "subnet-2"}},
				EnableDefaultInternetAccess: new(false), Tags: map[string]string{"team": "blue"}, RootVolumeConfig: &struct{ VolumeSizeInGb *int }{new(300)},
			}
			if d := cmp.Diff(want, got()); d != "" {
				t.Error("what came (-sent +came):\n", d)
			}
			var shown struct {
				ImageBuilder struct {
					imageBuilder
					ImageBuilderErrors []struct{ ErrorTimestamp any }
				}
			}
			must(t, json.Unmarshal([]byte(text), &shown))
			b := shown.ImageBuilder
			if b.Name != "desk" || b.Description != "Für alle" || b.EnableDefaultInternetAccess == nil || *b.EnableDefaultInternetAccess || b.VpcConfig == nil || len(b.VpcConfig.SubnetIds) != 2 {
				t.Errorf("shown as %s", text)
			}
			for _, shown := range []any{b.CreatedTime, b.ImageBuilderErrors[0].ErrorTimestamp} {
				if !isTime(shown, 1529960569430) {
					t.Errorf("the time is shown as %v", shown)
				}
			}
			for _, refused := range []struct{ operation, input, code, message string }{
				{"CreateImageBuilder", `{"Name":"taken","InstanceType":"a"}`, "ResourceAlreadyExistsException", "The image builder taken is there."},
				{"CreateImageBuilder", `{"Name":"denied","InstanceType":"a"}`, "AccessDeniedException", "It is denied."},
				{"DescribeFleets", `{}`, "UnknownOperationException", "The operation DescribeFleets is not offered at this endpoint."},
			} {
				_, err := client.do(t, refused.operation, refused.input)
				var said *refusal
				if !errors.As(err, &said) || said.Code != refused.code || said.Message != refused.message {
					t.Errorf("%s %s: %v, want %s: %s", refused.operation, refused.input, err, refused.code, refused.message)
				}
			}
			var wanted []string
			for _, operation := range []string{"CreateImageBuilder", "CreateImageBuilder", "CreateImageBuilder", "DescribeFleets"} {
				wanted = append(wanted, path(operation))
			}
			if d := cmp.Diff(wanted, paths()); d != "" {
				t.Error("the requests' paths (-wanted +came):\n", d)
			}
		})
	}
}

// isTime says whether a client shows a time, as seconds or as a text.
func isTime(shown any, milliseconds int64) bool {
	switch v := shown.(type) {
	case float64:
		return int64(v*1000+0.5) == milliseconds
	case string:
		at, err := time.Parse(time.RFC3339, v)
		return err == nil && at.UnixMilli() == milliseconds
	}
	return false
}

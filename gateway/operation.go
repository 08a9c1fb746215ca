// Package gateway is the one HTTP entrance for all services: it finds the
// operation that a request names, says who sent it, decodes and checks its
// input, asks whether it is allowed and within its rate, calls it, and encodes
// the answer or the error.
//
// It knows no service; services know its Operation.
package gateway

import (
	"context"
	"net/netip"
	"time"

	"souk/access/iam"
)

// Caller is who sent a request, and how.
type Caller struct {
	Principal   *iam.Principal
	AccessKeyID string
	// SessionToken is that of temporary credentials, "" for others. It is a secret.
	SessionToken string
	Region       string // of the signature
	RequestID    string
	SourceIP     netip.Addr
	UserAgent    string
	Time         time.Time // when the request came, by the server's clock, UTC
}

// Service declares an AWS service: how its requests are recognised and its errors spelled.
type Service struct {
	Name         string   // the room below service/, such as marketplacecatalog
	SigningNames []string // credential-scope names under which requests come
	Protocol     Protocol // restjson.Protocol{}, awsjson..., awsquery...
	TargetPrefix string   // of X-Amz-Target (JSON protocols)
	AlsoTargets  []string // other prefixes under which its clients come, where they differ
	APIVersion   string   // of the parameter Version (query protocol), such as 2011-06-15
	Namespace    string   // of the answer (query protocol), such as https://sts.amazonaws.com/doc/2011-06-15/
	RPC          Protocol // a second one of style RPC, such as rpcv2cbor.Protocol{}, to the same operations; nil: none
	RPCName      string   // of the service in the paths of that protocol
	EventSource  string   // such as marketplacecatalog.amazonaws.com

	// Errors has the HTTP status of every code that the service documents.
	Errors map[string]int
	// UnsignedPayload accepts requests whose signature leaves the body out
	// (UNSIGNED-PAYLOAD). Chunked payloads (STREAMING-...) are never accepted.
	UnsignedPayload bool
	// The codes under which the gateway's own refusals go out, where the
	// service documents its own: InternalServiceException, ValidationException...
	Internal   string // unknown errors
	Validation string // a documented constraint of the input does not hold
	Denied     string // not authorised
	// FieldList is the member of the validation error that lists what is wrong
	// field by field, such as ValidationExceptionFieldList; "" for none.
	FieldList string
	Throttled string // rate exceeded

	Operations []Operation
	// NotOffered names operations of the AWS service that are known and refused.
	NotOffered []string
	// Instead says of some of NotOffered what there is here in their place: a sentence
	// of the refusal.
	Instead map[string]string
}

// Operation is one action of a service, with its input and output types erased.
type Operation struct {
	Name   string
	Method string // REST only
	Path   string // REST only, such as /StartChangeSet
	// Also lists further REST forms under which the operation is understood,
	// each "METHOD /Path"; members that belong into the query are read from
	// the query and from the body alike there, whatever the case of their names.
	Also []string

	// Input returns a pointer to a new input struct.
	Input func() any
	// Authorize returns what must be allowed for this input; every Question is
	// asked. An operation without Authorize can't be registered; one that
	// everybody may call who has signed (GetCallerIdentity) returns none.
	Authorize func(ctx context.Context, c *Caller, input any) ([]iam.Question, error)
	// Call does the action. The output is a struct pointer that the protocol
	// encodes, or a Raw.
	Call func(ctx context.Context, c *Caller, input any) (any, error)
	// DeniedCode names the operation's own denial error (StartBuild), "" for the service's.
	DeniedCode string
	// ThrottledCode names the operation's own error for a rate that is used up
	// (CreateImageBuilder), "" for the service's.
	ThrottledCode string
	// ReadOnly marks operations that change nothing.
	ReadOnly bool
}

// Raw is an output that is encoded already, in the service's protocol.
type Raw []byte

// Def is the typed form of an Operation, for Op.
type Def[In, Out any] struct {
	Name, Method, Path string
	Also               []string
	Authorize          func(ctx context.Context, c *Caller, in *In) ([]iam.Question, error)
	Call               func(ctx context.Context, c *Caller, in *In) (Out, error)
	DeniedCode         string
	ThrottledCode      string
	ReadOnly           bool
}

// Op makes an Operation. It panics where the definition is incomplete: a
// wiring mistake that shows at the first start.
//
// Input structs spell their members as AWS does and declare the documented
// constraints in tags, which the gateway checks before Authorize (package
// constraint has the list):
//
//	Catalog  string   `json:"Catalog" required:"" len:"1,64" pattern:"^[a-zA-Z]+$"`
//	Status   string   `json:"Status" enum:"PREPARING,APPLYING"`
//	Max      *int     `json:"MaxResults" range:"1,20"`
//	Filters  []Filter `json:"FilterList" size:"1,8"`
//	Values   []string `json:"ValueList" size:"1,10" memberlen:"1,255"`
//	EntityID string   `query:"entityId" required:"" ...`   // REST: from the query string
//
// A plain string or number that is empty counts as absent; use pointers where
// "given but empty" must be told from "absent".
func Op[In, Out any](d Def[In, Out]) Operation {
	if d.Name == "" || d.Authorize == nil || d.Call == nil {
		panic("gateway: operation " + d.Name + " lacks its name, Authorize or Call")
	}
	return Operation{
		Name: d.Name, Method: d.Method, Path: d.Path, Also: d.Also,
		DeniedCode: d.DeniedCode, ThrottledCode: d.ThrottledCode, ReadOnly: d.ReadOnly,
		Input: func() any { return new(In) },
		Authorize: func(ctx context.Context, c *Caller, input any) ([]iam.Question, error) {
			return d.Authorize(ctx, c, input.(*In))
		},
		Call: func(ctx context.Context, c *Caller, input any) (any, error) {
			return d.Call(ctx, c, input.(*In))
		},
	}
}

package gateway

import (
	"context"
	"net/http"

	"souk/access/iam"
	"souk/gateway/apierror"
)

// Style says how the requests of a protocol name their operation.
type Style int

const (
	REST   Style = iota // by method and path
	Target              // by the header X-Amz-Target, "Prefix.Operation"
	Query               // by the parameters Action and Version
	RPC                 // by the path, "/service/NAME/operation/OPERATION"
)

// Protocol turns bytes into input, and output and errors into bytes; nothing else.
type Protocol interface {
	// Style says where to look for the operation's name.
	Style() Style
	// Bind prepares the protocol for one operation, once, when the gateway is
	// made and has seen that the input is a pointer to a struct. Its error says
	// what else is wrong with the operation's types.
	Bind(s *Service, op *Operation) (Codec, error)
	// Error writes an error. Its Status is set.
	Error(s *Service, w http.ResponseWriter, requestID string, e *apierror.Error)
}

// Codec is a Protocol bound to an operation. It is used concurrently.
type Codec interface {
	// Decode reads the query and the body, which is already read and limited,
	// into input. The body's memory is used again afterwards: input must not
	// refer to it. Errors are *apierror.Error (SerializationException...).
	Decode(r *http.Request, body []byte, input any) error
	// Encode writes an output (a struct pointer or Raw) with status 200. It
	// writes nothing if it fails.
	Encode(w http.ResponseWriter, requestID string, output any) error
}

// Emptier is what a Codec is, too, that can tell a text without characters from
// one that was not given. An input can't.
type Emptier interface {
	// Empty says whether a request that Decode has read gives a member as a text
	// without characters. field is the member's path, as messages have it.
	Empty(r *http.Request, body []byte, field string) bool
}

// Credentials finds the secret and the owner of an access key.
type Credentials interface {
	// LookupSession returns the secret of an access key and whose it is. ok is
	// false if there is no such key or it is not active. session is the
	// security token of the request, "" if none.
	LookupSession(ctx context.Context, accessKeyID, session string) (secret string, p *iam.Principal, ok bool, err error)
}

// Limiter says whether an account may do an operation now.
type Limiter interface {
	// Allow takes one request from the account's rate. It is called for
	// requests that are allowed and well formed only.
	Allow(ctx context.Context, account, service, operation string) bool
}

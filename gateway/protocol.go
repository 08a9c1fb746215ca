package gateway

import (
	"net/http"

	"souk/access/iam"
	"souk/gateway/apierror"
)

// Protocol turns bytes into input, and output and errors into bytes; nothing else.
type Protocol interface {
	// Decode reads the request's body (already read and limited) and query
	// into input. Its errors are *apierror.Error (SerializationException...).
	Decode(s *Service, r *http.Request, body []byte, input any) error
	// Encode writes an output (a struct pointer or Raw) with status 200.
	Encode(s *Service, op *Operation, w http.ResponseWriter, requestID string, output any) error
	// Error writes an error. Its Status is set.
	Error(s *Service, w http.ResponseWriter, requestID string, e *apierror.Error)
}

// Credentials finds the secret and the owner of an access key.
type Credentials interface {
	// Credential returns the secret of an access key and whose it is. ok is
	// false if there is no such key or it is not active. session is the
	// security token of the request, "" if none.
	Credential(r *http.Request, accessKeyID, session string) (secret string, p *iam.Principal, ok bool, err error)
}

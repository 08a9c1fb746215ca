package gateway

import (
	"errors"
	"net/http"

	"souk/gateway/apierror"
	"souk/gateway/constraint"
	"souk/gateway/sigv4"
)

// This file gives the gateway's own refusals the names that each service and
// protocol uses for them.

// apiError turns whatever went wrong into what the client may see.
func (c *call) apiError(err error) *apierror.Error {
	var e *apierror.Error
	if errors.As(err, &e) {
		if e.Status != 0 {
			return e
		}
		with := *e // an error may be a shared value
		with.Status = c.status(e)
		return &with
	}
	c.g.config.Log.ErrorContext(c.ctx, "a request failed", "request", c.caller.RequestID, "operation", c.operation(), "error", err)
	return c.internal()
}

// status is the HTTP status of an error that names none.
func (c *call) status(e *apierror.Error) int {
	if s := c.service.Errors[e.Code]; s != 0 {
		return s
	}
	if e.Fault == apierror.Server {
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// fail writes an error.
func (c *call) fail(e *apierror.Error) {
	c.failed = e
	c.protocol().Error(c.service, c.w, c.caller.RequestID, e)
}

// protocol is that of the request.
func (c *call) protocol() Protocol {
	if c.route != nil {
		return c.route.protocol
	}
	return c.service.protocol(c.r)
}

// internal is the service's error for what the client can't know.
func (c *call) internal() *apierror.Error {
	code := c.service.Internal
	if code == "" {
		code = "InternalFailure"
	}
	status := c.service.Errors[code]
	if status == 0 {
		status = http.StatusInternalServerError
	}
	return &apierror.Error{
		Code: code, Status: status, Fault: apierror.Server,
		Message: "The request processing has failed because of an unknown error, exception or failure. Request id: " + c.caller.RequestID,
	}
}

// named makes a refusal under the service's own name for it.
func (c *call) named(own, rest, query string, status int, message string) *apierror.Error {
	code := own
	if code == "" {
		code = rest
		if c.protocol().Style() == Query {
			code = query
		}
	}
	if s := c.service.Errors[code]; s != 0 {
		status = s
	}
	return &apierror.Error{Code: code, Message: message, Status: status}
}

func (c *call) validation(message string) *apierror.Error {
	return c.named(c.service.Validation, "ValidationException", "ValidationError", http.StatusBadRequest, message)
}

// violated names every member that violates a constraint, in the message and,
// where the service documents it, in a list.
func (c *call) violated(wrong []constraint.Violation) *apierror.Error {
	e := c.validation(constraint.Message(wrong))
	if c.service.FieldList == "" {
		return e
	}
	fields := make([]InvalidField, len(wrong))
	for i, v := range wrong {
		fields[i] = InvalidField{Field: v.Field, Message: v.Text, Reason: "FieldValidationFailed"}
	}
	e.Fields = map[string]any{c.service.FieldList: fields}
	return e
}

// InvalidField is an entry of a validation error's list of fields.
//
// Catalog API Reference, "ValidationException".
type InvalidField struct {
	Field      string
	Message    string
	Reason     string // UnknownOperation, CannotParse, FieldValidationFailed or Other
	EntityId   string `json:",omitempty"`
	EntityType string `json:",omitempty"`
	ChangeType string `json:",omitempty"`
}

func (c *call) throttled() *apierror.Error {
	c.surplus = true
	status := http.StatusBadRequest
	if c.protocol().Style() == REST {
		status = http.StatusTooManyRequests
	}
	own := c.service.Throttled
	if code := c.route.op.ThrottledCode; code != "" {
		own = code
	}
	return c.named(own, "ThrottlingException", "Throttling", status, "Rate exceeded")
}

// unauthenticated names what is wrong with a signature. The query protocol has
// the names of the Catalog API Reference's "Common Errors", the JSON protocols
// those that their services use.
func (c *call) unauthenticated(err error) error {
	var e *sigv4.Error
	if !errors.As(err, &e) {
		return err
	}
	var code, query string
	status := http.StatusForbidden
	switch e.Reason {
	case sigv4.Missing:
		code, query = "MissingAuthenticationTokenException", "MissingAuthenticationToken"
	case sigv4.Incomplete:
		code, query = "IncompleteSignatureException", "IncompleteSignature"
		status = http.StatusBadRequest
	case sigv4.Expired:
		code, query = "RequestExpired", "RequestExpired"
		status = http.StatusBadRequest
	default:
		code, query = "InvalidSignatureException", "SignatureDoesNotMatch"
	}
	return c.named("", code, query, status, e.Message)
}

// unknownKey refuses an access key that is not there or not active.
func (c *call) unknownKey() *apierror.Error {
	return c.named("", "UnrecognizedClientException", "InvalidClientTokenId", http.StatusForbidden,
		"The security token included in the request is invalid.")
}

// Package apierror is the one error that a client of Souk may see.
//
// Every room returns it for what a caller did wrong; the gateway turns it into
// the wire form of the service's protocol. Any other error reaches a client
// only as the service's internal error, without its text.
package apierror

import (
	"errors"
	"fmt"
)

// Fault says whose fault an error is, as in the AWS service models.
type Fault int

// The two faults. The zero value blames the client, as nearly all errors do.
const (
	Client Fault = iota
	Server
)

// Error is an error with a code that AWS documents.
type Error struct {
	Code    string // the exception's name as the service documents it, such as ValidationException
	Message string // for the person who called; never holds secrets or inner text
	Status  int    // HTTP status; 0 takes the status that the service declares for Code
	Fault   Fault

	// Fields are the members that the exception has beside Message on the
	// wire, such as ValidationExceptionFieldList. Most have none.
	Fields map[string]any
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// New makes an error of a code; its status is the one that the service declares.
func New(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithStatus makes an error of a code with an HTTP status of its own.
func WithStatus(status int, code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Status: status}
}

// Is says whether err is an API error of the code.
func Is(err error, code string) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

// Package control is the local door of a server: what souk account, user, key,
// policy and doctor ask of a market. While a server runs they ask through its
// socket DIR/souk.sock, over HTTP and JSON; else they open the market and ask
// in their own process. Who may open the socket's file may do everything.
//
// It is no API for others than this binary: both ends are of one version.
package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"souk/gateway/apierror"
)

// Caller asks by name. Door asks in this process, Client through the socket.
type Caller interface {
	// Call calls what is offered under a name and decodes the answer into out,
	// which is a pointer, or nil for no answer. Errors that are an
	// *apierror.Error stay so; of others the text is kept.
	Call(ctx context.Context, name string, in, out any) error
}

// Door is what a market offers locally. Add to it with Offer before it is used.
type Door struct {
	// Explain makes an error one that says to people what to do; nil: none
	// needs that.
	Explain func(error) error
	// Record does what is offered under a name, with its record; nil: nothing is
	// recorded. The input is JSON.
	Record func(ctx context.Context, name string, in []byte, do func(context.Context) (any, error)) (any, error)

	offers map[string]func(ctx context.Context, in []byte) (any, error)
}

// NewDoor returns a door that offers nothing yet.
func NewDoor() *Door {
	return &Door{offers: map[string]func(context.Context, []byte) (any, error){}}
}

// Offer offers a function under a name, such as "account/create". Input and
// output travel as JSON. It panics if the name is taken: a wiring mistake.
func Offer[In, Out any](d *Door, name string, f func(context.Context, In) (Out, error)) {
	if d.offers[name] != nil {
		panic("control: " + name + " is offered twice")
	}
	d.offers[name] = func(ctx context.Context, text []byte) (any, error) {
		var in In
		if err := json.Unmarshal(text, &in); err != nil {
			return nil, fmt.Errorf("decoding the input of %s: %w", name, err)
		}
		return f(ctx, in)
	}
}

// Call implements Caller. What goes in and out passes through JSON here too,
// so that a command that works without a server works with one.
func (d *Door) Call(ctx context.Context, name string, in, out any) error {
	text, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encoding the input of %s: %w", name, err)
	}
	answer, err := d.answer(ctx, name, text)
	if err != nil {
		return err
	}
	return decodeAnswer(name, answer, out)
}

// answer calls an offer and encodes what it returns.
func (d *Door) answer(ctx context.Context, name string, in []byte) ([]byte, error) {
	offer := d.offers[name]
	if offer == nil {
		return nil, fmt.Errorf("the server does not offer %q: it is of another version than this command", name)
	}
	do := func(ctx context.Context) (any, error) { return offer(ctx, in) }
	var v any
	var err error
	if d.Record != nil {
		v, err = d.Record(ctx, name, in, do)
	} else {
		v, err = do(ctx)
	}
	if err != nil && d.Explain != nil {
		err = d.Explain(err)
	}
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding the answer of %s: %w", name, err)
	}
	return text, nil
}

func decodeAnswer(name string, text []byte, out any) error {
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("decoding the answer of %s: %w", name, err)
	}
	return nil
}

// maxBody bounds what goes in, in bytes: a policy document is the longest.
const maxBody = 1 << 20

// path is where the offers lie below.
const path = "/control/"

// reply is the body of every answer.
type reply struct {
	Answer  jsontext.Value `json:",omitzero"`
	Code    string         `json:",omitzero"` // of an *apierror.Error
	Status  int            `json:",omitzero"`
	Message string         `json:",omitzero"` // set if it failed
}

// ServeHTTP implements http.Handler for the socket.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutPrefix(r.URL.Path, path)
	if !ok || r.Method != http.MethodPost {
		http.Error(w, "this is the control socket of souk", http.StatusNotFound)
		return
	}
	var out reply
	in, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		out.Answer, err = d.answer(r.Context(), name, in)
	}
	if err != nil {
		out = reply{Message: err.Error()}
		var e *apierror.Error
		if errors.As(err, &e) {
			out = reply{Code: e.Code, Status: e.Status, Message: e.Message}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.MarshalWrite(w, out); err != nil {
		panic(http.ErrAbortHandler) // cuts the connection: the client sees that it has no answer
	}
}

// decodeReply is the client's half of ServeHTTP.
func decodeReply(name string, body []byte, out any) error {
	var r reply
	if err := json.UnmarshalRead(bytes.NewReader(body), &r); err != nil {
		return fmt.Errorf("decoding the answer of %s: %w", name, err)
	}
	switch {
	case r.Code != "":
		return apierror.WithStatus(r.Status, r.Code, "%s", r.Message)
	case r.Message != "":
		return errors.New(r.Message)
	}
	return decodeAnswer(name, r.Answer, out)
}

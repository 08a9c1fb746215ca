// Package rpcv2cbor is the protocol Smithy RPC v2 CBOR: every request is a POST
// to /service/NAME/operation/OPERATION and has all members in a map of CBOR
// (RFC 8949).
//
// It is a second protocol of services that speak JSON: a body goes through the
// same JSON that package jsonwire reads and writes, so that a member means the
// same in both, with the same words where it is wrong. What JSON can't tell, CBOR
// does: bytes are byte strings, and times (awsjson.Time) are numbers with the tag
// 1. Numbers that JSON has not (NaN, infinities) are refused.
package rpcv2cbor

import (
	"bytes"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"

	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/jsonwire"
)

// Protocol implements gateway.Protocol.
//
// https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
type Protocol struct {
	// Namespace is that of the service's shapes, such as com.amazonaws.appstream:
	// clients are told com.amazonaws.appstream#ResourceNotFoundException. "" leaves
	// it out, which they understand too.
	Namespace string
}

const mediaType = "application/cbor"

// The values of the answers' headers. They are shared and never change.
var (
	contentType = []string{mediaType}
	protocol    = []string{"rpc-v2-cbor"}
)

// Style implements gateway.Protocol.
func (Protocol) Style() gateway.Style { return gateway.RPC }

// Bind implements gateway.Protocol.
func (Protocol) Bind(_ *gateway.Service, op *gateway.Operation) (gateway.Codec, error) {
	return &codec{input: shapeOf(reflect.TypeOf(op.Input()))}, nil
}

// Error implements gateway.Protocol. The text is the exception's member Message,
// as AWS's models have it, and also message, where clients look that do not know
// the exception.
func (p Protocol) Error(_ *gateway.Service, w http.ResponseWriter, _ string, e *apierror.Error) {
	name := e.Code
	if p.Namespace != "" {
		name = p.Namespace + "#" + name
	}
	b := append(make([]byte, 0, 256), mapBegin)
	b = appendText(appendText(b, "__type"), name)
	b = appendText(appendText(b, "Message"), e.Message)
	b = appendText(appendText(b, "message"), e.Message)
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		v, err := json.Marshal(e.Fields[name])
		if err != nil {
			continue // the code and the message matter more than a detail
		}
		if with, err := appendJSON(appendText(b, name), v, shapeOf(reflect.TypeOf(e.Fields[name]))); err == nil {
			b = with
		}
	}
	w.Header()["X-Amzn-Errortype"] = []string{e.Code}
	send(w, e.Status, append(b, end))
}

func send(w http.ResponseWriter, status int, body []byte) {
	w.Header()["Smithy-Protocol"] = protocol
	jsonwire.Send(w, status, contentType, body)
}

type codec struct {
	input *shape
	out   jsonwire.Encoder
	kept  sync.Map // the shapes of outputs: *shape by reflect.Type
}

// Decode implements gateway.Codec.
func (c *codec) Decode(r *http.Request, body []byte, input any) error {
	switch {
	case r.Header.Get("Smithy-Protocol") != protocol[0]:
		return malformed("The header smithy-protocol must be %s.", protocol[0])
	case len(r.Header["X-Amz-Target"]) > 0 || len(r.Header["X-Amzn-Target"]) > 0:
		// Who stands between might take it for another operation than we do.
		return malformed("A request in the protocol %s must not have the header X-Amz-Target.", protocol[0])
	case len(body) == 0:
		return nil
	}
	if media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(media), mediaType) {
		return jsonwire.WrongMediaType(r.Header.Get("Content-Type"))
	}
	text, err := toJSON(body, c.input)
	if err != nil {
		return err
	}
	return jsonwire.Decode(text, input)
}

// Empty implements gateway.Emptier.
func (c *codec) Empty(_ *http.Request, body []byte, field string) bool {
	text, err := toJSON(body, c.input)
	return err == nil && jsonwire.Empty(text, field)
}

// Encode implements gateway.Codec.
func (c *codec) Encode(w http.ResponseWriter, _ string, output any) error {
	if raw, ok := output.(gateway.Raw); ok {
		return answer(w, raw, anything)
	}
	t := reflect.TypeOf(output)
	known, ok := c.kept.Load(t)
	if !ok {
		known, _ = c.kept.LoadOrStore(t, shapeOf(t))
	}
	return c.out.Marshal(output, func(text []byte) error { return answer(w, text, known.(*shape)) })
}

// answer sends an answer that is JSON so far.
func answer(w http.ResponseWriter, text []byte, s *shape) error {
	if string(bytes.TrimSpace(text)) == "null" { // an answer without members
		text = []byte("{}")
	}
	body, err := appendJSON(make([]byte, 0, len(text)), text, s)
	if err != nil {
		return err
	}
	send(w, http.StatusOK, body)
	return nil
}

// malformed refuses what is no request of the protocol.
func malformed(format string, args ...any) error {
	return apierror.WithStatus(http.StatusBadRequest, jsonwire.Code, format, args...)
}

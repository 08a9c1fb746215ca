// Package ec2query is the protocol of Amazon EC2: the AWS query protocol
// (package awsquery reads its requests) with answers and errors of its own.
//
// Members of inputs are named by a tag query:"Name"; the names of lists are in
// the singular as EC2 has them: ImageId.1, Filter.1.Value.2. Outputs are
// written by encoding/xml; an answer has no ...Result around its members, and
// lists that are empty are there all the same: declare them as a Set.
package ec2query

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"

	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/awsquery"
)

// Protocol implements gateway.Protocol.
//
// Amazon EC2 Developer Guide, "Query requests for Amazon EC2".
type Protocol struct{}

// Set is a list of an answer: each member is an element named item.
type Set[T any] struct {
	Items []T `xml:"item"`
}

// Style implements gateway.Protocol.
func (Protocol) Style() gateway.Style { return gateway.Query }

// Bind implements gateway.Protocol.
func (Protocol) Bind(s *gateway.Service, op *gateway.Operation) (gateway.Codec, error) {
	return &codec{operation: op.Name, namespace: s.Namespace}, nil
}

// errorResponse is the form of errors. It has no namespace.
type errorResponse struct {
	XMLName xml.Name `xml:"Response"`
	Errors  struct {
		Error struct{ Code, Message string }
	}
	RequestID string
}

// authFailures are the gateway's names for a caller who is not who he says;
// EC2 has one for all.
//
// Amazon EC2 Developer Guide, "Error codes for the Amazon EC2 API": "The
// provided credentials could not be validated."
var authFailures = map[string]bool{"InvalidClientTokenId": true, "SignatureDoesNotMatch": true}

// unauthorized begins EC2's message of a denial; the reason stands behind it.
const unauthorized = "You are not authorized to perform this operation. "

const authFailure = "AWS was not able to validate the provided access credentials"

// Error implements gateway.Protocol.
func (Protocol) Error(_ *gateway.Service, w http.ResponseWriter, requestID string, e *apierror.Error) {
	var out errorResponse
	out.Errors.Error.Code, out.Errors.Error.Message = e.Code, e.Message
	out.RequestID = requestID
	status := e.Status
	if authFailures[e.Code] {
		out.Errors.Error.Code, out.Errors.Error.Message = "AuthFailure", authFailure+": "+e.Message
		status = http.StatusUnauthorized
	}
	if e.Code == "UnauthorizedOperation" {
		out.Errors.Error.Message = unauthorized + e.Message
	}
	body, err := xml.Marshal(out)
	if err != nil { // no text makes it fail
		body = []byte("<Response/>")
	}
	send(w, status, body)
}

type codec struct{ operation, namespace string }

// Decode implements gateway.Codec.
func (*codec) Decode(r *http.Request, body []byte, input any) error {
	return awsquery.Decode(r, body, input)
}

// Encode implements gateway.Codec.
func (c *codec) Encode(w http.ResponseWriter, requestID string, output any) error {
	members, err := c.members(output)
	if err != nil {
		return fmt.Errorf("encoding the answer of %s: %w", c.operation, err)
	}
	body, err := xml.Marshal(struct {
		XMLName   xml.Name
		RequestID string `xml:"requestId"`
		Members   []byte `xml:",innerxml"`
	}{xml.Name{Space: c.namespace, Local: c.operation + "Response"}, requestID, members})
	if err != nil {
		return fmt.Errorf("encoding the answer of %s: %w", c.operation, err)
	}
	send(w, http.StatusOK, body)
	return nil
}

// members are the elements of an output, without one around them.
func (*codec) members(output any) ([]byte, error) {
	if raw, ok := output.(gateway.Raw); ok {
		return raw, nil
	}
	const begin, end = "<x>", "</x>"
	var b bytes.Buffer
	e := xml.NewEncoder(&b)
	err := e.EncodeElement(output, xml.StartElement{Name: xml.Name{Local: "x"}})
	if err != nil {
		return nil, err
	}
	inner, ok := bytes.CutPrefix(b.Bytes(), []byte(begin))
	if ok {
		inner, ok = bytes.CutSuffix(inner, []byte(end))
	}
	if !ok {
		return nil, fmt.Errorf("the output %T has attributes or no members", output)
	}
	return inner, nil
}

func send(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/xml;charset=UTF-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body) // if the client has gone, nobody is left to be told
}

// Package awsquery is the AWS query protocol: parameters in a form or in the
// query string, answers in XML.
//
// Members of inputs are named by a tag query:"Name", else by their Go name;
// lists are read as Name.member.N and as Name.N, structures as Name.Member,
// maps as Name.entry.N.key and .value. Outputs are written by encoding/xml:
// name members and lists with its tags (xml:"Tags>member").
package awsquery

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"reflect"
	"strconv"

	"souk/gateway"
	"souk/gateway/apierror"
)

// Protocol implements gateway.Protocol.
type Protocol struct{}

var contentType = []string{"text/xml"}

// Style implements gateway.Protocol.
func (Protocol) Style() gateway.Style { return gateway.Query }

// Bind implements gateway.Protocol.
func (Protocol) Bind(s *gateway.Service, op *gateway.Operation) (gateway.Codec, error) {
	return &codec{operation: op.Name, namespace: s.Namespace}, nil
}

// errorResponse is the form of errors of this protocol.
type errorResponse struct {
	XMLName xml.Name `xml:"ErrorResponse"`
	Space   string   `xml:"xmlns,attr,omitempty"`
	Error   struct {
		Type    string // Sender or Receiver
		Code    string
		Message string
	}
	RequestID string `xml:"RequestId"`
}

// Error implements gateway.Protocol.
func (Protocol) Error(s *gateway.Service, w http.ResponseWriter, requestID string, e *apierror.Error) {
	var out errorResponse
	out.Space = s.Namespace
	out.Error.Type, out.Error.Code, out.Error.Message = "Sender", e.Code, e.Message
	if e.Fault == apierror.Server || e.Status >= 500 {
		out.Error.Type = "Receiver"
	}
	out.RequestID = requestID
	body, err := xml.Marshal(out)
	if err != nil { // no text makes it fail
		body = []byte("<ErrorResponse/>")
	}
	send(w, e.Status, body)
}

type codec struct{ operation, namespace string }

// Decode implements gateway.Codec.
func (*codec) Decode(r *http.Request, body []byte, input any) error {
	return Decode(r, body, input)
}

// Decode reads the parameters of a request into a pointer to a struct, for
// protocols whose requests have this form. Errors are *apierror.Error.
func Decode(r *http.Request, body []byte, input any) error {
	root, err := parseForm(r, body)
	if err != nil {
		return err
	}
	return root.into(reflect.ValueOf(input).Elem(), "")
}

// Encode implements gateway.Codec.
func (c *codec) Encode(w http.ResponseWriter, requestID string, output any) error {
	var b bytes.Buffer
	e := xml.NewEncoder(&b)
	response := xml.StartElement{Name: xml.Name{Local: c.operation + "Response"}}
	if c.namespace != "" {
		response.Attr = []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: c.namespace}}
	}
	result := xml.StartElement{Name: xml.Name{Local: c.operation + "Result"}}
	metadata := struct {
		RequestID string `xml:"RequestId"`
	}{requestID}

	steps := []func() error{
		func() error { return e.EncodeToken(response) },
		func() error {
			if raw, ok := output.(gateway.Raw); ok { // the members of the result
				return e.EncodeElement(struct {
					Inner []byte `xml:",innerxml"`
				}{raw}, result)
			}
			return e.EncodeElement(output, result)
		},
		func() error {
			return e.EncodeElement(metadata, xml.StartElement{Name: xml.Name{Local: "ResponseMetadata"}})
		},
		func() error { return e.EncodeToken(response.End()) },
		e.Flush,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("encoding the answer of %s: %w", c.operation, err)
		}
	}
	send(w, http.StatusOK, b.Bytes())
	return nil
}

func send(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = contentType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	w.Write(body) // if the client has gone, nobody is left to be told
}

// Package awsjson is the AWS JSON protocol, versions 1.0 and 1.1: every request
// is a POST to "/", names its operation in X-Amz-Target, and has all members in
// a JSON body.
package awsjson

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/jsonwire"
)

// Protocol implements gateway.Protocol. Its zero value speaks version 1.1.
type Protocol struct {
	Version string // of the answers' content type; "" is "1.1"
}

var (
	type10 = []string{"application/x-amz-json-1.0"}
	type11 = []string{"application/x-amz-json-1.1"}
)

func (p Protocol) contentType() []string {
	if p.Version == "1.0" {
		return type10
	}
	return type11
}

// Style implements gateway.Protocol.
func (Protocol) Style() gateway.Style { return gateway.Target }

// Bind implements gateway.Protocol.
func (p Protocol) Bind(*gateway.Service, *gateway.Operation) (gateway.Codec, error) {
	return &codec{contentType: p.contentType()}, nil
}

// Error implements gateway.Protocol.
func (p Protocol) Error(_ *gateway.Service, w http.ResponseWriter, _ string, e *apierror.Error) {
	jsonwire.Error(w, p.contentType(), e)
}

type codec struct {
	contentType []string
	out         jsonwire.Encoder
}

// Decode implements gateway.Codec.
func (*codec) Decode(r *http.Request, body []byte, input any) error {
	if ct := r.Header.Get("Content-Type"); !jsonwire.IsJSON(ct) {
		return jsonwire.WrongMediaType(ct)
	}
	return jsonwire.Decode(body, input)
}

// Empty implements gateway.Emptier.
func (*codec) Empty(_ *http.Request, body []byte, field string) bool {
	return jsonwire.Empty(body, field)
}

// Encode implements gateway.Codec.
func (c *codec) Encode(w http.ResponseWriter, _ string, output any) error {
	if raw, ok := output.(gateway.Raw); ok {
		jsonwire.Send(w, http.StatusOK, c.contentType, raw)
		return nil
	}
	return c.out.Encode(w, c.contentType, output)
}

// Time is a member of type timestamp: seconds since 1970 with a fraction of
// milliseconds, as a JSON number.
type Time struct{ time.Time }

// MarshalJSONTo writes the number.
func (t Time) MarshalJSONTo(e *jsontext.Encoder) error {
	seconds := float64(t.UnixMilli()) / 1000
	return e.WriteValue(strconv.AppendFloat(nil, seconds, 'f', -1, 64))
}

// UnmarshalJSONFrom reads the number; null is no time.
func (t *Time) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	v, err := d.ReadValue()
	if err != nil {
		return err
	}
	if v.Kind() == jsontext.KindNull {
		t.Time = time.Time{}
		return nil
	}
	seconds, err := strconv.ParseFloat(string(v), 64)
	if err != nil || math.Abs(seconds) > 1e11 {
		return apierror.WithStatus(http.StatusBadRequest, jsonwire.Code,
			"A timestamp must be a number of seconds since 1970, at '%s'.", d.StackPointer())
	}
	t.Time = time.UnixMilli(int64(math.Round(seconds * 1000))).UTC()
	return nil
}

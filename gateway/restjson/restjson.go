// Package restjson is AWS's REST-JSON protocol: an operation is a method and a
// path, members stand in the query string or in a JSON body.
//
// Members of the query string have a tag query:"name"; all others are members
// of the body.
package restjson

import (
	"bytes"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/jsonwire"
)

// Protocol implements gateway.Protocol.
type Protocol struct{}

var contentType = []string{"application/json"}

// Style implements gateway.Protocol.
func (Protocol) Style() gateway.Style { return gateway.REST }

// Error implements gateway.Protocol.
func (Protocol) Error(_ *gateway.Service, w http.ResponseWriter, _ string, e *apierror.Error) {
	jsonwire.Error(w, contentType, e)
}

// Bind implements gateway.Protocol.
func (Protocol) Bind(_ *gateway.Service, op *gateway.Operation) (gateway.Codec, error) {
	t := reflect.TypeOf(op.Input()).Elem()
	c := &codec{method: op.Method, path: op.Path}
	for i := range t.NumField() {
		sf := t.Field(i)
		if !sf.IsExported() {
			continue
		}
		name, ok := sf.Tag.Lookup("query")
		if !ok {
			c.hasBody = true
			continue
		}
		if !isQueryKind(sf.Type) {
			return nil, fmt.Errorf("binding %s: the query member %s has the type %v", op.Name, sf.Name, sf.Type)
		}
		c.query = append(c.query, member{name, i})
	}
	return c, nil
}

// codec is one operation's way in and out.
type codec struct {
	method, path string // of the documented form
	hasBody      bool   // some member belongs into the body
	query        []member
	out          jsonwire.Encoder
}

// member is a member of the query string.
type member struct {
	name  string
	field int
}

// Decode implements gateway.Codec.
func (c *codec) Decode(r *http.Request, body []byte, input any) error {
	v := reflect.ValueOf(input).Elem()
	also := r.Method != c.method || r.URL.Path != c.path
	if (c.hasBody || also) && len(body) > 0 {
		if ct := r.Header.Get("Content-Type"); !jsonwire.IsJSON(ct) {
			return jsonwire.WrongMediaType(ct)
		}
		if err := c.decodeBody(body, input, v, also); err != nil {
			return err
		}
	}
	if len(c.query) == 0 {
		return nil
	}
	return c.decodeQuery(r.URL.RawQuery, v)
}

func (c *codec) decodeBody(body []byte, input any, v reflect.Value, also bool) error {
	if c.hasBody {
		if err := jsonwire.Decode(body, input); err != nil {
			return err
		}
		// A member of the query is none of the body, even if it has its name.
		for _, m := range c.query {
			v.Field(m.field).SetZero()
		}
	}
	if !also || len(c.query) == 0 {
		return nil
	}
	return c.queryMembersOfBody(body, v)
}

// queryMembersOfBody reads members that belong into the query from a body, as
// older documentation pages show them: "Catalog" for catalog, "ChangeSetID"
// for changeSetId.
func (c *codec) queryMembersOfBody(body []byte, v reflect.Value) error {
	if err := jsonwire.CheckBounds(body); err != nil {
		return err
	}
	var members map[string]jsontext.Value
	if len(bytes.TrimSpace(body)) > 0 {
		if err := json.Unmarshal(body, &members); err != nil {
			return jsonwire.Malformed(err)
		}
	}
	given := make([]bool, len(c.query))
	for name, value := range members {
		for i, m := range c.query {
			if !strings.EqualFold(name, m.name) {
				continue
			}
			if given[i] {
				return serialization("The member '%s' is given more than once.", m.name)
			}
			given[i] = true
			if err := json.Unmarshal(value, v.Field(m.field).Addr().Interface()); err != nil {
				return jsonwire.Malformed(err)
			}
		}
	}
	return nil
}

// Empty implements gateway.Emptier.
func (c *codec) Empty(r *http.Request, body []byte, field string) bool {
	for _, m := range c.query {
		if m.name == field && r.URL.Query().Has(field) {
			return true // it is absent for constraints, so nothing stands there
		}
	}
	return jsonwire.Empty(body, field)
}

// Encode implements gateway.Codec.
func (c *codec) Encode(w http.ResponseWriter, _ string, output any) error {
	if raw, ok := output.(gateway.Raw); ok {
		jsonwire.Send(w, http.StatusOK, contentType, raw)
		return nil
	}
	return c.out.Encode(w, contentType, output)
}

func serialization(format string, args ...any) error {
	return apierror.WithStatus(http.StatusBadRequest, jsonwire.Code, format, args...)
}

package rpcv2cbor

import (
	"encoding"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"

	"souk/gateway/awsjson"
	"souk/gateway/jsonwire"
)

// shape is what of a Go type matters on the way between CBOR and JSON.
type shape struct {
	kind   kind
	wanted string            // in messages: "a String"; "" where the kind has no word
	fields map[string]*shape // of a structure, by the name on the wire
	elem   *shape            // of a list or a map
}

type kind uint8

const (
	other     kind = iota // whatever JSON makes of it
	text                  // a text string
	integer               // a number that is whole
	single                // a number of 32 bits
	double                // a number of 64 bits
	blob                  // a byte string
	timestamp             // a number with the tag 1
	list                  // an array
	structure             // a map with the members of a struct
	mapping               // a map with any names
)

// anything is the shape of what is not known.
var anything = new(shape)

// shapeOf makes the shape of a type and of all that it holds.
func shapeOf(t reflect.Type) *shape { return shapeIn(t, map[reflect.Type]*shape{}) }

// shapeIn keeps the shapes that were begun, so that a type may hold itself.
func shapeIn(t reflect.Type, begun map[reflect.Type]*shape) *shape {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == nil:
		return anything
	case t == reflect.TypeFor[awsjson.Time]():
		return &shape{kind: timestamp, wanted: "a Timestamp"}
	case speaksJSON(t):
		return anything
	}
	if s := begun[t]; s != nil {
		return s
	}
	s := &shape{wanted: jsonwire.Wanted(t)}
	begun[t] = s
	switch t.Kind() {
	case reflect.String:
		s.kind = text
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		s.kind = integer
	case reflect.Float32:
		s.kind = single
	case reflect.Float64:
		s.kind = double
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			s.kind, s.wanted = blob, "a Blob"
			break
		}
		s.kind, s.elem = list, shapeIn(t.Elem(), begun)
	case reflect.Map:
		s.kind, s.elem = mapping, shapeIn(t.Elem(), begun)
	case reflect.Struct:
		s.kind, s.fields = structure, map[string]*shape{}
		s.members(t, begun)
	}
	return s
}

// members adds those of a struct, and of structs that are embedded in it.
func (s *shape) members(t reflect.Type, begun map[reflect.Type]*shape) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Tag.Get("json") == "-":
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			s.members(f.Type, begun)
		case f.IsExported():
			if name == "" {
				name = f.Name
			}
			s.fields[name] = shapeIn(f.Type, begun)
		}
	}
}

// member is the shape of a member of a map or structure.
func (s *shape) member(name string) *shape {
	switch s.kind {
	case structure:
		if m := s.fields[name]; m != nil {
			return m
		}
	case mapping:
		return s.elem
	}
	return anything
}

// element is the shape of an element of a list.
func (s *shape) element() *shape {
	if s.kind == list {
		return s.elem
	}
	return anything
}

// speaksJSON says whether a type has a way of its own into or out of JSON.
func speaksJSON(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	for _, i := range []reflect.Type{
		reflect.TypeFor[json.MarshalerTo](), reflect.TypeFor[json.UnmarshalerFrom](),
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
		reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	} {
		if p.Implements(i) {
			return true
		}
	}
	return false
}

package change

import (
	"bytes"
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// decode reads a Details document into what fresh returns: names are
// case-sensitive, duplicates and bad UTF-8 are refused. Members that it does not
// know are ignored (AWS adds fields); their paths are returned. A member that is
// null is unset; an element of an array can't be.
func decode[D any](document []byte, fresh func() D) (d D, unknown []string, err error) {
	d = fresh()
	err = json.Unmarshal(document, d, json.RejectUnknownMembers(true))
	if errors.Is(err, json.ErrUnknownName) {
		d = fresh()
		if err = json.Unmarshal(document, d); err == nil {
			unknown = unknownMembers(document, fresh)
		}
	}
	if err == nil {
		return d, unknown, nullElement(document)
	}
	return d, nil, wrongType(err)
}

// maxUnknown is how many unknown members of a document are named.
const maxUnknown = 20

// unknownMembers are the paths of the members that are unknown, in their order:
// the document is decoded again without each that was found.
func unknownMembers[D any](document []byte, fresh func() D) (paths []string) {
	for range maxUnknown {
		err := json.Unmarshal(document, fresh(), json.RejectUnknownMembers(true))
		var unknown *json.SemanticError
		if !errors.Is(err, json.ErrUnknownName) || !errors.As(err, &unknown) {
			break
		}
		paths = append(paths, string(unknown.JSONPointer))
		document = without(document, unknown.JSONPointer)
	}
	return paths
}

// without is a document without the member at a path.
func without(document []byte, path jsontext.Pointer) []byte {
	var left bytes.Buffer
	in, out := jsontext.NewDecoder(bytes.NewReader(document)), jsontext.NewEncoder(&left)
	for {
		token, err := in.ReadToken()
		if err != nil {
			return left.Bytes() // the end: the document was decoded before
		}
		if in.StackPointer() == path && token.Kind() == jsontext.KindString {
			if kind, n := in.StackIndex(in.StackDepth()); kind == jsontext.KindBeginObject && n%2 == 1 { // its name
				if in.SkipValue() != nil {
					return left.Bytes()
				}
				continue
			}
		}
		if out.WriteToken(token) != nil {
			return left.Bytes()
		}
	}
}

// wrongType says in AWS's words why a document can't be decoded.
func wrongType(err error) error {
	var wrong *json.SemanticError
	if errors.As(err, &wrong) && wrong.GoType != nil {
		where := string(wrong.JSONPointer)
		if where == "" {
			where = "/"
		}
		return errors.New("JSON at " + where + " is of the wrong type: " + kindName(wrong.JSONKind) + " can't be used for " + jsonType(wrong.GoType.Kind().String()))
	}
	//lint:ignore ST1005 AWS's words, which callers read
	return errors.New("Document not valid JSON format")
}

// nullElement refuses null as an element of an array: no documented array has
// elements that can be unset, and a decoded "" or {} would look like one that
// was given.
func nullElement(document []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(document))
	for {
		token, err := d.ReadToken()
		if err != nil {
			return nil // the end: the document was decoded before
		}
		if token.Kind() != jsontext.KindNull {
			continue
		}
		if parent, _ := d.StackIndex(d.StackDepth()); parent == jsontext.KindBeginArray {
			return errors.New("JSON at " + string(d.StackPointer()) + " is of the wrong type: null can't be used for an element of an array")
		}
	}
}

// kindName names a JSON value as JSON Schema does.
func kindName(k jsontext.Kind) string {
	switch k {
	case jsontext.KindBeginObject:
		return "object"
	case jsontext.KindBeginArray:
		return "array"
	case jsontext.KindTrue, jsontext.KindFalse:
		return "boolean"
	}
	return k.String()
}

// jsonType names a Go kind as JSON Schema does.
func jsonType(kind string) string {
	switch {
	case strings.HasPrefix(kind, "int"), strings.HasPrefix(kind, "uint"):
		return "integer"
	case strings.HasPrefix(kind, "float"):
		return "number"
	case kind == "slice", kind == "array":
		return "array"
	case kind == "struct", kind == "map":
		return "object"
	case kind == "bool":
		return "boolean"
	}
	return kind
}

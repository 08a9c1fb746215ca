package change

import (
	"bytes"
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// decode reads a Details document into d: names are case-sensitive, duplicates
// and bad UTF-8 are refused, members that d does not know are ignored (AWS adds
// fields). A member that is null is unset; an element of an array can't be.
func decode(document []byte, d any) error {
	err := json.Unmarshal(document, d)
	if err == nil {
		return nullElement(document)
	}
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

package change

import (
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
)

// decode reads a Details document into d: names are case-sensitive, duplicates
// and bad UTF-8 are refused, members that d does not know are ignored (AWS adds
// fields), null means unset.
func decode(document []byte, d any) error {
	err := json.Unmarshal(document, d)
	if err == nil {
		return nil
	}
	var wrong *json.SemanticError
	if errors.As(err, &wrong) && wrong.GoType != nil {
		where := string(wrong.JSONPointer)
		if where == "" {
			where = "/"
		}
		return errors.New("JSON at " + where + " is of the wrong type: " + wrong.JSONKind.String() + " can't be used for " + jsonType(wrong.GoType.Kind().String()))
	}
	return errors.New("Document not valid JSON format")
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

package trail

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// hidden stands where a secret was, as CloudTrail has it.
const hidden = "HIDDEN_DUE_TO_SECURITY_REASONS"

// mostMember bounds requestParameters and responseElements, in bytes; what is
// longer is left out and said to be.
//
// AWS CloudTrail User Guide, "CloudTrail record contents": 100 KB each.
const mostMember = 100 << 10

// deepest bounds how deep inputs and outputs are followed.
const deepest = 32

// secret says whether a member of this name holds what nobody may read in a
// record. Tokens that make a request once, or ask for a page, are none.
func secret(name string) bool {
	n := strings.ToLower(name)
	switch n {
	case "clientrequesttoken", "clienttoken", "idempotencytoken", "nexttoken", "secretid":
		return false
	}
	return suspicious(n)
}

// sensitive says whether a member is declared as what nobody may read: the
// message that is published to a topic.
func sensitive(f reflect.StructField) bool {
	_, ok := f.Tag.Lookup("sensitive")
	return ok
}

// suspicious says whether a text has a word that names of secrets have, or might
// have one as JSON. It must be in lower case.
func suspicious(lower string) bool {
	if strings.Contains(lower, `\u`) { // JSON may spell every letter so
		return true
	}
	for _, word := range [...]string{"secret", "password", "passphrase", "token", "privatekey", "private_key"} {
		if strings.Contains(lower, word) {
			return true
		}
	}
	return false
}

// member of a struct, as it is shown.
type field struct {
	index  []int
	name   string // "catalog", quoted and with its colon
	hidden bool
}

// fields remembers the members of struct types.
var fieldsOf sync.Map // reflect.Type to []field; grows with the types of the program only

// elements renders an input or output: members in lower camel case, as
// CloudTrail has them, without what is empty and without secrets. "" if there
// is nothing to show.
func elements(v any) string {
	if v == nil {
		return ""
	}
	r := reflect.ValueOf(v)
	for r.Kind() == reflect.Pointer || r.Kind() == reflect.Interface {
		if r.IsNil() {
			return ""
		}
		r = r.Elem()
	}
	scratch := scratches.Get().(*[]byte)
	b := (*scratch)[:0]
	defer func() {
		if cap(b) <= keptScratch {
			*scratch = b
			scratches.Put(scratch)
		}
	}()
	if r.Kind() == reflect.Slice && r.Type().Elem().Kind() == reflect.Uint8 {
		// An answer that is encoded already; only JSON can be shown.
		text := jsontext.Value(r.Bytes())
		if text.Kind() != '{' || !text.IsValid() {
			return ""
		}
		b = appendJSON(b, text, false)
	} else {
		b = appendValue(b, r, false, 0)
	}
	switch {
	case len(b) > mostMember:
		return fmt.Sprintf(`{"omitted":true,"originalSize":%d,"reasonForOmission":"the size of the member exceeds %d bytes"}`, len(b), mostMember)
	case string(b) == "{}" || string(b) == "null":
		return ""
	}
	return string(b)
}

var (
	rawType  = reflect.TypeFor[jsontext.Value]()
	rawType2 = reflect.TypeFor[json.RawMessage]()
	timeType = reflect.TypeFor[time.Time]()
	textType = reflect.TypeFor[encoding.TextMarshaler]()
	jsonType = reflect.TypeFor[json.Marshaler]()
	wireType = reflect.TypeFor[strict.MarshalerTo]()
)

// appendValue appends a value. conceal says that it is what a secret's name stands for.
func appendValue(b []byte, v reflect.Value, conceal bool, depth int) []byte {
	if depth > deepest {
		return append(b, "null"...)
	}
	switch v.Kind() {
	case reflect.String:
		return appendText(b, v.String(), conceal)
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return append(b, "null"...)
		}
		return appendValue(b, v.Elem(), conceal, depth+1)
	case reflect.Bool:
		return strconv.AppendBool(b, v.Bool())
	}
	t := v.Type()
	switch {
	case t == rawType || t == rawType2:
		return appendJSON(b, v.Bytes(), conceal)
	case t == timeType:
		return quoted(b, v.Interface().(time.Time).UTC().Format(time.RFC3339))
	case conceal && v.CanInterface() && (t.Implements(textType) || t.Implements(jsonType) || t.Implements(wireType)):
		return quoted(b, hidden)
	case v.CanInterface() && (t.Implements(jsonType) || t.Implements(wireType)):
		text, err := strict.Marshal(v.Interface())
		if err != nil {
			return append(b, "null"...)
		}
		return appendJSON(b, text, false)
	case t.Implements(textType) && v.CanInterface():
		text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			return append(b, "null"...)
		}
		return appendText(b, string(text), false)
	}
	switch v.Kind() {
	case reflect.Struct:
		return appendStruct(b, v, conceal, depth)
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 && v.Kind() == reflect.Slice {
			if conceal {
				return quoted(b, hidden)
			}
			return quoted(b, base64.StdEncoding.EncodeToString(v.Bytes()))
		}
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, v.Index(i), conceal, depth+1)
			if len(b) > 2*mostMember { // it is left out anyhow
				break
			}
		}
		return append(b, ']')
	case reflect.Map:
		b = append(b, '{')
		first := true
		for m := v.MapRange(); m.Next(); {
			if !first {
				b = append(b, ',')
			}
			first = false
			name := fmt.Sprint(m.Key())
			b = append(quoted(b, name), ':')
			b = appendValue(b, m.Value(), conceal || secret(name), depth+1)
		}
		return append(b, '}')
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if conceal {
			return quoted(b, hidden)
		}
		return strconv.AppendInt(b, v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if conceal {
			return quoted(b, hidden)
		}
		return strconv.AppendUint(b, v.Uint(), 10)
	case reflect.Float32, reflect.Float64:
		if conceal {
			return quoted(b, hidden)
		}
		text, err := strict.Marshal(v.Interface())
		if err != nil { // not a number
			return append(b, "null"...)
		}
		return append(b, text...)
	}
	return append(b, "null"...)
}

// appendStruct appends a struct without the members that are empty.
func appendStruct(b []byte, v reflect.Value, conceal bool, depth int) []byte {
	known, ok := fieldsOf.Load(v.Type())
	if !ok {
		known, _ = fieldsOf.LoadOrStore(v.Type(), structFields(v.Type()))
	}
	b = append(b, '{')
	begin := len(b)
	fields := known.([]field)
	for i := range fields {
		f := &fields[i]
		m, err := v.FieldByIndexErr(f.index)
		if err != nil || m.IsZero() || (m.Kind() == reflect.Slice || m.Kind() == reflect.Map) && m.Len() == 0 {
			continue
		}
		if len(b) > begin {
			b = append(b, ',')
		}
		b = append(b, f.name...)
		b = appendValue(b, m, conceal || f.hidden, depth+1)
	}
	return append(b, '}')
}

// structFields finds the members of a struct type that are shown.
func structFields(t reflect.Type) []field {
	var all []field
	for _, f := range reflect.VisibleFields(t) {
		if !f.IsExported() || f.Anonymous && f.Tag == "" && (f.Type.Kind() == reflect.Struct || f.Type.Kind() == reflect.Pointer) {
			continue // the members of an embedded struct are visible themselves
		}
		name := f.Name
		for _, key := range [...]string{"json", "query", "xml"} {
			tag, _, _ := strings.Cut(f.Tag.Get(key), ",")
			if tag, _, _ = strings.Cut(tag, "."); tag != "" && tag != "-" {
				name = tag
				break
			}
		}
		all = append(all, field{index: f.Index, name: string(append(quoted(nil, lower(name)), ':')), hidden: secret(name) || secret(f.Name) || sensitive(f)})
	}
	return all
}

// lower makes the first letter small: MaxResults is maxResults.
func lower(name string) string {
	r, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToLower(r)) + name[size:]
}

// appendText appends a string. One that is JSON itself is looked into.
func appendText(b []byte, s string, conceal bool) []byte {
	if conceal {
		if s == "" {
			return append(b, `""`...)
		}
		return quoted(b, hidden)
	}
	trimmed := strings.TrimLeft(s, " \t\r\n")
	if trimmed != "" && (trimmed[0] == '{' || trimmed[0] == '[') && suspicious(strings.ToLower(s)) {
		clean, ok := cleaned(jsontext.Value(s))
		if !ok {
			return quoted(b, hidden) // what can't be read may have any secret
		}
		return quoted(b, string(clean))
	}
	return quoted(b, s)
}

// appendJSON appends JSON that a client sent, without its secrets.
func appendJSON(b []byte, text jsontext.Value, conceal bool) []byte {
	switch {
	case len(text) == 0:
		return append(b, "null"...)
	case conceal:
		return quoted(b, hidden)
	case len(text) > mostMember:
		return fmt.Appendf(b, `{"omitted":true,"originalSize":%d}`, len(text))
	case !text.IsValid():
		return quoted(b, hidden)
	case !suspicious(strings.ToLower(string(text))):
		return append(b, text...)
	}
	clean, ok := cleaned(text)
	if !ok {
		return quoted(b, hidden)
	}
	return append(b, clean...)
}

// cleaned is JSON without the values of members whose names are of secrets.
func cleaned(text jsontext.Value) (jsontext.Value, bool) {
	var v any
	if err := strict.Unmarshal(text, &v); err != nil {
		return nil, false
	}
	out, err := strict.Marshal(clean(v, false), strict.Deterministic(true))
	return out, err == nil
}

func clean(v any, conceal bool) any {
	switch v := v.(type) {
	case map[string]any:
		for name, m := range v {
			v[name] = clean(m, conceal || secret(name))
		}
	case []any:
		for i := range v {
			v[i] = clean(v[i], conceal)
		}
	case string:
		if conceal && v != "" {
			return hidden
		}
	case float64:
		if conceal {
			return hidden
		}
	}
	return v
}

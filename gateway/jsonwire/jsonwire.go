// Package jsonwire is what AWS's JSON protocols have in common: strict JSON in,
// JSON out, and the one wire form of an error.
//
// It does not know where a request's parts stand (restjson, awsjson do).
package jsonwire

import (
	"bytes"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"souk/gateway/apierror"
)

// MaxDepth is how deep objects and arrays of a request may lie in each other.
const MaxDepth = 64

// MaxValues is how many values a request may have: objects, arrays, and what is in
// them. What is made of a body of many small ones takes a hundred times its bytes. The
// largest request that is documented, StartChangeSet, has 20 changes; each may have
// 10,000 values here, and the documents' longest lists have 200 entries (Catalog API
// Reference, "StartChangeSet", "Change").
const MaxValues = 200_000

// Code is the code of all that is wrong with the form of a request's body.
const Code = "SerializationException"

// Decode reads a request's body into a struct. No body is an empty object.
// Names are case-sensitive, unknown ones are ignored, a null leaves a member
// absent; a name given twice and bad UTF-8 are refused, since two readers could
// understand them differently.
func Decode(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if err := CheckBounds(body); err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return Malformed(err)
	}
	return nil
}

// CheckBounds refuses JSON that is nested deeper than MaxDepth, or has more than
// MaxValues values, before anything is made of it.
func CheckBounds(body []byte) error {
	depth, values, text := 0, 1, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == ',':
			values++
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return apierror.WithStatus(http.StatusBadRequest, Code, "The request body is nested deeper than %d levels.", MaxDepth)
			}
			values++ // the first that it has
		case c == '}' || c == ']':
			depth--
		}
		if values > MaxValues {
			return TooMany()
		}
	}
	return nil
}

// TooMany refuses a body of more than MaxValues values.
func TooMany() error {
	return apierror.WithStatus(http.StatusBadRequest, Code, "The request body has more than %d values.", MaxValues)
}

// Malformed says in AWS's words why a JSON text could not be read. It names
// the member, never a Go type.
func Malformed(err error) error {
	var known *apierror.Error
	if errors.As(err, &known) {
		return known
	}
	refuse := func(format string, args ...any) error {
		return apierror.WithStatus(http.StatusBadRequest, Code, format, args...)
	}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		if errors.Is(syntax.Err, jsontext.ErrDuplicateName) {
			return refuse("The member '%s' is given more than once.", pointer(syntax.JSONPointer))
		}
		return refuse("The request body is no valid JSON: %v at byte %d%s.", syntax.Err, syntax.ByteOffset, within(syntax.JSONPointer))
	}
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		if want := Wanted(semantic.GoType); want != "" && semantic.JSONKind != 0 {
			return Unfit(token(semantic.JSONKind), want, semantic.JSONPointer)
		}
		return refuse("The value%s can not be read.", within(semantic.JSONPointer))
	}
	return refuse("The request body can not be read.")
}

// Unfit refuses a value of another kind than that which its member has. token is
// the name of the value's kind in messages (STRING_VALUE), wanted that of the
// member's, as Wanted has it.
func Unfit(token, wanted string, at jsontext.Pointer) error {
	return apierror.WithStatus(http.StatusBadRequest, Code, "%s can not be converted to %s%s.", token, wanted, within(at))
}

func within(p jsontext.Pointer) string {
	if p == "" {
		return ""
	}
	return " at '" + pointer(p) + "'"
}

// pointer shows where a member stands, shortened: its names are the client's.
func pointer(p jsontext.Pointer) string {
	const most = 128
	s := string(p)
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}

// token is the name that AWS's messages use for a kind of JSON value.
func token(k jsontext.Kind) string {
	switch k {
	case '"':
		return "STRING_VALUE"
	case '0':
		return "NUMBER_VALUE"
	case 't':
		return "TRUE_VALUE"
	case 'f':
		return "FALSE_VALUE"
	case 'n':
		return "NULL_VALUE"
	case '[':
		return "START_ARRAY"
	default:
		return "START_OBJECT"
	}
}

// Wanted is the name of the kind of value that a member of a type has, in
// messages; "" where there is no word for it.
func Wanted(t reflect.Type) string {
	if t == nil {
		return ""
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return "a String"
	case reflect.Bool:
		return "a Boolean"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "an Integer"
	case reflect.Float32, reflect.Float64:
		return "a Float"
	case reflect.Slice, reflect.Array:
		return "a List"
	case reflect.Struct, reflect.Map:
		return "a Structure"
	}
	return ""
}

// Encoder writes answers. Its zero value is ready; it keeps buffers for the
// next answer, up to maxKept bytes each.
type Encoder struct {
	buffers sync.Pool // of *bytes.Buffer
}

const maxKept = 1 << 20

// outgoing is how answers are written: the same bytes for the same value, and
// never an error for a text that somebody else spoiled.
var outgoing = json.JoinOptions(json.Deterministic(true), jsontext.AllowInvalidUTF8(true))

// Encode writes a value as the body of a 200 answer. It writes nothing if it fails.
func (e *Encoder) Encode(w http.ResponseWriter, contentType []string, v any) error {
	return e.Marshal(v, func(text []byte) error {
		Send(w, http.StatusOK, contentType, text)
		return nil
	})
}

// Marshal hands the JSON of a value on. The text is good until use returns.
func (e *Encoder) Marshal(v any, use func(text []byte) error) error {
	b, _ := e.buffers.Get().(*bytes.Buffer)
	if b == nil {
		b = new(bytes.Buffer)
	}
	b.Reset()
	defer func() {
		if b.Cap() <= maxKept {
			e.buffers.Put(b)
		}
	}()
	if err := json.MarshalWrite(b, v, outgoing); err != nil {
		return err
	}
	return use(b.Bytes())
}

// Send writes a body that is encoded already. contentType is the header's
// value; it is shared between answers and must not change.
func Send(w http.ResponseWriter, status int, contentType []string, body []byte) {
	h := w.Header()
	h["Content-Type"] = contentType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	w.Write(body) // if the client has gone, nobody is left to be told
}

// Error writes an error in the form that every AWS client reads: the name in
// the header x-amzn-ErrorType and in the member __type, the text in Message.
func Error(w http.ResponseWriter, contentType []string, e *apierror.Error) {
	b := append(make([]byte, 0, 256), `{"__type":`...)
	b = appendText(b, e.Code)
	b = append(b, `,"Message":`...)
	b = appendText(b, e.Message)
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		v, err := json.Marshal(e.Fields[name], outgoing)
		if err != nil {
			continue // the code and the message matter more than a detail
		}
		b = append(b, ',')
		b = appendText(b, name)
		b = append(b, ':')
		b = append(b, v...)
	}
	b = append(b, '}')
	w.Header()["X-Amzn-Errortype"] = []string{e.Code}
	Send(w, e.Status, contentType, b)
}

func appendText(dst []byte, s string) []byte {
	out, err := jsontext.AppendQuote(dst, s)
	if err != nil {
		// Only bad UTF-8 fails, and then the rest is quoted all the same.
		out, _ = jsontext.AppendQuote(dst, strings.ToValidUTF8(s, "\uFFFD"))
	}
	return out
}

// IsJSON says whether a Content-Type names JSON in UTF-8. No Content-Type does too.
func IsJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, params, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	if media != "application/json" && !strings.HasPrefix(media, "application/x-amz-json-1.") {
		return false
	}
	params = strings.ToLower(strings.TrimSpace(params))
	charset, ok := strings.CutPrefix(params, "charset=")
	return !ok || strings.Trim(charset, `"`) == "utf-8" || strings.Trim(charset, `"`) == "utf8"
}

// WrongMediaType is the refusal of a body that is not in the protocol's format.
func WrongMediaType(contentType string) error {
	const most = 64
	if len(contentType) > most {
		contentType = contentType[:most] + "..."
	}
	return apierror.WithStatus(http.StatusUnsupportedMediaType, "UnsupportedMediaTypeException",
		"The content type '%s' is not supported.", strings.ToValidUTF8(contentType, "?"))
}

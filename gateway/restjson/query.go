package restjson

import (
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// isQueryKind says whether a member of the query string may have a type.
func isQueryKind(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64:
		return true
	}
	return false
}

// decodeQuery reads the members of the query string. Parameters that nobody
// knows (a presigned URL's among them) are ignored.
func (c *codec) decodeQuery(raw string, v reflect.Value) error {
	var given uint64 // a bit for each of the first 64 members that was given
	for rest := raw; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "&")
		key, value, _ := strings.Cut(part, "=")
		key, ok := unescape(key)
		if !ok {
			return serialization("The query string has a broken escape.")
		}
		for i, m := range c.query {
			if m.name != key {
				continue
			}
			text, ok := unescape(value)
			if !ok || !utf8.ValidString(text) {
				return serialization("The query parameter '%s' is no valid text.", m.name)
			}
			f := v.Field(m.field)
			if f.Kind() == reflect.Slice {
				e := reflect.New(f.Type().Elem()).Elem()
				if !set(e, text) {
					return mismatch(m.name, e)
				}
				f.Set(reflect.Append(f, e))
				break
			}
			if bit := uint64(1) << (i & 63); given&bit != 0 {
				return serialization("The query parameter '%s' is given more than once.", m.name)
			} else {
				given |= bit
			}
			if !set(f, text) {
				return mismatch(m.name, f)
			}
			break
		}
	}
	return nil
}

// unescape decodes a part of a query string; most need no decoding.
func unescape(s string) (string, bool) {
	if !strings.ContainsAny(s, "%+") {
		return s, true
	}
	out, err := url.QueryUnescape(s)
	return out, err == nil
}

// set puts a text into a member; false if it is no value of the member's type.
func set(f reflect.Value, text string) bool {
	switch f.Kind() {
	case reflect.Pointer:
		e := reflect.New(f.Type().Elem())
		if !set(e.Elem(), text) {
			return false
		}
		f.Set(e)
	case reflect.String:
		f.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return false
		}
		f.SetBool(text == "true")
	default:
		n, err := strconv.ParseInt(text, 10, f.Type().Bits())
		if err != nil {
			return false
		}
		f.SetInt(n)
	}
	return true
}

func mismatch(name string, f reflect.Value) error {
	t := f.Type()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	want := "an Integer"
	if t.Kind() == reflect.Bool {
		want = "a Boolean"
	}
	return serialization("STRING_VALUE can not be converted to %s at '%s'.", want, name)
}

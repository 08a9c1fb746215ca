// Package constraint checks the constraints that AWS documents for the members
// of an operation's input, and says what is wrong in AWS's words.
//
// Constraints stand in struct tags beside the member:
//
//	required:""             the member must be given
//	len:"1,64"              least and greatest length of a string, in characters
//	                        (of a []byte, in bytes); either side may be empty
//	pattern:"^[a-zA-Z]+$"   the regular expression that all of a string matches
//	enum:"A,B"              the values that a string may have
//	range:"1,20"            least and greatest value of a number
//	size:"1,8"              least and greatest count of a list or map
//	memberlen, memberpattern, memberenum
//	                        the same for each string of a list or map of strings
//	keylen, keypattern      the same for each key of a map
//	sensitive:""            the value is never shown in a message
//
// A nil pointer, list or map is absent, and so is a plain string, number or
// struct that has its zero value: constraints other than required hold for
// members that are there. Structs, lists and maps of structs are checked all
// the way down.
//
// It knows the form of members, not their meaning: whether an entity exists is
// no constraint.
package constraint

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Plan is the constraints of one struct type, ready to be checked. It is safe
// for concurrent use.
type Plan struct {
	fields []field
}

// field is what is to be checked of one member.
type field struct {
	index     int
	name      string // as it is shown: the wire's name with a small first letter
	required  bool
	sensitive bool
	text      text // of the string itself
	bytes     bool // text.len counts the bytes of a []byte
	number    *span
	size      *span
	member    text  // of each string of a list or map
	key       text  // of each key of a map
	nested    *Plan // of a struct, or of each struct of a list or map
}

// text is the constraints of a string.
type text struct {
	len     *span
	pattern *pattern
	enum    []string
}

func (t *text) empty() bool { return t.len == nil && t.pattern == nil && t.enum == nil }

// span is a range with optional ends.
type span struct {
	least, most       int64
	hasLeast, hasMost bool
}

// Compile reads the constraints of a struct type and of all that it holds. It
// fails where a tag can't be read or stands at a member of another kind.
func Compile(t reflect.Type) (*Plan, error) {
	return compile(t, map[reflect.Type]*Plan{})
}

// compile keeps the plans that were begun, so that a type may hold itself.
func compile(t reflect.Type, begun map[reflect.Type]*Plan) (*Plan, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("compiling constraints: %v is no struct", t)
	}
	if p := begun[t]; p != nil {
		return p, nil
	}
	p := new(Plan)
	begun[t] = p
	for i := range t.NumField() {
		sf := t.Field(i)
		if !sf.IsExported() {
			continue
		}
		f, err := compileField(sf, begun)
		if err != nil {
			return nil, fmt.Errorf("compiling constraints of %v.%s: %w", t, sf.Name, err)
		}
		f.index = i
		if f.required || !f.text.empty() || f.number != nil || f.size != nil || !f.member.empty() || !f.key.empty() || f.nested != nil {
			p.fields = append(p.fields, f)
		}
	}
	return p, nil
}

func compileField(sf reflect.StructField, begun map[reflect.Type]*Plan) (f field, err error) {
	f.name = shownName(sf)
	_, f.required = sf.Tag.Lookup("required")
	_, f.sensitive = sf.Tag.Lookup("sensitive")
	if f.text, err = compileText(sf.Tag, ""); err != nil {
		return f, err
	}
	if f.member, err = compileText(sf.Tag, "member"); err != nil {
		return f, err
	}
	if f.key, err = compileText(sf.Tag, "key"); err != nil {
		return f, err
	}
	if f.number, err = compileSpan(sf.Tag, "range"); err != nil {
		return f, err
	}
	if f.size, err = compileSpan(sf.Tag, "size"); err != nil {
		return f, err
	}

	t := sf.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var wantText, wantNumber, wantSize, wantMember bool
	switch t.Kind() {
	case reflect.String:
		wantText = true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Float32, reflect.Float64:
		wantNumber = true
	case reflect.Struct:
		f.nested, err = compile(t, begun)
	case reflect.Slice, reflect.Map:
		elem := t.Elem()
		if elem.Kind() == reflect.Pointer {
			elem = elem.Elem()
		}
		switch elem.Kind() {
		case reflect.Uint8: // opaque bytes, such as a JSON document
			f.bytes, wantText = true, f.text.pattern == nil && f.text.enum == nil
		case reflect.Struct:
			wantSize = true
			f.nested, err = compile(elem, begun)
		case reflect.String:
			wantSize, wantMember = true, true
		default:
			wantSize = true
		}
	}
	switch {
	case err != nil:
	case !f.text.empty() && !wantText:
		err = fmt.Errorf("len, pattern or enum stands at a %v", sf.Type)
	case f.number != nil && !wantNumber:
		err = fmt.Errorf("range stands at a %v", sf.Type)
	case f.size != nil && !wantSize:
		err = fmt.Errorf("size stands at a %v", sf.Type)
	case !f.member.empty() && !wantMember:
		err = fmt.Errorf("memberlen, memberpattern or memberenum stands at a %v", sf.Type)
	case !f.key.empty() && t.Kind() != reflect.Map:
		err = fmt.Errorf("keylen or keypattern stands at a %v", sf.Type)
	}
	return f, err
}

// shownName is the member's name in messages: AWS writes catalog for Catalog.
func shownName(sf reflect.StructField) string {
	name := sf.Name
	for _, key := range []string{"query", "json"} {
		if tag, _, _ := strings.Cut(sf.Tag.Get(key), ","); tag != "" && tag != "-" {
			name = tag
			break
		}
	}
	first, n := utf8.DecodeRuneInString(name)
	return string(unicode.ToLower(first)) + name[n:]
}

func compileText(tag reflect.StructTag, prefix string) (t text, err error) {
	if t.len, err = compileSpan(tag, prefix+"len"); err != nil {
		return t, err
	}
	if expr, ok := tag.Lookup(prefix + "pattern"); ok {
		if t.pattern, err = compilePattern(expr); err != nil {
			return t, err
		}
	}
	if values, ok := tag.Lookup(prefix + "enum"); ok {
		t.enum = strings.Split(values, ",")
	}
	return t, nil
}

func compileSpan(tag reflect.StructTag, key string) (*span, error) {
	v, ok := tag.Lookup(key)
	if !ok {
		return nil, nil
	}
	least, most, ok := strings.Cut(v, ",")
	if !ok {
		return nil, fmt.Errorf("tag %s:%q is not of the form least,most", key, v)
	}
	s := new(span)
	var err error
	if least != "" {
		s.hasLeast = true
		if s.least, err = strconv.ParseInt(least, 10, 64); err != nil {
			return nil, fmt.Errorf("tag %s:%q: %w", key, v, err)
		}
	}
	if most != "" {
		s.hasMost = true
		if s.most, err = strconv.ParseInt(most, 10, 64); err != nil {
			return nil, fmt.Errorf("tag %s:%q: %w", key, v, err)
		}
	}
	return s, nil
}

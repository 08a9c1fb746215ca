package awsquery

import (
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"souk/gateway/apierror"
)

// The largest form that is read. AWS's own requests have a few dozen parameters.
const (
	maxParameters = 1000
	maxDepth      = 16
)

// node is a parameter, or a part of a parameter's name that others share.
type node struct {
	value string
	given bool
	parts map[string]*node
}

// parseForm reads the query string and, if the body is a form, the body.
func parseForm(r *http.Request, body []byte) (*node, error) {
	root := new(node)
	count := 0
	if err := root.add(r.URL.RawQuery, &count); err != nil {
		return nil, err
	}
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if strings.EqualFold(strings.TrimSpace(media), "application/x-www-form-urlencoded") {
		if err := root.add(string(body), &count); err != nil {
			return nil, err
		}
	}
	return root, nil
}

func (n *node) add(raw string, count *int) error {
	for rest := raw; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "&")
		if part == "" {
			continue
		}
		if *count++; *count > maxParameters {
			return malformed("The request has more than %d parameters.", maxParameters)
		}
		key, value, _ := strings.Cut(part, "=")
		key, err1 := url.QueryUnescape(key)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil || !utf8.ValidString(key) || !utf8.ValidString(value) {
			return malformed("The query string has a parameter that is no valid text.")
		}
		at := n
		for i, name := range strings.Split(key, ".") {
			if i >= maxDepth {
				return malformed("The name of a parameter has more than %d parts.", maxDepth)
			}
			if at.parts == nil {
				at.parts = map[string]*node{}
			}
			next := at.parts[name]
			if next == nil {
				next = new(node)
				at.parts[name] = next
			}
			at = next
		}
		if at.given {
			return malformed("The parameter %s is given more than once.", cut(key))
		}
		at.value, at.given = value, true
	}
	return nil
}

// into puts what was given into a member; path is its name in messages.
func (n *node) into(v reflect.Value, path string) error {
	if n == nil {
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		e := reflect.New(v.Type().Elem())
		if err := n.into(e.Elem(), path); err != nil {
			return err
		}
		v.Set(e)
		return nil
	case reflect.Struct:
		if t, ok := v.Addr().Interface().(*time.Time); ok {
			return n.intoTime(t, path)
		}
		for i := range v.NumField() {
			sf := v.Type().Field(i)
			if !sf.IsExported() {
				continue
			}
			name := sf.Tag.Get("query")
			if name == "" {
				name = sf.Name
			}
			if err := n.parts[name].into(v.Field(i), join(path, name)); err != nil {
				return err
			}
		}
		return nil
	case reflect.Slice:
		return n.intoList(v, path)
	case reflect.Map:
		return n.intoMap(v, path)
	}
	if !n.given {
		return nil
	}
	return n.intoScalar(v, path)
}

func (n *node) intoScalar(v reflect.Value, path string) error {
	bad := func() error {
		return malformedInput("The value '%s' of %s is of another type.", cut(n.value), cut(path))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.value)
	case reflect.Bool:
		if n.value != "true" && n.value != "false" {
			return bad()
		}
		v.SetBool(n.value == "true")
	case reflect.Int, reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(n.value, 10, v.Type().Bits())
		if err != nil {
			return bad()
		}
		v.SetInt(i)
	case reflect.Float64:
		f, err := strconv.ParseFloat(n.value, 64)
		if err != nil {
			return bad()
		}
		v.SetFloat(f)
	default:
		return bad()
	}
	return nil
}

func (n *node) intoTime(t *time.Time, path string) error {
	if !n.given {
		return nil
	}
	parsed, err := time.Parse(time.RFC3339, n.value)
	if err != nil {
		return malformedInput("'%s' is no time, at %s.", cut(n.value), cut(path))
	}
	*t = parsed.UTC()
	return nil
}

// numbered returns the members of a list in the order of their numbers.
func (n *node) numbered(wrapper string) []*node {
	if inner := n.parts[wrapper]; inner != nil {
		n = inner
	}
	type item struct {
		number int
		node   *node
	}
	var items []item
	for name, part := range n.parts {
		if i, err := strconv.Atoi(name); err == nil && i > 0 {
			items = append(items, item{i, part})
		}
	}
	slices.SortFunc(items, func(a, b item) int { return a.number - b.number })
	out := make([]*node, len(items))
	for i, it := range items {
		out[i] = it.node
	}
	return out
}

func (n *node) intoList(v reflect.Value, path string) error {
	items := n.numbered("member")
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		if err := item.into(list.Index(i), join(path, strconv.Itoa(i+1))); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

func (n *node) intoMap(v reflect.Value, path string) error {
	m := reflect.MakeMap(v.Type())
	for _, item := range n.numbered("entry") {
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		if err := item.parts["key"].into(key, join(path, "key")); err != nil {
			return err
		}
		if err := item.parts["value"].into(value, join(path, "value")); err != nil {
			return err
		}
		m.SetMapIndex(key, value)
	}
	v.Set(m)
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// malformed refuses a form as such; the status is the one that AWS documents
// under "Common Errors".
func malformed(format string, args ...any) error {
	return apierror.WithStatus(http.StatusNotFound, "MalformedQueryString", format, args...)
}

// malformedInput refuses the value of a parameter.
func malformedInput(format string, args ...any) error {
	return apierror.WithStatus(http.StatusBadRequest, "MalformedInput", format, args...)
}

// cut shortens a text of the client.
func cut(s string) string {
	const most = 64
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

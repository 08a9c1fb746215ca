package jsonwire

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"souk/gateway/apierror"
)

type body struct {
	Catalog string         `json:"Catalog"`
	Max     *int           `json:"MaxResults"`
	List    []body         `json:"List"`
	Any     jsontext.Value `json:"Any"`
}

func TestBounds(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, tt := range []struct {
		name, json string
		ok         bool
	}{
		{"as deep as allowed", nested(MaxDepth), true},
		{"one deeper", nested(MaxDepth + 1), false},
		{"brackets in a text", `{"Catalog":"` + strings.Repeat("[{", 100) + `"}`, true},
		{"brackets after an escaped quote", `{"Catalog":"\"` + strings.Repeat("[", 100) + `"}`, true},
		{"brackets after a text that ends in a backslash", `{"Catalog":"\\","List":` + nested(MaxDepth) + `}`, false},
		{"many beside each other", "[" + strings.Repeat("[],", 1000) + "[]]", true},
		{"as many values as allowed", "[" + strings.Repeat("1,", MaxValues-2) + "1]", true},
		{"one value more", "[" + strings.Repeat("1,", MaxValues-1) + "1]", false},
		{"too many members", `{` + strings.Repeat(`"a":0,`, MaxValues) + `"b":0}`, false},
		{"too many in each other", "[" + strings.Repeat("[1],", MaxValues/2) + "1]", false},
		{"commas in a text", `{"Catalog":"` + strings.Repeat(",[", MaxValues) + `"}`, true},
	} {
		if err := CheckBounds([]byte(tt.json)); (err == nil) != tt.ok {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
}

func TestEmptyTextsAreToldFromAbsentOnes(t *testing.T) {
	t.Parallel()
	const text = ` {"Name":"","Null":null,"Full":"a","lower": "", "List":[{"Name":"a"},{"Name":""},""],"Map":{"k":{"Name":""},"e":""},"Number":0,"Object":{},"Other":{"Name":""}} `
	for field, want := range map[string]bool{
		"name": true, "lower": true, "list.2.member.name": true, "list.3.member": true, "map.k.member.name": true, "map.e.member": true, "other.name": true,
		"null": false, "full": false, "absent": false, "list.1.member.name": false, "list.0.member.name": false, "list.4.member.name": false, "list.x": false,
		"map.x.member": false, "number": false, "object": false, "name.deeper": false, "object.name": false,
	} {
		if got := Empty([]byte(text), field); got != want {
			t.Errorf("%s: %t, want %t", field, got, want)
		}
	}
	for _, body := range []string{"", "null", "[]", `"`, "{"} {
		if Empty([]byte(body), "name") {
			t.Errorf("%q has a name", body)
		}
	}
}

func TestErrorIsReadableWhateverItsText(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	Error(w, []string{"application/json"}, &apierror.Error{
		Code: "X", Status: 400, Message: "bad \xff and \"quotes\"",
		Fields: map[string]any{"Ok": []string{"\xfe"}, "NoJSON": func() {}},
	})
	want := "{\"__type\":\"X\",\"Message\":\"bad \uFFFD and \\\"quotes\\\"\",\"Ok\":[\"\uFFFD\"]}"
	if got := w.Body.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAnOwnErrorOfAMemberIsKept(t *testing.T) {
	t.Parallel()
	own := apierror.New("Own", "text")
	if got := Malformed(errors.Join(own)); got != error(own) {
		t.Errorf("got %v", got)
	}
}

func TestContentTypes(t *testing.T) {
	t.Parallel()
	for ct, want := range map[string]bool{
		"": true, "application/json": true, "Application/JSON; charset=UTF-8": true, `application/json;charset="utf-8"`: true,
		"application/x-amz-json-1.0": true, "application/x-amz-json-1.1": true,
		"text/plain": false, "application/json; charset=latin-1": false, "application/jsonx": false, ";": false,
	} {
		if got := IsJSON(ct); got != want {
			t.Errorf("%q: got %v", ct, got)
		}
	}
}

// FuzzDecode: whatever is sent is read or refused by name, and the depth is
// counted as the JSON library counts it.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"Catalog":"A","MaxResults":1,"List":[{"Any":{"a":[]}}]}`))
	f.Add([]byte(`{"Catalog":1,"Catalog":2}`))
	f.Add([]byte("{\"Catalog\":\"\xff\\ud800\"}"))
	f.Add([]byte(strings.Repeat("[", 100)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var in body
		err := Decode(b, &in)
		for _, field := range []string{"catalog", "list.1.member.catalog", "any.list.2"} {
			if Empty(b, field) && err == nil && field == "catalog" && in.Catalog != "" {
				t.Errorf("%q: %s is empty, and is %q", b, field, in.Catalog)
			}
		}
		if err == nil {
			return
		}
		var e *apierror.Error
		if !errors.As(err, &e) || e.Code != Code || e.Status != 400 || len(e.Message) > 500 {
			t.Errorf("%q: got %v", b, err)
		}
	})
}

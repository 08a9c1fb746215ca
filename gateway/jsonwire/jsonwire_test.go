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

func TestDepth(t *testing.T) {
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
	} {
		if err := CheckDepth([]byte(tt.json)); (err == nil) != tt.ok {
			t.Errorf("%s: got %v", tt.name, err)
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
		if err == nil {
			return
		}
		var e *apierror.Error
		if !errors.As(err, &e) || e.Code != Code || e.Status != 400 || len(e.Message) > 500 {
			t.Errorf("%q: got %v", b, err)
		}
	})
}

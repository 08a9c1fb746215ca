package restjson

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"souk/gateway"
	"souk/gateway/apierror"
)

type input struct {
	Catalog string   `query:"catalog"`
	Max     *int     `query:"maxResults"`
	Small   int32    `query:"small"`
	Verbose bool     `query:"verbose"`
	Keys    []string `query:"tagKeys"`
	Name    string   `json:"Name"`
}

func bind(t testing.TB) gateway.Codec {
	t.Helper()
	c, err := Protocol{}.Bind(nil, &gateway.Operation{Name: "X", Method: "POST", Path: "/X", Input: func() any { return new(input) }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDecode(t *testing.T) {
	t.Parallel()
	three := 3
	tests := []struct {
		name, query, body string
		want              input
	}{
		{"all kinds", "catalog=A%42&maxResults=3&small=-1&verbose=true&tagKeys=a&tagKeys=b+c", `{"Name":"n"}`,
			input{Catalog: "AB", Max: &three, Small: -1, Verbose: true, Keys: []string{"a", "b c"}, Name: "n"}},
		{"nothing", "", "", input{}},
		{"blank body", "", " \n", input{}},
		{"a query member in the body", "", `{"catalog":"A","Catalog":"B","Keys":["x"],"Name":"n"}`, input{Name: "n"}},
		{"another spelling", "Catalog=A", "", input{}},
		{"empty parts", "&&catalog=A&&", "", input{Catalog: "A"}},
		{"empty list member", "tagKeys=", "", input{Keys: []string{""}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got input
			if err := bind(t).Decode(httptest.NewRequest("POST", "/X?"+tt.query, nil), []byte(tt.body), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestQueryValuesOfAnotherType(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"maxResults=x":          "an Integer at 'maxResults'",
		"maxResults=":           "an Integer",
		"maxResults=1.0":        "an Integer",
		"small=2147483648":      "an Integer at 'small'",
		"verbose=1":             "a Boolean at 'verbose'",
		"catalog=A&catalog=A":   "more than once",
		"catalog=%f":            "no valid text",
		"%zz=1":                 "broken escape",
		"maxResults=1&catalog=": "",
	} {
		r := httptest.NewRequest("POST", "/X", nil)
		r.URL.RawQuery = query
		err := bind(t).Decode(r, nil, new(input))
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: got %v", query, err)
		case want != "" && (!apierror.Is(err, "SerializationException") || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: got %v, want %q", query, err, want)
		}
	}
}

// FuzzQuery compares with the standard library's reading of a query.
func FuzzQuery(f *testing.F) {
	f.Add("catalog=A&tagKeys=x&tagKeys=%20&more=1")
	f.Add("catalog=%ff&%zz")
	f.Add("=&&==&catalog==;")
	c := bind(f)
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("POST", "/X", nil)
		r.URL.RawQuery = query
		var in input
		if err := c.Decode(r, nil, &in); err != nil {
			if !apierror.Is(err, "SerializationException") {
				t.Errorf("got %v", err)
			}
			return
		}
		want, err := url.ParseQuery(query)
		if err != nil {
			return // a semicolon, or a parameter that is not ours
		}
		if in.Catalog != want.Get("catalog") {
			t.Errorf("catalog %q, want %q", in.Catalog, want.Get("catalog"))
		}
		if diff := cmp.Diff(want["tagKeys"], in.Keys); diff != "" {
			t.Errorf("tagKeys (-want +got)\n%s", diff)
		}
	})
}

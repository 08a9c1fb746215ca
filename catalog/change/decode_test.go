package change

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

type sample struct {
	Title    Optional[string]
	Services Optional[[]string]
	Nested   *struct {
		Ids    []string
		Params Optional[[]struct{ Key string }]
	}
}

func newSample() *sample { return new(sample) }

func TestUnknownMembersAreNamedAndIgnored(t *testing.T) {
	t.Parallel()
	for document, want := range map[string][]string{
		`{"Title":"x"}`:             nil,
		`{"Titel":"x","Title":"y"}`: {"/Titel"},
		`{"a/b":{"c":1},"Nested":{"Params":[{"Key":"k"},{"key":"k","Keys":["k"]}]},"z":[{}],"Title":"y"}`: {"/a~1b", "/Nested/Params/1/key", "/Nested/Params/1/Keys", "/z"},
	} {
		into, unknown, err := decode([]byte(document), newSample)
		if err != nil || !slices.Equal(unknown, want) || want != nil && into.Title.Value != "y" {
			t.Errorf("decode(%s) = %+v, %q, %v, want %q", document, into, unknown, err, want)
		}
	}
	_, unknown, err := decode([]byte(`{"Titel":"x","Title":1}`), newSample)
	if err == nil || !strings.Contains(err.Error(), "/Title is of the wrong type") || unknown != nil {
		t.Errorf("a wrong type beside an unknown member: %q, %v", unknown, err)
	}
	many := "{"
	for i := range 100 {
		many += fmt.Sprintf(`"m%d":%d,`, i, i)
	}
	if _, unknown, err := decode([]byte(many+`"Title":"x"}`), newSample); err != nil || len(unknown) != maxUnknown {
		t.Errorf("100 unknown members: %d named, %v", len(unknown), err)
	}
}

func TestDecodeRefusesWrongTypesWithTheirPath(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, document, want string }{
		{"string for an array", `{"Services":"EKS"}`, "JSON at /Services is of the wrong type: string can't be used for array"},
		{"object for an array", `{"Nested":{"Params":{}}}`, "JSON at /Nested/Params is of the wrong type: object can't be used for array"},
		{"number for a string", `{"Title":1}`, "JSON at /Title is of the wrong type: number can't be used for string"},
		{"number within an optional array", `{"Nested":{"Params":[{"Key":1}]}}`, "JSON at /Nested/Params/0/Key is of the wrong type"},
		{"null within an array", `{"Nested":{"Ids":["a",null]}}`, "JSON at /Nested/Ids/1 is of the wrong type: null"},
		{"null within an unknown array", `{"Else":[null]}`, "JSON at /Else/0 is of the wrong type: null"},
		{"not JSON", `{"Title":`, "Document not valid JSON format"},
		{"the same name twice", `{"Title":"a","Title":"b"}`, "Document not valid JSON format"},
		{"bad UTF-8", "{\"Title\":\"\xff\"}", "Document not valid JSON format"},
		{"array for the document", `[]`, "JSON at / is of the wrong type"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := decode([]byte(test.document), newSample)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("decode(%s) = %v, want %s", test.document, err, test.want)
			}
		})
	}
}

func TestOptionalTellsAbsentFromNullFromGiven(t *testing.T) {
	t.Parallel()
	read := func(document string) *sample {
		into, _, err := decode([]byte(document), newSample)
		if err != nil {
			t.Fatalf("decode(%s): %v", document, err)
		}
		return into
	}
	absent, null, given := read(`{}`), read(`{"Title":null}`), read(`{"Title":"x","Else":1}`)
	if absent.Title.Given || !null.Title.Given || !null.Title.Null || null.Title.Value != "" || given.Title != (Optional[string]{Given: true, Value: "x"}) {
		t.Errorf("absent %+v, null %+v, given %+v", absent.Title, null.Title, given.Title)
	}
	title := "before"
	absent.Title.Update(&title)
	if title != "before" {
		t.Errorf("an absent member changed the title to %q", title)
	}
	null.Title.Update(&title)
	if title != "" {
		t.Errorf("null left the title at %q", title)
	}
}

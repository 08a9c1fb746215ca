package change

import (
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
			err := decode([]byte(test.document), new(sample))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("decode(%s) = %v, want %s", test.document, err, test.want)
			}
		})
	}
}

func TestOptionalTellsAbsentFromNullFromGiven(t *testing.T) {
	t.Parallel()
	var absent, null, given sample
	for document, into := range map[string]*sample{`{}`: &absent, `{"Title":null}`: &null, `{"Title":"x","Else":1}`: &given} {
		if err := decode([]byte(document), into); err != nil {
			t.Fatalf("decode(%s): %v", document, err)
		}
	}
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

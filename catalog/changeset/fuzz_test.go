package changeset

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"souk/gateway/apierror"
)

func FuzzIdentifier(f *testing.F) {
	for _, s := range []string{"prod-1", "prod-1@2", "exp-example01@02", "$A.Entity.Identifier", "$A.Entity.Identifier@1", "$.Entity.Identifier", "a@", "@1", "a@b@1", "a@-1", "é", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := parseIdentifier(s)
		if !ok {
			return
		}
		back := id.id
		switch {
		case id.change != "":
			back = "$" + id.change + ".Entity.Identifier"
		case id.revision != "":
			back += "@" + id.revision
		}
		if back != s {
			t.Errorf("%q was read as %+v", s, id)
		}
		if (id.id == "") == (id.change == "") || strings.ContainsAny(id.id+id.change, "@$*/ ") {
			t.Errorf("%q was read as %+v", s, id)
		}
		id.at(7) // never panics
	})
}

// FuzzDetails gives details to Start's checks, as a string and as a document:
// they are refused with a ValidationException, or can be worked on and shown.
func FuzzDetails(f *testing.F) {
	m := idle(f, openSQLite(f), nil)
	for _, s := range []string{
		`{"Note":"n"}`, `{}`, `[]`, `null`, `{"Note":null}`, `{"Notes":[null]}`, `{"Note":"$New.Entity.Identifier"}`, `{"Note":"\u0024New.Entity.Identifier","Notes":["$New.Entity.Identifier","$"]}`,
		`{"$New.Entity.Identifier":1}`, `{"Note":1e400}`, `{"Note":"a","Note":"b"}`, `{"Note":"$X.Entity.Identifier"}`, strings.Repeat("[", 20000), "{\"Note\":\"\xff\"}", `{"a":{"b":[1,2,{"c":"$New.Entity.Identifier"}]}}`,
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, details string, asText bool) {
		c := Change{ChangeType: "AddNote", EntityType: "Thing@1.0", Identifier: "thing-1"}
		if asText {
			c.Details = &details
		} else {
			c.DetailsDocument = jsontext.Value(details)
		}
		r := &Request{Account: alice, Changes: []Change{c, {ChangeType: "CreateThing", EntityType: "Thing@1.0", ChangeName: "New", DetailsDocument: jsontext.Value(`{}`)}}}
		s, _, err := m.accept(r)
		if err != nil {
			if !apierror.Is(err, "ValidationException") {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		r.hash()
		w, err := s.write("0000000000000000000000000", 0)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeSet(w.Document)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.plan(again.Changes); err != nil {
			t.Errorf("accepted, and stored so that it is refused: %v", err)
		}
		if asText && string(again.Changes[0].details()) != details {
			t.Errorf("sent %q, shown %q", details, again.Changes[0].details())
		}
		if !jsontext.Value(again.Changes[0].details()).IsValid() {
			t.Errorf("shows %q", again.Changes[0].details())
		}
	})
}

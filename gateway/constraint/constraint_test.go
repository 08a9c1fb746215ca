package constraint

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
)

type entity struct {
	Type       string `json:"Type" required:"" len:"1,255" pattern:"^[a-zA-Z]+@[0-9.]+$"`
	Identifier string `json:"Identifier" len:"1,255" pattern:"^[\\w\\-@$.]+$"`
}

type changeItem struct {
	ChangeType string  `json:"ChangeType" required:"" len:"1,255" pattern:"^[A-Z][\\w]*$"`
	Entity     *entity `json:"Entity" required:""`
	Details    string  `json:"Details" len:"2,40" pattern:"^[\\s]*\\{[\\s\\S]*\\}[\\s]*$"`
	Document   []byte  `json:"DetailsDocument" len:",10"`
}

type tree struct {
	Name     string `json:"Name" len:"1,3"`
	Children []tree `json:"Children" size:",2"`
}

type startChangeSet struct {
	Catalog   string             `json:"Catalog" required:"" len:"1,64" pattern:"^[a-zA-Z]+$"`
	ChangeSet []changeItem       `json:"ChangeSet" required:"" size:"1,2"`
	Intent    *string            `json:"Intent" enum:"VALIDATE,APPLY"`
	Max       *int               `json:"MaxResults,omitzero" range:"1,20"`
	Rate      float64            `json:"Rate" range:",2"`
	EntityID  string             `query:"entityId" pattern:"^[\\w\\-]+$"`
	Values    []string           `json:"ValueList" size:"1,10" memberlen:"1,4" memberpattern:"^[a-z]+$"`
	Password  string             `json:"Password" sensitive:"" len:"8,"`
	Map       map[string]*entity `json:"Map" size:",1"`
	Tags      map[string]string  `json:"Tags" keylen:"1,5" keypattern:"^(^(?!aws:).[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$" memberlen:",3"`
	ARN       string             `json:"Arn" pattern:"^arn:aws(?:\\-cn|\\-iso\\-b|\\-iso|\\-us\\-gov)?:[A-Za-z0-9][A-Za-z0-9_/.-]{0,62}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9][A-Za-z0-9:_/+=,@.\\\\-]{0,1023}$"`
	Title     string             `json:"Title" len:",3"`
	Word      string             `json:"Word" pattern:"[a-z]+"`
	Tree      *tree              `json:"Tree"`
	Verbose   bool               `json:"Verbose" required:""`
	Options   map[string]string  `json:"Options" size:"1,3"`
}

func ptr[T any](v T) *T { return &v }

func right() *startChangeSet {
	return &startChangeSet{Catalog: "AWSMarketplace", ChangeSet: []changeItem{{ChangeType: "CreateProduct", Entity: &entity{Type: "ContainerProduct@1.0"}}}}
}

func TestMessages(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		edit func(*startChangeSet)
		want string // "" for a right input; else without "1 validation error detected: "
	}{
		{"nothing wrong", func(*startChangeSet) {}, ""},
		{"catalog with a digit", func(s *startChangeSet) { s.Catalog = "AWS1" }, "Value 'AWS1' at 'catalog' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z]+$"},
		{"no catalog", func(s *startChangeSet) { s.Catalog = "" }, "Value null at 'catalog' failed to satisfy constraint: Member must not be null"},
		{"catalog too long", func(s *startChangeSet) { s.Catalog = strings.Repeat("a", 65) }, "Value '" + strings.Repeat("a", 65) + "' at 'catalog' failed to satisfy constraint: Member must have length less than or equal to 64"},
		{"no changes", func(s *startChangeSet) { s.ChangeSet = []changeItem{} }, "Value '[]' at 'changeSet' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"change set null", func(s *startChangeSet) { s.ChangeSet = nil }, "Value null at 'changeSet' failed to satisfy constraint: Member must not be null"},
		{"too many changes", func(s *startChangeSet) { s.ChangeSet = append(s.ChangeSet, s.ChangeSet[0], s.ChangeSet[0]) }, "Value at 'changeSet' failed to satisfy constraint: Member must have length less than or equal to 2"},
		{"change without an entity", func(s *startChangeSet) { s.ChangeSet[0].Entity = nil }, "Value null at 'changeSet.1.member.entity' failed to satisfy constraint: Member must not be null"},
		{"type in the second change wrong", func(s *startChangeSet) {
			s.ChangeSet = append(s.ChangeSet, changeItem{ChangeType: "X", Entity: &entity{Type: "AmiProduct"}})
		}, "Value 'AmiProduct' at 'changeSet.2.member.entity.type' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z]+@[0-9.]+$"},
		{"details no object", func(s *startChangeSet) { s.ChangeSet[0].Details = "[1]" }, `Value '[1]' at 'changeSet.1.member.details' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[\s]*\{[\s\S]*\}[\s]*$`},
		{"details an object between blanks", func(s *startChangeSet) { s.ChangeSet[0].Details = " {} \n" }, ""},
		{"document too long", func(s *startChangeSet) { s.ChangeSet[0].Document = []byte(`{"a":"0123"}`) }, "Value at 'changeSet.1.member.detailsDocument' failed to satisfy constraint: Member must have length less than or equal to 10"},
		{"unknown intent", func(s *startChangeSet) { s.Intent = ptr("apply") }, "Value 'apply' at 'intent' failed to satisfy constraint: Member must satisfy enum value set: [VALIDATE, APPLY]"},
		{"known intent", func(s *startChangeSet) { s.Intent = ptr("APPLY") }, ""},
		{"empty intent given", func(s *startChangeSet) { s.Intent = ptr("") }, "Value '' at 'intent' failed to satisfy constraint: Member must satisfy enum value set: [VALIDATE, APPLY]"},
		{"zero results", func(s *startChangeSet) { s.Max = ptr(0) }, "Value '0' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"too many results", func(s *startChangeSet) { s.Max = ptr(21) }, "Value '21' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 20"},
		{"rate too high", func(s *startChangeSet) { s.Rate = 2.5 }, "Value '2.5' at 'rate' failed to satisfy constraint: Member must have value less than or equal to 2"},
		{"query member by its wire name", func(s *startChangeSet) { s.EntityID = "a/b" }, `Value 'a/b' at 'entityId' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[\w\-]+$`},
		{"string in a list wrong", func(s *startChangeSet) { s.Values = []string{"ok", "NO"} }, "Value 'NO' at 'valueList.2.member' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-z]+$"},
		{"secret too short", func(s *startChangeSet) { s.Password = "hunter2" }, "Value at 'password' failed to satisfy constraint: Member must have length greater than or equal to 8"},
		{"struct in a map wrong", func(s *startChangeSet) { s.Map = map[string]*entity{"k": {Type: "1"}} }, "Value '1' at 'map.k.member.type' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z]+@[0-9.]+$"},
		{"tag with a key of AWS", func(s *startChangeSet) { s.Tags = map[string]string{"aws:a": ""} }, `Value 'aws:a' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 5, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: ^(^(?!aws:).[\p{L}\p{Z}\p{N}_.:/=+\-@]*)$]`},
		{"tag with an empty key", func(s *startChangeSet) { s.Tags = map[string]string{"": ""} }, `Value '' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 5, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: ^(^(?!aws:).[\p{L}\p{Z}\p{N}_.:/=+\-@]*)$]`},
		{"no options", func(s *startChangeSet) { s.Options = map[string]string{} }, "Value '{}' at 'options' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"tag with a long value", func(s *startChangeSet) { s.Tags = map[string]string{"a": "long"} }, "Value 'long' at 'tags.a.member' failed to satisfy constraint: Member must have length less than or equal to 3"},
		{"tags as they should be", func(s *startChangeSet) { s.Tags = map[string]string{"aws": "", "~é 1": "abc"} }, ""},
		{"ARN with a long resource", func(s *startChangeSet) { s.ARN = "arn:aws:appstream:us-east-1::i" + strings.Repeat(`a`, 1023) }, ""},
		{"ARN with a resource of 1,025 characters", func(s *startChangeSet) { s.ARN = "arn:aws:x:::" + strings.Repeat("a", 1025) }, `Value 'arn:aws:x:::` + strings.Repeat("a", 116) + `...' at 'arn' failed to satisfy constraint: Member must satisfy regular expression pattern: ` + arnPattern},
		{"characters counted, not bytes", func(s *startChangeSet) { s.Title = "äöü" }, ""},
		{"pattern without anchors means the whole", func(s *startChangeSet) { s.Word = "a1" }, "Value 'a1' at 'word' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-z]+"},
		{"line end after the match", func(s *startChangeSet) { s.Catalog = "AWS\n" }, "Value 'AWS\n' at 'catalog' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z]+$"},
		{"deep in a type that holds itself", func(s *startChangeSet) { s.Tree = &tree{Children: []tree{{Children: []tree{{Name: "long"}}}}} }, "Value 'long' at 'tree.children.1.member.children.1.member.name' failed to satisfy constraint: Member must have length less than or equal to 3"},
		{"long value", func(s *startChangeSet) { s.EntityID = strings.Repeat("é", 1000) }, `Value '` + strings.Repeat("é", 64) + `...' at 'entityId' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[\w\-]+$`},
	}
	plan, err := Compile(reflect.TypeFor[startChangeSet]())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := right()
			tt.edit(in)
			want := tt.want
			if want != "" {
				want = "1 validation error detected: " + want
			}
			if got := plan.Check(in); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

// TestEmptyTexts: a required text without characters that was given is measured as any
// other is, and is no null.
func TestEmptyTexts(t *testing.T) {
	t.Parallel()
	type call struct {
		Name     string  `json:"Name" required:"" pattern:"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}$"`
		Type     string  `json:"Type" required:"" len:"1,9" enum:"A,B"`
		Any      string  `json:"Any" required:""`
		Password string  `json:"Password" required:"" sensitive:"" len:"8,"`
		Absent   string  `json:"Absent" required:"" len:"1,"`
		Pointer  *string `json:"Pointer" required:"" len:"1,"`
	}
	plan, err := Compile(reflect.TypeFor[call]())
	if err != nil {
		t.Fatal(err)
	}
	const failed = " failed to satisfy constraint: Member must "
	want := "7 validation errors detected: Value '' at 'name'" + failed + "satisfy regular expression pattern: ^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}$" +
		"; Value '' at 'type'" + failed + "have length greater than or equal to 1; Value '' at 'type'" + failed + "satisfy enum value set: [A, B]" +
		"; Value '' at 'any'" + failed + "have length greater than or equal to 1; Value at 'password'" + failed + "have length greater than or equal to 8" +
		"; Value null at 'absent'" + failed + "not be null; Value '' at 'pointer'" + failed + "have length greater than or equal to 1"
	got := Message(plan.Violations(&call{Pointer: ptr("")}, func(field string) bool { return field != "absent" }))
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestSeveralViolations(t *testing.T) {
	t.Parallel()
	plan, err := Compile(reflect.TypeFor[startChangeSet]())
	if err != nil {
		t.Fatal(err)
	}
	in := right()
	in.Catalog, in.Max = "A-1", ptr(0)
	want := "2 validation errors detected: Value 'A-1' at 'catalog' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z]+$; " +
		"Value '0' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 1"
	if got := plan.Check(in); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}

	in.Values = strings.Split(strings.Repeat("NO,", 100)+"NO", ",")
	if got := plan.Check(in); !strings.HasPrefix(got, "20 validation errors") || len(got) > 5000 {
		t.Errorf("got %d bytes: %.100s", len(got), got)
	}
}

func TestWrongTagsAreFoundWhenCompiled(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]any{
		"range at a string": struct {
			A string `range:"1,2"`
		}{},
		"len at a number": struct {
			A int `len:"1,2"`
		}{},
		"size at a string": struct {
			A string `size:"1,2"`
		}{},
		"one number": struct {
			A string `len:"12"`
		}{},
		"no number": struct {
			A string `len:"a,b"`
		}{},
		"pattern that is none": struct {
			A string `pattern:"("`
		}{},
		"look-ahead": struct {
			A string `pattern:"^(?!/).*$"`
		}{},
		"keylen at a list": struct {
			A []string `keylen:"1,2"`
		}{},
		"memberlen at a string": struct {
			A string `memberlen:"1,2"`
		}{},
		"deep below": struct {
			A []struct {
				B map[string]struct {
					C int `pattern:"x"`
				}
			}
		}{},
		"no struct": 1,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := Compile(reflect.TypeOf(v)); err == nil {
				t.Error("compiled without an error")
			}
		})
	}
}

// FuzzPattern compares the tables with the regular expressions that they replace.
func FuzzPattern(f *testing.F) {
	f.Add("AWSMarketplace")
	f.Add("prod-x@1\n")
	f.Add(" {a} ")
	f.Add("é\xff")
	for _, seed := range []string{
		"arn:aws:appstream:us-east-1:123456789012:image-builder/a", "arn:aws-cn:appstream:::image/a_b@c\\-", "arn:aws-x:a:::b", "arn:aws:_::: ", "arn:aws:a::::b", "arn:aws:a:::b:", "arn:aws:a:é::b", "aws:tag", "Aws: tag\n", "a:/=+-@é",
	} {
		f.Add(seed)
	}
	// Their equals in Go: a repetition in two parts, and a look at the beginning.
	arn := regexp.MustCompile(strings.Replace(arnPattern, `[A-Za-z0-9:_/+=,@.\\-]{0,1023}$`, `[A-Za-z0-9:_/+=,@.\\-]{0,1000}[A-Za-z0-9:_/+=,@.\\-]{0,23}$`, 1))
	key, aws := regexp.MustCompile(strings.Replace(tagKeyPattern, "(?!aws:)", "", 1)), regexp.MustCompile("^aws:")
	isKey, err := compilePattern(tagKeyPattern)
	if err != nil {
		f.Fatal(err)
	}
	var patterns []*pattern
	for _, text := range []string{`^[a-zA-Z]+$`, `^[\w\-]+$`, `^[\w\-@]*$`, `^[!-~]+$`, `[a-z]+`, detailsPattern} {
		p, err := compilePattern(text)
		if err != nil {
			f.Fatal(err)
		}
		if p.table == nil && p.match == nil {
			f.Fatalf("%s has no fast form", text)
		}
		patterns = append(patterns, p)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := isARN(s), arn.MatchString(s); got != want {
			t.Errorf("%q is an ARN: got %v, want %v", s, got, want)
		}
		if got, want := isKey.matches(s), key.MatchString(s) && !aws.MatchString(s); got != want {
			t.Errorf("%q is the key of a tag: got %v, want %v", s, got, want)
		}
		for _, p := range patterns {
			if got, want := p.matches(s), p.re.MatchString(s); got != want {
				t.Errorf("%s on %q: got %v, want %v", p.text, s, got, want)
			}
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	type describeEntity struct {
		Catalog  string `query:"catalog" required:"" len:"1,64" pattern:"^[a-zA-Z]+$"`
		EntityID string `query:"entityId" required:"" len:"1,255" pattern:"^[\\w\\-]+$"`
	}
	plan, err := Compile(reflect.TypeFor[describeEntity]())
	if err != nil {
		b.Fatal(err)
	}
	in := &describeEntity{"AWSMarketplace", "prod-abcdefghijklm"}
	b.ReportAllocs()
	for b.Loop() {
		if m := plan.Check(in); m != "" {
			b.Fatal(m)
		}
	}
}

package iam_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
	"souk/access/iam"
)

// statement is the wire form of what the generators make.
type statement struct {
	Effect      string
	Action      []string                       `json:",omitempty"`
	NotAction   []string                       `json:",omitempty"`
	Resource    []string                       `json:",omitempty"`
	NotResource []string                       `json:",omitempty"`
	Condition   map[string]map[string][]string `json:",omitempty"`
}

var (
	someActions   = rapid.SampledFrom([]string{"*", "a:*", "a:Get*", "a:Get?tem", "a:GetItem", "a:PutItem", "b:*", "b:GetItem"})
	someResources = rapid.SampledFrom([]string{"*", "arn:aws:a:::x", "arn:aws:a:::*", "arn:aws:a:*:1:x*", "arn:aws:a:::${aws:username}", "arn:aws:a:::${a:absent}"})
	someOperators = rapid.SampledFrom([]string{"StringEquals", "StringNotEquals", "StringLikeIfExists", "ForAnyValue:StringEquals",
		"ForAllValues:StringNotEquals", "StringNotEqualsIfExists"})
	someKeys   = rapid.SampledFrom([]string{"a:color", "a:size", "aws:username"})
	someValues = rapid.SampledFrom([]string{"red", "blue", "r*", "${aws:username}", "${a:absent}", "Richard"})
)

func someStatement() *rapid.Generator[statement] {
	return rapid.Custom(func(t *rapid.T) statement {
		s := statement{Effect: rapid.SampledFrom([]string{"Allow", "Deny"}).Draw(t, "effect")}
		actions := rapid.SliceOfN(someActions, 1, 3).Draw(t, "actions")
		if rapid.Bool().Draw(t, "not action") {
			s.NotAction = actions
		} else {
			s.Action = actions
		}
		resources := rapid.SliceOfN(someResources, 1, 3).Draw(t, "resources")
		if rapid.Bool().Draw(t, "not resource") {
			s.NotResource = resources
		} else {
			s.Resource = resources
		}
		if rapid.Bool().Draw(t, "condition") {
			s.Condition = map[string]map[string][]string{
				someOperators.Draw(t, "operator"): {someKeys.Draw(t, "key"): rapid.SliceOfN(someValues, 1, 3).Draw(t, "values")},
			}
		}
		return s
	})
}

func someQuestion() *rapid.Generator[iam.Question] {
	return rapid.Custom(func(t *rapid.T) iam.Question {
		q := iam.Question{
			Action:   rapid.SampledFrom([]string{"a:GetItem", "a:PutItem", "b:GetItem"}).Draw(t, "action"),
			Resource: rapid.SampledFrom([]string{"*", "arn:aws:a:::x", "arn:aws:a:::Richard", "arn:aws:a:eu:1:xy"}).Draw(t, "resource"),
			Context:  iam.Context{},
		}
		for _, key := range []string{"a:color", "a:size"} {
			if values := rapid.SliceOfN(rapid.SampledFrom([]string{"red", "blue", ""}), 0, 3).Draw(t, key); len(values) > 0 {
				q.Context[key] = values
			}
		}
		return q
	})
}

func policyOf(t *rapid.T, list ...statement) *iam.Policy {
	document, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": list})
	if err != nil {
		t.Fatal(err)
	}
	p, err := iam.ParsePolicy(document)
	if err != nil {
		t.Fatalf("parse %s: %v", document, err)
	}
	return p
}

func richard(policies ...*iam.Policy) *iam.Principal {
	p := user("123456789012", "Richard")
	p.Policies = policies
	return p
}

func TestOrderAndPartitionOfStatementsDoNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(someStatement(), 1, 6).Draw(t, "statements")
		q := someQuestion().Draw(t, "question")
		want := iam.Decide(richard(policyOf(t, list...)), q)
		seed := rapid.Uint64().Draw(t, "shuffle")
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		var apart []*iam.Policy
		for _, s := range list {
			apart = append(apart, policyOf(t, s))
		}
		if got := iam.Decide(richard(policyOf(t, list...)), q); got != want {
			t.Fatalf("shuffled: got %v, want %v", got, want)
		}
		if got := iam.Decide(richard(apart...), q); got != want {
			t.Fatalf("a policy per statement: got %v, want %v", got, want)
		}
	})
}

func TestOneMoreStatementNeverTurnsTheOtherWay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(someStatement(), 0, 5).Draw(t, "statements")
		more := someStatement().Draw(t, "more")
		q := someQuestion().Draw(t, "question")
		var before iam.Decision
		if len(list) > 0 {
			before = iam.Decide(richard(policyOf(t, list...)), q)
		}
		after := iam.Decide(richard(policyOf(t, append(list, more)...)), q)
		if more.Effect == "Allow" && (before.Allowed && !after.Allowed || before.Explicit != after.Explicit) {
			t.Fatalf("an Allow took away: %v, then %v", before, after)
		}
		if more.Effect == "Deny" && (!before.Allowed && after.Allowed || before.Explicit && !after.Explicit) {
			t.Fatalf("a Deny gave: %v, then %v", before, after)
		}
		if after.Allowed && after.Explicit {
			t.Fatal("allowed and explicitly denied at once")
		}
	})
}

func TestDenyOfEverythingLeavesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(someStatement(), 0, 5).Draw(t, "statements")
		list = append(list, statement{Effect: "Deny", Action: []string{"*"}, Resource: []string{"*"}})
		if d := iam.Decide(richard(policyOf(t, list...)), someQuestion().Draw(t, "question")); !d.Explicit {
			t.Fatalf("got %v", d)
		}
	})
}

// The matcher against regexp, on texts in which it has to backtrack.
func TestStringLikeIsTheRegularExpression(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.RuneFrom([]rune("ab:*?é")), 0, 12, -1).Draw(t, "pattern")
		value := rapid.StringOfN(rapid.RuneFrom([]rune("ab:é")), 0, 16, -1).Draw(t, "value")
		expression := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
		checkPattern(t, "StringLike", pattern, "^(?s:"+expression+")$", value)
	})
}

func TestARNPatternIsTheRegularExpressionOfItsParts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.StringOfN(rapid.RuneFrom([]rune("ab*?")), 0, 5, -1)
		word := rapid.StringOfN(rapid.RuneFrom([]rune("ab:")), 0, 6, -1)
		pattern := "arn:aws:s:" + piece.Draw(t, "region") + ":" + piece.Draw(t, "account") + ":" + piece.Draw(t, "resource")
		value := "arn:aws:s:" + word.Draw(t, "value") + ":" + word.Draw(t, "more") + ":" + word.Draw(t, "rest")
		parts := strings.SplitN(pattern, ":", 6)
		inside, last := strings.NewReplacer(`\*`, "[^:]*", `\?`, "[^:]"), strings.NewReplacer(`\*`, ".*", `\?`, ".")
		for i, p := range parts {
			if parts[i] = inside.Replace(regexp.QuoteMeta(p)); i == 5 {
				parts[i] = last.Replace(regexp.QuoteMeta(p))
			}
		}
		checkPattern(t, "ArnLike", pattern, "^(?s:"+strings.Join(parts, ":")+")$", value)

		// As a resource: a * at the end of its part may pass colons.
		for i, p := range strings.SplitN(pattern, ":", 6) {
			if i < 5 && strings.HasSuffix(p, "*") {
				parts[i] = strings.TrimSuffix(parts[i], "[^:]*") + ".*"
			}
		}
		policy := policyOf(t, statement{Effect: "Allow", Action: []string{"*"}, Resource: []string{pattern}})
		want := regexp.MustCompile("^(?s:" + strings.Join(parts, ":") + ")$").MatchString(value)
		if got := iam.Decide(richard(policy), iam.Question{Action: "a:b", Resource: value}).Allowed; got != want {
			t.Fatalf("resource %q, value %q: got %v, want %v", pattern, value, got, want)
		}
	})
}

func checkPattern(t *rapid.T, operator, pattern, expression, value string) {
	policy := policyOf(t, statement{Effect: "Allow", Action: []string{"*"}, Resource: []string{"*"},
		Condition: map[string]map[string][]string{operator: {"a:v": {pattern}}}})
	q := iam.Question{Action: "a:b", Resource: "*", Context: iam.Context{"a:v": {value}}}
	want := regexp.MustCompile(expression).MatchString(value)
	if got := iam.Decide(richard(policy), q).Allowed; got != want {
		t.Fatalf("%s %q, value %q: got %v, want %v", operator, pattern, value, got, want)
	}
}

func FuzzParsePolicy(f *testing.F) {
	files, _ := filepath.Glob("testdata/decisions/*.txt")
	for _, path := range files {
		document, _ := readDecisions(f, path)
		f.Add(document)
	}
	f.Add([]byte(`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${a:b, 'c'}"}]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		p, err := iam.ParsePolicy(document)
		if err != nil {
			if _, ok := err.(*iam.DocumentError); !ok {
				t.Fatalf("error of type %T", err)
			}
			return
		}
		if len(p.Statements) == 0 || len(p.Explain()) != len(p.Statements) {
			t.Fatalf("%d statements", len(p.Statements))
		}
		iam.Decide(richard(p), iam.Question{Action: "a:b", Resource: "*"})
	})
}

func FuzzDecide(f *testing.F) {
	f.Add("a:Get*", "arn:aws:a:::*", "StringLike", "r*d", "a:GetItem", "arn:aws:a:::x", "red")
	f.Add("*", "*", "IpAddress", "10.0.0.0/8", "a:GetItem", "*", "10.1.2.3")
	f.Add("*", "*", "ForAllValues:DateLessThan", "2026-01-01", "a:GetItem", "*", "1577836800")
	f.Add("*", "arn:aws:a:*b:?:c*", "ArnLike", "arn:aws:a:*:1:${aws:username}", "a:GetItem", "arn:aws:a::::c", "arn:aws:a:x:1:Richard")
	f.Fuzz(func(t *testing.T, action, resource, operator, value, asked, on, given string) {
		document, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []statement{
			{Effect: "Allow", Action: []string{action}, Resource: []string{resource}},
			{Effect: "Deny", Action: []string{"*"}, Resource: []string{"*"},
				Condition: map[string]map[string][]string{operator: {"a:v": {value}}}},
		}})
		if err != nil {
			return
		}
		p, err := iam.ParsePolicy(document)
		if err != nil {
			return
		}
		q := iam.Question{Action: asked, Resource: on, Context: iam.Context{"a:v": {given}}}
		d := iam.Decide(richard(p), q)
		if d.Allowed && d.Explicit {
			t.Fatal(fmt.Sprint("allowed and explicitly denied: ", string(document)))
		}
		if again := iam.Decide(richard(p, p), q); again != d {
			t.Fatalf("the policy twice: got %v, once %v", again, d)
		}
	})
}

package scenario

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"souk/catalog/changeset"
	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
)

func open(t *testing.T) store.Store {
	t.Helper()
	return sqlitetest.Open(t)
}

// direct asks as the engine does, and commits what it is given.
func direct(t *testing.T, s *Scenarios, set changeset.Starting) *changeset.Direction {
	t.Helper()
	d, writes, err := s.Direct(t.Context(), set)
	if err == nil && len(writes) > 0 {
		err = s.config.Store.Commit(t.Context(), store.Batch{Put: writes})
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func parsed(t *testing.T, text string) File {
	t.Helper()
	f, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const example = `
rules:
  - name: a scan that fails once
    match: {account: "111111111111", entityType: AmiProduct, changeType: AddDeliveryOptions, title: "Acme *"}
    times: 1
    fail: {code: SCAN_ERROR, message: "https://example.com/report.json"}
  - name: slow
    match: {changeSetName: "nightly*"}
    holdPreparing: 2s
    holdApplying: 1m
  - match: {action: DescribeChangeSet}
    times: 2
    throttle: true
  - match: {}
    delay: 1s
    drop: true
`

func TestTheFirstRuleThatFitsActsAsOftenAsItMay(t *testing.T) {
	t.Parallel()
	base := open(t)
	s := New(Config{Store: base})
	set := changeset.Starting{Account: "111111111111", Name: "nightly run", Changes: []changeset.StartingChange{
		{ChangeType: "UpdateInformation", EntityType: "AmiProduct", Title: "Acme query"},
		{ChangeType: "AddDeliveryOptions", EntityType: "AmiProduct", Title: "Acme query"},
	}}
	if d := direct(t, s, set); d != nil {
		t.Errorf("without rules: %+v", d)
	}
	if _, err := s.Apply(t.Context(), parsed(t, example), false); err != nil {
		t.Fatal(err)
	}
	if n, err := s.On(t.Context()); n != 4 || err != nil {
		t.Errorf("%d rules are on, %v", n, err)
	}
	d := direct(t, s, set)
	if d == nil || d.Refuse == nil || d.Refuse.ErrorCode != "SCAN_ERROR" || d.Change != 1 {
		t.Errorf("first: %+v", d)
	}
	other := New(Config{Store: base}) // another node
	d = direct(t, other, set)
	if d == nil || d.Refuse != nil || d.Rule != "slow" || d.Prepares != 2000 || d.Applies != 60000 {
		t.Errorf("then: %+v", d)
	}
	set.Name = "release"
	if d := direct(t, s, set); d != nil {
		t.Errorf("a set that no rule fits: %+v", d)
	}
	for i, want := range []Disturbance{{Throttle: true}, {Throttle: true}, {}} {
		got, err := s.Disturb(t.Context(), Call{Action: "DescribeChangeSet", Account: "2"})
		if err != nil || got != want {
			t.Errorf("call %d: %+v, %v, want %+v", i, got, err, want)
		}
	}
	got, err := s.Disturb(t.Context(), Call{Action: "StartChangeSet"})
	if err != nil || got != (Disturbance{Wait: time.Second, Drop: true}) {
		t.Errorf("a call that starts a set: %+v, %v", got, err)
	}
	state, err := s.State(t.Context())
	if err != nil || state.Used[0] != 1 || state.Used[1] != 1 || state.Used[2] != 2 || state.Used[3] != 1 || state.Rules[2].Name != "rule 3" {
		t.Errorf("state %+v, %v", state, err)
	}
	if err := s.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := s.On(t.Context()); n != 0 || err != nil {
		t.Errorf("%d rules are on, %v", n, err)
	}
	if d := direct(t, s, set); d != nil {
		t.Errorf("after the end: %+v", d)
	}
}

func TestRulesOnAServerThatOthersReach(t *testing.T) {
	t.Parallel()
	s := New(Config{Store: open(t), Exposed: true})
	f := parsed(t, example)
	if _, err := s.Apply(t.Context(), f, false); !errors.Is(err, ErrExposed) {
		t.Errorf("not forced: %v", err)
	}
	if _, err := s.Apply(t.Context(), f, true); err != nil {
		t.Errorf("forced: %v", err)
	}
	if state, err := s.State(t.Context()); err != nil || state == nil {
		t.Errorf("forced, and not in force: %v", err)
	}
	inside := New(Config{Store: s.config.Store})
	if _, err := inside.Apply(t.Context(), f, false); err != nil {
		t.Fatal(err)
	}
	if state, err := s.State(context.Background()); err != nil || state != nil {
		t.Errorf("rules that were applied inside are in force outside: %+v, %v", state, err)
	}
}

func TestScenariosThatCantBeUsed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"without rules":                      {"", "1 to 100 rules"},
		"that is no YAML":                    {"{", "reading a scenario"},
		"with an unknown field":              {"rules: [{match: {colour: red}, drop: true}]", "colour"},
		"with two documents":                 {"rules: [{drop: true}]\n---\nrules: []", "more than one document"},
		"with a rule that does nothing":      {"rules: [{name: idle}]", `"idle": it does nothing`},
		"with a rule for both":               {"rules: [{review: true, drop: true}]", "make two rules"},
		"with a failure and a fault":         {"rules: [{serverFault: true, fail: {code: A, message: b}}]", "one of fail and serverFault"},
		"with a code that is none":           {"rules: [{fail: {code: A-1, message: b}}]", "A-1"},
		"with a failure without a message":   {"rules: [{fail: {code: A}}]", "message"},
		"with a time that is none":           {"rules: [{delay: soon}]", "soon"},
		"with a delay that nobody waits for": {"rules: [{delay: 2m}]", "delayed"},
		"with a hold of days":                {"rules: [{holdPreparing: 100h}]", "held"},
		"with a hold of what fails":          {"rules: [{holdApplying: 1s, serverFault: true}]", "holdPreparing"},
		"with a negative count":              {"rules: [{drop: true, times: -1}]", "times"},
		"with a set of another action":       {"rules: [{review: true, match: {action: DescribeEntity}}]", "DescribeEntity"},
	} {
		_, err := Parse([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "x", true}, {"a", "a", true}, {"a", "A", false}, {"a*", "a", true}, {"*c", "abc", true}, {"a*c*", "abcbd", true},
		{"a?c", "abc", true}, {"a?c", "ac", false}, {"*", "", true}, {"a*b", "acbd", false}, {"*b*", "acbd", true}, {"[a]", "[a]", true}, {"ü?", "üß", true},
	} {
		if got := like(c.pattern, c.text); got != c.want {
			t.Errorf("like(%q, %q) = %t", c.pattern, c.text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte("rules: [{match: {title: '*'}, fail: {code: A, message: b}}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse(text)
		if err != nil {
			return
		}
		for i := range file.Rules {
			file.Rules[i].fits(call{action: startChangeSet, changes: []changeset.StartingChange{{Title: string(text)}}})
		}
	})
}

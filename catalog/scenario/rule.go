package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"go.yaml.in/yaml/v3"

	"souk/catalog/changeset"
)

// File is a scenario as people write it, in YAML:
//
//	rules:
//	  - name: a scan that fails once
//	    match: {changeType: AddDeliveryOptions, title: "Acme *"}
//	    times: 1
//	    fail: {code: SCAN_ERROR, message: "https://example.com/report.json"}
type File struct {
	Rules []Rule `yaml:"rules"`
}

// Rule acts on the calls and change sets that fit, the first Times of them.
// What it does is one of: hold, fail, fault and review of a change set; delay,
// throttle and drop of a call.
type Rule struct {
	Name  string `yaml:"name"`
	Match Match  `yaml:"match"`
	Times int    `yaml:"times"` // 0: always

	HoldPreparing Duration `yaml:"holdPreparing"` // PREPARING takes as much longer
	HoldApplying  Duration `yaml:"holdApplying"`  // APPLYING takes as much longer
	Fail          *Failure `yaml:"fail"`          // FAILED with this error
	ServerFault   bool     `yaml:"serverFault"`   // FAILED with SERVER_FAULT
	Review        bool     `yaml:"review"`        // PREPARING until it is released

	Delay    Duration `yaml:"delay"`    // the answer takes as much longer
	Throttle bool     `yaml:"throttle"` // ThrottlingException
	Drop     bool     `yaml:"drop"`     // done, but the connection is cut without an answer

	lines map[string]int // of its fields in the file, "" the rule itself; nil if it was not read from one
}

// Match says what fits: every field that is given. Texts may have * for any
// characters and ? for one.
type Match struct {
	Action        string `yaml:"action"` // of calls; StartChangeSet if none is given
	Account       string `yaml:"account"`
	ChangeSetName string `yaml:"changeSetName"`
	// Of one change of the set.
	EntityType string `yaml:"entityType"` // without version
	ChangeType string `yaml:"changeType"`
	Title      string `yaml:"title"` // that the change gives, or that its entity has
}

// Failure is an entry of an ErrorDetailList.
type Failure struct {
	Code    string `yaml:"code"`
	Message string `yaml:"message"`
}

// Duration is a time in Go's form: 90s, 2m30s. It travels as that text.
type Duration time.Duration

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is no time: write 90s, 2m or 1h", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes a duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// startChangeSet is the action that rules are about unless they name another.
const startChangeSet = "StartChangeSet"

// Bounds of a scenario.
const (
	maxFile  = 1 << 20 // bytes
	maxRules = 100
	maxHold  = 24 * time.Hour
	maxDelay = 40 * time.Second // calls are given up by the server later than that
)

// Parse reads a scenario. Its errors say which rule is wrong and how.
func Parse(text []byte) (File, error) {
	if len(text) > maxFile {
		return File{}, fmt.Errorf("reading a scenario: it is longer than %d bytes", maxFile)
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	var f File
	if err := dec.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return File{}, fmt.Errorf("reading a scenario: %w", err)
	}
	var more any
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return File{}, errors.New("reading a scenario: there is more than one document in it")
	}
	var root yaml.Node
	if yaml.Unmarshal(text, &root) == nil {
		f.locate(&root)
	}
	return f, f.check()
}

// locate notes on which lines the fields of the rules stand.
func (f *File) locate(root *yaml.Node) {
	if len(root.Content) == 0 {
		return
	}
	for i, name := range root.Content[0].Content {
		if i%2 == 1 || name.Value != "rules" {
			continue
		}
		for n, rule := range root.Content[0].Content[i+1].Content {
			if n < len(f.Rules) {
				f.Rules[n].lines = map[string]int{"": rule.Line}
				note(rule, f.Rules[n].lines)
			}
		}
	}
}

// note notes the lines of the fields of a mapping and of those within: no two
// of a rule that are checked have one name.
func note(mapping *yaml.Node, lines map[string]int) {
	if mapping.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		lines[mapping.Content[i].Value] = mapping.Content[i].Line
		note(mapping.Content[i+1], lines)
	}
}

var errorCode = regexp.MustCompile(`^[a-zA-Z_]{1,72}$`)

// check says which rule can't be used.
func (f *File) check() error {
	if len(f.Rules) == 0 || len(f.Rules) > maxRules {
		return fmt.Errorf("a scenario has 1 to %d rules, not %d", maxRules, len(f.Rules))
	}
	for i := range f.Rules {
		r := &f.Rules[i]
		if r.Name == "" {
			r.Name = fmt.Sprintf("rule %d", i+1)
		}
		if err := r.check(); err != nil {
			return fmt.Errorf("%s: %w", r.at(""), err)
		}
	}
	return nil
}

func (r *Rule) check() error {
	holds := r.HoldPreparing != 0 || r.HoldApplying != 0 || r.Review
	disturbs := r.Delay != 0 || r.Throttle || r.Drop
	switch {
	case r.directs() && disturbs:
		return errors.New("it acts on change sets and on calls: make two rules of it")
	case !r.directs() && !disturbs:
		return errors.New("it does nothing: give one of holdPreparing, holdApplying, review, fail, serverFault, delay, throttle, drop")
	case r.Fail != nil && r.ServerFault:
		return errors.New("give one of fail and serverFault")
	case r.HoldApplying != 0 && (r.Fail != nil || r.ServerFault):
		return errors.New("a set that fails is not APPLYING: give holdPreparing")
	case r.Fail != nil && !errorCode.MatchString(r.Fail.Code):
		return fmt.Errorf("the code %q of fail is none: letters and underscores, 72 at most", r.Fail.Code)
	case r.Fail != nil && (r.Fail.Message == "" || len(r.Fail.Message) > 2048):
		return errors.New("the message of fail has 1 to 2,048 characters")
	case r.Throttle && r.Drop:
		return errors.New("give one of throttle and drop: what is throttled is not done")
	case r.directs() && r.Match.Action != "" && r.Match.Action != startChangeSet:
		return fmt.Errorf("the action %q starts no change set: match %s or no action", r.Match.Action, startChangeSet)
	case r.Times < 0:
		return errors.New("times is 0 (always) or more")
	case holds && (r.HoldPreparing < 0 || r.HoldApplying < 0 || time.Duration(max(r.HoldPreparing, r.HoldApplying)) > maxHold):
		return fmt.Errorf("a set is held for up to %v", maxHold)
	case r.Delay < 0 || time.Duration(r.Delay) > maxDelay:
		return fmt.Errorf("a call is delayed for up to %v", maxDelay)
	}
	return nil
}

// directs says whether the rule acts on change sets, not on calls.
func (r *Rule) directs() bool {
	return r.HoldPreparing != 0 || r.HoldApplying != 0 || r.Review || r.Fail != nil || r.ServerFault
}

// call is what a rule is compared with.
type call struct {
	action, account, name string
	changes               []changeset.StartingChange
}

// fits says which change of a call the rule is about, -1 if none. A rule about
// no change in particular is about the first.
func (r *Rule) fits(c call) int {
	m := &r.Match
	action := m.Action
	if action == "" {
		action = startChangeSet
	}
	if !like(action, c.action) || !like(m.Account, c.account) || !like(m.ChangeSetName, c.name) {
		return -1
	}
	if m.EntityType == "" && m.ChangeType == "" && m.Title == "" {
		return 0
	}
	for i := range c.changes {
		e := &c.changes[i]
		if like(m.EntityType, e.EntityType) && like(m.ChangeType, e.ChangeType) && like(m.Title, e.Title) {
			return i
		}
	}
	return -1
}

// like says whether a text fits a pattern; none fits all.
func like(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	p, t := []rune(pattern), []rune(text)
	star, from := -1, 0 // the last star, and where what it stands for ends at least
	i, j := 0, 0
	for j < len(t) {
		switch {
		case i < len(p) && p[i] == '*':
			star, from = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == t[j]):
			i, j = i+1, j+1
		case star >= 0:
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

package change

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Refusal is one entry of an ErrorDetailList.
type Refusal struct {
	ErrorCode    string
	ErrorMessage string
}

// Checks collects what is wrong with a change, and what its probe found.
type Checks struct {
	Seller Seller // whose change set it is
	Entity Entity // the entity to be changed; Revision 0 if the set creates it
	World  World  // what Probe may ask; empty in Valid and Check
	// ChangeSet is the id of the set; "" in Valid.
	ChangeSet string

	refusals []Refusal
	found    map[string]string
	reasons  []error
}

// Refuse adds a refusal if cond holds. The message is a literal from the
// documentation; its holes ([x], (x), [x, y, z], and the x of "image x") are
// filled with args in turn, lists joined by commas. A test reads code and
// message from the source, so both stand at the call, outside of loops: collect
// the offenders first.
//
// A last argument of type Wrong fills no hole: it is explained (see Explain),
// because the documented text doesn't say which value is wrong.
func (c *Checks) Refuse(cond bool, code, message string, args ...any) {
	if !cond {
		return
	}
	if n := len(args); n > 0 {
		if wrong, ok := args[n-1].(Wrong); ok {
			args = args[:n-1]
			c.Explain(fmt.Errorf("%s: %s", code, wrong))
		}
	}
	c.refusals = append(c.refusals, Refusal{ErrorCode: code, ErrorMessage: fill(message, args)})
}

// Refusals returns what was refused, in the order of the calls.
func (c *Checks) Refusals() []Refusal { return c.refusals }

// Explain says why a change is refused, for the operator's log alone: what the
// documentation's message does not say, or what is no business of the seller.
func (c *Checks) Explain(reason error) { c.reasons = append(c.reasons, reason) }

// Reason returns what Explain was told, nil if nothing. Several reasons stand on one line.
func (c *Checks) Reason() error {
	if len(c.reasons) < 2 {
		return errors.Join(c.reasons...)
	}
	texts := make([]string, len(c.reasons))
	for i, reason := range c.reasons {
		texts[i] = reason.Error()
	}
	return errors.New(strings.Join(texts, "; "))
}

// Keep stores what a probe found for Apply, as Applying.Found.
func (c *Checks) Keep(name, value string) {
	if c.found == nil {
		c.found = map[string]string{}
	}
	c.found[name] = value
}

// ID returns an id for what the change makes if its set succeeds, so that what is
// written before then can name it. It is the same whenever the set is probed
// again: sets have random ids, and no two things of an entity one name. Keep it
// for Apply.
func (c *Checks) ID(name string) string {
	return NewIDs(c.ChangeSet+" "+c.Entity.ID+" "+name, time.Time{}).UUID()
}

// Found returns what was kept.
func (c *Checks) Found() map[string]string { return c.found }

// bareHole is the one hole that pages write without brackets.
var bareHole = regexp.MustCompile(`\bimage [xX]\b`)

// fill puts args into the holes of a documented message, brackets included. A
// hole without an argument stays as it is; a longer message is cut at the 2,048
// characters that ErrorMessage may have.
func fill(message string, args []any) string {
	var b strings.Builder
	for _, arg := range args {
		start := strings.IndexAny(message, "[({")
		end := 0
		if bare := bareHole.FindStringIndex(message); bare != nil && (start < 0 || bare[0] < start) {
			start = bare[1] - 1
		} else if start < 0 {
			break
		} else if end = strings.IndexAny(message[start:], "])}"); end < 0 {
			break
		}
		b.WriteString(message[:start])
		switch v := arg.(type) {
		case []string:
			b.WriteString(strings.Join(v, ", "))
		default:
			fmt.Fprint(&b, v)
		}
		message = message[start+end+1:]
	}
	b.WriteString(message)
	s := b.String()
	if len(s) > 2048 {
		s = strings.ToValidUTF8(s[:2045], "") + "..."
	}
	return s
}

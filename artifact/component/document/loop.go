package document

import (
	"fmt"
	"strconv"
	"strings"
)

// loop is a step's loop: numbers from start to end, or a list of texts.
// https://docs.aws.amazon.com/imagebuilder/latest/userguide/toe-looping-constructs.html
type loop struct {
	name                 string
	start, end, updateBy int
	each                 []*value // of a forEach with a list
	list                 *value   // of a forEach with a text that is a list
	delimiter            string
}

// delimiters of a forEach's list.
const delimiters = ".,;:\n\t -_"

func (c *checker) loop(v *value) *loop {
	l := &loop{delimiter: ","}
	c.members(v, "name", "for", "forEach")
	if v.kind != mapping {
		return l
	}
	if n := v.get("name"); n != nil {
		l.name, _ = c.name(v)
		if l.name == "loop" || l.name == "souk" {
			c.fault(n, "a loop can't have the name %s", l.name)
		}
	}
	numbers, texts := v.get("for"), v.get("forEach")
	switch {
	case (numbers == nil) == (texts == nil):
		c.fault(v, "must have one of for and forEach")
	case numbers != nil:
		if c.members(numbers, "start!", "end!", "updateBy!") {
			before := len(c.problems)
			l.start, l.end, l.updateBy = c.number(numbers.get("start")), c.number(numbers.get("end")), c.number(numbers.get("updateBy"))
			if len(c.problems) == before {
				c.steps(numbers, l)
			}
		}
	case texts.kind == list:
		l.each = c.items(texts, maxIterations)
		for _, item := range l.each {
			c.isText(item)
		}
	default:
		c.members(texts, "list!", "delimiter")
		if l.list = texts.get("list"); l.list != nil {
			c.isText(l.list)
		}
		if d := texts.get("delimiter"); d != nil && c.isText(d) {
			l.delimiter = d.text
			if len(d.text) != 1 || !strings.Contains(delimiters, d.text) {
				c.fault(d, "must be one of . , ; : - _, a space, a tab or a new line")
			}
		}
	}
	return l
}

// steps checks that a loop over numbers ends.
func (c *checker) steps(v *value, l *loop) {
	switch {
	case l.updateBy == 0:
		c.fault(v, "updateBy must not be 0")
	case l.updateBy > 0 && l.end < l.start || l.updateBy < 0 && l.end > l.start:
		c.fault(v, "from %d by %d the loop never comes to %d", l.start, l.updateBy, l.end)
	case (l.end-l.start)/l.updateBy >= maxIterations:
		c.fault(v, "the loop has %d iterations, and may have %d", (l.end-l.start)/l.updateBy+1, maxIterations)
	}
}

// texts calls f with all values that may have references.
func (l *loop) texts(f func(*value)) {
	for _, v := range l.each {
		f(v)
	}
	if l.list != nil {
		f(l.list)
	}
}

// values returns what the loop goes through.
func (l *loop) values(resolve func(*value) (string, error)) ([]string, error) {
	var all []string
	switch {
	case l.each != nil:
		for _, v := range l.each {
			text, err := resolve(v)
			if err != nil {
				return nil, err
			}
			all = append(all, text)
		}
	case l.list != nil:
		text, err := resolve(l.list)
		if err != nil {
			return nil, err
		}
		if text != "" {
			all = strings.Split(text, l.delimiter)
		}
	default:
		for n := l.start; l.updateBy > 0 && n <= l.end || l.updateBy < 0 && n >= l.end; n += l.updateBy {
			all = append(all, strconv.Itoa(n))
		}
	}
	if len(all) > maxIterations {
		return nil, fmt.Errorf("the loop has %d iterations, and may have %d", len(all), maxIterations)
	}
	return all, nil
}

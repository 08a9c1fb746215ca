// Package examples holds every request, answer, policy and document that the
// AWS documentation pages show as an example, as data: word for word, and where
// a page is broken (line wraps inside of strings, lost brackets, misplaced
// quotation marks) in a mended form beside it.
//
// It says what the pages show and nothing about what Souk does with it; the
// conformance tests do that. The folders are numbered as the column "source" of
// spec/errors.tsv is: 001 is the Catalog API Reference, 002 the page on
// container products, 003 the page on using the API.
package examples

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"
)

//go:embed index.json 001 002 003
var files embed.FS

// Kind says what an example is.
type Kind string

// The kinds of examples.
const (
	Request  Kind = "request"  // an HTTP request: its line, its headers, its body
	Response Kind = "response" // the body of an answer
	Policy   Kind = "policy"   // an IAM policy
	Document Kind = "document" // a part of a request, or a record
	Syntax   Kind = "syntax"   // the members of a request or an answer, with their types as values
	Script   Kind = "script"   // shell commands and their output
)

// Example is one example of a page.
type Example struct {
	Name    string // folder, line of the page and what it is, such as 002/0338-add-repositories
	Page    string // title of the page
	Section string // title of the section
	Line    int    // of the page's text
	Kind    Kind
	Action  string // such as StartChangeSet; "" if it belongs to none
	Entity  string // entity type without version that it is about; "" if to none
	Later   string // what must be offered before Souk can answer the example; "" if it can now
	Mended  bool   // the page is broken there and a mended form exists
	Note    string // what is broken, or what else a reader should know

	verbatim, mended string
}

// All returns the examples in the order of their pages.
func All() ([]Example, error) {
	index, err := files.ReadFile("index.json")
	if err != nil {
		return nil, fmt.Errorf("reading the index of examples: %w", err)
	}
	var all []Example
	err = json.Unmarshal(index, &all)
	if err != nil {
		return nil, fmt.Errorf("reading the index of examples: %w", err)
	}
	for i := range all {
		e := &all[i]
		b, err := files.ReadFile(e.Name + ".txt")
		if err != nil {
			return nil, fmt.Errorf("reading example %s: %w", e.Name, err)
		}
		e.verbatim = string(b)
		if e.Mended {
			b, err = files.ReadFile(e.Name + ".mended.txt")
			if err != nil {
				return nil, fmt.Errorf("reading the mended form of example %s: %w", e.Name, err)
			}
			e.mended = string(b)
		}
	}
	return all, nil
}

// Verbatim returns the text as the page has it.
func (e Example) Verbatim() string { return e.verbatim }

// Text returns the text in the form that works: the mended one where there is one.
func (e Example) Text() string {
	if e.Mended {
		return e.mended
	}
	return e.verbatim
}

// HTTP is a parsed request example.
type HTTP struct {
	Method string
	Target string // path and query
	Body   string // "" if the request has none
}

// Parse reads the text of a request: its line, then headers, then, behind an
// empty line or from the first brace on, the body.
func Parse(text string) (HTTP, error) {
	line, rest, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 2 || !strings.HasPrefix(fields[1], "/") {
		return HTTP{}, fmt.Errorf("reading a request: its first line is %q", line)
	}
	h := HTTP{Method: fields[0], Target: fields[1]}
	if start := strings.Index(rest, "{"); start >= 0 {
		h.Body = strings.TrimSpace(rest[start:])
	}
	return h, nil
}

package conformance

import (
	"cmp"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// This file is what AppStream's model says of exceptions, and the table of
// docs/divergences.md of those that have no cause here: the rows are compared with both.

const (
	appstreamFacts  = "../spec/appstream.tsv"
	divergencesFile = "../docs/divergences.md"
)

// offeredRows reads the operations of the model that are offered, and the
// exceptions that are bound to each.
func offeredRows(t *testing.T) (offered map[string]bool, bound map[string][]string) {
	t.Helper()
	text, err := os.ReadFile(appstreamFacts)
	must(t, err)
	offered, bound = map[string]bool{}, map[string][]string{}
	for line := range strings.Lines(string(text)) {
		c := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		switch {
		case c[0] == "operation" && c[2] == "input":
			offered[c[1]] = true
		case c[0] == "exception":
			bound[c[1]] = append(bound[c[1]], c[2])
		}
	}
	return offered, bound
}

// boundExceptions are those of the model, and those of every service.
func boundExceptions(t *testing.T) map[string][]string {
	t.Helper()
	_, bound := offeredRows(t)
	for operation := range bound {
		bound[operation] = append(bound[operation], "AccessDeniedException", "SerializationException", "ThrottlingException", "ValidationException")
	}
	return bound
}

// without reads the table of docs/divergences.md of what has no cause here: why, by
// what it is of and its name.
func without(t *testing.T) map[[2]string]string {
	t.Helper()
	text, err := os.ReadFile(divergencesFile)
	must(t, err)
	_, table, found := strings.Cut(string(text), "\n### AppStream: exceptions and states without a cause\n")
	table, _, _ = strings.Cut(table, "\n#")
	if !found {
		t.Fatal("docs/divergences.md has no table of what has no cause")
	}
	all := map[[2]string]string{}
	for line := range strings.Lines(table) {
		c := strings.Split(line, "|")
		if len(c) != 5 || strings.HasPrefix(c[1], "-") || strings.TrimSpace(c[1]) == "Of" {
			continue
		}
		why := strings.TrimSpace(c[3])
		for name := range strings.SplitSeq(c[2], ",") {
			k := [2]string{strings.TrimSpace(c[1]), strings.Trim(name, " `")}
			if all[k] != "" || why == "" {
				t.Errorf("%v stands twice in the table, or without why", k)
			}
			all[k] = why
		}
	}
	return all
}

// byName sorts what is of something by both.
func byName(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) }

// TestExceptionsOfAppStreamAreReachedOrNamed: every exception that the model binds
// to an operation that is offered is a row, or stands in docs/divergences.md with
// why it can't be; and nothing else does.
func TestExceptionsOfAppStreamAreReachedOrNamed(t *testing.T) {
	t.Parallel()
	offered, bound := offeredRows(t)
	model, reached, named := map[[2]string]bool{}, map[[2]string]bool{}, map[[2]string]bool{}
	for operation := range offered {
		for _, e := range bound[operation] {
			model[[2]string{operation, e}] = true
		}
	}
	for _, r := range exceptionRows() {
		k := [2]string{r.operation, r.exception}
		if reached[k] {
			t.Errorf("%v has two rows", k)
		}
		if reached[k] = true; !model[k] && r.operation != openSession {
			t.Errorf("%v has a row, and is not bound", k)
		}
	}
	for k := range without(t) {
		if !strings.Contains(k[0], ".") {
			named[k] = true
		}
	}
	for k := range named {
		if !model[k] {
			t.Errorf("docs/divergences.md names %v, which is not bound", k)
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(model), byName) {
		switch {
		case reached[k] && named[k]:
			t.Errorf("%v is reached, and docs/divergences.md says that it can't be", k)
		case !reached[k] && !named[k]:
			t.Errorf("%v is reached by no row, and docs/divergences.md does not say why", k)
		}
	}
	if len(offered) != 22 {
		t.Errorf("%d operations are offered, not 22", len(offered))
	}
}

// Package spec is the documentation's tables as data: which error codes and
// texts a change type has, with their source, and the samples that provoke them.
//
// It is what tests compare Souk with, so nothing in it is taken from Souk's own
// code, and nothing that serves requests reads it.
package spec

import (
	_ "embed"
	"fmt"
	"strings"
)

// Row is an error of a change type.
type Row struct {
	Source     string // the page: 001, 002, ... in errors.tsv; a page's name in today.tsv
	Entity     string // such as ContainerProduct
	ChangeType string
	Code       string // "422": refused at once by StartChangeSet
	Message    string // with its holes: [x], (x), {x}
	Status     string // live, mended (a slip of the page, see Note), superseded (by a later page), today
	Note       string
}

// Statuses of a Row that bind: a rule states each of them, word for word.
const (
	Live   = "live"
	Mended = "mended"
	Today  = "today"
)

//go:embed errors.tsv
var errorsTable string

//go:embed today.tsv
var todayTable string

//go:embed later.tsv
var laterTable string

// Table is all rows of errors.tsv and today.tsv.
type Table struct {
	Rows  []Row
	later []Row
}

// Load reads the tables that are compiled in.
func Load() (*Table, error) {
	rows, err := parse(errorsTable)
	if err != nil {
		return nil, fmt.Errorf("reading errors.tsv: %w", err)
	}
	today, err := parse(todayTable)
	if err != nil {
		return nil, fmt.Errorf("reading today.tsv: %w", err)
	}
	later, err := parse(laterTable)
	if err != nil {
		return nil, fmt.Errorf("reading later.tsv: %w", err)
	}
	return &Table{Rows: append(rows, today...), later: later}, nil
}

// Binding returns the rows that the rules of a change type have to state, in
// the tables' order: live, mended and today's, without those whose cause Souk
// does not offer yet (later.tsv).
func (t *Table) Binding(entity, changeType string) []Row {
	var rows []Row
	for _, row := range t.Rows {
		if row.Entity != entity || row.ChangeType != changeType || t.isLater(row) {
			continue
		}
		if row.Status == Live || row.Status == Mended || row.Status == Today {
			rows = append(rows, row)
		}
	}
	return rows
}

// Later returns the rows of later.tsv; Note is the reason.
func (t *Table) Later() []Row { return t.later }

func (t *Table) isLater(row Row) bool {
	for _, later := range t.later {
		if later.Entity == row.Entity && later.ChangeType == row.ChangeType && later.Code == row.Code && later.Message == row.Message {
			return true
		}
	}
	return false
}

// parse reads a table of tab-separated values whose first line names the columns.
func parse(table string) ([]Row, error) {
	const columns = 7
	var rows []Row
	for n, line := range strings.Split(strings.TrimRight(table, "\n"), "\n") {
		fields := strings.Split(line, "\t")
		if len(fields) != columns {
			return nil, fmt.Errorf("line %d has %d columns, not %d: %q", n+1, len(fields), columns, line)
		}
		if n == 0 {
			continue
		}
		rows = append(rows, Row{Source: fields[0], Entity: fields[1], ChangeType: fields[2], Code: fields[3], Message: fields[4], Status: fields[5], Note: fields[6]})
	}
	return rows, nil
}

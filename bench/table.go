package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// table collects the rows of one run.
type table struct {
	rows []row
}

// row is one measurement: its value, what it is compared with, and what the
// comparison should come to.
type row struct {
	name  string
	value float64
	unit  string
	note  string

	floor  string  // the row that it is compared with; "" for none
	ratio  float64 // value / the floor's value
	target string  // ">= 0.60", "" where there is none
	missed bool
	absent bool // it could not be measured; the note says why
}

// add appends a measurement.
func (t *table) add(name string, value float64, unit, note string) {
	t.rows = append(t.rows, row{name: name, value: value, unit: unit, note: note})
}

// absent says why a measurement was not made.
func (t *table) absent(name, why string) {
	t.rows = append(t.rows, row{name: name, note: why, absent: true})
}

// place keeps a row for a measurement that is made while others are. It
// returns the row's number.
func (t *table) place(name string) int {
	t.rows = append(t.rows, row{name: name})
	return t.last()
}

// fill writes a row.
func (t *table) fill(n int, value float64, unit, note string) {
	r := &t.rows[n]
	r.value, r.unit, r.note = value, unit, note
}

// last is the number of the last row.
func (t *table) last() int { return len(t.rows) - 1 }

// value is the measurement of a row; 0 if it was not made.
func (t *table) value(name string) float64 {
	for _, r := range t.rows {
		if r.name == name {
			return r.value
		}
	}
	return 0
}

// least compares the last row with a floor: value/floor is to be at least the
// target (0: no target).
func (t *table) least(floor string, target float64) { t.leastOf(t.last(), floor, target) }

// leastOf is least for any row.
func (t *table) leastOf(n int, floor string, target float64) {
	r := &t.rows[n]
	base := t.value(floor)
	if base == 0 {
		return
	}
	r.floor, r.ratio = floor, r.value/base
	if target > 0 {
		r.target = fmt.Sprintf(">= %.2f", target)
		r.missed = r.ratio < target
	}
}

// most demands that the last row's value is at most the limit, itself or, with
// a floor, as a ratio to it.
func (t *table) most(floor string, limit float64) {
	r := &t.rows[t.last()]
	compared := r.value
	if floor != "" {
		base := t.value(floor)
		if base == 0 {
			return
		}
		r.floor, r.ratio = floor, r.value/base
		compared = r.ratio
	}
	r.target = fmt.Sprintf("<= %g", limit)
	r.missed = compared > limit
}

// print writes the table; it returns how many targets were missed.
func (t *table) print(out io.Writer) int {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "measured\tvalue\tunit\tratio\tof\ttarget\t\tnote")
	missed := 0
	for _, r := range t.rows {
		ratio, verdict := "", ""
		if r.floor != "" {
			ratio = fmt.Sprintf("%.2f", r.ratio)
		}
		if r.target != "" {
			verdict = "ok"
			if r.missed {
				verdict = "MISSED"
				missed++
			}
		}
		value := fmt.Sprintf("%.1f", r.value)
		if r.value >= 1000 {
			value = fmt.Sprintf("%.0f", r.value)
		}
		if r.absent {
			value = "-"
		}
		fmt.Fprintln(w, strings.Join([]string{r.name, value, r.unit, ratio, r.floor, r.target, verdict, r.note}, "\t"))
	}
	w.Flush()
	return missed
}

// Package instancetype is a table of the instance types that an AppStream image
// builder may have: what a machine of a type has of processors and memory. It is
// data with a date (types.tsv); it makes no machine, and has no prices.
package instancetype

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Type is an instance type.
type Type struct {
	Name   string // such as stream.standard.medium
	Family string // standard, compute, memory, memory.z1d, graphics.g4dn...
	CPU    int    // thousandths of a processor; 0 if nothing is known of a type that can't be had
	Memory int64  // bytes; 0 likewise
	// Graphics: the type has a graphics processor. No machine here has one, so
	// none can be made of it.
	Graphics bool
}

//go:embed types.tsv
var table string

// load reads the table at its first use.
var load = sync.OnceValue(func() map[string]Type {
	types, err := parse(table)
	if err != nil {
		panic("artifact/appstream/instancetype: types.tsv: " + err.Error()) // it is part of the program, and tested
	}
	return types
})

// Lookup finds a type by its name, and says whether there is one.
//
// AppStream 2.0 API Reference, "CreateImageBuilder", InstanceType.
func Lookup(name string) (Type, bool) {
	t, ok := load()[name]
	return t, ok
}

// prefix begins the name of every type.
const prefix = "stream."

// parse reads a table.
func parse(text string) (map[string]Type, error) {
	types := map[string]Type{}
	for i, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		t, err := row(strings.Split(line, "\t"))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if _, twice := types[t.Name]; twice {
			return nil, fmt.Errorf("line %d: %s stands there twice", i+1, t.Name)
		}
		types[t.Name] = t
	}
	return types, nil
}

// row reads the columns of a line.
func row(columns []string) (Type, error) {
	if len(columns) != 5 {
		return Type{}, fmt.Errorf("%d columns, not 5", len(columns))
	}
	name, graphics := columns[0], columns[4] == "gpu"
	rest, ok := strings.CutPrefix(name, prefix)
	dot := strings.LastIndexByte(rest, '.')
	if !ok || dot < 1 || !graphics && columns[4] != "-" {
		return Type{}, fmt.Errorf("%q, %q is no instance type", name, columns[4])
	}
	t := Type{Name: name, Family: rest[:dot], Graphics: graphics}
	if columns[1] == "-" && columns[2] == "-" && graphics {
		return t, nil
	}
	cpus, err := strconv.Atoi(columns[1])
	if err != nil || cpus < 1 {
		return Type{}, fmt.Errorf("%s: %q is no number of processors", name, columns[1])
	}
	mib, err := strconv.ParseInt(columns[2], 10, 64)
	if err != nil || mib < 1 {
		return Type{}, fmt.Errorf("%s: %q is no size of memory", name, columns[2])
	}
	t.CPU, t.Memory = cpus*1000, mib<<20
	return t, nil
}

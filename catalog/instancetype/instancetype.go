// Package instancetype is a table of the instance types of Amazon EC2: what
// images they can run, and how large they are. It is data with a date
// (types.tsv), not a statement about what any region offers, and it has no
// prices.
package instancetype

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Type is an instance type.
//
// Amazon EC2 API Reference, "InstanceTypeInfo".
type Type struct {
	Name           string   // such as m6i.large
	Architectures  []string // i386, x86_64, arm64, x86_64_mac, arm64_mac
	Virtualization []string // hvm, and paravirtual of some old families
	ENA            string   // Required, Supported or Unsupported
	VCPU           int      // by default
	MemoryMiB      int

	Hypervisor   string   // nitro or xen; "" for bare metal
	Manufacturer string   // of the processor: intel, amd, amazon-web-services or apple
	RootDevices  []string // ebs, and instance-store of some
	Accelerators int      // GPUs, FPGAs and inference or training chips
	Current      bool     // of the current generation
	BareMetal    bool
	Burstable    bool // a T type
	LocalStorage bool // has instance store volumes
	Hibernates   bool
}

// What a type says of enhanced networking with ENA. An image without ENA
// support can't be launched on a type that requires it.
const (
	Required    = "required"
	Supported   = "supported"
	Unsupported = "unsupported"
)

//go:embed types.tsv
var table string

// load reads the table at its first use.
var load = sync.OnceValue(func() *index {
	x, err := parse(table)
	if err != nil {
		panic("catalog/instancetype: types.tsv: " + err.Error()) // it is part of the program, and tested
	}
	return x
})

type index struct {
	list   []Type
	byName map[string]int
}

// Find returns the type of a name; names are case-sensitive. What it returns
// shares its lists with the table: they must not be changed.
func Find(name string) (Type, bool) {
	x := load()
	i, ok := x.byName[name]
	if !ok {
		return Type{}, false
	}
	return x.list[i], true
}

// All returns all types: a family's types stand together, the smallest first.
// The list is the caller's; the lists in it are the table's.
func All() []Type { return slices.Clone(load().list) }

const columns = 11

func parse(text string) (*index, error) {
	x := &index{byName: map[string]int{}}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		t, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if _, twice := x.byName[t.Name]; twice {
			return nil, fmt.Errorf("line %d: %s stands there twice", number, t.Name)
		}
		x.byName[t.Name] = len(x.list)
		x.list = append(x.list, t)
	}
	return x, nil
}

func parseLine(line string) (t Type, err error) {
	f := strings.Split(line, "\t")
	if len(f) != columns {
		return t, fmt.Errorf("it has %d columns, not %d", len(f), columns)
	}
	t = Type{
		Name: f[0], Architectures: strings.Split(f[1], ","), Virtualization: strings.Split(f[2], ","), ENA: f[3],
		Hypervisor: f[6], Manufacturer: f[7], RootDevices: strings.Split(f[8], ","),
	}
	for column, into := range map[int]*int{4: &t.VCPU, 5: &t.MemoryMiB, 9: &t.Accelerators} {
		*into, err = strconv.Atoi(f[column])
		if err != nil {
			return t, fmt.Errorf("column %d of %s: %w", column+1, t.Name, err)
		}
	}
	if t.Hypervisor == "-" {
		t.Hypervisor = ""
	}
	if t.ENA != Required && t.ENA != Supported && t.ENA != Unsupported {
		return t, fmt.Errorf("%q says nothing of the ENA of %s", t.ENA, t.Name)
	}
	if f[10] == "-" {
		return t, nil
	}
	for _, word := range strings.Split(f[10], ",") {
		flag, ok := map[string]*bool{
			"current": &t.Current, "metal": &t.BareMetal, "burstable": &t.Burstable, "storage": &t.LocalStorage, "hibernates": &t.Hibernates,
		}[word]
		if !ok {
			return t, fmt.Errorf("the word %q of %s is not known", word, t.Name)
		}
		*flag = true
	}
	return t, nil
}

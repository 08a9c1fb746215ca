package instancetype

import (
	"strings"
	"testing"
)

func TestTheTableReads(t *testing.T) {
	types, err := parse(table)
	if err != nil {
		t.Fatal(err)
	}
	if len(types) < 50 {
		t.Errorf("the table has %d types", len(types))
	}
	for name, is := range types {
		if !is.Graphics && (is.CPU < 1000 || is.Memory < 2<<30) {
			t.Errorf("%s has %d thousandths of a processor and %d bytes", name, is.CPU, is.Memory)
		}
		if is.Graphics != strings.HasPrefix(is.Family, "graphics") {
			t.Errorf("%s of family %s has a graphics processor: %v", name, is.Family, is.Graphics)
		}
	}
}

// The types that tests of infrastructure as code use, and one of each family.
func TestLookup(t *testing.T) {
	for _, want := range []Type{
		{"stream.standard.small", "standard", 2000, 2 << 30, false},
		{"stream.standard.medium", "standard", 2000, 4 << 30, false},
		{"stream.compute.large", "compute", 2000, 3840 << 20, false},
		{"stream.memory.8xlarge", "memory", 32000, 244 << 30, false},
		{"stream.memory.z1d.12xlarge", "memory.z1d", 48000, 384 << 30, false},
		{"stream.graphics.g4dn.xlarge", "graphics.g4dn", 4000, 16 << 30, true},
		{"stream.graphics-design.large", "graphics-design", 0, 0, true},
	} {
		got, ok := Lookup(want.Name)
		if !ok || got != want {
			t.Errorf("%s is %+v, %v", want.Name, got, ok)
		}
	}
	for _, none := range []string{"", "stream.standard", "stream.standard.huge", "t3.medium", "STREAM.STANDARD.SMALL", "stream.standard.small "} {
		if got, ok := Lookup(none); ok {
			t.Errorf("%q is %+v", none, got)
		}
	}
}

func TestBadTables(t *testing.T) {
	for name, text := range map[string]string{
		"columns":           "stream.a.b\t1\t1024",
		"twice":             "stream.a.b\t1\t1024\t-\t-\nstream.a.b\t1\t1024\t-\t-",
		"no prefix":         "t3.small\t2\t2048\t-\t-",
		"no family":         "stream.small\t2\t2048\t-\t-",
		"unknown hardware":  "stream.a.b\t2\t2048\t-\ttpu",
		"no processors":     "stream.a.b\t0\t2048\t-\t-",
		"no memory":         "stream.a.b\t2\t-1\t-\t-",
		"size is not known": "stream.a.b\t-\t-\t-\t-",
	} {
		if _, err := parse(text); err == nil {
			t.Errorf("%s: the table was read", name)
		}
	}
}

package instancetype

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDocumentedTypes: types as the guide's pages have them, of each kind.
//
// Amazon EC2 instance types guide, "Specifications for Amazon EC2 general
// purpose instances" and its sisters; "Specifications for Amazon EC2 previous
// generation instances".
func TestDocumentedTypes(t *testing.T) {
	t.Parallel()
	for _, want := range []Type{
		{Name: "m6i.large", Architectures: []string{"x86_64"}, Virtualization: []string{"hvm"}, ENA: Required, VCPU: 2, MemoryMiB: 8192, Hypervisor: "nitro", Manufacturer: "intel", RootDevices: []string{"ebs"}},
		{Name: "c7g.xlarge", Architectures: []string{"arm64"}, Virtualization: []string{"hvm"}, ENA: Required, VCPU: 4, MemoryMiB: 8192, Hypervisor: "nitro", Manufacturer: "amazon-web-services", RootDevices: []string{"ebs"}},
		{Name: "m1.small", Architectures: []string{"i386", "x86_64"}, Virtualization: []string{"hvm", "paravirtual"}, ENA: Unsupported, VCPU: 1, MemoryMiB: 1740, Hypervisor: "xen", Manufacturer: "intel", RootDevices: []string{"ebs", "instance-store"}, LocalStorage: true},
		{Name: "c3.large", Architectures: []string{"i386", "x86_64"}, Virtualization: []string{"hvm", "paravirtual"}, ENA: Unsupported, VCPU: 2, MemoryMiB: 3840, Hypervisor: "xen", Manufacturer: "intel", RootDevices: []string{"ebs", "instance-store"}, LocalStorage: true},
		{Name: "r5.metal", Architectures: []string{"x86_64"}, Virtualization: []string{"hvm"}, ENA: Required, VCPU: 96, MemoryMiB: 786432, Manufacturer: "intel", RootDevices: []string{"ebs"}, BareMetal: true},
		{Name: "p5.48xlarge", Architectures: []string{"x86_64"}, Virtualization: []string{"hvm"}, ENA: Required, VCPU: 192, MemoryMiB: 2097152, Hypervisor: "nitro", Manufacturer: "amd", RootDevices: []string{"ebs"}, Accelerators: 8, LocalStorage: true},
		{Name: "i3.large", Architectures: []string{"x86_64"}, Virtualization: []string{"hvm"}, ENA: Supported, VCPU: 2, MemoryMiB: 15616, Hypervisor: "xen", Manufacturer: "intel", RootDevices: []string{"ebs"}, LocalStorage: true},
	} {
		got, ok := Find(want.Name)
		want.Current, want.Hibernates = got.Current, got.Hibernates // they change with the years
		if d := cmp.Diff(want, got); !ok || d != "" {
			t.Errorf("%s (found: %v): got + want -\n%s", want.Name, ok, d)
		}
	}
	for _, none := range []string{"", "m6i", "M6I.large", "m6i.large ", "x9.large"} {
		if got, ok := Find(none); ok {
			t.Errorf("%q is no type, got %+v", none, got)
		}
	}
}

// TestTable: what holds for every row, and the families that publishers name.
func TestTable(t *testing.T) {
	t.Parallel()
	all := All()
	if len(all) < 300 {
		t.Errorf("the table has %d types", len(all))
	}
	families := map[string]bool{}
	for _, x := range all {
		family, size, ok := strings.Cut(x.Name, ".")
		if !ok || size == "" || x.VCPU < 1 || x.MemoryMiB < 100 || !slices.Contains(x.Virtualization, "hvm") && !slices.Contains(x.Virtualization, "paravirtual") {
			t.Errorf("%+v is no instance type", x)
		}
		if x.BareMetal != (x.Hypervisor == "") {
			t.Errorf("%s: hypervisor %q, bare metal %v", x.Name, x.Hypervisor, x.BareMetal)
		}
		if x.Burstable && x.Name[0] != 't' {
			t.Errorf("%s is burstable and no T type", x.Name)
		}
		families[family] = true
	}
	for _, family := range strings.Fields("t2 t3 t3a t4g m4 m5 m6i m6g m7i m7g c4 c5 c6i c6g c7i c7g r4 r5 r6i r7g x1 x2idn z1d i3 i4i d2 d3 h1 g4dn g5 p4d p5 inf2 trn1 f2") {
		if !families[family] {
			t.Errorf("the family %s is missing", family)
		}
	}
}

// FuzzParse: a broken table is an error, never a panic.
func FuzzParse(f *testing.F) {
	f.Add("# only a comment\n\n")
	f.Add("a.b\tx86_64\thvm\trequired\t1\t512\tnitro\tintel\tebs\t0\tcurrent\n")
	f.Add("a.b\tx86_64\thvm\trequired\tone\t512\tnitro\tintel\tebs\t0\t-\n")
	f.Add("a.b\tx86_64\thvm\tperhaps\t1\t512\t-\tintel\tebs\t0\tcurrent,blue\n")
	f.Fuzz(func(t *testing.T, text string) {
		x, err := parse(text)
		if err == nil && len(x.list) != len(x.byName) {
			t.Errorf("%d types, %d names", len(x.list), len(x.byName))
		}
	})
}

package product

import (
	"os"
	"slices"
	"strings"
	"testing"

	"souk/catalog/change"
)

func TestRegionsAreThoseOfEC2(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("../../service/ec2/regions.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(file)) {
		if name, _, ok := strings.Cut(line, "\t"); ok && !strings.HasPrefix(line, "#") {
			want = append(want, name)
		}
	}
	got := slices.Sorted(slices.Values(Regions()))
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("products have %v, EC2 has %v", got, want)
	}
}

func TestAChangeTypeOfAnyProductKeepsWhatWasDecoded(t *testing.T) {
	t.Parallel()
	c, err := OfAny[UpdateInformation](change.Type{Name: "UpdateInformation"}).Decode([]byte(`{"ProductTitel":"x"}`))
	if err != nil || !slices.Equal(c.Unknown, []string{"/ProductTitel"}) || c.Probe == nil {
		t.Errorf("unknown members %q, %v", c.Unknown, err)
	}
}

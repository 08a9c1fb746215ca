package change

import "testing"

func TestHolesAreFilledInTurn(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		message string
		args    []any
		want    string
	}{
		{"Remove [x, y, z].", []any{[]string{"a", "b"}}, "Remove a, b."},
		{"With (x) and {y}", []any{1, "[2]"}, "With 1 and [2]"},
		{"A hole [x] without value.", nil, "A hole [x] without value."},
		{"Remove product code attached to image X.", []any{"ami-1"}, "Remove product code attached to image ami-1."},
		{"Enable ENA support for image x because of: [y]", []any{"ami-1", []string{"m5.large"}}, "Enable ENA support for image ami-1 because of: m5.large"},
		{"Provide expected [z] volume on image [x].", []any{"EBS", "ami-1"}, "Provide expected EBS volume on image ami-1."},
		{"No image xyz, no [hole", []any{"a"}, "No image xyz, no [hole"},
	} {
		if got := fill(test.message, test.args); got != test.want {
			t.Errorf("fill(%q, %v) = %q, want %q", test.message, test.args, got, test.want)
		}
	}
}

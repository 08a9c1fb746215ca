package change

import (
	"strings"
	"testing"
)

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

func TestWhatIsWrongIsSaidWhereTheTextHasNoHole(t *testing.T) {
	t.Parallel()
	c := &Checks{}
	var ports Wrong
	ports.If(true, "FromPort", 70000)
	ports.If(false, "ToPort", 80)
	ports.If(true, "IpProtocol", "icmp")
	c.Refuse(len(ports) > 0, "INVALID_PORT", "Provide a port between 1 and [max] (or none).", 65535, ports)
	c.Refuse(true, "INVALID_URL", "Provide a URL (link).", In("Url", "a", "b"))
	c.Refuse(false, "OTHER", "Other.", In("Url", "c"))
	if got := c.Refusals()[0].ErrorMessage + c.Refusals()[1].ErrorMessage; got != "Provide a port between 1 and 65535 (or none).Provide a URL (link)." {
		t.Errorf("the texts are %q", got)
	}
	if got := c.Reason().Error(); got != `INVALID_PORT: FromPort 70000, IpProtocol "icmp"; INVALID_URL: Url "a", Url "b"` {
		t.Errorf("the reason is %q", got)
	}
	if got := In("Id", make([]string, 12)...).String(); !strings.HasSuffix(got, " and 2 more") {
		t.Errorf("12 values are %q", got)
	}
}

package network

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

const (
	account = "111122223333"
	region  = "us-east-1"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const text = `
interfaces: 3
subnets:
  - id: subnet-0a1b2c3d
    account: "111122223333"
    region: us-east-1
    vpc: vpc-0a1b2c3d
    addresses: 1
    internet-gateway: true
  - id: subnet-0a1b2c3d4e5f60718
  - {id: subnet-00000000, account: "999988887777"}
  - {id: subnet-11111111, region: eu-west-1}
  - {id: subnet-22222222, addresses: 0}
security-groups:
  - {id: sg-0a1b2c3d, vpc: vpc-0a1b2c3d}
  - {id: sg-11111111, vpc: vpc-11111111}
  - {id: sg-0a1b2c3d4e5f60718}
`

// wanted is an interface that can be had, as each test changes it.
func wanted() Interface {
	return Interface{
		Account: account, Region: region, Builder: "b", Since: noon,
		Subnets: []string{"subnet-0a1b2c3d"}, Groups: []string{"sg-0a1b2c3d", "sg-0a1b2c3d4e5f60718"}, Internet: true,
	}
}

// codes are those of what is found.
func codes(t *testing.T, n *Networks, i Interface) string {
	t.Helper()
	found, err := n.Check(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range found {
		if e.Message == "" || !e.Timestamp.Equal(noon) {
			t.Errorf("an error without its parts: %+v", e)
		}
		all = append(all, e.Code)
	}
	return strings.Join(all, " ")
}

func TestWithoutATable(t *testing.T) {
	t.Parallel()
	n := New(Config{Now: func() time.Time { return noon }})
	for name, c := range map[string]struct {
		subnets, groups []string
		want            string
	}{
		"short and long ids": {[]string{"subnet-ffffffff"}, []string{"sg-0123456789abcdef0"}, ""},
		"nothing":            {nil, nil, ""},
		"a name":             {[]string{"my-subnet"}, nil, "SUBNET_NOT_FOUND"},
		"capital letters":    {[]string{"subnet-FFFFFFFF"}, nil, "SUBNET_NOT_FOUND"},
		"a group's name":     {[]string{"subnet-ffffffff"}, []string{"default", "sg-ffffffff"}, "SECURITY_GROUPS_NOT_FOUND"},
		"ids the other way":  {[]string{"sg-ffffffff"}, []string{"subnet-ffffffff"}, "SUBNET_NOT_FOUND SECURITY_GROUPS_NOT_FOUND"},
	} {
		if got := codes(t, n, Interface{Subnets: c.subnets, Groups: c.groups, Internet: true}); got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}

func TestWithATable(t *testing.T) {
	t.Parallel()
	table, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var has []Interface
	n := New(Config{
		Table: table, Now: func() time.Time { return noon },
		Interfaces: func(context.Context, string, string) ([]Interface, error) { return has, nil },
	})
	earlier := func(builder, subnet string) Interface {
		return Interface{Builder: builder, Subnets: []string{subnet}, Since: noon.Add(-time.Hour)}
	}
	for name, c := range map[string]struct {
		change func(*Interface)
		has    []Interface
		want   string
	}{
		"all is there":         {func(*Interface) {}, nil, ""},
		"no such subnet":       {func(i *Interface) { i.Subnets = []string{"subnet-99999999"} }, nil, "SUBNET_NOT_FOUND"},
		"another account's":    {func(i *Interface) { i.Subnets = []string{"subnet-00000000"} }, nil, "SUBNET_NOT_FOUND"},
		"another region's":     {func(i *Interface) { i.Subnets = []string{"subnet-11111111"} }, nil, "SUBNET_NOT_FOUND"},
		"two subnets":          {func(i *Interface) { i.Subnets = append(i.Subnets, "subnet-0a1b2c3d4e5f60718") }, nil, "INVALID_SUBNET_CONFIGURATION"},
		"groups and no subnet": {func(i *Interface) { i.Subnets = nil }, nil, "INVALID_SUBNET_CONFIGURATION"},
		"no such group":        {func(i *Interface) { i.Groups = []string{"sg-99999999"} }, nil, "SECURITY_GROUPS_NOT_FOUND"},
		"a group elsewhere":    {func(i *Interface) { i.Groups = []string{"sg-11111111"} }, nil, "INVALID_SUBNET_CONFIGURATION"},
		"no way out":           {func(i *Interface) { i.Subnets = []string{"subnet-0a1b2c3d4e5f60718"} }, nil, "IGW_NOT_ATTACHED"},
		"none is needed":       {func(i *Interface) { i.Subnets, i.Internet = []string{"subnet-0a1b2c3d4e5f60718"}, false }, nil, ""},
		"no addresses":         {func(i *Interface) { i.Subnets, i.Internet = []string{"subnet-22222222"}, false }, nil, "SUBNET_HAS_INSUFFICIENT_IP_ADDRESSES"},
		"the last address":     {func(*Interface) {}, []Interface{earlier("a", "subnet-0a1b2c3d")}, "SUBNET_HAS_INSUFFICIENT_IP_ADDRESSES"},
		"its own address":      {func(*Interface) {}, []Interface{earlier("b", "subnet-0a1b2c3d")}, ""},
		"who came later":       {func(*Interface) {}, []Interface{{Builder: "c", Subnets: []string{"subnet-0a1b2c3d"}, Since: noon}}, ""},
		"who came at once":     {func(*Interface) {}, []Interface{{Builder: "a", Subnets: []string{"subnet-0a1b2c3d"}, Since: noon}}, "SUBNET_HAS_INSUFFICIENT_IP_ADDRESSES"},
		"three interfaces": {func(*Interface) {}, []Interface{
			earlier("x", "subnet-99999999"), earlier("y", "subnet-99999999"), earlier("z", "subnet-99999999"), {Builder: "without", Since: noon.Add(-time.Hour)},
		}, "NETWORK_INTERFACE_LIMIT_EXCEEDED"},
		"two interfaces": {func(*Interface) {}, []Interface{earlier("x", "subnet-99999999"), earlier("y", "subnet-99999999"), {Builder: "without"}}, ""},
	} {
		i := wanted()
		c.change(&i)
		has = c.has
		if got := codes(t, n, i); got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}

// The account's service role is needed where there are networks to work in.
func TestTheServiceRole(t *testing.T) {
	t.Parallel()
	table, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	const arn = "arn:aws:iam::111122223333:role/service-role/AmazonAppStreamServiceAccess"
	denied := map[string]bool{}
	there := true
	n := New(Config{Table: table, Now: func() time.Time { return noon }, Role: func(_ context.Context, of, role, service, action string) (bool, bool, error) {
		if of != account || role != arn || service != "appstream.amazonaws.com" {
			t.Errorf("asked of %s, %s, %s", of, role, service)
		}
		return there, !denied[action], nil
	}})
	for action, want := range map[string]string{
		"ec2:DescribeSubnets":           "IAM_SERVICE_ROLE_MISSING_DESCRIBE_SUBNET_ACTION",
		"ec2:DescribeSecurityGroups":    "IAM_SERVICE_ROLE_MISSING_DESCRIBE_SECURITY_GROUPS_ACTION",
		"ec2:CreateNetworkInterface":    "IAM_SERVICE_ROLE_MISSING_ENI_CREATE_ACTION",
		"ec2:DeleteNetworkInterface":    "IAM_SERVICE_ROLE_MISSING_ENI_DELETE_ACTION",
		"ec2:DescribeNetworkInterfaces": "IAM_SERVICE_ROLE_MISSING_ENI_DESCRIBE_ACTION",
	} {
		denied = map[string]bool{action: true}
		if got := codes(t, n, wanted()); got != want {
			t.Errorf("without %s: %q", action, got)
		}
	}
	there = false
	if got := codes(t, n, wanted()); got != "IAM_SERVICE_ROLE_IS_MISSING" {
		t.Errorf("without the role: %q", got)
	}
}

func TestFaultsOfOurs(t *testing.T) {
	t.Parallel()
	table, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the store is away")
	for name, c := range map[string]Config{
		"role":       {Table: table, Role: func(context.Context, string, string, string, string) (bool, bool, error) { return false, false, broken }},
		"interfaces": {Table: table, Interfaces: func(context.Context, string, string) ([]Interface, error) { return nil, broken }},
	} {
		_, err := New(c).Check(t.Context(), wanted())
		if !errors.Is(err, broken) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

func TestBadTables(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no YAML":             "subnets: [",
		"another member":      "subnets: []\nroutes: []",
		"another in a row":    "subnets: [{id: subnet-00000000, free: 1}]",
		"no id":               "subnets: [{account: \"111122223333\"}]",
		"an id of nothing":    "subnets: [{id: mine}]",
		"a group as a subnet": "subnets: [{id: sg-00000000}]",
		"twice":               "subnets: [{id: subnet-00000000}, {id: subnet-00000000}]",
		"no account":          "security-groups: [{id: sg-00000000, account: me}]",
		"no region":           "security-groups: [{id: sg-00000000, region: US EAST}]",
		"no VPC":              "security-groups: [{id: sg-00000000, vpc: main}]",
		"fewer than none":     "subnets: [{id: subnet-00000000, addresses: -1}]",
		"interfaces below 0":  "interfaces: -1",
		"text as a number":    "interfaces: many",
		"a list as the table": "- subnets",
	} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s: the table was read", name)
		}
	}
	if table, err := Parse(nil); err != nil || len(table.Subnets) != 0 {
		t.Errorf("an empty table is %+v: %v", table, err)
	}
}

func FuzzTables(f *testing.F) {
	f.Add([]byte(text))
	f.Add([]byte("subnets: [{id: subnet-00000000, addresses: 1}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		table, err := Parse(text)
		if err != nil {
			return
		}
		n := New(Config{Table: table, Now: func() time.Time { return noon }})
		for _, s := range table.Subnets {
			i := Interface{Account: s.Account, Region: s.Region, Builder: "b", Subnets: []string{s.ID}}
			found, err := n.Check(t.Context(), i)
			if err != nil || len(found) > 0 && found[0].Code != "SUBNET_HAS_INSUFFICIENT_IP_ADDRESSES" {
				t.Errorf("%+v can't be had: %+v, %v", s, found, err)
			}
		}
	})
}

// Package network is what an operator says of the networks that image builders
// can name: a table of subnets and security groups, and what of it stands in the
// way of a builder. It makes no network: machines have the egress that
// EnableDefaultInternetAccess opens, and nothing else.
//
// AppStream API Reference, "VpcConfig", "ResourceError".
package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"souk/artifact/appstream/resource"
)

// Table is what an operator says that there is. Ids that are not in it do not
// exist.
type Table struct {
	// Interfaces is how many network interfaces an account may have in a region; each
	// builder with a subnet has one. 0: any number.
	Interfaces int      `yaml:"interfaces"`
	Subnets    []Subnet `yaml:"subnets"`
	Groups     []Group  `yaml:"security-groups"`
}

// Subnet is a row of the table.
type Subnet struct {
	ID      string `yaml:"id"`      // subnet-...
	Account string `yaml:"account"` // whose it is; "": everybody's
	Region  string `yaml:"region"`  // "": all
	VPC     string `yaml:"vpc"`     // vpc-...; "": it has those groups that have none, too
	// Addresses is how many builders it has addresses for; nil: any number.
	Addresses *int `yaml:"addresses"`
	// InternetGateway: builders with default internet access can be in it.
	InternetGateway bool `yaml:"internet-gateway"`
}

// Group is a row of the table: a security group.
type Group struct {
	ID      string `yaml:"id"` // sg-...
	Account string `yaml:"account"`
	Region  string `yaml:"region"`
	VPC     string `yaml:"vpc"`
}

// Forms of ids (Amazon EC2 User Guide, "Resource IDs").
var (
	formOfSubnet  = regexp.MustCompile(`^subnet-([0-9a-f]{8}|[0-9a-f]{17})$`)
	formOfGroup   = regexp.MustCompile(`^sg-([0-9a-f]{8}|[0-9a-f]{17})$`)
	formOfVPC     = regexp.MustCompile(`^(vpc-([0-9a-f]{8}|[0-9a-f]{17}))?$`)
	formOfAccount = regexp.MustCompile(`^([0-9]{12})?$`)
)

// Parse reads a table: YAML, with the members of Table and no others.
func Parse(text []byte) (*Table, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	var t Table
	err := d.Decode(&t)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the table of networks: %w", err)
	}
	err = t.check()
	if err != nil {
		return nil, fmt.Errorf("reading the table of networks: %w", err)
	}
	return &t, nil
}

// check says what is wrong with a table.
func (t *Table) check() error {
	if t.Interfaces < 0 {
		return fmt.Errorf("interfaces is %d", t.Interfaces)
	}
	seen := map[string]bool{}
	row := func(id, account, region, vpc string, form *regexp.Regexp) error {
		switch {
		case !form.MatchString(id):
			return fmt.Errorf("%q is no id", id)
		case seen[id]:
			return fmt.Errorf("%s stands there twice", id)
		case !formOfAccount.MatchString(account):
			return fmt.Errorf("%s: %q is no account", id, account)
		case region != "" && !resource.IsRegion(region):
			return fmt.Errorf("%s: %q is no region", id, region)
		case !formOfVPC.MatchString(vpc):
			return fmt.Errorf("%s: %q is no id of a VPC", id, vpc)
		}
		seen[id] = true
		return nil
	}
	for _, s := range t.Subnets {
		err := row(s.ID, s.Account, s.Region, s.VPC, formOfSubnet)
		if err == nil && s.Addresses != nil && *s.Addresses < 0 {
			err = fmt.Errorf("%s: it has %d addresses", s.ID, *s.Addresses)
		}
		if err != nil {
			return err
		}
	}
	for _, g := range t.Groups {
		err := row(g.ID, g.Account, g.Region, g.VPC, formOfGroup)
		if err != nil {
			return err
		}
	}
	return nil
}

// here says whether a row is one of an account in a region.
func here(ofAccount, ofRegion, account, region string) bool {
	return (ofAccount == "" || ofAccount == account) && (ofRegion == "" || ofRegion == region)
}

// Interface is the network interface that a builder has or wants.
type Interface struct {
	Account, Region string
	Builder         string // name
	Subnets         []string
	Groups          []string
	Internet        bool      // EnableDefaultInternetAccess
	Since           time.Time // when the builder was made: who came first has the last address
}

// before says whether an interface came before another one.
func (i Interface) before(o Interface) bool {
	if !i.Since.Equal(o.Since) {
		return i.Since.Before(o.Since)
	}
	return i.Builder < o.Builder
}

// Config is what Networks works with.
type Config struct {
	// Table is the operator's; nil: every id of the right form is there, and nothing
	// else is looked at.
	Table *Table
	// Role says whether an account has a role of an ARN that trusts a service, and
	// whether it allows an action on everything. Nil: it is there, and does.
	Role func(ctx context.Context, account, arn, service, action string) (there, allowed bool, err error)
	// Interfaces lists those that an account's builders have in a region. Nil: none.
	Interfaces func(ctx context.Context, account, region string) ([]Interface, error)
	Now        func() time.Time // nil means time.Now
}

// Networks says what stands in the way of builders. Its method may be called
// concurrently.
type Networks struct{ config Config }

// New returns the networks of a table.
func New(c Config) *Networks {
	if c.Role == nil {
		c.Role = func(context.Context, string, string, string, string) (bool, bool, error) { return true, true, nil }
	}
	if c.Interfaces == nil {
		c.Interfaces = func(context.Context, string, string) ([]Interface, error) { return nil, nil }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Networks{c}
}

// ServiceRole is the role by which AppStream works in an account's networks.
//
// Administration Guide, "Checking for the AmazonAppStreamServiceAccess Service
// Role and Policies".
func ServiceRole(account string) string {
	return "arn:aws:iam::" + account + ":role/service-role/AmazonAppStreamServiceAccess"
}

// Service is the principal that the role trusts.
const Service = "appstream.amazonaws.com"

// needs are the actions that the role must allow, with the error of each that it
// does not.
var needs = []struct{ action, code string }{
	{"ec2:DescribeSubnets", "IAM_SERVICE_ROLE_MISSING_DESCRIBE_SUBNET_ACTION"},
	{"ec2:DescribeSecurityGroups", "IAM_SERVICE_ROLE_MISSING_DESCRIBE_SECURITY_GROUPS_ACTION"},
	{"ec2:DescribeNetworkInterfaces", "IAM_SERVICE_ROLE_MISSING_ENI_DESCRIBE_ACTION"},
	{"ec2:CreateNetworkInterface", "IAM_SERVICE_ROLE_MISSING_ENI_CREATE_ACTION"},
	{"ec2:DeleteNetworkInterface", "IAM_SERVICE_ROLE_MISSING_ENI_DELETE_ACTION"},
}

// Check says what stands in the way of an interface; nothing: a builder can have
// it. All that is wrong is told, but for what only a role could have seen that is
// not there.
func (n *Networks) Check(ctx context.Context, i Interface) ([]resource.Error, error) {
	f := &findings{at: n.config.Now().UTC()}
	t := n.config.Table
	if t == nil {
		f.forms(i)
		return f.all, nil
	}
	err := n.role(ctx, i.Account, f)
	if err != nil || len(f.all) > 0 {
		return f.all, err
	}
	subnet := t.subnet(i, f)
	t.groups(i, subnet, f)
	if subnet == nil {
		return f.all, nil
	}
	if i.Internet && !subnet.InternetGateway {
		f.add("IGW_NOT_ATTACHED", "The subnet %s has no way to an internet gateway, which default internet access needs.", subnet.ID)
	}
	return f.all, n.room(ctx, i, subnet, f)
}

// findings are the errors of a builder.
type findings struct {
	at  time.Time
	all []resource.Error
}

func (f *findings) add(code, format string, args ...any) {
	f.all = append(f.all, resource.Error{Code: code, Message: fmt.Sprintf(format, args...), Timestamp: f.at})
}

// forms finds ids that nothing could have.
func (f *findings) forms(i Interface) {
	for _, id := range i.Subnets {
		if !formOfSubnet.MatchString(id) {
			f.noSubnet(id)
		}
	}
	wrong := slices.DeleteFunc(slices.Clone(i.Groups), formOfGroup.MatchString)
	if len(wrong) > 0 {
		f.noGroups(wrong)
	}
}

func (f *findings) noSubnet(id string) {
	f.add("SUBNET_NOT_FOUND", "The subnet %.64s does not exist.", strings.ToValidUTF8(id, "?"))
}

func (f *findings) noGroups(ids []string) {
	f.add("SECURITY_GROUPS_NOT_FOUND", "The security groups %.256s do not exist.", strings.ToValidUTF8(strings.Join(ids, ", "), "?"))
}

// role looks at the account's service role.
func (n *Networks) role(ctx context.Context, account string, f *findings) error {
	arn := ServiceRole(account)
	for _, need := range needs {
		there, allowed, err := n.config.Role(ctx, account, arn, Service, need.action)
		switch {
		case err != nil:
			return fmt.Errorf("looking at the service role of %s: %w", account, err)
		case !there:
			f.add("IAM_SERVICE_ROLE_IS_MISSING", "The role %s does not exist.", arn)
			return nil
		case !allowed:
			f.add(need.code, "The role %s does not let %s do %s.", arn, Service, need.action)
		}
	}
	return nil
}

// subnet finds the one subnet of an interface; nil if there is none.
func (t *Table) subnet(i Interface, f *findings) *Subnet {
	if len(i.Subnets) != 1 {
		f.add("INVALID_SUBNET_CONFIGURATION", "An image builder has one subnet, not %d.", len(i.Subnets))
		return nil
	}
	n := slices.IndexFunc(t.Subnets, func(s Subnet) bool {
		return s.ID == i.Subnets[0] && here(s.Account, s.Region, i.Account, i.Region)
	})
	if n < 0 {
		f.noSubnet(i.Subnets[0])
		return nil
	}
	return &t.Subnets[n]
}

// groups finds the security groups of an interface, which are of the VPC of its
// subnet.
func (t *Table) groups(i Interface, subnet *Subnet, f *findings) {
	var missing, elsewhere []string
	for _, id := range i.Groups {
		n := slices.IndexFunc(t.Groups, func(g Group) bool { return g.ID == id && here(g.Account, g.Region, i.Account, i.Region) })
		switch {
		case n < 0:
			missing = append(missing, id)
		case subnet != nil && t.Groups[n].VPC != subnet.VPC && t.Groups[n].VPC != "" && subnet.VPC != "":
			elsewhere = append(elsewhere, id)
		}
	}
	if len(missing) > 0 {
		f.noGroups(missing)
	}
	if len(elsewhere) > 0 {
		f.add("INVALID_SUBNET_CONFIGURATION", "The security groups %s are not of the VPC of the subnet %s.", strings.Join(elsewhere, ", "), subnet.ID)
	}
}

// room looks whether an interface and an address are left.
func (n *Networks) room(ctx context.Context, i Interface, subnet *Subnet, f *findings) error {
	has, err := n.config.Interfaces(ctx, i.Account, i.Region)
	if err != nil {
		return fmt.Errorf("looking for the network interfaces of %s: %w", i.Account, err)
	}
	interfaces, addresses := 0, 0
	for _, other := range has {
		if other.Builder == i.Builder || len(other.Subnets) == 0 || !other.before(i) {
			continue
		}
		interfaces++
		if other.Subnets[0] == subnet.ID {
			addresses++
		}
	}
	if most := n.config.Table.Interfaces; most > 0 && interfaces >= most {
		f.add("NETWORK_INTERFACE_LIMIT_EXCEEDED", "The account has %d network interfaces in this region, and can have no more.", interfaces)
	}
	if subnet.Addresses != nil && addresses >= *subnet.Addresses {
		f.add("SUBNET_HAS_INSUFFICIENT_IP_ADDRESSES", "The subnet %s has no address left.", subnet.ID)
	}
	return nil
}

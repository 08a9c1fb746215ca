package amiproduct

import (
	"regexp"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"souk/catalog/change"
	"souk/catalog/product"
)

// DeliveryOptionDetails holds the details of one kind of delivery option:
// exactly one member is given.
type DeliveryOptionDetails struct {
	AmiDeliveryOptionDetails                      *AmiDeliveryOptionDetails
	DeploymentTemplateDeliveryOptionDetails       *struct{} // CloudFormation: known, and not offered
	Ec2ImageBuilderComponentDeliveryOptionDetails *ComponentDeliveryOptionDetails
}

// AmiDeliveryOptionDetails is "the details of one AMI delivery option". All but
// the endpoint is required of a new option.
type AmiDeliveryOptionDetails struct {
	AmiSource *AmiSource // "Details about the AMI to be used for the added version."
	// "Instructions for using the AMI, or a link to more information about the
	// AMI." At most 4,000 characters.
	UsageInstructions change.Optional[string]
	// "Used to create a path to access the AMI after it is used."
	AccessEndpointUrl change.Optional[AccessEndpointUrl]
	// "The instance type that is recommended to run the service with the AMI."
	RecommendedInstanceType change.Optional[string]
	// "A list of objects representing ingress rules for the automatically created
	// groups for the version." 1 to 25.
	SecurityGroups change.Optional[[]SecurityGroup]
}

// AmiSource names an AMI and says how it is looked into.
type AmiSource struct {
	AmiId                  string   // "Must belong to the caller account."
	AccessRoleArn          string   // "IAM role [...] used by AWS Marketplace to access the provided AMI."
	UserName               string   // "Login user name to access the operating system (OS) in the AMI." At most 32 letters, digits, underscores and hyphens.
	ScanningPort           *int     // "SSH or RDP port used to access the OS. [...] Defaults to 22."
	OperatingSystemName    string   // "Name of the operating system displayed to buyers." At most 100 characters.
	OperatingSystemVersion string   // "Operating system version string displayed to buyers." At most 100 characters.
	AfiIds                 []string // Amazon FPGA images: known, and not offered
}

// AccessEndpointUrl is where the software is reached once it runs.
type AccessEndpointUrl struct {
	Port         *Port  // "The port number used to access the service running on the AMI."
	Protocol     string // "The protocol (http or https) used to access the service running on the AMI."
	RelativePath string // "The path from the web root to access the service running on the AMI". At most 2,000 characters.
}

// Port is a port that is given as a number, or as a string of digits: the page
// and the programs of sellers disagree.
type Port int

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (p *Port) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != jsontext.KindString {
		return json.UnmarshalDecode(d, (*int)(p))
	}
	var text string
	if err := json.UnmarshalDecode(d, &text); err != nil {
		return err
	}
	n, err := strconv.Atoi(text)
	*p = Port(n)
	return err
}

// ComponentDeliveryOptionDetails describes the delivery of an EC2 Image Builder
// component.
//
// Work with EC2 Image Builder component products.
type ComponentDeliveryOptionDetails struct {
	UsageInstructions change.Optional[string] // at most 4,000 characters
	AccessRoleArn     string                  // the role by which the component is read
	ComponentArn      string                  // of a version of the component, or of its build 1
}

var (
	// userName is what AWS's published shape demands of login names.
	userName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_-]{0,31}$`) })
	// amiID is what AWS's published shape demands of ids of AMIs.
	amiID = regexp.MustCompile(`^ami-([a-zA-Z0-9]{8}|[a-zA-Z0-9]{17})$`)
	// roleARN is the form of a role's ARN (IAM User Guide, "IAM ARNs"). Its bound
	// makes it dear: it is compiled when it is needed, not whenever the program starts.
	roleARN = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,576}$`)
	})
	// componentARN is the form of a component version's ARN, or of one build of
	// it (EC2 Image Builder API Reference, "GetComponent").
	componentARN = regexp.MustCompile(`^arn:aws[a-z-]*:imagebuilder:[a-z0-9-]+:(?:[0-9]{12}|aws):component/[a-z0-9_-]+/[0-9]+\.[0-9]+\.[0-9]+(?:/([0-9]+))?$`)
)

// kinds counts the members that are given.
func (d *DeliveryOptionDetails) kinds() int {
	n := 0
	if d == nil {
		return n
	}
	for _, given := range []bool{d.AmiDeliveryOptionDetails != nil, d.DeploymentTemplateDeliveryOptionDetails != nil, d.Ec2ImageBuilderComponentDeliveryOptionDetails != nil} {
		if given {
			n++
		}
	}
	return n
}

// ami returns the details of an AMI option, nil of others.
func (d *DeliveryOptionDetails) ami() *AmiDeliveryOptionDetails {
	if d == nil {
		return nil
	}
	return d.AmiDeliveryOptionDetails
}

// component returns the details of an option with a component, nil of others.
func (d *DeliveryOptionDetails) component() *ComponentDeliveryOptionDetails {
	if d == nil {
		return nil
	}
	return d.Ec2ImageBuilderComponentDeliveryOptionDetails
}

// requireNew notes what a new option lacks and no listed error speaks of.
func (d *DeliveryOptionDetails) requireNew(missing *product.Missing, at string) {
	if n := d.kinds(); n != 1 {
		*missing = append(*missing, "JSON at "+at+" has the details of "+strconv.Itoa(n)+" kinds of delivery options, not of 1")
		return
	}
	if k := d.Ec2ImageBuilderComponentDeliveryOptionDetails; k != nil {
		missing.Require(at+"/Ec2ImageBuilderComponentDeliveryOptionDetails", "UsageInstructions", k.UsageInstructions.Value, "AccessRoleArn", k.AccessRoleArn, "ComponentArn", k.ComponentArn)
	}
	a := d.AmiDeliveryOptionDetails
	if a == nil {
		return
	}
	at += "/AmiDeliveryOptionDetails"
	source, groups := "", ""
	if a.AmiSource != nil {
		source = "given"
	}
	if len(a.SecurityGroups.Value) > 0 {
		groups = "given"
	}
	missing.Require(at, "AmiSource", source, "UsageInstructions", a.UsageInstructions.Value, "RecommendedInstanceType", a.RecommendedInstanceType.Value, "SecurityGroups", groups)
	if s := a.AmiSource; s != nil {
		missing.Require(at+"/AmiSource", "AmiId", s.AmiId, "AccessRoleArn", s.AccessRoleArn, "UserName", s.UserName,
			"OperatingSystemName", s.OperatingSystemName, "OperatingSystemVersion", s.OperatingSystemVersion)
		if s.UserName != "" && !userName().MatchString(s.UserName) {
			*missing = append(*missing, "JSON at "+at+"/AmiSource/UserName does not match the pattern "+userName().String())
		}
	}
	a.requireShape(missing, at)
}

// requireUpdated notes what an update would empty, and what a new option would
// not have either.
func (d *DeliveryOptionDetails) requireUpdated(missing *product.Missing, at string) {
	if n := d.kinds(); n > 1 {
		*missing = append(*missing, "JSON at "+at+" has the details of "+strconv.Itoa(n)+" kinds of delivery options, not of 1")
		return
	}
	if k := d.component(); k != nil {
		if k.UsageInstructions.Given {
			missing.Require(at+"/Ec2ImageBuilderComponentDeliveryOptionDetails", "UsageInstructions", k.UsageInstructions.Value)
		}
		return
	}
	a := d.ami()
	if a == nil {
		*missing = append(*missing, "JSON at "+at+" is missing required properties: ['AmiDeliveryOptionDetails']")
		return
	}
	at += "/AmiDeliveryOptionDetails"
	if a.UsageInstructions.Given {
		missing.Require(at, "UsageInstructions", a.UsageInstructions.Value)
	}
	if a.RecommendedInstanceType.Given {
		missing.Require(at, "RecommendedInstanceType", a.RecommendedInstanceType.Value)
	}
	if a.SecurityGroups.Given && len(a.SecurityGroups.Value) == 0 {
		missing.Require(at, "SecurityGroups", "")
	}
	a.requireShape(missing, at)
}

// requireShape notes values beyond AWS's published shapes that no listed error
// speaks of.
func (a *AmiDeliveryOptionDetails) requireShape(missing *product.Missing, at string) {
	if endpoint := a.AccessEndpointUrl; endpoint.Given && !endpoint.Null {
		if p := endpoint.Value.Protocol; p != "http" && p != "https" {
			*missing = append(*missing, "JSON at "+at+"/AccessEndpointUrl/Protocol is not one of: http, https")
		}
		if utf8.RuneCountInString(endpoint.Value.RelativePath) > 2000 {
			*missing = append(*missing, "JSON at "+at+"/AccessEndpointUrl/RelativePath has more than 2000 characters")
		}
	}
	if len(a.SecurityGroups.Value) > 25 {
		*missing = append(*missing, "JSON at "+at+"/SecurityGroups has more than 25 items")
	}
	for i, group := range a.SecurityGroups.Value {
		if len(group.IpRanges) > 5 {
			*missing = append(*missing, "JSON at "+at+"/SecurityGroups/"+strconv.Itoa(i)+"/IpRanges has more than 5 items")
		}
	}
}

// update writes what was given into an option.
func (a *AmiDeliveryOptionDetails) update(o *DeliveryOption) {
	if a == nil {
		return
	}
	a.UsageInstructions.Update(&o.UsageInstructions)
	a.RecommendedInstanceType.Update(&o.RecommendedInstanceType)
	if endpoint := a.AccessEndpointUrl; endpoint.Given {
		o.Access = nil
		if !endpoint.Null {
			o.Access = &Endpoint{Protocol: endpoint.Value.Protocol, RelativePath: endpoint.Value.RelativePath}
			if port := endpoint.Value.Port; port != nil {
				o.Access.Port = int(*port)
			}
		}
	}
	if a.SecurityGroups.Given {
		o.SecurityGroups = append([]SecurityGroup{}, a.SecurityGroups.Value...)
	}
}

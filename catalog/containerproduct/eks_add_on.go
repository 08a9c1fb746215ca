package containerproduct

import (
	"context"
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"souk/catalog/change"
	"souk/catalog/product"
)

// AddOn is what an Amazon EKS add-on option has beyond images. A product has
// one name, type and namespace for all its versions' add-ons.
type AddOn struct {
	Chart              Image
	Name               string
	DisplayName        string // as buyers see it: the seller's namespace, an underscore, the name
	Version            string // MAJOR.MINOR.PATCH; unique in the product
	Type               string
	Namespace          string // of Kubernetes
	KubernetesVersions []string
	Architectures      []string
	Environment        []EnvironmentOverrideParameter
}

// EksAddOnDeliveryOptionDetails describes the delivery of an Amazon EKS add-on:
// a chart that EKS itself installs. It is Limited at first, and made Public by
// UpdateDeliveryOptionsVisibility.
type EksAddOnDeliveryOptionDetails struct {
	CommonDeliveryOptionDetails // without CompatibleServices: always EKS
	// "The URL to the Helm chart hosted in Amazon ECR". As for a Helm option.
	HelmChartUri change.Optional[string]
	// "A unique add-on name that buyers will see in the Amazon EKS catalog." 3
	// to 64 letters, digits and hyphens, a letter or digit first.
	AddOnName change.Optional[string]
	// "A semantic version so that buyer can choose a specific version of AddOn
	// they need to install or upgrade."
	AddOnVersion change.Optional[string]
	// "The type of add-on chosen from a list of supported values from Amazon EKS".
	AddOnType change.Optional[string]
	// "The Amazon EKS Kubernetes versions that this software is compatible
	// with." 1 to 30, such as 1.31.
	CompatibleKubernetesVersions change.Optional[[]string]
	// "The list of supported architectures, like amd64 and arm64."
	SupportedArchitectures change.Optional[[]string]
	// "The ISV provided namespace for add-on installation." At most 63 characters.
	Namespace change.Optional[string]
	// "List of system parameters to be used by the add-on." At most 15.
	EnvironmentOverrideParameters change.Optional[[]EnvironmentOverrideParameter]
}

// EnvironmentOverrideParameter is a value of the chart that EKS sets when it
// installs the add-on.
type EnvironmentOverrideParameter struct {
	Key   string // in dot notation, at most 200 characters
	Value string // "The supported values are ${AWS_REGION} and ${AWS_EKS_CLUSTER_NAME}."
}

// addOnTypes are those of the page.
var addOnTypes = []string{
	"gitops", "monitoring", "logging", "cert-management", "policy-management", "cost-management", "autoscaling", "storage",
	"kubernetes-management", "service-mesh", "etcd-backup", "ingress-service-type", "load-balancer", "local-registry",
	"networking", "security", "backup", "ingress-controller", "observability",
}

var (
	addOnArchitectures = []string{"amd64", "arm64"}
	environmentValues  = []string{"${AWS_REGION}", "${AWS_EKS_CLUSTER_NAME}"}

	addOnName      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*$`)
	addOnLength    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^.{3,64}$`) })
	addOnVersion   = regexp.MustCompile(`^(0|[1-9][0-9]*)[.](0|[1-9][0-9]*)[.](0|[1-9][0-9]*)$`)
	addOnNamespace = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`) })
)

//go:embed kubernetes_versions.txt
var kubernetesVersionsFile string

func kubernetesVersions() []string {
	var versions []string
	for line := range strings.Lines(kubernetesVersionsFile) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			versions = append(versions, line)
		}
	}
	return versions
}

// updateAddOn writes what was given into the option of an add-on.
func (d *EksAddOnDeliveryOptionDetails) updateAddOn(o *DeliveryOption) {
	d.updateCommon(o)
	o.CompatibleServices = []string{"EKS"}
	if d.HelmChartUri.Given {
		o.AddOn.Chart = pinned([]Image{o.AddOn.Chart}, d.HelmChartUri.Value)
	}
	d.AddOnName.Update(&o.AddOn.Name)
	d.AddOnVersion.Update(&o.AddOn.Version)
	d.Namespace.Update(&o.AddOn.Namespace)
	if d.AddOnType.Given { // the page writes Gitops and Security, its example networking
		o.AddOn.Type = strings.ToLower(d.AddOnType.Value)
	}
	if d.CompatibleKubernetesVersions.Given {
		o.AddOn.KubernetesVersions = append([]string{}, d.CompatibleKubernetesVersions.Value...)
	}
	if d.SupportedArchitectures.Given {
		o.AddOn.Architectures = append([]string{}, d.SupportedArchitectures.Value...)
	}
	if d.EnvironmentOverrideParameters.Given {
		o.AddOn.Environment = append([]EnvironmentOverrideParameter{}, d.EnvironmentOverrideParameters.Value...)
	}
}

// requireAddOn notes what no listed error speaks of: all of a new option's fields,
// or those that an update would unset; and parameters without a key.
func (d *EksAddOnDeliveryOptionDetails) requireAddOn(missing *product.Missing, at string, whole bool) {
	var absent []string
	text := func(name string, field change.Optional[string]) {
		if field.Given || whole {
			absent = append(absent, name, field.Value)
		}
	}
	list := func(name string, field change.Optional[[]string]) {
		if (field.Given || whole) && len(field.Value) == 0 {
			absent = append(absent, name, "")
		}
	}
	text("HelmChartUri", d.HelmChartUri)
	text("AddOnName", d.AddOnName)
	text("AddOnVersion", d.AddOnVersion)
	text("AddOnType", d.AddOnType)
	list("CompatibleKubernetesVersions", d.CompatibleKubernetesVersions)
	list("SupportedArchitectures", d.SupportedArchitectures)
	text("Namespace", d.Namespace)
	missing.Require(at, absent...)
	for i, parameter := range d.EnvironmentOverrideParameters.Value {
		missing.Require(at+"/EnvironmentOverrideParameters/"+strconv.Itoa(i), "Key", parameter.Key, "Value", parameter.Value)
	}
}

// checkAddOns states the rules of add-ons that hold for new options and updates
// alike. others are the product's options that stay as they are.
func checkAddOns(c *change.Checks, options, others []DeliveryOption) {
	var taken, versions, repeatedVersions, architectures, repeatedArchitectures, values, keys []string
	var malformed change.Wrong
	known := kubernetesVersions()
	for _, o := range options {
		if o.AddOn == nil {
			continue
		}
		malformed.If(!addOnVersion.MatchString(o.AddOn.Version), "AddOnVersion", o.AddOn.Version)
		if slices.ContainsFunc(others, func(p DeliveryOption) bool { return p.AddOn != nil && p.AddOn.Version == o.AddOn.Version }) {
			taken = append(taken, o.AddOn.Version)
		}
		versions = append(versions, missingFrom(known, o.AddOn.KubernetesVersions)...)
		repeatedVersions = append(repeatedVersions, product.Repeated(o.AddOn.KubernetesVersions)...)
		architectures = append(architectures, missingFrom(addOnArchitectures, o.AddOn.Architectures)...)
		repeatedArchitectures = append(repeatedArchitectures, product.Repeated(o.AddOn.Architectures)...)
		var given, wanted []string
		for _, parameter := range o.AddOn.Environment {
			given, wanted = append(given, parameter.Key), append(wanted, parameter.Value)
		}
		keys = append(keys, product.Repeated(given)...)
		values = append(values, missingFrom(environmentValues, wanted)...)
	}
	c.Refuse(len(malformed) > 0, "INVALID_ADDON_VERSION_PATTERN", `Provide an add-on version using the following pattern: "<major>.<minor>.<patch>" (for example, 1.2.3, 0.1.2, 0.1.1)`, malformed)
	c.Refuse(len(taken) > 0, "DUPLICATE_ADDON_VERSION", "The add-on version title [duplicate_version_title] is already in use. Provide a different title.", taken)
	c.Refuse(len(versions) > 0, "INVALID_KUBERNETES_VERSION", "The Kubernetes versions [invalid_versions] are invalid. Provide versions from the supported list: [eks_addon_do_supported_kubernetes_versions].", versions, known)
	c.Refuse(len(repeatedVersions) > 0, "DUPLICATE_KUBERNETES_VERSIONS", "Duplicate Kubernetes versions: [duplicate_versions]. Provide a list with unique versions.", repeatedVersions)
	c.Refuse(len(architectures) > 0, "INVALID_ARCHITECTURE", "The architectures [invalid_architectures] are invalid. Provide architectures from the Amazon EKS supported architectures : [eks_addon_do_supported_architectures].", architectures, addOnArchitectures)
	c.Refuse(len(repeatedArchitectures) > 0, "DUPLICATE_SUPPORTED_ARCHITECTURES", "Duplicate architectures: [duplicate_architectures]. Provide a list of unique, supported architectures.", repeatedArchitectures)
	c.Refuse(len(values) > 0, "INVALID_ENVIRONMENT_OVERRIDE_PARAMETER_VALUE", "The override parameter values [invalid_values] are invalid. Provide a valid value from the following list: [eks_addon_do_environment_override_parameter_values].", values, environmentValues)
	c.Refuse(len(keys) > 0, "DUPLICATE_ENVIRONMENT_OVERRIDE_PARAMETER_KEY", "The environment override parameters contain duplicate keys: [duplicate_keys]. Remove them.", keys)
}

// checkNewAddOns states the rules of what an add-on keeps for ever, and of how
// many there are.
func checkNewAddOns(c *change.Checks, p *Product, options []DeliveryOption, public bool) {
	n := 0
	var strange, short change.Wrong
	var types, namespaces, otherNames, otherTypes, otherNamespaces []string
	present := p.addOn()
	for _, o := range options {
		if o.AddOn == nil {
			continue
		}
		n++
		strange.If(!addOnName.MatchString(o.AddOn.Name), "AddOnName", o.AddOn.Name)
		short.If(!addOnLength().MatchString(o.AddOn.Name), "AddOnName", o.AddOn.Name)
		types = append(types, missingFrom(addOnTypes, []string{o.AddOn.Type})...)
		if !addOnNamespace().MatchString(o.AddOn.Namespace) {
			namespaces = append(namespaces, o.AddOn.Namespace)
		}
		if present != nil && present.Name != o.AddOn.Name {
			otherNames = append(otherNames, o.AddOn.Name)
		}
		if present != nil && present.Type != o.AddOn.Type {
			otherTypes = append(otherTypes, o.AddOn.Type)
		}
		if present != nil && present.Namespace != o.AddOn.Namespace {
			otherNamespaces = append(otherNamespaces, o.AddOn.Namespace)
		}
	}
	c.Refuse(len(short) > 0, "INVALID_ADDON_NAME", "Provide an AddOn name that follows the following regex pattern: [x]", addOnLength(), short)
	c.Refuse(len(strange) > 0, "INVALID_ADDON_NAME_PATTERN", "Provide an add-on name that starts with a letter or digit, and then a combination of letters, digits, and hyphens. For example, test-addon, eksaddon", strange)
	c.Refuse(len(types) > 0, "INVALID_ADDON_TYPE", "The add-on types [invalid_types] are invalid. Provide a type from the supported list: [eks_addon_do_supported_types].", types, addOnTypes)
	c.Refuse(len(namespaces) > 0, "INVALID_ADDON_NAMESPACE", "The namespace values [invalid_namespaces] are invalid. The namespace must follow the  {EKS_ADD_ON_NAMESPACE_REGEX} regular expression. For example, namespace, namespace-test.", namespaces, addOnNamespace())
	c.Refuse(public, "INVALID_VISIBILITY_STATE", "The states [invalid_states] are invalid for the {EKS_DO} delivery option. Provide a valid visibility state from the following allowed values: Limited.", product.Public, "EksAddOn")
	c.Refuse(n > 1, "TOO_MANY_EKS_ADDON_DELIVERY_OPTIONS", "Provide only one Amazon EKS add-on delivery option for the version.")
	c.Refuse(len(otherNames) > 0, "INCOMPATIBLE_ADDON_NAME", "The add-on name [provided_name] does not match the existing name. Reuse the existing name from the public version, or previous versions, of this add-on. You can only use one add-on name for each product.", otherNames)
	c.Refuse(len(otherTypes) > 0, "INCOMPATIBLE_ADDON_TYPE", "The add-on type [provided_type] does not match the existing type. Reuse the existing type from the public version, or previous versions, of this add-on. You can only use one add-on type for each product.", otherTypes)
	c.Refuse(len(otherNamespaces) > 0, "INCOMPATIBLE_ADDON_NAMESPACE", "The add-on namespace [provided_namespace] does not match the existing namespace . Reuse the existing namespace from the public version, or previous versions, of this add-on. You can only use one add-on namespace for each product.", otherNamespaces)
}

// addOn returns the product's first add-on, whose name, type and namespace all
// others have; nil if there is none.
func (p *Product) addOn() *AddOn {
	for _, version := range p.Versions {
		for _, option := range version.DeliveryOptions {
			if option.AddOn != nil {
				return option.AddOn
			}
		}
	}
	return nil
}

// noteAddOnLimits notes what is too long or too much.
func noteAddOnLimits(limits *product.Limits, o DeliveryOption) {
	limits.Items("CompatibleKubernetesVersions of "+o.Title, len(o.AddOn.KubernetesVersions), 30)
	limits.Items("EnvironmentOverrideParameters of "+o.Title, len(o.AddOn.Environment), 15)
	for _, parameter := range o.AddOn.Environment {
		limits.Characters("Key "+parameter.Key, parameter.Key, 200)
	}
}

// missingFrom returns the values that are not among those known.
func missingFrom(known, values []string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return slices.Contains(known, v) })
}

// AddOnClaim is what is written down with the name of an add-on, which no other
// product of the marketplace may have: kind "addon", id NAMESPACE_NAME.
type AddOnClaim struct {
	Product string // id of the product
}

// displayName is an add-on's name as buyers see it.
func displayName(s change.Seller, name string) string { return s.Namespace + "_" + name }

// probeAddOnName asks whether another product has the name of the product's
// first add-on.
func probeAddOnName(ctx context.Context, c *change.Checks, p *Product, options []DeliveryOption) error {
	var others change.Wrong
	for _, o := range options {
		if o.AddOn == nil || p.addOn() != nil {
			continue
		}
		taken, err := c.World.Names.Taken(ctx, "addon", displayName(c.Seller, o.AddOn.Name))
		if err != nil {
			return fmt.Errorf("asking whether add-on %s of %s exists: %w", o.AddOn.Name, c.Entity.ID, err)
		}
		others.If(taken, "AddOnName", o.AddOn.Name)
	}
	c.Refuse(len(others) > 0, "DUPLICATE_ADDON_NAME", "The AddOn name you provided is already in use by a different product. Provide a different name.", others)
	return nil
}

// claimAddOn names the add-ons of a new version for buyers, and claims the name
// for the product if it has none yet.
func (p *Product) claimAddOn(options []DeliveryOption, a *change.Applying) {
	for _, o := range options {
		if o.AddOn == nil {
			continue
		}
		o.AddOn.DisplayName = displayName(a.Seller, o.AddOn.Name)
		if p.addOn() == nil {
			a.Claim("addon", o.AddOn.DisplayName, claimBody(AddOnClaim{Product: a.Entity.ID}))
		}
	}
}

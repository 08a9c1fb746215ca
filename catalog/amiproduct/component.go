package amiproduct

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"souk/catalog/change"
	"souk/catalog/product"
)

// Component is the EC2 Image Builder component of a version, as it was when the
// version was added: what its seller does to it later changes nothing here.
type Component struct {
	ID                  string   // UUID
	ARN                 string   // of the build
	Name                string   // as its seller wrote it
	Version             string   // 1.0.0
	SupportedOSVersions []string // systems that it can be installed on
	Document            string   // YAML
	Parameters          []change.ComponentParameter
	Files               change.ComponentFiles // of the seller's repository; the product has a copy by this digest
	AccessRoleArn       string
}

// ComponentName is the field of a Listing by which products with a component of
// a name are found: the name as ARNs have it.
const ComponentName = "ComponentName"

// KindFulfillmentOption is the kind of the documents by which fulfillment option
// ids are found; the body is a FulfillmentOption.
const KindFulfillmentOption = "fulfillment-option"

// FulfillmentOption says whose a fulfillment option id (fo-...) is. It never changes.
type FulfillmentOption struct {
	Product string // id
	Option  string // id of the delivery option
}

// Installer returns the version, the delivery option and the component that a
// fulfillment option id stands for; nil if the product has none of that id.
func (p *Product) Installer(fulfillmentOption string) (*Version, *DeliveryOption, *Component) {
	if fulfillmentOption == "" {
		return nil, nil, nil
	}
	for v := range p.Versions {
		version := &p.Versions[v]
		for o := range version.DeliveryOptions {
			if option := &version.DeliveryOptions[o]; option.FulfillmentOptionID == fulfillmentOption {
				return version, option, version.component(option)
			}
		}
	}
	return nil, nil, nil
}

// Installs returns the version by which new buyers get the component of an ARN.
func (p *Product) Installs(arn string) (title string, ok bool) {
	for v := range p.Versions {
		version := &p.Versions[v]
		for o := range version.DeliveryOptions {
			option := &version.DeliveryOptions[o]
			if c := version.component(option); c != nil && c.ARN == arn && option.Visibility == product.Public {
				return version.Title, true
			}
		}
	}
	return "", false
}

// The limits of components in the Marketplace. Those of names and of descriptions
// are the greatest that the page's texts leave open.
const (
	maxComponents           = 5       // unique names of a product
	maxComponentName        = 72      // as titles of delivery options
	maxComponentDescription = 1024    //
	maxComponentFiles       = 2 << 30 // "Components can ingest files of up to 2 GB"
)

// buildARN is a component's ARN with its build; the Marketplace takes build 1 alone.
func buildARN(arn string) string {
	if m := componentARN.FindStringSubmatch(arn); m != nil && m[1] == "" {
		return arn + "/1"
	}
	return arn
}

// nameInARN is the component's name as its ARN has it.
func nameInARN(arn string) string {
	_, rest, _ := strings.Cut(arn, ":component/")
	name, _, _ := strings.Cut(rest, "/")
	return name
}

// installers are the ARNs of the components of all versions of a product, and
// the names of those that new buyers get.
func (p *Product) installers() (arns, names []string) {
	for v := range p.Versions {
		version := &p.Versions[v]
		for o := range version.DeliveryOptions {
			c := version.component(&version.DeliveryOptions[o])
			if c == nil {
				continue
			}
			arns = append(arns, c.ARN)
			if version.DeliveryOptions[o].Visibility == product.Public {
				names = union(names, []string{nameInARN(c.ARN)})
			}
		}
	}
	return arns, names
}

// checkComponents states the rules of the form of options with components. The
// texts of their usage instructions are those of AMI options.
func checkComponents(c *change.Checks, p *Product, components []ComponentDeliveryOptionDetails) {
	var usages, malformed, arns, wrongBuilds, builds []string
	var roles change.Wrong
	for _, component := range components {
		usages = append(usages, component.UsageInstructions.Value)
		roles.If(!roleARN().MatchString(component.AccessRoleArn), "AccessRoleArn", component.AccessRoleArn)
		m := componentARN.FindStringSubmatch(component.ComponentArn)
		if m == nil {
			malformed = append(malformed, component.ComponentArn)
			continue
		}
		arns = append(arns, buildARN(component.ComponentArn))
		if m[1] != "" && m[1] != "1" {
			wrongBuilds, builds = append(wrongBuilds, component.ComponentArn), append(builds, m[1])
		}
	}
	used, offered := p.installers()
	repeated := product.Repeated(arns)
	var again, names []string
	for _, arn := range union(nil, arns) {
		names = append(names, nameInARN(arn))
		if slices.Contains(used, arn) {
			again = append(again, arn)
		}
	}
	sameName := product.Repeated(names)
	checkUsage(c, usages)
	c.Refuse(len(roles) > 0, "INVALID_ARN", "Provide a valid ARN for component access.", roles)
	c.Refuse(len(malformed) > 0, "INVALID_IB_COMPONENT", "Provide the ARN of a version of an EC2 Image Builder component. Invalid: [x].", malformed)
	c.Refuse(len(wrongBuilds) > 0, "INVALID_IB_COMPONENT_BUILD_VERSION", "Component ARN [x] has a build version of [y]. AWS Marketplace only supports build version 1. Create a new EC2 Image Builder version with Build versions 1, and try again on AWS Marketplace", wrongBuilds, builds)
	c.Refuse(len(sameName) > 0, "DUPLICATE_COMPONENT_NAME", "The component name [x] already exists within the same version. Provide a different component name.", sameName)
	c.Refuse(len(repeated) > 0, "DUPLICATE_COMPONENT_ARN", "The component Arn [x] must be different from Component Arn used in other delivery options of the same version of this product.", repeated)
	c.Refuse(len(again) > 0, "DUPLICATE_COMPONENT_ARN", "The component ARN [x] must be different from component ARN used in other versions of this product.", again)
	c.Refuse(len(names) > 0 && len(union(offered, names)) > maxComponents, "TOO_MANY_IMAGE_BUILDER_COMPONENTS", "Max of 5 unique component names are supported per product, restrict the additional delivery option.")
}

// probeComponents looks the components of a new version up, compares them with
// what the page demands, tries each on a base image, and keeps a copy of them in
// the product.
func probeComponents(ctx context.Context, p *Product, c *change.Checks, components []ComponentDeliveryOptionDetails) error {
	if len(components) == 0 {
		return nil
	}
	var found []change.Component
	var elsewhere []string
	var faults componentFaults
	for _, details := range components {
		component, err := c.World.Components.Find(ctx, c.Seller, buildARN(details.ComponentArn))
		switch {
		case errors.Is(err, change.ErrComponentNotFound):
			faults.absent, faults.absentRole = append(faults.absent, details.ComponentArn), append(faults.absentRole, details.AccessRoleArn)
		case errors.Is(err, change.ErrComponentUnreadable):
			faults.unreadable = append(faults.unreadable, details.ComponentArn)
			c.Explain(err)
		case err != nil:
			return fmt.Errorf("looking up component %s for %s: %w", details.ComponentArn, c.Entity.ID, err)
		default:
			found = append(found, component)
			faults.look(component)
		}
		barred, err := roleBarredFrom(ctx, c, details.AccessRoleArn, "imagebuilder:GetComponent", buildARN(details.ComponentArn))
		if err != nil {
			return err
		}
		if barred {
			faults.barred = append(faults.barred, details.ComponentArn)
		}
		others, err := c.World.Entities.Named(ctx, c.Seller, "AmiProduct", ComponentName, nameInARN(details.ComponentArn))
		if err != nil {
			return fmt.Errorf("looking for products with component %s: %w", details.ComponentArn, err)
		}
		if slices.ContainsFunc(others, func(id string) bool { return id != c.Entity.ID }) {
			elsewhere = append(elsewhere, nameInARN(details.ComponentArn))
		}
	}
	faults.refuse(c)
	c.Refuse(len(elsewhere) > 0, "DUPLICATE_COMPONENT_NAME", "The component name [x] you provided is already in use by a different product. Provide a different component name.", elsewhere)
	if len(c.Refusals()) > 0 {
		return nil
	}
	// One that fails ends it: a trial takes minutes.
	var failed change.Component
	tried := change.Tried{OK: true}
	for i := 0; i < len(found) && tried.OK; i++ {
		var err error
		failed = found[i]
		tried, err = tryComponent(ctx, p, c, failed)
		if err != nil {
			return err
		}
	}
	c.Refuse(tried.Incompatible, "INCOMPATIBLE_OS_TYPE", "The specified component OS type[x] is not compatible with the platform of the base image. Provide an OS type that is compatible with the base image.", failed.SupportedOSVersions, change.In("base image", tried.Base))
	c.Refuse(!tried.OK && !tried.Incompatible, "FAILED_LAUNCH_TEST", "The launch test for component [x] has failed. Error message: [z]", failed.ARN, failure(tried))
	if !tried.OK {
		return nil
	}
	return publishComponents(ctx, c, components, found)
}

// componentFaults collects, over all components of a version, whom each rule is about.
type componentFaults struct {
	absent, absentRole, unreadable, barred      []string // ARNs; roles of those that are absent
	large                                       bool
	undescribed, long, systems                  []string // names
	parameters, parameterOf, withoutBuildPhases []string // names
}

// look compares a component with what the page demands.
func (f *componentFaults) look(component change.Component) {
	if d := component.Description; d == "" || utf8.RuneCountInString(d) >= maxComponentDescription {
		f.undescribed = append(f.undescribed, component.Name)
	}
	if utf8.RuneCountInString(component.Name) > maxComponentName {
		f.long = append(f.long, component.Name)
	}
	if len(component.SupportedOSVersions) == 0 {
		f.systems = append(f.systems, component.Name)
	}
	if !slices.Contains(component.Phases, "build") {
		f.withoutBuildPhases = append(f.withoutBuildPhases, component.Name)
	}
	for _, parameter := range component.Parameters {
		if parameter.Default == nil {
			f.parameters, f.parameterOf = append(f.parameters, parameter.Name), union(f.parameterOf, []string{component.Name})
		}
	}
	f.large = f.large || component.Files.Size > maxComponentFiles
}

func (f *componentFaults) refuse(c *change.Checks) {
	c.Refuse(len(f.absent) > 0, "ASSET_NOT_FOUND", "Check if [component arn] exists in [account-id] AWS account and the AccessARN provided [ARN] has permissions to share this Image Builder component with AWS Marketplace.", f.absent, c.Seller.Account, f.absentRole)
	c.Refuse(len(f.barred) > 0, "ASSET_ACCESS_EXCEPTION", "We don't have the necessary permissions to read the contents of the specified component ARN[x]. Ensure the component ARN has the appropriate read permissions.", f.barred)
	c.Refuse(len(f.unreadable) > 0, "ASSET_ACCESS_EXCEPTION", "We don't have the necessary permissions to read the contents of the specified package URI [x]. Ensure the package URI has the appropriate read permissions.", f.unreadable)
	c.Refuse(f.large, "INVALID_IMAGE_BUILDER_COMPONENT_PACKAGE", "Component assets exceed the size limit for ingestion. Reduce the size of S3/web downloads or eliminate unnecessary downloads to proceed.")
	c.Refuse(len(f.undescribed) > 0, "INVALID_DESCRIPTION", "The description is missing. Provide a description with fewer than 1024 characters in component [x].", f.undescribed)
	c.Refuse(len(f.long) > 0, "INVALID_COMPONENT_NAME", "Provide a component name with fewer than [x] characters.", maxComponentName, change.In("name", f.long...))
	c.Refuse(len(f.systems) > 0, "INVALID_SUPPORTED_OS_VERSION", "The OS version is missing. Provide a valid supported OS version in component [x].", f.systems)
	c.Refuse(len(f.parameters) > 0, "INVALID_IB_COMPONENT_PARAMETER", "Provide a default value for parameter [x] in component [y].", f.parameters, f.parameterOf)
	c.Refuse(len(f.withoutBuildPhases) > 0, "INVALID_IB_COMPONENT", "A component build phase is required. Add a valid build phase to component [x]", f.withoutBuildPhases)
}

// tryComponent installs a component on the newest AMI of the product, that of the
// same request first; without one, on what the market finds.
func tryComponent(ctx context.Context, p *Product, c *change.Checks, component change.Component) (change.Tried, error) {
	base, platform := c.Found()[foundDigest], c.Found()[foundPlatform]
	for v := len(p.Versions) - 1; v >= 0 && base == ""; v-- {
		for _, source := range p.Versions[v].Sources {
			base, platform = source.Digest, source.Platform
		}
	}
	tried, err := c.World.Components.Try(ctx, change.Trial{
		ID: c.ID("trial of " + component.ARN), Seller: c.Seller, ChangeSet: c.ChangeSet, EntityID: c.Entity.ID, Component: component, Base: base, BasePlatform: platform,
	})
	if err != nil {
		return change.Tried{}, fmt.Errorf("trying component %s for %s: %w", component.ARN, c.Entity.ID, err)
	}
	return tried, nil
}

// failure is what the seller reads of a trial: why it failed, on what, the end of
// its log, and where the whole of it is.
func failure(t change.Tried) string {
	text := t.Failure
	if t.Base != "" {
		text += " (on " + t.Base + ")"
	}
	if t.Log != "" {
		text += ". The end of the log: " + t.Log
	}
	if t.URL != "" {
		text += " The whole log: " + t.URL
	}
	return text
}

// foundComponent and foundComponentFiles begin the names under which Probe keeps
// a component, and the digest of its files, which are not swept while it is kept.
const (
	foundComponent      = "Component "
	foundComponentFiles = "ComponentFiles "
)

func publishComponents(ctx context.Context, c *change.Checks, components []ComponentDeliveryOptionDetails, found []change.Component) error {
	for i, component := range found {
		err := c.World.Components.Publish(ctx, c.Entity.ID, component)
		unreadable := errors.Is(err, change.ErrComponentUnreadable)
		if err != nil && !unreadable {
			return fmt.Errorf("copying the files of component %s into %s: %w", component.ARN, c.Entity.ID, err)
		}
		if unreadable {
			f := componentFaults{unreadable: []string{component.ARN}}
			f.refuse(c)
			return nil
		}
		kept, err := json.Marshal(Component{
			ARN: component.ARN, Name: component.Name, Version: component.Version, SupportedOSVersions: component.SupportedOSVersions,
			Document: component.Document, Parameters: component.Parameters, Files: component.Files, AccessRoleArn: components[i].AccessRoleArn,
		})
		if err != nil {
			return fmt.Errorf("keeping component %s for %s: %w", component.ARN, c.Entity.ID, err)
		}
		c.Keep(foundComponent+component.ARN, string(kept))
		if component.Files.Digest != "" {
			c.Keep(foundComponentFiles+component.ARN, component.Files.Digest)
		}
	}
	return nil
}

// foundComponents are the components of a new version with the options by which
// they are had.
func (r *AddDeliveryOptions) foundComponents(a *change.Applying) (components []Component, options []DeliveryOption) {
	for _, given := range r.DeliveryOptions {
		details := given.Details.component()
		if details == nil {
			continue
		}
		arn := buildARN(details.ComponentArn)
		component := Component{ARN: arn, Name: nameInARN(arn), AccessRoleArn: details.AccessRoleArn}
		if kept, ok := a.Found[foundComponent+arn]; ok {
			_ = json.Unmarshal([]byte(kept), &component) // Probe wrote it
		}
		component.ID = a.IDs.UUID()
		option := DeliveryOption{
			ID: a.IDs.UUID(), SourceID: component.ID, FulfillmentOptionID: a.IDs.New("fo-", 13), Title: given.DeliveryOptionTitle,
			UsageInstructions: details.UsageInstructions.Value, SecurityGroups: []SecurityGroup{}, Visibility: product.Public,
		}
		if option.Title == "" {
			option.Title = component.Name
		}
		body, _ := json.Marshal(FulfillmentOption{Product: a.Entity.ID, Option: option.ID}) // strings always marshal
		a.Claim(KindFulfillmentOption, option.FulfillmentOptionID, body)
		components, options = append(components, component), append(options, option)
	}
	return components, options
}

// changed names the fields of a component's option that are sent with an update
// and are other than they were.
func (d *ComponentDeliveryOptionDetails) changed(present *Component) []string {
	var names []string
	if d.ComponentArn != "" && buildARN(d.ComponentArn) != present.ARN {
		names = append(names, "ComponentArn")
	}
	if d.AccessRoleArn != "" && d.AccessRoleArn != present.AccessRoleArn {
		names = append(names, "AccessRoleArn")
	}
	return names
}

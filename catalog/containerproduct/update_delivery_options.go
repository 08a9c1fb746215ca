package containerproduct

import (
	"context"
	"reflect"
	"slices"
	"strconv"

	"souk/catalog/change"
	"souk/catalog/product"
)

// UpdateDeliveryOptions changes delivery options of one version of a
// container-based product, and the version's texts. "You must include at least
// one delivery option."
//
// Catalog API Reference, "Updating version information for a container-based
// product". "When a product is publicly available, you cannot update the version
// title, container images, delivery option title, or deployment resources for
// the version." What is sent as it is already is no update.
type UpdateDeliveryOptions struct {
	Version         *VersionUpdate
	DeliveryOptions []DeliveryOptionUpdate
}

// VersionUpdate has what is to change in the version.
type VersionUpdate struct {
	VersionTitle change.Optional[string] // "This property can't be updated if the product is already published publicly." At most 64 characters.
	ReleaseNotes change.Optional[string] // "Notes for buyers to tell them about changes from one version to the next." At most 30,000 characters.
}

// DeliveryOptionUpdate has what is to change in an option.
type DeliveryOptionUpdate struct {
	Id      string                 // "Unique identifier for the DeliveryOption", as DescribeEntity shows it
	Details *DeliveryOptionDetails // of the option's own kind; what is not given stays
}

// maxUpdated is how many delivery options one change updates at most.
const maxUpdated = 4

// Valid refuses too many options, options without id, and titles and notes that would be unset.
func (u *UpdateDeliveryOptions) Valid(c *change.Checks) {
	var missing product.Missing
	if u.Version != nil {
		if u.Version.VersionTitle.Given {
			missing.Require("/Version", "VersionTitle", u.Version.VersionTitle.Value)
		}
		if u.Version.ReleaseNotes.Given {
			missing.Require("/Version", "ReleaseNotes", u.Version.ReleaseNotes.Value)
		}
	}
	if len(u.DeliveryOptions) > maxUpdated {
		missing = append(missing, "/DeliveryOptions has more than "+strconv.Itoa(maxUpdated)+" items")
	}
	for i, option := range u.DeliveryOptions {
		at := "/DeliveryOptions/" + strconv.Itoa(i)
		missing.Require(at, "Id", option.Id)
		option.Details.require(&missing, at+"/Details", false)
		option.Details.requireTitle(&missing, at+"/Details")
	}
	c.Refuse(len(missing) > 0, "422", "Provided Details is not valid. [x].", []string(missing))
}

// requireTitle notes titles that would be unset.
func (d *DeliveryOptionDetails) requireTitle(missing *product.Missing, at string) {
	if d == nil {
		return
	}
	if e := d.EcrDeliveryOptionDetails; e != nil && e.DeliveryOptionTitle.Given {
		missing.Require(at+"/EcrDeliveryOptionDetails", "DeliveryOptionTitle", e.DeliveryOptionTitle.Value)
	}
	if a := d.EksAddOnDeliveryOptionDetails; a != nil && a.DeliveryOptionTitle.Given {
		missing.Require(at+"/EksAddOnDeliveryOptionDetails", "DeliveryOptionTitle", a.DeliveryOptionTitle.Value)
	}
	if h := d.HelmDeliveryOptionDetails; h != nil && h.DeliveryOptionTitle.Given {
		missing.Require(at+"/HelmDeliveryOptionDetails", "DeliveryOptionTitle", h.DeliveryOptionTitle.Value)
	}
}

// Check states the page's errors.
func (u *UpdateDeliveryOptions) Check(p *Product, c *change.Checks) {
	plan := u.plan(p)
	c.Refuse(p.Description.Visibility == product.Restricted, "INCOMPATIBLE_PRODUCT_STATUS", "Use an existing limited or public product.")
	checkVersion(c, plan.title, plan.notes)
	c.Refuse(plan.version != nil && p.hasVersionTitle(plan.title, plan.version), "DUPLICATE_VERSION_TITLE", "The version title must be different from any other version titles of this product.", change.In("VersionTitle", plan.title))
	c.Refuse(len(plan.unknown) > 0, "MISSING_DELIVERY_OPTION_IDS", "Provide delivery option from existing list of Ids.", change.In("Id", plan.unknown...))
	c.Refuse(len(u.DeliveryOptions) == 0, "EMPTY_DELIVERY_OPTION_IDS", "Provide non-empty list of delivery option IDs.")
	c.Refuse(len(product.Repeated(u.ids())) > 0, "DUPLICATE_DELIVERY_OPTION_IDS", "Provide unique delivery option IDs.", change.In("Id", product.Repeated(u.ids())...))

	checkDeliveryOptions(c, plan.wanted())
	checkAddOns(c, plan.wanted(), plan.others(p))
	checkServiceAccounts(c, p, plan.wanted())
	c.Refuse(plan.titleTaken(), "INVALID_DELIVERY_OPTION_TITLES", "Delivery option title already exists, retry with a different title.")

	frozen := append(plan.otherKinds, plan.frozenAddOn()...)
	if p.Description.Visibility == product.Public {
		frozen = append(frozen, plan.frozen()...)
	}
	c.Refuse(len(frozen) > 0, "FIELD_NOT_ALLOWED_TO_CHANGE", "Field [x] cannot be changed.", frozen)
	c.Refuse(plan.restricted, "INVALID_DELIVERY_OPTIONS_STATUS", "Provide delivery options in public or limited state.")
	c.Refuse(len(plan.options) > 0 && len(plan.unknown) == 0 && len(plan.otherKinds) == 0 && !plan.changes(), "NO_CHANGE_FOUND", "Provide at least 1 change.")
	c.Refuse(plan.severalVersions, "MULTIPLE_VERSION_UPDATE", "Provide delivery option IDs from the same version.")
}

// Probe looks up the images and charts of options whose artifacts change, and
// asks whether an offer makes the product a paid one.
func (u *UpdateDeliveryOptions) Probe(ctx context.Context, p *Product, c *change.Checks) error {
	plan := u.plan(p)
	if err := probeServiceAccounts(ctx, c, plan.wanted()); err != nil {
		return err
	}
	var changed []DeliveryOption
	for _, option := range plan.options {
		if option.artifactsChange() {
			changed = append(changed, option.wanted)
		}
	}
	return probeDeliveryOptions(ctx, c, changed)
}

// Apply writes what was given.
func (u *UpdateDeliveryOptions) Apply(p *Product, a *change.Applying) {
	plan := u.plan(p)
	if plan.version == nil {
		return
	}
	wanted := plan.wanted()
	pin(wanted, a)
	for i, option := range plan.options {
		*option.present = wanted[i]
	}
	plan.version.Title, plan.version.ReleaseNotes = plan.title, plan.notes
}

func (u *UpdateDeliveryOptions) ids() []string {
	var ids []string
	for _, option := range u.DeliveryOptions {
		ids = append(ids, option.Id)
	}
	return ids
}

// updatePlan is what an update would do to a product.
type updatePlan struct {
	version         *Version // of the first option that there is; nil if there is none
	title, notes    string   // of the version, as they would become
	options         []optionPlan
	unknown         []string // ids that no option has
	otherKinds      []string // details of another kind than their option
	restricted      bool     // an option is restricted
	severalVersions bool     // options belong to several versions
}

// optionPlan is a delivery option of the product, and what it would become.
type optionPlan struct {
	present *DeliveryOption
	wanted  DeliveryOption
}

func (u *UpdateDeliveryOptions) plan(p *Product) updatePlan {
	var plan updatePlan
	seen := map[string]bool{}
	for _, given := range u.DeliveryOptions {
		version, option := p.find(given.Id)
		if option == nil {
			plan.unknown = append(plan.unknown, given.Id)
			continue
		}
		if seen[given.Id] {
			continue // twice in the request, which has a refusal of its own
		}
		seen[given.Id] = true
		if plan.version == nil {
			plan.version = version
		}
		plan.severalVersions = plan.severalVersions || plan.version != version
		plan.restricted = plan.restricted || option.Visibility == product.Restricted
		kind := option.kind()
		for _, other := range given.Details.kinds() {
			if other != kind && !slices.Contains(plan.otherKinds, other) {
				plan.otherKinds = append(plan.otherKinds, other)
			}
		}
		wanted := option.clone()
		given.Details.update(&wanted)
		plan.options = append(plan.options, optionPlan{present: option, wanted: wanted})
	}
	if plan.version != nil {
		plan.title, plan.notes = plan.version.Title, plan.version.ReleaseNotes
	}
	if u.Version != nil {
		u.Version.VersionTitle.Update(&plan.title)
		u.Version.ReleaseNotes.Update(&plan.notes)
	}
	return plan
}

// wanted returns the options as they would become.
func (plan *updatePlan) wanted() []DeliveryOption {
	var options []DeliveryOption
	for _, option := range plan.options {
		options = append(options, option.wanted)
	}
	return options
}

// titleTaken says whether an option of the version that is not updated has the
// title of one that is.
func (plan *updatePlan) titleTaken() bool {
	if plan.version == nil {
		return false
	}
	return slices.ContainsFunc(plan.version.DeliveryOptions, func(other DeliveryOption) bool {
		updated := slices.ContainsFunc(plan.options, func(o optionPlan) bool { return o.present.ID == other.ID })
		return !updated && slices.ContainsFunc(plan.options, func(o optionPlan) bool { return o.wanted.Title == other.Title })
	})
}

// frozen names the fields that would change although the product is public.
func (plan *updatePlan) frozen() []string {
	var title, images, resources bool
	for _, o := range plan.options {
		title = title || o.wanted.Title != o.present.Title
		images = images || !slices.Equal(uris(o.wanted.Images), uris(o.present.Images))
		resources = resources || !slices.Equal(o.wanted.DeploymentResources, o.present.DeploymentResources)
	}
	return changed([]changedField{
		{"VersionTitle", plan.version != nil && plan.title != plan.version.Title},
		{"ContainerImages", images},
		{"DeliveryOptionTitle", title},
		{"DeploymentResources", resources},
	})
}

// frozenAddOn names the fields of add-ons that would change although they never
// do, or although buyers may have installed the version already.
func (plan *updatePlan) frozenAddOn() []string {
	var name, kind, namespace, version bool
	for _, o := range plan.options {
		if o.present.AddOn == nil {
			continue
		}
		name = name || o.wanted.AddOn.Name != o.present.AddOn.Name
		kind = kind || o.wanted.AddOn.Type != o.present.AddOn.Type
		namespace = namespace || o.wanted.AddOn.Namespace != o.present.AddOn.Namespace
		version = version || o.present.Visibility == product.Public && o.wanted.AddOn.Version != o.present.AddOn.Version
	}
	return changed([]changedField{{"AddOnName", name}, {"AddOnType", kind}, {"Namespace", namespace}, {"AddOnVersion", version}})
}

// others returns the product's options that are not updated.
func (plan *updatePlan) others(p *Product) []DeliveryOption {
	return slices.DeleteFunc(p.options(), func(other DeliveryOption) bool {
		return slices.ContainsFunc(plan.options, func(o optionPlan) bool { return o.present.ID == other.ID })
	})
}

// changedField is a field, and whether an update changes it.
type changedField struct {
	name    string
	changes bool
}

// changed returns the names of fields that change.
func changed(fields []changedField) []string {
	var names []string
	for _, field := range fields {
		if field.changes {
			names = append(names, field.name)
		}
	}
	return names
}

// changes says whether anything would be other than it is.
func (plan *updatePlan) changes() bool {
	if plan.version != nil && (plan.title != plan.version.Title || plan.notes != plan.version.ReleaseNotes) {
		return true
	}
	return slices.ContainsFunc(plan.options, func(o optionPlan) bool { return !reflect.DeepEqual(o.wanted, *o.present) })
}

// artifactsChange says whether the registry has to be asked: images, chart, or
// the parameters that the chart's values have to know.
func (o *optionPlan) artifactsChange() bool {
	if !slices.Equal(uris(o.wanted.Artifacts()), uris(o.present.Artifacts())) {
		return true
	}
	if o.wanted.AddOn != nil {
		return !slices.Equal(o.wanted.AddOn.Environment, o.present.AddOn.Environment)
	}
	return o.wanted.Helm != nil && !reflect.DeepEqual(o.wanted.Helm.OverrideParameters, o.present.Helm.OverrideParameters)
}

package saasproduct

import (
	"regexp"
	"slices"
	"strconv"

	"souk/catalog/change"
	"souk/catalog/product"
)

// UpdateDeliveryOptionsVisibility says which of a SaaS product's registrations
// new buyers get, and who may try the other one.
//
// Work with SaaS products, "Update delivery option visibility": "There is always
// exactly one Public delivery option, and a maximum of one Limited delivery
// option." API options are public and no part of this.
type UpdateDeliveryOptionsVisibility struct {
	DeliveryOptions []DeliveryOptionVisibility // at most 2
}

// DeliveryOptionVisibility has what is to change in an option: one of the two at least.
type DeliveryOptionVisibility struct {
	Id               change.Optional[string]
	TargetVisibility product.Visibility // Limited, Public or Unavailable; "" leaves it as it is
	Targeting        *OptionTargeting   // who may use a Limited option; nil leaves it as it is
}

// OptionTargeting says who may use a Limited delivery option.
type OptionTargeting struct {
	PositiveTargeting *struct {
		BuyerAccounts *[]string // "The list of buyer AWS account ids". At most 100; none: nobody but the seller.
	}
}

// accounts returns the ids of the targeting; ok is false if it names no list.
func (t *OptionTargeting) accounts() (ids []string, ok bool) {
	if t.PositiveTargeting == nil || t.PositiveTargeting.BuyerAccounts == nil {
		return nil, false
	}
	return *t.PositiveTargeting.BuyerAccounts, true
}

// accountID is the form of an AWS account's id.
var accountID = regexp.MustCompile(`^[0-9]{12}$`)

// Valid states what the page refuses at once.
func (u *UpdateDeliveryOptionsVisibility) Valid(c *change.Checks) {
	c.Refuse(len(u.DeliveryOptions) == 0, "422", "The delivery option ID is missing. Provide one or more valid delivery option IDs that you wish to update, or use AddDeliveryOptions if you intended to add a new delivery option.")
	var missing product.Missing
	var ids []givenID
	var limits product.Limits
	var state, targeting, nothing, tooMany bool
	limits.Items("/DeliveryOptions", len(u.DeliveryOptions), 2)
	for i, option := range u.DeliveryOptions {
		at := "/DeliveryOptions/" + strconv.Itoa(i)
		ids = append(ids, givenID{at + "/Id", option.Id})
		if !option.Id.Given {
			missing.Require(at, "Id", "")
		}
		v := option.TargetVisibility
		state = state || v != "" && v != product.Public && v != product.Limited && v != Unavailable
		nothing = nothing || v == "" && option.Targeting == nil
		if option.Targeting == nil {
			continue
		}
		accounts, ok := option.Targeting.accounts()
		targeting = targeting || !ok || slices.ContainsFunc(accounts, func(id string) bool { return !accountID.MatchString(id) })
		tooMany = tooMany || len(accounts) > 100
	}
	refuseIDs(c, ids)
	faults := slices.Concat([]string(missing), []string(limits))
	c.Refuse(len(faults) > 0, "422", "Provided Details is not valid. [x].", faults)
	c.Refuse(state, "422", "You provided invalid option for TargetVisibility. Allowed options are: Limited, Public, Unavailable.")
	c.Refuse(targeting, "422", "You provided invalid option for PositiveTargeting. You must provide a valid parameter for BuyerAccounts.")
	c.Refuse(nothing, "422", "You provided invalid delivery option visibility details. You must provide a valid parameter for at least one of TargetVisibility or Targeting.")
	c.Refuse(tooMany, "422", "You cannot provide more than 100 targeted buyer accounts.")
}

// Check states the page's errors.
func (u *UpdateDeliveryOptionsVisibility) Check(p *Product, c *change.Checks) {
	var unknown, apis []string
	target := map[string]product.Visibility{}
	for _, given := range u.DeliveryOptions {
		option := p.find(given.Id.Value)
		switch {
		case option == nil:
			unknown = append(unknown, given.Id.Value)
		case option.Registration == nil:
			apis = append(apis, given.Id.Value)
		case given.TargetVisibility != "":
			target[option.ID] = given.TargetVisibility
		}
	}
	public := 0
	for _, option := range p.options() {
		visibility, changes := target[option.ID]
		if !changes {
			visibility = option.Visibility
		}
		if option.Registration != nil && visibility == product.Public {
			public++
		}
	}
	c.Refuse(len(unknown) > 0, "INVALID_DELIVERY_OPTION_IDS", "You provided invalid delivery option details. Provide delivery option IDs that can be found in the product. IDs not found: [x]", unknown)
	c.Refuse(len(apis) > 0, "INVALID_DELIVERY_OPTION_TYPE", "Provide delivery options of type SaaSUrlDeliveryOptionDetails. IDs of another type: [x]", apis)
	c.Refuse(len(target) > 0 && public > 1, "INVALID_VISIBILITY", "You provided more than one delivery option for the public state. Provide only one public delivery option.")
	c.Refuse(len(target) > 0 && public == 0, "INVALID_VISIBILITY", "You didn't provide a public delivery option. Provide one public delivery option.")
}

// Apply writes what was given.
func (u *UpdateDeliveryOptionsVisibility) Apply(p *Product, _ *change.Applying) {
	for _, given := range u.DeliveryOptions {
		option := p.find(given.Id.Value)
		if option == nil {
			continue
		}
		if given.TargetVisibility != "" {
			option.Visibility = given.TargetVisibility
		}
		if given.Targeting != nil {
			option.Targeting = nil
			if accounts, _ := given.Targeting.accounts(); len(accounts) > 0 {
				option.Targeting = &product.Targeting{PositiveTargeting: product.PositiveTargeting{BuyerAccounts: slices.Clone(accounts)}}
			}
		}
		if option.Visibility != product.Limited {
			option.Targeting = nil
		}
	}
}

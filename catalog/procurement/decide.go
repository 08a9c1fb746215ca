package procurement

import (
	"fmt"
	"slices"
)

// Product is what is asked of a product.
type Product struct {
	Owner      string   // account id of its seller
	Visibility string   // Draft, Limited, Public, Restricted
	Invited    []string // accounts that may obtain it while it is Limited
	Versions   []Version
}

// Version is a release of a product.
type Version struct {
	ID      string
	Title   string
	Options []Option
}

// Option is one way to get a version.
type Option struct {
	ID         string
	Visibility string   // Public, Limited, Restricted; what else there is its seller has alone
	Invited    []string // of a Limited one, beside those of the product
	Digests    []string // of the images and charts that it delivers
}

// Visibilities of products and delivery options.
const (
	draft      = "Draft"
	limited    = "Limited"
	public     = "Public"
	restricted = "Restricted"
)

// Answer is whether an account may obtain something, and why.
type Answer struct {
	OK     bool
	Reason string // a sentence without capital and full stop
	// Told says of a refusal that the account knows of the product anyway and
	// is told the reason. Of others, it must not learn that there is a product.
	Told bool
}

// Verdict is what a private marketplace says of a product.
type Verdict struct {
	OK     bool
	Reason string
}

// Case is all that a decision rests on. Its methods are pure.
type Case struct {
	Account string
	ID      string // of the product
	Product Product
	Has     []Obtained // what the account has obtained before
	Private *Verdict   // of the private marketplace that governs the account; nil: none was asked

	exists bool
}

// Obtain decides about the product as a whole.
//
// "Public: discoverable by all; Limited: by the seller and invited accounts;
// Restricted: no new subscribers" (AWS Marketplace Seller Guide). What the
// account may see is then for its private marketplace to allow, whose
// administrators' "Deny" stands over everything but the seller's own use.
func (c *Case) Obtain() Answer {
	seen := c.seen()
	if !seen.OK || c.sells() || c.Private == nil {
		return seen
	}
	if !c.Private.OK {
		return Answer{Reason: c.Private.Reason, Told: true}
	}
	return Answer{OK: true, Reason: seen.Reason + ", " + c.Private.Reason}
}

// ObtainVersion decides about a version by its id: it is obtained by one of its
// delivery options.
func (c *Case) ObtainVersion(id string) Answer {
	i := slices.IndexFunc(c.Product.Versions, func(v Version) bool { return v.ID == id })
	whole := c.Obtain()
	if !whole.OK {
		return whole
	}
	if i < 0 {
		return Answer{Reason: fmt.Sprintf("product %s has no version %s", c.ID, id), Told: true}
	}
	v := &c.Product.Versions[i]
	answer := Answer{Reason: fmt.Sprintf("version %s of product %s delivers nothing", v.Title, c.ID), Told: true}
	for j := range v.Options {
		of := c.ObtainOption(v, &v.Options[j])
		if of.OK {
			return of
		}
		if j == 0 || of.Told {
			answer = of
		}
	}
	return answer
}

// ObtainOption decides about a delivery option of a version.
//
// "Limited" options are for invited accounts; "restricted versions are still
// available for existing customers" (AWS Marketplace Seller Guide; Catalog API
// Reference, "Restricting a version of a container-based product").
func (c *Case) ObtainOption(v *Version, o *Option) Answer {
	whole := c.Obtain()
	switch {
	case !whole.OK || c.sells():
		return whole
	case o.Visibility == public:
		return whole
	case o.Visibility == limited && (slices.Contains(o.Invited, c.Account) || slices.Contains(c.Product.Invited, c.Account)):
		return Answer{OK: true, Reason: whole.Reason + ", the delivery option is Limited and the account is invited"}
	case o.Visibility == restricted && c.has(v.ID):
		return Answer{OK: true, Reason: whole.Reason + ", version " + v.Title + " is Restricted and the account has it already"}
	case o.Visibility == restricted:
		return Answer{Reason: fmt.Sprintf("version %s of product %s is Restricted: it takes no new subscribers, and account %s does not have it", v.Title, c.ID, c.Account), Told: true}
	}
	return Answer{Reason: fmt.Sprintf("the delivery option of version %s of product %s is %s", v.Title, c.ID, o.Visibility)}
}

// seen decides without the private marketplace.
func (c *Case) seen() Answer {
	visibility := c.Product.Visibility
	switch {
	case !c.exists:
		return Answer{Reason: "there is no such product"}
	case c.sells():
		return Answer{OK: true, Reason: "the account sells the product"}
	case visibility == public:
		return Answer{OK: true, Reason: "the product is Public"}
	case visibility == limited && c.Account != "" && slices.Contains(c.Product.Invited, c.Account):
		return Answer{OK: true, Reason: "the product is Limited and the account is invited"}
	case visibility == limited:
		return Answer{Reason: "the product is Limited and the account is not invited"}
	case visibility == restricted && len(c.Has) > 0:
		return Answer{OK: true, Reason: "the product is Restricted and the account has it already"}
	case visibility == restricted:
		return Answer{Reason: fmt.Sprintf("product %s is Restricted: it takes no new subscribers, and account %s has none of it", c.ID, c.Account), Told: true}
	}
	return Answer{Reason: "the product is " + visibility}
}

func (c *Case) sells() bool { return c.exists && c.Account != "" && c.Account == c.Product.Owner }

// has says whether the account has obtained a version.
func (c *Case) has(version string) bool {
	return slices.ContainsFunc(c.Has, func(o Obtained) bool { return o.Version == version })
}

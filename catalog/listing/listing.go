// Package listing is how buyers find products: a document beside each product
// that was ever released, with what searches show and look for, and the search
// over them. It is written in the commit that writes the product, so a search
// never shows what is not so, and it costs nothing to write other entities.
//
// It does not say who may obtain a product (catalog/procurement), and shows only
// what the product's visibility lets an account see: what is Public, and what is
// Limited to its seller and those who are invited.
package listing

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"souk/catalog/amiproduct"
	"souk/catalog/change"
	"souk/catalog/containerproduct"
	"souk/catalog/product"
	"souk/catalog/saasproduct"
	"souk/storage/store"
)

// Kind is the kind of the documents: the id is the product's.
const Kind = "listing"

// Listing is a product as searches show it.
type Listing struct {
	Product          string // its id
	Owner            string // account id
	Type             string // of the entity, without version
	Visibility       string // Limited, Public or Restricted
	Title            string
	ShortDescription string
	Logo             string   `json:",omitempty"` // URL
	Categories       []string `json:",omitempty"` // their names
	Options          []string `json:",omitempty"` // types of its fulfillment options, see Kinds
	Models           []string `json:",omitempty"` // pricing models: USAGE, CONTRACT, FREE
	Units            []string `json:",omitempty"` // pricing units: USERS, HOSTS, ...
	Keywords         []string `json:",omitempty"` // that searches find it by
	Code             string   // the product code
	Invited          []string `json:",omitempty"` // accounts that see it while it is Limited; in the document's body only
	Sources          []string `json:",omitempty"` // AMIs that its versions are made of
	Modified         time.Time
}

// The types of fulfillment options that products here have (Discovery API,
// FulfillmentOptionType).
const (
	AMI       = "AMAZON_MACHINE_IMAGE"
	API       = "API"
	Container = "CONTAINER"
	AddOn     = "EKS_ADD_ON"
	Helm      = "HELM"
	SaaS      = "SAAS"
	Component = "EC2_IMAGE_BUILDER_COMPONENT"
)

// Of makes the listing of a product; ok is false for what is none, and for a
// product that was never released.
func Of(e change.Entity, state any) (l Listing, ok bool) {
	f, ok := product.Of(state)
	if !ok || f.Description.Visibility == product.Draft || f.Description.Visibility == "" {
		return Listing{}, false
	}
	d := f.Description
	entityType, _, _ := strings.Cut(e.Type, "@")
	l = Listing{
		Product: e.ID, Owner: e.Owner, Type: entityType, Visibility: string(d.Visibility),
		Title: d.ProductTitle, ShortDescription: d.ShortDescription, Logo: f.PromotionalResources.LogoUrl,
		Categories: d.Categories, Keywords: d.SearchKeywords, Code: d.ProductCode, Modified: e.LastModified,
		Models: models(f), Units: units(f),
	}
	if d.Visibility == product.Limited {
		l.Invited = f.Invited()
	}
	switch p := state.(type) {
	case *containerproduct.Product:
		for _, v := range p.Versions {
			for i := range v.DeliveryOptions {
				l.offer(ContainerKind(&v.DeliveryOptions[i]), v.DeliveryOptions[i].Visibility)
			}
		}
	case *amiproduct.Product:
		for _, v := range p.Versions {
			for _, s := range v.Sources {
				l.Sources = add(l.Sources, s.AMI)
			}
			for i := range v.DeliveryOptions {
				l.offer(AMIKind(&v.DeliveryOptions[i]), v.DeliveryOptions[i].Visibility)
			}
		}
	case *saasproduct.Product:
		for _, v := range p.Versions {
			for i := range v.DeliveryOptions {
				l.offer(SaaSKind(&v.DeliveryOptions[i]), v.DeliveryOptions[i].Visibility)
			}
		}
	}
	return l, true
}

// offer notes that the product has an option of a type, if new buyers get it.
func (l *Listing) offer(kind string, v product.Visibility) {
	if v == product.Public || v == product.Limited && l.Visibility == string(product.Limited) {
		l.Options = add(l.Options, kind)
	}
}

// ContainerKind is the type of an option of a container product.
func ContainerKind(o *containerproduct.DeliveryOption) string {
	switch {
	case o.AddOn != nil:
		return AddOn
	case o.Helm != nil:
		return Helm
	}
	return Container
}

// AMIKind is the type of an option of an AMI product.
func AMIKind(o *amiproduct.DeliveryOption) string {
	if o.FulfillmentOptionID != "" {
		return Component
	}
	return AMI
}

// SaaSKind is the type of an option of a SaaS product.
func SaaSKind(o *saasproduct.DeliveryOption) string {
	if o.API != nil {
		return API
	}
	return SaaS
}

// models are the pricing models that the product's dimensions allow: what is
// bought in advance is a contract, what is metered is usage. Without dimensions
// there is nothing to pay for.
func models(f *product.Facets) []string {
	var all []string
	for _, d := range f.Dimensions {
		for _, t := range d.Types {
			if t == product.Entitled {
				all = add(all, "CONTRACT")
			} else {
				all = add(all, "USAGE")
			}
		}
	}
	if all == nil {
		return []string{"FREE"}
	}
	return all
}

// units are the pricing units of the product's dimensions: those that the
// service names, else UNITS.
func units(f *product.Facets) []string {
	named := []string{"USERS", "HOSTS", "BANDWIDTH", "DATA", "TIERS", "REQUESTS"}
	var all []string
	for _, d := range f.Dimensions {
		unit := strings.ToUpper(d.Unit)
		if !slices.Contains(named, unit) {
			unit = "UNITS"
		}
		all = add(all, unit)
	}
	return all
}

// ID is the id of a product's listing.
func ID(product string) string { return "prodview-" + strings.TrimPrefix(product, "prod-") }

// ProductOf is the id of the product that a listing is of; ok is false for what
// is no listing's id.
func ProductOf(listing string) (product string, ok bool) {
	rest, ok := strings.CutPrefix(listing, "prodview-")
	return "prod-" + rest, ok && rest != ""
}

// Profile is the id of an account as a seller: buyers see it, and not the account.
func Profile(account string) string {
	sum := sha256.Sum256([]byte("seller profile of " + account))
	return "seller-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:13])
}

// CategoryID is the id of a category by its name.
func CategoryID(name string) string {
	var b strings.Builder
	gap := false
	for _, r := range strings.ToLower(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			if gap && b.Len() > 0 {
				b.WriteByte('-')
			}
			b.WriteRune(r)
		}
		gap = !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9')
	}
	return b.String()
}

// values are what filters of the service ask for, by the filter.
func (l *Listing) values(filter string) []string {
	switch filter {
	case Category:
		var ids []string
		for _, name := range l.Categories {
			ids = append(ids, CategoryID(name))
		}
		return ids
	case Publisher:
		return []string{Profile(l.Owner)}
	case FulfillmentOptionType:
		return l.Options
	case PricingModel:
		return l.Models
	case PricingUnit:
		return l.Units
	}
	return nil
}

// The filters by values that listings have, as the service spells them.
const (
	Category              = "CATEGORY"
	Publisher             = "PUBLISHER"
	FulfillmentOptionType = "FULFILLMENT_OPTION_TYPE"
	PricingModel          = "PRICING_MODEL"
	PricingUnit           = "PRICING_UNIT"
)

var filters = []string{Category, Publisher, FulfillmentOptionType, PricingModel, PricingUnit}

// The indexes of listings.
const (
	indexShown  = "shown"  // partition everybody, or an account; by title
	indexSource = "source" // partition an AMI's id: products whose versions are made of it
	indexCode   = "code"   // partition a product code

	everybody = "all"
)

// Write makes the document of a product, to be written with it; nil for what
// has no listing.
func Write(e change.Entity, state any) ([]store.Write, error) {
	l, ok := Of(e, state)
	if !ok {
		return nil, nil
	}
	d, err := l.document()
	if err != nil {
		return nil, err
	}
	return []store.Write{{Document: d, Was: store.Any}}, nil
}

// document is a listing as the store keeps it. What everybody sees has terms;
// the few that are Limited are looked at one by one.
func (l Listing) document() (store.Document, error) {
	body, err := json.Marshal(l)
	if err != nil {
		return store.Document{}, fmt.Errorf("writing the listing of %s: %w", l.Product, err)
	}
	short := l
	short.Invited, short.Sources = nil, nil
	summary, err := json.Marshal(short)
	if err != nil {
		return store.Document{}, fmt.Errorf("writing the listing of %s: %w", l.Product, err)
	}
	d := store.Document{Key: store.Key{Kind: Kind, ID: l.Product}, Summary: summary, Body: body, Terms: []string{}}
	title := l.sort()
	switch l.Visibility {
	case string(product.Public):
		d.Index = append(d.Index, store.Entry{Index: indexShown, Partition: everybody, Sort: title, Cover: summary})
		d.Terms = l.terms()
	case string(product.Limited):
		seen := add([]string{l.Owner}, l.Invited...)
		for _, account := range seen {
			d.Index = append(d.Index, store.Entry{Index: indexShown, Partition: account, Sort: title})
		}
	}
	for _, ami := range l.Sources {
		d.Index = append(d.Index, store.Entry{Index: indexSource, Partition: ami})
	}
	if l.Code != "" {
		d.Index = append(d.Index, store.Entry{Index: indexCode, Partition: l.Code})
	}
	return d, nil
}

// sort is what listings are sorted by where nothing makes one more relevant.
func (l *Listing) sort() string { return cut(strings.ToLower(l.Title)) }

// cut shortens a text between characters to what the store sorts by.
func cut(text string) string {
	const most = 400
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}

// terms are what a listing is found by: the trigrams of its words, and the
// values of its filters.
func (l *Listing) terms() []string {
	terms := []string{}
	for _, text := range l.texts() {
		terms = append(terms, trigrams(text)...)
	}
	for _, filter := range filters {
		for _, v := range l.values(filter) {
			terms = append(terms, valueTerm(filter, v))
		}
	}
	slices.Sort(terms)
	return slices.Compact(terms)
}

// texts are what words are looked for in, the most telling first.
func (l *Listing) texts() []string {
	return append([]string{l.Title, strings.Join(l.Keywords, " "), l.ShortDescription}, l.Product, l.Type)
}

func valueTerm(filter, value string) string { return "=" + filter + "=" + value }

// trigrams are the runs of three characters of a text in small letters.
func trigrams(text string) []string {
	var all []string
	runes := []rune(strings.ToLower(text))
	for i := 0; i+3 <= len(runes); i++ {
		all = append(all, string(runes[i:i+3]))
	}
	return all
}

// add appends the values that a list lacks.
func add(list []string, values ...string) []string {
	for _, v := range values {
		if !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

package marketplacecatalog

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"souk/catalog/changeset"
)

// EntityTypeFilters is a union: the member of the EntityType that is listed.
//
// Catalog API Reference, "EntityTypeFilters".
type EntityTypeFilters struct {
	AmiProductFilters       *ProductFilters
	ContainerProductFilters *ProductFilters
	DataProductFilters      *DataProductFilters
	SaaSProductFilters      *ProductFilters
	OfferFilters            *OfferFilters

	// Those of entity types that there are none of here.
	ExpressPrivateOfferConfigurationFilters jsontext.Value
	MachineLearningProductFilters           jsontext.Value
	OfferSetFilters                         jsontext.Value
	ResaleAuthorizationFilters              jsontext.Value
	SubsidiaryAuthorizationFilters          jsontext.Value
}

// ProductFilters are the filters of AMI, container and SaaS products.
type ProductFilters struct {
	EntityId         *EntityIDFilter
	LastModifiedDate *DateFilter
	ProductTitle     *ProductTitleFilter
	Visibility       *VisibilityFilter
}

// DataProductFilters are the filters of data products.
type DataProductFilters struct {
	EntityId         *EntityIDFilter
	LastModifiedDate *DateFilter
	ProductTitle     *ProductTitleFilter
	Visibility       *DataProductVisibilityFilter
}

// OfferFilters are the filters of offers.
type OfferFilters struct {
	EntityId              *EntityIDFilter
	Name                  *OfferNameFilter
	ProductId             *ProductIDFilter
	ResaleAuthorizationId *EntityIDFilter
	ReleaseDate           *DateFilter
	AvailabilityEndDate   *DateFilter
	LastModifiedDate      *DateFilter
	BuyerAccounts         *BuyerAccountsFilter
	State                 *OfferStateFilter
	Targeting             *OfferTargetingFilter
	OfferSetId            *OfferSetIDFilter
	TargetAgreementId     *ProductIDFilter
	TargetAgreementIntent *AgreementIntentFilter
	CreatedBySource       *CreatedBySourceFilter
}

// Filters by one member. What has a ValueList keeps what has one of its values;
// a WildCardValue is part of the value, in capital letters or small ones.
type (
	// EntityIDFilter is one by ids of entities.
	EntityIDFilter struct {
		ValueList []string `size:"1,10" memberlen:"1,255" memberpattern:"^[a-zA-Z0-9][.a-zA-Z0-9/-]+[a-zA-Z0-9]$"`
	}
	// ProductIDFilter is one by ids of any form.
	ProductIDFilter struct {
		ValueList []string `size:"1,10" memberlen:"1,255" memberpattern:"^(.)+$"`
	}
	// OfferSetIDFilter is one by ids of offer sets.
	OfferSetIDFilter struct {
		ValueList []string `size:"1,10" memberlen:"1,50" memberpattern:"^offerset-[a-zA-Z0-9][.a-zA-Z0-9/-]+[a-zA-Z0-9]$"`
	}
	// ProductTitleFilter is one by titles of products.
	ProductTitleFilter struct {
		ValueList     []string `size:"1,10" memberlen:"1,255" memberpattern:"^(.)+$"`
		WildCardValue *string  `len:"1,255" pattern:"^(.)+$"`
	}
	// OfferNameFilter is one by names of offers.
	OfferNameFilter struct {
		ValueList     []string `size:"1,10" memberlen:"1,150" memberpattern:"^(.)+$"`
		WildCardValue *string  `len:"1,150" pattern:"^(.)+$"`
	}
	// BuyerAccountsFilter is one by the accounts of buyers.
	BuyerAccountsFilter struct {
		WildCardValue *string `len:"1,255" pattern:"^(.)+$"`
	}
	// VisibilityFilter is one by who sees a product.
	VisibilityFilter struct {
		ValueList []string `size:"1,10" memberenum:"Limited,Public,Restricted,Draft"`
	}
	// DataProductVisibilityFilter is one by who sees a data product.
	DataProductVisibilityFilter struct {
		ValueList []string `size:"1,10" memberenum:"Limited,Public,Restricted,Unavailable,Draft"`
	}
	// OfferStateFilter is one by states of offers.
	OfferStateFilter struct {
		ValueList []string `size:"1,2" memberenum:"Draft,Released"`
	}
	// OfferTargetingFilter is one by how buyers of offers are chosen.
	OfferTargetingFilter struct {
		ValueList []string `size:"1,4" memberenum:"BuyerAccounts,ParticipatingPrograms,CountryCodes,None"`
	}
	// AgreementIntentFilter is one by what offers do with an agreement.
	AgreementIntentFilter struct {
		ValueList []string `size:"1,10" memberenum:"Renew"`
	}
	// CreatedBySourceFilter is one by who made offers.
	CreatedBySourceFilter struct {
		ValueList []string `size:"1,10" memberenum:"Seller,AwsMarketplace"`
	}
	// DateFilter is one by a date.
	DateFilter struct {
		DateRange *DateRange
	}
	// DateRange has times between which a date lies; both are part of it.
	DateRange struct {
		AfterValue  *string `len:"20,20" pattern:"^([\\d]{4})\\-(1[0-2]|0[1-9])\\-(3[01]|0[1-9]|[12][\\d])T(2[0-3]|[01][\\d]):([0-5][\\d]):([0-5][\\d])Z$"`
		BeforeValue *string `len:"20,20" pattern:"^([\\d]{4})\\-(1[0-2]|0[1-9])\\-(3[01]|0[1-9]|[12][\\d])T(2[0-3]|[01][\\d]):([0-5][\\d]):([0-5][\\d])Z$"`
	}
)

const (
	mostFilters   = 8
	mostWildcards = 1
)

// agree refuses a union of another entity type: its members are named after
// their types.
func agree(union, suffix, entityType string, members []string) error {
	switch {
	case len(members) != 1:
		return invalid("%s must have one member, the one of the entity type '%s'.", union, entityType)
	case members[0] != entityType+suffix:
		return invalid("%s has the member '%s', which does not agree with the entity type '%s'.", union, members[0], entityType)
	}
	return nil
}

// collector makes the engine's filters of a request's.
type collector struct {
	filters   []changeset.FieldFilter
	wildcards int
	err       error
}

// values adds a filter by values.
func (c *collector) values(name string, values []string) {
	if values != nil {
		c.filters = append(c.filters, changeset.FieldFilter{Name: engineName(name), Values: values})
	}
}

// text adds a filter by values or by a part of them.
func (c *collector) text(name string, values []string, part *string) {
	switch {
	case part == nil:
		c.values(name, values)
	case values != nil:
		c.err = invalid("Filter '%s' must have either a ValueList or a WildCardValue.", name)
	default:
		c.wildcards++
		c.filters = append(c.filters, changeset.FieldFilter{Name: engineName(name), Contains: *part})
	}
}

// date adds a filter by a range of times.
func (c *collector) date(name string, f *DateFilter) {
	if f == nil || f.DateRange == nil || f.DateRange.AfterValue == nil && f.DateRange.BeforeValue == nil {
		return
	}
	c.filters = append(c.filters, changeset.FieldFilter{
		Name: name, From: c.time(name, f.DateRange.AfterValue), To: c.time(name, f.DateRange.BeforeValue),
	})
}

func (c *collector) time(name string, value *string) time.Time {
	if value == nil {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, *value)
	if err != nil || t.Year() < 1 || t.Year() > 9998 { // the thirtieth of February
		c.err = invalid("Value '%s' of filter '%s' is not a time of the form 2018-02-27T13:45:22Z.", *value, name)
	}
	return t
}

// engineName is what the engine calls a member.
func engineName(name string) string {
	if name == "ProductTitle" {
		return "Name"
	}
	return name
}

func (f *ProductFilters) add(c *collector) {
	if v := f.EntityId; v != nil {
		c.values("EntityId", v.ValueList)
	}
	c.date("LastModifiedDate", f.LastModifiedDate)
	if v := f.ProductTitle; v != nil {
		c.text("ProductTitle", v.ValueList, v.WildCardValue)
	}
	if v := f.Visibility; v != nil {
		c.values("Visibility", v.ValueList)
	}
}

func (f *DataProductFilters) add(c *collector) {
	p := ProductFilters{EntityId: f.EntityId, LastModifiedDate: f.LastModifiedDate, ProductTitle: f.ProductTitle}
	if v := f.Visibility; v != nil {
		p.Visibility = &VisibilityFilter{v.ValueList}
	}
	p.add(c)
}

func (f *OfferFilters) add(c *collector) {
	if v := f.EntityId; v != nil {
		c.values("EntityId", v.ValueList)
	}
	if v := f.Name; v != nil {
		c.text("Name", v.ValueList, v.WildCardValue)
	}
	if v := f.ProductId; v != nil {
		c.values("ProductId", v.ValueList)
	}
	if v := f.ResaleAuthorizationId; v != nil {
		c.values("ResaleAuthorizationId", v.ValueList)
	}
	c.date("ReleaseDate", f.ReleaseDate)
	c.date("AvailabilityEndDate", f.AvailabilityEndDate)
	c.date("LastModifiedDate", f.LastModifiedDate)
	if v := f.BuyerAccounts; v != nil {
		c.text("BuyerAccounts", nil, v.WildCardValue)
	}
	if v := f.State; v != nil {
		c.values("State", v.ValueList)
	}
	if v := f.Targeting; v != nil {
		c.values("Targeting", v.ValueList)
	}
	if v := f.OfferSetId; v != nil {
		c.values("OfferSetId", v.ValueList)
	}
	if v := f.TargetAgreementId; v != nil {
		c.values("TargetAgreementId", v.ValueList)
	}
	if v := f.TargetAgreementIntent; v != nil {
		c.values("TargetAgreementIntent", v.ValueList)
	}
	if v := f.CreatedBySource; v != nil {
		c.values("CreatedBySource", v.ValueList)
	}
}

// fields are the engine's filters. An entity type that there is none of is
// refused by the engine, whatever its filters.
func (f *EntityTypeFilters) fields(entityType string) ([]changeset.FieldFilter, error) {
	c := &collector{}
	var members []string
	note := func(name string, given bool, add func(*collector)) {
		if given {
			members = append(members, name)
			if strings.TrimSuffix(name, "Filters") == entityType && add != nil {
				add(c)
			}
		}
	}
	note("AmiProductFilters", f.AmiProductFilters != nil, f.AmiProductFilters.add)
	note("ContainerProductFilters", f.ContainerProductFilters != nil, f.ContainerProductFilters.add)
	note("DataProductFilters", f.DataProductFilters != nil, f.DataProductFilters.add)
	note("SaaSProductFilters", f.SaaSProductFilters != nil, f.SaaSProductFilters.add)
	note("OfferFilters", f.OfferFilters != nil, f.OfferFilters.add)
	note("ExpressPrivateOfferConfigurationFilters", given(f.ExpressPrivateOfferConfigurationFilters), nil)
	note("MachineLearningProductFilters", given(f.MachineLearningProductFilters), nil)
	note("OfferSetFilters", given(f.OfferSetFilters), nil)
	note("ResaleAuthorizationFilters", given(f.ResaleAuthorizationFilters), nil)
	note("SubsidiaryAuthorizationFilters", given(f.SubsidiaryAuthorizationFilters), nil)
	if err := agree("EntityTypeFilters", "Filters", entityType, members); err != nil {
		return nil, err
	}
	switch {
	case c.err != nil:
		return nil, c.err
	case len(c.filters) > mostFilters:
		return nil, invalid("EntityTypeFilters has %d filters, at most %d are supported.", len(c.filters), mostFilters)
	case c.wildcards > mostWildcards:
		return nil, invalid("EntityTypeFilters has %d filters with a WildCardValue, at most %d is supported.", c.wildcards, mostWildcards)
	}
	return c.filters, nil
}

// given says whether a member of any JSON type is there.
func given(v jsontext.Value) bool { return len(v) > 0 && v.Kind() != jsontext.KindNull }

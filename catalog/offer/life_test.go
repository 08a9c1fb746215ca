package offer_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"souk/catalog/change"
	"souk/catalog/offer"
	"souk/catalog/product"
)

// shows fails unless DescribeEntity shows the document.
func (i item) shows(t *testing.T, document string) {
	t.Helper()
	var want map[string]any
	if err := json.Unmarshal([]byte(document), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, i.Described(t)); diff != "" {
		t.Errorf("DetailsDocument (-want +got):\n%s", diff)
	}
}

// lists fails unless ListEntities shows a visibility and fields.
func (i item) lists(t *testing.T, visibility string, fields map[string][]string) {
	t.Helper()
	got := i.Listed()
	delete(got.Fields, "PublicOfferOf")
	if got.Visibility != visibility || !reflect.DeepEqual(got.Fields, fields) {
		t.Errorf("got  %s %v\nwant %s %v", got.Visibility, got.Fields, visibility, fields)
	}
}

func TestPublicOfferFromDraftToNewPrices(t *testing.T) {
	t.Parallel()
	i := given(t, "")
	i.Do(t, "CreateOffer", `{"ProductId":"prod-container0001"}`)
	id := i.Entity.ID
	i.shows(t, `{"Id":"`+id+`","State":"Draft","Name":"","Description":"","ProductId":"prod-container0001","Terms":[],"Rules":[]}`)
	i.lists(t, "Draft", map[string][]string{"ProductId": {"prod-container0001"}, "State": {"Draft"}, "Targeting": {"None"}, "CreatedBySource": {"Seller"}})

	// As AWS's sample "publish a SaaS product with usage based pricing" does it.
	i.Do(t, "UpdateInformation", `{"Name":"Test public offer","Description":"Test public offer with usage-based pricing"}`)
	i.Do(t, "UpdatePricingTerms", `{"PricingModel":"Usage","Terms":[{"Type":"UsageBasedPricingTerm","CurrencyCode":"USD","RateCards":[{"RateCard":[{"DimensionKey":"requests","Price":"1.0"}]}]}]}`)
	i.Do(t, "UpdateLegalTerms", `{"Terms":[{"Type":"LegalTerm","Documents":[{"Type":"StandardEula","Version":"2022-07-14"}]}]}`)
	i.Do(t, "UpdateSupportTerms", `{"Terms":[{"Type":"SupportTerm","RefundPolicy":"Absolutely no refund, period."}]}`)
	i.Do(t, "ReleaseOffer", `{}`)
	i.Do(t, "UpdateTargeting", `{"PositiveTargeting":{"CountryCodes":["US","ES","FR","AU"]}}`)
	i.Do(t, "UpdatePricingTerms", `{"PricingModel":"Usage","Terms":[{"Type":"UsageBasedPricingTerm","CurrencyCode":"USD","RateCards":[{"RateCard":[{"DimensionKey":"requests","Price":"0.9"},{"DimensionKey":"traffic","Price":"0.00000001"}]}]},{"Type":"FreeTrialPricingTerm","Duration":"P30D","Grants":[{"DimensionKey":"requests","MaxQuantity":10}]}]}`)
	i.shows(t, `{
		"Id": "`+id+`", "State": "Released", "Name": "Test public offer", "Description": "Test public offer with usage-based pricing", "ProductId": "prod-container0001",
		"Terms": [
			{"Type": "LegalTerm", "Documents": [{"Type": "StandardEula", "Version": "2022-07-14"}]},
			{"Type": "SupportTerm", "RefundPolicy": "Absolutely no refund, period."},
			{"Type": "UsageBasedPricingTerm", "CurrencyCode": "USD", "RateCards": [{"RateCard": [{"DimensionKey": "requests", "Price": "0.9"}, {"DimensionKey": "traffic", "Price": "0.00000001"}]}]},
			{"Type": "FreeTrialPricingTerm", "Duration": "P30D", "Grants": [{"DimensionKey": "requests", "MaxQuantity": 10}]}
		],
		"Rules": [{"Type": "TargetingRule", "PositiveTargeting": {"CountryCodes": ["US", "ES", "FR", "AU"]}}]
	}`)
	i.lists(t, "Public", map[string][]string{
		"ProductId": {"prod-container0001"}, "State": {"Released"}, "Targeting": {"CountryCodes"}, "CreatedBySource": {"Seller"}, "ReleaseDate": {"2021-03-02T00:00:00Z"},
	})
}

func TestPrivateOfferWithPaymentsInParts(t *testing.T) {
	t.Parallel()
	i := given(t, "scheduled prices")
	i.Do(t, "UpdateInformation", `{"PreExistingAgreement":{"AcquisitionChannel":"External","PricingModel":"Contract"}}`)
	i.Do(t, "UpdateRenewalTerms", `{"Terms":[{"Type":"RenewalTerm","LockoutPeriod":"P30D","AdjustmentDeadline":"P60D","MaxRenewals":3,"PriceIncrease":{"Type":"PercentageRange","Range":{"MinValue":"3.00","MaxValue":"10.00","DefaultValue":"5.00"}},
		"TermTemplates":[{"Type":"PaymentScheduleTermTemplate","Schedule":[{"ChargeDateOffset":"P0M","ChargePercentage":"50.00"},{"ChargeDateOffset":"P6M","ChargePercentage":"50.00","DayOfMonth":15}]}]}]}`)
	i.Do(t, "ReleaseOffer", `{}`)
	i.shows(t, `{
		"Id": "`+i.Entity.ID+`", "State": "Released", "Name": "Sample offer", "Description": "A sample.", "ProductId": "prod-container0002",
		"PreExistingAgreement": {"AcquisitionChannel": "External", "PricingModel": "Contract"},
		"Terms": [
			{"Type": "LegalTerm", "Documents": [{"Type": "CustomEula", "Url": "https://s3.amazonaws.com/sample-bucket/custom-eula.pdf"}]},
			{"Type": "ValidityTerm", "AgreementDuration": "P12M"},
			{"Type": "PaymentScheduleTerm", "CurrencyCode": "USD", "Schedule": [
				{"ChargeDate": "2090-06-01T00:00:00.000Z", "ChargeAmount": "100.00"}, {"ChargeDate": "2090-12-01T00:00:00.000Z", "ChargeAmount": "100.00"}]},
			{"Type": "FixedUpfrontPricingTerm", "CurrencyCode": "USD", "Price": "0.0", "Duration": "P12M", "Grants": [{"DimensionKey": "users", "MaxQuantity": 10}]},
			{"Type": "RenewalTerm", "LockoutPeriod": "P30D", "AdjustmentDeadline": "P60D", "MaxRenewals": 3,
			 "PriceIncrease": {"Type": "PercentageRange", "Range": {"MinValue": "3.00", "MaxValue": "10.00", "DefaultValue": "5.00"}},
			 "TermTemplates": [{"Type": "PaymentScheduleTermTemplate", "Schedule": [
				{"ChargeDateOffset": "P0M", "ChargePercentage": "50.00"}, {"ChargeDateOffset": "P6M", "ChargePercentage": "50.00", "DayOfMonth": 15}]}]}
		],
		"Rules": [
			{"Type": "TargetingRule", "PositiveTargeting": {"BuyerAccounts": ["111111111111", "222222222222"]}},
			{"Type": "AvailabilityRule", "AvailabilityEndDate": "2090-06-30T23:59:59.999Z"}
		]
	}`)
	i.lists(t, "Limited", map[string][]string{
		"ProductId": {"prod-container0002"}, "State": {"Released"}, "Targeting": {"BuyerAccounts"}, "CreatedBySource": {"Seller"}, "ReleaseDate": {"2021-03-02T00:00:00Z"},
		"BuyerAccounts": {"111111111111", "222222222222"}, "AvailabilityEndDate": {"2090-06-30T23:59:59Z"},
	})
}

func TestDatesAsDescribeEntityShowsThemAreAccepted(t *testing.T) {
	t.Parallel()
	i := given(t, "private draft")
	i.Do(t, "UpdateAvailability", `{"AvailabilityEndDate":"2090-06-30T23:59:59.999Z"}`)
	i.Do(t, "UpdatePaymentScheduleTerms", `{"Terms":[{"Type":"PaymentScheduleTerm","CurrencyCode":"USD","Schedule":[{"ChargeDate":"2090-12-01T00:00:00.000Z","ChargeAmount":"1000.00"}]}]}`)
	o := i.State.(*offer.Offer)
	if o.AvailabilityEndDate != "2090-06-30" || o.Terms[1].Schedule[0].ChargeDate != "2090-12-01" {
		t.Errorf("stored as %s and %s", o.AvailabilityEndDate, o.Terms[1].Schedule[0].ChargeDate)
	}
}

func TestNullsUnset(t *testing.T) {
	t.Parallel()
	i := given(t, "renewing")
	i.Do(t, "UpdateInformation", `{"Name":null,"Description":null,"PreExistingAgreement":null}`)
	if o := i.State.(*offer.Offer); o.Name != "" || o.Description != "" || o.PreExistingAgreement != nil {
		t.Errorf("left %+v", o)
	}
}

func TestUpdateRemovesWhatItDoesNotName(t *testing.T) {
	t.Parallel()
	i := given(t, "scheduled")
	i.Do(t, "UpdatePaymentScheduleTerms", `{"Terms":[]}`)
	i.Do(t, "UpdateValidityTerms", `{"Terms":[]}`)
	i.Do(t, "UpdateTargeting", `{}`)
	o := i.State.(*offer.Offer)
	if len(o.Terms) != 1 || o.Terms[0].Type != "LegalTerm" {
		t.Errorf("left %+v", o.Terms)
	}
	if got := i.Kind.List(o).Fields["Targeting"]; !slices.Equal(got, []string{"None"}) {
		t.Errorf("targeting is %q", got)
	}
}

// A removal: the prices still name the dimensions that RestrictDimensions of the
// same set, or of one before, takes away.
func TestPricesOfRestrictedDimensionsStay(t *testing.T) {
	t.Parallel()
	const both = `{"PricingModel":"Usage","Terms":[{"Type":"UsageBasedPricingTerm","CurrencyCode":"USD","RateCards":[{"RateCard":[{"DimensionKey":"requests","Price":"0.10"},{"DimensionKey":"traffic","Price":"0.10"}]}]}]}`
	const less = `{"PricingModel":"Usage","Terms":[{"Type":"UsageBasedPricingTerm","CurrencyCode":"USD","RateCards":[{"RateCard":[{"DimensionKey":"requests","Price":"0.10"}]}]}]}`
	i := given(t, "public")
	p := i.market.states[products["product"]].(*software)
	p.Dimension("traffic").Restricted = true
	i.Do(t, "UpdatePricingTerms", both)
	i.Refused(t, "UpdatePricingTerms", less, "INVALID_RATE_CARD")

	draft := given(t, "draft")
	draft.market.states[products["product"]].(*software).Dimension("traffic").Restricted = true
	draft.Refused(t, "UpdatePricingTerms", both, "INCOMPATIBLE_PRODUCT")
	draft.Set = []change.Beside{{ChangeType: "RestrictDimensions", EntityType: "ContainerProduct@1.0", EntityID: products["product"]}}
	draft.Do(t, "UpdatePricingTerms", both)
}

func TestProductInDraftIsReleasedWithItsOffer(t *testing.T) {
	t.Parallel()
	i := given(t, "of a draft")
	i.Set = []change.Beside{{ChangeType: "ReleaseProduct", EntityType: "ContainerProduct@1.0", EntityID: products["product"]}}
	i.Refused(t, "ReleaseOffer", `{}`, "INCOMPATIBLE_PRODUCT") // another product is released
	i.Set[0].EntityID = products["product:draft"]
	i.Do(t, "ReleaseOffer", `{}`)
}

func TestSaaSContractRenewsItself(t *testing.T) {
	t.Parallel()
	i := given(t, "saas contract")
	i.Do(t, "UpdateRenewalTerms", `{"Terms":[{"Type":"RenewalTerm"}]}`)
	i.Do(t, "ReleaseOffer", `{}`)
}

// Both currencies change in one set, the schedule's before the prices'.
func TestCurrencyOfAllTermsChangesInOneSet(t *testing.T) {
	t.Parallel()
	const euros = `{"Terms":[{"Type":"PaymentScheduleTerm","CurrencyCode":"EUR","Schedule":[{"ChargeDate":"2090-07-01","ChargeAmount":"100.00"}]}]}`
	i := given(t, "scheduled prices")
	i.Refused(t, "UpdatePaymentScheduleTerms", euros, "INVALID_CURRENCY_CODE")
	i.Set = []change.Beside{{ChangeType: "UpdatePricingTerms", EntityType: "Offer@1.0", EntityID: i.Entity.ID}}
	i.Do(t, "UpdatePaymentScheduleTerms", euros)
	i.Do(t, "UpdatePricingTerms", `{"PricingModel":"Contract","Terms":[{"Type":"FixedUpfrontPricingTerm","CurrencyCode":"EUR","Price":"0","Duration":"P12M","Grants":[{"DimensionKey":"users","MaxQuantity":1}]}]}`)
}

func TestOfferExpiresWithTheDay(t *testing.T) {
	t.Parallel()
	const eula = `{"Terms":[{"Type":"LegalTerm","Documents":[{"Type":"StandardEula","Version":"2022-07-14"}]}]}`
	i := given(t, "private ready")
	i.Now = time.Date(2090, 6, 30, 23, 59, 59, 0, time.UTC)
	i.Do(t, "UpdateLegalTerms", eula)
	i.Now = i.Now.Add(time.Second)
	i.Refused(t, "UpdateLegalTerms", eula, "INCOMPATIBLE_TERMS")
	i.Refused(t, "ReleaseOffer", `{}`, "MISSING_AVAILABILITY_END_DATE")
	i.Do(t, "UpdateAvailability", `{"AvailabilityEndDate":"2090-07-31"}`)
	i.Do(t, "ReleaseOffer", `{}`)
}

func TestOffersWithAPriceAbove0ArePriced(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]bool{"draft": false, "second trial": false, "ready": true, "contract": true, "scheduled prices": true} {
		o := given(t, state).State.(*offer.Offer)
		if o.Priced() != want {
			t.Errorf("%s: priced is %t", state, o.Priced())
		}
	}
	zero := &offer.Offer{Terms: []offer.Term{{Type: "UsageBasedPricingTerm", RateCards: []offer.RateCard{{RateCard: []offer.Rate{{DimensionKey: "a", Price: "0"}, {DimensionKey: "b", Price: "00.000"}}}}}}}
	if zero.Priced() {
		t.Error("prices of 0 count")
	}
	zero.Terms[0].RateCards[0].RateCard[1].Price = "10"
	if !zero.Priced() {
		t.Error("a price of 10 does not count")
	}
}

func TestMembersOfOtherTermsAreIgnored(t *testing.T) {
	t.Parallel()
	i := given(t, "draft")
	i.Do(t, "UpdatePricingTerms", `{"PricingModel":"Byol","Terms":[{"Type":"ByolPricingTerm","Price":"5","CurrencyCode":"XYZ","RefundPolicy":"none"}]}`)
	o := i.State.(*offer.Offer)
	if want := []offer.Term{{Type: "ByolPricingTerm"}}; !reflect.DeepEqual(o.Terms, want) {
		t.Errorf("got %+v", o.Terms)
	}
}

func TestWrongJSONTypesAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	i := given(t, "draft")
	for changeType, details := range map[string]string{
		"CreateOffer":        `{"ProductId":["prod-1"]}`,
		"UpdatePricingTerms": `{"PricingModel":"Usage","Terms":[{"Type":"RecurringPaymentTerm","Price":100}]}`,
		"UpdateTargeting":    `{"PositiveTargeting":{"BuyerAccounts":[null]}}`,
		"UpdateAvailability": `{"AvailabilityEndDate":20900101}`,
		"UpdateLegalTerms":   `{"Terms":{}}`,
		"ReleaseOffer":       `[]`,
	} {
		i.Refused(t, changeType, details, "422")
	}
}

func TestOfferOfAnotherTypeOfProductNeedsNoVersion(t *testing.T) {
	t.Parallel()
	for _, visibility := range []product.Visibility{product.Draft, product.Limited, product.Public} {
		i := given(t, "")
		i.market.states[products["product"]].(*software).Description.Visibility = visibility
		i.Do(t, "CreateOffer", `{"ProductId":"prod-container0001","Name":null}`)
	}
}

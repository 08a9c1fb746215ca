package marketplacecatalog_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	catalog "github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"souk/catalog/change"
)

// offer is the state of the offers of these tests: what lists show of it.
type offer struct {
	Name   string
	Fields map[string][]string
}

type createOffer offer

func (d *createOffer) Check(*offer, *change.Checks)       {}
func (d *createOffer) Apply(o *offer, _ *change.Applying) { *o = offer(*d) }

var offerType = &change.EntityType{
	Name: "Offer", Version: "1.0",
	Types:  []change.Type{change.Of[offer, createOffer](change.Type{Name: "CreateOffer", Creates: true})},
	Fields: []string{"ProductId", "State", "ReleaseDate", "AvailabilityEndDate", "BuyerAccounts", "Targeting", "CreatedBySource"},
	New:    func() any { return &offer{} },
	NewID:  func(ids *change.IDs) string { return ids.Entity("offer-") },
	List: func(s any) change.Listing {
		o := s.(*offer)
		return change.Listing{Name: o.Name, Visibility: "Draft", Fields: o.Fields}
	},
	Describe: func(s any, _ change.Entity) any { return s },
}

// offers makes some and returns their names by their ids.
func (m *market) offers() {
	m.t.Helper()
	var changes []types.Change
	for _, details := range []string{
		`{"Name":"Spring sale","Fields":{"ProductId":["prod-1"],"State":["Released"],"ReleaseDate":["2026-03-01T00:00:00Z"],"AvailabilityEndDate":["2026-05-31T23:59:59Z"],"Targeting":["None"],"CreatedBySource":["Seller"]}}`,
		`{"Name":"Summer sale","Fields":{"ProductId":["prod-1"],"State":["Draft"],"AvailabilityEndDate":["2026-08-31T23:59:59Z"],"Targeting":["BuyerAccounts","CountryCodes"],"BuyerAccounts":["111122223333","444455556666"],"CreatedBySource":["Seller"]}}`,
		`{"Name":"For a friend","Fields":{"ProductId":["prod-2"],"State":["Released"],"ReleaseDate":["2026-04-01T00:00:00Z"],"Targeting":["BuyerAccounts"],"BuyerAccounts":["111122223333"],"CreatedBySource":["Seller"]}}`,
	} {
		changes = append(changes, types.Change{ChangeType: aws.String("CreateOffer"), Entity: &types.Entity{Type: aws.String("Offer@1.0")}, Details: aws.String(details)})
	}
	out, err := start(m.Client, changes...)
	if err != nil {
		m.t.Fatal(err)
	}
	if d := m.ended(out.ChangeSetId); d.Status != types.ChangeStatusSucceeded {
		m.t.Fatalf("offers: %+v", d.ChangeSet)
	}
}

// names lists what a query finds, by name.
func (m *market) names(in *catalog.ListEntitiesInput) string {
	m.t.Helper()
	in.Catalog = aws.String("AWSMarketplace")
	out, err := m.ListEntities(m.t.Context(), in)
	if err != nil {
		m.t.Fatal(err)
	}
	var names []string
	for _, e := range out.EntitySummaryList {
		names = append(names, *e.Name)
	}
	return strings.Join(names, ", ")
}

func TestOffersByTheirFields(t *testing.T) {
	t.Parallel()
	m := open(t)
	m.offers()
	const all = "For a friend, Spring sale, Summer sale"
	for name, test := range map[string]struct {
		filters types.OfferFilters
		want    string
	}{
		"none":            {types.OfferFilters{}, all},
		"Name":            {types.OfferFilters{Name: &types.OfferNameFilter{ValueList: []string{"Spring sale", "other"}}}, "Spring sale"},
		"Name, a part":    {types.OfferFilters{Name: &types.OfferNameFilter{WildCardValue: aws.String("SALE")}}, "Spring sale, Summer sale"},
		"Name, a letter":  {types.OfferFilters{Name: &types.OfferNameFilter{WildCardValue: aws.String("F")}}, "For a friend"},
		"ProductId":       {types.OfferFilters{ProductId: &types.OfferProductIdFilter{ValueList: []string{"prod-2"}}}, "For a friend"},
		"ProductIds":      {types.OfferFilters{ProductId: &types.OfferProductIdFilter{ValueList: []string{"prod-2", "prod-1"}}}, all},
		"State":           {types.OfferFilters{State: &types.OfferStateFilter{ValueList: []types.OfferStateString{"Draft"}}}, "Summer sale"},
		"Targeting":       {types.OfferFilters{Targeting: &types.OfferTargetingFilter{ValueList: []types.OfferTargetingString{"BuyerAccounts", "CountryCodes"}}}, "For a friend, Summer sale"},
		"BuyerAccounts":   {types.OfferFilters{BuyerAccounts: &types.OfferBuyerAccountsFilter{WildCardValue: aws.String("5555")}}, "Summer sale"},
		"CreatedBySource": {types.OfferFilters{CreatedBySource: &types.OfferCreatedBySourceFilter{ValueList: []types.OfferCreatedBySourceString{"AwsMarketplace"}}}, ""},
		"OfferSetId":      {types.OfferFilters{OfferSetId: &types.OfferSetIdFilter{ValueList: []string{"offerset-abc1"}}}, ""},
		"ReleaseDate, both included": {types.OfferFilters{ReleaseDate: &types.OfferReleaseDateFilter{DateRange: &types.OfferReleaseDateFilterDateRange{
			AfterValue: aws.String("2026-03-01T00:00:00Z"), BeforeValue: aws.String("2026-04-01T00:00:00Z"),
		}}}, "For a friend, Spring sale"},
		"AvailabilityEndDate": {types.OfferFilters{AvailabilityEndDate: &types.OfferAvailabilityEndDateFilter{DateRange: &types.OfferAvailabilityEndDateFilterDateRange{
			AfterValue: aws.String("2026-06-01T00:00:00Z"),
		}}}, "Summer sale"},
		"LastModifiedDate, long ago": {types.OfferFilters{LastModifiedDate: &types.OfferLastModifiedDateFilter{DateRange: &types.OfferLastModifiedDateFilterDateRange{
			BeforeValue: aws.String("2020-01-01T00:00:00Z"),
		}}}, ""},
		"together": {types.OfferFilters{
			Name: &types.OfferNameFilter{WildCardValue: aws.String("sale")}, ProductId: &types.OfferProductIdFilter{ValueList: []string{"prod-1"}},
			State: &types.OfferStateFilter{ValueList: []types.OfferStateString{"Released"}},
		}, "Spring sale"},
	} {
		got := m.names(&catalog.ListEntitiesInput{
			EntityType: aws.String("Offer"), EntityTypeFilters: &types.EntityTypeFiltersMemberOfferFilters{Value: test.filters},
			EntityTypeSort: &types.EntityTypeSortMemberOfferSort{Value: types.OfferSort{SortBy: types.OfferSortByName, SortOrder: types.SortOrderAscending}},
		})
		if got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
	for by, want := range map[types.OfferSortBy]string{
		types.OfferSortByName:                all,
		types.OfferSortByReleaseDate:         "Summer sale, Spring sale, For a friend",
		types.OfferSortByAvailabilityEndDate: "For a friend, Spring sale, Summer sale",
		types.OfferSortByBuyerAccounts:       "Spring sale, For a friend, Summer sale",
	} {
		if got := m.names(&catalog.ListEntitiesInput{
			EntityType:     aws.String("Offer"),
			EntityTypeSort: &types.EntityTypeSortMemberOfferSort{Value: types.OfferSort{SortBy: by, SortOrder: types.SortOrderAscending}},
		}); got != want {
			t.Errorf("sorted by %s: got %q, want %q", by, got, want)
		}
	}
	for _, by := range types.OfferSortBy("").Values() {
		m.names(&catalog.ListEntitiesInput{EntityType: aws.String("Offer"), EntityTypeSort: &types.EntityTypeSortMemberOfferSort{Value: types.OfferSort{SortBy: by}}})
	}
}

func TestSummariesAreOfTheirTypes(t *testing.T) {
	t.Parallel()
	m := open(t)
	m.offers()
	m.made("A lamp")
	out, err := m.ListEntities(t.Context(), &catalog.ListEntitiesInput{
		Catalog: aws.String("AWSMarketplace"), EntityType: aws.String("Offer"),
		EntityTypeFilters: &types.EntityTypeFiltersMemberOfferFilters{Value: types.OfferFilters{Name: &types.OfferNameFilter{ValueList: []string{"Summer sale"}}}},
	})
	if err != nil || len(out.EntitySummaryList) != 1 {
		t.Fatalf("got %+v, %v", out, err)
	}
	if diff := cmp.Diff(&types.OfferSummary{
		Name: aws.String("Summer sale"), ProductId: aws.String("prod-1"), State: types.OfferStateStringDraft,
		AvailabilityEndDate: aws.String("2026-08-31T23:59:59Z"), BuyerAccounts: []string{"111122223333", "444455556666"},
		Targeting: []types.OfferTargetingString{"BuyerAccounts", "CountryCodes"}, CreatedBySource: types.OfferCreatedBySourceStringSeller,
	}, out.EntitySummaryList[0].OfferSummary, cmpopts.IgnoreUnexported(types.OfferSummary{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	out, err = m.ListEntities(t.Context(), &catalog.ListEntitiesInput{Catalog: aws.String("AWSMarketplace"), EntityType: aws.String("ContainerProduct")})
	if err != nil || len(out.EntitySummaryList) != 1 {
		t.Fatalf("got %+v, %v", out, err)
	}
	if e := out.EntitySummaryList[0]; e.OfferSummary != nil || e.ContainerProductSummary == nil || *e.ContainerProductSummary.ProductTitle != "A lamp" || e.ContainerProductSummary.Visibility != "Draft" {
		t.Errorf("got %+v", e)
	}
}

func TestProductsByTheirFields(t *testing.T) {
	t.Parallel()
	m := open(t)
	lamp := m.made("A lamp")
	m.made("Lamp oil")
	m.made("A broom")
	for name, test := range map[string]struct {
		filters types.ContainerProductFilters
		want    string
	}{
		"ProductTitle, a part": {types.ContainerProductFilters{ProductTitle: &types.ContainerProductTitleFilter{WildCardValue: aws.String("lamp")}}, "A lamp, Lamp oil"},
		"ProductTitle":         {types.ContainerProductFilters{ProductTitle: &types.ContainerProductTitleFilter{ValueList: []string{"A lamp", "lamp oil"}}}, "A lamp"},
		"EntityId":             {types.ContainerProductFilters{EntityId: &types.ContainerProductEntityIdFilter{ValueList: []string{lamp}}}, "A lamp"},
		"Visibility":           {types.ContainerProductFilters{Visibility: &types.ContainerProductVisibilityFilter{ValueList: []types.ContainerProductVisibilityString{"Public"}}}, ""},
		"a filter of nothing":  {types.ContainerProductFilters{ProductTitle: &types.ContainerProductTitleFilter{}}, "A broom, A lamp, Lamp oil"},
		"LastModifiedDate": {types.ContainerProductFilters{LastModifiedDate: &types.ContainerProductLastModifiedDateFilter{DateRange: &types.ContainerProductLastModifiedDateFilterDateRange{
			AfterValue: aws.String("2020-01-01T00:00:00Z"), BeforeValue: aws.String("9998-12-31T23:59:59Z"),
		}}}, "A broom, A lamp, Lamp oil"},
	} {
		if got := m.names(&catalog.ListEntitiesInput{
			EntityType: aws.String("ContainerProduct"), EntityTypeFilters: &types.EntityTypeFiltersMemberContainerProductFilters{Value: test.filters},
			EntityTypeSort: &types.EntityTypeSortMemberContainerProductSort{Value: types.ContainerProductSort{SortBy: types.ContainerProductSortByProductTitle, SortOrder: types.SortOrderAscending}},
		}); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
	for _, by := range types.ContainerProductSortBy("").Values() {
		m.names(&catalog.ListEntitiesInput{EntityType: aws.String("ContainerProduct"), EntityTypeSort: &types.EntityTypeSortMemberContainerProductSort{Value: types.ContainerProductSort{SortBy: by}}})
	}
}

func TestFiltersOfEntityTypesAreRefused(t *testing.T) {
	t.Parallel()
	m := open(t)
	for name, test := range map[string]struct{ members, message string }{
		"member of another entity type":       {`"EntityTypeFilters":{"AmiProductFilters":{}}`, "does not agree with the entity type 'Offer'"},
		"member of a type that we have not":   {`"EntityTypeFilters":{"OfferSetFilters":{}}`, "does not agree with the entity type 'Offer'"},
		"no member":                           {`"EntityTypeFilters":{}`, "must have one member"},
		"two members":                         {`"EntityTypeFilters":{"OfferFilters":{},"SaaSProductFilters":{}}`, "must have one member"},
		"two wildcards":                       {`"EntityTypeFilters":{"OfferFilters":{"Name":{"WildCardValue":"a"},"BuyerAccounts":{"WildCardValue":"1"}}}`, "2 filters with a WildCardValue"},
		"values beside a wildcard":            {`"EntityTypeFilters":{"OfferFilters":{"Name":{"WildCardValue":"a","ValueList":["a"]}}}`, "either a ValueList or a WildCardValue"},
		"nine filters":                        {`"EntityTypeFilters":{"OfferFilters":{"Name":{"ValueList":["a"]},"EntityId":{"ValueList":["a-b"]},"ProductId":{"ValueList":["a"]},"ResaleAuthorizationId":{"ValueList":["a-b"]},"State":{"ValueList":["Draft"]},"Targeting":{"ValueList":["None"]},"OfferSetId":{"ValueList":["offerset-abc"]},"TargetAgreementId":{"ValueList":["a"]},"CreatedBySource":{"ValueList":["Seller"]}}}`, "has 9 filters, at most 8"},
		"eleven values":                       {`"EntityTypeFilters":{"OfferFilters":{"Name":{"ValueList":["1","2","3","4","5","6","7","8","9","10","11"]}}}`, "entityTypeFilters.offerFilters.name.valueList"},
		"no values":                           {`"EntityTypeFilters":{"OfferFilters":{"Name":{"ValueList":[]}}}`, "valueList"},
		"empty wildcard":                      {`"EntityTypeFilters":{"OfferFilters":{"Name":{"WildCardValue":""}}}`, "wildCardValue"},
		"long name":                           {`"EntityTypeFilters":{"OfferFilters":{"Name":{"WildCardValue":"` + strings.Repeat("x", 151) + `"}}}`, "less than or equal to 150"},
		"unknown state":                       {`"EntityTypeFilters":{"OfferFilters":{"State":{"ValueList":["Lost"]}}}`, "enum value set"},
		"date without time":                   {`"EntityTypeFilters":{"OfferFilters":{"ReleaseDate":{"DateRange":{"AfterValue":"2026-01-01"}}}}`, "afterValue"},
		"thirtieth of February":               {`"EntityTypeFilters":{"OfferFilters":{"ReleaseDate":{"DateRange":{"AfterValue":"2026-02-30T00:00:00Z"}}}}`, "is not a time"},
		"name in both lists of filters":       {`"FilterList":[{"Name":"Name","ValueList":["a"]}],"EntityTypeFilters":{"OfferFilters":{"Name":{"ValueList":["a"]}}}`, "more than once"},
		"unknown ownership":                   {`"OwnershipType":"ALL"`, "ownershipType"},
		"sort of another entity type":         {`"EntityTypeSort":{"ContainerProductSort":{"SortBy":"EntityId"}}`, "does not agree with the entity type 'Offer'"},
		"sort of a type that we have not":     {`"EntityTypeSort":{"OfferSetSort":{"SortBy":"EntityId"}}`, "does not agree with the entity type 'Offer'"},
		"sort by what an offer has not":       {`"EntityTypeSort":{"OfferSort":{"SortBy":"ProductTitle"}}`, "enum value set"},
		"sorted twice":                        {`"Sort":{"SortBy":"Name"},"EntityTypeSort":{"OfferSort":{"SortBy":"Name"}}`, "can't be given together"},
		"data product's visibility of an AMI": {`"EntityTypeFilters":{"AmiProductFilters":{"Visibility":{"ValueList":["Unavailable"]}}}`, "enum value set"},
	} {
		status, body := m.post("/ListEntities", `{"Catalog":"AWSMarketplace","EntityType":"Offer",`+test.members+`}`)
		if status != http.StatusUnprocessableEntity || !strings.Contains(body, "ValidationException") || !strings.Contains(body, test.message) {
			t.Errorf("%s: got %d %s, want %q", name, status, body, test.message)
		}
	}
	// Whatever its filters, what must be said first is that there is no such type.
	status, body := m.post("/ListEntities", `{"Catalog":"AWSMarketplace","EntityType":"OfferSet","EntityTypeFilters":{"OfferSetFilters":{"Name":{"ValueList":["a"]}}}}`)
	if status != http.StatusUnprocessableEntity || !strings.Contains(body, "entity type 'OfferSet'") {
		t.Errorf("of an unknown entity type: got %d %s", status, body)
	}
}

package marketplacediscovery

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"souk/access/iam"
	"souk/access/keyring"
	"souk/catalog/amiproduct"
	"souk/catalog/change"
	"souk/catalog/containerproduct"
	"souk/catalog/listing"
	"souk/catalog/procurement"
	"souk/catalog/product"
	"souk/catalog/saasproduct"
	"souk/gateway"
	"souk/gateway/apierror"
	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
)

// The accounts of the tests.
const (
	theSeller = "111111111111"
	theBuyer  = "222222222222"
)

// shop is the service over products that a test has put there.
type shop struct {
	t        *testing.T
	service  *gateway.Service
	store    store.Store
	products map[string]any
	versions map[string][]procurement.Version
	denied   string // the product that a private marketplace denies
}

func newShop(t *testing.T) *shop {
	t.Helper()
	db := sqlitetest.Open(t)
	s := &shop{t: t, store: db, products: map[string]any{}, versions: map[string][]procurement.Version{}}
	ring := keyring.New([32]byte{})
	procure := procurement.New(procurement.Config{
		Store: db,
		Product: func(_ context.Context, id string) (procurement.Product, error) {
			f, ok := product.Of(s.products[id])
			if !ok {
				return procurement.Product{}, procurement.ErrNoProduct
			}
			return procurement.Product{Owner: theSeller, Visibility: string(f.Description.Visibility), Invited: f.Invited(), Versions: s.versions[id]}, nil
		},
		Private: func(_ context.Context, _, id string) (bool, string, error) {
			return id != s.denied, "the private marketplace says so", nil
		},
	})
	var err error
	s.service, err = Service(Config{
		Listings: listing.New(db, ring), Case: procure.Case, Keys: ring,
		Product: func(_ context.Context, id string) (change.Entity, any, error) { return entity(id), s.products[id], nil },
		Seller:  func(context.Context, string) (string, error) { return "The Seller", nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func entity(id string) change.Entity {
	return change.Entity{ID: id, Type: "Product@1.0", Owner: theSeller, LastModified: time.Unix(1e9, 0).UTC()}
}

// put puts a product, with versions for procurement.
func (s *shop) put(id string, p any, versions ...procurement.Version) {
	s.t.Helper()
	s.products[id], s.versions[id] = p, versions
	writes, err := listing.Write(entity(id), p)
	if err == nil {
		err = s.store.Commit(s.t.Context(), store.Batch{Put: writes})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// call calls an operation as an account and returns the answer as JSON.
func (s *shop) call(account, operation, input string) (map[string]any, error) {
	s.t.Helper()
	i := slices.IndexFunc(s.service.Operations, func(o gateway.Operation) bool { return o.Name == operation })
	in := s.service.Operations[i].Input()
	if err := json.Unmarshal([]byte(input), in); err != nil {
		s.t.Fatal(err)
	}
	out, err := s.service.Operations[i].Call(s.t.Context(), &gateway.Caller{Principal: &iam.Principal{Account: account}}, in)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(out)
	if err != nil {
		s.t.Fatal(err)
	}
	var shown map[string]any
	if err := json.Unmarshal(b, &shown); err != nil {
		s.t.Fatal(err)
	}
	return shown, nil
}

func facets(title string, v product.Visibility) product.Facets {
	f := product.Facets{}
	f.Description.ProductTitle, f.Description.Visibility = title, v
	f.Description.ShortDescription, f.Description.LongDescription = "Short.", "Long."
	f.Description.Categories = []string{"Operating Systems"}
	f.PromotionalResources.Videos = []product.Video{{Type: "Link", Title: "Look", Url: "https://example.com/v"}}
	f.PromotionalResources.AdditionalResources = []product.ResourceLink{{Type: "Link", Text: "Read", Url: "https://example.com/r"}}
	f.SupportInformation.Description = "Write to us."
	f.Dimensions = []product.Dimension{{Key: "k", Unit: "Hosts", Types: []string{product.Metered}}}
	return f
}

// fill puts a product of each kind, all Public, with a delivery option of each type.
func (s *shop) fill() {
	option := func(id string) procurement.Option { return procurement.Option{ID: id, Visibility: "Public"} }
	s.put("prod-container", &containerproduct.Product{Facets: facets("Container", product.Public), Versions: []containerproduct.Version{{
		ID: "v", Title: "1.0", ReleaseNotes: "New.", DeliveryOptions: []containerproduct.DeliveryOption{
			{ID: "o-ecr", Title: "Images", Visibility: product.Public, CompatibleServices: []string{"EKS"}},
			{ID: "o-helm", Title: "Chart", Visibility: product.Public, Helm: &containerproduct.Helm{}},
			{ID: "o-addon", Title: "Add-on", Visibility: product.Public, AddOn: &containerproduct.AddOn{}},
		},
	}}}, procurement.Version{ID: "v", Title: "1.0", Options: []procurement.Option{option("o-ecr"), option("o-helm"), option("o-addon")}})
	s.put("prod-ami", &amiproduct.Product{Facets: facets("Machine", product.Public), Versions: []amiproduct.Version{{
		ID: "v", Title: "1.0",
		Sources: []amiproduct.Source{{ID: "s", OperatingSystem: amiproduct.OperatingSystem{Name: "DEBIAN", Version: "13"}}},
		DeliveryOptions: []amiproduct.DeliveryOption{{ID: "o-ami", SourceID: "s", Title: "AMI", Visibility: product.Public, RecommendedInstanceType: "m5.large"}, {
			ID: "o-component", SourceID: "c", FulfillmentOptionID: "fo-aaaaaaaaaaaaa", Title: "Component", Visibility: product.Public,
		}},
		Components: []amiproduct.Component{{ID: "c", SupportedOSVersions: []string{"Debian 12", "Debian 13"}}},
	}}}, procurement.Version{ID: "v", Title: "1.0", Options: []procurement.Option{option("o-ami"), option("o-component")}})
	s.put("prod-saas", &saasproduct.Product{Facets: facets("Service", product.Public), Versions: []saasproduct.Version{{
		ID: "v", DeliveryOptions: []saasproduct.DeliveryOption{
			{ID: "o-saas", Visibility: product.Public, Registration: &saasproduct.Registration{FulfillmentUrl: "https://example.com/f"}},
			{ID: "o-api", Visibility: product.Public, API: &saasproduct.ApiDeliveryOptionDetails{CompatibleServices: []string{"Bedrock-AgentCore"}}},
		},
	}}}, procurement.Version{ID: "v", Title: "v", Options: []procurement.Option{option("o-saas"), option("o-api")}})
}

func TestAnswersHaveTheMembersOfTheModel(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.fill()
	answers := map[string][]map[string]any{}
	for operation, inputs := range map[string][]string{
		"SearchListings":         {`{}`},
		"GetListing":             {`{"listingId":"prodview-container"}`, `{"listingId":"prodview-saas"}`},
		"GetProduct":             {`{"productId":"prod-ami"}`, `{"productId":"prod-saas"}`},
		"ListFulfillmentOptions": {`{"productId":"prod-container"}`, `{"productId":"prod-ami"}`, `{"productId":"prod-saas"}`},
	} {
		for _, in := range inputs {
			out, err := s.call(theBuyer, operation, in)
			if err != nil {
				t.Fatalf("%s %s: %v", operation, in, err)
			}
			answers[operation] = append(answers[operation], out)
		}
	}
	seen := 0
	for _, row := range rows(t, "testdata/required.tsv") {
		for _, answer := range answers[row[0]] {
			parent, member, _ := cutLast(row[1])
			for _, at := range find(answer, parent) {
				seen++
				if _, ok := at[member]; !ok {
					t.Errorf("%s: %s has no %s: %v", row[0], parent, member, at)
				}
			}
		}
	}
	if seen < 150 {
		t.Errorf("%d members were compared, want all of them", seen)
	}
}

// TestAComponentIsListedByTheIDThatBuildsTake: buyers see it nowhere else.
func TestAComponentIsListedByTheIDThatBuildsTake(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.fill()
	out, err := s.call(theBuyer, "ListFulfillmentOptions", `{"productId":"prod-ami"}`)
	if err != nil {
		t.Fatal(err)
	}
	found := find(out, "fulfillmentOptions.ec2ImageBuilderComponentFulfillmentOption")
	if len(found) != 1 || found[0]["fulfillmentOptionId"] != "fo-aaaaaaaaaaaaa" || found[0]["fulfillmentOptionType"] != "EC2_IMAGE_BUILDER_COMPONENT" || found[0]["fulfillmentOptionName"] != "Component" {
		t.Errorf("listed %v", found)
	}
	if systems := find(out, "fulfillmentOptions.ec2ImageBuilderComponentFulfillmentOption.operatingSystems"); len(systems) != 1 || systems[0]["operatingSystemName"] != "Debian 12, Debian 13" {
		t.Errorf("its systems are %v", systems)
	}
	page, err := s.call(theBuyer, "ListFulfillmentOptions", `{"productId":"prod-ami","maxResults":1}`)
	if err != nil {
		t.Fatal(err)
	}
	rest, err := s.call(theBuyer, "ListFulfillmentOptions", `{"productId":"prod-ami","nextToken":"`+page["nextToken"].(string)+`"}`)
	if err != nil || len(find(rest, "fulfillmentOptions")) != 1 {
		t.Errorf("the second page is %v, %v", rest, err)
	}
}

func cutLast(path string) (parent, member string, ok bool) {
	i := strings.LastIndex(path, ".")
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}

// find returns the structures of an answer that a path leads to.
func find(at any, path string) []map[string]any {
	if list, ok := at.([]any); ok {
		var all []map[string]any
		for _, member := range list {
			all = append(all, find(member, path)...)
		}
		return all
	}
	structure, ok := at.(map[string]any)
	if !ok {
		return nil
	}
	if path == "" {
		return []map[string]any{structure}
	}
	first, rest, _ := strings.Cut(path, ".")
	return find(structure[strings.TrimSuffix(first, "[]")], rest)
}

func rows(t *testing.T, file string) (all [][]string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		if text := strings.TrimRight(string(line), "\n"); text != "" && !strings.HasPrefix(text, "#") {
			all = append(all, strings.Split(text, "\t"))
		}
	}
	return all
}

// TestInputsHaveTheConstraintsOfTheModel compares the tags with the model's facts.
func TestInputsHaveTheConstraintsOfTheModel(t *testing.T) {
	t.Parallel()
	inputs := map[string]reflect.Type{
		"SearchListings": reflect.TypeFor[SearchListingsInput](), "GetListing": reflect.TypeFor[GetListingInput](),
		"GetProduct": reflect.TypeFor[GetProductInput](), "ListFulfillmentOptions": reflect.TypeFor[ListFulfillmentOptionsInput](),
	}
	for _, row := range rows(t, "testdata/inputs.tsv") {
		operation, path, required, lowest, highest, pattern, enum := row[0], row[1], row[2], row[3], row[4], row[5], row[6]
		of := inputs[operation]
		parent, member, nested := cutLast(path)
		if nested { // all that is nested is a filter
			f, _ := of.FieldByName(strings.ToUpper(parent[:1]) + strings.TrimSuffix(parent[1:], "[]"))
			of = f.Type.Elem()
		}
		name, ofList := strings.CutSuffix(member, "[]")
		var field reflect.StructField
		for i := range of.NumField() {
			if tag, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ","); tag == name {
				field = of.Field(i)
			}
		}
		tag := field.Tag
		bounds := strings.Trim(lowest+","+highest, "-,")
		var got, want []string
		switch kind := field.Type; {
		case kind == nil:
			t.Errorf("%s has no member %s", operation, path)
			continue
		case ofList && kind.Elem().Kind() == reflect.Struct:
			continue
		case ofList:
			got, want = []string{tag.Get("memberlen"), tag.Get("memberpattern")}, []string{bounds, whole(pattern)}
		case kind.Kind() == reflect.Slice:
			got, want = []string{tag.Get("size")}, []string{bounds}
		case kind.Kind() == reflect.Pointer && kind.Elem().Kind() == reflect.Int:
			got, want = []string{tag.Get("range")}, []string{bounds}
		default:
			got, want = []string{tag.Get("len"), tag.Get("pattern"), tag.Get("enum")}, []string{bounds, whole(pattern), strings.Trim(enum, "-")}
		}
		if _, must := tag.Lookup("required"); !ofList && must != (required == "required") {
			t.Errorf("%s: %s is required: %t, want %s", operation, path, must, required)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %s has %q, want %q", operation, path, got, want)
		}
	}
}

// whole is a pattern as the tags have it.
func whole(pattern string) string {
	if pattern == "-" {
		return ""
	}
	return "^" + pattern + "$"
}

func TestOptionsComeInPages(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.fill()
	var got []string
	token := ""
	for range 3 {
		out, err := s.call(theBuyer, "ListFulfillmentOptions", fmt.Sprintf(`{"productId":"prod-container","maxResults":1,"nextToken":%q}`, token))
		if err != nil {
			t.Fatal(err)
		}
		for kind, option := range out["fulfillmentOptions"].([]any)[0].(map[string]any) {
			got = append(got, kind+" "+option.(map[string]any)["fulfillmentOptionId"].(string))
		}
		token, _ = out["nextToken"].(string)
		if len(got) < 3 {
			for what, in := range map[string][2]string{"another account": {theSeller, "prod-container"}, "another product": {theBuyer, "prod-saas"}} {
				_, err := s.call(in[0], "ListFulfillmentOptions", fmt.Sprintf(`{"productId":%q,"nextToken":%q}`, in[1], token))
				if !apierror.Is(err, "ValidationException") {
					t.Errorf("the token for %s: %v, want ValidationException", what, err)
				}
			}
		}
	}
	want := []string{"containerFulfillmentOption o-ecr", "helmFulfillmentOption o-helm", "eksAddOnFulfillmentOption o-addon"}
	if !slices.Equal(got, want) || token != "" {
		t.Errorf("got %q and the token %q, want %q and none", got, token, want)
	}
}

func TestEachAnswerSaysWhatProcurementSays(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.fill()
	s.denied = "prod-container"
	for id, want := range map[string]bool{"container": false, "saas": true} {
		for operation, in := range map[string]string{
			"SearchListings": `{"searchText":"` + id + `"}`, "GetListing": `{"listingId":"prodview-` + id + `"}`,
			"GetProduct": `{"productId":"prod-` + id + `"}`, "ListFulfillmentOptions": `{"productId":"prod-` + id + `"}`,
		} {
			out, err := s.call(theBuyer, operation, in)
			if err != nil {
				t.Fatalf("%s of %s: %v", operation, id, err)
			}
			b, _ := json.Marshal(out)
			if may := fmt.Sprintf(`"mayObtain":%t`, want); !strings.Contains(string(b), may) || !strings.Contains(string(b), "the private marketplace says so") {
				t.Errorf("%s of %s: %s, want %s and why", operation, id, b, may)
			}
		}
	}
}

func TestWhatAnAccountDoesNotSeeIsNotThere(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, v := range []product.Visibility{product.Limited, product.Restricted} {
		s.put("prod-"+strings.ToLower(string(v)), &containerproduct.Product{Facets: facets(string(v), v)})
	}
	s.products["prod-draft"] = &containerproduct.Product{Facets: facets("Draft", product.Draft)}
	for id, seller := range map[string]bool{"limited": true, "restricted": true, "draft": false, "none": false} {
		for account, sees := range map[string]bool{theSeller: seller, theBuyer: false} {
			for operation, in := range map[string]string{
				"GetListing": `{"listingId":"prodview-` + id + `"}`, "GetProduct": `{"productId":"prod-` + id + `"}`, "ListFulfillmentOptions": `{"productId":"prod-` + id + `"}`,
			} {
				_, err := s.call(account, operation, in)
				if sees && err != nil || !sees && !apierror.Is(err, "ResourceNotFoundException") {
					t.Errorf("%s of %s by %s: %v, sees it: %t", operation, id, account, err, sees)
				}
			}
		}
	}
}

func FuzzPages(f *testing.F) {
	f.Add("", "", "prod-container")
	f.Add("AAAA", "prod", "prod-saas")
	f.Fuzz(func(t *testing.T, token, text, id string) {
		s := newShop(t)
		s.fill()
		for operation, input := range map[string]any{
			"SearchListings":         map[string]any{"searchText": text, "nextToken": token, "maxResults": 2},
			"ListFulfillmentOptions": map[string]any{"productId": id, "nextToken": token},
			"GetListing":             map[string]any{"listingId": id},
		} {
			in, err := json.Marshal(input)
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.call(theBuyer, operation, string(in))
			if err != nil && !apierror.Is(err, "ValidationException") && !apierror.Is(err, "ResourceNotFoundException") {
				t.Errorf("%s %s: %v", operation, in, err)
			}
		}
	})
}

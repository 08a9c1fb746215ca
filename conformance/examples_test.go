package conformance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"

	"souk/conformance/seller"
	"souk/conformance/souktest"
	"souk/spec/examples"
)

// What stands in the examples where a real id is meant.
const (
	exampleProduct = "example1-abcd-1234-5ef6-7890abcdef12"
	exampleSet     = "example123456789012abcdef"
)

// TestExampleRequests sends every request of the documentation's pages to the
// real binary: word for word and, where the page is broken, in the mended form.
func TestExampleRequests(t *testing.T) {
	t.Parallel()
	all, err := examples.All()
	must(t, err)
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		server := souktest.Start(t, o)
		sellers := 0
		t.Run("group", func(t *testing.T) {
			for _, e := range all {
				if e.Kind != examples.Request || slices.Contains(privateMarketplace, e.Entity) {
					continue // those of private marketplaces are TestPrivateMarketplaceExamples's
				}
				sellers++
				namespace := fmt.Sprintf("examples-%d", sellers)
				t.Run(e.Name, func(t *testing.T) {
					t.Parallel()
					s := server.Account(t, namespace, namespace).Seller(server)
					verbatim(t, s, e)
					switch {
					case e.Later != "":
						answeredLater(t, s, e)
					case e.Entity == "DataProduct":
						refusedTwice(t, s, e)
					case e.Entity == "SaaSProduct":
						makesProductAndOffer(t, s, e)
					case e.Entity == "AmiProduct" && e.Action == "StartChangeSet":
						changesAMIProduct(t, s, e)
					case e.Entity == "ContainerProduct" && e.Action == "StartChangeSet":
						changesProduct(t, s, e, namespace)
					default:
						answered(t, s, e)
					}
				})
			}
		})
	})
}

// verbatim sends what the page shows, if it can be sent at all. Where the page
// is broken the answer is a refusal.
func verbatim(t *testing.T, s *seller.Seller, e examples.Example) {
	t.Helper()
	if !e.Mended {
		return // sent as it is anyway
	}
	r, err := examples.Parse(e.Verbatim())
	if err != nil {
		return // no request line
	}
	if r.Body == "" {
		return // a request line that is wrapped: HTTP has no such thing
	}
	a, err := s.Raw(t.Context(), r.Method, r.Target, strings.ReplaceAll(r.Body, exampleSet, "aaaaaaaaaaaaaaaaaaaaaaaaa"))
	must(t, err)
	if a.Status < 400 || a.Status >= 500 {
		// What is broken in some is only the layout.
		if json.Valid([]byte(r.Body)) && a.Status == 200 {
			return
		}
		t.Errorf("word for word: got status %d, want a refusal: %s", a.Status, a.Body)
	}
}

// answeredLater: an example of what is not offered yet is refused clearly.
func answeredLater(t *testing.T, s *seller.Seller, e examples.Example) {
	t.Helper()
	r, err := examples.Parse(e.Text())
	must(t, err)
	a, err := s.Raw(t.Context(), r.Method, r.Target, r.Body)
	must(t, err)
	var body struct {
		Type    string `json:"__type"`
		Message string
	}
	must(t, json.Unmarshal([]byte(a.Body), &body))
	if e.Action == "DescribeEntity" {
		if a.Status != 404 || body.Type != "ResourceNotFoundException" {
			t.Errorf("got status %d: %s, want ResourceNotFoundException", a.Status, a.Body)
		}
		return
	}
	if a.Status != 422 || body.Type != "ValidationException" || !strings.Contains(strings.ToLower(body.Message), "entity type") {
		t.Errorf("got status %d: %s, want a ValidationException that names the entity type", a.Status, a.Body)
	}
}

// answered sends an example that reads, in a market where what it names exists.
func answered(t *testing.T, s *seller.Seller, e examples.Example) {
	t.Helper()
	product, err := s.Limited(t.Context(), "Container Product 1")
	must(t, err)
	started, err := s.Start(t.Context(), seller.Change("UpdateInformation", product, `{"ShortDescription":"New."}`))
	must(t, err)
	_, err = s.Wait(t.Context(), started)
	must(t, err)
	r, err := examples.Parse(strings.NewReplacer(exampleProduct, product, exampleSet, started).Replace(e.Text()))
	must(t, err)
	a, err := s.Raw(t.Context(), r.Method, r.Target, r.Body)
	must(t, err)
	if a.Status != 200 {
		t.Fatalf("got status %d: %s", a.Status, a.Body)
	}
	want := map[string]string{"ListEntities": product, "DescribeEntity": product, "DescribeChangeSet": started, "ListChangeSets": "ChangeSetSummaryList"}[e.Action]
	if want == "" || !strings.Contains(a.Body, want) {
		t.Errorf("the answer lacks %q: %s", want, a.Body)
	}
}

// changesProduct sends an example that changes a container product, in a
// market where the product, its versions and its images exist.
func changesProduct(t *testing.T, s *seller.Seller, e examples.Example, namespace string) {
	t.Helper()
	text := strings.ReplaceAll(e.Text(), "/sellername/", "/"+namespace+"/")
	state := prepareExample(t, s, namespace)
	text = strings.NewReplacer(append(state.options, exampleProduct, state.product)...).Replace(text)
	r, err := examples.Parse(text)
	must(t, err)
	kind := ""
	for _, k := range []string{"UpdateInformation", "AddDeliveryOptions", "UpdateDeliveryOptions", "AddRepositories", "RestrictDeliveryOptions"} {
		if strings.Contains(r.Body, `"`+k+`"`) {
			kind = k
		}
	}
	if kind == "RestrictDeliveryOptions" {
		_, err = s.Do(t.Context(), seller.Change("UpdateVisibility", state.product, `{"TargetVisibility":"Public"}`))
		must(t, err)
	}
	a, err := s.Raw(t.Context(), r.Method, r.Target, r.Body)
	must(t, err)
	if a.Status != 200 {
		t.Fatalf("got status %d: %s", a.Status, a.Body)
	}
	set, err := s.Wait(t.Context(), startedID(t, a.Body))
	must(t, err)
	if set.Status != types.ChangeStatusSucceeded {
		t.Fatalf("%s is %s: %s", kind, set.Status, seller.Refusals(set))
	}
	p, err := s.Product(t.Context(), state.product)
	must(t, err)
	switch kind {
	case "UpdateInformation":
		out, err := s.Entity(t.Context(), state.product)
		must(t, err)
		if p.Description.ProductTitle != "My Product Title" || p.Description.Sku != "123example456" || len(p.Description.Categories) != 3 ||
			!strings.Contains(aws.ToString(out.Details), `support@example.com \n\nYour purchase`) {
			t.Errorf("the product shows %s", aws.ToString(out.Details))
		}
	case "AddRepositories":
		for _, name := range []string{"new-repo-1", "new-repo-2"} {
			_, err := p.RepositoryPath(name)
			must(t, err)
		}
	case "AddDeliveryOptions":
		v := p.Versions[len(p.Versions)-1]
		if v.VersionTitle != "1.1" || v.ReleaseNotes != "Minor bug fix" || v.DeliveryOptions[0].Title != "EKSDelivery" {
			t.Errorf("the version is %+v", v)
		}
	case "UpdateDeliveryOptions":
		v := p.Versions[0]
		if v.VersionTitle != "Version 1.2" || v.ReleaseNotes != "New release notes" || v.DeliveryOptions[0].Title != "New Delivery Option Title" ||
			v.DeliveryOptions[0].ShortDescription != "New description" || !slices.Equal(v.DeliveryOptions[0].Compatibility.AWSServices, []string{"EKS"}) {
			t.Errorf("the version is %+v", v)
		}
	case "RestrictDeliveryOptions":
		if got := p.Versions[0].DeliveryOptions[0].Visibility; got != "Restricted" {
			t.Errorf("the option is %s, want Restricted", got)
		}
	}
}

// exampleState is a product in whose place an example's ids are put.
type exampleState struct {
	product string
	options []string // pairs of the example's id and the real one
}

// prepareExample makes a limited product with the repositories and images that
// the examples name, and a version 1.0 with an image option and a chart option.
func prepareExample(t *testing.T, s *seller.Seller, namespace string) exampleState {
	t.Helper()
	ctx := t.Context()
	repositories := []string{"reponame1", "reponame2", "imagename", "helmname", "start"}
	product, err := s.Limited(ctx, "Example", repositories...)
	must(t, err)
	image, err := seller.Image("an example")
	must(t, err)
	for path, tag := range map[string]string{"reponame1": "1.1", "imagename": "1.0", "start": "1.0"} {
		must(t, s.Push(ctx, namespace+"/"+path, tag, image))
	}
	for _, chart := range []struct{ repository, tag, runs string }{
		{"reponame2", "mychart1.1", "reponame1:1.1"},
		{"reponame1", "helmchart1.1", "reponame1:1.1"},
		{"helmname", "1.0", "imagename:1.0"},
		{"start", "chart", "start:1.0"},
	} {
		packed, err := seller.Chart(chart.repository, "1.0.0", seller.DocumentedHost+"/"+namespace+"/"+chart.runs)
		must(t, err)
		must(t, s.Push(ctx, namespace+"/"+chart.repository, chart.tag, packed))
	}
	uri := seller.DocumentedHost + "/" + namespace + "/start:"
	_, err = s.Do(ctx, seller.Change("AddDeliveryOptions", product, seller.JSON(map[string]any{
		"Version": map[string]any{"VersionTitle": "1.0", "ReleaseNotes": "First."},
		"DeliveryOptions": []any{
			seller.ImageOption("First", uri+"1.0"),
			map[string]any{"DeliveryOptionTitle": "Second", "Details": map[string]any{"HelmDeliveryOptionDetails": map[string]any{
				"CompatibleServices": []string{"EKS"}, "ContainerImages": []string{uri + "1.0"}, "HelmChartUri": uri + "chart",
				"Description": "A chart.", "UsageInstructions": "Install it.", "QuickLaunchEnabled": false,
			}}},
		},
	})))
	must(t, err)
	p, err := s.Product(ctx, product)
	must(t, err)
	first, second := p.Versions[0].DeliveryOptions[0].Id, p.Versions[0].DeliveryOptions[1].Id
	return exampleState{product, []string{
		"example4-2222-cccc-2222-cccccccccccc", first, "example1-2222-cccc-2222-cccccccccccc", first,
		"example5-2222-cccc-2222-cccccccccccc", second,
	}}
}

package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"souk/conformance/seller"
	"souk/conformance/souktest"
	"souk/spec"
	"souk/spec/examples"
	"souk/spec/spectest"
)

// privateMarketplace has the entity types of private marketplaces.
var privateMarketplace = []string{"Experience", "ProcurementPolicy", "BrandingSettings", "Audience"}

// experience is a change of an experience.
func experience(changeType, identifier, details string) types.Change {
	c := seller.Change(changeType, identifier, details)
	c.Entity.Type = aws.String("Experience@1.0")
	return c
}

// TestPrivateMarketplaceExamples sends every request of the documentation's
// pages about private marketplaces, in the order of the pages: with the
// identifiers and revisions that they show, each to the experience that the ones
// before have made, or to another one of that revision.
func TestPrivateMarketplaceExamples(t *testing.T) {
	t.Parallel()
	all, err := examples.All()
	must(t, err)
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		server := souktest.Start(t, o)
		server.Must(t, "account", "create", "--name", "of the examples", "--id", "012345678901")
		chapter := &chapter{Seller: server.Root(t), logos: souktest.ServeLogos(t), made: map[string]revision{}}
		member := server.Account(t, "member", "member").Seller(server)
		for _, e := range all {
			if !slices.Contains(privateMarketplace, e.Entity) && e.Name != "001/2161-list-change-sets-shared" {
				continue
			}
			t.Run(e.Name, func(t *testing.T) {
				switch e.Kind {
				case examples.Response:
					chapter.compare(t, e)
				case examples.Request:
					verbatim(t, chapter.Seller, e)
					if strings.HasPrefix(e.Action, "List") {
						chapter.lists(t, e, member)
					} else {
						chapter.send(t, e)
					}
				}
			})
		}
	})
}

// chapter is a private marketplace that the examples make.
type chapter struct {
	*seller.Seller
	logos  *souktest.Logos
	made   map[string]revision // by the examples' ids
	last   string              // id of the experience that the page's story is about
	policy string
	answer string // to the last request
}

type revision struct {
	id string
	at int
}

// identified is an experience of an example, with its revision.
var identified = regexp.MustCompile(`(exp-[a-z0-9]+)@([0-9]+)`)

// send sends an example that changes or describes one entity.
func (c *chapter) send(t *testing.T, e examples.Example) {
	t.Helper()
	text := e.Text()
	if m := identified.FindStringSubmatch(text); m != nil {
		at, err := strconv.Atoi(m[2])
		must(t, err)
		if c.made[m[1]].at != at {
			c.made[m[1]] = revision{c.at(t, at), at}
		}
		text = strings.ReplaceAll(text, m[1], c.made[m[1]].id)
		c.made[m[1]] = revision{c.made[m[1]].id, at + 1}
	}
	if e.Entity == "ProcurementPolicy" {
		c.policy = c.filled(t)
	}
	text = strings.NewReplacer("https://example.com/path/mylogo.png", c.logos.URL+"/logo.png",
		"exp-example01", c.last, "procpolicy-123example456", c.policy).Replace(text)
	r, err := examples.Parse(text)
	must(t, err)
	a, err := c.Raw(t.Context(), r.Method, r.Target, r.Body)
	must(t, err)
	if a.Status != http.StatusOK {
		t.Fatalf("%s\nis answered with %d: %s", text, a.Status, a.Body)
	}
	c.answer = a.Body
	if e.Action != "StartChangeSet" {
		return
	}
	set, err := c.Wait(t.Context(), startedID(t, a.Body))
	must(t, err)
	if set.Status != types.ChangeStatusSucceeded {
		t.Fatalf("the change set is %s: %s", set.Status, seller.Refusals(set))
	}
	if strings.Contains(text, `"CreateExperience"`) {
		c.last = seller.EntityID(set.ChangeSet[0])
		c.made["exp-1234example"] = revision{c.last, 1}
	}
}

// filled is a policy such as the page's: with two allowed products and a denied one.
func (c *chapter) filled(t *testing.T) string {
	t.Helper()
	id := c.at(t, 2)
	for change, products := range map[string]string{
		"AllowProductProcurement": `{"Products":[{"Ids":["example1-1234-abcd-5678-90abcdef1234"]},{"Ids":["example2-2345-bcde-6789-01bcdea2345"]}]}`,
		"DenyProductProcurement":  `{"Products":[{"Ids":["example3-3456-cdef-7890-12defabc5678"]}]}`,
	} {
		doneBy(t, c.Seller, experience(change, id, products))
	}
	var shown struct{ ProcurementPolicies []string }
	details(t, c.Seller, id, &shown)
	return shown.ProcurementPolicies[0]
}

// at is an experience at a revision, with a policy from the second one on.
func (c *chapter) at(t *testing.T, revision int) string {
	t.Helper()
	id := ""
	for n := range revision {
		change := experience("UpdateExperience", id, fmt.Sprintf(`{"Description":"Revision %d"}`, n))
		switch n {
		case 0:
			change = experience("CreateExperience", "", `{"Name":"Of the examples"}`)
		case 1:
			change = experience("CreateProcurementPolicy", id, `{}`)
		}
		set, err := c.Do(t.Context(), change)
		must(t, err)
		id = seller.EntityID(set.ChangeSet[0])
	}
	return id
}

// compare compares the last answer with the example of one: the answer has all
// of its members, and those of its Details.
func (c *chapter) compare(t *testing.T, e examples.Example) {
	t.Helper()
	var want, got map[string]any
	must(t, json.Unmarshal([]byte(e.Text()), &want))
	must(t, json.Unmarshal([]byte(c.answer), &got))
	names := func(m map[string]any) map[string]any {
		if text, ok := m["Details"].(string); ok {
			var details map[string]any
			must(t, json.Unmarshal([]byte(text), &details))
			for name := range details {
				m["Details."+name] = details[name]
			}
		}
		return m
	}
	for name := range names(want) {
		if _, ok := names(got)[name]; !ok {
			t.Errorf("the answer has no %s: %s", name, c.answer)
		}
	}
	for _, same := range []string{"Details.Statements", "Details.Configuration", "Details.Status", "EntityType"} {
		if diff := cmp.Diff(want[same], got[same]); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", same, diff)
		}
	}
}

// lists sends an example that lists, as the management account and as another.
func (c *chapter) lists(t *testing.T, e examples.Example, member *seller.Seller) {
	t.Helper()
	r, err := examples.Parse(e.Text())
	must(t, err)
	shared := strings.Contains(e.Text(), "SharedWithMe")
	for _, by := range []struct {
		*seller.Seller
		sees bool
	}{{c.Seller, !shared}, {member, shared}} {
		a, err := by.Raw(t.Context(), r.Method, r.Target, r.Body)
		must(t, err)
		if a.Status != http.StatusOK || strings.Contains(a.Body, c.last) != by.sees {
			t.Errorf("shared %t, seen %t: %d %s", shared, by.sees, a.Status, a.Body)
		}
	}
}

// TestDocumentedErrorsOfExperiences provokes every documented error of private
// marketplaces through the API.
func TestDocumentedErrorsOfExperiences(t *testing.T) {
	t.Parallel()
	testdata := os.DirFS("../catalog/experience/testdata")
	samples, err := spec.ReadSamples(testdata)
	must(t, err)
	setups, err := spec.ReadSetups(testdata)
	must(t, err)
	var changeTypes []string
	for _, s := range samples {
		if !slices.Contains(changeTypes, s.ChangeType) {
			changeTypes = append(changeTypes, s.ChangeType)
		}
	}
	spectest.CompareSamples(t, "Experience", changeTypes, testdata)
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		server := souktest.Start(t, o)
		logos := souktest.ServeLogos(t)
		values := map[string]string{
			"account:stranger": "999900001111", "logo": logos.URL + "/logo.png",
			"logo:missing": logos.URL + "/missing.png", "logo:text": logos.URL + "/text.png",
		}
		for _, name := range []string{"free", "mine", "busy", "leaving", "other"} {
			values["account:"+name] = strings.TrimSpace(server.Must(t, "account", "create", "--name", name))
		}
		root, member := server.Root(t), server.Account(t, "member", "member").Seller(server)

		// Before there is an experience: a member may not make the first one.
		nothing := &rowProduct{Seller: member, entity: "Experience", setups: setups, values: values}
		for _, sample := range samples {
			if sample.Given == "" {
				t.Run(sample.Name, func(t *testing.T) { nothing.provoke(t, sample) })
			}
		}

		others := doneBy(t, root, experience("CreateExperience", "", `{"Name":"Others"}`))
		doneBy(t, root, experience("AssociateAudience", others, seller.JSON(map[string]any{"Principals": []string{values["account:other"]}})))
		led := map[string]*rowProduct{}
		for _, sample := range samples {
			if sample.Given != "" && led[sample.Given] == nil {
				led[sample.Given] = &rowProduct{Seller: member, entity: "Experience", setups: setups, values: values}
				led[sample.Given].reach(t, sample.Given)
			}
		}
		// A change set that is about two accounts and takes its time.
		slow, err := root.Start(t.Context(),
			experience("CreateBrandingSettings", others, seller.JSON(map[string]any{"Name": "Slow", "Configuration": map[string]string{"LogoUrl": logos.Slow("experience")}})),
			experience("AssociateAudience", others, seller.JSON(map[string]any{"Principals": []string{values["account:busy"], values["account:leaving"]}})))
		must(t, err)
		<-logos.Asked("experience")
		for _, sample := range samples {
			if sample.Given != "" {
				t.Run(sample.Name, func(t *testing.T) { led[sample.Given].provoke(t, sample) })
			}
		}
		logos.Release("experience")
		set, err := root.Wait(t.Context(), slow)
		must(t, err)
		if set.Status != types.ChangeStatusFailed || !strings.Contains(seller.Refusals(set), "ENTITY_ALREADY_EXISTS") {
			t.Errorf("the slow set is %s: %s", set.Status, seller.Refusals(set))
		}

		// The row of all change types: what is no JSON.
		a, err := root.Raw(t.Context(), "POST", "/StartChangeSet",
			`{"Catalog":"AWSMarketplace","ChangeSet":[{"ChangeType":"CreateExperience","Entity":{"Type":"Experience@1.0"},"Details":"{\"Name\":}"}]}`)
		must(t, err)
		if a.Status != http.StatusUnprocessableEntity || !strings.Contains(a.Body, `"Document not valid JSON format"`) {
			t.Errorf("no JSON: %d %s", a.Status, a.Body)
		}
	})
}

// doneBy runs a change to its good end and returns its entity's id.
func doneBy(t *testing.T, s *seller.Seller, change types.Change) string {
	t.Helper()
	set, err := s.Do(t.Context(), change)
	must(t, err)
	return seller.EntityID(set.ChangeSet[0])
}

// TestPrivateMarketplaceByTheCommandLine makes a private marketplace from nothing
// with the AWS CLI, and pulls with skopeo what it allows and what it denies.
func TestPrivateMarketplaceByTheCommandLine(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		server := souktest.Start(t, o)
		logos := souktest.ServeLogos(t)
		vendor, buyer := server.Account(t, "vendor", "vendor").Seller(server), server.Account(t, "buyer", "buyer")
		products := map[string]string{}
		for _, name := range []string{"allowed", "denied", "unknown"} {
			products[name] = published(t, vendor, "vendor", name)
		}
		root := server.Root(t)
		management, err := root.Account(t.Context())
		must(t, err)
		key, err := server.RootKey()
		must(t, err)
		account := souktest.Account{ID: management, Key: key}
		p := testscript.Params{Dir: "testdata/privatemarketplace"}
		p.Setup = func(e *testscript.Env) error {
			for name, id := range products {
				e.Setenv(strings.ToUpper(name), id)
			}
			e.Setenv("ROOT_KEY", key.AccessKeyID)
			e.Setenv("ROOT_SECRET", key.SecretAccessKey)
			e.Setenv("BUYER", buyer.ID)
			e.Setenv("BUYER_KEY", buyer.Key.AccessKeyID)
			e.Setenv("BUYER_SECRET", buyer.Key.SecretAccessKey)
			return setupScript(e, root, account, logos)
		}
		p.Cmds = map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"keep":  keepOutput,
			"await": func(ts *testscript.TestScript, _ bool, args []string) { awaitSet(ts, root, args) },
			"fetch": fetch,
		}
		t.Run("scripts", func(t *testing.T) { testscript.Run(t, p) })
	})
}

// published is a public container product with one image, in the seller's
// repository of that name.
func published(t *testing.T, s *seller.Seller, namespace, name string) string {
	t.Helper()
	ctx := t.Context()
	product, err := s.Limited(ctx, "Product "+name, name)
	must(t, err)
	image, err := seller.Image("the program of " + name)
	must(t, err)
	must(t, s.Push(ctx, namespace+"/"+name, "1.0", image))
	_, err = s.Do(ctx, seller.Change("AddDeliveryOptions", product, seller.Version("1.0", s.Host()+"/"+namespace+"/"+name+":1.0")))
	must(t, err)
	_, err = s.Do(ctx, seller.Change("UpdateVisibility", product, `{"TargetVisibility":"Public"}`))
	must(t, err)
	return product
}

package experience_test

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"souk/catalog/change"
	"souk/catalog/experience"
	"souk/catalog/product/producttest"
	"souk/spec"
)

// The values of samples' placeholders.
var placeholders = map[string]string{
	"account:free":     "222233334444",
	"account:mine":     "444455556666",
	"account:busy":     "333344445555", // another change set is about to associate it
	"account:leaving":  "555566667777", // associated, and another change set names it
	"account:other":    "666677778888", // in the audience of another experience
	"account:stranger": "999900001111",
	"logo":             "https://example.com/path/mylogo.png",
	"logo:missing":     "https://example.com/missing.png",
	"logo:text":        "https://example.com/text.png",
}

const keptLogo = "http://127.0.0.1:8470/logos/kept.png"

// market is the organisation and the other experiences around an item.
type market struct{}

func (m market) Ports(i *producttest.Item) change.World {
	a := around{i}
	return change.World{Names: a, Organization: a, Marks: a, Branding: a}
}

type around struct{ item *producttest.Item }

// Taken implements change.Names.
func (a around) Taken(_ context.Context, kind, id string) (bool, error) {
	for _, c := range slices.Backward(a.item.Claims) {
		if c.Kind == kind && c.ID == id {
			return !c.Released, nil
		}
	}
	// Sets that lead to a state make the organisation's first experience, too.
	first := kind == "privatemarketplace" && len(a.item.Set) > 0
	return first || kind == "principal" && id == placeholders["account:other"], nil
}

// Management implements change.Organization: it is not the account of the tests.
func (a around) Management(context.Context) (string, error) { return "123456789012", nil }

// Has implements change.Organization.
func (a around) Has(_ context.Context, principal string) (bool, error) {
	return principal != placeholders["account:stranger"], nil
}

// Ahead implements change.Marks.
func (a around) Ahead(_ context.Context, mark string) (bool, error) {
	busy := mark == "principal/"+placeholders["account:busy"]
	leaving := mark == "principal/"+placeholders["account:leaving"]
	return busy || leaving && len(a.item.Claims) > 0, nil
}

// Copy implements change.Logos.
func (a around) Copy(_ context.Context, url string) (string, error) {
	switch url {
	case placeholders["logo:missing"]:
		return "", change.ErrLogoUnreachable
	case placeholders["logo:text"]:
		return "", change.ErrLogoNotSupported
	}
	return keptLogo, nil
}

var family = producttest.Family{
	Testdata: os.DirFS("testdata"),
	New: func() *producttest.Item {
		i := producttest.NewItem(experience.EntityTypes()[0], time.Date(2021, 1, 13, 20, 31, 36, 0, time.UTC))
		i.World = market{}
		return i
	},
	Placeholders: func(testing.TB, *producttest.Item) map[string]string { return placeholders },
	Set:          []change.Beside{{ChangeType: "CreateExperience", EntityType: experience.Type, EntityID: "exp-first"}},
}

func TestExperience(t *testing.T) { family.Test(t) }

func FuzzDetails(f *testing.F) {
	var starts []*producttest.Item
	for _, name := range []string{"created", "filled", "branded", "associated", "archived"} {
		starts = append(starts, family.Given(f, name))
	}
	family.Fuzz(f, placeholders, starts, `{"Products":[null]}`, `{"Products":[{"Ids":null}]}`, `{"Configuration":{"LogoUrl":null}}`, `{"Principals":["o-a1b2c3d4e5","ou-ab12-a1b2c3d4"]}`)
}

// shown is the DetailsDocument of an item, or of its part of a type.
func shown(t *testing.T, i *producttest.Item, part string) string {
	t.Helper()
	if part == "" {
		return string(i.Document(t))
	}
	for _, p := range i.Kind.Parts(i.State) {
		if p.Type != part {
			continue
		}
		for _, kind := range experience.EntityTypes() {
			if kind.Name == part {
				b, err := json.Marshal(kind.Describe(p.State, change.Entity{}))
				if err != nil {
					t.Fatal(err)
				}
				return string(b)
			}
		}
	}
	t.Fatalf("%s has no part %s", i.Entity.ID, part)
	return ""
}

// masked puts X in the place of what comes behind the dashes of new ids.
func masked(text string, prefixes ...string) string {
	for _, p := range prefixes {
		before, rest, ok := strings.Cut(text, p)
		if ok {
			text = before + p + "X" + rest[13:]
		}
	}
	return text
}

func TestAnExperienceIsShownAsThePageShowsIt(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "filled")
	i.Do(t, "CreateBrandingSettings", `{"Name":"ExampleBrandingSettingsName"}`)
	i.Do(t, "UpdateExperience", `{"Status":"Enabled"}`)
	i.Do(t, "AssociateAudience", `{"Name":"AudienceName","Description":"Audience example.","Principals":["012345678901","012345678901","ou-ab12-a1b2c3d4"]}`)
	for part, want := range map[string]string{
		"": `{"Name":"Sample experience","Description":"A sample.","Status":"Enabled","AdminStatus":"Editable",` +
			`"ProcurementPolicies":["procpolicy-X"],"BrandingSettings":["brandsettings-X"]}`,
		"ProcurementPolicy": `{"Name":"Sample policy","Statements":[` +
			`{"Effect":"Allow","Resources":[{"Type":"Product","Ids":["prod-a","prod-b"],"Notes":"Useful"}]},` +
			`{"Effect":"Deny","Resources":[{"Type":"Product","Ids":["prod-c"]}]}],"Configuration":{"PolicyResourceRequests":"Allow"}}`,
		"BrandingSettings": `{"Name":"ExampleBrandingSettingsName","Configuration":{"Title":"Private Marketplace","ThemeColor":"#232F3E"}}`,
		"Audience":         `{"Name":"AudienceName","Description":"Audience example.","ExperienceId":"exp-X","Principals":["012345678901","ou-ab12-a1b2c3d4"]}`,
	} {
		if diff := cmp.Diff(want, masked(shown(t, i, part), "procpolicy-", "brandsettings-", "exp-")); diff != "" {
			t.Errorf("%q differs (-want +got):\n%s", part, diff)
		}
	}
}

func TestAnEmptyExperienceShowsEmptyLists(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "archived")
	want := `{"Name":"Sample experience","Description":"A sample.","Status":"Disabled","AdminStatus":"Restricted","ProcurementPolicies":[],"BrandingSettings":[]}`
	if got := shown(t, i, ""); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := i.Listed(); got.Visibility != "Restricted" || got.Name != "Sample experience" {
		t.Errorf("it is listed as %+v", got)
	}
	i.Do(t, "ReviveExperience", `{}`)
	i.Do(t, "UpdateExperience", `{"Status":"Enabled","Description":null}`)
	if got := shown(t, i, ""); !strings.Contains(got, `"Status":"Enabled","AdminStatus":"Editable"`) || strings.Contains(got, "Description") {
		t.Errorf("revived and enabled it is %s", got)
	}
}

func TestAProductIsInOneListOfThePolicy(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "filled")
	i.Do(t, "DenyProductProcurement", `{"Products":[{"Ids":["prod-a"],"Notes":"Not any more"}]}`)
	i.Do(t, "AllowProductProcurement", `{"Products":[{"Ids":["prod-c"]},{"Ids":["prod-b"]}]}`)
	i.Do(t, "UpdateProcurementPolicy", `{"Name":null,"Configuration":{"PolicyResourceRequests":"Deny"}}`)
	want := `{"Name":"","Statements":[` +
		`{"Effect":"Allow","Resources":[{"Type":"Product","Ids":["prod-c"]},{"Type":"Product","Ids":["prod-b"]}]},` +
		`{"Effect":"Deny","Resources":[{"Type":"Product","Ids":["prod-a"],"Notes":"Not any more"}]}],"Configuration":{"PolicyResourceRequests":"Deny"}}`
	if got := shown(t, i, "ProcurementPolicy"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestOnlyACopyOfTheLogoIsKept(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "branded")
	if got := shown(t, i, "BrandingSettings"); !strings.Contains(got, `"LogoUrl":"`+keptLogo+`"`) {
		t.Errorf("the branding is %s", got)
	}
	// What DescribeEntity shows is sent back by programs that change one thing.
	i.Do(t, "UpdateBrandingSettings", `{"Configuration":{"Title":"New","LogoUrl":"`+keptLogo+`"}}`)
	if got := shown(t, i, "BrandingSettings"); !strings.Contains(got, `"LogoUrl":"`+keptLogo+`"`) || !strings.Contains(got, `"Title":"New"`) {
		t.Errorf("the branding is %s", got)
	}
	i.Do(t, "UpdateBrandingSettings", `{"Configuration":{"Title":null,"LogoUrl":null}}`)
	if got := shown(t, i, "BrandingSettings"); strings.Contains(got, "LogoUrl") || !strings.Contains(got, `"Title":"Private Marketplace"`) {
		t.Errorf("with defaults the branding is %s", got)
	}
}

func TestPrincipalsAreClaimedAndReleased(t *testing.T) {
	t.Parallel()
	i := family.Given(t, "associated")
	i.Do(t, "DisassociateAudience", `{"Principals":["`+placeholders["account:mine"]+`"]}`)
	last := i.Claims[len(i.Claims)-1]
	if last.Kind != "principal" || last.ID != placeholders["account:mine"] || !last.Released {
		t.Errorf("the last claim is %+v, want the account's release", last)
	}
	i.Do(t, "AssociateAudience", `{"Principals":["`+placeholders["account:mine"]+`"]}`)
	if got := shown(t, i, "Audience"); !strings.HasSuffix(got, `"Principals":["555566667777","444455556666"]}`) {
		t.Errorf("the audience is %s", got)
	}
}

func TestWhatIsNoJSONIsRefusedInThePagesWords(t *testing.T) {
	t.Parallel()
	table, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	rows := table.Binding("Experience", "All")
	if len(rows) != 1 || rows[0].Code != "422" || rows[0].Message != experience.EntityTypes()[0].NotJSON {
		t.Errorf("the rows of all change types are %+v, stated is %q", rows, experience.EntityTypes()[0].NotJSON)
	}
}

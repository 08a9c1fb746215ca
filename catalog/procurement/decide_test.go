package procurement

import (
	_ "embed"
	"slices"
	"strings"
	"testing"
	"time"
)

//go:embed testdata/decisions.tsv
var decisions string

// The accounts of the tests. theProduct is what they ask for, with one version.
const (
	seller     = "111111111111"
	buyer      = "222222222222"
	theProduct = "prod-x"
)

// decision is a row of the table.
type decision struct {
	meets          [4]string // who, product, option, private
	answer, reason string
}

func readDecisions(t *testing.T) []decision {
	t.Helper()
	var rows []decision
	for line := range strings.Lines(decisions) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 6 {
			t.Fatalf("the row %q has %d columns, want 6", line, len(f))
		}
		rows = append(rows, decision{[4]string(f[:4]), f[4], f[5]})
	}
	return rows
}

// matches says whether a row is about a combination.
func (d *decision) matches(combination [4]string) bool {
	for i, value := range combination {
		if d.meets[i] != "*" && !slices.Contains(strings.Split(d.meets[i], "|"), value) {
			return false
		}
	}
	return true
}

// caseOf makes the case of a combination.
func caseOf(combination [4]string) (*Case, *Version) {
	who, private := combination[0], combination[3]
	c := &Case{Account: buyer, ID: theProduct, exists: true, Product: Product{
		Owner: seller, Visibility: combination[1],
		Versions: []Version{
			{ID: "v-1", Title: "1.0", Options: []Option{{ID: "o-1", Visibility: combination[2]}}},
			{ID: "v-2", Title: "2.0"},
		},
	}}
	switch who {
	case "seller":
		c.Account = seller
	case "invited":
		c.Product.Invited = []string{buyer}
	case "has":
		c.Has = []Obtained{{Version: "v-1", First: time.Unix(1, 0)}}
	case "had":
		c.Has = []Obtained{{Version: "v-2", First: time.Unix(1, 0)}}
	}
	switch private {
	case "allows":
		c.Private = &Verdict{true, "allowed by the administrator"}
	case "denies":
		c.Private = &Verdict{false, "denied by the administrator"}
	}
	return c, &c.Product.Versions[0]
}

func TestEveryCombinationIsDecidedAsTheTableSays(t *testing.T) {
	t.Parallel()
	rows := readDecisions(t)
	for _, who := range []string{"seller", "invited", "has", "had", "stranger"} {
		for _, visibility := range []string{draft, limited, public, restricted} {
			for _, option := range []string{public, limited, restricted} {
				for _, private := range []string{"none", "allows", "denies"} {
					combination := [4]string{who, visibility, option, private}
					met := slices.DeleteFunc(slices.Clone(rows), func(d decision) bool { return !d.matches(combination) })
					if len(met) != 1 {
						t.Errorf("%q is met by %d rows of the table, want 1", combination, len(met))
						continue
					}
					c, v := caseOf(combination)
					for what, got := range map[string]Answer{"option": c.ObtainOption(v, &v.Options[0]), "version": c.ObtainVersion("v-1")} {
						want := map[string]Answer{"yes": {OK: true}, "no": {Told: true}, "hidden": {}}[met[0].answer]
						if got.OK != want.OK || got.Told != want.Told || !strings.Contains(got.Reason, met[0].reason) {
							t.Errorf("%s of %q: got %+v, want %s: %s", what, combination, got, met[0].answer, met[0].reason)
						}
						if got.OK && private == "allows" && who != "seller" && !strings.Contains(got.Reason, "allowed by the administrator") {
							t.Errorf("%s of %q: the reason %q says nothing of the private marketplace", what, combination, got.Reason)
						}
					}
				}
			}
		}
	}
}

func TestTheProductAsAWhole(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		who, visibility, private string
		want                     Answer
	}{
		{"seller", draft, "denies", Answer{OK: true, Reason: "the account sells the product"}},
		{"stranger", draft, "none", Answer{Reason: "the product is Draft"}},
		{"stranger", "Strange", "none", Answer{Reason: "the product is Strange"}},
		{"stranger", limited, "denies", Answer{Reason: "the product is Limited and the account is not invited"}},
		{"invited", limited, "none", Answer{OK: true, Reason: "the product is Limited and the account is invited"}},
		{"stranger", public, "allows", Answer{OK: true, Reason: "the product is Public, allowed by the administrator"}},
		{"stranger", public, "denies", Answer{Reason: "denied by the administrator", Told: true}},
		{"stranger", restricted, "none", Answer{Reason: "product prod-x is Restricted: it takes no new subscribers, and account 222222222222 has none of it", Told: true}},
		{"had", restricted, "none", Answer{OK: true, Reason: "the product is Restricted and the account has it already"}},
	} {
		x, _ := caseOf([4]string{c.who, c.visibility, public, c.private})
		if got := x.Obtain(); got != c.want {
			t.Errorf("%s of a %s product, private marketplace %s: got %+v, want %+v", c.who, c.visibility, c.private, got, c.want)
		}
	}
	nobody, _ := caseOf([4]string{"stranger", limited, public, "none"})
	nobody.Account, nobody.Product.Invited = "", []string{""}
	if nobody.Obtain().OK {
		t.Error("an empty account id is invited")
	}
}

func TestAVersionIsObtainedByOneOfItsOptions(t *testing.T) {
	t.Parallel()
	c, v := caseOf([4]string{"stranger", public, restricted, "none"})
	v.Options = append(v.Options, Option{ID: "o-2", Visibility: limited, Invited: []string{buyer}})
	if got := c.ObtainVersion("v-1"); !got.OK {
		t.Errorf("by its Limited option, to which the account is invited: %+v", got)
	}
	if got := c.ObtainOption(v, &v.Options[0]); got.OK {
		t.Errorf("its Restricted option: %+v", got)
	}
	for id, reason := range map[string]string{"v-2": "delivers nothing", "v-9": "has no version v-9"} {
		if got := c.ObtainVersion(id); got.OK || !got.Told || !strings.Contains(got.Reason, reason) {
			t.Errorf("version %s: got %+v, want %q", id, got, reason)
		}
	}
}

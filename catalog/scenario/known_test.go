package scenario

import (
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"souk/spec"
)

func TestRulesAboutWhatThereIsNot(t *testing.T) {
	t.Parallel()
	s := New(Config{Store: open(t), Known: Known{
		Changes: map[string][]string{"AmiProduct": {"AddDeliveryOptions", "CreateProduct"}, "Offer": {"ReleaseOffer"}},
		Actions: []string{"DescribeChangeSet", "StartChangeSet"},
	}})
	for name, c := range map[string]struct{ text, want string }{
		"an entity type with its version": {"rules:\n  - review: true\n  - match: {title: x,\n     entityType: AmiProduct@1.0}\n    review: true",
			`line 4, rule "rule 2": there is no entity type "AmiProduct@1.0": there are AmiProduct, Offer`},
		"a change type that is misspelt":          {"rules: [{match: {changeType: AddDeliveryOption}, review: true}]", `line 1, rule "rule 1": there is no change type "AddDeliveryOption": there are AddDeliveryOptions, CreateProduct, ReleaseOffer`},
		"a change type of another entity type":    {"rules: [{match: {entityType: Offer, changeType: Create*}, review: true}]", `no change type "Create*" of Offer: there are ReleaseOffer`},
		"an action that is misspelt":              {"rules:\n- throttle: true\n  match:\n    action: DescribeChangeset", `line 4, rule "rule 1": there is no action "DescribeChangeset": there are DescribeChangeSet, StartChangeSet`},
		"an account of 11 digits":                 {`rules: [{match: {account: "12345678901"}, review: true}]`, "12 digits"},
		"a code that is misspelt":                 {"rules:\n- match: {changeType: AddDeliveryOptions}\n  fail:\n    message: m\n    code: SCAN_EROR", `line 5, rule "rule 1": there is no code "SCAN_EROR": the nearest of`},
		"a code of another entity type":           {"rules: [{match: {entityType: Offer}, fail: {code: SCAN_ERROR, message: m}}]", `there is no code "SCAN_ERROR"`},
		"a rule that does nothing, with its line": {"rules:\n- drop: true\n- name: idle", `line 3, rule "idle": it does nothing`},
	} {
		f, err := Parse([]byte(c.text))
		if err == nil {
			_, err = s.Apply(t.Context(), f, false)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for _, text := range []string{
		"rules: [{match: {entityType: '*Product', changeType: 'Add*'}, review: true}, {match: {action: 'Describe*'}, drop: true}]",
		"rules: [{match: {account: '1*', changeType: ReleaseOffer}, fail: {code: MISSING_NAME, message: m}}]",
	} {
		if _, err := s.Apply(t.Context(), parsed(t, text), false); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	_, err := Parse([]byte("rules: [{match: {}, fail: {code: A, message: b}}]"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Apply(t.Context(), parsed(t, "rules: [{fail: {code: SCAN_EROR, message: b}}]"), false)
	if err == nil || !strings.Contains(err.Error(), "SCAN_ERROR") {
		t.Errorf("the nearest code is not named: %v", err)
	}
}

var update = flag.Bool("update", false, "write codes.tsv anew from the documentation's tables")

// codesFile is what codes.tsv must be.
func codesFile(t *testing.T) string {
	t.Helper()
	table, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string][]string{}
	for _, row := range table.Rows {
		if row.Code != "422" && (row.Status == spec.Live || row.Status == spec.Mended || row.Status == spec.Today) {
			change := row.Entity + "\t" + row.ChangeType
			codes[change] = append(codes[change], row.Code)
		}
	}
	var b strings.Builder
	for line := range strings.Lines(codesTable) {
		if strings.HasPrefix(line, "#") {
			b.WriteString(line)
		}
	}
	for _, change := range slices.Sorted(maps.Keys(codes)) {
		all := codes[change]
		slices.Sort(all)
		b.WriteString(change + "\t" + strings.Join(slices.Compact(all), " ") + "\n")
	}
	return b.String()
}

func TestCodesAreThoseOfTheDocumentation(t *testing.T) {
	t.Parallel()
	want := codesFile(t)
	if *update {
		if err := os.WriteFile("codes.tsv", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, codesTable); diff != "" {
		t.Errorf("codes.tsv is not what spec's tables have; go test ./catalog/scenario -update writes it:\n%s", diff)
	}
}

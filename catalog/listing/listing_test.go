package listing

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"souk/catalog/change"
	"souk/catalog/containerproduct"
	"souk/catalog/product"
	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
)

// The accounts of the tests.
const (
	seller = "111111111111"
	friend = "222222222222"
	other  = "333333333333"
)

type sealer struct{ cipher.AEAD }

func (s sealer) Seal(purpose string, plain, bound []byte) []byte {
	return s.AEAD.Seal(nil, nil, plain, append([]byte(purpose), bound...))
}

func (s sealer) Open(purpose string, sealed, bound []byte) ([]byte, error) {
	return s.AEAD.Open(nil, nil, sealed, append([]byte(purpose), bound...))
}

func newListings(t testing.TB) *Listings {
	t.Helper()
	s := sqlitetest.Open(t)
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	return New(s, sealer{aead})
}

// item is a container product with one version.
func item(id, title, visibility string, change ...func(*containerproduct.Product)) (string, *containerproduct.Product) {
	p := &containerproduct.Product{Versions: []containerproduct.Version{{
		Title: "1.0", DeliveryOptions: []containerproduct.DeliveryOption{{ID: "o", Visibility: product.Public}},
	}}}
	p.Description.ProductTitle, p.Description.Visibility = title, product.Visibility(visibility)
	for _, f := range change {
		f(p)
	}
	return id, p
}

func (l *Listings) put(t testing.TB, id string, p *containerproduct.Product) {
	t.Helper()
	writes, err := Write(entity(id), p)
	if err == nil && writes != nil {
		err = l.store.Commit(t.Context(), store.Batch{Put: writes})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func entity(id string) change.Entity {
	return change.Entity{ID: id, Type: "ContainerProduct@1.0", Owner: seller, LastModified: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
}

func invite(accounts ...string) func(*containerproduct.Product) {
	return func(p *containerproduct.Product) {
		p.Targeting = &product.Targeting{PositiveTargeting: product.PositiveTargeting{BuyerAccounts: accounts}}
	}
}

// all reads all pages of a search.
func (l *Listings) all(t testing.TB, q Query) (titles []string, total int) {
	t.Helper()
	for first := true; first || q.Token != ""; first = false {
		page, err := l.Search(t.Context(), q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		for _, found := range page.Listings {
			titles = append(titles, found.Title)
		}
		if first {
			total = page.Total
		}
		if q.Token = page.Next; len(page.Listings) > q.Max {
			t.Fatalf("a page of %d, want at most %d", len(page.Listings), q.Max)
		}
	}
	return titles, total
}

func (l *Listings) sound(t testing.TB) {
	t.Helper()
	if wrong, err := l.Verify(t.Context()); err != nil || len(wrong) > 0 {
		t.Errorf("verifying: %q, %v", wrong, err)
	}
}

func TestWhoSeesWhat(t *testing.T) {
	t.Parallel()
	l := newListings(t)
	for _, visibility := range []string{"Draft", "Limited", "Public", "Restricted"} {
		id, p := item("prod-"+strings.ToLower(visibility), visibility, visibility, invite(friend))
		l.put(t, id, p)
	}
	for _, q := range []Query{{}, {Text: "i"}, {Text: "prod"}, {Filters: []Filter{{FulfillmentOptionType, []string{Container}}}}} {
		for account, want := range map[string][]string{
			seller: {"Limited", "Public"}, friend: {"Limited", "Public"}, other: {"Public"}, "": {"Public"},
		} {
			q.Account, q.Max = account, 10
			if got, total := l.all(t, q); !slices.Equal(slices.Sorted(slices.Values(got)), want) || total != len(want) {
				t.Errorf("%+v: got %q of %d, want %q", q, got, total, want)
			}
		}
	}
	for _, c := range []struct {
		account, product string
		want             bool
	}{
		{seller, "prod-limited", true}, {friend, "prod-limited", true}, {other, "prod-limited", false},
		{other, "prod-public", true}, {seller, "prod-restricted", true}, {friend, "prod-restricted", false},
	} {
		found, ok, err := l.Get(t.Context(), c.product)
		if err != nil || !ok || found.Sees(c.account) != c.want {
			t.Errorf("%s sees %s: %t, %v, %v, want %t", c.account, c.product, found.Sees(c.account), ok, err, c.want)
		}
	}
	// What is not public any more is found no more.
	id, p := item("prod-public", "Public", "Restricted")
	l.put(t, id, p)
	if got, _ := l.all(t, Query{Account: other, Text: "public", Max: 10}); got != nil {
		t.Errorf("a product that is Restricted now is found: %q", got)
	}
	l.sound(t)
}

func TestSearchesFindWhatTheyShould(t *testing.T) {
	t.Parallel()
	l := newListings(t)
	l.put(t, "prod-1", second(item("prod-1", "Postgres Pro", "Public", func(p *containerproduct.Product) {
		p.Description.Categories = []string{"Databases & Analytics"}
		p.Dimensions = []product.Dimension{{Key: "u", Unit: "Users", Types: []string{product.Entitled}}}
	})))
	l.put(t, "prod-2", second(item("prod-2", "Backups", "Public", func(p *containerproduct.Product) {
		p.Description.ShortDescription = "Keeps copies of Postgres databases."
	})))
	l.put(t, "prod-3", second(item("prod-3", "PostgresTools", "Public", func(p *containerproduct.Product) {
		p.Description.SearchKeywords = []string{"sql", "Äpfel"}
		p.Versions[0].DeliveryOptions[0].Helm = &containerproduct.Helm{}
	})))
	for _, c := range []struct {
		q    Query
		want []string
	}{
		{Query{Text: "postgres"}, []string{"Postgres Pro", "PostgresTools", "Backups"}},
		{Query{Text: "POSTGRES", Ascending: true}, []string{"Backups", "PostgresTools", "Postgres Pro"}},
		{Query{Text: "copies postgres"}, []string{"Backups"}},
		{Query{Text: "sql"}, []string{"PostgresTools"}},
		{Query{Text: "äpf"}, []string{"PostgresTools"}},
		{Query{Text: "pr"}, []string{"Backups", "Postgres Pro", "PostgresTools"}}, // in all ids, and less than a trigram
		{Query{Text: "prod-2"}, []string{"Backups"}},
		{Query{Text: "nothing"}, nil},
		{Query{Filters: []Filter{{Category, []string{"databases-analytics"}}}}, []string{"Postgres Pro"}},
		{Query{Filters: []Filter{{FulfillmentOptionType, []string{Helm, SaaS}}}}, []string{"PostgresTools"}},
		{Query{Filters: []Filter{{PricingModel, []string{"FREE"}}}, Text: "postgres"}, []string{"PostgresTools", "Backups"}},
		{Query{Filters: []Filter{{PricingModel, []string{"CONTRACT"}}, {PricingUnit, []string{"USERS"}}}}, []string{"Postgres Pro"}},
		{Query{Filters: []Filter{{PricingModel, []string{"CONTRACT"}}, {FulfillmentOptionType, []string{Helm}}}}, nil},
		{Query{Filters: []Filter{{Publisher, []string{Profile(seller)}}}}, []string{"Backups", "Postgres Pro", "PostgresTools"}},
		{Query{Filters: []Filter{{Publisher, []string{Profile(other)}}}}, nil},
	} {
		for _, max := range []int{1, 2, 100} {
			c.q.Account, c.q.Max = other, max
			if got, _ := l.all(t, c.q); !slices.Equal(got, c.want) {
				t.Errorf("%+v: got %q, want %q", c.q, got, c.want)
			}
		}
	}
	l.sound(t)
}

func second(_ string, p *containerproduct.Product) *containerproduct.Product { return p }

// TestPagesNeitherRepeatNorHide compares searches with a look at each product,
// also those that find more than is sorted.
func TestPagesNeitherRepeatNorHide(t *testing.T) {
	t.Parallel()
	l := newListings(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	words := []string{"blue", "red", "green"}
	type one struct{ title, visibility string }
	var all []one
	for i := range 60 {
		p := one{fmt.Sprintf("%s %s thing", words[rnd.IntN(3)], words[rnd.IntN(3)]), []string{"Public", "Public", "Limited"}[rnd.IntN(3)]}
		all = append(all, p)
		id, made := item(fmt.Sprintf("prod-%04d", i), p.title, p.visibility, invite(friend))
		l.put(t, id, made)
	}
	for _, most := range []int{1000, 10} {
		l.most = most
		for _, text := range []string{"", "blue", "blue red", "thing"} {
			for _, account := range []string{friend, other} {
				for _, max := range []int{1, 7, 100} {
					var want []string
					for _, p := range all {
						has := func(word string) bool { return strings.Contains(p.title, word) }
						if (p.visibility == "Public" || account == friend) && !slices.ContainsFunc(strings.Fields(text), func(w string) bool { return !has(w) }) {
							want = append(want, p.title)
						}
					}
					for _, ascending := range []bool{false, true} {
						q := Query{Account: account, Text: text, Max: max, Ascending: ascending}
						got, total := l.all(t, q)
						sorted := slices.Clone(want)
						slices.Sort(sorted)
						if ascending {
							slices.Reverse(sorted)
						}
						if !slices.Equal(got, sorted) {
							t.Fatalf("%+v, sorting %d: got %d %q, want %d %q", q, most, len(got), got, len(sorted), sorted)
						}
						if most == 1000 && total != len(want) {
							t.Errorf("%+v: total %d, want %d", q, total, len(want))
						}
					}
				}
			}
		}
	}
	l.sound(t)
}

func TestTokensBelongToTheirSearch(t *testing.T) {
	t.Parallel()
	l := newListings(t)
	for i := range 3 {
		id, p := item(fmt.Sprintf("prod-%d", i), fmt.Sprintf("Thing %d", i), "Public")
		l.put(t, id, p)
	}
	for _, text := range []string{"", "thing"} {
		q := Query{Account: other, Text: text, Max: 1}
		page, err := l.Search(t.Context(), q)
		if err != nil || page.Next == "" {
			t.Fatalf("%+v, %v", page, err)
		}
		for what, change := range map[string]func(*Query){
			"another account": func(q *Query) { q.Account = friend }, "another text": func(q *Query) { q.Text = "things" },
			"another order": func(q *Query) { q.Ascending = true }, "a filter": func(q *Query) { q.Filters = []Filter{{Category, []string{"x"}}} },
			"cut off": func(q *Query) { q.Token = q.Token[:8] }, "no base64": func(q *Query) { q.Token = "%" },
		} {
			wrong := q
			wrong.Token = page.Next
			change(&wrong)
			if _, err := l.Search(t.Context(), wrong); !errors.Is(err, ErrToken) {
				t.Errorf("text %q, %s: %v, want ErrToken", text, what, err)
			}
		}
		larger := q
		larger.Token, larger.Max = page.Next, 50
		if page, err := l.Search(t.Context(), larger); err != nil || len(page.Listings) != 2 {
			t.Errorf("a larger page: %+v, %v, want the other two", page, err)
		}
	}
}

func TestProductsOfBeforeGetTheirListings(t *testing.T) {
	t.Parallel()
	l := newListings(t)
	products := map[string]*containerproduct.Product{}
	for i, visibility := range []string{"Public", "Draft", "Limited"} {
		id, p := item(fmt.Sprintf("prod-%d", i), "Old", visibility)
		products[id] = p
	}
	_, newer := item("prod-0", "New", "Public")
	l.put(t, "prod-0", newer)
	asked := 0
	each := func(_ context.Context, f func(change.Entity, any) error) error {
		asked++
		for id, p := range products {
			if err := f(entity(id), p); err != nil {
				return err
			}
		}
		return nil
	}
	for range 2 {
		if err := l.Fill(t.Context(), each); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := l.all(t, Query{Account: seller, Max: 10}); !slices.Equal(got, []string{"New", "Old"}) || asked != 1 {
		t.Errorf("got %q after %d looks at the products, want the newer one kept, the Limited one added, and 1 look", got, asked)
	}
	for id, want := range map[string]string{"prod-0": "not as the product is", "prod-1": "", "prod-2": ""} {
		if got, err := l.Wrong(t.Context(), entity(id), products[id]); err != nil || !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: %q, %v, want %q", id, got, err, want)
		}
	}
	id, lost := item("prod-9", "Lost", "Public")
	if got, err := l.Wrong(t.Context(), entity(id), lost); err != nil || got == "" {
		t.Errorf("a product without a listing: %q, %v", got, err)
	}
	l.sound(t)
}

func TestIDs(t *testing.T) {
	t.Parallel()
	if got := ID("prod-abc"); got != "prodview-abc" {
		t.Errorf("the listing of prod-abc is %s", got)
	}
	for id, want := range map[string]string{"prodview-abc": "prod-abc", "prod-abc": "", "prodview-": "", "": ""} {
		if got, ok := ProductOf(id); ok != (want != "") || ok && got != want {
			t.Errorf("the product of %q is %q, %t, want %q", id, got, ok, want)
		}
	}
	for name, want := range map[string]string{"Databases & Analytics Platforms": "databases-analytics-platforms", "  IoT ": "iot", "CI/CD": "ci-cd", "": ""} {
		if got := CategoryID(name); got != want {
			t.Errorf("category %q is %q, want %q", name, got, want)
		}
	}
	if Profile(seller) == Profile(friend) || strings.Contains(Profile(seller), seller) {
		t.Errorf("the profile of an account is %s", Profile(seller))
	}
}

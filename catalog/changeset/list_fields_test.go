package changeset

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"souk/catalog/change"
	"souk/storage/store"
)

// fielded is an entity with fields that a list test put into the store.
type fielded struct {
	loadedThing
	thing
}

// loadFielded puts many entities with fields into the store.
func loadFielded(t *testing.T, m *market, n int) []fielded {
	t.Helper()
	r := rand.New(rand.NewPCG(5, 6))
	et := m.types["Thing@1.0"]
	var all []fielded
	var b store.Batch
	some := func(of ...string) (picked []string) {
		for _, s := range of {
			if r.IntN(3) == 0 {
				picked = append(picked, s)
			}
		}
		return picked
	}
	for range n {
		f := fielded{thing: thing{
			Title:         []string{"Lamp of oil", "lampe à huile", "LAMP", "oil", "LÂMPE", "La", ""}[r.IntN(7)],
			Visibility:    []string{"Draft", "Limited", "Public", "Restricted"}[r.IntN(4)],
			Color:         some("red", "green", "blue"),
			BuyerAccounts: some("123456789012", "345678901234"),
		}}
		if r.IntN(3) > 0 {
			f.Date = listEpoch.Add(time.Duration(r.IntN(6)) * time.Hour).Format(time.RFC3339)
		}
		f.id, f.owner = fmt.Sprintf("thing-%08x", r.Uint32()), alice
		f.modified = listEpoch.Add(time.Duration(r.IntN(40)) * 250 * time.Millisecond)
		if r.IntN(10) == 0 {
			f.owner = bob
		}
		all = append(all, f)
		w, err := writeEntity(et, change.Entity{ID: f.id, Type: "Thing@1.0", Owner: f.owner, LastModified: f.modified}, &f.thing, 0)
		if err != nil {
			t.Fatal(err)
		}
		b.Put = append(b.Put, w)
	}
	if err := m.store.Commit(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	return all
}

// keep is a filter and what it means.
type keep struct {
	FieldFilter
	of func(f *fielded) bool
}

func anyOf(values, of []string) bool {
	return slices.ContainsFunc(values, func(v string) bool { return slices.Contains(of, v) })
}

// fieldFilters are drawn from: of each name, one is taken or none.
func fieldFilters(all []fielded) [][]keep {
	var names, colors, buyers, dates, modified, others []keep
	for _, v := range [][]string{{"LAMP"}, {"oil", "", "none"}} {
		names = append(names, keep{FieldFilter{Name: "Name", Values: v}, func(f *fielded) bool { return slices.Contains(v, f.Title) }})
	}
	for _, v := range []string{"lam", "LAMP", "of o", "âmp", "a", "oil", "none of them", "Lamp of oil"} {
		names = append(names, keep{FieldFilter{Name: "Name", Contains: v}, func(f *fielded) bool {
			return strings.Contains(strings.ToLower(f.Title), strings.ToLower(v))
		}})
	}
	for _, v := range [][]string{{"red"}, {"red", "blue", "red"}, {"pink"}, {"pink", "green"}} {
		colors = append(colors, keep{FieldFilter{Name: "Color", Values: v}, func(f *fielded) bool { return anyOf(f.Color, v) }})
	}
	for _, v := range []string{"123456789012", "3456789", "90", "12345678901234"} {
		buyers = append(buyers, keep{FieldFilter{Name: "BuyerAccounts", Contains: v}, func(f *fielded) bool {
			return slices.ContainsFunc(f.BuyerAccounts, func(b string) bool { return strings.Contains(b, v) })
		}})
	}
	within := func(at, from, to time.Time) bool {
		return (from.IsZero() || !at.Before(from)) && (to.IsZero() || !at.After(to))
	}
	for _, v := range [][2]time.Time{{listEpoch, listEpoch}, {listEpoch.Add(time.Hour), {}}, {{}, listEpoch.Add(3 * time.Hour)}, {listEpoch.Add(2 * time.Hour), listEpoch.Add(time.Hour)}} {
		dates = append(dates, keep{FieldFilter{Name: "Date", From: v[0], To: v[1]}, func(f *fielded) bool {
			at, err := time.Parse(time.RFC3339, f.Date)
			return err == nil && within(at, v[0], v[1])
		}})
	}
	for _, v := range [][2]time.Time{{listEpoch.Add(3 * time.Second), listEpoch.Add(5 * time.Second)}, {listEpoch.Add(8 * time.Second), {}}, {{}, listEpoch}} {
		modified = append(modified, keep{FieldFilter{Name: "LastModifiedDate", From: v[0], To: v[1]}, func(f *fielded) bool {
			return within(f.modified.Truncate(time.Second), v[0], v[1])
		}})
	}
	for _, v := range [][]string{{"Public"}, {"Draft", "Limited"}} {
		others = append(others, keep{FieldFilter{Name: "Visibility", Values: v}, func(f *fielded) bool { return slices.Contains(v, f.thing.Visibility) }})
	}
	picked := []string{all[3].id, all[30].id, all[40].id, "thing-none"}
	return [][]keep{
		names, colors, buyers, dates, modified, others,
		{{FieldFilter{Name: "EntityId", Values: picked}, func(f *fielded) bool { return slices.Contains(picked, f.id) }}},
		{{FieldFilter{Name: "Unseen", Values: []string{"x"}}, func(*fielded) bool { return false }}},
	}
}

func TestListsAreSortedAndFilteredByFields(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		m := idle(t, s, nil)
		if err := m.findTerms(t.Context()); err != nil {
			t.Fatal(err)
		}
		all := loadFielded(t, m, 200)
		filters := fieldFilters(all)
		rapid.Check(t, func(t *rapid.T) {
			// Little is looked at before the terms are asked, and few are sorted.
			m.firstLook = rapid.SampledFrom([]int{1, 10, 1000}).Draw(t, "first look")
			m.mostFound = rapid.SampledFrom([]int{3, 1000}).Draw(t, "most found")
			q := Query{Account: alice, EntityType: "Thing", Max: rapid.IntRange(1, 50).Draw(t, "max"), Ascending: rapid.Bool().Draw(t, "ascending")}
			want := slices.DeleteFunc(slices.Clone(all), func(f fielded) bool { return f.owner != alice })
			for i := range filters {
				// Two or three of the eight are taken, so that something is left.
				if k := rapid.IntRange(-2*len(filters[i])-3, len(filters[i])-1).Draw(t, "filter"); k >= 0 {
					q.Fields = append(q.Fields, filters[i][k].FieldFilter)
					want = slices.DeleteFunc(want, func(f fielded) bool { return !filters[i][k].of(&f) })
				}
			}
			name := func(f fielded) string { return f.Title + "\x00" + f.modified.Format(sortTime) }
			if slices.ContainsFunc(q.Fields, func(f FieldFilter) bool { return f.Name == "Visibility" }) {
				name = func(f fielded) string { return f.Title }
			}
			var key func(f fielded) string
			switch by := rapid.IntRange(0, 7).Draw(t, "sort"); by {
			case 0:
				key = func(f fielded) string { return f.modified.Format(sortTime) }
			case 1:
				q.SortBy, key = "EntityId", func(fielded) string { return "" }
			case 2:
				q.SortBy, key = "Name", name
			case 3:
				q.SortBy, key = "Visibility", func(f fielded) string { return f.thing.Visibility }
			case 4:
				q.SortField, key = "Color", func(f fielded) string { return strings.Join(f.Color, ",") }
			case 5:
				q.SortField, key = "Date", func(f fielded) string { return f.Date }
			case 6:
				q.SortField, key = "BuyerAccounts", func(f fielded) string { return strings.Join(f.BuyerAccounts, ",") }
			default:
				q.SortField, key = "Unseen", func(fielded) string { return "" }
			}
			lists(t, m, q, want, key)
		})
	})
}

func TestListsShowFields(t *testing.T) {
	t.Parallel()
	m := idle(t, openSQLite(t), nil)
	all := loadFielded(t, m, 50)
	page, _, err := m.ListEntities(t.Context(), Query{Account: alice, EntityType: "Thing", Max: 50})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range page {
		f := all[slices.IndexFunc(all, func(f fielded) bool { return f.id == e.ID })]
		if !slices.Equal(e.Fields["Color"], f.Color) || !slices.Equal(e.Fields["BuyerAccounts"], f.BuyerAccounts) ||
			strings.Join(e.Fields["Date"], "") != f.Date || e.Fields["Unseen"] != nil || e.Owner != alice {
			t.Errorf("%+v is shown as %+v", f.thing, e)
		}
	}
}

func TestFieldFiltersThatCantBeTogether(t *testing.T) {
	t.Parallel()
	m := idle(t, openSQLite(t), nil)
	for name, q := range map[string]Query{
		"field twice":              {Fields: []FieldFilter{{Name: "Color", Values: []string{"red"}}, {Name: "Color", Values: []string{"red"}}}},
		"in both lists of filters": {Filters: []Filter{{"Name", []string{"a"}}}, Fields: []FieldFilter{{Name: "Name", Contains: "a"}}},
	} {
		q.Account, q.EntityType, q.Max = alice, "Thing", 20
		_, _, err := m.ListEntities(t.Context(), q)
		t.Run(name, func(t *testing.T) { refused(t, err, "ValidationException", "more than once") })
	}
}

func TestPageTokensAreBoundToFields(t *testing.T) {
	t.Parallel()
	m := idle(t, openSQLite(t), nil)
	loadFielded(t, m, 50)
	q := Query{Account: alice, EntityType: "Thing", Max: 2, Fields: []FieldFilter{{Name: "Name", Contains: "la"}}}
	_, token, err := m.ListEntities(t.Context(), q)
	if err != nil || token == "" {
		t.Fatalf("token %q (%v)", token, err)
	}
	q.Token, q.Fields = token, []FieldFilter{{Name: "Name", Contains: "lam"}}
	_, _, err = m.ListEntities(t.Context(), q)
	refused(t, err, "ValidationException", "NextToken is not valid")
	q.SortField, q.Fields = "Color", []FieldFilter{{Name: "Name", Contains: "la"}}
	_, _, err = m.ListEntities(t.Context(), q)
	refused(t, err, "ValidationException", "NextToken is not valid")
}

// TestEntitiesOfBeforeAreSearched: entities that were written without terms get
// them at a start, and nothing else about them changes.
func TestEntitiesOfBeforeAreSearched(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		m := idle(t, s, nil)
		all := loadFielded(t, m, 600)
		var before []store.Terms
		for _, f := range all {
			before = append(before, store.Terms{Key: store.Key{Kind: kindEntity, ID: f.id}, Revision: 1})
		}
		if err := s.(store.Indexer).SetTerms(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		find := func() []store.Document {
			found, whole, err := s.Find(t.Context(), store.Search{Kind: kindEntity, Limit: 600, All: [][]string{{TitleTerms(alice, "Thing", "oil")[0]}}})
			if err != nil || !whole {
				t.Fatalf("whole %v, %v", whole, err)
			}
			return found
		}
		if found := find(); len(found) != 0 || m.searchable(t.Context()) {
			t.Fatalf("%d entities have terms already", len(found))
		}
		m.start()
		defer m.stop()
		for !m.searchable(t.Context()) {
			if err := m.findTerms(t.Context()); err != nil { // beside the engine, as a second node
				t.Fatal(err)
			}
		}
		want := 0
		for _, f := range all {
			if f.owner == alice && strings.Contains(f.Title, "oil") {
				want++
			}
		}
		found := find()
		if len(found) != want {
			t.Errorf("%d entities were found, want %d", len(found), want)
		}
		for _, d := range found {
			if d.Revision != 1 {
				t.Errorf("%s has revision %d", d.ID, d.Revision)
			}
		}
	})
}

func TestWhatIsTurnedDownUnseenIsNotContained(t *testing.T) {
	t.Parallel()
	text := rapid.StringOfN(rapid.SampledFrom([]rune("aAbBzZ kK\u212a\u00e9\u00c9\u0130\x00")), 0, 8, -1)
	rapid.Check(t, func(t *rapid.T) {
		name, part := text.Draw(t, "name"), folded(text.Draw(t, "part"))
		if strings.Contains(folded(name), part) && !mayContain([]byte(name), part) {
			t.Errorf("%q contains %q", name, part)
		}
		f := entityFilters{contains: part, count: 1}
		s := entitySummary{visibility: "Draft", modified: listEpoch.Format(sortTime), name: name}
		if part != "" && f.match("", "", s.encode()) != strings.Contains(folded(name), part) {
			t.Errorf("%q is not matched as by %q", name, part)
		}
	})
}

func TestVerifyLooksAtTerms(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		m := open(t, s, nil)
		lamp, oil := m.made("lamp"), m.made("oil")
		m.stop()
		if err := m.findTerms(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.sound()
		err := s.(store.Indexer).SetTerms(t.Context(), []store.Terms{
			{Key: store.Key{Kind: kindEntity, ID: lamp}, Revision: 1},
			{Key: store.Key{Kind: kindEntity, ID: oil}, Revision: 1, Terms: TitleTerms(alice, "Thing", "lamp")},
		})
		if err != nil {
			t.Fatal(err)
		}
		found, err := m.Verify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{lamp: "it is not found by its terms", oil: "it is found by other terms than its own"}
		for _, f := range found {
			if want[f.ID] != f.What {
				t.Errorf("found %+v", f)
			}
			delete(want, f.ID)
		}
		if len(want) > 0 {
			t.Errorf("not found: %v", want)
		}
	})
}

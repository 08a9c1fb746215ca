package changeset

import (
	"cmp"
	"context"
	"encoding/base64"
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

// loadedThing is an entity that a list test put into the store.
type loadedThing struct {
	id, owner, name, visibility string
	modified                    time.Time
}

var listEpoch = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// entityID is the id, also of what has more fields.
func (l loadedThing) entityID() string { return l.id }

// loadThings puts many entities into the store, as the engine would write them.
func loadThings(t *testing.T, m *market, n int) []loadedThing {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	et := m.types["Thing@1.0"]
	var all []loadedThing
	for range n {
		l := loadedThing{
			id: fmt.Sprintf("thing-%08x", r.Uint32()), owner: alice,
			name:       []string{"lamp", "lamp ", "lam", "Lamp", "zebra", "", "é"}[r.IntN(7)],
			visibility: []string{"Draft", "Limited", "Public", "Restricted"}[r.IntN(4)],
			modified:   listEpoch.Add(time.Duration(r.IntN(40)) * 250 * time.Millisecond),
		}
		if r.IntN(10) == 0 {
			l.owner = bob
		}
		all = append(all, l)
		w, err := writeEntity(et, change.Entity{ID: l.id, Type: "Thing@1.0", Owner: l.owner, LastModified: l.modified}, &thing{Title: l.name, Visibility: l.visibility}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.store.Commit(context.Background(), store.Batch{Put: []store.Write{w}}); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// lists fails unless q lists the entities of want, sorted by key and then by id.
func lists[E interface{ entityID() string }](t rapid.TB, m *market, q Query, want []E, key func(E) string) {
	t.Helper()
	slices.SortFunc(want, func(a, b E) int {
		c := cmp.Or(cmp.Compare(key(a), key(b)), cmp.Compare(a.entityID(), b.entityID()))
		if !q.Ascending {
			c = -c
		}
		return c
	})
	var ids []string
	for _, e := range want {
		ids = append(ids, e.entityID())
	}
	if got := m.entityIDs(q); !slices.Equal(got, ids) {
		t.Fatalf("%+v:\ngot  %v\nwant %v", q, got, ids)
	}
}

// entityIDs walks all pages of a list.
func (m *market) entityIDs(q Query) []string {
	m.t.Helper()
	var ids []string
	for {
		page, next, err := m.ListEntities(context.Background(), q)
		if err != nil {
			m.t.Fatalf("%+v: %v", q, err)
		}
		if len(page) > q.Max {
			m.t.Fatalf("%+v: %d results in a page", q, len(page))
		}
		for _, e := range page {
			ids = append(ids, e.ID)
		}
		if q.Token = next; next == "" {
			return ids
		}
	}
}

func TestListsOfEntitiesAreSortedAndFiltered(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		m := idle(t, s, nil)
		all := loadThings(t, m, 120)
		key := map[string]func(l loadedThing) string{
			"":                 func(l loadedThing) string { return l.modified.Format(sortTime) },
			"LastModifiedDate": func(l loadedThing) string { return l.modified.Format(sortTime) },
			"EntityId":         func(loadedThing) string { return "" },
			"Name":             func(l loadedThing) string { return l.name + "\x00" + l.modified.Format(sortTime) },
			"Name, filtered":   func(l loadedThing) string { return l.name },
			"Visibility":       func(l loadedThing) string { return l.visibility },
		}
		second := listEpoch.Add(3 * time.Second)
		filters := []struct {
			filter Filter
			keep   func(l loadedThing) bool
		}{
			{Filter{"Name", []string{"lamp"}}, func(l loadedThing) bool { return l.name == "lamp" }},
			{Filter{"Name", []string{"zebra", "lam", "none", "zebra"}}, func(l loadedThing) bool { return l.name == "zebra" || l.name == "lam" }},
			{Filter{"Visibility", []string{"Public"}}, func(l loadedThing) bool { return l.visibility == "Public" }},
			{Filter{"Visibility", []string{"Restricted", "Draft"}}, func(l loadedThing) bool { return l.visibility == "Draft" || l.visibility == "Restricted" }},
			{Filter{"LastModifiedDate", []string{second.Format(time.RFC3339)}}, func(l loadedThing) bool { return l.modified.Truncate(time.Second).Equal(second) }},
			{Filter{"EntityId", []string{all[0].id, all[1].id, all[2].id, "thing-none", "no such id"}}, func(l loadedThing) bool {
				return l.id == all[0].id || l.id == all[1].id || l.id == all[2].id
			}},
		}
		keys := key
		for sortBy, key := range keys {
			for _, ascending := range []bool{true, false} {
				for mask := range 1 << len(filters) {
					if mask&3 == 3 || mask&12 == 12 {
						continue // a filter stands once in a request
					}
					if sortBy == "Name" && mask&12 != 0 { // then things of one name are in the order of ids
						key = keys["Name, filtered"]
					} else if sortBy == "Name" {
						key = keys["Name"]
					} else if sortBy == "Name, filtered" {
						continue
					}
					q := Query{Account: alice, EntityType: "Thing", SortBy: sortBy, Ascending: ascending, Max: 1 + mask%7}
					want := slices.DeleteFunc(slices.Clone(all), func(l loadedThing) bool {
						out := l.owner != alice
						for i, f := range filters {
							out = out || mask&(1<<i) != 0 && !f.keep(l)
						}
						return out
					})
					for i, f := range filters {
						if mask&(1<<i) != 0 {
							q.Filters = append(q.Filters, f.filter)
						}
					}
					lists(t, m, q, want, key)
				}
			}
		}
	})
}

// loadSets puts change sets into the store, ended and open ones.
func loadSets(t *testing.T, m *market, n int) map[string]*setBody {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	all := map[string]*setBody{}
	for range n {
		id, err := m.newSetID()
		if err != nil {
			t.Fatal(err)
		}
		s := &setBody{Account: alice, Name: []string{"a", "b", defaultName(alice)}[r.IntN(3)], Intent: IntentApply,
			Status: []Status{Preparing, Applying, Succeeded, Failed, Cancelled}[r.IntN(5)], Started: listEpoch.Add(time.Duration(r.IntN(40)) * 250 * time.Millisecond)}
		for range 1 + r.IntN(2) {
			s.Changes = append(s.Changes, record{ChangeType: "AddNote", EntityType: "Thing@1.0", EntityID: fmt.Sprintf("thing-%d", r.IntN(3)), Text: "{}"})
		}
		if s.Status.Ended() {
			s.Ended = s.Started.Add(time.Duration(r.IntN(20)) * 250 * time.Millisecond)
		}
		if r.IntN(10) == 0 {
			s.Account = bob
		}
		w, err := s.write(id, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.store.Commit(context.Background(), store.Batch{Put: []store.Write{w}}); err != nil {
			t.Fatal(err)
		}
		all[id] = s
	}
	return all
}

func TestListsOfChangeSetsAreSortedAndFiltered(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		m := idle(t, s, nil)
		all := loadSets(t, m, 120)
		at := func(seconds int) time.Time { return listEpoch.Add(time.Duration(seconds) * time.Second) }
		shown := func(t time.Time) time.Time { return t.Truncate(time.Second) }
		filters := []struct {
			filter Filter
			keep   func(s *setBody) bool
		}{
			{Filter{"ChangeSetName", []string{"a"}}, func(s *setBody) bool { return s.Name == "a" }},
			{Filter{"ChangeSetName", []string{defaultName(alice), "b"}}, func(s *setBody) bool { return s.Name != "a" }},
			{Filter{"Status", []string{"SUCCEEDED"}}, func(s *setBody) bool { return s.Status == Succeeded }},
			{Filter{"Status", []string{"PREPARING", "CANCELED", "CANCELLED"}}, func(s *setBody) bool { return s.Status == Preparing || s.Status == Cancelled }},
			{Filter{"EntityId", []string{"thing-1", "thing-2"}}, func(s *setBody) bool {
				return slices.Contains(s.shown(), "thing-1") || slices.Contains(s.shown(), "thing-2")
			}},
			{Filter{"AfterStartTime", []string{at(2).Format(time.RFC3339)}}, func(s *setBody) bool { return shown(s.Started).After(at(2)) }},
			{Filter{"BeforeStartTime", []string{at(7).Format(time.RFC3339)}}, func(s *setBody) bool { return shown(s.Started).Before(at(7)) }},
			{Filter{"AfterEndTime", []string{at(4).Format(time.RFC3339)}}, func(s *setBody) bool { return !s.Ended.IsZero() && shown(s.Ended).After(at(4)) }},
			{Filter{"BeforeEndTime", []string{at(9).Format(time.RFC3339)}}, func(s *setBody) bool { return !s.Ended.IsZero() && shown(s.Ended).Before(at(9)) }},
		}
		key := map[string]func(s *setBody) string{
			"": func(s *setBody) string { return s.Started.Format(sortTime) },
			"EndTime": func(s *setBody) string {
				if s.Ended.IsZero() {
					return "~" + s.Started.Format(sortTime)
				}
				return s.Ended.Format(sortTime)
			},
		}
		for sortBy, key := range key {
			for _, ascending := range []bool{true, false} {
				for mask := range 1 << len(filters) {
					if mask&3 == 3 || mask&12 == 12 {
						continue // a filter stands once in a request
					}
					q := Query{Account: alice, SortBy: sortBy, Ascending: ascending, Max: 3 + mask%17}
					var want []string
					for id, s := range all {
						keep := s.Account == alice
						for i, f := range filters {
							keep = keep && (mask&(1<<i) == 0 || f.keep(s))
						}
						if keep {
							want = append(want, id)
						}
					}
					for i, f := range filters {
						if mask&(1<<i) != 0 {
							q.Filters = append(q.Filters, f.filter)
						}
					}
					slices.SortFunc(want, func(a, b string) int {
						c := cmp.Or(cmp.Compare(key(all[a]), key(all[b])), cmp.Compare(a, b))
						if !ascending {
							c = -c
						}
						return c
					})
					got, asked := []string(nil), q
					for {
						page, next, err := m.List(context.Background(), q)
						if err != nil {
							t.Fatalf("%+v: %v", q, err)
						}
						for _, s := range page {
							got = append(got, s.ID)
						}
						if q.Token = next; next == "" {
							break
						}
					}
					if !slices.Equal(got, want) {
						t.Fatalf("%+v:\ngot  %v\nwant %v", asked, got, want)
					}
				}
			}
		}
	})
}

// TestPagesSurviveWrites: what is there from the first page to the last is
// listed once, whatever is written in between.
func TestPagesSurviveWrites(t *testing.T) {
	t.Parallel()
	m := open(t, openSQLite(t), nil)
	loaded := loadThings(t, m, 40)
	for _, sortBy := range []string{"EntityId", "Name", "Visibility", "LastModifiedDate"} {
		seen := map[string]int{}
		q := Query{Account: alice, EntityType: "Thing", SortBy: sortBy, Ascending: true, Max: 3}
		for {
			page, next, err := m.ListEntities(context.Background(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page {
				seen[e.ID]++
			}
			if q.Token = next; next == "" {
				break
			}
			m.made("between the pages")
		}
		for _, l := range loaded {
			if l.owner == alice && seen[l.id] != 1 {
				t.Errorf("sorted by %s: %s was listed %d times", sortBy, l.id, seen[l.id])
			}
		}
	}
}

func TestListsRefuse(t *testing.T) {
	t.Parallel()
	m := idle(t, openSQLite(t), nil)
	loadThings(t, m, 5)
	ctx := context.Background()
	for name, test := range map[string]struct {
		q       Query
		message string
	}{
		"unknown entity type":   {Query{EntityType: "ServerProduct"}, "'ServerProduct' is not a supported entity type."},
		"entity type to come":   {Query{EntityType: "Offer"}, "entity type 'Offer' is not offered yet."},
		"unknown sort":          {Query{EntityType: "Thing", SortBy: "Color"}, "SortBy 'Color'"},
		"unknown filter":        {Query{EntityType: "Thing", Filters: []Filter{{"Color", []string{"red"}}}}, "Filter name 'Color'"},
		"filter twice":          {Query{EntityType: "Thing", Filters: []Filter{{"Name", []string{"a"}}, {"Name", []string{"b"}}}}, "more than once"},
		"filter without values": {Query{EntityType: "Thing", Filters: []Filter{{Name: "Name"}}}, "must have a value"},
		"no time":               {Query{EntityType: "Thing", Filters: []Filter{{"LastModifiedDate", []string{"yesterday"}}}}, "is not a time"},
		"unknown scope":         {Query{EntityType: "Thing", Filters: []Filter{{"Scope", []string{"All"}}}}, "SharedWithMe"},
	} {
		test.q.Account, test.q.Max = alice, 20
		_, _, err := m.ListEntities(ctx, test.q)
		t.Run(name, func(t *testing.T) { refused(t, err, "ValidationException", test.message) })
	}
	for name, test := range map[string]struct {
		q       Query
		message string
	}{
		"unknown sort":   {Query{SortBy: "Name"}, "SortBy 'Name'"},
		"unknown filter": {Query{Filters: []Filter{{"Name", []string{"a"}}}}, "Filter name 'Name'"},
		"unknown status": {Query{Filters: []Filter{{"Status", []string{"DONE"}}}}, "Status 'DONE'"},
		"no time":        {Query{Filters: []Filter{{"AfterEndTime", []string{"2026-13-01T00:00:00Z"}}}}, "is not a time"},
	} {
		test.q.Account, test.q.Max = alice, 20
		_, _, err := m.List(ctx, test.q)
		t.Run("change sets, "+name, func(t *testing.T) { refused(t, err, "ValidationException", test.message) })
	}
	shared, next, err := m.ListEntities(ctx, Query{Account: alice, EntityType: "Thing", Max: 20, Filters: []Filter{{"Scope", []string{"SharedWithMe"}}}})
	if err != nil || len(shared) != 0 || next != "" {
		t.Errorf("shared with me: %v, %q (%v)", shared, next, err)
	}
}

func TestPageTokensOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	m := idle(t, openSQLite(t), nil)
	loadThings(t, m, 20)
	ctx := context.Background()
	q := Query{Account: alice, EntityType: "Thing", Max: 2, Filters: []Filter{{"Visibility", []string{"Public", "Draft"}}}}
	_, token, err := m.ListEntities(ctx, q)
	if err != nil || token == "" {
		t.Fatalf("token %q (%v)", token, err)
	}
	if strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("token %q is not of the documented form", token)
	}
	q.Token, q.Max = token, 7 // the size of pages may change
	if _, _, err := m.ListEntities(ctx, q); err != nil {
		t.Errorf("the next page: %v", err)
	}
	altered := []byte(token)
	altered[len(altered)/2] ^= 1
	for name, change := range map[string]func(q *Query){
		"altered":                 func(q *Query) { q.Token = string(altered) },
		"cut":                     func(q *Query) { q.Token = token[:len(token)-4] },
		"no base64":               func(q *Query) { q.Token = token + "=" },
		"of another account":      func(q *Query) { q.Account = bob },
		"of another entity type":  func(q *Query) { q.EntityType = "Rock" },
		"of another sort":         func(q *Query) { q.SortBy = "Name" },
		"of another order":        func(q *Query) { q.Ascending = true },
		"of another filter":       func(q *Query) { q.Filters = nil },
		"of another filter value": func(q *Query) { q.Filters = []Filter{{"Visibility", []string{"Public"}}} },
	} {
		t.Run(name, func(t *testing.T) {
			q := q
			change(&q)
			_, _, err := m.ListEntities(ctx, q)
			refused(t, err, "ValidationException", "NextToken is not valid")
		})
	}
	_, _, err = m.List(ctx, Query{Account: alice, Max: 2, Token: token})
	refused(t, err, "ValidationException", "NextToken is not valid")
}

func FuzzPageToken(f *testing.F) {
	m := idle(f, openSQLite(f), nil)
	q := Query{Account: alice, EntityType: "Thing", Max: 2}
	for _, p := range []*position{{}, {Key: "a", ID: "b"}, {Key: "~", ID: "\x00"}} {
		token, err := m.token(&q, listEntities, p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(token)
	}
	f.Add("")
	f.Add("AQ")
	f.Add(base64.RawURLEncoding.EncodeToString(make([]byte, 60)))
	f.Fuzz(func(t *testing.T, token string) {
		q := q
		q.Token = token
		p, err := m.from(&q, listEntities)
		if err != nil {
			refused(t, err, "ValidationException", "NextToken")
			return
		}
		if again, err := m.token(&q, listEntities, p); err != nil || (again == "") != (token == "") {
			t.Errorf("token %q leads to %v, and that to %q (%v)", token, p, again, err)
		}
	})
}

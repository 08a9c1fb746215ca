package changeset

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"souk/storage/store"
)

func TestChangeSetGoesFromStartToSucceeded(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		m := open(t, s, nil)
		id := m.begin(doc("CreateThing", "", `{"Title":"lamp"}`))
		if !regexp.MustCompile(`^[0-9a-z]{25}$`).MatchString(id) {
			t.Errorf("id %q has not 25 lower-case letters and digits", id)
		}
		d := m.ended(id)
		if d.Status != Succeeded || d.Name != "Submitted by "+alice || d.Intent != IntentApply || d.End.Before(d.Start) {
			t.Errorf("described as %+v", d)
		}
		if d.Changes[0].Details != `{"Title":"lamp"}` || string(d.Changes[0].Document) != `{"Title":"lamp"}` {
			t.Errorf("details are shown as %q and %s", d.Changes[0].Details, d.Changes[0].Document)
		}
		entity, revision, _ := strings.Cut(d.Changes[0].Identifier, "@")
		if !strings.HasPrefix(entity, "thing-") || revision != "1" {
			t.Errorf("the new entity is shown as %q", d.Changes[0].Identifier)
		}
		if th, revision := m.thing(entity); th.Title != "lamp" || revision != 1 {
			t.Errorf("entity is %+v at revision %d", th, revision)
		}
		d = m.succeed(doc("Rename", entity+"@1", `{"Title":"torch"}`), doc("AddNote", entity+"@01", `{"Note":"n"}`))
		if th, revision := m.thing(entity); th.Title != "torch" || len(th.Notes) != 1 || revision != 2 {
			t.Errorf("entity is %+v at revision %d after one more set", th, revision)
		}
		if d.Changes[0].Identifier != entity+"@1" {
			t.Errorf("identifier is shown as %q, sent as %q", d.Changes[0].Identifier, entity+"@1")
		}
		m.sound()
	})
}

func TestRequestsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	m := open(t, openSQLite(t), nil)
	lamp := m.made("lamp")
	text := func(s string) *string { return &s }
	big := `{"Title":"` + strings.Repeat("x", MaxDocument) + `"}`
	for name, test := range map[string]struct {
		changes []Change
		code    string
		message string
	}{
		"both forms of details": {[]Change{{ChangeType: "Rename", EntityType: "Thing@1.0", Identifier: lamp, Details: text(`{"Title":"a"}`), DetailsDocument: jsontext.Value(`{}`)}},
			"ValidationException", "Only one of Details and DetailsDocument"},
		"no details":                   {[]Change{{ChangeType: "Rename", EntityType: "Thing@1.0", Identifier: lamp}}, "ValidationException", "One of Details and DetailsDocument is required"},
		"details document is null":     {[]Change{doc("Rename", lamp, `null`)}, "ValidationException", "One of Details and DetailsDocument is required"},
		"details are no JSON":          {[]Change{{ChangeType: "Rename", EntityType: "Thing@1.0", Identifier: lamp, Details: text(`{"Title":`)}}, "ValidationException", "Provided Details is not valid. Document not valid JSON format"},
		"details have a name twice":    {[]Change{{ChangeType: "Rename", EntityType: "Thing@1.0", Identifier: lamp, Details: text(`{"Title":"a","Title":"b"}`)}}, "ValidationException", "Provided Details is not valid."},
		"details are bad UTF-8":        {[]Change{{ChangeType: "Rename", EntityType: "Thing@1.0", Identifier: lamp, Details: text("{\"Title\":\"\xff\"}")}}, "ValidationException", "Provided Details is not valid."},
		"details of a wrong type":      {[]Change{doc("Rename", lamp, `{"Title":3}`)}, "ValidationException", "Provided Details is not valid. JSON at /Title is of the wrong type"},
		"details document too long":    {[]Change{doc("Rename", lamp, big)}, "ValidationException", "longer than 262144 bytes"},
		"refused by the change type":   {[]Change{doc("Rename", lamp, `{}`)}, "ValidationException", "Title must not be empty"},
		"unknown entity type":          {[]Change{{ChangeType: "Rename", EntityType: "Thing@2.0", Identifier: lamp, Details: text(`{}`)}}, "ValidationException", "Entity type 'Thing@2.0' is not supported. The entity types are: 'Thing@1.0', 'Rock@1.0'."},
		"entity type that comes later": {[]Change{{ChangeType: "CreateOffer", EntityType: "Offer@1.0", Details: text(`{}`)}}, "ValidationException", "Entity type 'Offer@1.0' is not offered yet. The entity types are: "},
		"change type that comes later": {[]Change{doc("AddDimensions", lamp, `{}`)}, "ValidationException", "Change type 'AddDimensions' is not offered yet for entity type 'Thing@1.0'."},
		"later change type of another": {[]Change{onRock(doc("AddDimensions", lamp, `{}`))}, "ValidationException", "Change type 'AddDimensions' is not supported for entity type 'Rock@1.0'."},
		"unknown change type":          {[]Change{doc("Melt", lamp, `{}`)}, "ValidationException", "Change type 'Melt' is not supported for entity type 'Thing@1.0'"},
		"change type twice":            {[]Change{doc("AddNote", lamp, `{"Note":"a"}`), doc("AddNote", lamp+"@1", `{"Note":"b"}`)}, "ValidationException", "more than once"},
		"change type not alone":        {[]Change{doc("Publish", lamp, `{}`), doc("AddNote", lamp, `{"Note":"b"}`)}, "ValidationException", "can't be combined"},
		"identifier where it creates":  {[]Change{doc("CreateThing", lamp, `{}`)}, "ValidationException", "must not be given"},
		"no identifier":                {[]Change{doc("Rename", "", `{"Title":"a"}`)}, "ValidationException", "Entity.Identifier is required"},
		"identifier of no form":        {[]Change{doc("Rename", "a b", `{"Title":"a"}`)}, "ValidationException", "neither an entity identifier nor a reference"},
		"stale revision":               {[]Change{doc("Rename", lamp+"@7", `{"Title":"a"}`)}, "ValidationException", "latest revision is '" + lamp + "@1'"},
		"stale revision of the second": {[]Change{doc("Rename", lamp+"@1", `{"Title":"a"}`), doc("AddNote", lamp+"@2", `{"Note":"a"}`)},
			"ValidationException", "latest revision is '" + lamp + "@1'"},
		"revision beyond all numbers": {[]Change{doc("Rename", lamp+"@"+strings.Repeat("9", 60), `{"Title":"a"}`)}, "ValidationException", "latest revision"},
		"unknown entity":              {[]Change{doc("Rename", "thing-none", `{"Title":"a"}`)}, "ResourceNotFoundException", "thing-none"},
		"entity of another type":      {[]Change{onRock(doc("Rename", lamp, `{"Title":"a"}`))}, "ResourceNotFoundException", lamp},
		"name twice":                  {[]Change{named("A", doc("CreateThing", "", `{}`)), named("A", doc("CreateThing", "", `{}`))}, "ValidationException", "ChangeName 'A' is used by more than one"},
		"unknown name":                {[]Change{doc("Rename", "$A.Entity.Identifier", `{"Title":"a"}`)}, "ValidationException", "'$A.Entity.Identifier' refers to a change that is not in the change set"},
		"unknown name in details":     {[]Change{doc("Befriend", lamp, `{"Friend":"$A.Entity.Identifier"}`)}, "ValidationException", "'$A.Entity.Identifier' refers"},
		"reference to another type": {[]Change{named("A", onRock(doc("CreateThing", "", `{}`))), doc("Rename", "$A.Entity.Identifier", `{"Title":"a"}`)},
			"ValidationException", "refers to an entity of type 'Rock@1.0'"},
		"reference to itself": {[]Change{named("A", doc("Rename", "$A.Entity.Identifier", `{"Title":"a"}`))}, "ValidationException", "cycle"},
		"cycle of identifiers": {[]Change{named("A", doc("Rename", "$B.Entity.Identifier", `{"Title":"a"}`)), named("B", doc("AddNote", "$A.Entity.Identifier", `{"Note":"a"}`))},
			"ValidationException", "cycle"},
		"cycle of details": {[]Change{named("A", doc("Befriend", lamp, `{"Friend":"$B.Entity.Identifier"}`)), named("B", doc("CreateThing", "", `{"Title":"$A.Entity.Identifier"}`))},
			"ValidationException", "cycle"},
		"cycle of details and order": {[]Change{named("A", doc("AddNote", lamp, `{"Note":"$B.Entity.Identifier"}`)), named("B", doc("Rename", lamp, `{"Title":"x"}`))},
			"ValidationException", "cycle"},
		"no change": {nil, "ValidationException", "at least one change"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := m.Start(context.Background(), &Request{Account: alice, Token: "t", Changes: test.changes})
			refused(t, err, test.code, test.message)
		})
	}
	_, err := m.Start(context.Background(), &Request{Account: bob, Changes: []Change{doc("Rename", lamp, `{"Title":"mine"}`)}})
	refused(t, err, "ResourceNotFoundException", lamp)
	if sets, _, err := m.List(context.Background(), Query{Account: alice, Max: 20}); err != nil || len(sets) != 1 {
		t.Errorf("%d change sets (%v), refused requests must store nothing", len(sets), err)
	}
	if _, err := m.Start(context.Background(), &Request{Account: alice, Token: "t", Changes: []Change{doc("Rename", lamp, `{"Title":"a"}`)}}); err != nil {
		t.Errorf("a refused request used up its token: %v", err)
	}
	m.sound()
}

func TestReferencesAndOrder(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		m := open(t, s, nil)
		// Sent in the wrong order: what others need stands last.
		d := m.succeed(
			doc("Rename", "$New.Entity.Identifier", `{"Title":"renamed"}`),
			doc("AddNote", "$New.Entity.Identifier", `{"Note":"n","Notes":["$Other.Entity.Identifier","$5","x $Other.Entity.Identifier"]}`),
			named("Other", doc("CreateThing", "", `{"Title":"other"}`)),
			doc("Befriend", "$Other.Entity.Identifier", `{"Friend":"\u0024New.Entity.Identifier"}`),
			named("New", doc("CreateThing", "", `{"Title":"new"}`)),
		)
		fresh, _, _ := strings.Cut(d.Changes[4].Identifier, "@")
		other, _, _ := strings.Cut(d.Changes[2].Identifier, "@")
		if d.Changes[0].Identifier != fresh+"@1" || d.Changes[3].Identifier != other+"@1" {
			t.Errorf("references are shown as %q and %q", d.Changes[0].Identifier, d.Changes[3].Identifier)
		}
		th, revision := m.thing(fresh)
		if th.Title != "renamed" || revision != 1 || strings.Join(th.Notes, "|") != other+"|$5|x $Other.Entity.Identifier|n" {
			t.Errorf("entity is %+v at revision %d", th, revision)
		}
		if th, revision := m.thing(other); th.Friend != fresh || revision != 1 {
			t.Errorf("other entity is %+v at revision %d", th, revision)
		}
		if !strings.Contains(d.Changes[1].Details, "$Other.Entity.Identifier") {
			t.Errorf("details are shown as %q, not as sent", d.Changes[1].Details)
		}
		m.sound()
	})
}

func TestOrderOfChangeTypes(t *testing.T) {
	t.Parallel()
	m := open(t, openSQLite(t), nil)
	id := m.made("lamp")
	// Rename comes after AddNote, wherever it stands: its refusal sees the state.
	p, err := m.plan([]record{
		{ChangeType: "Rename", EntityType: "Thing@1.0", EntityID: id, Text: `{"Title":"a"}`},
		{ChangeType: "Befriend", EntityType: "Thing@1.0", EntityID: id, Text: `{}`},
		{ChangeType: "AddNote", EntityType: "Thing@1.0", EntityID: id, Text: `{}`},
		{ChangeType: "Rename", EntityType: "Thing@1.0", EntityID: "thing-2", Text: `{"Title":"a"}`},
	})
	if err != nil {
		t.Fatal(err)
	}
	var order []int
	for _, s := range p.steps {
		order = append(order, s.index)
	}
	if want := []int{1, 2, 0, 3}; !equal(order, want) {
		t.Errorf("order is %v, want %v", order, want)
	}
}

func equal(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestTokenGivesTheSameAnswerOnce(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		hold := make(chan struct{})
		m := open(t, s, func(c *Config) { c.World.Logos = logos(waitFor(hold)) })
		lamp := m.made("lamp")
		ask := func(account, token, details string) (string, error) {
			return m.Start(context.Background(), &Request{Account: account, Token: token, Changes: []Change{doc("FetchLogo", lamp, details)}})
		}
		first, err := ask(alice, "token", `{"URL":"u","More":[1,2]}`)
		if err != nil {
			t.Fatal(err)
		}
		// The first holds the lock, and the request is still answered.
		again, err := ask(alice, "token", ` { "More" : [1,2], "URL":"u"}`)
		if err != nil || again != first {
			t.Errorf("the same request got %q (%v), the first %q", again, err, first)
		}
		_, err = ask(alice, "token", `{"URL":"v"}`)
		refused(t, err, "ValidationException", "ClientRequestToken")
		_, err = ask(alice, "token two", `{"URL":"u"}`)
		refused(t, err, "ResourceInUseException", first)
		if _, err = ask(bob, "token", `{"URL":"u"}`); err == nil {
			t.Error("another account's token reached the set")
		}
		close(hold)
		m.ended(first)
		if again, err := ask(alice, "token", `{"URL":"u","More":[1,2]}`); err != nil || again != first {
			t.Errorf("after its end the same request got %q (%v), the first %q", again, err, first)
		}
		m.sound()
	})
}

func TestRequestsWithOneTokenThatRace(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		m, n := open(t, s, nil), open(t, s, nil)
		lamp := m.made("lamp")
		for round := range 10 {
			ids := make([]string, 8)
			errs := make([]error, 8)
			var wg sync.WaitGroup
			for i := range ids {
				wg.Go(func() {
					e := m
					if i%2 == 1 {
						e = n
					}
					details := `{"Note":"` + string(rune('a'+round)) + `"}`
					ids[i], errs[i] = e.Start(context.Background(), &Request{Account: alice, Token: string(rune('a' + round)), Changes: []Change{doc("AddNote", lamp, details)}})
				})
			}
			wg.Wait()
			for i := range ids {
				if errs[i] != nil || ids[i] != ids[0] {
					t.Fatalf("round %d: answers %v (%v), all must be one", round, ids, errs)
				}
			}
			m.ended(ids[0])
		}
		if th, revision := m.thing(lamp); len(th.Notes) != 10 || revision != 11 {
			t.Errorf("%d notes at revision %d after 10 sets", len(th.Notes), revision)
		}
		m.sound()
	})
}

// waitFor returns a probe that ends when the channel is closed, or with its context.
func waitFor(hold <-chan struct{}) func(context.Context, string) (string, error) {
	return func(ctx context.Context, url string) (string, error) {
		select {
		case <-hold:
			return "kept:" + url, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

func TestLocks(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		hold := make(chan struct{})
		m := open(t, s, func(c *Config) { c.World.Logos = logos(waitFor(hold)) })
		lamp, lamp2 := m.made("lamp"), m.made("lamp 2")
		rock := m.succeed(onRock(doc("CreateThing", "", `{"Title":"rock"}`))).Changes[0].Identifier
		rock, _, _ = strings.Cut(rock, "@")
		try := func(c ...Change) error {
			_, err := m.Start(context.Background(), &Request{Account: alice, Changes: c})
			return err
		}
		slow := m.begin(doc("FetchLogo", lamp, `{"URL":"u"}`))
		slowRock := m.begin(onRock(doc("FetchLogo", rock, `{"URL":"u"}`)))
		m.await(slow, Probing)
		m.await(slowRock, Probing)

		// The text is what programs parse: every space counts.
		refused(t, try(doc("FetchLogo", lamp, `{"URL":"v"}`)), "ResourceInUseException",
			"Requested change set has entities locked by change sets - entity: '"+lamp+"'  change sets: "+slow)
		refused(t, try(onRock(doc("Rename", rock, `{"Title":"v"}`))), "ResourceInUseException", slowRock)
		refused(t, try(doc("AddNote", lamp2, `{"Note":"n"}`), doc("FetchLogo", lamp, `{"URL":"v"}`)), "ResourceInUseException", lamp)

		// Overlapping change types go on beside a slow one, and after each other.
		m.succeed(doc("Rename", lamp, `{"Title":"one"}`))
		m.succeed(doc("Publish", lamp, `{"Visibility":"Public"}`))
		if th, revision := m.thing(lamp); th.Title != "one" || revision != 3 {
			t.Errorf("entity is %+v at revision %d", th, revision)
		}
		m.sound()
		close(hold)
		if d := m.ended(slow); d.Status != Succeeded {
			t.Errorf("the slow set is %s: %s", d.Status, errorsOf(d))
		}
		m.ended(slowRock)
		if th, revision := m.thing(lamp); th.Title != "one" || th.Logo != "kept:u" || revision != 4 {
			t.Errorf("entity is %+v at revision %d", th, revision)
		}
		m.succeed(onRock(doc("Rename", rock, `{"Title":"free again"}`)))
		m.sound()
	})
}

func TestConflictingTypesAndApplyingSetsBlock(t *testing.T) {
	t.Parallel()
	m := idle(t, openSQLite(t), nil) // nothing moves by itself
	ctx := context.Background()
	w := open(t, m.cfg.Store, nil)
	lamp := w.made("lamp")
	w.stop()
	held := m.begin(doc("Rename", lamp, `{"Title":"a"}`))
	_, err := m.Start(ctx, &Request{Account: alice, Changes: []Change{doc("Publish", lamp, `{"Visibility":"Public"}`)}})
	refused(t, err, "ResourceInUseException", held)

	// The same set, APPLYING, blocks every change type.
	key := store.Key{Kind: kindSet, ID: held}
	d, err := m.cfg.Store.Get(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	body, err := decodeSet(d)
	if err != nil {
		t.Fatal(err)
	}
	body.Status, body.Now, body.Seed = Applying, time.Now().UTC(), "0123456789abcdef"
	write, err := body.write(held, d.Revision)
	if err != nil {
		t.Fatal(err)
	}
	write.Due = time.Now()
	if err := m.cfg.Store.Commit(ctx, store.Batch{Put: []store.Write{write}}); err != nil {
		t.Fatal(err)
	}
	_, err = m.Start(ctx, &Request{Account: alice, Changes: []Change{doc("AddNote", lamp, `{"Note":"n"}`)}})
	refused(t, err, "ResourceInUseException", held)
	refused(t, m.Cancel(ctx, alice, held), "ResourceInUseException", held)
	m.start()
	m.ended(held)
	if th, _ := m.thing(lamp); th.Title != "a" {
		t.Errorf("title is %q", th.Title)
	}
	m.sound()
}

func TestNoMoreOpenSetsThanAllowed(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		m := idle(t, s, func(c *Config) { c.OpenSets = func(string) int { return 3 } })
		var ids []string
		for range 3 {
			ids = append(ids, m.begin(doc("CreateThing", "", `{}`)))
		}
		_, err := m.Start(context.Background(), &Request{Account: alice, Changes: []Change{doc("CreateThing", "", `{}`)}})
		refused(t, err, "ServiceQuotaExceededException", "3")
		if _, err := m.Start(context.Background(), &Request{Account: bob, Changes: []Change{doc("CreateThing", "", `{}`)}}); err != nil {
			t.Errorf("another account can't start a set: %v", err)
		}
		if err := m.Cancel(context.Background(), alice, ids[1]); err != nil {
			t.Fatal(err)
		}
		m.begin(doc("CreateThing", "", `{}`))
		m.sound()
		m.start()
		m.await(ids[0], Ended)
	})
}

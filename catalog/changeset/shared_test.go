package changeset

import (
	"context"
	"slices"
	"strings"
	"testing"

	"souk/catalog/experience"
	"souk/storage/store"
)

// company is an organisation in which alice has the management account. Other
// accounts than these are strangers.
type company struct{}

func (company) Management(context.Context) (string, error) { return alice, nil }

func (company) Has(_ context.Context, principal string) (bool, error) {
	return principal == alice || principal == bob || strings.HasPrefix(principal, "ou-"), nil
}

// privately makes experiences the types of an engine. A logo called "slow" waits
// for gate.
func privately(gate chan struct{}) func(*Config) {
	return func(c *Config) {
		c.Types = append(c.Types, experience.EntityTypes()...)
		c.World.Organization = company{}
		c.World.Branding = logos(func(ctx context.Context, url string) (string, error) {
			if url != "slow" {
				return "kept:" + url, nil
			}
			select {
			case <-gate:
				return "kept:slow", nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		})
	}
}

// ofExperience is a change of an experience.
func ofExperience(changeType, identifier, details string) Change {
	c := doc(changeType, identifier, details)
	c.EntityType = experience.Type
	return c
}

// as starts a set of an account and returns its id.
func (m *market) as(account string, changes ...Change) string {
	m.t.Helper()
	id, err := m.Start(context.Background(), &Request{Account: account, Changes: changes})
	if err != nil {
		m.t.Fatalf("Start: %v", err)
	}
	return id
}

// done runs a set of an account to its end.
func (m *market) done(account string, changes ...Change) *Description {
	m.t.Helper()
	d := m.ended(m.as(account, changes...))
	if d.Status != Succeeded {
		m.t.Fatalf("change set %s is %s: %s", d.ID, d.Status, errorsOf(d))
	}
	return d
}

// opened is the id of a new experience.
func (m *market) opened(account, name string) string {
	m.t.Helper()
	d := m.done(account, ofExperience("CreateExperience", "", `{"Name":"`+name+`"}`))
	id, _, _ := strings.Cut(d.Changes[0].Identifier, "@")
	return id
}

// revisionOf is the revision and the owner of an entity.
func (m *market) revisionOf(id string) (int64, string) {
	m.t.Helper()
	e, err := m.Entity(context.Background(), id)
	if err != nil {
		m.t.Fatal(err)
	}
	d, err := e.Describe()
	if err != nil {
		m.t.Fatal(err)
	}
	return e.Revision, d.Owner
}

func (m *market) experience(id string) *experience.Experience {
	m.t.Helper()
	var x experience.Experience
	if _, err := m.State(context.Background(), experience.Type, id, &x); err != nil {
		m.t.Fatal(err)
	}
	return &x
}

func TestPartsAreEntitiesWithRevisionsOfTheirOwn(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		m := open(t, s, privately(nil))
		id := m.opened(alice, "First")
		m.done(alice,
			ofExperience("CreateProcurementPolicy", id+"@1", `{"Name":"Policy"}`),
			ofExperience("CreateBrandingSettings", id, `{"Name":"Look"}`))
		x := m.experience(id)
		m.done(bob, ofExperience("AllowProductProcurement", id+"@2", `{"Products":[{"Ids":["prod-a"]}]}`))
		for part, want := range map[string]int64{id: 3, x.Policy.ID: 2, x.Branding.ID: 1} {
			if got, owner := m.revisionOf(part); got != want || owner != alice {
				t.Errorf("%s has revision %d of %s, want %d of %s", part, got, owner, want, alice)
			}
		}
		for kind, id := range map[string]string{"ProcurementPolicy": x.Policy.ID, "BrandingSettings": x.Branding.ID, "Audience": ""} {
			list, _, err := m.ListEntities(t.Context(), Query{Account: alice, EntityType: kind, Max: 10})
			if err != nil || len(list) > 0 != (id != "") || len(list) > 0 && list[0].ID != id {
				t.Errorf("%s: %+v, %v, want %q", kind, list, err, id)
			}
		}
		_, err := m.Start(t.Context(), &Request{Account: alice, Changes: []Change{{ChangeType: "UpdateProcurementPolicy", EntityType: "ProcurementPolicy@1.0", Identifier: x.Policy.ID, DetailsDocument: []byte(`{}`)}}})
		refused(t, err, "ValidationException", "'UpdateProcurementPolicy' is not supported for entity type 'ProcurementPolicy@1.0', which changes only with")
		m.sound()
	})
}

func TestWhatAllShareIsSeenAndChangedByAll(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		m := open(t, s, privately(nil))
		first := m.done(alice, ofExperience("CreateExperience", "", `{"Name":"First"}`))
		second := m.opened(bob, "Second")
		own := m.made("alone")
		of := func(account string, shared bool) (ids, owners []string) {
			t.Helper()
			list, _, err := m.ListEntities(t.Context(), Query{Account: account, EntityType: "Experience", Max: 10, Shared: shared})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range list {
				ids, owners = append(ids, e.Name), append(owners, e.Owner)
			}
			return ids, owners
		}
		for _, want := range []struct {
			account string
			shared  bool
			name    string
			owner   string
		}{{alice, false, "First", alice}, {alice, true, "Second", bob}, {bob, false, "Second", bob}, {bob, true, "First", alice}} {
			if names, owners := of(want.account, want.shared); !slices.Equal(names, []string{want.name}) || owners[0] != want.owner {
				t.Errorf("%s, shared %t: %v of %v, want %s", want.account, want.shared, names, owners, want.name)
			}
		}
		changed := m.as(alice, ofExperience("UpdateExperience", second, `{"Description":"By another."}`))
		m.ended(changed)
		if _, owner := m.revisionOf(second); owner != bob {
			t.Errorf("after alice's change %s belongs to %s", second, owner)
		}
		scope := []Filter{{Name: "Scope", Values: []string{"SharedWithMe"}}}
		list, _, err := m.List(t.Context(), Query{Account: bob, Max: 10, Filters: scope, Ascending: true})
		if err != nil || len(list) != 2 || list[0].ID != first.ID || list[1].ID != changed || list[0].Account != alice || list[0].Name != defaultName(alice) {
			t.Errorf("shared change sets: %+v, %v, want %s and %s of %s", list, err, first.ID, changed, alice)
		}
		list, _, err = m.List(t.Context(), Query{Account: bob, Max: 10, SortBy: "EndTime", Filters: append(scope, Filter{Name: "EntityId", Values: []string{second}})})
		if err != nil || len(list) != 1 || list[0].ID != changed {
			t.Errorf("those of %s: %+v, %v, want %s", second, list, err, changed)
		}
		if d, err := m.Describe(t.Context(), bob, changed); err != nil || d.Account != alice {
			t.Errorf("a set that changes what is shared: %+v, %v", d, err)
		}
		if err := m.Cancel(t.Context(), bob, changed); err == nil {
			t.Error("a set of another is cancelled")
		}
		private := m.done(alice, doc("Rename", own, `{"Title":"still alone"}`))
		_, err = m.Describe(t.Context(), bob, private.ID)
		refused(t, err, "ResourceNotFoundException", private.ID)
		// What else a set changes is not shared by what is.
		mixed := m.done(alice, ofExperience("UpdateExperience", second, `{"Description":"Again."}`), doc("Rename", own, `{"Title":"a secret"}`))
		_, err = m.Describe(t.Context(), bob, mixed.ID)
		refused(t, err, "ResourceNotFoundException", mixed.ID)
		if list, _, err = m.List(t.Context(), Query{Account: bob, Max: 10, Filters: scope}); err != nil || len(list) != 2 {
			t.Errorf("shared change sets with one that changes a product, too: %+v, %v", list, err)
		}
		m.sound()
	})
}

func TestTheFirstExperienceIsMadeFromTheManagementAccount(t *testing.T) {
	t.Parallel()
	m := open(t, openSQLite(t), privately(nil))
	d := m.ended(m.as(bob, ofExperience("CreateExperience", "", `{"Name":"Too early"}`)))
	if d.Status != Failed || !strings.HasPrefix(errorsOf(d), "CALLER_NOT_AUTHORIZED: Caller not authorized to create experience.") {
		t.Errorf("a member's is %s: %s", d.Status, errorsOf(d))
	}
	m.opened(alice, "First")
	m.opened(bob, "Second")
	m.sound()
}

func TestAPrincipalMovesFromOneExperienceToAnotherInOneSet(t *testing.T) {
	t.Parallel()
	m := open(t, openSQLite(t), privately(nil))
	from, to := m.opened(alice, "From"), m.opened(alice, "To")
	m.done(alice, ofExperience("AssociateAudience", from, `{"Principals":["`+bob+`","ou-ab12-a1b2c3d4"]}`))
	d := m.ended(m.as(alice, ofExperience("AssociateAudience", to, `{"Principals":["`+bob+`"]}`)))
	if want := "ENTITY_ALREADY_EXISTS: An experience is already associated with the account " + bob + ". Disassociate previous experience before updating"; errorsOf(d) != want {
		t.Errorf("got  %s\nwant %s", errorsOf(d), want)
	}
	m.done(alice,
		ofExperience("AssociateAudience", to, `{"Principals":["`+bob+`"]}`),
		ofExperience("DisassociateAudience", from, `{"Principals":["`+bob+`","ou-ab12-a1b2c3d4"]}`))
	claimed, err := m.Claimed(t.Context(), "principal", []string{bob, "ou-ab12-a1b2c3d4"})
	if err != nil || string(claimed[bob]) != to || len(claimed) != 1 {
		t.Errorf("the principals are in %q, %v, want %s in %s alone", claimed, err, bob, to)
	}
	m.sound()
}

func TestTwoSetsThatAssociateTheSameAccount(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		gate := make(chan struct{})
		m := open(t, s, privately(gate))
		one, two := m.opened(alice, "One"), m.opened(alice, "Two")
		slow := m.as(alice,
			ofExperience("AssociateAudience", one, `{"Principals":["`+bob+`"]}`),
			ofExperience("CreateBrandingSettings", one, `{"Name":"Look","Configuration":{"LogoUrl":"slow"}}`))
		m.await(slow, Probing)
		const busy = "ENTITY_IN_USE: There is already a conflicting changing in progress for the selected account(s). Try again later"
		if d := m.ended(m.as(bob, ofExperience("AssociateAudience", two, `{"Principals":["`+bob+`"]}`))); errorsOf(d) != busy {
			t.Errorf("while the first is open: %s, want %s", errorsOf(d), busy)
		}
		// The same experience can't be changed at all.
		_, err := m.Start(t.Context(), &Request{Account: bob, Changes: []Change{ofExperience("UpdateExperience", one, `{"Status":"Enabled"}`)}})
		refused(t, err, "ResourceInUseException", slow)
		close(gate)
		if d := m.ended(slow); d.Status != Succeeded {
			t.Errorf("the first is %s: %s", d.Status, errorsOf(d))
		}
		m.done(alice, ofExperience("DisassociateAudience", one, `{"Principals":["`+bob+`"]}`))
		m.done(alice, ofExperience("AssociateAudience", two, `{"Principals":["`+bob+`"]}`))
		m.sound()
	})
}

func TestDetailsOfAnExperienceThatAreNoJSON(t *testing.T) {
	t.Parallel()
	m := idle(t, openSQLite(t), privately(nil))
	text := `{"Name":`
	_, err := m.Start(t.Context(), &Request{Account: alice, Changes: []Change{{ChangeType: "CreateExperience", EntityType: experience.Type, Details: &text}}})
	refused(t, err, "ValidationException", "Document not valid JSON format")
	if strings.Contains(err.Error(), "Provided") {
		t.Errorf("got %v, want the page's words alone", err)
	}
}

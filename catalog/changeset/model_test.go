package changeset

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// model is what things are by the rules of their change types, without an engine.
type model map[string]modelThing

type modelThing struct {
	title    string
	notes    string // separated by commas
	revision int64
}

// TestRandomSetsAgainstAModel draws change sets, sends their changes in a
// random order, and compares what becomes of them and of their entities with a
// model that knows neither documents nor locks.
func TestRandomSetsAgainstAModel(t *testing.T) {
	t.Parallel()
	m := open(t, openSQLite(t), nil)
	rapid.Check(t, func(t *rapid.T) {
		things := model{}
		for range rapid.IntRange(1, 6).Draw(t, "sets") {
			randomSet(t, m, things)
		}
		for id, want := range things {
			th, revision := m.thing(id)
			if got := (modelThing{th.Title, strings.Join(th.Notes, ","), revision}); got != want {
				t.Fatalf("thing %s is %+v, the model says %+v", id, got, want)
			}
		}
	})
	m.sound()
}

// drawn is one change of a drawn set.
type drawn struct {
	change Change
	target string // key in the next model: an id, or the name of the creating change
	value  string
	code   string // by which the model refuses it, "" if it doesn't
}

func randomSet(t *rapid.T, m *market, things model) {
	next := maps.Clone(things)
	value := rapid.SampledFrom([]string{"a", "b", "c", "forbidden", "wrong"})
	var changes []drawn
	var targets []string
	refused := map[string]bool{} // creating changes
	for i := range rapid.IntRange(0, 2).Draw(t, "new") {
		name := "New" + string(rune('A'+i))
		v := value.Draw(t, "title")
		d := drawn{change: named(name, doc("CreateThing", "", fmt.Sprintf(`{"Title":%q}`, v))), target: name, value: v}
		if v == "forbidden" {
			d.code, refused[name] = "FORBIDDEN_TITLE", true
		}
		next[name] = modelThing{title: v}
		changes, targets = append(changes, d), append(targets, name)
	}
	old := slices.Sorted(maps.Keys(things))
	if len(old) > 0 {
		targets = append(targets, rapid.SampledFrom(old).Draw(t, "old"))
	}
	if len(targets) == 0 {
		return
	}
	for _, target := range targets {
		identifier := target
		if strings.HasPrefix(target, "New") {
			identifier = "$" + target + ".Entity.Identifier"
		}
		for _, kind := range rapid.SampledFrom([][]string{{}, {"AddNote"}, {"Rename"}, {"AddNote", "Rename"}}).Draw(t, "types") {
			d := drawn{target: target, value: value.Draw(t, "value")}
			th := next[target]
			switch {
			case refused[target]:
			case kind == "AddNote" && slices.Contains(strings.Split(th.notes, ","), d.value):
				d.code = "DUPLICATE_NOTE"
			case kind == "AddNote" && d.value == "wrong":
				d.code = "WRONG_NOTE"
			case kind == "AddNote":
				th.notes = strings.TrimPrefix(th.notes+","+d.value, ",")
			case d.value == th.title:
				d.code = "SAME_TITLE"
			case d.value == "forbidden":
				d.code = "FORBIDDEN_TITLE"
			default:
				th.title = d.value
			}
			next[target] = th
			member := map[string]string{"AddNote": "Note", "Rename": "Title"}[kind]
			d.change = doc(kind, identifier, fmt.Sprintf(`{%q:%q}`, member, d.value))
			changes = append(changes, d)
		}
	}
	if len(changes) == 0 {
		return
	}
	changes = rapid.Permutation(changes).Draw(t, "order")
	r := &Request{Account: alice}
	bad := false
	for _, d := range changes {
		r.Changes = append(r.Changes, d.change)
		bad = bad || d.code != ""
	}
	if rapid.IntRange(0, 4).Draw(t, "intent") == 0 {
		r.Intent = IntentValidate
	}
	id, err := m.Start(context.Background(), r)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	got := m.ended(id)
	if want := map[bool]Status{true: Failed, false: Succeeded}[bad]; got.Status != want {
		t.Fatalf("set is %s (%s), the model says %s", got.Status, errorsOf(got), want)
	}
	for i, d := range changes {
		codes := ""
		for _, e := range got.Changes[i].Errors {
			codes += e.ErrorCode
		}
		if codes != d.code {
			t.Fatalf("change %d of %s is refused by %q, the model says %q", i, id, codes, d.code)
		}
	}
	if bad || r.Intent == IntentValidate {
		return
	}
	// The revision grew once, however many changes an entity had.
	for i, d := range changes {
		entity, _, _ := strings.Cut(got.Changes[i].Identifier, "@")
		th := next[d.target]
		th.revision = next[entity].revision + 1
		things[entity] = th
	}
}

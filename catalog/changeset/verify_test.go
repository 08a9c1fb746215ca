package changeset

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"souk/storage/store"
)

func TestVerifyLooksAtEveryListOfEveryDocument(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	m := open(t, openSQLite(t), nil)
	lamp := m.made("lamp")
	ended := m.succeed(doc("AddNote", lamp, `{"Note":"n"}`)).ID
	m.stop()
	begun := m.begin(doc("Rename", lamp, `{"Title":"x"}`))
	m.sound()

	whole := func(kind, id string) store.Write {
		t.Helper()
		d, err := m.store.Get(ctx, store.Key{Kind: kind, ID: id})
		if err != nil {
			t.Fatal(err)
		}
		var w store.Write
		if kind == kindSet {
			var s *setBody
			if s, err = decodeSet(d); err == nil {
				w, err = s.write(id, d.Revision)
			}
		} else {
			var s *stored
			if s, err = decodeEntity(d); err == nil {
				var state any
				et := m.types[s.Type]
				if state, err = s.decode(et); err == nil {
					w, err = writeEntity(et, s.Entity, state, d.Revision)
				}
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		w.Was, w.Due, w.Owner = store.Any, d.Due, d.Owner
		return w
	}
	// of are the findings about lists; that a document was written beside its
	// sets is another matter.
	check := func(name string, w store.Write, wants ...string) {
		t.Helper()
		if err := m.store.Commit(ctx, store.Batch{Put: []store.Write{w}}); err != nil {
			t.Fatal(err)
		}
		found, err := m.Verify(ctx)
		if err != nil {
			t.Fatal(err)
		}
		found = slices.DeleteFunc(found, func(f Finding) bool { return strings.Contains(f.What, "revision") })
		if len(found) != len(wants) {
			t.Errorf("%s: found %v, want %q", name, found, wants)
		}
		for _, want := range wants {
			if !strings.Contains(fmt.Sprint(found), want) {
				t.Errorf("%s: found %v, want %q", name, found, want)
			}
		}
	}
	for _, k := range []store.Key{{Kind: kindEntity, ID: lamp}, {Kind: kindSet, ID: ended}, {Kind: kindSet, ID: begun}} {
		check("as it is", whole(k.Kind, k.ID))
		for i, e := range whole(k.Kind, k.ID).Index {
			w := whole(k.Kind, k.ID)
			w.Index = slices.Delete(w.Index, i, i+1)
			check("an entry is missing", w, k.Kind+" "+k.ID+": list "+e.Index+" of "+e.Partition+" lacks it")

			w = whole(k.Kind, k.ID)
			w.Index[i].Cover = []byte("x")
			check("a cover is wrong", w, "list "+e.Index+" of "+e.Partition+" shows it otherwise than it is")
		}
		w := whole(k.Kind, k.ID)
		w.Index = append(w.Index, store.Entry{Index: w.Index[0].Index, Partition: "another", Sort: w.Index[0].Sort})
		check("an entry too many", w, k.Kind+" "+k.ID+": it is in a list where it doesn't belong")

		w = whole(k.Kind, k.ID)
		w.Summary = []byte("{}")
		check("the summary is empty", w, k.Kind+" "+k.ID+": what lists show of it is not what it says")
		check("as it is again", whole(k.Kind, k.ID))
	}
}

package layout

import (
	"bytes"
	"cmp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"souk/storage/store"
)

// key is the whole key of an entry.
func key(p Prefix, sort, id string) []byte {
	return append(AppendPlace(nil, p, sort), id...)
}

func TestKeysKeepTheOrderOfSortAndThenID(t *testing.T) {
	t.Parallel()
	p := PrefixOf("entity", "all", "1")
	sorts := rapid.OneOf(
		rapid.StringOfN(rapid.SampledFrom([]rune{0, 1, 'a', 'b', 0xFF}), 0, 4, -1),
		rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 0xFE, 0xFF}), 0, 5), func(b []byte) string { return string(b) }),
		rapid.String(),
	)
	ids := rapid.StringOfN(rapid.SampledFrom([]rune{1, 2, 'a', 'b', 0x10FFFF}), 1, 3, -1)
	rapid.Check(t, func(t *rapid.T) {
		s1, s2 := cut(sorts.Draw(t, "sort 1")), cut(sorts.Draw(t, "sort 2"))
		id1, id2 := ids.Draw(t, "id 1"), ids.Draw(t, "id 2")
		want := cmp.Compare(s1, s2)
		if want == 0 {
			want = cmp.Compare(id1, id2)
		}
		k1, k2 := key(p, s1, id1), key(p, s2, id2)
		if got := bytes.Compare(k1, k2); got != want {
			t.Fatalf("keys of (%q, %q) and (%q, %q) compare as %d, want %d", s1, id1, s2, id2, got, want)
		}
		sort, id, err := SplitKey(k1)
		if err != nil || sort != s1 || id != id1 {
			t.Fatalf("SplitKey gave (%q, %q, %v), want (%q, %q)", sort, id, err, s1, id1)
		}
	})
}

func TestRangeHoldsWhatTheQueryAsksFor(t *testing.T) {
	t.Parallel()
	values := rapid.StringOfN(rapid.SampledFrom([]rune{0, 1, 'a', 'b'}), 0, 3, -1)
	ids := rapid.StringOfN(rapid.SampledFrom([]rune{1, 'a', 'b'}), 1, 2, -1)
	rapid.Check(t, func(t *rapid.T) {
		q := store.Query{
			Kind: "k", Index: "i", Partition: "p",
			From: values.Draw(t, "from"), To: values.Draw(t, "to"),
			Backward: rapid.Bool().Draw(t, "backward"),
		}
		if rapid.Bool().Draw(t, "has after") {
			q.After = store.Position{Sort: values.Draw(t, "after sort"), ID: ids.Draw(t, "after id")}
		}
		sort, id := values.Draw(t, "sort"), ids.Draw(t, "id")
		want := (q.From == "" || sort >= q.From) && (q.To == "" || sort < q.To)
		if q.After != (store.Position{}) {
			c := cmp.Compare(sort, q.After.Sort)
			if c == 0 {
				c = cmp.Compare(id, q.After.ID)
			}
			want = want && (c > 0) == !q.Backward && c != 0
		}
		r, k := RangeOf(q), key(PrefixOf(q.Kind, q.Index, q.Partition), sort, id)
		if got := bytes.Compare(k, r.From) >= 0 && bytes.Compare(k, r.To) < 0; got != want {
			t.Fatalf("entry (%q, %q) in the range of %+v: got %v, want %v", sort, id, q, got, want)
		}
	})
}

func TestPartitionRangeOfThePrefixOfAllOnes(t *testing.T) {
	t.Parallel()
	p := Prefix(bytes.Repeat([]byte{0xFF}, PrefixSize))
	r := PartitionRange(p)
	k := key(p, strings.Repeat("\xFF", MaxSort), strings.Repeat("z", MaxID))
	if bytes.Compare(k, r.From) < 0 || bytes.Compare(k, r.To) >= 0 {
		t.Errorf("the last entry of the last partition lies outside of its range")
	}
}

func TestPrefixesOfNamesThatRunTogetherDiffer(t *testing.T) {
	t.Parallel()
	if PrefixOf("ab", "c", "d") == PrefixOf("a", "bc", "d") || PrefixOf("a", "b", "cd") == PrefixOf("a", "bc", "d") {
		t.Error("two partitions have one prefix")
	}
}

func TestRowsNamesAPlaceOnceWithItsLastCover(t *testing.T) {
	t.Parallel()
	rows := Rows("k", []store.Entry{
		{Index: "i", Partition: "p", Sort: "x", Cover: []byte("old")},
		{Index: "i", Partition: "p", Sort: "y"},
		{Index: "i", Partition: "p", Sort: "x", Cover: []byte("new")},
	})
	if len(rows) != 2 || string(rows[0].Cover) != "new" || rows[1].Cover != nil {
		t.Errorf("got %q", rows)
	}
}

func FuzzSplitKey(f *testing.F) {
	f.Add(key(PrefixOf("k", "i", "p"), "a\x00b", "id"))
	f.Add([]byte("short"))
	f.Add(append(make([]byte, PrefixSize), 0, 7))
	f.Fuzz(func(t *testing.T, b []byte) {
		sort, id, err := SplitKey(b)
		if err != nil || len(sort) > MaxSort {
			return
		}
		if again := key(Prefix(b[:PrefixSize]), sort, id); !bytes.Equal(again, b) {
			t.Errorf("key %x is split and joined to %x", b, again)
		}
	})
}

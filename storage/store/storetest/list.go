package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"souk/storage/store"
)

var listTests = []test{
	{"the order of Sort and then of the id, as bytes", func(t *testing.T, s *room) {
		for _, d := range []store.Document{
			s.doc("1", "x", in("p", "b")), s.doc("2", "x", in("p", "B")), s.doc("3", "x", in("p", "")),
			s.doc("4", "x", in("p", "ä")), s.doc("5", "x", in("p", "ba")), s.doc("Z", "x", in("p", "b")),
			s.doc("ö", "x", in("p", "b")), s.doc("a", "x", in("p", "b")), s.doc("6", "x", in("p", " ")),
		} {
			s.commit(t, put(0, d))
		}
		s.lists(t, "p", "3 6 2 1 Z a ö 5 4")
		if got := ids(s.all(t, store.Query{Index: "by", Partition: "p", Backward: true, Limit: 2})); got != "4 5 ö a Z 1 2 6 3" {
			t.Errorf("backwards: got %q", got)
		}
	}},
	{"zeros and odd bytes in Sort", func(t *testing.T, s *room) {
		sorts := []string{"", "\x00", "\x00\x00", "\x00\x01", "\x00\xFF", "\x01", "a", "a\x00", "a\x00\x00b", "a\x00\x01", "a\x00b", "a\x00\xFF", "a\x01", "b", "\xC3", "\xFE\xFF", "\xFF", "\xFF\x00", "\xFF\xFF"}
		var b store.Batch
		for i, sort := range sorts { // they are in order
			b = join(b, put(0, s.doc(fmt.Sprintf("%02d", i), "x", in("p", sort))))
		}
		slices.Reverse(b.Put)
		s.commit(t, b)
		var q store.Query
		for _, q = range []store.Query{{Limit: 1}, {Limit: 4}, {Limit: 100}} {
			q.Kind, q.Index, q.Partition = s.kind, "by", "p"
			for i, d := range s.all(t, q) {
				if d.ID != fmt.Sprintf("%02d", i) {
					t.Fatalf("pages of %d: at %d: got %s", q.Limit, i, d.ID)
				}
			}
		}
		q.Limit = 1
		for i, sort := range sorts {
			p := s.page(t, q)
			if p.More && p.Next.Sort != sort {
				t.Errorf("at %d: the position is %q, want %q", i, p.Next.Sort, sort)
			}
			q.After = p.Next
		}
	}},
	{"odd bytes in the names of partitions and indexes", func(t *testing.T, s *room) {
		names := []string{"", "\x00", "p", "p\x00", "p\x00x", "\xFF", "P", "p ", "'", strings.Repeat("long ", 300)}
		var d store.Document
		for i, name := range names {
			d = s.doc(fmt.Sprint(i), "x", in(name, "x"), store.Entry{Index: name, Partition: "p", Sort: "x"})
			s.commit(t, put(0, d))
		}
		for i, name := range names {
			if got := s.list(t, name); got != fmt.Sprint(i) {
				t.Errorf("partition %q: got %q", name, got)
			}
			if got := ids(s.all(t, store.Query{Index: name, Partition: "p", Limit: 9})); got != fmt.Sprint(i) {
				t.Errorf("index %q: got %q", name, got)
			}
		}
	}},
	{"partitions, indexes and kinds are apart", func(t *testing.T, s *room) {
		other := store.Document{Key: store.Key{Kind: s.kind + "x", ID: "other"}, Index: []store.Entry{in("p", "x")}}
		s.commit(t, put(0, s.doc("a", "x", in("p", "x")), s.doc("b", "x", in("px", "")), s.doc("c", "x", store.Entry{Index: "byp", Sort: "x"}), other))
		s.lists(t, "p", "a")
		s.lists(t, "px", "b")
		s.lists(t, "", "")
		s.lists(t, "nobody", "")
	}},
	{"what a list shows", func(t *testing.T, s *room) {
		d := s.doc("a", "the body", in("p", "x"))
		d.Owner = "me"
		s.commit(t, put(0, d))
		s.commit(t, put(1, d))
		p := s.page(t, store.Query{Index: "by", Partition: "p", Limit: 5})
		if len(p.Documents) != 1 || p.More {
			t.Fatalf("got %+v", p)
		}
		got := p.Documents[0]
		if got.Key != d.Key || got.Revision != 2 || !bytes.Equal(got.Summary, d.Summary) || got.Body != nil || got.Index != nil {
			t.Errorf("got %+v", got)
		}
	}},
	{"what a list shows of work and of what is no work", func(t *testing.T, s *room) {
		now := s.now(t)
		var revision int64
		write := func(summary string, due time.Time, index ...store.Entry) {
			t.Helper()
			d := s.doc("a", "x", index...)
			d.Summary, d.Due = []byte(summary), due
			s.commit(t, put(revision, d))
			revision++
		}
		shows := func(summary string) {
			t.Helper()
			for _, match := range []func(string, string, []byte) bool{nil, covers("")} {
				got := s.all(t, store.Query{Index: "by", Partition: "p", Limit: 9, Match: match})
				if len(got) != 1 || got[0].Revision != revision || string(got[0].Summary) != summary {
					t.Fatalf("got %+v, want revision %d with %.40q", got, revision, summary)
				}
			}
		}
		write("new", time.Time{}, in("p", "x"))
		shows("new")
		write("changed", time.Time{}, in("p", "x"))
		shows("changed")
		write("due", now, in("p", "x"))
		shows("due")
		s.claim(t, 1, "me", 0)
		revision++
		shows("due")
		write("later", now.Add(long), in("p", "x"))
		shows("later")
		write("done", time.Time{}, in("p", "x"))
		shows("done")
		write(strings.Repeat("long", 1000), time.Time{}, in("p", "x"))
		shows(strings.Repeat("long", 1000))
		write("", time.Time{}, in("p", "y"), in("q", "x"))
		shows("")
		write("in two", now, in("p", "z"), in("q", "x"))
		shows("in two")
		write("no longer", now)
		s.lists(t, "p", "")
		s.lists(t, "q", "")
	}},
	{"pages that end at the end", func(t *testing.T, s *room) {
		var b store.Batch
		for i := range 6 {
			b = join(b, put(0, s.doc(fmt.Sprint(i), "x", in("p", "same"))))
		}
		s.commit(t, b)
		for limit := 1; limit <= 8; limit++ {
			for _, backward := range []bool{false, true} {
				q := store.Query{Kind: s.kind, Index: "by", Partition: "p", Backward: backward, Limit: limit}
				for left := 6; ; left -= limit {
					p := s.page(t, q)
					if len(p.Documents) != min(left, limit) || p.More != (left > limit) {
						t.Fatalf("pages of %d, backward %v: with %d left: got %q, more %v", limit, backward, left, ids(p.Documents), p.More)
					}
					if !p.More {
						break
					}
					if want := (store.Position{Sort: "same", ID: p.Documents[limit-1].ID}); p.Next != want {
						t.Fatalf("next: got %+v, want %+v", p.Next, want)
					}
					q.After = p.Next
				}
			}
		}
	}},
	{"writes between two pages neither repeat nor hide others", func(t *testing.T, s *room) {
		for _, backward := range []bool{false, true} {
			partition := fmt.Sprint(backward)
			id := func(name string) string { return partition + name }
			for _, name := range []string{"b", "d", "f", "h", "j"} {
				s.commit(t, put(0, s.doc(id(name), "x", in(partition, name))))
			}
			q := store.Query{Index: "by", Partition: partition, Backward: backward, Limit: 2}
			p := s.page(t, q)
			before := ids(p.Documents)
			// One of the page goes, the one that the position names too; others
			// come on both sides and one that is still to come moves.
			s.commit(t, s.remove(1, id("d"), id("h")))
			s.commit(t, put(0, s.doc(id("a"), "x", in(partition, "a")), s.doc(id("e"), "x", in(partition, "e")), s.doc(id("g"), "x", in(partition, "g")), s.doc(id("k"), "x", in(partition, "k"))))
			s.commit(t, put(1, s.doc(id("f"), "x", in(partition, "ee"))))
			q.After = p.Next
			got := before + " | " + ids(s.all(t, q))
			got = strings.ReplaceAll(got, partition, "")
			want := "b d | e f g j k"
			if backward {
				want = "j h | g f e b a"
			}
			if got != want {
				t.Errorf("backward %v: got %q, want %q", backward, got, want)
			}
		}
	}},
	{"From and To", func(t *testing.T, s *room) {
		sorts := []string{"a", "a\x00", "aa", "b", "b", "c", "c\xFF", "d"}
		for i, sort := range sorts {
			s.commit(t, put(0, s.doc(fmt.Sprint(i), "x", in("p", sort))))
		}
		for _, c := range []struct{ from, to, want string }{
			{"", "", "0 1 2 3 4 5 6 7"},
			{"a", "b", "0 1 2"},
			{"a\x00", "aa", "1"},
			{"b", "", "3 4 5 6 7"},
			{"", "b", "0 1 2"},
			{"b", "b", ""},
			{"b", "a", ""},
			{"bb", "d", "5 6"},
			{"c", "c\xFF", "5"},
			{"e", "", ""},
			{"", "\x00", ""},
		} {
			for _, limit := range []int{1, 2, 100} {
				q := store.Query{Index: "by", Partition: "p", From: c.from, To: c.to, Limit: limit}
				if got := ids(s.all(t, q)); got != c.want {
					t.Errorf("%q to %q by %d: got %q, want %q", c.from, c.to, limit, got, c.want)
				}
				q.Backward = true
				back := s.all(t, q)
				slices.Reverse(back)
				if got := ids(back); got != c.want {
					t.Errorf("%q to %q by %d backwards: got %q, want %q", c.from, c.to, limit, got, c.want)
				}
			}
		}
	}},
	{"positions that nothing stands at", func(t *testing.T, s *room) {
		for _, sort := range []string{"b", "d"} {
			s.commit(t, put(0, s.doc("of "+sort, "x", in("p", sort))))
		}
		for _, c := range []struct {
			after    store.Position
			backward bool
			want     string
		}{
			{store.Position{Sort: "a", ID: "z"}, false, "of b of d"},
			{store.Position{Sort: "b", ID: "a"}, false, "of b of d"},
			{store.Position{Sort: "b", ID: "z"}, false, "of d"},
			{store.Position{Sort: "b"}, false, "of b of d"},
			{store.Position{ID: "z"}, false, "of b of d"},
			{store.Position{Sort: "z", ID: "z"}, false, ""},
			{store.Position{Sort: "z", ID: "z"}, true, "of d of b"},
			{store.Position{Sort: "d", ID: "z"}, true, "of d of b"},
			{store.Position{Sort: "d", ID: "a"}, true, "of b"},
			{store.Position{Sort: "a", ID: "z"}, true, ""},
		} {
			q := store.Query{Index: "by", Partition: "p", After: c.after, Backward: c.backward, Limit: 9}
			if got := ids(s.all(t, q)); got != c.want {
				t.Errorf("after %+v, backward %v: got %q, want %q", c.after, c.backward, got, c.want)
			}
		}
	}},
	{"long Sort values are cut", func(t *testing.T, s *room) {
		long := strings.Repeat("x", 510)
		for i, sort := range []string{long + "aa", long + "ab", long + "abZ", long + "abA" + strings.Repeat("y", 5000), long + "ac", long + "\x00\x00"} {
			s.commit(t, put(0, s.doc(fmt.Sprint(i), "x", in("p", sort))))
		}
		s.lists(t, "p", "5 0 1 2 3 4") // 1, 2 and 3 are cut to one value
		q := store.Query{Kind: s.kind, Index: "by", Partition: "p", Limit: 1}
		var got []string
		for {
			p := s.page(t, q)
			got = append(got, ids(p.Documents))
			if !p.More {
				break
			}
			if len(p.Next.Sort) > 512 {
				t.Errorf("the position has %d bytes", len(p.Next.Sort))
			}
			q.After = p.Next
		}
		if fmt.Sprint(got) != "[5 0 1 2 3 4]" {
			t.Errorf("one by one: got %v", got)
		}
		if got := ids(s.all(t, store.Query{Index: "by", Partition: "p", From: long + "abZ", Limit: 9})); got != "1 2 3 4" {
			t.Errorf("from a long value: got %q", got)
		}
	}},
	{"pages of no documents and less", func(t *testing.T, s *room) {
		for _, q := range []store.Query{{Limit: 0}, {Limit: -1}, {Limit: 1, Scan: -1}} {
			q.Kind, q.Index, q.Partition = s.kind, "by", "p"
			if _, err := s.List(t.Context(), q); err == nil {
				t.Errorf("limit %d, scan %d: no error", q.Limit, q.Scan)
			}
		}
	}},
	{"a document in many places", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "x", in("p", "1"), in("p", "3"), in("q", "2")), s.doc("b", "x", in("p", "2"))))
		s.lists(t, "p", "a b a")
		s.lists(t, "q", "a")
	}},
}

// cover is an entry of the index "by" in partition "p" with a cover.
func cover(sort, cover string) store.Entry {
	return store.Entry{Index: "by", Partition: "p", Sort: sort, Cover: []byte(cover)}
}

// covers matches the entries with a cover.
func covers(want string) func(string, string, []byte) bool {
	return func(_, _ string, cover []byte) bool { return string(cover) == want }
}

var matchTests = []test{
	{"what it is given", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "x", cover("s\x00", "c\x00v")), s.doc("b", "x", in("p", "t"))))
		var got []string
		s.page(t, store.Query{Index: "by", Partition: "p", Limit: 9, Match: func(sort, id string, cover []byte) bool {
			got = append(got, fmt.Sprintf("%q %q %q", sort, id, cover))
			return true
		}})
		if want := []string{`"s\x00" "a" "c\x00v"`, `"t" "b" ""`}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}},
	{"pages are full while there are matches", func(t *testing.T, s *room) {
		var b store.Batch
		for i := range 100 {
			b = join(b, put(0, s.doc(fmt.Sprintf("%02d", i), "x", cover(fmt.Sprintf("%02d", i), fmt.Sprint(i%10)))))
		}
		s.commit(t, b)
		for limit := 1; limit <= 12; limit++ {
			q := store.Query{Kind: s.kind, Index: "by", Partition: "p", Limit: limit, Match: covers("3")}
			var got []string
			for left := 10; ; left -= limit {
				p := s.page(t, q)
				if len(p.Documents) != min(left, limit) || p.More != (left > limit) {
					t.Fatalf("pages of %d: with %d left: got %q, more %v", limit, left, ids(p.Documents), p.More)
				}
				for _, d := range p.Documents {
					if string(d.Summary) != "summary of x" || d.Revision != 1 {
						t.Fatalf("%s: got %+v", d.ID, d)
					}
				}
				got = append(got, strings.Fields(ids(p.Documents))...)
				if !p.More {
					break
				}
				q.After = p.Next
			}
			if strings.Join(got, " ") != "03 13 23 33 43 53 63 73 83 93" {
				t.Errorf("pages of %d: got %v", limit, got)
			}
		}
		back := s.all(t, store.Query{Index: "by", Partition: "p", Limit: 4, Backward: true, From: "20", To: "60", Match: covers("3")})
		if got := ids(back); got != "53 43 33 23" {
			t.Errorf("backwards: got %q", got)
		}
		if p := s.page(t, store.Query{Index: "by", Partition: "p", Limit: 4, Match: covers("nothing")}); len(p.Documents) != 0 || p.More {
			t.Errorf("of nothing: got %+v", p)
		}
	}},
	{"a page ends short when it has looked at enough", func(t *testing.T, s *room) {
		var b store.Batch
		for i := range 40 {
			b = join(b, put(0, s.doc(fmt.Sprintf("%02d", i), "x", cover("s", fmt.Sprint(i%20)))))
		}
		s.commit(t, b)
		for _, c := range []struct {
			scan, limit int
			want        string
		}{
			{10, 1, "| 19 | | 39"},
			{10, 5, "| 19 | | 39"},
			{20, 5, "19 | 39"},
			{30, 5, "19 | 39"},
			{40, 5, "19 39"},
			{39, 5, "19 | 39"},
			{0, 5, "19 39"},
		} {
			looked := 0
			q := store.Query{Kind: s.kind, Index: "by", Partition: "p", Limit: c.limit, Scan: c.scan}
			q.Match = func(_, _ string, cover []byte) bool {
				looked++
				return string(cover) == "19"
			}
			var pages []string
			for {
				looked = 0
				p := s.page(t, q)
				if c.scan > 0 && looked > c.scan {
					t.Errorf("scan %d: looked at %d", c.scan, looked)
				}
				pages = append(pages, ids(p.Documents))
				if !p.More {
					break
				}
				q.After = p.Next
			}
			if got := strings.TrimSpace(strings.ReplaceAll(strings.Join(pages, " | "), "  ", " ")); got != c.want {
				t.Errorf("scan %d, limit %d: got %q, want %q", c.scan, c.limit, got, c.want)
			}
		}
	}},
	{"a page looks at no more than 2,000 entries", func(t *testing.T, s *room) {
		const entries = 2100
		for i := 0; i < entries; i += 300 {
			var b store.Batch
			for j := i; j < i+300; j++ {
				b.Put = append(b.Put, store.Write{Document: s.doc(fmt.Sprintf("%04d", j), "x", cover("s", fmt.Sprint(j)))})
			}
			s.commit(t, b)
		}
		q := store.Query{Index: "by", Partition: "p", Limit: 5, Match: covers("2050")}
		p := s.page(t, q)
		if len(p.Documents) != 0 || !p.More || p.Next.ID != "1999" {
			t.Fatalf("the first page: got %q, %+v, more %v", ids(p.Documents), p.Next, p.More)
		}
		q.After = p.Next
		if p = s.page(t, q); ids(p.Documents) != "2050" || p.More {
			t.Fatalf("the second page: got %q, more %v", ids(p.Documents), p.More)
		}
	}},
	{"a cover that changes", func(t *testing.T, s *room) {
		s.commit(t, put(0, s.doc("a", "x", cover("s", "old"))))
		s.commit(t, put(1, s.doc("a", "x", cover("s", "new"))))
		for c, want := range map[string]string{"old": "", "new": "a"} {
			if got := ids(s.all(t, store.Query{Index: "by", Partition: "p", Limit: 5, Match: covers(c)})); got != want {
				t.Errorf("cover %q: got %q, want %q", c, got, want)
			}
		}
		s.commit(t, put(2, s.doc("a", "x", in("p", "s"))))
		if got := ids(s.all(t, store.Query{Index: "by", Partition: "p", Limit: 5, Match: covers("")})); got != "a" {
			t.Errorf("no cover: got %q", got)
		}
	}},
	{"a cover and the summary beside it", func(t *testing.T, s *room) {
		var revision int64
		for _, c := range []struct{ summary, cover string }{
			{"the same", "the same"}, {"", "only a cover"}, {"only a summary", ""}, {"", ""}, {"one", "another"}, {"the same", "the same"},
		} {
			d := s.doc("a", "x", cover("s", c.cover))
			d.Summary = []byte(c.summary)
			if c.summary == "" {
				d.Summary = nil
			}
			s.commit(t, put(revision, d))
			revision++
			for _, match := range []func(string, string, []byte) bool{nil, covers(c.cover)} {
				got := s.all(t, store.Query{Index: "by", Partition: "p", Limit: 5, Match: match})
				if len(got) != 1 || string(got[0].Summary) != c.summary {
					t.Errorf("summary %q beside cover %q, by its cover %v: got %+v", c.summary, c.cover, match != nil, got)
				}
			}
		}
	}},
}

package sqlite

import (
	"fmt"
	"testing"

	"souk/storage/store"
	"souk/storage/store/internal/layout"
)

func revision(n int64) store.Document {
	return store.Document{Key: store.Key{Kind: "k", ID: "a"}, Revision: n, Body: fmt.Append(nil, n)}
}

// holds checks the revision that a cache has of document a; 0 is none.
func holds(t *testing.T, c *cache, want int64) {
	t.Helper()
	doc, ok := c.get(revision(0).Key)
	if doc.Revision != want || ok != (want != 0) {
		t.Errorf("the cache has revision %d (%v), want %d", doc.Revision, ok, want)
	}
}

func TestAReadThatIsOvertakenByAWriteDoesNotFillTheCache(t *testing.T) {
	t.Parallel()
	key := revision(0).Key
	for name, write := range map[string]struct {
		do   func(c *cache)
		want int64
	}{
		"nothing":               {func(*cache) {}, 1},
		"a write":               {func(c *cache) { c.written(revision(2)) }, 2},
		"a deletion":            {func(c *cache) { c.removed(key) }, 0},
		"a deletion and a new":  {func(c *cache) { c.removed(key); c.written(revision(1)) }, 1},
		"a write that is gone":  {func(c *cache) { c.written(revision(2)); c.drop(c.docs[key]) }, 0},
		"a write and a read":    {func(c *cache) { c.written(revision(2)); c.end(key, c.begin(key), nil) }, 2},
		"a later read":          {func(c *cache) { d := revision(2); c.end(key, c.begin(key), &d) }, 2},
		"a write of another":    {func(c *cache) { c.written(store.Document{Key: store.Key{Kind: "k", ID: "b"}, Revision: 1}) }, 1},
		"a read of nothing":     {func(c *cache) { c.end(key, c.begin(key), nil) }, 1},
		"a write that is large": {func(c *cache) { d := revision(2); d.Body = make([]byte, 1<<20); c.written(d) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCache(100_000)
			old := revision(1)
			l := c.begin(key)
			write.do(c)
			c.end(key, l, &old)
			holds(t, c, write.want)
			if len(c.loads) != 0 {
				t.Errorf("%d loads are left", len(c.loads))
			}
		})
	}
}

func TestTheCacheStaysWithinItsBoundAndDropsWhatWasUsedLeast(t *testing.T) {
	t.Parallel()
	c := newCache(20_000)
	c.written(revision(1))
	for i := range 1000 {
		holds(t, c, 1) // keeps it young
		c.written(store.Document{Key: store.Key{Kind: "k", ID: fmt.Sprint(i)}, Revision: 1, Body: make([]byte, i)})
		sum := 0
		for _, e := range c.docs {
			sum += e.size
		}
		if sum != c.used || c.used > c.room {
			t.Fatalf("after %d: %d bytes are counted, %d are there, %d are allowed", i, c.used, sum, c.room)
		}
	}
	if _, ok := c.get(store.Key{Kind: "k", ID: "0"}); ok {
		t.Error("the oldest is still there")
	}
}

func FuzzReadPlaces(f *testing.F) {
	rows := layout.Rows("k", []store.Entry{
		{Index: "i", Partition: "p", Sort: "a", Cover: []byte("c")}, {Index: "i", Partition: "p", Sort: "b", Cover: []byte("c")},
		{Index: "i", Partition: "q"}, {Index: "i", Partition: "r", Cover: []byte{}},
	})
	f.Add(appendPlaces(nil, rows, false, 0))
	f.Add(appendPlaces(nil, rows, true, 7))
	f.Add([]byte{0, 1, 'x', coverSame})
	f.Add([]byte{1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0})
	f.Fuzz(func(t *testing.T, list []byte) {
		rows, shown, err := readPlaces(nil, list)
		if err != nil {
			return
		}
		again, still, err := readPlaces(nil, appendPlaces(nil, rows, shown, termsIn(list)))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(rows) || still != shown && len(rows) > 0 {
			t.Errorf("%v became %v, %v", rows, again, err)
		}
	})
}

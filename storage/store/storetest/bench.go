package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"souk/storage/store"
)

// Benchmark measures an engine: point reads, pages of 20, the batch that
// starts a change set, and work that is claimed and finished. open returns an
// empty store, which it closes itself when its benchmark ends.
func Benchmark(b *testing.B, open func(b *testing.B) store.Store) {
	b.Run("GetHot", func(b *testing.B) { benchmarkGet(b, open(b), 1) })
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("of=%d", n), func(b *testing.B) {
			s := open(b)
			fill(b, s, n)
			b.Run("Get", func(b *testing.B) { benchmarkGet(b, s, n) })
			b.Run("List", func(b *testing.B) { benchmarkList(b, s, n, nil) })
			b.Run("Match", func(b *testing.B) {
				benchmarkList(b, s, n, func(_, _ string, cover []byte) bool { return len(cover) > 0 && cover[0]&3 == 0 })
			})
		})
	}
	for _, n := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("Start/clients=%d", n), func(b *testing.B) { benchmarkStart(b, open(b), n) })
	}
	for _, n := range []int{1, 4} {
		b.Run(fmt.Sprintf("Work/workers=%d", n), func(b *testing.B) { benchmarkWork(b, open(b), n) })
	}
}

// body is like a document of JSON: it packs, but not to nothing.
func body(n int) []byte {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, `{"field%d":"value %x"},`, i, rand.Uint64())
	}
	return []byte(b.String()[:n])
}

// id is like one of AWS's: it sorts nowhere near the one before.
func id(prefix string, i int) string {
	return fmt.Sprintf("%s-%016x%04x", prefix, uint64(i)*0x9E3779B97F4A7C15, i&0xFFFF)
}

// entity is a document that is listed in ten places.
func entity(i int) store.Document {
	d := store.Document{
		Key:     store.Key{Kind: "entity", ID: id("prod", i)},
		Summary: body(250),
		Body:    body(1200),
	}
	sorts := []string{id("name", i), id("2026-11-21T00:00", i), d.ID}
	cover := []byte{byte(i)}
	for _, partition := range []string{"ContainerProduct", "ContainerProduct/Public", "ContainerProduct/seller"} {
		for j, sort := range sorts {
			d.Index = append(d.Index, store.Entry{Index: fmt.Sprint("by", j), Partition: partition, Sort: sort, Cover: cover})
		}
	}
	return d
}

func fill(b *testing.B, s store.Store, n int) {
	b.Helper()
	const each = 500
	for i := 0; i < n; i += each {
		var batch store.Batch
		for j := i; j < min(i+each, n); j++ {
			batch.Put = append(batch.Put, store.Write{Document: entity(j)})
		}
		if err := s.Commit(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
}

// clients makes b.RunParallel run about n goroutines.
func clients(b *testing.B, n int) {
	b.SetParallelism(max(1, n/runtime.GOMAXPROCS(0)))
	b.ReportAllocs()
	b.ResetTimer()
}

func benchmarkGet(b *testing.B, s store.Store, n int) {
	if n == 1 {
		fill(b, s, 1)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		key := store.Key{Kind: "entity", ID: id("prod", rand.IntN(n))}
		if _, err := s.Get(b.Context(), key); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkList(b *testing.B, s store.Store, n int, match func(string, string, []byte) bool) {
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		p, err := s.List(b.Context(), store.Query{
			Kind: "entity", Index: "by0", Partition: "ContainerProduct/Public", Limit: 20, Match: match,
			After: store.Position{Sort: id("name", rand.IntN(n)), ID: "x"},
		})
		if err != nil {
			b.Fatal(err)
		}
		if len(p.Documents) == 0 && p.More {
			b.Fatal("an empty page")
		}
	}
}

// start is the batch of a StartChangeSet: the change set, its token, the lock
// of an entity and the record of the call, with the account's bound.
func start(i int, body []byte) store.Batch {
	account := fmt.Sprint("account ", i%16, i/4000) // 16 at a time, and no bound is reached
	at := func(index, partition string) store.Entry {
		return store.Entry{Index: index, Partition: partition, Sort: id("2026", i)}
	}
	set := store.Document{
		Key: store.Key{Kind: "changeset", ID: id("cs", i)}, Summary: body[:300], Body: body[:1500], Due: time.Unix(1, 0),
		Index: []store.Entry{
			at("all", account), at("end", account), at("status", account+"/PREPARING"),
			at("entity", account+id("prod", i)), at("name", account+"name"), at("open", account),
		},
	}
	return store.Batch{
		Bounds: []store.Bound{{Kind: "changeset", Index: "open", Partition: account, Most: 250}},
		Put: []store.Write{
			{Document: set},
			{Document: store.Document{Key: store.Key{Kind: "token", ID: id("token", i)}, Body: body[:100]}},
			{Document: store.Document{Key: store.Key{Kind: "lock", ID: id("prod", i)}, Body: body[:100]}},
			{Document: store.Document{
				Key: store.Key{Kind: "event", ID: id("event", i)}, Body: body[:800],
				Index: []store.Entry{at("all", account), at("user", account+"user"), at("name", account+"StartChangeSet")},
			}},
		},
	}
}

func benchmarkStart(b *testing.B, s store.Store, n int) {
	var next atomic.Int64
	text := body(2000)
	clients(b, n)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := s.Commit(context.Background(), start(int(next.Add(1)), text)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

// benchmarkWork claims and finishes documents, 16 at a time.
func benchmarkWork(b *testing.B, s store.Store, n int) {
	text := body(2000)
	for i := 0; i < b.N; i += 200 {
		var batch store.Batch
		for j := i; j < min(i+200, b.N); j++ {
			batch = join(batch, start(j, text))
		}
		batch.Bounds = nil
		if err := s.Commit(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	var done atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	together(n, func(i int) {
		for done.Load() < int64(b.N) {
			docs, err := s.Claim(context.Background(), "changeset", 16, fmt.Sprint(i), time.Minute)
			if err != nil {
				b.Error(err)
				return
			}
			together(len(docs), func(j int) {
				d := docs[j]
				d.Due, d.Owner = time.Time{}, ""
				d.Index = []store.Entry{{Index: "end", Partition: "done", Sort: d.ID}}
				if err := s.Commit(context.Background(), store.Batch{Put: []store.Write{{Document: d, Was: d.Revision}}}); err != nil {
					b.Error(err)
				}
			})
			done.Add(int64(len(docs)))
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "finished/s")
}

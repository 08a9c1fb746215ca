package trail

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"
)

// buffer has the records that are not in the store yet: of reads and refused
// calls. Its size is bounded: when it is full, calls wait until what is in it
// is stored, and fail if that takes longer than they may.
type buffer struct {
	most int           // bytes
	full chan struct{} // says that there is a full pack
	kept sync.Pool     // of *[]byte: memory of groups that were packed

	mu    sync.Mutex          // guards what follows
	bytes int                 // of all records in it, until they are stored
	open  map[groupKey]*group // that take more records
	done  []*group            // that are full
	freed chan struct{}       // closed when bytes has become less; nil if nobody waits
}

// groupKey says which records may stand in one pack.
type groupKey struct {
	account string
	minute  int64
}

// group is a pack that is being filled: records with their lengths before them.
type group struct {
	account string
	records []byte
	count   int
}

// Bounds of a pack: what is reached first ends it.
const (
	packRecords = 2000
	packBytes   = 1 << 20
)

func newBuffer(most int) *buffer {
	return &buffer{most: most, full: make(chan struct{}, 1), open: map[groupKey]*group{}}
}

// add takes a record. It waits while there is no room.
func (b *buffer) add(ctx context.Context, account string, record []byte) error {
	key := groupKey{account, minuteOf(record)}
	b.mu.Lock()
	for b.bytes+len(record) > b.most && b.bytes > 0 {
		if b.freed == nil {
			b.freed = make(chan struct{})
		}
		freed := b.freed
		b.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return fmt.Errorf("the store takes no records: %w", context.Cause(ctx))
		}
		b.mu.Lock()
	}
	defer b.mu.Unlock()
	g := b.open[key]
	if g == nil {
		g = &group{account: account}
		if kept, ok := b.kept.Get().(*[]byte); ok {
			g.records = (*kept)[:0]
		}
		b.open[key] = g
	}
	b.bytes += g.add(record)
	if g.isFull() {
		delete(b.open, key)
		b.done = append(b.done, g)
		select {
		case b.full <- struct{}{}:
		default:
		}
	}
	return nil
}

// take empties it: of full groups, and of the others if whole is true. Their
// bytes count until free is told of them.
func (b *buffer) take(whole bool) []*group {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.done
	b.done = nil
	if whole {
		for _, g := range b.open {
			all = append(all, g)
		}
		clear(b.open)
	}
	return all
}

// free says that so many bytes of records are stored.
func (b *buffer) free(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes -= n
	if b.freed != nil {
		close(b.freed)
		b.freed = nil
	}
}

// add adds a record and returns by how many bytes the group has grown.
func (g *group) add(record []byte) int {
	before := len(g.records)
	g.records = binary.AppendUvarint(g.records, uint64(len(record)))
	g.records = append(g.records, record...)
	g.count++
	return len(g.records) - before
}

// reuse gives the memory of a packed group back.
func (b *buffer) reuse(g *group) {
	if cap(g.records) <= packBytes {
		b.kept.Put(&g.records)
	}
}

func (g *group) isFull() bool { return g.count >= packRecords || len(g.records) >= packBytes }

// minuteOf is the minute in which the call of a stored record came.
func minuteOf[T string | []byte](record T) int64 { return int64(timeIn(record) / 60_000) }

// timeIn is the time in the id of a stored record, in milliseconds.
func timeIn[T string | []byte](record T) (ms uint64) {
	if len(record) < 2+idSize {
		return 0
	}
	for i := range 6 {
		ms = ms<<8 | uint64(record[2+i])
	}
	return ms
}

// floods counts the throttled calls of a second, so that an account that calls
// without end can't fill the store with refusals.
type floods struct {
	mu     sync.Mutex
	second int64          // guarded by mu
	counts map[string]int // by account, in that second; guarded by mu
}

// mostThrottled is how many throttled calls of an account and second are
// recorded, on a node. The rest are counted by the metric of requests only.
const mostThrottled = 100

// drop says that a throttled call is not recorded.
func (f *floods) drop(account string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := now.Unix(); s != f.second || f.counts == nil {
		f.second, f.counts = s, map[string]int{}
	}
	f.counts[account]++
	return f.counts[account] > mostThrottled
}

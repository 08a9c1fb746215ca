package sqlite

import (
	"sync"

	"souk/storage/store"
)

// cache keeps documents that were read or written lately, up to a number of
// bytes. It agrees with the database, since all writes go through the writer
// of this process, which puts every document that it has committed here before
// it answers.
type cache struct {
	room int // bytes allowed

	mu   sync.Mutex // guards all below
	used int        // bytes taken
	docs map[store.Key]*cached
	// last is the ring of documents: last.next was used most lately,
	// last.prev will go first.
	last cached
	// loads are the keys that are being read from the database now.
	loads map[store.Key]*load
}

type cached struct {
	doc        store.Document
	size       int
	prev, next *cached
}

// load is a document on its way from the database to the cache. A write that
// comes between makes it stale: what was read may be older than the write.
type load struct {
	readers int
	stale   bool
}

// overhead is about what an entry costs beside its bytes.
const overhead = 350

func newCache(room int) *cache {
	c := &cache{room: room, docs: map[store.Key]*cached{}, loads: map[store.Key]*load{}}
	c.last.prev, c.last.next = &c.last, &c.last
	return c
}

func (c *cache) get(key store.Key) (store.Document, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.docs[key]
	if e == nil {
		return store.Document{}, false
	}
	if c.last.next != e {
		e.unlink()
		e.linkAfter(&c.last)
	}
	return e.doc, true
}

// begin must come before a read that is to fill the cache, end after it.
func (c *cache) begin(key store.Key) *load {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.loads[key]
	if l == nil {
		l = &load{}
		c.loads[key] = l
	}
	l.readers++
	return l
}

// end keeps the document that was read, if any, unless it has been written meanwhile.
func (c *cache) end(key store.Key, l *load, doc *store.Document) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.readers--
	if l.stale {
		return
	}
	if l.readers == 0 {
		delete(c.loads, key)
	}
	if doc == nil {
		return
	}
	// Another reader may have seen a later commit, whose write comes here next.
	if e := c.docs[key]; e == nil || e.doc.Revision < doc.Revision {
		c.set(*doc)
	}
}

// written replaces a document by what has been committed. It keeps a copy.
func (c *cache) written(doc store.Document) {
	if size := len(doc.Summary) + len(doc.Body); size <= c.room/16 {
		b := make([]byte, 0, size)
		b = append(b, doc.Summary...)
		b = append(b, doc.Body...)
		n := len(doc.Summary)
		doc.Summary, doc.Body = b[:n:n], b[n:]
	}
	doc.Index = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outdate(doc.Key)
	c.set(doc)
}

// removed forgets a document that has been deleted, or may have been written.
func (c *cache) removed(key store.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outdate(key)
	if e := c.docs[key]; e != nil {
		c.drop(e)
	}
}

// outdate keeps reads that are under way from filling the cache. mu is held.
func (c *cache) outdate(key store.Key) {
	if l := c.loads[key]; l != nil {
		l.stale = true
		delete(c.loads, key) // later reads begin a new one
	}
}

// set keeps a document. mu is held.
func (c *cache) set(doc store.Document) {
	size := len(doc.Kind) + len(doc.ID) + len(doc.Owner) + len(doc.Summary) + len(doc.Body) + overhead
	e := c.docs[doc.Key]
	if size > c.room/16 { // one document must not push out many
		if e != nil {
			c.drop(e)
		}
		return
	}
	if e == nil {
		e = &cached{}
		c.docs[doc.Key] = e
	} else {
		e.unlink()
		c.used -= e.size
	}
	e.doc, e.size = doc, size
	e.linkAfter(&c.last)
	c.used += size
	for c.used > c.room {
		c.drop(c.last.prev)
	}
}

// drop forgets a document. mu is held.
func (c *cache) drop(e *cached) {
	e.unlink()
	c.used -= e.size
	delete(c.docs, e.doc.Key)
}

func (e *cached) unlink() {
	e.prev.next, e.next.prev = e.next, e.prev
}

func (e *cached) linkAfter(at *cached) {
	e.prev, e.next = at, at.next
	at.next.prev = e
	at.next = e
}

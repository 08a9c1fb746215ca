package organization

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"souk/access/iam"
	"souk/storage/store"
)

// How long this node believes what it knows of an access key. Its own changes
// hold at once; those of other nodes are seen when the key is next looked at, so
// that a revoked key or policy holds everywhere within distrust, which is
// well below the five seconds that are promised.
const (
	trust    = 1500 * time.Millisecond // until then nobody asks the store
	distrust = 3 * time.Second         // until then one request asks and the others go on; then all ask
	missTime = time.Second             // a key that is not there is not looked for again
)

// Bounds of the cache, in keys. Requests with made-up keys cost no more memory.
const (
	maxFound  = 100_000
	maxMissed = 4096
)

// cache remembers access keys. The zero value is empty.
type cache struct {
	mu         sync.RWMutex // owns all below
	found      map[string]*credential
	missed     map[string]time.Time // until when the key is known not to be there
	generation uint64               // counts calls of forget and doubt: what was read before is not kept after
	doubts     atomic.Uint64        // counts calls of doubt
}

// credential is what the cache knows of an access key.
type credential struct {
	secret    string
	principal *iam.Principal
	sources   sources
	token     [sha256.Size]byte // of a session's token; the rest have neither it nor an end
	expires   time.Time
	checked   atomic.Int64  // when that was last true, in Unix nanoseconds
	doubts    atomic.Uint64 // cache.doubts when that was looked at
	checking  atomic.Bool   // one request is asking the store
}

// fresh says whether a credential may be believed for another age.
func (c *credential) fresh(now time.Time, doubts uint64, age time.Duration) bool {
	return c.doubts.Load() == doubts && now.Sub(time.Unix(0, c.checked.Load())) < age
}

// get returns what is known of a key: a credential, or missing, or neither.
func (c *cache) get(id string, now time.Time) (found *credential, missing bool, generation uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if found = c.found[id]; found != nil {
		return found, false, c.generation
	}
	until, ok := c.missed[id]
	return nil, ok && now.Before(until), c.generation
}

// put keeps what was read of a key since the generation; found nil is "not there".
func (c *cache) put(id string, found *credential, now time.Time, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation != generation {
		return // a change came between: it may be older than that
	}
	if found == nil {
		delete(c.found, id)
		if c.missed == nil || len(c.missed) >= maxMissed {
			c.missed = map[string]time.Time{}
		}
		c.missed[id] = now.Add(missTime)
		return
	}
	delete(c.missed, id)
	if c.found == nil {
		c.found = map[string]*credential{}
	}
	if len(c.found) >= maxFound && c.found[id] == nil {
		for any := range c.found {
			delete(c.found, any)
			break
		}
	}
	c.found[id] = found
}

// doubt makes every credential be looked at anew before it is used again, and
// drops what is being read meanwhile.
func (c *cache) doubt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.doubts.Add(1)
}

// forget drops keys, and what is being read of any key meanwhile.
func (c *cache) forget(ids ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	for _, id := range ids {
		delete(c.found, id)
		delete(c.missed, id)
	}
}

// Lookup returns the secret of an access key and whose it is. ok is false if
// there is no such key, or it is not active. A key or policy that was changed
// on this node is seen changed at once, one changed on another node within
// three seconds. The principal must not be changed. LookupSession finds those
// of sessions, too.
func (o *Organization) Lookup(ctx context.Context, accessKeyID string) (secret string, p *iam.Principal, ok bool, err error) {
	if isSession(accessKeyID) {
		return "", nil, false, nil // worth nothing without its token: see LookupSession
	}
	now := o.now()
	c, missing, generation := o.keys.get(accessKeyID, now)
	if missing {
		return "", nil, false, nil
	}
	doubts := o.keys.doubts.Load()
	if c != nil {
		if c.fresh(now, doubts, trust) || c.fresh(now, doubts, distrust) && !c.checking.CompareAndSwap(false, true) {
			return c.secret, c.principal, true, nil
		}
		defer c.checking.Store(false)
	} else if !keyIDs.MatchString(accessKeyID) {
		return "", nil, false, nil
	}
	c, err = o.load(ctx, accessKeyID, c)
	if err != nil {
		return "", nil, false, fmt.Errorf("looking for access key %s: %w", accessKeyID, err)
	}
	if c != nil {
		c.checked.Store(now.UnixNano()) // before the store was asked
		c.doubts.Store(doubts)
	}
	o.keys.put(accessKeyID, c, now, generation)
	if c == nil {
		return "", nil, false, nil
	}
	return c.secret, c.principal, true, nil
}

// load reads a key and all that its owner's permissions are made from: nil if
// there is no such active key, known itself if nothing has changed since.
func (o *Organization) load(ctx context.Context, id string, known *credential) (*credential, error) {
	if known != nil {
		same, err := o.unchanged(ctx, known.sources)
		if err != nil || same {
			return known, err
		}
	}
	var k keyDocument
	var c *credential
	for range 3 {
		revision, err := o.get(ctx, keyKey(id), &k)
		if errors.Is(err, store.ErrNotFound) || err == nil && !k.Active {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		c = &credential{sources: sources{{keyKey(id), revision}}}
		if k.User == "" {
			c.principal, err = o.rootPrincipal(ctx, k.Account, &c.sources)
		} else {
			c.principal, err = o.userPrincipal(ctx, k.Account, k.User, &c.sources)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		// Something was deleted between two reads: perhaps the user, perhaps
		// a policy that it no longer has.
		k, c = keyDocument{}, nil
	}
	if c == nil {
		return nil, nil
	}
	plain, err := o.ring.Open(sealPurpose, k.Sealed, []byte(id))
	if err != nil {
		return nil, fmt.Errorf("opening the secret of access key %s: %w", id, err)
	}
	c.secret = string(plain)
	return c, nil
}

// sellers remembers namespaces, which never change. The zero value is empty.
type sellers struct {
	mu    sync.RWMutex // owns names
	names map[string]string
}

func (s *sellers) get(account string) (string, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	name, ok := s.names[account]
	return name, ok
}

func (s *sellers) put(account, namespace string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names == nil || len(s.names) >= maxFound {
		s.names = map[string]string{}
	}
	s.names[account] = namespace
}

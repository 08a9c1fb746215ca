package session

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"sync"
	"time"
)

// TicketTime is how long a ticket is good for.
const TicketTime = 30 * time.Second

// Sealer encrypts tickets so that nobody reads or makes them; keyring.Ring is one.
type Sealer interface {
	Seal(purpose string, plain, bound []byte) []byte
	Open(purpose string, sealed, bound []byte) ([]byte, error)
}

const sealPurpose = "image builder session"

// Ticket is what is sealed in one.
type Ticket struct {
	ID                       string
	Account, Region, Builder string
	Kind                     Kind
	Program                  string // of a Command
	User                     string // of the machine; "" is root
	// Node has the machine, and is reached at URL by other nodes.
	Node, URL string
	Issued    time.Time
	Expires   time.Time
}

// seal makes the text of a ticket.
func (t Ticket) seal(keys Sealer) (string, error) {
	b, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(keys.Seal(sealPurpose, b, nil)), nil
}

// maxTicket bounds the text of a ticket, in bytes.
const maxTicket = 8 << 10

var errTicket = errors.New("it is no ticket")

// openTicket reads the text of a ticket, of which it says nothing yet whether it
// is still good.
func openTicket(keys Sealer, text string) (Ticket, error) {
	var t Ticket
	if text == "" || len(text) > maxTicket {
		return t, errTicket
	}
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return t, errTicket
	}
	plain, err := keys.Open(sealPurpose, sealed, nil)
	if err != nil {
		return t, errTicket
	}
	err = json.Unmarshal(plain, &t)
	if err != nil || t.ID == "" {
		return t, errTicket
	}
	return t, nil
}

// newTicketID is a name that no other ticket has.
func newTicketID() string { return rand.Text() }

// used remembers which tickets were used, as long as they would be good. The
// node that a ticket names is the only one that lets somebody in with it, so that
// its memory is enough: tickets from before its start are refused.
type used struct {
	since time.Time

	mu  sync.Mutex
	ids map[string]time.Time // and when they expire; guarded by mu
}

// use says whether a ticket is good now, and was not used before.
func (u *used) use(t Ticket, now time.Time) bool {
	if !now.Before(t.Expires) || t.Issued.Before(u.since) {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, end := range u.ids {
		if !now.Before(end) {
			delete(u.ids, id)
		}
	}
	if _, again := u.ids[t.ID]; again {
		return false
	}
	u.ids[t.ID] = t.Expires
	return true
}

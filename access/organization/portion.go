package organization

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"souk/storage/store"
)

// Portion asks for a part of a list of the organisation's own: accounts, units,
// requests. Its tokens are sealed.
type Portion struct {
	Max   int    // most entries; 0 is 20
	Token string // what the part before ended with; "" for the first
}

// ErrToken says that a page token was not given out for this list, or was altered.
var ErrToken = errors.New("the token of the page is not valid")

// pagePurpose is the keyring's purpose for page tokens.
const pagePurpose = "page of an organisation's list"

// scan is how many entries a page looks at that leaves some out.
const scan = 2000

// portion returns a page of an index and the token of the next page, "" at the
// end. Where q.Match leaves entries out a page may be short and have a token.
func portion[T any](ctx context.Context, o *Organization, q store.Query, p Portion) (page []T, next string, err error) {
	q.Limit, q.Scan = p.Max, scan
	if q.Limit <= 0 {
		q.Limit = 20
	}
	bound := []byte(q.Kind + "\x00" + q.Index + "\x00" + q.Partition)
	if p.Token != "" {
		q.After, err = o.position(p.Token, bound)
		if err != nil {
			return nil, "", err
		}
	}
	found, err := o.store.List(ctx, q)
	if err != nil {
		return nil, "", fmt.Errorf("listing documents of kind %s: %w", q.Kind, err)
	}
	page = make([]T, len(found.Documents))
	for i, d := range found.Documents {
		if err := json.Unmarshal(d.Summary, &page[i]); err != nil {
			return nil, "", fmt.Errorf("reading the summary of %s %s: %w", d.Kind, d.ID, err)
		}
	}
	if found.More {
		next = o.token(found.Next, bound)
	}
	return page, next, nil
}

// token seals a position; bound is what it is good for.
func (o *Organization) token(p store.Position, bound []byte) string {
	return base64.RawURLEncoding.EncodeToString(o.ring.Seal(pagePurpose, encode([2]string{p.Sort, p.ID}), bound))
}

// position opens a page token, or is ErrToken.
func (o *Organization) position(token string, bound []byte) (store.Position, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return store.Position{}, ErrToken
	}
	plain, err := o.ring.Open(pagePurpose, sealed, bound)
	if err != nil {
		return store.Position{}, ErrToken
	}
	var p [2]string
	if err := json.Unmarshal(plain, &p); err != nil {
		return store.Position{}, ErrToken
	}
	return store.Position{Sort: p[0], ID: p[1]}, nil
}

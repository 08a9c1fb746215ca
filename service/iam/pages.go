package iam

import (
	"encoding/base64"
	"slices"

	"souk/access/organization"
	"souk/gateway"
	"souk/gateway/apierror"
)

// markerPurpose is the keyring's purpose for markers.
const markerPurpose = "marker of an IAM list"

// request is what the members Marker, MaxItems and PathPrefix of an input ask
// for. Name tells a list from all others of an account.
type request struct {
	name   string
	marker *string
	max    *int
	prefix *string
}

// page opens the marker of a request.
func (s *service) page(c *gateway.Caller, r request) (organization.Page, error) {
	p := organization.Page{PathPrefix: value(r.prefix), Limit: 100}
	if r.max != nil {
		p.Limit = *r.max
	}
	if r.marker == nil {
		return p, nil
	}
	sealed, err := base64.RawURLEncoding.DecodeString(*r.marker)
	if err == nil {
		var plain []byte
		plain, err = s.keyring.Open(markerPurpose, sealed, r.bound(c))
		p.After = string(plain)
	}
	if err != nil {
		return p, apierror.New("ValidationError", "Invalid Marker: %s", "it was not given out for this list.")
	}
	return p, nil
}

// bound ties a marker to the list and the account that it was given out for.
func (r request) bound(c *gateway.Caller) []byte {
	return []byte(c.Principal.Account + "\x00" + r.name + "\x00" + value(r.prefix))
}

// Truncation says at the end of a list whether there is more.
type Truncation struct {
	IsTruncated bool
	Marker      string `xml:",omitempty"`
}

// truncation seals where the next page begins; "" is the end of the list.
func (s *service) truncation(c *gateway.Caller, r request, next string) Truncation {
	if next == "" {
		return Truncation{}
	}
	sealed := s.keyring.Seal(markerPurpose, []byte(next), r.bound(c))
	return Truncation{IsTruncated: true, Marker: base64.RawURLEncoding.EncodeToString(sealed)}
}

// cut is a page of items that are few, in the order of their keys.
func cut[T any](items []T, key func(T) string, p organization.Page) organization.List[T] {
	start := 0
	if p.After != "" {
		i := slices.IndexFunc(items, func(item T) bool { return key(item) > p.After })
		if i < 0 {
			i = len(items)
		}
		start = i
	}
	items = items[start:]
	if len(items) <= p.Limit {
		return organization.List[T]{Items: items}
	}
	return organization.List[T]{Items: items[:p.Limit], Next: key(items[p.Limit-1])}
}

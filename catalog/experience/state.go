package experience

import (
	"slices"

	"souk/catalog/change"
)

// Experience is the state of an Experience@1.0, and that of its parts.
type Experience struct {
	Name        string
	Description string `json:",omitempty"`
	Enabled     bool   `json:",omitempty"` // "By default, a new Experience entity is disabled"
	Archived    bool   `json:",omitempty"` // by RestrictExperience; never with Enabled

	Policy   *Policy   `json:",omitempty"` // nil: "allows all products"
	Branding *Branding `json:",omitempty"` // nil: the default look
	Audience *Audience `json:",omitempty"` // nil: nobody was ever associated
}

// Policy is the state of a ProcurementPolicy@1.0. A product is in one of its
// lists at most: what is allowed is not denied any more, and the reverse.
type Policy struct {
	ID          string
	Name        string     `json:",omitempty"`
	Description string     `json:",omitempty"`
	Allow       []Products `json:",omitempty"`
	Deny        []Products `json:",omitempty"`
	// NoRequests: users can't ask for products that they may not obtain.
	NoRequests bool `json:",omitempty"`
}

// Products are products that were allowed or denied together.
type Products struct {
	Ids   []string
	Notes string `json:",omitempty"` // "to record why a decision [...] was made"
}

// Branding is the state of a BrandingSettings@1.0.
type Branding struct {
	ID          string
	Name        string
	Description string `json:",omitempty"`
	Title       string `json:",omitempty"` // "" is the default
	Information string `json:",omitempty"`
	ThemeColor  string `json:",omitempty"` // "" is the default
	LogoUrl     string `json:",omitempty"` // of our own copy; "" shows no logo
}

// Audience is the state of an Audience@1.0: who is governed by the experience.
type Audience struct {
	ID          string
	Experience  string // id
	Name        string `json:",omitempty"`
	Description string `json:",omitempty"`
	// Principals are accounts (12 digits), organisational units (ou-...) and
	// organisations (o-...), in the order in which they were associated.
	Principals []string `json:",omitempty"`
}

// What lists show as the Visibility of an experience: who sees it is the
// organisation, until it is archived.
const (
	visible  = "Limited"
	archived = "Restricted"
)

func (x *Experience) listing() change.Listing {
	if x.Archived {
		return change.Listing{Name: x.Name, Visibility: archived}
	}
	return change.Listing{Name: x.Name, Visibility: visible}
}

func (x *Experience) parts() []change.Part {
	var parts []change.Part
	if x.Policy != nil {
		parts = append(parts, change.Part{Type: procurementPolicy, ID: x.Policy.ID, State: x.Policy})
	}
	if x.Branding != nil {
		parts = append(parts, change.Part{Type: brandingSettings, ID: x.Branding.ID, State: x.Branding})
	}
	if x.Audience != nil {
		parts = append(parts, change.Part{Type: audience, ID: x.Audience.ID, State: x.Audience})
	}
	return parts
}

// has says whether a principal is associated with the experience.
func (x *Experience) has(principal string) bool {
	return x.Audience != nil && slices.Contains(x.Audience.Principals, principal)
}

// without returns lists without some products, and without lists that become empty.
func without(lists []Products, ids []string) []Products {
	var left []Products
	for _, p := range lists {
		p.Ids = slices.DeleteFunc(slices.Clone(p.Ids), func(id string) bool { return slices.Contains(ids, id) })
		if len(p.Ids) > 0 {
			left = append(left, p)
		}
	}
	return left
}

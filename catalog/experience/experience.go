// Package experience is Experience@1.0 and the entities that it consists of:
// ProcurementPolicy@1.0, BrandingSettings@1.0 and Audience@1.0. An experience is
// a private marketplace: which products the accounts of its audience may obtain,
// and how it looks to them. One file for each change type, named as the page
// names it; what an experience is stands in state.go, what DescribeEntity shows
// in describe.go, which experience governs an account in governs.go.
//
// All change types are those of the experience; its parts have ids and revisions
// of their own and change only with it. Every account of the organisation sees
// and changes experiences, whoever made them. Nothing here asks whether a
// product exists: an administrator may deny what is yet to come.
//
// AWS Marketplace Catalog API Reference, "Working with a private marketplace".
package experience

import "souk/catalog/change"

// Type is the entity type of experiences, with version.
const Type = "Experience@1.0"

// The names of the entity types, without version.
const (
	experience        = "Experience"
	procurementPolicy = "ProcurementPolicy"
	brandingSettings  = "BrandingSettings"
	audience          = "Audience"
)

// Principals is the kind of the unique names by which a principal is in one
// experience's audience only. What is written down is the experience's id.
const Principals = "principal"

// EntityTypes declares Experience@1.0 and its parts. Overlaps is nil: "For [...]
// private marketplaces, you can only have a single request [...] at a time."
func EntityTypes() []*change.EntityType {
	return []*change.EntityType{
		{
			Name:    experience,
			Version: "1.0",
			Types: []change.Type{
				change.Of[Experience, CreateExperience](change.Type{Name: "CreateExperience", Creates: true}),
				change.Of[Experience, CreateProcurementPolicy](change.Type{Name: "CreateProcurementPolicy"}),
				change.Of[Experience, UpdateProcurementPolicy](change.Type{Name: "UpdateProcurementPolicy", After: []string{"CreateProcurementPolicy"}}),
				change.Of[Experience, AllowProductProcurement](change.Type{Name: "AllowProductProcurement", After: []string{"CreateProcurementPolicy"}}),
				change.Of[Experience, DenyProductProcurement](change.Type{Name: "DenyProductProcurement", After: []string{"CreateProcurementPolicy", "AllowProductProcurement"}}),
				change.Of[Experience, CreateBrandingSettings](change.Type{Name: "CreateBrandingSettings"}),
				change.Of[Experience, UpdateBrandingSettings](change.Type{Name: "UpdateBrandingSettings", After: []string{"CreateBrandingSettings"}}),
				change.Of[Experience, DisassociateAudience](change.Type{Name: "DisassociateAudience"}),
				change.Of[Experience, AssociateAudience](change.Type{Name: "AssociateAudience", After: []string{"DisassociateAudience"}, AfterAll: []string{"DisassociateAudience"}}),
				change.Of[Experience, ReviveExperience](change.Type{Name: "ReviveExperience"}),
				change.Of[Experience, UpdateExperience](change.Type{Name: "UpdateExperience", After: []string{"ReviveExperience"}}),
				change.Of[Experience, RestrictExperience](change.Type{Name: "RestrictExperience", After: []string{"UpdateExperience"}}),
			},
			New:          func() any { return &Experience{} },
			NewID:        func(ids *change.IDs) string { return ids.Entity("exp-") },
			List:         func(state any) change.Listing { return state.(*Experience).listing() },
			Visibilities: []string{visible, archived},
			Shared:       true,
			Parts:        func(state any) []change.Part { return state.(*Experience).parts() },
			NotJSON:      "Document not valid JSON format",
			Describe:     func(state any, _ change.Entity) any { return state.(*Experience).describe() },
		},
		part(procurementPolicy, func(p *Policy) string { return p.Name }, func(p *Policy) any { return p.describe() }),
		part(brandingSettings, func(b *Branding) string { return b.Name }, func(b *Branding) any { return b.describe() }),
		part(audience, func(a *Audience) string { return a.Name }, func(a *Audience) any { return a.describe() }),
	}
}

// part declares the entity type of a part.
func part[P any](name string, title func(*P) string, describe func(*P) any) *change.EntityType {
	return &change.EntityType{
		Name:         name,
		Version:      "1.0",
		New:          func() any { return new(P) },
		NewID:        func(ids *change.IDs) string { return ids.Entity("part-") }, // asked for by nobody: nothing creates a part alone
		List:         func(state any) change.Listing { return change.Listing{Name: title(state.(*P)), Visibility: visible} },
		Visibilities: []string{visible},
		Shared:       true,
		Describe:     func(state any, _ change.Entity) any { return describe(state.(*P)) },
	}
}

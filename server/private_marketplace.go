package server

import (
	"context"
	"fmt"

	"souk/access/organization"
	"souk/catalog/change"
	"souk/catalog/changeset"
	"souk/catalog/experience"
)

// members is the organisation as change types see it.
type members struct{ organization *organization.Organization }

var _ change.Organization = members{}

// Management implements change.Organization.
func (m members) Management(ctx context.Context) (string, error) {
	info, err := m.organization.Info(ctx)
	return info.Management, err
}

// Has implements change.Organization.
func (m members) Has(ctx context.Context, principal string) (bool, error) {
	return m.organization.Contains(ctx, principal)
}

// private says whether the private marketplace that governs an account lets it
// obtain a product, and why; it is what procurement asks.
func (m *market) private(ctx context.Context, account, product string) (ok bool, reason string, err error) {
	g, err := m.governs(ctx, account)
	if err != nil {
		return false, "", err
	}
	ok, reason = g.Allows(product)
	return ok, reason, nil
}

// governs finds the experience that governs an account.
func (m *market) governs(ctx context.Context, account string) (experience.Governing, error) {
	info, err := m.organization.Info(ctx)
	if err != nil {
		return experience.Governing{}, err
	}
	path, err := m.organization.Path(ctx, account)
	if err != nil {
		return experience.Governing{}, err
	}
	return experience.Governs(ctx, experiences{m.engine}, path, info.Management)
}

// experiences is where experiences are read: in the engine.
type experiences struct{ *changeset.Engine }

var _ experience.Source = experiences{}

// Experiences implements experience.Source.
func (e experiences) Experiences(ctx context.Context, ids []string) (map[string]*experience.Experience, error) {
	found, err := e.Entities(ctx, ids)
	if err != nil {
		return nil, err
	}
	states := make(map[string]*experience.Experience, len(found))
	for id, entity := range found {
		_, state, err := entity.State()
		if err != nil {
			return nil, err
		}
		if x, ok := state.(*experience.Experience); ok {
			states[id] = x
		}
	}
	return states, nil
}

// verifyExperiences says what is wrong with private marketplaces: principals that
// are not theirs alone, logos that are not there.
func (m *market) verifyExperiences(ctx context.Context) (findings []string, err error) {
	accounts, err := m.organization.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	for _, account := range accounts {
		err := m.eachOf(ctx, account.ID, "Experience", func(e change.Entity, state any) error {
			wrong, err := m.verifyExperience(ctx, e, state.(*experience.Experience))
			for _, w := range wrong {
				findings = append(findings, "entity "+e.ID+": "+w)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return findings, nil
}

func (m *market) verifyExperience(ctx context.Context, e change.Entity, x *experience.Experience) (wrong []string, err error) {
	if x.Audience != nil && len(x.Audience.Principals) > 0 {
		claimed, err := m.engine.Claimed(ctx, experience.Principals, x.Audience.Principals)
		if err != nil {
			return nil, err
		}
		for _, p := range x.Audience.Principals {
			if string(claimed[p]) != e.ID {
				wrong = append(wrong, fmt.Sprintf("principal %s is in its audience and associated with %q", p, claimed[p]))
			}
		}
	}
	if x.Branding != nil && x.Branding.LogoUrl != "" {
		return m.verifyLogo(wrong, x.Branding.LogoUrl)
	}
	return wrong, nil
}

package server

import (
	"context"

	"souk/access/trail"
)

// newTrail makes what records calls.
func (m *market) newTrail(config Config, node string) (*trail.Trail, error) {
	return trail.New(trail.Config{
		Store: m.store, Owner: node, Tokens: m.ring, Log: config.Log,
		Accounts: func(ctx context.Context) ([]string, error) {
			accounts, err := m.organization.Accounts(ctx)
			ids := make([]string, len(accounts))
			for i := range accounts {
				ids[i] = accounts[i].ID
			}
			return ids, err
		},
		Delivery: trail.Delivery{Dir: config.TrailDelivery, Every: config.TrailInterval, Size: config.TrailSize},
	})
}

package server

import (
	"context"

	"souk/access/quota"
	"souk/server/control"
	"souk/storage/store"
)

// newQuotas makes what operators change of rates and limits, as it is stored.
func (m *market) newQuotas(ctx context.Context, config Config) error {
	m.operations = map[string]bool{}
	m.quotas = quota.NewSettings(m.store, func(name string) bool { return m.operations[name] }, config.Log)
	return m.quotas.Load(ctx)
}

// sharedBuckets is where the request rates are counted: in the database, where
// other servers can have the same, else here.
func (m *market) sharedBuckets() store.Store {
	if m.database == "sqlite" {
		return nil
	}
	return m.store
}

// bound is how many an account may have of what a limit is about: setting, where
// operators have said nothing else; no bound (-1) where quotas are off.
func (m *market) bound(config Config, limit string, setting int) func(account string) int {
	if config.Quota == "off" {
		return func(string) int { return -1 }
	}
	return func(account string) int { return m.quotas.Limit(account, limit, setting) }
}

// offerQuotas offers what souk quota asks for. url is the market's own.
func (m *market) offerQuotas(d *control.Door, url string) {
	// Where no server runs, the operations were not needed until now.
	know := func() error {
		if len(m.operations) > 0 {
			return nil
		}
		_, err := m.services(url)
		return err
	}
	control.Offer(d, "quota/list", func(ctx context.Context, _ struct{}) (control.Quotas, error) {
		changed, err := m.quotas.List(ctx)
		return control.Quotas{Defaults: quota.Defaults(), Changed: changed}, err
	})
	control.Offer(d, "quota/set", func(ctx context.Context, in quota.Setting) (struct{}, error) {
		err := know()
		if err == nil && in.Account != quota.AllAccounts {
			_, err = m.organization.Account(ctx, in.Account)
		}
		if err == nil {
			err = m.quotas.Set(ctx, in)
		}
		return struct{}{}, err
	})
	control.Offer(d, "quota/reset", func(ctx context.Context, in quota.Setting) (struct{}, error) {
		err := know()
		if err == nil {
			err = m.quotas.Reset(ctx, in.Account, in.Name)
		}
		return struct{}{}, err
	})
}

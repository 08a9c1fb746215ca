package server

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"souk/access/keyring"
	"souk/egress/notify"
	"souk/server/control"
	"souk/storage/store"
)

// keyInterval is how often a server looks whether its key file has changed, and
// which key seals.
const keyInterval = 5 * time.Second

// watchKeys follows the key file and the choice of the key that seals, until
// ctx ends. Problems are logged when they begin and when they end.
func (m *market) watchKeys(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(keyInterval)
	defer tick.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		before := m.ring.Fingerprint()
		changed, err := m.ring.Look()
		if err == nil {
			_, err = m.organization.Guard(ctx)
		}
		now := ""
		if err != nil {
			now = err.Error()
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case now != last && err != nil:
			log.Error("the keys that seal can't be followed", "error", err)
		case now != last:
			log.Info("the keys that seal are followed again")
		}
		last = now
		if changed {
			log.Info("the key file was read again", "keys", len(m.ring.Keys()))
		}
		if after := m.ring.Fingerprint(); after != before {
			log.Info("another key seals from now on", "key", after[:8])
		}
	}
}

// offerKeyring offers what souk keyring asks for.
func (m *market) offerKeyring(d *control.Door) {
	control.Offer(d, "keyring/list", func(ctx context.Context, _ struct{}) (control.Keyring, error) {
		needs, broken, err := m.rotation.Needs(ctx)
		return control.Keyring{File: m.keyFile, Keys: needs, Broken: len(broken)}, err
	})
	control.Offer(d, "keyring/add", func(context.Context, struct{}) (keyring.Key, error) {
		return m.rotation.AddKey()
	})
	control.Offer(d, "keyring/use", func(ctx context.Context, in control.UseKey) (keyring.Key, error) {
		if m.database != "sqlite" && !in.Yes {
			// Nobody knows what other nodes there are, and what they have.
			return keyring.Key{}, fmt.Errorf("nodes that lack key %s fail from then on: see that every node of this market has it in its key file (souk keyring list --data DIR on each), then give --yes", in.ID)
		}
		return m.rotation.Use(ctx, in.ID)
	})
	control.Offer(d, "keyring/reseal", m.rotation.Reseal)
	control.Offer(d, "keyring/drop", func(ctx context.Context, in control.DropKey) (string, error) {
		return m.rotation.Drop(ctx, in.ID, time.Now(), in.Force)
	})
}

// topicsAtRest is what topics have sealed: the key that signs messages.
func topicsAtRest() keyring.Rest {
	t := notify.SealedAtRest()
	return keyring.Rest{
		Name: t.Purpose, Kind: t.Kind, IDs: []string{t.ID},
		Sealed: func(d store.Document) (*keyring.Sealed, error) {
			text, err := t.Text(d)
			if err != nil {
				return nil, err
			}
			return &keyring.Sealed{
				Purpose: t.Purpose, Text: text,
				With: func(text []byte) (store.Document, error) { return t.With(d, text) },
			}, nil
		},
	}
}

// registryKeys are the ring with a secret of upload sessions that stays when
// keys change: else uploads that go from one node to another would fail until
// all had been started again.
type registryKeys struct {
	*keyring.Ring
	uploads []byte
}

// uploadSecret is the registry's purpose for that secret.
const uploadSecret = "registry-uploads"

// MAC implements registry.Keyring.
func (k registryKeys) MAC(purpose string, data []byte) []byte {
	if purpose == uploadSecret && len(data) == 0 {
		return k.uploads
	}
	return k.Ring.MAC(purpose, data)
}

// registryKeys makes them.
func (m *market) registryKeys(ctx context.Context) (registryKeys, error) {
	secret, err := m.rotation.Secret(ctx, uploadSecret)
	return registryKeys{Ring: m.ring, uploads: secret}, err
}

package server

import (
	"testing"

	"souk/artifact/registry"
	"souk/storage/store"
)

// TestASweepKeepsWhatAChangeSetUnderWayHasFound: no version names it yet.
func TestASweepKeepsWhatAChangeSetUnderWayHasFound(t *testing.T) {
	t.Parallel()
	s, _ := start(t, Config{})
	m := s.market
	const account, product, digest = "123456789012", "prod-coming", "sha256:coming"
	err := m.store.Commit(t.Context(), store.Batch{Put: []store.Write{{Document: store.Document{
		Key:   store.Key{Kind: "changeset", ID: "1"},
		Body:  []byte(`{"Account":"` + account + `","Status":"APPLYING","Changes":[{"EntityID":"` + product + `","Found":{"uri":"` + digest + `"}}]}`),
		Index: []store.Entry{{Index: "open", Partition: account}},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	open, err := m.underWay(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		repository, digest string
		want               bool
	}{
		{registry.Published(product, "acme/web"), digest, true},
		{registry.Published(product, "acme/web"), "sha256:left", false},
		{registry.Published("prod-other", "acme/web"), digest, false},
		{"acme/web", "sha256:left", true}, // not ours to judge
	} {
		keep, err := m.keeps(t.Context(), open, c.repository, c.digest)
		if err != nil || keep != c.want {
			t.Errorf("%s@%s: kept %t, %v, want %t", c.repository, c.digest, keep, err, c.want)
		}
	}
}

// Package imagestest gives tests of rooms that are built on machine images what
// those need below them: images in a real registry, and files beside them, on one
// server and in one store. It is for tests alone. What machine images do is tested
// in their own room.
package imagestest

import (
	"context"
	"path/filepath"
	"testing"

	"souk/artifact/images"
	"souk/artifact/registry/registrytest"
	"souk/catalog/change"
	"souk/storage/blob"
	"souk/storage/store"
)

// House is machine images with all that they stand on.
type House struct {
	Images   *images.Images
	Registry *registrytest.Served
	Blobs    *blob.Store
	Files    string // folder of Blobs
	tb       testing.TB
}

// Open makes a house in a store, until the end of the test.
func Open(tb testing.TB, s store.Store) *House {
	tb.Helper()
	h := &House{Registry: registrytest.Serve(tb, s, nil), Files: filepath.Join(tb.TempDir(), "files"), tb: tb}
	var err error
	h.Images, err = images.New(images.Config{Store: s, Registry: h.Registry.Registry})
	if err != nil {
		tb.Fatal(err)
	}
	h.Blobs, err = blob.New(blob.Config{Root: h.Files, PublicURL: h.Registry.URL, Keyring: h.Registry.Keys})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := h.Blobs.Close(); err != nil {
			tb.Errorf("closing the files: %v", err)
		}
	})
	h.Registry.Mux.Handle("/blobs/", h.Blobs.Handler())
	return h
}

// Seller is an account with its namespace.
func Seller(account string) change.Seller {
	return change.Seller{Account: account, Namespace: "ns-" + account}
}

// Register pushes an image of one layer, a tar archive, and registers it.
func (h *House) Register(account, name string, layer []byte, edit ...func(*images.Registration)) images.AMI {
	h.tb.Helper()
	repository, err := h.Images.Repository(h.tb.Context(), Seller(account))
	if err != nil {
		h.tb.Fatal(err)
	}
	r := images.Registration{Account: account, Name: name, Repository: repository, Digest: h.Registry.Push(h.tb, account, repository+":latest", layer)}
	for _, e := range edit {
		e(&r)
	}
	a, err := h.Images.Register(h.tb.Context(), r)
	if err != nil {
		h.tb.Fatal(err)
	}
	return a
}

// Derive makes an image for its account, as images.Derive does.
func (h *House) Derive(ctx context.Context, d images.Derivation) (images.AMI, store.Batch, error) {
	return h.Images.Derive(ctx, Seller(d.Account), d)
}

// AppStreamRepository is that of an account, as images.AppStreamRepository has it.
func (h *House) AppStreamRepository(ctx context.Context, account string) (string, error) {
	return h.Images.AppStreamRepository(ctx, Seller(account))
}

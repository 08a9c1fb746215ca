package server

import (
	"context"
	"errors"
	"fmt"

	"souk/artifact/images"
	"souk/artifact/scan"
	"souk/artifact/scan/advisory"
	"souk/artifact/scan/assessment"
	"souk/catalog/change"
)

// scanning is what a market scans images with.
type scanning struct {
	advisories  *advisory.Index
	assessments *assessment.Store
	scanner     *scan.Scanner
}

// joinScanning makes it. The registry, images and blobs are there already.
func (m *market) joinScanning(config Config) error {
	policy := scan.DefaultPolicy()
	if config.ScanPolicy != "" {
		p, err := scan.ReadPolicy(config.ScanPolicy)
		if err != nil {
			return &SettingError{Setting: "scan-policy", Text: err.Error()}
		}
		policy = p
	}
	m.advisories = advisory.New(m.store, nil)
	m.assessments = assessment.New(assessment.Config{Store: m.store, Keyring: m.ring, Forget: scan.Forget(m.blobs)})
	m.scanner = scan.New(scan.Config{
		Store: m.store, Images: scanned{m}, Advisories: m.advisories, Assessments: m.assessments, Reports: m.blobs,
		Policy: policy, Log: config.Log,
	})
	return nil
}

// scanned opens the images of the registry for scans. Layers are known by the
// digest of their bytes, which the registry has checked; what an image's config
// says of them is its seller's word.
type scanned struct{ *market }

// AMI implements scan.Images.
func (m scanned) AMI(ctx context.Context, a change.AMI) (scan.Image, error) {
	record, err := m.images.Find(ctx, a.Owner, a.ID)
	if errors.Is(err, images.ErrNotFound) {
		return scan.Image{}, change.ErrAMINotFound
	}
	if err != nil {
		return scan.Image{}, err
	}
	all, err := m.open(ctx, record.Repository, a.Digest)
	if errors.Is(err, images.ErrNoImage) {
		return scan.Image{}, change.ErrAMIUnreadable
	}
	if err != nil {
		return scan.Image{}, err
	}
	if len(all) != 1 {
		return scan.Image{}, fmt.Errorf("%w: it is an index of %d images", scan.ErrBadImage, len(all))
	}
	return all[0], nil
}

// Container implements scan.Images.
func (m scanned) Container(ctx context.Context, _ change.Seller, uri, digest string) ([]scan.Image, error) {
	ref, ok := m.registry.Parse(uri)
	if !ok {
		return nil, change.ErrImageNotFound
	}
	all, err := m.open(ctx, ref.Repository, digest)
	if errors.Is(err, images.ErrNoImage) {
		return nil, change.ErrImageNotFound
	}
	return all, err
}

func (m scanned) open(ctx context.Context, repository, digest string) ([]scan.Image, error) {
	found, err := m.images.Images(ctx, repository, digest)
	if errors.Is(err, images.ErrBadImage) {
		return nil, fmt.Errorf("%w: %w", scan.ErrBadImage, err)
	}
	if err != nil {
		return nil, err
	}
	var all []scan.Image
	for _, f := range found {
		i := scan.Image{Digest: f.Digest, User: f.Config.Config.User, Env: f.Config.Config.Env}
		if len(found) > 1 {
			i.Platform = f.OS + "/" + f.Architecture
		}
		for _, l := range f.Layers {
			i.Layers = append(i.Layers, scan.Layer{Digest: l.Digest, Open: l.Open})
		}
		all = append(all, i)
	}
	return all, nil
}

package images

import (
	"context"
	"errors"
	"fmt"
	"io"

	"souk/catalog/change"
)

// AMIs is the room as change types see it.
func (m *Images) AMIs() change.AMIs { return amis{m} }

type amis struct{ *Images }

// Find implements change.AMIs. An AMI can be read if all its layers are in the
// registry with the size that they had; their content was read before it was
// available. One that is pending or has failed can't be read.
func (m amis) Find(ctx context.Context, s change.Seller, id string) (change.AMI, error) {
	a, err := m.Images.Find(ctx, s.Account, id)
	if errors.Is(err, ErrNotFound) {
		return change.AMI{}, fmt.Errorf("%w: %s", change.ErrAMINotFound, id)
	}
	if errors.Is(err, ErrDenied) {
		return change.AMI{}, fmt.Errorf("%w: %v", change.ErrAMIUnreadable, err)
	}
	if err != nil {
		return change.AMI{}, err
	}
	if a.State != StateAvailable {
		return change.AMI{}, fmt.Errorf("%w: %s is %s", change.ErrAMIUnreadable, id, a.State)
	}
	err = m.readable(ctx, a.Content().Place)
	if errors.Is(err, ErrNoImage) || errors.Is(err, ErrBadImage) {
		return change.AMI{}, fmt.Errorf("%w: %s: %v", change.ErrAMIUnreadable, id, err)
	}
	if err != nil {
		return change.AMI{}, fmt.Errorf("looking at the image of %s: %w", id, err)
	}
	return change.AMI{
		ID: a.ID, Name: a.Name, Owner: a.Owner, Digest: a.Digest,
		Architecture: a.Architecture, VirtualizationType: a.VirtualizationType, RootDeviceType: a.RootDeviceType,
		EnaSupport: a.EnaSupport, Platform: a.Platform, ProductCodes: a.ProductCodes,
	}, nil
}

// readable looks whether the layers of an image are there.
func (m amis) readable(ctx context.Context, p Place) error {
	layers, err := m.Layers(ctx, p.Repository, p.Digest)
	if err != nil {
		return err
	}
	for _, l := range layers {
		blob, err := m.config.Registry.Blob(ctx, p.Repository, l.Digest)
		if err != nil {
			return noImage(err)
		}
		size, err := blob.Seek(0, io.SeekEnd)
		blob.Close()
		if err != nil {
			return fmt.Errorf("measuring layer %s: %w", l.Digest, err)
		}
		if size != l.Size {
			return fmt.Errorf("%w: layer %s has %d bytes, the manifest says %d", ErrBadImage, l.Digest, size, l.Size)
		}
	}
	return nil
}

// Publish implements change.AMIs: the image is linked into PublishedRepository,
// which only Souk writes. One that is there already needs its record no more.
func (m amis) Publish(ctx context.Context, productID string, a change.AMI) error {
	record, _, err := m.read(ctx, a.ID)
	if errors.Is(err, ErrNotFound) {
		there, err := m.config.Registry.HasPublished(ctx, productID, Repository, a.Digest)
		if err == nil && !there {
			err = change.ErrAMINotFound
		}
		if err != nil {
			return fmt.Errorf("publishing %s for %s: %w", a.ID, productID, err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("publishing %s for %s: %w", a.ID, productID, err)
	}
	err = m.config.Registry.Images().Publish(ctx, productID, change.ImageRef{Repository: record.Repository, Digest: a.Digest}, a.Digest)
	if errors.Is(err, change.ErrImageNotFound) {
		return fmt.Errorf("publishing %s for %s: %w: %v", a.ID, productID, change.ErrAMIUnreadable, err)
	}
	if err != nil {
		return fmt.Errorf("publishing %s for %s: %w", a.ID, productID, err)
	}
	return nil
}

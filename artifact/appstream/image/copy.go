package image

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"souk/artifact/appstream/resource"
	"souk/gateway/apierror"
	"souk/storage/blob"
	"souk/storage/store"
)

// CopyRequest asks for a copy of an image of the account's own.
type CopyRequest struct {
	Account, Region string
	Source          string
	Name            string // of the copy
	To              string // region of the copy
	Description     string // "": that of the source

	// Begins, if set, is told of the copy before it is stored.
	Begins func(i Image)
}

// copyTries is how often a copy is begun whose source is changed in the same moment.
const copyTries = 10

// Copy begins a copy, in another region or in the same. It has the source's bytes,
// words and applications, and neither its tags nor whom it is shared with.
//
// AppStream API reference, "CopyImage". The model binds no
// ConcurrentModificationException to it: a source that changes all the time is not
// available.
func (r *Images) Copy(ctx context.Context, q CopyRequest) (Image, error) {
	for range copyTries {
		i, err := r.copy(ctx, q)
		if !errors.Is(err, errChanged) {
			return i, err
		}
		// Is it copied still?
	}
	return Image{}, apierror.New("ResourceNotAvailableException", "The image %s is being changed by other requests. Try again later.", q.Source)
}

// errChanged: the source of a copy was changed in the moment in which it was copied.
var errChanged = errors.New("the source was changed meanwhile")

// copy begins a copy once. errChanged.
func (r *Images) copy(ctx context.Context, q CopyRequest) (Image, error) {
	if !resource.IsRegion(q.To) {
		return Image{}, apierror.New("ValidationException", "The destination region '%s' is not valid.", q.To)
	}
	source, err := r.own(ctx, q.Account, q.Region, q.Source)
	if err != nil {
		return Image{}, err
	}
	if source.Account == "" {
		return Image{}, notFound(q.Source, q.Account) // a public image is in every region
	}
	if source.State != Available {
		return Image{}, notAvailable(source)
	}
	i := source
	i.Name, i.Region, i.State, i.Created = q.Name, q.To, Copying, r.now()
	i.Tags, i.Shared, i.BuilderName, i.Reason, i.Errors = nil, nil, "", nil, nil
	if q.Description != "" {
		i.Description = q.Description
	}
	i.Origin = &Origin{Base: source.content()}
	i.Place.Digest, i.Place.Repository = "", ""
	i.Applications = slices.Clone(source.Applications)
	err = r.fits(ctx, i)
	if err != nil {
		return Image{}, err
	}
	i, batch, err := r.begun(ctx, i)
	if err != nil {
		return Image{}, err
	}
	batch.Expect = append(batch.Expect, source.Unchanged())
	if q.Begins != nil {
		q.Begins(i)
	}
	err = r.hand(ctx, i, batch)
	var conflict *store.Conflict
	if errors.As(err, &conflict) && conflict.Key == source.Key() {
		return Image{}, errChanged
	}
	return i, err
}

// copied ends a copy: it has its own tag on the source's bytes, and its own icons.
func (r *Images) copied(ctx context.Context, i Image) (store.Batch, error) {
	repository, err := r.config.Repository(ctx, i.Owner)
	if err != nil {
		return store.Batch{}, err
	}
	broken := func(err error) error {
		return gone(err, CopyFailure, "The image %s could not be copied, since its source can't be read", i.Name)
	}
	err = r.config.AMIs.Whole(ctx, i.Origin.Base.Place)
	if err != nil {
		return store.Batch{}, broken(err)
	}
	made, err := r.config.AMIs.Append(ctx, repository, i.Origin.Base, nil, "", i.Created)
	if err != nil {
		return store.Batch{}, broken(err)
	}
	i.set(made)
	for n := range i.Applications {
		a := &i.Applications[n]
		if a.IconBlob == "" {
			continue
		}
		icon, err := r.config.Blobs.Get(ctx, KindIcons, a.IconBlob)
		if errors.Is(err, blob.ErrNotFound) {
			a.IconBlob = "" // its source was deleted meanwhile
			continue
		}
		if err != nil {
			return store.Batch{}, fmt.Errorf("copying the icon of %s: %w", a.Name, err)
		}
		a.Icon = icon
	}
	err = r.keepIcons(ctx, &i)
	if err != nil {
		return store.Batch{}, err
	}
	batch, err := r.ready(ctx, i)
	return batch, broken(err)
}

package image

import (
	"context"
	"errors"
	"fmt"
	"time"

	"souk/artifact/appstream/resource"
	"souk/artifact/images"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// Delete deletes an image of an account's own, and returns it as it was, in the
// state DELETING. An image that image builders of its owner were made from, or a
// public one that any was made from, is in use. Those of accounts that it was
// shared with keep its bytes for as long as they are there.
//
// AppStream API reference, "DeleteImage"; developer guide, "Share an Image That You
// Own with Another AWS Account": permissions are removed first.
func (r *Images) Delete(ctx context.Context, account, region, name string) (Image, error) {
	i, err := r.own(ctx, account, region, name)
	if err != nil {
		return Image{}, err
	}
	switch {
	case i.State == Deleting:
		return Image{}, resource.Concurrent("image", name)
	case i.State != Available && i.State != Failed:
		return Image{}, apierror.New("OperationNotPermittedException", "The image %s is %s. It can be deleted when it is AVAILABLE or FAILED.", name, i.State)
	case len(i.Shared) > 0:
		return Image{}, apierror.New("OperationNotPermittedException", "The image %s is shared with other accounts. Remove their permissions before you delete it.", name)
	}
	by, err := r.inUse(ctx, i)
	if err != nil {
		return Image{}, err
	}
	if by != "" {
		return Image{}, usedBy(i, by)
	}
	// From here on nothing new is made from it: so that whoever is asked again
	// misses nothing.
	i.State = Deleting
	w, err := i.write()
	if err != nil {
		return Image{}, err
	}
	w.Due = r.runner.Now().Add(deleteTime)
	err = r.config.Store.Commit(ctx, store.Batch{Put: []store.Write{w}})
	if errors.Is(err, store.ErrConflict) {
		return Image{}, resource.Concurrent("image", name)
	}
	if err != nil {
		return Image{}, fmt.Errorf("deleting image %s: %w", name, err)
	}
	i.revision++
	r.observe(i)
	by, err = r.remove(context.WithoutCancel(ctx), i)
	if err != nil {
		// It is DELETING, and whoever claims it goes on.
		r.config.Log.Error("appstream: deleting an image goes on later", "image", name, "account", account, "error", err)
	}
	if by != "" {
		return Image{}, usedBy(i, by)
	}
	return i, nil
}

// deleteTime is for how long a request deletes an image before a worker does.
const deleteTime = 5 * time.Second

func usedBy(i Image, by string) error {
	return apierror.New("ResourceInUseException", "The image %s is in use by %s.", i.Name, by)
}

// inUse says which image builder keeps an image from being deleted.
func (r *Images) inUse(ctx context.Context, i Image) (by string, err error) {
	if r.config.InUse == nil {
		return "", nil
	}
	by, err = r.config.InUse(ctx, i)
	if err != nil {
		return "", fmt.Errorf("asking what was made from image %s: %w", i.Name, err)
	}
	if a, ok := resource.ParseARN(by); ok && i.Account != "" && a.Account != i.Account {
		return "", nil
	}
	return by, nil
}

// remove removes an image that is DELETING, or puts it back where an image builder
// was made from it in the last moment (by).
func (r *Images) remove(ctx context.Context, i Image) (by string, err error) {
	by, err = r.inUse(ctx, i)
	if err != nil {
		return "", err
	}
	if by != "" {
		i.State = Available
		batch, err := onlyWrite(i)
		if err == nil {
			err = r.config.Store.Commit(ctx, batch)
		}
		if err != nil {
			return "", fmt.Errorf("putting back image %s: %w", i.Name, err)
		}
		r.observe(i)
		return by, nil
	}
	batch := store.Batch{Delete: []store.Removal{{Key: i.Key(), Was: i.revision}}}
	if i.Place != (images.Place{}) {
		batch.Delete = append(batch.Delete, i.Place.Untagged(i.ID))
	}
	err = r.config.Store.Commit(ctx, batch)
	if err != nil {
		return "", fmt.Errorf("deleting image %s: %w", i.Name, err)
	}
	i.State = ""
	r.observe(i)
	// What follows is souk gc's where it does not come to be.
	for _, a := range i.Applications {
		if a.IconBlob != "" {
			err = errors.Join(err, r.config.Blobs.Delete(ctx, KindIcons, a.IconBlob))
		}
	}
	if i.Place != (images.Place{}) && err == nil {
		var lost bool
		lost, err = r.Lost(ctx, i.Place.Repository, i.ID)
		if lost {
			err = r.config.AMIs.Untag(ctx, i.Place, i.ID)
		}
	}
	if err != nil {
		r.config.Log.Warn("appstream: of a deleted image something is left for souk gc", "image", i.Name, "error", err)
	}
	return "", nil
}

// Lost says whether a tag is that of an image which is there no more, and no image
// builder was made from: a crash has left it, or the image was deleted.
func (r *Images) Lost(ctx context.Context, repository, tag string) (bool, error) {
	if !formOfID.MatchString(tag) {
		return false, nil
	}
	there, err := r.there(ctx, tag)
	if there || err != nil || r.config.InUse == nil {
		return !there && err == nil, err
	}
	by, err := r.config.InUse(ctx, Image{ID: tag, Place: images.Place{Repository: repository}})
	if err != nil {
		return false, fmt.Errorf("asking what was made from image %s: %w", tag, err)
	}
	return by == "", nil
}

// there says whether there is an image of an ID.
func (r *Images) there(ctx context.Context, id string) (bool, error) {
	page, err := r.config.Store.List(ctx, store.Query{Kind: Kind, Index: indexID, Partition: id, Limit: 1})
	if err != nil {
		return false, fmt.Errorf("looking for image %s: %w", id, err)
	}
	return len(page.Documents) > 0, nil
}

// Tag puts tags over those of an image, and returns nothing but what refuses them:
// ResourceNotFoundException, LimitExceededException.
func (r *Images) Tag(ctx context.Context, account, region, name string, tags resource.Tags) error {
	return r.change(ctx, account, region, name, func(i *Image) error {
		merged, err := i.Tags.Merge(tags)
		i.Tags = merged
		return err
	})
}

// Untag takes tags from an image. ResourceNotFoundException.
func (r *Images) Untag(ctx context.Context, account, region, name string, keys []string) error {
	return r.change(ctx, account, region, name, func(i *Image) error {
		i.Tags = i.Tags.Without(keys)
		return nil
	})
}

// Tags returns the tags of an image. ResourceNotFoundException.
func (r *Images) Tags(ctx context.Context, account, region, name string) (resource.Tags, error) {
	i, err := r.own(ctx, account, region, name)
	return i.Tags, err
}

// maxRaces is how often a change is decided anew because another was quicker.
const maxRaces = 20

// change changes an image without disturbing the work on it.
func (r *Images) change(ctx context.Context, account, region, name string, do func(i *Image) error) error {
	for n := 0; ; n++ {
		i, err := r.own(ctx, account, region, name)
		if err != nil {
			return err
		}
		d, err := r.config.Store.Get(ctx, i.Key())
		if errors.Is(err, store.ErrNotFound) {
			return notFound(name, account)
		}
		if err != nil {
			return fmt.Errorf("reading image %s: %w", name, err)
		}
		err = do(&i)
		if err != nil {
			return err
		}
		if working(i.State) {
			i.Tries = max(0, i.Tries-1) // whoever works on it begins anew, by no fault of its own
		}
		w, err := i.write()
		if err != nil {
			return err
		}
		w.Due = d.Due
		if !d.Due.IsZero() && i.State != Deleting {
			w.Due = r.runner.Now()
		}
		err = r.config.Store.Commit(ctx, store.Batch{Put: []store.Write{w}})
		if err == nil && working(i.State) {
			r.runner.Interrupt(i.Key().ID)
		}
		if errors.Is(err, store.ErrConflict) && n < maxRaces {
			continue
		}
		if err != nil {
			return fmt.Errorf("changing image %s: %w", name, err)
		}
		return nil
	}
}

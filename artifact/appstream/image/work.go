package image

import (
	"context"
	"errors"
	"fmt"
	"time"

	"souk/artifact/images"
	"souk/storage/store"
	"souk/storage/work"
)

const (
	// maxTries is how often making an image may be begun and not end.
	maxTries = 5
	// backOff is how much longer each try waits than the one before.
	backOff = 5 * time.Second
	// patience is how long an import waits for its AMI between two looks.
	patience = time.Second
)

// failure is an end that is the image's own fault: there is no use in trying again.
type failure struct{ Reason }

func (f *failure) Error() string { return f.Message }

func fails(code, format string, args ...any) error {
	return &failure{Reason{code, fmt.Sprintf(format, args...)}}
}

// errNotYet: the work waits for something that takes its time.
var errNotYet = errors.New("not yet")

// do works on an image: the handler of the runner. Each state is a step that ends
// by one commit.
func (r *Images) do(ctx context.Context, t *work.Task) {
	log := r.config.Log.With("image", t.ID)
	i, err := decode(t.Document, "", "")
	if err != nil {
		log.Error("appstream: an image can't be read", "error", err)
		return
	}
	switch i.State {
	case Copying:
		err = r.step(ctx, t, i, r.copied)
	case Creating:
		err = r.step(ctx, t, i, r.created)
	case Importing:
		err = r.step(ctx, t, i, r.imported)
	case Validating:
		err = r.step(ctx, t, i, r.validated)
	case Deleting:
		_, err = r.remove(ctx, i)
	default:
		err = r.put(ctx, t, i, "", time.Time{}) // it is no work
	}
	if err != nil && !errors.Is(err, work.ErrLost) && !errors.Is(err, store.ErrConflict) && !errors.Is(err, errNotYet) {
		log.Error("appstream: an image could not be gone on with, and will be later", "error", err)
	}
}

// step does one step of making an image: do returns the batch that ends it. The
// write of the image must be among it.
func (r *Images) step(ctx context.Context, t *work.Task, i Image, do func(ctx context.Context, i Image) (store.Batch, error)) error {
	if i.Tries >= maxTries {
		return r.end(ctx, t, i, Reason{InternalError, fmt.Sprintf("The image was begun %d times and never came to its end.", i.Tries)})
	}
	i.Tries++
	// The try is written down before it is made: it may end this process.
	err := r.put(ctx, t, i, t.Owner, t.Lease())
	if err != nil {
		return err
	}
	var batch store.Batch
	err = t.Hold(ctx, func() (store.Write, error) { return i.write() }, func(ctx context.Context) error {
		var err error
		batch, err = do(ctx, i)
		return err
	})
	i.revision = t.Revision
	var failed *failure
	switch {
	case errors.Is(err, work.ErrLost):
		return err
	case errors.Is(err, errNotYet):
		i.Tries--
		return errors.Join(err, r.put(ctx, t, i, "", r.runner.Now().Add(patience)))
	case err != nil && ctx.Err() != nil:
		// This node stops: the image is anybody's at once, and this was no try.
		i.Tries--
		return r.put(ctx, t, i, "", r.runner.Now())
	case errors.As(err, &failed):
		return r.end(ctx, t, i, failed.Reason)
	case err != nil && i.Tries >= maxTries:
		return errors.Join(err, r.end(ctx, t, i, Reason{InternalError, fmt.Sprintf("The image failed %d times by no fault of its own; try again later.", i.Tries)}))
	case err != nil:
		return errors.Join(err, r.put(ctx, t, i, "", r.runner.Now().Add(time.Duration(i.Tries)*backOff)))
	}
	return r.finish(ctx, t, i, batch)
}

// finish commits the end of a step. Where that fails, or nobody knows whether it
// was written, whoever claims the image next sees which.
func (r *Images) finish(ctx context.Context, t *work.Task, i Image, batch store.Batch) error {
	var now Image
	for n := range batch.Put {
		w := &batch.Put[n]
		if w.Key != i.Key() {
			continue
		}
		w.Was = t.Revision
		var err error
		now, err = decode(w.Document, "", "")
		if err != nil {
			return err
		}
		if working(now.State) {
			w.Due = r.runner.Now()
		}
	}
	err := r.config.Store.Commit(context.WithoutCancel(ctx), batch)
	if err != nil {
		return fmt.Errorf("writing image %s: %w", i.Name, err)
	}
	t.Revision++
	r.config.Log.Info("appstream: image", "image", i.Name, "account", i.Owner, "region", i.Region, "state", now.State)
	r.observe(now)
	if working(now.State) {
		r.runner.Wake()
	}
	return nil
}

// working says whether images of a state are this room's work.
func working(s State) bool {
	return s == Copying || s == Creating || s == Importing || s == Validating || s == Deleting
}

// end ends an image as FAILED.
func (r *Images) end(ctx context.Context, t *work.Task, i Image, why Reason) error {
	held := i.Place
	batch, err := r.failed(i, why)
	if err != nil {
		return err
	}
	err = r.finish(ctx, t, i, batch)
	if err == nil && held != (images.Place{}) {
		err = r.config.AMIs.Untag(ctx, held, i.ID)
	}
	return err
}

// put writes an image that stays work, of an owner until due.
func (r *Images) put(ctx context.Context, t *work.Task, i Image, owner string, due time.Time) error {
	w, err := i.write()
	if err != nil {
		return err
	}
	w.Was, w.Owner, w.Due = t.Revision, owner, due
	err = r.config.Store.Commit(context.WithoutCancel(ctx), store.Batch{Put: []store.Write{w}})
	if err != nil {
		return fmt.Errorf("writing image %s: %w", i.Name, err)
	}
	t.Revision++
	t.Due = due
	return nil
}

// hand gives new work to the runner.
func (r *Images) hand(ctx context.Context, i Image, batch store.Batch) error {
	for n := range batch.Put {
		if batch.Put[n].Key == i.Key() {
			batch.Put[n].Due = r.runner.Now()
		}
	}
	err := r.config.Store.Commit(ctx, batch)
	if err != nil {
		return r.Refusal(i, fmt.Errorf("making image %s: %w", i.Name, err))
	}
	r.observe(i)
	r.runner.Wake()
	return nil
}

// gone turns what the registry says of lost or broken bytes into a failure.
func gone(err error, code, format string, args ...any) error {
	if errors.Is(err, images.ErrNoImage) || errors.Is(err, images.ErrBadImage) {
		return fails(code, "%s: %v", fmt.Sprintf(format, args...), err)
	}
	return err
}

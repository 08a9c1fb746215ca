package build

import (
	"context"
	"errors"
	"fmt"
	"time"

	"souk/artifact/images"
	"souk/artifact/installer"
	"souk/storage/blob"
	"souk/storage/store"
	"souk/storage/work"
)

const (
	// maxTries is how often a build may be begun and not end: failures of ours
	// should have passed by then, and that many crashes are no accident.
	maxTries = 5
	// backOff is how much longer each try waits than the one before.
	backOff = 5 * time.Second
)

// do works on a build: the handler of the runner. A build is work while it is in
// progress, then until its image has been looked at, and at last when it is old
// enough to be forgotten.
func (b *Builds) do(ctx context.Context, t *work.Task) {
	log := b.config.Log.With("build", t.ID)
	r, err := decode(t.Document)
	if err != nil {
		log.Error("builds: a build can't be read", "error", err)
		return
	}
	switch {
	case r.Status == InProgress:
		err = b.build(ctx, t, r)
	case r.Unseen:
		err = b.look(ctx, t, r)
	default:
		err = b.forget(ctx, t, r)
	}
	if err != nil && !errors.Is(err, work.ErrLost) && !errors.Is(err, store.ErrConflict) {
		log.Error("builds: it could not be gone on with, and will be later", "error", err)
	}
}

// build tries a build. Its error is one of writing down what came of it.
func (b *Builds) build(ctx context.Context, t *work.Task, r *Build) error {
	log := b.config.Log.With("build", r.ID)
	if r.Tries >= maxTries {
		return b.end(ctx, t, r, InternalError, &Detail{Message: fmt.Sprintf("The build was begun %d times and never came to its end.", r.Tries)})
	}
	stdout, stderr, err := b.openLogs(r)
	r.Tries++
	if err != nil {
		return b.later(ctx, t, r, err)
	}
	// The try is written down before it is made: it may end this process.
	r.Begun = true
	err = b.put(ctx, t, r, t.Owner, t.Lease())
	if err != nil {
		return errors.Join(err, stdout.Close(), stderr.Close())
	}
	b.observe(r, Taken)
	b.working.Add(1)
	defer b.working.Add(-1)
	var made store.Batch
	err = t.Hold(ctx, func() (store.Write, error) { return r.write(0) }, func(ctx context.Context) error {
		var err error
		made, err = b.make(ctx, r, stdout, stderr)
		return err
	})
	if closed := errors.Join(stdout.Close(), stderr.Close()); closed != nil {
		log.Warn("builds: a log is not whole", "error", closed)
	}
	var failed *installer.Failure
	switch {
	case errors.Is(err, work.ErrLost):
		b.observe(r, Lost)
		return err // another has it
	case err != nil && ctx.Err() != nil:
		// This node stops: the build is anybody's at once, and this was no try.
		r.Tries--
		err = b.put(ctx, t, r, "", b.runner.Now())
		if err == nil {
			b.observe(r, HandedBack)
		}
		return err
	case errors.As(err, &failed):
		return b.end(ctx, t, r, Failed, &Detail{failed.Code, failed.Message})
	case errors.Is(err, images.ErrNoImage):
		return b.end(ctx, t, r, Failed, &Detail{Message: fmt.Sprintf("The layers of the source image %s are gone.", r.Source.ID)})
	case errors.Is(err, installer.ErrNoMachines):
		return b.end(ctx, t, r, InternalError, &Detail{Message: "This market can't run builds at present: its server has no provider of machines. Ask its operator."})
	case err != nil:
		log.Error("builds: a try failed", "try", r.Tries, "error", err)
		return b.later(ctx, t, r, err)
	}
	return b.succeed(ctx, t, r, made)
}

// later puts a build back after a failure of ours, or gives it up.
func (b *Builds) later(ctx context.Context, t *work.Task, r *Build, why error) error {
	if r.Tries >= maxTries {
		return b.end(ctx, t, r, InternalError, &Detail{Message: fmt.Sprintf("The build failed %d times by no fault of its own; start it again later.", r.Tries)})
	}
	err := b.put(ctx, t, r, "", b.runner.Now().Add(time.Duration(max(1, r.Tries))*backOff))
	if err == nil {
		b.observe(r, Retried)
	}
	return errors.Join(err, fmt.Errorf("trying: %w", why))
}

// openLogs opens both logs, behind what earlier tries wrote.
func (b *Builds) openLogs(r *Build) (stdout, stderr *blob.Log, err error) {
	names := logsOf(r.ID)
	stdout, err = b.config.Logs.AppendLog(KindLogs, names[0], b.config.LogSize)
	if err != nil {
		return nil, nil, err
	}
	stderr, err = b.config.Logs.AppendLog(KindLogs, names[1], b.config.LogSize)
	if err != nil {
		return nil, nil, errors.Join(err, stdout.Close())
	}
	return stdout, stderr, nil
}

// install runs the installers of a build on its source.
func (b *Builds) install(ctx context.Context, r *Build, stdout, stderr *blob.Log) (*installer.Result, error) {
	if r.Tries > 1 {
		fmt.Fprintf(stdout, "== the build begins anew (try %d)\n", r.Tries)
		fmt.Fprintf(stderr, "== the build begins anew (try %d)\n", r.Tries)
	}
	all, err := b.config.Images.Images(ctx, r.Source.Repository, r.Source.Digest)
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, fmt.Errorf("%w: %s is an index", images.ErrNoImage, r.Source.ID)
	}
	j := installer.Job{ID: "build-" + r.ID, Image: all[0], Stdout: stdout, Stderr: stderr}
	for _, o := range r.Options {
		c := installer.Component{Name: o.Component.Name, Document: []byte(o.Component.Document), Phases: o.Component.Phases, Parameters: o.Component.Parameters}
		if o.Component.Files != (Files{}) {
			c.Files = func(ctx context.Context, folder string) error { return b.config.Unpack(ctx, o, folder) }
		}
		j.Components = append(j.Components, c)
	}
	return b.config.Installer.Run(ctx, j)
}

// make installs, pushes the image, and returns the batch that makes the AMI.
func (b *Builds) make(ctx context.Context, r *Build, stdout, stderr *blob.Log) (store.Batch, error) {
	result, err := b.install(ctx, r, stdout, stderr)
	if err != nil {
		return store.Batch{}, err
	}
	d := images.Derivation{
		ID: r.Destination.ID, Account: r.Account, Name: r.Destination.Name, Description: r.Destination.Description,
		Source: r.Source, Layer: result.Layer, CreatedBy: "marketplaceimagebuild " + r.ID, Origin: "build " + r.ID + " of " + r.Source.ID,
	}
	for _, o := range r.Options {
		if o.Code != "" {
			d.Codes = append(d.Codes, o.Code)
		}
	}
	_, made, err := b.config.Derive(ctx, d)
	if errors.Is(err, images.ErrBadImage) { // made of what was installed: the source was read before
		err = &installer.Failure{Code: installer.InstallFailed, Message: "What was installed makes no image: " + err.Error()}
	}
	return made, errors.Join(err, result.Close())
}

// succeed ends a build by the commit that makes its image.
func (b *Builds) succeed(ctx context.Context, t *work.Task, r *Build, batch store.Batch) error {
	r.Status, r.Updated, r.Tries, r.Unseen = Succeeded, b.now(), 0, b.config.Scan != nil
	w, err := r.write(t.Revision)
	if err == nil {
		w.Due = b.rest(r)
		batch.Put = append(batch.Put, w)
		err = b.announce(r, &batch)
	}
	if err != nil {
		return err
	}
	return b.finish(ctx, t, r, batch)
}

// end ends a build that made nothing.
func (b *Builds) end(ctx context.Context, t *work.Task, r *Build, s Status, why *Detail) error {
	r.Status, r.Detail, r.Updated, r.Tries = s, why, b.now(), 0
	w, err := r.write(t.Revision)
	if err != nil {
		return err
	}
	w.Due = b.rest(r)
	batch := store.Batch{Put: []store.Write{w}, Delete: []store.Removal{images.Free(r.Account, r.Destination.Name)}}
	err = b.announce(r, &batch)
	if err != nil {
		return err
	}
	return b.finish(ctx, t, r, batch)
}

// rest is when a build that has ended is work again: at once where its image is
// yet to be looked at, else when it is forgotten.
func (b *Builds) rest(r *Build) time.Time {
	if r.Unseen {
		return b.runner.Now()
	}
	return r.Updated.Add(b.config.History)
}

// finish commits an end. Where it fails, or nobody knows whether it was written,
// the build is work still, or has ended: whoever claims it next sees which.
func (b *Builds) finish(ctx context.Context, t *work.Task, r *Build, batch store.Batch) error {
	err := b.config.Store.Commit(context.WithoutCancel(ctx), batch)
	if err != nil {
		return fmt.Errorf("ending build %s: %w", r.ID, err)
	}
	t.Revision++
	args := []any{"build", r.ID, "account", r.Account, "status", r.Status, "took", r.Updated.Sub(r.Started).String()}
	if r.Detail != nil {
		args = append(args, "code", r.Detail.Code, "reason", r.Detail.Message)
	}
	b.config.Log.Info("builds: ended", args...)
	b.observe(r, Ended)
	if r.Unseen {
		b.runner.Wake()
	}
	return nil
}

// look has the image of a build scanned.
func (b *Builds) look(ctx context.Context, t *work.Task, r *Build) error {
	a, err := b.config.Images.Find(ctx, r.Account, r.Destination.ID)
	if err == nil && b.config.Scan != nil {
		err = t.Hold(ctx, func() (store.Write, error) { return r.write(0) }, func(ctx context.Context) error {
			return b.config.Scan(ctx, r, a)
		})
	}
	switch {
	case errors.Is(err, work.ErrLost):
		return err
	case err != nil && ctx.Err() != nil:
		return b.put(ctx, t, r, "", b.runner.Now())
	case errors.Is(err, images.ErrNotFound): // its owner was quicker
	case err != nil && r.Tries+1 < maxTries:
		r.Tries++
		return errors.Join(fmt.Errorf("scanning %s: %w", r.Destination.ID, err), b.put(ctx, t, r, "", b.runner.Now().Add(time.Duration(r.Tries)*backOff)))
	case err != nil:
		b.config.Log.Error("builds: an image is left without a scan", "build", r.ID, "image", r.Destination.ID, "error", err)
	}
	r.Unseen, r.Tries = false, 0
	return b.put(ctx, t, r, "", b.rest(r))
}

// forget removes a build that has ended long ago, with its logs and its token.
func (b *Builds) forget(ctx context.Context, t *work.Task, r *Build) error {
	if until := b.rest(r); b.runner.Now().Before(until) { // history is longer than it was
		return b.put(ctx, t, r, "", until)
	}
	for _, name := range logsOf(r.ID) {
		err := b.config.Logs.Delete(ctx, KindLogs, name)
		if err != nil {
			return err
		}
	}
	batch := store.Batch{Delete: []store.Removal{{Key: t.Key, Was: t.Revision}}}
	if r.Token != "" {
		batch.Delete = append(batch.Delete, store.Removal{Key: store.Key{Kind: KindToken, ID: r.Token}, Was: store.Any})
	}
	err := b.config.Store.Commit(context.WithoutCancel(ctx), batch)
	if err != nil {
		return fmt.Errorf("forgetting build %s: %w", r.ID, err)
	}
	return nil
}

// put writes a build that stays work, of an owner until due.
func (b *Builds) put(ctx context.Context, t *work.Task, r *Build, owner string, due time.Time) error {
	w, err := r.write(t.Revision)
	if err != nil {
		return err
	}
	w.Owner, w.Due = owner, due
	err = b.config.Store.Commit(context.WithoutCancel(ctx), store.Batch{Put: []store.Write{w}})
	if err != nil {
		return fmt.Errorf("writing build %s: %w", r.ID, err)
	}
	t.Revision++
	t.Due = due
	return nil
}

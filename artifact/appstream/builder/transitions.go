package builder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"souk/artifact/appstream/image"
	"souk/artifact/appstream/resource"
	"souk/artifact/images"
	"souk/artifact/layer"
	"souk/artifact/machine"
	"souk/storage/store"
)

// work does what a state is for, with the machine. It may be done again after it was
// done in part or in whole. An error is a fault of ours, and it is tried again.
func (b *Builders) work(ctx context.Context, r *Builder) (outcome, error) {
	m := b.config.Machines
	if m == nil && r.State == Deleting {
		return outcome{}, nil
	}
	if m == nil && r.State == Snapshotting {
		return b.noImage(r, image.BuilderNotAvailable, noMachines), nil
	}
	if m == nil {
		return b.failed(ctx, r, &Reason{InternalError, noMachines}), nil
	}
	switch r.State {
	case Pending, UpdatingAgent:
		if r.Made {
			return b.start(ctx, r)
		}
		return b.create(ctx, r)
	case Stopping, Rebooting:
		b.part(ctx, r)
		b.leave(r.Machine)
		err := m.Stop(ctx, r.Machine)
		if err != nil && !errors.Is(err, machine.ErrNotFound) {
			return outcome{}, err
		}
		if r.State == Rebooting {
			return b.start(ctx, r)
		}
		return outcome{state: Stopped, reason: r.Reason}, nil
	case Snapshotting:
		return b.snapshot(ctx, r)
	case Deleting:
		b.leave(r.Machine)
		return outcome{}, m.Delete(ctx, r.Machine)
	}
	return outcome{}, fmt.Errorf("image builder %s is %s, which is no work", r.id(), r.State)
}

const noMachines = "This market can't run image builders at present: its server has no provider of machines. Ask its operator."

// create makes the machine of a builder and starts it.
func (b *Builders) create(ctx context.Context, r *Builder) (outcome, error) {
	wrong, err := b.obstacles(ctx, r)
	if err != nil {
		return outcome{}, err
	}
	if len(wrong) > 0 {
		return b.failed(ctx, r, &Reason{InternalError, wrong[0].Message}, wrong...), nil
	}
	spec, err := b.spec(ctx, r)
	if err == nil {
		err = b.config.Machines.Create(ctx, r.Machine, spec)
	}
	// What was begun before a crash may be there, and may have run.
	if err != nil && !errors.Is(err, machine.ErrState) {
		return b.broken(ctx, r, err)
	}
	return b.run(ctx, r)
}

// start starts a machine that has run before.
func (b *Builders) start(ctx context.Context, r *Builder) (outcome, error) {
	if r.Role != "" {
		err := b.config.Role(ctx, r.Account, r.Role)
		if errors.Is(err, ErrNoRole) {
			e := b.noRole(r)
			return b.failed(ctx, r, &Reason{InternalError, e.Message}, e), nil
		}
		if err != nil && !errors.Is(err, ErrUntrusted) {
			return outcome{}, err
		}
	}
	return b.run(ctx, r)
}

// run starts a machine that is there. What it may reach is what holds now, not what
// did when it was made.
func (b *Builders) run(ctx context.Context, r *Builder) (outcome, error) {
	err := b.config.Machines.Reach(ctx, r.Machine, b.egress(r))
	if err == nil {
		err = b.config.Machines.Start(ctx, r.Machine)
	}
	if err != nil && !errors.Is(err, machine.ErrState) { // of an earlier try: it runs
		return b.broken(ctx, r, err)
	}
	b.occupy(r)
	return outcome{
		state: Running,
		edit:  func(r *Builder) { r.Made, r.Agent, r.Errors = true, b.config.AgentVersion, nil },
		after: func() { b.watch(r.Machine) },
	}, nil
}

// broken says what a failure to make or start a machine means: what can't be
// helped by trying again ends the transition.
func (b *Builders) broken(ctx context.Context, r *Builder, err error) (outcome, error) {
	if ctx.Err() != nil {
		return outcome{}, err
	}
	why := &Reason{Code: InternalError}
	var is resource.Error
	switch {
	case errors.Is(err, images.ErrNoImage):
		why.Code, why.Message = ImageUnavailable, fmt.Sprintf("The layers of the image %s are not there any more.", r.Base.Name)
		is = resource.Error{Code: "IMAGE_NOT_FOUND", Message: why.Message, Timestamp: b.now()}
	case errors.Is(err, layer.ErrMissing):
		why.Code, why.Message = ImageUnavailable, fmt.Sprintf("The layers of the image %s are not on the server any more that has the machine.", r.Base.Name)
	case errors.Is(err, images.ErrBadImage), errors.Is(err, machine.ErrBadImage):
		why.Code, why.Message = ImageUnavailable, fmt.Sprintf("The image %s can't be started: it is no root file system that a machine runs.", r.Base.Name)
	case errors.Is(err, machine.ErrNoAgent):
		why.Message = "The machine was started, and its agent does not answer."
	case errors.Is(err, machine.ErrDiskFull):
		why.Message = "The machine's disk is so full that it can't be started."
	case errors.Is(err, syscall.ENOSPC):
		why.Message = "The server's disk is full. Ask the operator of this market."
	case errors.Is(err, machine.ErrUnsupported):
		why.Message = "The server can't run such a machine. Ask the operator of this market."
	case errors.Is(err, machine.ErrNotFound):
		why.Message = "The disk of its machine is not there any more."
	default:
		return outcome{}, err
	}
	b.config.Log.Warn("image builders: a machine does not run", "builder", r.id(), "machine", r.Machine, "error", err)
	if is.Code != "" {
		return b.failed(ctx, r, why, is), nil
	}
	return b.failed(ctx, r, why), nil
}

// obstacles are what stands in the way of a new builder's network, directory and role.
func (b *Builders) obstacles(ctx context.Context, r *Builder) ([]resource.Error, error) {
	var all []resource.Error
	if r.Network != nil {
		found, err := b.config.Network(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("looking at the network of image builder %s: %w", r.id(), err)
		}
		all = append(all, found...)
	}
	if r.Domain != nil {
		found, err := b.config.Directory(ctx, r.Account, r.Region, *r.Domain)
		if err != nil {
			return nil, fmt.Errorf("looking at the directory of image builder %s: %w", r.id(), err)
		}
		all = append(all, found...)
	}
	if r.Role != "" {
		err := b.config.Role(ctx, r.Account, r.Role)
		if errors.Is(err, ErrNoRole) {
			all = append(all, b.noRole(r))
		} else if err != nil && !errors.Is(err, ErrUntrusted) {
			return nil, fmt.Errorf("looking at the role of image builder %s: %w", r.id(), err)
		}
	}
	for i := range all {
		if all[i].Timestamp.IsZero() {
			all[i].Timestamp = b.now()
		}
	}
	return all, nil
}

func (b *Builders) noRole(r *Builder) resource.Error {
	return resource.Error{Code: "MACHINE_ROLE_IS_MISSING", Message: fmt.Sprintf("The IAM role %s does not exist.", r.Role), Timestamp: b.now()}
}

// Commands of a builder's machine, which the agent has as tools. The image assistant
// has AWS's name on Linux besides, which is what scripts call.
var commands = []string{"image-assistant", "AppStreamImageAssistant", "reboot", "poweroff"}

// gigabyte of a RootVolumeConfig.
const gigabyte = 1 << 30

// spec is what a builder's machine is made of.
func (b *Builders) spec(ctx context.Context, r *Builder) (machine.Spec, error) {
	all, err := b.config.Layers.Images(ctx, r.Base.Place.Repository, r.Base.Place.Digest)
	if err != nil {
		return machine.Spec{}, err
	}
	if len(all) != 1 {
		return machine.Spec{}, fmt.Errorf("%w: %s is an index of %d images", images.ErrBadImage, r.Base.Place.Digest, len(all))
	}
	size, _ := b.config.InstanceType(r.InstanceType)
	s := machine.Spec{
		Layers: all[0].Layers, Hostname: hostname(r.Name), Memory: size.Memory, CPU: size.CPU, Disk: b.config.Disk, Pids: pids,
		Sudo: true, Kept: true, Door: true, Commands: commands, Purpose: purpose + r.id(),
		Egress: b.egress(r),
	}
	if c := all[0].Config; c != nil {
		s.Env = c.Config.Env
	}
	if r.Volume > 0 {
		s.Disk = int64(r.Volume) * gigabyte
	}
	return s, nil
}

// egress are the places that a builder's machine may reach.
func (b *Builders) egress(r *Builder) []string {
	if !r.Internet {
		return nil
	}
	return b.config.Egress
}

const (
	// purpose and a builder's id are the Purpose of its machine.
	purpose = "image builder "
	// pids is how many processes and threads a builder may have: people and their
	// tools start more than an installer does.
	pids = 4096
)

// hostname makes the name of a builder one of a host: a label of at most 63
// letters, digits and dashes.
func hostname(name string) string {
	h := strings.Map(func(c rune) rune {
		if c == '_' || c == '.' {
			return '-'
		}
		return c
	}, strings.ToLower(name))
	return strings.Trim(h[:min(len(h), 63)], "-")
}

// snapshot makes an image of what was written in a builder's machine.
func (b *Builders) snapshot(ctx context.Context, r *Builder) (outcome, error) {
	if r.Snapshot == nil {
		return outcome{}, fmt.Errorf("image builder %s is %s and has no image to become", r.id(), r.State)
	}
	b.part(ctx, r)
	b.leave(r.Machine)
	err := b.config.Machines.Stop(ctx, r.Machine)
	var l *images.LayerFile
	if err == nil {
		l, err = b.layer(ctx, r.Machine)
	}
	var made []store.Batch
	if err == nil {
		var first store.Batch
		first, err = b.config.Images.Finish(ctx, *r.Snapshot, l)
		made = append(made, first)
	}
	var left func()
	if l != nil {
		left = func() { _ = os.Remove(l.File) }
	}
	if err != nil {
		if left != nil {
			left()
		}
		return b.unmade(ctx, r, err)
	}
	return outcome{
		state: Stopped,
		edit:  func(r *Builder) { r.Snapshot = nil },
		beside: func(ctx context.Context) (store.Batch, error) {
			if len(made) > 0 {
				first := made[0]
				made = nil
				return first, nil
			}
			return b.config.Images.Finish(ctx, *r.Snapshot, l) // somebody has tagged it meanwhile; its bytes are there
		},
		tidy: left,
	}, nil
}

// unmade says what a failure to make an image means.
func (b *Builders) unmade(ctx context.Context, r *Builder, err error) (outcome, error) {
	if ctx.Err() != nil {
		return outcome{}, err
	}
	code, text := image.InternalError, ""
	switch {
	case errors.Is(err, image.ErrSettled): // its owner was quicker
		return outcome{state: Stopped, edit: func(r *Builder) { r.Snapshot = nil }}, nil
	case errors.Is(err, machine.ErrBadTree):
		text = "What was written in the image builder can't be an image: " + behind(err, machine.ErrBadTree)
	case errors.Is(err, images.ErrBadImage):
		text = "What was written in the image builder makes no image: " + behind(err, images.ErrBadImage)
	case errors.Is(err, machine.ErrNotFound):
		code, text = image.BuilderNotAvailable, "The disk of the image builder's machine is not there any more."
	case errors.Is(err, layer.ErrMissing), errors.Is(err, images.ErrNoImage):
		code, text = image.BuilderNotAvailable, fmt.Sprintf("The layers of the image %s are not there any more.", r.Base.Name)
	case errors.Is(err, syscall.ENOSPC):
		text = "The server's disk is full. Ask the operator of this market."
	default:
		return outcome{}, err
	}
	b.config.Log.Warn("image builders: no image was made", "builder", r.id(), "image", r.Snapshot.Name, "error", err)
	return b.noImage(r, code, text), nil
}

// behind is what the text of an error says behind the words of one in it.
func behind(err, of error) string {
	_, text, ok := strings.Cut(err.Error(), of.Error()+": ")
	if !ok {
		return err.Error()
	}
	return text
}

// noImage ends a snapshot that made nothing: the image says why, the builder is
// STOPPED as after one that did.
func (b *Builders) noImage(r *Builder, code, text string) outcome {
	return outcome{
		state: Stopped,
		edit:  func(r *Builder) { r.Snapshot = nil },
		beside: func(ctx context.Context) (store.Batch, error) {
			batch, err := b.config.Images.Fail(ctx, *r.Snapshot, image.Reason{Code: code, Message: text})
			if errors.Is(err, image.ErrSettled) {
				return store.Batch{}, nil // its owner was quicker
			}
			return batch, err
		},
	}
}

// layer writes what a stopped machine changed as a layer to a file of our folder.
func (b *Builders) layer(ctx context.Context, id string) (*images.LayerFile, error) {
	err := os.MkdirAll(b.config.Folder, 0o700)
	if err != nil {
		return nil, fmt.Errorf("making a layer: %w", err)
	}
	f, err := os.CreateTemp(b.config.Folder, "layer-")
	if err != nil {
		return nil, fmt.Errorf("making a layer: %w", err)
	}
	l, err := images.CompressLayer(f, func(w io.Writer) error { return b.config.Machines.Diff(ctx, id, w) })
	err = errors.Join(err, f.Close())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("writing the layer of machine %s: %w", id, err), os.Remove(f.Name()))
	}
	l.File = f.Name()
	return l, nil
}

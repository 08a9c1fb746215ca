package builder

import (
	"context"
	"errors"
	"fmt"

	"souk/artifact/appstream/assistant"
	"souk/artifact/appstream/image"
	"souk/artifact/appstream/resource"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// Asked is what the machine of a builder asks for, for the record of it. Who asked is
// a program of the machine's root: nobody has signed it.
type Asked struct {
	Account, Region, Builder string
	Resources                []string // ARNs of the builder, and of the image that it is to become
	Request                  assistant.Request
}

// asked says who asks for what.
func asked(o *occupied, q assistant.Request) (Asked, error) {
	account, region, name, err := ofID(o.key.ID)
	a := Asked{Account: account, Region: region, Builder: name, Request: q}
	a.Resources = []string{resource.ARN{Region: region, Account: account, Type: resource.TypeImageBuilder, Name: name}.String()}
	if q.Operation == assistant.CreateImage && resource.IsName(q.Name) {
		a.Resources = append(a.Resources, resource.ARN{Region: region, Account: account, Type: resource.TypeImage, Name: q.Name}.String())
	}
	return a, err
}

// Assist does what a program in a machine asks its host for: the machine becomes an
// image, starts again or stops. What it answers is told by that program, which has
// a moment for it before its machine ends.
func (b *Builders) Assist(ctx context.Context, machineID string, q assistant.Request) assistant.Answer {
	b.mu.Lock()
	o := b.live[machineID]
	if o != nil {
		o.answered = assistant.Answered(ctx)
	}
	b.mu.Unlock()
	if o == nil {
		return assistant.Answer{Status: assistant.Refused, Message: "The image builder of this machine is not RUNNING"}
	}
	var do func(context.Context) error
	switch q.Operation {
	case assistant.CreateImage:
		do = func(ctx context.Context) error { return b.capture(ctx, o, q) }
	case assistant.Reboot:
		do = func(ctx context.Context) error { return b.inside(ctx, o, Rebooting, nil) }
	case assistant.PowerOff:
		do = func(ctx context.Context) error { return b.inside(ctx, o, Stopping, nil) }
	default:
		return assistant.Answer{Status: assistant.Refused, Message: fmt.Sprintf("There is no operation %q", q.Operation)}
	}
	a, err := asked(o, q)
	if err == nil {
		err = b.config.Record(ctx, a, do)
	}
	var refusal *apierror.Error
	switch {
	case err == nil:
		return assistant.Success
	case errors.As(err, &refusal) && refusal.Code == "ResourceAlreadyExistsException":
		return assistant.Answer{Status: assistant.Refused, Message: assistant.ImageExists}
	case errors.As(err, &refusal):
		return assistant.Answer{Status: assistant.Refused, Message: refusal.Message}
	}
	b.config.Log.Error("image builders: what a machine asked for was not done", "builder", o.key.ID, "operation", q.Operation, "error", err)
	return assistant.Answer{Status: assistant.Unexpected, Message: "It failed by no fault of yours; try again later"}
}

// inside has a builder that is RUNNING enter a state since its machine wants so.
func (b *Builders) inside(ctx context.Context, o *occupied, s State, more func(r *Builder) (store.Batch, error)) error {
	account, region, name, err := ofID(o.key.ID)
	if err != nil {
		return err
	}
	_, err = b.change(ctx, account, region, name, nil, func(r *Builder) (store.Batch, error) {
		if r.State != Running || r.Machine != o.machine {
			return store.Batch{}, notRunning(r)
		}
		b.enter(r, s, nil)
		r.Inside = true
		if more == nil {
			return store.Batch{}, nil
		}
		return more(r)
	})
	return err
}

// capture has a builder become an image.
func (b *Builders) capture(ctx context.Context, o *occupied, q assistant.Request) error {
	beginning := image.Beginning{
		Name: q.Name, DisplayName: q.DisplayName, Description: q.Description, Tags: resource.Tags(q.Tags),
		AgentVersion: b.config.AgentVersion, DryRun: q.DryRun,
	}
	if q.UseLatestAgentVersion {
		beginning.AgentVersion = ""
	}
	for _, a := range q.Applications {
		beginning.Applications = append(beginning.Applications, image.Application{
			Name: a.Name, DisplayName: a.DisplayName, LaunchPath: a.LaunchPath, LaunchParameters: a.LaunchParameters,
			WorkingDirectory: a.WorkingDirectory, Metadata: a.Metadata, Enabled: a.Enabled, Icon: a.Icon,
		})
	}
	begin := func(r *Builder) (image.Image, store.Batch, error) {
		beginning.Account, beginning.Region, beginning.BuilderName = r.Account, r.Region, r.Name
		beginning.Base = r.Base
		beginning.Base.ARN = r.ImageARN
		return b.config.Images.Begin(ctx, beginning)
	}
	if q.DryRun {
		r, _, err := b.get(ctx, o.key)
		if err == nil && r.State != Running {
			err = notRunning(r)
		}
		if err == nil {
			_, _, err = begin(r)
		}
		return err
	}
	var made image.Image
	err := b.inside(ctx, o, Snapshotting, func(r *Builder) (store.Batch, error) {
		i, batch, err := begin(r)
		r.Snapshot, made = &i, i
		return batch, err
	})
	if err != nil {
		return b.config.Images.Refusal(made, err)
	}
	return nil
}

package builder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"souk/artifact/machine"
	"souk/storage/store"
	"souk/storage/store/audit"
)

// Doctor says what is wrong with the image builders: each that is between two states
// has the task that ends that, none else has one, one that becomes an image says
// which, and the machines of this node are those of its builders. It may run while
// builders change: what is found wrong is looked at again.
func (b *Builders) Doctor(ctx context.Context) ([]string, error) {
	machines, err := b.machines(ctx)
	if err != nil {
		return nil, err
	}
	nodes := map[string]bool{b.config.Node: true}
	known := map[string]bool{}
	var last store.Key // looked at
	wrong, err := audit.Documents(ctx, b.config.Store, map[string]audit.Look{Kind: func(ctx context.Context, d store.Document) (string, error) {
		r, err := decode(d)
		if err != nil {
			return "it can't be read: " + err.Error(), nil
		}
		nodes[r.Node], known[r.Machine] = true, true
		if d.Key == last { // the second look: its machine may have come since
			machines, err = b.machines(ctx)
			if err != nil {
				return "", err
			}
		}
		last = d.Key
		return b.wrong(ctx, r, machines)
	}})
	if err != nil {
		return nil, fmt.Errorf("verifying the image builders: %w", err)
	}
	tasks := map[string]audit.Look{}
	for n := range nodes {
		tasks[kindTask+n] = func(ctx context.Context, d store.Document) (string, error) { return b.leftTask(ctx, n, d.Key) }
	}
	left, err := audit.Documents(ctx, b.config.Store, tasks)
	if err != nil {
		return nil, fmt.Errorf("verifying the tasks of image builders: %w", err)
	}
	var findings []string
	for _, w := range append(wrong, left...) {
		findings = append(findings, w.String())
	}
	for id, is := range machines {
		left := !known[id]
		if left { // it may be younger than the walk
			_, _, err := b.get(ctx, store.Key{Kind: Kind, ID: strings.TrimPrefix(is.Purpose, purpose)})
			left = errors.Is(err, store.ErrNotFound)
			if err != nil && !left {
				return nil, err
			}
		}
		if left {
			findings = append(findings, fmt.Sprintf("machine %s: it is left of %s, which is not there", id, is.Purpose))
		}
	}
	slices.Sort(findings)
	return findings, nil
}

// machines are those of builders on this node, by id.
func (b *Builders) machines(ctx context.Context) (map[string]machine.Machine, error) {
	if b.config.Machines == nil {
		return nil, nil
	}
	all, err := b.config.Machines.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the machines: %w", err)
	}
	found := map[string]machine.Machine{}
	for _, m := range all {
		if strings.HasPrefix(m.Purpose, purpose) {
			found[m.ID] = m
		}
	}
	return found, nil
}

// wrong says what is wrong with a builder, "" if nothing is.
func (b *Builders) wrong(ctx context.Context, r *Builder, machines map[string]machine.Machine) (string, error) {
	if r.Account == "" || r.Region == "" || r.Name == "" || r.ARN == "" || r.ImageARN == "" || r.Node == "" || r.Machine == "" || !slices.Contains(States(), r.State) {
		return "it lacks its account, region, name, ARN, image, node, machine or state", nil
	}
	if (r.State == Snapshotting) != (r.Snapshot != nil) {
		return fmt.Sprintf("it is %s, and that it becomes an image is %t", r.State, r.Snapshot != nil), nil
	}
	if r.State.working() {
		d, err := b.config.Store.Get(ctx, taskKey(r))
		switch {
		case errors.Is(err, store.ErrNotFound):
			return fmt.Sprintf("it is %s, and nobody goes on with it", r.State), nil
		case err != nil:
			return "", fmt.Errorf("reading task %s: %w", d.ID, err)
		case d.Due.IsZero():
			return fmt.Sprintf("it is %s, and its task is no work", r.State), nil
		}
		return "", nil
	}
	if r.Node != b.config.Node || b.config.Machines == nil {
		return "", nil // its node knows
	}
	_, there := machines[r.Machine]
	if r.Made && !there && r.State != Failed {
		return fmt.Sprintf("it is %s, and its machine %s is not there", r.State, r.Machine), nil
	}
	return "", nil
}

// leftTask says that a task of a node is left of a state that has ended, "" if it is not.
func (b *Builders) leftTask(ctx context.Context, node string, key store.Key) (string, error) {
	of, step, err := ofTask(key.ID)
	if err == nil {
		var r *Builder
		r, _, err = b.get(ctx, of)
		if err == nil && r.busy(step, node) {
			return "", nil
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return "", err
		}
	}
	return "no image builder is in the state that it is to end", nil
}

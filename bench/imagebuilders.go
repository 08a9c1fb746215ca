package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"souk/artifact/machine"
)

// Targets of image builders.
const (
	createOfBuilder    = 200 // milliseconds, at most
	stopStartOfBuilder = 300
)

const (
	builderRounds = 25
	imageRounds   = 5  // the rounds in which an image is made, too
	manyBuilders  = 50 // at once
	manyCalls     = 8  // clients that ask for them
)

// Names of the rows.
const (
	rowKeptMachine = "image builder: create and start of its machine alone"
	rowCreate      = "image builder: CreateImageBuilder until RUNNING, image in the cache"
	rowExec        = "image builder: the first exec, answered"
	rowStopStart   = "image builder: StopImageBuilder and StartImageBuilder, each until its state"
	rowImage       = "image builder: create-image until AVAILABLE, a package installed"
)

// imageBuilders measures image builders: one after the other, and many at once.
func (b *bench) imageBuilders(ctx context.Context) error {
	base, err := b.onBase(ctx, rowCreate, "runc")
	if base == "" || err != nil {
		return err
	}
	err = b.keptMachines(ctx, base)
	if err != nil {
		return fmt.Errorf("kept machines: %w", err)
	}
	s, err := b.newStudio(ctx, base)
	if err != nil {
		return err
	}
	defer s.shut()
	err = b.oneByOne(ctx, s)
	if err != nil {
		return err
	}
	return b.manyAtOnce(ctx, s)
}

// keptMachines measures what of an image builder is its machine, without a market.
func (b *bench) keptMachines(ctx context.Context, base string) (err error) {
	y, err := b.newYard(base, "kept")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, y.close()) }()
	var all []time.Duration
	for i := range builderRounds + 1 {
		ran, _, err := y.once(ctx, machine.Spec{Kept: true, Sudo: true}, nil)
		if err != nil {
			return err
		}
		if i > 0 { // the first unpacks the layer
			all = append(all, ran)
		}
	}
	b.table.add(rowKeptMachine, median(all), "ms", fmt.Sprintf("median of %d; with a disk that outlives a loss of power", builderRounds))
	b.table.least(rowRunc, 0)
	return nil
}

// oneByOne measures one image builder at a time.
func (b *bench) oneByOne(ctx context.Context, s *studio) error {
	var created, first, again, made []time.Duration
	for i := range builderRounds {
		name := fmt.Sprintf("one-%d", i)
		for _, step := range []struct {
			all    *[]time.Duration
			rounds int
			do     func() (time.Duration, error)
		}{
			{&created, builderRounds, func() (time.Duration, error) { return s.create(ctx, name) }},
			{&first, builderRounds, func() (time.Duration, error) { return s.exec(ctx, name, nil, "true") }},
			{&again, builderRounds, func() (time.Duration, error) { return s.stopAndStart(ctx, name) }},
			{&made, imageRounds, func() (time.Duration, error) {
				err := s.install(ctx, name)
				if err != nil {
					return 0, err
				}
				return s.image(ctx, name, fmt.Sprintf("image-%d", i))
			}},
		} {
			if i >= step.rounds {
				continue
			}
			took, err := step.do()
			if err != nil {
				return err
			}
			*step.all = append(*step.all, took)
		}
		err := s.change(ctx, "DeleteImageBuilder", name, gone)
		if err != nil {
			return err
		}
	}
	rounds := fmt.Sprintf("median of %d, as the client sees it", builderRounds)
	b.table.add(rowCreate, median(created), "ms", rounds)
	b.table.least(rowKeptMachine, 0)
	b.table.add(rowCreate, median(created), "ms", "")
	b.table.most("", createOfBuilder)
	b.table.add(rowExec, median(first), "ms", rounds+"; true, in a session of its own, of a client that runs already")
	b.table.least(rowRunc, 0)
	b.table.add(rowStopStart, median(again), "ms", rounds)
	b.table.most("", stopStartOfBuilder)
	b.table.add(rowImage, median(made), "ms", fmt.Sprintf("median of %d; dpkg -i of %d files before", imageRounds, productFiles))
	return nil
}

// manyAtOnce measures many image builders together: all are made, work, are stopped
// and deleted. What fails is counted; a step in which something did is the last.
func (b *bench) manyAtOnce(ctx context.Context, s *studio) error {
	row := func(what string) string { return fmt.Sprintf("%d image builders at once: %s", manyBuilders, what) }
	idle, err := familyMemory(s.PID())
	if err != nil {
		return err
	}
	call := func(operation string) func(name string) error {
		return func(name string) error { return s.ask(ctx, operation, map[string]any{"Name": name}, nil) }
	}
	for _, step := range []struct {
		name  string
		do    func(name string) error
		state string // in which all are in the end
		note  string
		then  func() error
	}{
		{"created, until all are RUNNING", func(name string) error { return s.begin(ctx, name) }, running, fmt.Sprintf("asked for by %d clients", manyCalls), nil},
		{"a program in each", func(name string) error {
			_, err := s.exec(ctx, name, nil, "sh", "-c", "echo one >/root/one && sync")
			return err
		}, running, fmt.Sprintf("%d at a time; it writes, and syncs", manyCalls), func() error { return b.takenByMany(s, row, idle) }},
		{"stopped, until all are STOPPED", call("StopImageBuilder"), stopped, "", nil},
		{"deleted, until all are gone", call("DeleteImageBuilder"), gone, "", nil},
	} {
		began := time.Now()
		wrong := withMany(step.do)
		if len(wrong) == 0 {
			err := s.reach(ctx, step.state)
			if err != nil {
				wrong = append(wrong, err)
			}
		}
		took := milliseconds(time.Since(began))
		if len(wrong) > 0 {
			b.table.add(row("failures"), float64(len(wrong)), "", fmt.Sprintf("of %s; what comes after it was not measured", step.name))
			b.table.most("", 0)
			return fmt.Errorf("%s: %w", row(step.name), wrong[0])
		}
		b.table.add(row(step.name), took, "ms", strings.Trim(fmt.Sprintf("%.0f ms for each; %s", took/manyBuilders, step.note), "; "))
		if step.then != nil {
			err := step.then()
			if err != nil {
				return err
			}
		}
	}
	b.table.add(row("failures"), 0, "", "of all these steps: the bench ends after one that has any")
	b.table.most("", 0)
	return nil
}

// withMany does something with each of many image builders, some at a time, and
// returns what went wrong.
func withMany(do func(name string) error) (wrong []error) {
	errs := make(chan error, manyBuilders)
	var g errgroup.Group
	g.SetLimit(manyCalls)
	for i := range manyBuilders {
		g.Go(func() error {
			errs <- do(fmt.Sprintf("many-%d", i))
			return nil
		})
	}
	_ = g.Wait() // the errors are in the channel
	close(errs)
	for err := range errs {
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	return wrong
}

// takenByMany adds rows with what many image builders have of memory and disk. idle
// is the memory before there were any.
func (b *bench) takenByMany(s *studio, row func(string) string, idle int64) error {
	memory, err := familyMemory(s.PID())
	if err != nil {
		return err
	}
	disk, err := taken(filepath.Join(s.folder, "compute", "machines"))
	if err != nil {
		return err
	}
	b.table.add(row("memory of the server and all agents"), float64(memory)/1e6, "MB", fmt.Sprintf("%.1f MB for each; the server alone had %.1f MB before", float64(memory-idle)/1e6/manyBuilders, float64(idle)/1e6))
	b.table.add(row("disk that they take"), float64(disk)/1e6, "MB", fmt.Sprintf("%.1f MB for each", float64(disk)/1e6/manyBuilders))
	return nil
}

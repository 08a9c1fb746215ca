package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"souk/artifact/images"
	"souk/artifact/layer"
	"souk/artifact/machine"
	"souk/artifact/machine/sandbox"
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
	base, err := debianBase()
	if err != nil {
		return fmt.Errorf("looking for the base: %w", err)
	}
	if base == "" {
		b.table.absent(rowCreate, "there is no base: make setup makes one, or SOUK_DEBIAN_BASE names a tar of mmdebstrap --variant=minbase")
		return nil
	}
	if os.Geteuid() != 0 {
		b.table.absent(rowCreate, "runc, beside which it is measured, needs root: run the bench as root")
		return nil
	}
	if b.table.value(rowMachine) == 0 {
		err = b.machines(ctx, base)
		if err != nil {
			return fmt.Errorf("machines: %w", err)
		}
	}
	err = b.keptMachines(ctx, base)
	if err != nil {
		return fmt.Errorf("kept machines: %w", err)
	}
	s, err := b.newStudio(ctx, base)
	if err != nil {
		return err
	}
	defer func() { _ = s.market.Stop() }() // how it ends is no measurement
	err = b.oneByOne(ctx, s)
	if err != nil {
		return err
	}
	return b.manyAtOnce(ctx, s)
}

// keptMachines measures what of an image builder is its machine, without a market.
func (b *bench) keptMachines(ctx context.Context, base string) (err error) {
	folder := filepath.Join(b.folder, "kept")
	shift, rootless := sandbox.Layers(0)
	cache, err := layer.New(layer.Config{Root: filepath.Join(folder, "layers"), Shift: shift, Rootless: rootless})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cache.Close()) }()
	program, err := machineProgram()
	if err != nil {
		return err
	}
	provider, err := sandbox.New(sandbox.Config{Root: filepath.Join(folder, "machines"), Cache: cache, Binary: program})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, provider.Close()) }()
	stack, err := baseLayer(base, filepath.Join(folder, "base.tar.gz"))
	if err != nil {
		return fmt.Errorf("packing the base: %w", err)
	}
	var all []time.Duration
	for i := range builderRounds + 1 {
		took, err := keptOnce(ctx, provider, stack)
		if err != nil {
			return err
		}
		if i > 0 { // the first unpacks the layer
			all = append(all, took)
		}
	}
	b.table.add(rowKeptMachine, median(all), "ms", fmt.Sprintf("median of %d; with a disk that outlives a loss of power", builderRounds))
	b.table.least(rowRunc, 0)
	return nil
}

// keptOnce makes a machine that is kept, until it runs, and removes it.
func keptOnce(ctx context.Context, p machine.Provider, stack []images.Layer) (time.Duration, error) {
	const id = "kept"
	began := time.Now()
	err := p.Create(ctx, id, machine.Spec{Layers: stack, Kept: true, Sudo: true})
	if err == nil {
		err = p.Start(ctx, id)
	}
	took := time.Since(began)
	return took, errors.Join(err, p.Delete(ctx, id))
}

// oneByOne measures one image builder at a time.
func (b *bench) oneByOne(ctx context.Context, s *studio) error {
	var created, first, again, made []time.Duration
	for i := range builderRounds {
		name := fmt.Sprintf("one-%d", i)
		for _, step := range []struct {
			all *[]time.Duration
			do  func() (time.Duration, error)
		}{
			{&created, func() (time.Duration, error) { return s.create(ctx, name) }},
			{&first, func() (time.Duration, error) { return s.exec(ctx, name, nil, "true") }},
			{&again, func() (time.Duration, error) { return s.stopAndStart(ctx, name) }},
			{&made, func() (time.Duration, error) {
				err := s.install(ctx, name)
				if err != nil {
					return 0, err
				}
				return s.image(ctx, name, fmt.Sprintf("image-%d", i))
			}},
		} {
			if step.all == &made && i >= imageRounds {
				continue
			}
			took, err := step.do()
			if err != nil {
				return err
			}
			*step.all = append(*step.all, took)
		}
		_, err := s.remove(ctx, name)
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
// and deleted. The first failure ends it.
func (b *bench) manyAtOnce(ctx context.Context, s *studio) error {
	name := func(what string) string { return fmt.Sprintf("%d image builders at once: %s", manyBuilders, what) }
	idle, err := s.memory()
	if err != nil {
		return err
	}
	var tenants []string
	for i := range manyBuilders {
		tenants = append(tenants, fmt.Sprintf("many-%d", i))
	}
	each := func(do func(ctx context.Context, name string) error) func() error {
		return func() error {
			g, ctx := errgroup.WithContext(ctx)
			g.SetLimit(manyCalls)
			for _, t := range tenants {
				g.Go(func() error { return do(ctx, t) })
			}
			return g.Wait()
		}
	}
	call := func(operation string) func() error {
		return each(func(ctx context.Context, name string) error {
			return s.ask(ctx, operation, map[string]any{"Name": name}, &struct{}{})
		})
	}
	for _, step := range []struct {
		name, state string // state: in which all are in the end; "": they are gone
		do          func() error
		note        string
	}{
		{"created, until all are RUNNING", "RUNNING", each(s.begin), fmt.Sprintf("asked for by %d clients", manyCalls)},
		{"a program in each", "RUNNING", each(func(ctx context.Context, name string) error {
			_, err := s.exec(ctx, name, nil, "sh", "-c", "echo one >/root/one && sync")
			return err
		}), fmt.Sprintf("%d at a time; it writes, and syncs", manyCalls)},
		{"stopped, until all are STOPPED", "STOPPED", call("StopImageBuilder"), ""},
		{"deleted, until all are gone", "", call("DeleteImageBuilder"), ""},
	} {
		began := time.Now()
		err := step.do()
		if err == nil {
			err = s.allAre(ctx, step.state)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name(step.name), err)
		}
		took := time.Since(began)
		b.table.add(name(step.name), milliseconds(took), "ms", strings.Trim(fmt.Sprintf("%.0f ms for each; %s", milliseconds(took)/manyBuilders, step.note), "; "))
		if step.name != "a program in each" {
			continue
		}
		all, err := s.memory()
		if err != nil {
			return err
		}
		disk, err := taken(filepath.Join(s.market.folder, "compute", "machines"))
		if err != nil {
			return err
		}
		b.table.add(name("memory of the server and all agents"), float64(all)/1e6, "MB", fmt.Sprintf("%.1f MB for each; the server alone had %.1f MB before", float64(all-idle)/1e6/manyBuilders, float64(idle)/1e6))
		b.table.add(name("disk that they take"), float64(disk)/1e6, "MB", fmt.Sprintf("%.1f MB for each", float64(disk)/1e6/manyBuilders))
	}
	b.table.add(name("failures"), 0, "", "the bench ends at the first")
	b.table.most("", 0)
	return nil
}

// allAre waits until all image builders are in a state, or gone.
func (s *studio) allAre(ctx context.Context, state string) error {
	return until(ctx, func() (bool, error) {
		shown, err := s.all(ctx)
		if err != nil {
			return false, err
		}
		there := 0
		for _, is := range shown {
			if is.State == "FAILED" || is.State == "STOPPED" && state == "RUNNING" {
				return false, fmt.Errorf("image builder %s is %s: %s", is.Name, is.State, is.StateChangeReason.Message)
			}
			if is.State == state {
				there++
			}
		}
		return there == len(shown) && (state == "") == (len(shown) == 0), nil
	})
}

// memory is what the server and what it has started have of the memory, in bytes:
// what several share is counted once.
func (s *studio) memory() (total int64, err error) {
	family := map[int]bool{s.market.PID(): true}
	for grown := true; grown; {
		grown = false
		entries, err := filepath.Glob("/proc/[0-9]*/stat")
		if err != nil {
			return 0, err
		}
		for _, e := range entries {
			text, err := os.ReadFile(e)
			if err != nil {
				continue // it has ended
			}
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(e)))
			_, rest, _ := strings.Cut(string(text), ") ")
			fields := strings.Fields(rest)
			if len(fields) < 2 || family[pid] {
				continue
			}
			parent, _ := strconv.Atoi(fields[1])
			if family[parent] {
				family[pid], grown = true, true
			}
		}
	}
	for pid := range family {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("reading the memory of %d: %w", pid, err)
		}
		_, rest, _ := strings.Cut(string(text), "\nPss:")
		kib, err := strconv.ParseInt(strings.Fields(rest + " 0")[0], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading the memory of %d: %w", pid, err)
		}
		total += kib << 10
	}
	return total, nil
}

// taken is what the files of a folder take of the disk, in bytes.
func taken(folder string) (total int64, err error) {
	err = filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			total += st.Blocks * 512
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measuring %s: %w", folder, err)
	}
	return total, nil
}

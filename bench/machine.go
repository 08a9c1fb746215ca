package main

import (
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"souk/artifact/images"
	"souk/artifact/layer"
	"souk/artifact/machine"
	"souk/artifact/machine/sandbox"
	"souk/conformance/souktest"
)

// Names of the rows.
const (
	rowRunc    = "machine: runc, run true and delete"
	rowMachine = "machine: create, start, run true, stop and delete"
)

const machineRounds = 15

// machines measures what a machine costs whose program does nothing, beside a
// container of runc on the same root file system.
func (b *bench) machines(ctx context.Context, base string) (err error) {
	folder := filepath.Join(b.folder, "machines")
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
	packed := filepath.Join(folder, "base.tar.gz")
	stack, err := baseLayer(base, packed)
	if err != nil {
		return fmt.Errorf("packing the base: %w", err)
	}
	runc, err := newRunc(ctx, base, folder)
	if err != nil {
		return err
	}
	_, err = once(ctx, provider, stack) // the layer is unpacked
	if err != nil {
		return err
	}
	var ours, others []time.Duration
	for range machineRounds {
		took, err := once(ctx, provider, stack)
		if err != nil {
			return err
		}
		ours = append(ours, took)
		if runc == nil {
			continue
		}
		took, err = runc.once(ctx)
		if err != nil {
			return err
		}
		others = append(others, took)
	}
	rounds := fmt.Sprintf("median of %d", machineRounds)
	if runc == nil {
		b.table.absent(rowRunc, "runc is not on this machine: apt-get install runc")
	} else {
		b.table.add(rowRunc, median(others), "ms", rounds+"; its root file system is unpacked, and read-only")
	}
	b.table.add(rowMachine, median(ours), "ms", rounds+"; with a disk of its own and all limits")
	b.table.least(rowRunc, 0)
	return nil
}

// machineProgram is souk, where it is static as a release is: machines run the same
// as those of a market then. "" has them run this program.
func machineProgram() (string, error) {
	path, err := souktest.Binary("")
	if err != nil {
		return "", err
	}
	f, err := elf.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading the program of machines: %w", err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return "", nil // it needs a loader, which no machine has to have
		}
	}
	return path, nil
}

// baseLayer packs the base as a layer.
func baseLayer(base, packed string) (stack []images.Layer, err error) {
	from, err := os.Open(base)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	to, err := os.Create(packed)
	if err != nil {
		return nil, err
	}
	l, err := images.CompressLayer(to, func(w io.Writer) error {
		_, err := io.Copy(w, from)
		return err
	})
	err = errors.Join(err, to.Close())
	if err != nil {
		return nil, err
	}
	l.File = packed
	return []images.Layer{l.Layer()}, nil
}

// once makes a machine, runs true in it, and removes it.
func once(ctx context.Context, p machine.Provider, stack []images.Layer) (time.Duration, error) {
	const id = "bench"
	began := time.Now()
	err := p.Create(ctx, id, machine.Spec{Layers: stack})
	if err == nil {
		err = p.Start(ctx, id)
	}
	var exit machine.Exit
	if err == nil {
		exit, err = p.Exec(ctx, id, machine.Cmd{Args: []string{"/bin/true"}})
	}
	if err == nil {
		err = p.Stop(ctx, id)
	}
	err = errors.Join(err, p.Delete(ctx, id))
	if err == nil && exit.Code != 0 {
		err = fmt.Errorf("true ended with %d", exit.Code)
	}
	return time.Since(began), err
}

// runc is a bundle of runc.
type runc struct{ state, bundle string }

// newRunc makes a bundle of the base. Where runc is not on this machine it
// returns nil.
func newRunc(ctx context.Context, base, folder string) (*runc, error) {
	if _, err := exec.LookPath("runc"); err != nil {
		return nil, nil
	}
	r := &runc{filepath.Join(folder, "runc"), filepath.Join(folder, "bundle")}
	root := filepath.Join(r.bundle, "rootfs")
	err := os.MkdirAll(root, 0o755)
	if err == nil {
		_, err = program(ctx, "tar", "-C", root, "--numeric-owner", "-xf", base)
	}
	if err == nil {
		_, err = program(ctx, "runc", "spec", "--bundle", r.bundle)
	}
	if err != nil {
		return nil, fmt.Errorf("making a bundle for runc: %w", err)
	}
	path := filepath.Join(r.bundle, "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var spec map[string]any
	err = json.Unmarshal(text, &spec)
	process, ok := spec["process"].(map[string]any)
	if err != nil || !ok {
		return nil, fmt.Errorf("reading runc's configuration: %w", err)
	}
	process["terminal"], process["args"] = false, []string{"/bin/true"}
	text, err = json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	unix.Sync()
	return r, os.WriteFile(path, text, 0o600)
}

// once runs true in a container, which is gone then.
func (r *runc) once(ctx context.Context) (time.Duration, error) {
	return program(ctx, "runc", "--root", r.state, "run", "--bundle", r.bundle, fmt.Sprintf("souk-bench-%d", os.Getpid()))
}

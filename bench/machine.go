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

// yard has machines of the base, without a market.
type yard struct {
	folder   string
	cache    *layer.Cache
	provider machine.Provider
	stack    []images.Layer // the base
}

// newYard makes a yard in a folder of the bench. Its layer is not unpacked yet.
func (b *bench) newYard(base, name string) (_ *yard, err error) {
	program, err := machineProgram()
	if err != nil {
		return nil, err
	}
	y := &yard{folder: filepath.Join(b.folder, name)}
	shift, rootless := sandbox.Layers(0)
	y.cache, err = layer.New(layer.Config{Root: filepath.Join(y.folder, "layers"), Shift: shift, Rootless: rootless})
	if err != nil {
		return nil, err
	}
	y.provider, err = sandbox.New(sandbox.Config{Root: filepath.Join(y.folder, "machines"), Cache: y.cache, Binary: program})
	if err != nil {
		return nil, errors.Join(err, y.cache.Close())
	}
	y.stack, err = baseLayer(base, filepath.Join(y.folder, "base.tar.gz"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("packing the base: %w", err), y.close())
	}
	return y, nil
}

func (y *yard) close() error { return errors.Join(y.provider.Close(), y.cache.Close()) }

// once makes a machine, has something done in it when it runs, and removes it. It
// returns how long it took until it ran, and until it was gone.
func (y *yard) once(ctx context.Context, spec machine.Spec, do func(id string) error) (ran, gone time.Duration, err error) {
	const id = "bench"
	spec.Layers = y.stack
	began := time.Now()
	err = y.provider.Create(ctx, id, spec)
	if err == nil {
		err = y.provider.Start(ctx, id)
	}
	ran = time.Since(began)
	if err == nil && do != nil {
		err = do(id)
	}
	err = errors.Join(err, y.provider.Delete(context.WithoutCancel(ctx), id))
	return ran, time.Since(began), err
}

// machines measures what a machine costs whose program does nothing, beside a
// container of runc on the same root file system.
func (b *bench) machines(ctx context.Context, base string) (err error) {
	y, err := b.newYard(base, "machines")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, y.close()) }()
	runc, err := newRunc(ctx, base, y.folder)
	if err != nil {
		return err
	}
	_, err = y.runTrue(ctx) // the layer is unpacked
	if err != nil {
		return err
	}
	var ours, others []time.Duration
	for range machineRounds {
		took, err := y.runTrue(ctx)
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

// runTrue makes a machine, runs true in it, and removes it.
func (y *yard) runTrue(ctx context.Context) (time.Duration, error) {
	_, took, err := y.once(ctx, machine.Spec{}, func(id string) error {
		exit, err := y.provider.Exec(ctx, id, machine.Cmd{Args: []string{"/bin/true"}})
		if err == nil && exit != (machine.Exit{}) {
			err = fmt.Errorf("true ended with %+v", exit)
		}
		if err != nil {
			return err
		}
		return y.provider.Stop(ctx, id)
	})
	return took, err
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
	if err != nil {
		return nil, fmt.Errorf("reading runc's configuration: %w", err)
	}
	process, ok := spec["process"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("runc's configuration has no process: %s", text)
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

package sandbox

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"souk/artifact/images"
	"souk/artifact/machine"
	"souk/artifact/machine/agent"
)

// probePrefix begins the ids of machines that Probe makes.
const probePrefix = "probe-"

// Probe implements machine.Provider: it makes a machine of an empty image and runs
// the agent's tool that does nothing.
func (s *Sandbox) Probe(ctx context.Context) (machine.Capabilities, error) {
	ctx, cancel := context.WithTimeout(ctx, patienceOfProbe)
	defer cancel()
	err := s.try(ctx)
	if err != nil {
		return machine.Capabilities{}, fmt.Errorf("%w: %w", machine.ErrUnsupported, err)
	}
	c := machine.Capabilities{
		Isolation: "namespaces",
		Rootless:  s.rootless,
		FullUIDs:  !s.rootless,
		Memory:    s.cgroups.holds("memory"),
		Pids:      s.cgroups.holds("pids") || s.rootless,
		CPU:       s.cgroups.holds("cpu"),
		Disk:      s.mkfs != "",
		Orphans:   s.cgroups.unified != "",
		Egress:    s.config.Proxy != nil,
		Seccomp:   true,
	}
	say := func(missing bool, text string) {
		if missing {
			c.Missing = append(c.Missing, text)
		}
	}
	say(!c.FullUIDs, "Machines have no user but root, since the server is not root: packages that make users can't be installed.")
	for _, l := range []struct {
		held bool
		name string
	}{{c.Memory, "memory"}, {c.Pids, "processes"}, {c.CPU, "processors"}} {
		why := "the server may make no control group for it"
		if !s.rootless {
			why = "the kernel has no control group for it, or it is not mounted"
		}
		say(!l.held, fmt.Sprintf("How much %s machines take is not limited: %s.", l.name, why))
	}
	switch {
	case s.rootless:
		say(!c.Disk, "How much of the disk machines take is not limited, since the server is not root.")
	default:
		say(!c.Disk, "How much of the disk machines take is not limited: there are no loop devices, or no mkfs.ext4 (Debian's package e2fsprogs).")
	}
	say(!c.Orphans, "What a program left in the background is ended when its machine stops, not when the program is ended: there is no control group (version 2) for it.")
	return c, nil
}

// try runs a program in a machine.
func (s *Sandbox) try(ctx context.Context) (err error) {
	id := probePrefix + strings.ToLower(rand.Text()[:10])
	l, err := emptyLayer()
	if err != nil {
		return err
	}
	err = s.Create(ctx, id, machine.Spec{Layers: []images.Layer{l}, Memory: 256 << 20, Disk: 16 << 20, Purpose: "probe"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Delete(context.WithoutCancel(ctx), id)) }()
	err = s.Start(ctx, id)
	if err != nil {
		return err
	}
	var complaint strings.Builder
	exit, err := s.Exec(ctx, id, machine.Cmd{Args: agent.Nothing(), Tool: true, Stderr: &complaint})
	if err != nil {
		return err
	}
	if exit.Code != 0 {
		return fmt.Errorf("a program that does nothing ended with %d: %s", exit.Code, complaint.String())
	}
	return nil
}

// emptyLayer is a layer with nothing but a folder.
func emptyLayer() (images.Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "proc/", Mode: 0o755})
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return images.Layer{}, err
	}
	sum := sha256.Sum256(b.Bytes())
	digest := "sha256:" + hex.EncodeToString(sum[:])
	return images.NewLayer(images.Layer{Digest: digest, DiffID: digest, MediaType: "application/vnd.oci.image.layer.v1.tar", Size: int64(b.Len())},
		func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }), nil
}

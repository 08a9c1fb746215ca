package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"souk/storage/store"
	"souk/storage/work"
)

// This file has what happens to an AMI whose image is too large to be read while
// its owner waits for an answer: it is pending, and its record is work that a
// node claims. The node reads all layers and writes what came of it. A node that
// dies leaves a lease that runs out, and another reads the layers anew.

// DefaultAtOnce is how many bytes of layers are read before RegisterImage
// answers: 10 s of a small machine.
const DefaultAtOnce = 512 << 20

const (
	// atOnceTime is for how long they are read at most: small layers may hold
	// much. A request has 50 s.
	atOnceTime = 20 * time.Second
	// atATime is how many AMIs a node reads at a time.
	atATime = 2
	// maxTries is how often reading may end without an end: that many crashes
	// are no accident, and failures of ours should have passed.
	maxTries = 10
	// maxPending bounds the work that an account leaves to the market.
	maxPending = 20
)

// pendingIndex counts an account's pending AMIs.
const pendingIndex = "pending"

// Reason says why an AMI is in its state (ec2 StateReason).
type Reason struct {
	Code    string // such as Client.InvalidManifest or Server.InternalError; pending while it is
	Message string
}

// Run reads the images of pending AMIs until ctx ends.
func (m *Images) Run(ctx context.Context) error { return m.runner.Run(ctx) }

func (m *Images) newRunner() (*work.Runner, error) {
	owner := m.config.Node
	if owner == "" {
		id, err := m.newID()
		if err != nil {
			return nil, fmt.Errorf("naming this node: %w", err)
		}
		owner = "node-" + strings.TrimPrefix(id, "ami-")
	}
	return work.New(work.Config{
		Store: m.config.Store, Kind: KindAMI, Owner: owner, Do: m.settle, Most: atATime, Log: m.config.Log,
		Lease: m.config.Lease,
	}), nil
}

// atOnce says how large an image's layers are, and whether that is little enough to
// read them while somebody waits.
func (m *Images) atOnce(i Image) (size int64, ok bool) {
	for _, l := range i.Layers {
		size += l.Size
	}
	return size, size <= m.config.AtOnce
}

// settle ends what is pending: the handler of the runner.
func (m *Images) settle(ctx context.Context, t *work.Task) {
	log := m.config.Log.With("ami", t.ID)
	var a AMI
	err := json.Unmarshal(t.Body, &a)
	if err != nil {
		log.Error("images: a pending AMI can't be read", "error", err)
		return
	}
	a.Tries++
	if a.Tries > maxTries {
		m.fail(ctx, t, a, "Server.InternalError", fmt.Sprintf("The image could not be read in %d tries", maxTries))
		return
	}
	// The try is written down before it is made: it may end this process.
	if !m.write(ctx, t, a, t.Lease()) {
		return
	}
	var done atomic.Int64
	renew := func() (store.Write, error) {
		at := a
		at.Read = done.Load()
		d, err := at.document()
		return store.Write{Document: d}, err
	}
	var got verified
	err = t.Hold(ctx, renew, func(ctx context.Context) error {
		all, err := m.Images(ctx, a.Repository, a.Digest)
		if err != nil {
			return err
		}
		if len(all) != 1 {
			return bad("it is an index of %d images", len(all))
		}
		got, err = verify(ctx, all[0].counted(&done), m.config.Limits.Archive)
		return err
	})
	switch {
	case errors.Is(err, work.ErrLost), err != nil && ctx.Err() != nil:
		// It is gone, another has it, or will: this node is stopping.
	case errors.Is(err, ErrBadImage), errors.Is(err, ErrNoImage):
		log.Info("images: a pending AMI failed", "error", err)
		m.fail(ctx, t, a, "Client.InvalidManifest", err.Error())
	case err != nil:
		log.Error("images: reading a pending AMI failed", "try", a.Tries, "error", err)
		m.write(ctx, t, a, m.runner.Now().Add(time.Duration(a.Tries)*backOff))
	default:
		a.State, a.StateReason, a.Tries, a.Read = StateAvailable, nil, 0, 0
		got.into(&a)
		m.write(ctx, t, a, time.Time{})
	}
}

// backOff is how much longer each try waits than the one before.
const backOff = 5 * time.Second

// fail ends a pending AMI: its owner sees why, until it is deregistered.
func (m *Images) fail(ctx context.Context, t *work.Task, a AMI, code, message string) {
	a.State, a.StateReason, a.Tries, a.Read = StateFailed, &Reason{code, message}, 0, 0
	m.write(ctx, t, a, time.Time{})
}

// write puts an AMI that is work; due says when it is work again, the zero time
// never. Where another has written it, or nothing can be written now, whoever
// claims it next goes on.
func (m *Images) write(ctx context.Context, t *work.Task, a AMI, due time.Time) (ok bool) {
	d, err := a.document()
	if err == nil {
		d.Due, d.Owner = due, t.Owner
		err = m.config.Store.Commit(context.WithoutCancel(ctx), store.Batch{Put: []store.Write{{Document: d, Was: t.Revision}}})
	}
	if err != nil {
		if !errors.Is(err, store.ErrConflict) {
			m.config.Log.Error("images: writing a pending AMI failed", "ami", a.ID, "error", err)
		}
		return false
	}
	t.Revision++
	t.Due = due
	return true
}

// counted is an image whose layers count what is read of them.
func (i Image) counted(done *atomic.Int64) Image {
	layers := i.Layers
	i.Layers = nil
	for _, l := range layers {
		open := l.open
		l.open = func(ctx context.Context) (io.ReadCloser, error) {
			r, err := open(ctx)
			if err != nil {
				return nil, err
			}
			return tallied{r, done}, nil
		}
		i.Layers = append(i.Layers, l)
	}
	return i
}

type tallied struct {
	io.ReadCloser
	done *atomic.Int64
}

func (t tallied) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.done.Add(int64(n))
	return n, err
}

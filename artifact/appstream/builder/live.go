package builder

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"souk/artifact/machine"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// occupied is a machine that runs on this node.
type occupied struct {
	key     store.Key // of the builder
	machine string
	open    int           // sessions
	used    time.Time     // when the last one ended, or the machine began
	left    chan struct{} // closed when it is to end
	quiet   chan struct{} // closed when there is no session; nil: nobody waits for that
	// answered is closed when the program that last asked for something has its
	// answer; nil: none has.
	answered <-chan struct{}
}

// occupy notes that a builder's machine runs.
func (b *Builders) occupy(r *Builder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.live[r.Machine] == nil {
		b.live[r.Machine] = &occupied{key: r.key(), machine: r.Machine, used: b.config.Now(), left: make(chan struct{})}
	}
}

// leave notes that a machine is to end: its end is no surprise.
func (b *Builders) leave(machine string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if o := b.live[machine]; o != nil {
		close(o.left)
		delete(b.live, machine)
	}
}

// all are the machines that run on this node.
func (b *Builders) all() []occupied {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []occupied
	for _, o := range b.live {
		all = append(all, *o)
	}
	return all
}

// Session is a stay in the machine of a builder. While one is open the builder does
// not idle.
type Session struct {
	builders *Builders
	at       *occupied
	over     bool // guarded by builders.mu
}

// Elsewhere is the error for a builder whose machine another node has.
type Elsewhere struct {
	Node string
	URL  string // how other nodes reach it; "" if nobody has said
}

func (e *Elsewhere) Error() string {
	return "the machine of the image builder is on node " + e.Node
}

// Locate says which node has the machine of a builder that is RUNNING, and how other
// nodes reach it. Its errors that a caller may see are ResourceNotFoundException,
// OperationNotPermittedException where the builder does not run, and
// ResourceNotAvailableException where its node is away.
func (b *Builders) Locate(ctx context.Context, account, region, name string) (node, url string, err error) {
	r, err := b.runs(ctx, account, region, name)
	if err != nil {
		return "", "", err
	}
	if r.Node == b.config.Node {
		return r.Node, b.config.URL, nil
	}
	n, err := b.node(ctx, r.Node)
	if errors.Is(err, store.ErrNotFound) || err == nil && b.dead(n) {
		return "", "", apierror.New("ResourceNotAvailableException", "The image builder %s is not available: the server that has its machine does not run.", name)
	}
	return n.ID, n.URL, err
}

// runs reads a builder that is RUNNING.
func (b *Builders) runs(ctx context.Context, account, region, name string) (*Builder, error) {
	err := b.ready(ctx)
	if err != nil {
		return nil, err
	}
	r, err := b.named(ctx, account, region, name)
	if err == nil && r.State != Running {
		return nil, notRunning(r)
	}
	return r, err
}

// Enter opens a session in the machine of a builder that is RUNNING. Its errors are
// those of Locate, and *Elsewhere where another node has the machine.
func (b *Builders) Enter(ctx context.Context, account, region, name string) (*Session, error) {
	r, err := b.runs(ctx, account, region, name)
	if err != nil {
		return nil, err
	}
	if r.Node != b.config.Node {
		node, url, err := b.Locate(ctx, account, region, name)
		if err != nil {
			return nil, err
		}
		return nil, &Elsewhere{Node: node, URL: url}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.live[r.Machine]
	if o == nil {
		return nil, apierror.New("OperationNotPermittedException", "The machine of the image builder %s has just ended. The image builder must be in a RUNNING state for this action to succeed.", name)
	}
	o.open++
	return &Session{builders: b, at: o}, nil
}

func notRunning(r *Builder) error {
	return apierror.New("OperationNotPermittedException", "The image builder %s is %s. The image builder must be in a RUNNING state for this action to succeed.", r.Name, r.State)
}

// Exec runs a program in the machine, as machine.Provider does.
func (s *Session) Exec(ctx context.Context, c machine.Cmd) (machine.Exit, error) {
	exit, err := s.builders.config.Machines.Exec(ctx, s.at.machine, c)
	if err != nil {
		return exit, fmt.Errorf("running a program in the machine of image builder %s: %w", s.at.key.ID, err)
	}
	return exit, nil
}

// Close ends the session. It may be called again.
func (s *Session) Close() {
	b := s.builders
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.over {
		return
	}
	s.over = true
	s.at.open--
	s.at.used = b.config.Now()
	if s.at.open == 0 && s.at.quiet != nil {
		close(s.at.quiet)
		s.at.quiet = nil
	}
}

// farewell is how long a program that has its machine end may take, once it has its
// answer, to say so to who started it.
const farewell = 3 * time.Second

// part waits until the program in a machine that wants the machine to end has its
// answer, and a moment for the sessions in it: whoever ran that program is told that
// it went well.
func (b *Builders) part(ctx context.Context, r *Builder) {
	if !r.Inside {
		return
	}
	b.mu.Lock()
	o := b.live[r.Machine]
	if o == nil {
		b.mu.Unlock()
		return
	}
	answered, quiet := o.answered, make(chan struct{})
	switch {
	case o.open == 0:
		close(quiet)
	case o.quiet != nil:
		quiet = o.quiet
	default:
		o.quiet = quiet
	}
	b.mu.Unlock()
	if answered != nil {
		select {
		case <-answered: // at the latest some seconds after Assist
		case <-ctx.Done():
			return
		}
	}
	late := time.NewTimer(farewell)
	defer late.Stop()
	select {
	case <-quiet:
	case <-late.C:
	case <-ctx.Done():
	}
}

// watch waits for the end of a machine. One that nobody has asked to end is started
// again.
func (b *Builders) watch(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o, running := b.live[id], b.running
	if o == nil || running == nil || running.Err() != nil {
		return
	}
	b.watches.Add(1)
	go func() {
		defer b.watches.Done()
		ctx, cancel := context.WithCancel(running)
		defer cancel()
		go func() {
			select {
			case <-o.left:
				cancel()
			case <-ctx.Done():
			}
		}()
		err := b.config.Machines.Wait(ctx, id)
		select {
		case <-o.left: // it was to end
			return
		case <-ctx.Done(): // this node ends
			return
		default:
		}
		if err != nil {
			b.config.Log.Warn("image builders: a machine can't be waited for", "machine", id, "error", err)
		}
		b.fell(running, o)
	}()
}

// short is how soon a machine ends again that is of no use.
const short = time.Minute

// fell has a machine that ended by itself started again, once. One that ends soon
// again is left alone.
func (b *Builders) fell(ctx context.Context, o *occupied) {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		err := b.settle(ctx, o.key, func(r *Builder) (store.Batch, error) {
			if r.State != Running || r.Machine != o.machine {
				return store.Batch{}, errAsItIs
			}
			now := b.now()
			if !r.Ended.IsZero() && now.Sub(r.Ended) < short {
				b.enter(r, Stopping, &Reason{InternalError, "Its machine ended by itself, was started again, and ended again."})
				return store.Batch{}, nil
			}
			r.Ended = now
			b.enter(r, Rebooting, nil)
			return store.Batch{}, nil
		})
		if err == nil {
			return
		}
		b.config.Log.Error("image builders: a machine ended by itself, and that can't be written down yet", "builder", o.key.ID, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// rest stops the builders in which nobody has worked for too long.
func (b *Builders) rest(ctx context.Context) error {
	idle := b.config.Idle()
	if idle <= 0 {
		return nil
	}
	var all []error
	for _, o := range b.all() {
		if o.open > 0 || b.config.Now().Sub(o.used) < idle {
			continue
		}
		all = append(all, b.settle(ctx, o.key, func(r *Builder) (store.Batch, error) {
			if r.State != Running || r.Machine != o.machine || b.inUse(o.machine) {
				return store.Batch{}, errAsItIs
			}
			b.enter(r, Stopping, &Reason{Message: fmt.Sprintf("Nobody has worked in it for %s.", idle)})
			return store.Batch{}, nil
		}))
	}
	return errors.Join(all...)
}

// inUse says whether somebody has a session in a machine.
func (b *Builders) inUse(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.live[id]
	return o != nil && o.open > 0
}

// Live are the ids of the machines that run on this node.
func (b *Builders) Live() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.live))
}

// begin settles what an earlier run has left, and lets callers in. The store may not
// answer at once: it is tried until it does.
func (b *Builders) begin(ctx context.Context) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := b.recover(ctx)
		if err == nil {
			err = b.rise(ctx)
		}
		if err == nil {
			close(b.started)
			return nil
		}
		if ctx.Err() != nil { // the server ends
			return context.Cause(ctx)
		}
		b.config.Log.Error("image builders: what an earlier run has left can't be settled yet", "error", err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// sweep removes layers that were being written when an earlier run ended.
func (b *Builders) sweep() error {
	err := os.RemoveAll(b.config.Folder)
	if err != nil {
		return fmt.Errorf("removing layers of snapshots that an earlier run has left: %w", err)
	}
	return nil
}

// Run looks at what an earlier run has left, and works until ctx ends. What is
// under way then is begun again at the next start.
func (b *Builders) Run(ctx context.Context) error {
	b.mu.Lock()
	b.running = ctx
	b.mu.Unlock()
	defer b.watches.Wait()
	err := b.sweep()
	if err == nil {
		err = b.begin(ctx)
	}
	if err != nil && ctx.Err() == nil {
		return err
	}
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		b.keep(ctx)
	}()
	defer func() { <-beating }()
	return b.runner.Run(ctx)
}

// keep beats until ctx ends, looks for dead nodes and for builders that idle.
func (b *Builders) keep(ctx context.Context) {
	tick := time.NewTicker(b.config.Beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := errors.Join(b.beat(ctx), b.bury(ctx), b.rest(ctx))
		if err != nil && ctx.Err() == nil {
			b.config.Log.Error("image builders: looking after nodes and idle builders failed, and is done again", "error", err)
		}
	}
}

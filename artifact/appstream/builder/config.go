package builder

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"souk/artifact/appstream/image"
	"souk/artifact/appstream/resource"
	"souk/artifact/images"
	"souk/artifact/machine"
	"souk/storage/store"
	"souk/storage/work"
)

// Images are the images of AppStream: *image.Images.
type Images interface {
	// Usable finds an image for a builder of an account. Its errors are those that
	// the caller of CreateImageBuilder may see.
	Usable(ctx context.Context, account, region, nameOrARN string) (image.Image, error)
	// Begin checks what an image is to be; its batch makes it, PENDING.
	Begin(ctx context.Context, b image.Beginning) (image.Image, store.Batch, error)
	// Finish pushes an image; its batch makes it AVAILABLE.
	Finish(ctx context.Context, i image.Image, l *images.LayerFile) (store.Batch, error)
	// Fail is the batch that makes an image FAILED. Of one that has ended already the
	// error of both is image.ErrSettled.
	Fail(ctx context.Context, i image.Image, why image.Reason) (store.Batch, error)
	// Committed tells of the images of such a batch, after it was committed.
	Committed(batch store.Batch)
	// Refusal is what the failure of a commit with the batch of Begin means to who
	// wants the image.
	Refusal(i image.Image, err error) error
}

// Layers gives the layers of an image in the registry: *images.Images.
type Layers interface {
	Images(ctx context.Context, repository, digest string) ([]images.Image, error)
}

// Size is what a machine of an instance type has.
type Size struct {
	CPU    int   // thousandths of a processor
	Memory int64 // bytes
	// Graphics: the type has a graphics processor, which no image here can use.
	Graphics bool
}

// Errors of Config.Role, to be tested with errors.Is.
var (
	ErrNoRole    = errors.New("there is no such role")
	ErrUntrusted = errors.New("the role does not trust the service")
)

// Defaults of Config.
const (
	DefaultMost = 10 // builders of an account in a region
	DefaultBeat = 10 * time.Second
	DefaultDead = time.Minute
	atOnce      = 64 // transitions that a node works on
)

// Config says what Builders works with. All of the first part is needed.
type Config struct {
	Store  store.Store
	Images Images
	Layers Layers
	Keys   resource.Sealer
	// Node is this node's name, the same at each start: its machines lie in a folder
	// of its own.
	Node string
	// Folder is where layers of snapshots are written. What is in it belongs to this
	// process.
	Folder string

	// Machines makes machines; nil: there are none, and builders that would need one
	// fail and say so.
	Machines machine.Provider
	// URL is how other nodes reach this one.
	URL string
	// AgentVersion is that of the agent of machines, which is a part of this program.
	AgentVersion string
	// InstanceType finds an instance type. Nil: there is every one, of machine's defaults.
	InstanceType func(name string) (Size, bool)
	// Network says what stands in the way of the network of a builder that has one:
	// none, and it can be had. Nil: nothing ever does.
	Network func(ctx context.Context, b *Builder) ([]resource.Error, error)
	// Directory says what stands in the way of joining a directory. Nil: nothing.
	Directory func(ctx context.Context, account, region string, d Domain) ([]resource.Error, error)
	// Role says whether a role can be given to a builder: ErrNoRole, ErrUntrusted.
	// Nil: any can.
	Role func(ctx context.Context, account, arn string) error
	// Egress are the places that machines may reach whose builders have
	// EnableDefaultInternetAccess, as machine.Spec has them.
	Egress []string
	// Disk is what a machine may write where RootVolumeConfig says nothing; 0 means machine.DefaultDisk.
	Disk int64
	// Idle is for how long nobody may have worked in a builder before it is stopped;
	// 0 or nil: for ever.
	Idle func() time.Duration
	// Most is how many builders an account may have in a region; below 0: any
	// number. Nil means DefaultMost.
	Most func(account string) int
	// Record does what a machine asks for, by do, and keeps a record of it, in the commit
	// of what is made with do's context. do is called once, and its error returned. Nil:
	// there are no records.
	Record func(ctx context.Context, a Asked, do func(context.Context) error) error
	// Observe, if set, is told of every change of state. It must be quick.
	Observe func(Event)

	// Owner names this node in claims, anew at each start; "" is a name of chance.
	Owner string
	Lease time.Duration // of storage/work; 0 is its own default
	Beat  time.Duration // between heartbeats; 0 means DefaultBeat
	Dead  time.Duration // without a heartbeat before a node is dead; 0 means DefaultDead

	Now  func() time.Time // nil means time.Now
	Rand io.Reader        // nil means crypto/rand.Reader
	Log  *slog.Logger     // nil means slog.Default
}

// Builders is the room. Its methods may be called concurrently.
type Builders struct {
	config  Config
	runner  *work.Runner
	started chan struct{} // closed when this node has looked at what an earlier run has left

	mu      sync.Mutex           // guards what follows
	live    map[string]*occupied // by machine: those that run on this node
	running context.Context      // of Run while it runs
	watches sync.WaitGroup       // of the goroutines that look after live

	left atomic.Bool // a machine may be here that no builder has

	// The goroutine that beats alone has these.
	beaten int64 // revision of our heartbeat
	doubt  bool  // another may have settled what we have, or left was set
}

// New returns the builders of a store. Run works on them.
func New(c Config) (*Builders, error) {
	if c.Store == nil || c.Images == nil || c.Layers == nil || c.Keys == nil || c.Node == "" || c.Folder == "" {
		return nil, errors.New("opening the image builders: all of the first part of Config is needed")
	}
	if c.InstanceType == nil {
		c.InstanceType = func(string) (Size, bool) { return Size{}, true }
	}
	if c.Network == nil {
		c.Network = func(context.Context, *Builder) ([]resource.Error, error) { return nil, nil }
	}
	if c.Directory == nil {
		c.Directory = func(context.Context, string, string, Domain) ([]resource.Error, error) { return nil, nil }
	}
	if c.Role == nil {
		c.Role = func(context.Context, string, string) error { return nil }
	}
	if c.Record == nil {
		c.Record = func(ctx context.Context, _ Asked, do func(context.Context) error) error { return do(ctx) }
	}
	if c.Idle == nil {
		c.Idle = func() time.Duration { return 0 }
	}
	if c.Most == nil {
		c.Most = func(string) int { return DefaultMost }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Owner = cmp.Or(c.Owner, "node-"+rand.Text())
	c.Disk = cmp.Or(c.Disk, machine.DefaultDisk)
	c.Beat = cmp.Or(c.Beat, DefaultBeat)
	c.Dead = cmp.Or(c.Dead, DefaultDead)
	c.Rand = cmp.Or(c.Rand, rand.Reader)
	c.Log = cmp.Or(c.Log, slog.Default())
	b := &Builders{config: c, started: make(chan struct{}), live: map[string]*occupied{}}
	b.runner = work.New(work.Config{Store: c.Store, Kind: kindTask + c.Node, Owner: c.Owner, Do: b.do, Slots: atOnce, Lease: c.Lease, Log: c.Log})
	return b, nil
}

func (b *Builders) now() time.Time { return b.config.Now().UTC().Truncate(time.Millisecond) }

// newID makes a name that nothing else has.
func (b *Builders) newID() (string, error) {
	var u [12]byte
	_, err := io.ReadFull(b.config.Rand, u[:])
	if err != nil {
		return "", fmt.Errorf("making an id: %w", err)
	}
	return hex.EncodeToString(u[:]), nil
}

// ready waits until this node knows what an earlier run of it has left: nothing
// new is mistaken for that.
func (b *Builders) ready(ctx context.Context) error {
	select {
	case <-b.started:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

package image

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"time"

	"souk/artifact/appstream/resource"
	"souk/artifact/images"
	"souk/storage/blob"
	"souk/storage/store"
	"souk/storage/work"
)

// Roles says what roles may: access/organization's.
type Roles interface {
	// May says whether an account has a role of an ARN, and whether AppStream may
	// assume it and its policies allow an action on a resource.
	May(ctx context.Context, account, arn, action, resource string) (there, allowed bool, err error)
}

// Unbootable is Config.Boots' word for an image of which no machine starts.
type Unbootable struct{ Reason string }

func (e *Unbootable) Error() string { return e.Reason }

// Limits bounds what an account has. 0 means the default beside it, below 0 any number.
type Limits struct {
	Images  int // of an account in a region: DefaultImages
	Shared  int // accounts that an image is shared with: DefaultShared
	Exports int // export tasks of an account at a time: DefaultExports
}

// Defaults of Config and Limits.
const (
	DefaultImages     = 50
	DefaultShared     = 100
	DefaultExports    = 5
	DefaultAtOnce     = 2
	DefaultExportTime = 6 * time.Hour
	DefaultHistory    = 60 * 24 * time.Hour
)

// Config says what Images works with. All of the first part is needed.
type Config struct {
	Store store.Store
	AMIs  *images.Images
	Blobs *blob.Store // has the icons
	Keys  resource.Sealer
	Roles Roles

	// Repository is the repository of an account's images, NAMESPACE/appstream.
	Repository func(ctx context.Context, account string) (string, error)
	// Export makes an AMI of the account's: images.Derive.
	Export func(ctx context.Context, d images.Derivation) (images.AMI, store.Batch, error)
	// Management is the account that may make public images.
	Management func(ctx context.Context) (account string, err error)

	// InUse says what image builder was made from an image, by its ARN; "" if none
	// was. Of several it says one of the image's own account first. It is asked by
	// the image's ID: another image may have its name later. Nil: none ever is.
	InUse func(ctx context.Context, img Image) (by string, err error)
	// MayUse says why an account may not use an image with product codes of
	// another account, although that one lets it; "" if it may. Nil: all may.
	MayUse func(ctx context.Context, account string, i Image) (why string, err error)
	// Boots starts a machine of an image and stops it: an *Unbootable if it does
	// not come up, any other error if that can't be said now. instance is a type of
	// instances, "" any. Nil: nobody tries.
	Boots func(ctx context.Context, i Image, instance string) error
	// Instance says whether there is a type of instances. Nil: all there are.
	Instance func(name string) bool
	// Observe, if set, is told of every change of an image's state on this node. It
	// must be quick.
	Observe func(Event)

	AgentVersion string // of the agent that machines have
	Architecture string // of machines here, such as x86_64; "": any

	// Limits are those of an account. Nil means the defaults.
	Limits func(account string) Limits

	// Node names this node in claims, anew at each start; "" is a name of chance.
	Node       string
	AtOnce     int           // copies, imports and exports that this node works on; 0 means DefaultAtOnce
	ExportTime time.Duration // after which an export has TIMED_OUT; 0 means DefaultExportTime
	History    time.Duration // for which ended export tasks are kept; 0 means DefaultHistory
	Lease      time.Duration // of storage/work; 0 is its own default

	Now  func() time.Time // nil means time.Now
	Rand io.Reader        // nil means crypto/rand.Reader
	Log  *slog.Logger     // nil means slog.Default
}

// Event is a change of an image or of an export task on this node, told after it
// was stored.
type Event struct {
	Image string // ID of an image; TaskId of an export task
	Task  bool   // of an export task
	State string // after the change; "" for one that is gone
	Code  string // of a Reason
}

// Images is the room. Its methods may be called concurrently.
type Images struct {
	config  Config
	runner  *work.Runner // of images
	exports *work.Runner // of export tasks
}

// New returns the images of a store. Run works on those that are being made.
func New(c Config) (*Images, error) {
	if c.Store == nil || c.AMIs == nil || c.Blobs == nil || c.Keys == nil || c.Roles == nil || c.Repository == nil || c.Export == nil || c.Management == nil {
		return nil, errors.New("opening the AppStream images: all of the first part of Config is needed")
	}
	c.Node = cmp.Or(c.Node, "node-"+rand.Text())
	c.AtOnce = cmp.Or(c.AtOnce, DefaultAtOnce)
	c.ExportTime = cmp.Or(c.ExportTime, DefaultExportTime)
	c.History = cmp.Or(c.History, DefaultHistory)
	c.Rand = cmp.Or(c.Rand, rand.Reader)
	c.Log = cmp.Or(c.Log, slog.Default())
	if c.Now == nil {
		c.Now = time.Now
	}
	r := &Images{config: c}
	r.runner = work.New(work.Config{Store: c.Store, Kind: Kind, Owner: c.Node, Do: r.do, Most: c.AtOnce, Lease: c.Lease, Log: c.Log})
	r.exports = work.New(work.Config{Store: c.Store, Kind: KindTask, Owner: c.Node, Do: r.doTask, Most: c.AtOnce, Lease: c.Lease, Log: c.Log})
	return r, nil
}

// Run works on images and export tasks until ctx ends; those under way begin anew
// elsewhere or at the next start.
func (r *Images) Run(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- r.exports.Run(ctx) }()
	return errors.Join(r.runner.Run(ctx), <-ended)
}

func (r *Images) now() time.Time { return r.config.Now().UTC().Truncate(time.Millisecond) }

// limits are those of an account, with their defaults.
func (r *Images) limits(account string) Limits {
	var l Limits
	if r.config.Limits != nil {
		l = r.config.Limits(account)
	}
	return Limits{
		Images: cmp.Or(l.Images, DefaultImages), Shared: cmp.Or(l.Shared, DefaultShared), Exports: cmp.Or(l.Exports, DefaultExports),
	}
}

// newID makes the id of an image.
func (r *Images) newID() (string, error) {
	var b [9]byte
	_, err := io.ReadFull(r.config.Rand, b[:])
	if err != nil {
		return "", fmt.Errorf("making an image's id: %w", err)
	}
	return "img-" + hex.EncodeToString(b[:])[:17], nil
}

// formOfID is that of an image's id.
var formOfID = regexp.MustCompile(`^img-[0-9a-f]{17}$`)

// newTaskID makes a TaskId, a UUID of version 4.
func (r *Images) newTaskID() (string, error) {
	var u [16]byte
	_, err := io.ReadFull(r.config.Rand, u[:])
	if err != nil {
		return "", fmt.Errorf("making an export task's id: %w", err)
	}
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:], nil
}

// observe tells of a change.
func (r *Images) observe(i Image) {
	if r.config.Observe == nil {
		return
	}
	e := Event{Image: i.ID, State: string(i.State)}
	if i.Reason != nil {
		e.Code = i.Reason.Code
	}
	r.config.Observe(e)
}

// Committed tells of the images of a batch of Begin, Finish or Fail, after the caller
// has committed it with its own.
func (r *Images) Committed(batch store.Batch) {
	for _, w := range batch.Put {
		if w.Document.Kind != Kind {
			continue
		}
		i, err := decode(w.Document, "", "")
		if err != nil {
			r.config.Log.Error("appstream: an image that was written can't be read", "image", w.Document.ID, "error", err)
			continue
		}
		r.observe(i)
	}
}

// notFound is what an account is told of an image that it can't see.
func notFound(name, account string) error { return resource.NotFound("image", name, account) }

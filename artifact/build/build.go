// Package build is the builds of the AWS Marketplace Image Build Service: each
// installs products on a machine image, for an account, and makes a new image of
// it. A build is a document whose row is the work: it is claimed by a node, done
// anew where a node died, and its end is one commit with the image that it made,
// so that none is half done, done twice, or forgotten.
//
// How products are installed is artifact/installer's, what an image is
// artifact/images'; which products there are and who may have them is asked of
// the functions of Config.
package build

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"souk/artifact/images"
	"souk/artifact/installer"
	"souk/storage/blob"
	"souk/storage/store"
	"souk/storage/work"
)

// Kinds of the documents and files that the room writes.
const (
	// Kind is that of builds; the id is the BuildId.
	Kind = "build"
	// KindToken has the id ACCOUNT/REGION/HASH of a ClientToken.
	KindToken = "build-token"
	// KindLogs is the kind of the logs among the blobs.
	KindLogs = "build-logs"
)

// Status of a build.
type Status string

// The four statuses (Image Build Service model, "BuildStatus").
const (
	InProgress    Status = "InProgress"    // "A new build has been defined and started."
	InternalError Status = "InternalError" // "The build was terminated due to a retryable error."
	Failed        Status = "Failed"        // "The build has failed and a new image has not been created."
	Succeeded     Status = "Succeeded"     // "The build has finished and a new image has been created."
)

// Statuses are all of them.
func Statuses() []Status { return []Status{InProgress, InternalError, Failed, Succeeded} }

// Build is a build.
type Build struct {
	ID          string
	Account     string
	Region      string
	Options     []Option // in the order in which they are installed
	Source      images.AMI
	Destination Destination
	Topic       string `json:",omitempty"` // ARN of the SNS topic
	Status      Status
	Detail      *Detail   `json:",omitempty"` // why it did not succeed
	Started     time.Time // UTC, whole milliseconds
	Updated     time.Time // of its status

	Tries  int    `json:",omitempty"` // begun and not ended by us
	Begun  bool   `json:",omitempty"` // its logs are there
	Unseen bool   `json:",omitempty"` // its image is yet to be scanned
	Token  string `json:",omitempty"` // id of its token's document
}

// Destination is the image that a build makes.
type Destination struct {
	ID          string // from the start; shown when there is the image
	Name        string
	Description string `json:",omitempty"`
}

// Detail says why a build did not succeed.
type Detail struct {
	Code    string `json:",omitempty"` // an installer.Failure's; "" where neither fits
	Message string
}

// Codes are all that a Detail's Code may be, beside none.
func Codes() []string { return []string{installer.SSMAgentNotFound, installer.InstallFailed} }

// Option is a fulfillment option: what installs a version of a product.
type Option struct {
	ID        string // fo-...
	Product   string // prod-...
	Title     string // of the product
	Code      string `json:",omitempty"` // the product's code, which images made with it have
	VersionID string
	Version   string // its title
	Component Component
}

// Component is the installer of an option.
type Component struct {
	ARN        string // of the build version
	Name       string
	Document   string            // YAML
	Phases     []string          // that it has
	Parameters map[string]string `json:",omitempty"`
	Platform   string            // Linux
	Systems    []string          `json:",omitempty"` // that it supports; none: all
	Files      Files             `json:",omitzero"`
}

// Files are those of a component, as an artefact of the registry.
type Files struct {
	Repository string
	Digest     string
}

// Errors of Config's functions.
var (
	// ErrNoOption: there is no such fulfillment option, or none that the account
	// may know of.
	ErrNoOption = errors.New("no such fulfillment option")
	// ErrNoTopic: there is no such topic, or it is another account's.
	ErrNoTopic = errors.New("no such topic")
)

// Denied is the error for an option that the account knows of and may not obtain.
type Denied struct{ Reason string }

func (e *Denied) Error() string { return e.Reason }

// Sealer seals page tokens: access/keyring.Ring.
type Sealer interface {
	Seal(purpose string, plain, bound []byte) []byte
	Open(purpose string, sealed, bound []byte) ([]byte, error)
}

// Defaults of Config.
const (
	DefaultOpen    = 5                   // builds of an account at a time
	DefaultAtOnce  = 2                   // builds that a node works on
	DefaultLogSize = 64 << 20            // bytes of each log that are kept
	DefaultHistory = 60 * 24 * time.Hour // for which ended builds are kept
)

// Config says what Builds works with. All of the first part is needed.
type Config struct {
	Store     store.Store
	Images    *images.Images
	Installer *installer.Installer
	Logs      *blob.Store
	Keys      Sealer

	// Option finds what an account may install. ErrNoOption, *Denied.
	Option func(ctx context.Context, account, id string) (Option, error)
	// Mismatch says why an option can't be installed on an image; "" if it can.
	Mismatch func(ctx context.Context, o Option, source images.AMI) (why string, err error)
	// Obtained is told that an account is about to get an option. Nothing is
	// started if it fails.
	Obtained func(ctx context.Context, account string, o Option) error
	// Unpack writes the files of an option's component below an empty folder.
	Unpack func(ctx context.Context, o Option, folder string) error
	// Derive makes the image, as images.Derive does.
	Derive func(ctx context.Context, d images.Derivation) (images.AMI, store.Batch, error)
	// Topic says whether an account may have its builds announced to a topic. ErrNoTopic.
	Topic func(ctx context.Context, account, arn string) error
	// Announce returns the writes that tell a build's topic of its status. They
	// are committed with it.
	Announce func(b *Build) ([]store.Write, error)
	// Scan looks at the image of a build that has succeeded. Nil: nobody does.
	Scan func(ctx context.Context, b *Build, a images.AMI) error
	// Observe, if set, is told of every step of every build on this node. It must
	// be quick.
	Observe func(Event)

	// Open is how many builds of an account may be in progress; below 0: any
	// number. Nil means DefaultOpen.
	Open func(account string) int
	// Owner names this node in claims, anew at each start; "" is a name of chance.
	Owner   string
	AtOnce  int           // builds that this node works on; 0 means DefaultAtOnce
	LogSize int64         // bytes of each log that are kept; 0 means DefaultLogSize
	History time.Duration // for which ended builds are kept; 0 means DefaultHistory
	Lease   time.Duration // of storage/work; 0 is its own default

	Now  func() time.Time // nil means time.Now
	Rand io.Reader        // nil means crypto/rand.Reader
	Log  *slog.Logger     // nil means slog.Default
}

// Builds is the room. Its methods may be called concurrently.
type Builds struct {
	config  Config
	runner  *work.Runner
	working atomic.Int64 // builds that are worked on
}

// New returns the builds of a store. Run works on them.
func New(c Config) (*Builds, error) {
	switch {
	case c.Store == nil || c.Images == nil || c.Installer == nil || c.Logs == nil || c.Keys == nil,
		c.Option == nil || c.Mismatch == nil || c.Obtained == nil || c.Unpack == nil || c.Derive == nil || c.Topic == nil || c.Announce == nil:
		return nil, errors.New("opening the builds: all of the first part of Config is needed")
	}
	if c.Open == nil {
		c.Open = func(string) int { return DefaultOpen }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Owner = cmp.Or(c.Owner, "node-"+rand.Text())
	c.AtOnce = cmp.Or(c.AtOnce, DefaultAtOnce)
	c.LogSize = cmp.Or(c.LogSize, DefaultLogSize)
	c.History = cmp.Or(c.History, DefaultHistory)
	c.Rand = cmp.Or(c.Rand, rand.Reader)
	c.Log = cmp.Or(c.Log, slog.Default())
	b := &Builds{config: c}
	b.runner = work.New(work.Config{Store: c.Store, Kind: Kind, Owner: c.Owner, Do: b.do, Most: c.AtOnce, Lease: c.Lease, Log: c.Log})
	return b, nil
}

// Run works on builds until ctx ends; then it hands back those under way, which
// begin anew elsewhere or at the next start.
func (b *Builds) Run(ctx context.Context) error {
	return b.runner.Run(ctx)
}

func (b *Builds) now() time.Time { return b.config.Now().UTC().Truncate(time.Millisecond) }

// newID makes a BuildId, a UUID of version 4.
func (b *Builds) newID() (string, error) {
	var u [16]byte
	_, err := io.ReadFull(b.config.Rand, u[:])
	if err != nil {
		return "", fmt.Errorf("making a build's id: %w", err)
	}
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:], nil
}

// Indexes of builds.
const (
	indexAll  = "all"  // partition ACCOUNT/REGION; by the time of the start
	indexBy   = "by"   // partition ACCOUNT/REGION/FILTER=VALUE; the same order
	indexOpen = "open" // partition ACCOUNT: those in progress
)

func place(account, region string) string { return account + "/" + region }

// document is a build as the store keeps it. Lists return the whole record but
// the documents of components.
func (r *Build) document() (store.Document, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return store.Document{}, fmt.Errorf("encoding build %s: %w", r.ID, err)
	}
	short := *r
	short.Options = nil
	for _, o := range r.Options {
		o.Component = Component{}
		short.Options = append(short.Options, o)
	}
	summary, err := json.Marshal(short)
	if err != nil {
		return store.Document{}, fmt.Errorf("encoding build %s: %w", r.ID, err)
	}
	cover, err := json.Marshal(r.facts())
	if err != nil {
		return store.Document{}, fmt.Errorf("encoding build %s: %w", r.ID, err)
	}
	sort := r.sort()
	d := store.Document{Key: store.Key{Kind: Kind, ID: r.ID}, Summary: summary, Body: body}
	d.Index = append(d.Index, store.Entry{Index: indexAll, Partition: place(r.Account, r.Region), Sort: sort, Cover: cover})
	for name, values := range r.facts() {
		seen := map[string]bool{}
		for _, v := range values {
			if name == FilterID || seen[v] {
				continue
			}
			seen[v] = true
			d.Index = append(d.Index, store.Entry{Index: indexBy, Partition: place(r.Account, r.Region) + "/" + name + "=" + v, Sort: sort, Cover: cover})
		}
	}
	if r.Status == InProgress {
		d.Index = append(d.Index, store.Entry{Index: indexOpen, Partition: r.Account, Sort: sort})
	}
	return d, nil
}

func decode(d store.Document) (*Build, error) {
	r := &Build{}
	err := json.Unmarshal(d.Body, r)
	if err != nil {
		return nil, fmt.Errorf("decoding build %s: %w", d.ID, err)
	}
	return r, nil
}

// write is the write of a build that is stored as revision was.
func (r *Build) write(was int64) (store.Write, error) {
	d, err := r.document()
	return store.Write{Document: d, Was: was}, err
}

// logsOf are the names of a build's logs: of its standard output and its standard error.
func logsOf(id string) [2]string { return [2]string{id + ".stdout.log", id + ".stderr.log"} }

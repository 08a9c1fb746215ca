// Package images is the machine images of the marketplace. An AMI is an image
// in the registry, whose layers are a root file system, and a record beside it
// in the store. The room registers, lists, shares and deregisters them, is
// change.AMIs to change types, and hands out layers to those who look inside.
// On the client's side it reads what AMIs are imported from, and writes what
// they are exported to.
//
// It starts no machine and unpacks no root file system to a disk; it never
// follows a link of one. What it reads was made by strangers and goes through
// artifact/archive.
package images

import (
	"context"
	crand "crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"time"

	"souk/artifact/archive"
	"souk/artifact/registry"
	"souk/catalog/change"
	"souk/storage/store"
	"souk/storage/work"
)

// Kinds of the documents that the room writes.
const (
	// KindAMI has the AMI's id and an AMI as its body.
	KindAMI = "ami"
	// KindName has the id ACCOUNT/NAME and the AMI's id as its body: names are
	// unique among the images of an account. One that is held for an AMI that is
	// yet to be made says by what (Hold).
	KindName = "ami-name"
)

// States of an AMI (ec2 Image.State). One that is deregistered is gone.
const (
	// StatePending: its layers are yet to be read. Nothing can be made of it.
	StatePending = "pending"
	// StateAvailable: its layers were read and are those of a root file system.
	StateAvailable = "available"
	// StateFailed: its layers were refused. It can only be deregistered.
	StateFailed = "failed"
)

// Values of Architecture, VirtualizationType and RootDeviceType.
const (
	X8664         = "x86_64"
	ARM64         = "arm64"
	HVM           = "hvm"
	Paravirtual   = "paravirtual"
	EBS           = "ebs"
	InstanceStore = "instance-store"
)

// MaxShared is how many accounts an AMI may be shared with by their ids.
const MaxShared = 100

// AMI is an Amazon Machine Image.
//
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Image.html
type AMI struct {
	ID                 string    // ami- and 17 hexadecimal digits
	Owner              string    // account id
	Name               string    // unique among the owner's
	Description        string    `json:",omitempty"`
	Architecture       string    // x86_64 or arm64
	VirtualizationType string    // hvm or paravirtual
	RootDeviceType     string    // ebs or instance-store
	EnaSupport         bool      // enhanced networking with ENA
	Platform           string    `json:",omitempty"` // such as "Debian GNU/Linux 13", from its os-release; "" if it has none
	OS                 OSRelease // the same in parts
	ProductCodes       []string  `json:",omitempty"` // of products that it was made from
	State              string    // pending, available or failed
	StateReason        *Reason   `json:",omitempty"` // why it failed
	Created            time.Time // UTC, whole milliseconds
	Source             string    `json:",omitempty"` // where it came from, as the importer said
	Repository         string    // NAMESPACE/NAME in the registry
	Digest             string    // of the image's manifest there, sha256:...
	Size               int64     // bytes of its layers as they are stored
	Unpacked           int64     // bytes of its layers after decompression
	Public             bool      // everybody may use it
	SharedWith         []string  `json:",omitempty"` // account ids that may use it too

	// While it is pending:
	Tries int   `json:",omitempty"` // how often reading it was begun
	Read  int64 `json:",omitempty"` // bytes of Size that were read, a few seconds ago
}

// PlatformDetails is what DescribeImages shows: the Platform, or Linux/UNIX.
func (a AMI) PlatformDetails() string {
	if a.Platform == "" {
		return "Linux/UNIX"
	}
	return a.Platform
}

// CreationDate is Created as DescribeImages shows it: 2026-03-01T12:00:00.000Z.
func (a AMI) CreationDate() string { return a.Created.UTC().Format("2006-01-02T15:04:05.000Z") }

// MayUse says whether an account may use the AMI: its owner, those that it is
// shared with, and all if it is public.
func (a AMI) MayUse(account string) bool {
	return a.Public || a.Owner == account || slices.Contains(a.SharedWith, account)
}

// Errors of the room. Any other error is a failure of ours.
var (
	// ErrNotFound: no such AMI, or none that the account may know of. The error
	// is a *NotFound.
	ErrNotFound = errors.New("no such AMI")
	// ErrNameTaken: the account has an AMI of that name.
	ErrNameTaken = errors.New("the account has an AMI of that name")
	// ErrInUse: the AMI can't go while something names it. Wrapped with what does.
	ErrInUse = errors.New("AMI is in use")
	// ErrNotOwner: the account may use the AMI and doesn't own it.
	ErrNotOwner = errors.New("AMI belongs to another account")
	// ErrUnavailable: the AMI is pending or has failed.
	ErrUnavailable = errors.New("AMI is not available")
	// ErrTooManyPending: the account has as many pending AMIs as it may have.
	ErrTooManyPending = errors.New("the account has too many pending AMIs")
	// ErrNoImage: the registry has no such image in a repository of the account.
	ErrNoImage = errors.New("no such image in a repository of the account")
	// ErrDenied: the account may not obtain the product that the AMI belongs to.
	// The error is a *Denied.
	ErrDenied = errors.New("the product of the AMI may not be obtained")
	// ErrBadImage: the image is there and is refused: it can't be read, is
	// hostile, or is no root file system. Wrapped with the reason, which names
	// the layer and the entry.
	ErrBadImage = errors.New("image is refused")
)

// NotFound says which AMI was not found.
type NotFound struct{ ID string }

func (e *NotFound) Error() string { return "no such AMI: " + e.ID }

// Is makes errors.Is(err, ErrNotFound) true.
func (e *NotFound) Is(target error) bool { return target == ErrNotFound }

// Denied says why an account may not use an AMI that is shared with it.
type Denied struct{ ID, Reason string }

func (e *Denied) Error() string { return e.ID + " can't be used: " + e.Reason }

// Is makes errors.Is(err, ErrDenied) true.
func (e *Denied) Is(target error) bool { return target == ErrDenied }

// Invalid is the error for a value that can't be used.
type Invalid struct {
	Field  string // of Registration, Query or Modification; a filter's name for a filter
	Value  string
	Reason string
}

func (e *Invalid) Error() string {
	return fmt.Sprintf("%s %q: %s", e.Field, e.Value, e.Reason)
}

// Registry is what the room needs of artifact/registry. change.ErrImageNotFound
// for what is not there.
type Registry interface {
	Owner(ctx context.Context, repository string) (account string, err error)
	Manifest(ctx context.Context, repository, digest string) (mediaType string, payload []byte, err error)
	Blob(ctx context.Context, repository, digest string) (io.ReadSeekCloser, error)
	Put(ctx context.Context, repository string, p registry.Parcel) error
	Tag(ctx context.Context, repository, tag, digest string) error
	Untag(ctx context.Context, repository, tag string) error
	Tags(ctx context.Context, repository string) (map[string]time.Time, error) // when each was written
	HasPublished(ctx context.Context, productID, repository, digest string) (bool, error)
	Images() change.Images
}

// Limits bounds what an image may have. A field that is 0 means the default
// beside it.
type Limits struct {
	Layers  int            // DefaultLayers
	Archive archive.Limits // of each layer; Bytes and Entries also of all together
}

// DefaultLayers is how many layers a file system can be stacked from
// (overlayfs's own limit less room for a writable one).
const DefaultLayers = 127

// Config says what Images works with.
type Config struct {
	Store    store.Store
	Registry Registry
	// InUse says what names an AMI, such as "version 2.0 of prod-aaaaaaaaaaaaa";
	// "" if nothing does. Nil means that nothing ever does.
	InUse func(ctx context.Context, id string) (by string, err error)

	// MayUse says why an account may not use an AMI of another, although that one
	// lets it: the products that the AMI belongs to, and the account's private
	// marketplace, decide. "" if it may. Nil: all may.
	MayUse func(ctx context.Context, account string, a AMI) (why string, err error)

	// AtOnce is up to how many bytes of layers an image is read before Register
	// returns; larger ones are pending until Run has read them. 0 means DefaultAtOnce.
	AtOnce int64
	// Node names this node in claims, anew at each start; "" is a name of chance.
	Node  string
	Lease time.Duration // of storage/work; 0 is its own default

	Limits Limits
	Now    func() time.Time // nil means time.Now
	Rand   io.Reader        // nil means crypto/rand.Reader
	Log    *slog.Logger     // nil means slog.Default
}

// Images is the room. Its methods may be called concurrently.
type Images struct {
	config Config
	runner *work.Runner
}

// New returns the machine images in a store and a registry.
func New(c Config) (*Images, error) {
	if c.Store == nil || c.Registry == nil {
		return nil, errors.New("opening the machine images: Store and Registry are needed")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = crand.Reader
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.AtOnce == 0 {
		c.AtOnce = DefaultAtOnce
	}
	c.Limits = c.Limits.orDefaults()
	m := &Images{config: c}
	var err error
	m.runner, err = m.newRunner()
	if err != nil {
		return nil, fmt.Errorf("opening the machine images: %w", err)
	}
	return m, nil
}

func (l Limits) orDefaults() Limits {
	if l.Layers == 0 {
		l.Layers = DefaultLayers
	}
	if l.Archive.Bytes == 0 {
		l.Archive.Bytes = archive.DefaultBytes
	}
	if l.Archive.Entries == 0 {
		l.Archive.Entries = archive.DefaultEntries
	}
	return l
}

// Repository returns the repository that an account's AMIs are pushed to,
// NAMESPACE/ami. It is made when it is not there.
func (m *Images) Repository(ctx context.Context, s change.Seller) (string, error) {
	return m.repository(ctx, s, repositoryName)
}

// repository returns a repository of an account, and makes it when it is not there.
func (m *Images) repository(ctx context.Context, s change.Seller, name string) (string, error) {
	name = s.Namespace + "/" + name
	owner, err := m.config.Registry.Owner(ctx, name)
	if errors.Is(err, change.ErrImageNotFound) {
		body, err := json.Marshal(registry.Repository{Account: s.Account})
		if err != nil {
			return "", fmt.Errorf("making the repository %s: %w", name, err)
		}
		err = m.config.Store.Commit(ctx, store.Batch{Put: []store.Write{{
			Document: store.Document{Key: store.Key{Kind: registry.KindRepository, ID: name}, Body: body},
		}}})
		if err != nil && !errors.Is(err, store.ErrConflict) { // somebody was quicker
			return "", fmt.Errorf("making the repository %s: %w", name, err)
		}
		owner, err = m.config.Registry.Owner(ctx, name)
		if err != nil {
			return "", err
		}
	} else if err != nil {
		return "", err
	}
	if owner != s.Account {
		return "", fmt.Errorf("%w: %s belongs to another account", ErrNoImage, name)
	}
	return name, nil
}

// Find returns an AMI that an account may use: its own, one that is shared with
// it, or a public one. ErrNotFound, ErrDenied.
func (m *Images) Find(ctx context.Context, account, id string) (AMI, error) {
	a, _, err := m.read(ctx, id)
	if err == nil && !a.MayUse(account) {
		err = &NotFound{id}
	}
	if err == nil {
		err = m.denied(ctx, account, a)
	}
	if err != nil {
		return AMI{}, err
	}
	return a, nil
}

// denied is nil or a *Denied: whether an account may use an AMI that it sees.
func (m *Images) denied(ctx context.Context, account string, a AMI) error {
	if m.config.MayUse == nil || a.Owner == account {
		return nil
	}
	why, err := m.config.MayUse(ctx, account, a)
	if err != nil {
		return fmt.Errorf("asking whether account %s may use %s: %w", account, a.ID, err)
	}
	if why != "" {
		return &Denied{a.ID, why}
	}
	return nil
}

// idPattern is the form of an AMI's id (api.md: AmiId; ids of 8 are of old images).
var idPattern = regexp.MustCompile(`^ami-[0-9a-f]{17}$`)

func (m *Images) read(ctx context.Context, id string) (a AMI, revision int64, err error) {
	if !idPattern.MatchString(id) {
		return AMI{}, 0, &NotFound{id}
	}
	d, err := m.config.Store.Get(ctx, store.Key{Kind: KindAMI, ID: id})
	if errors.Is(err, store.ErrNotFound) {
		return AMI{}, 0, &NotFound{id}
	}
	if err != nil {
		return AMI{}, 0, fmt.Errorf("reading %s: %w", id, err)
	}
	err = json.Unmarshal(d.Body, &a)
	if err != nil {
		return AMI{}, 0, fmt.Errorf("reading the document of %s: %w", id, err)
	}
	return a, d.Revision, nil
}

// own reads an AMI that only its owner may change.
func (m *Images) own(ctx context.Context, account, id string) (AMI, int64, error) {
	a, revision, err := m.read(ctx, id)
	switch {
	case err != nil:
		return AMI{}, 0, err
	case !a.MayUse(account):
		return AMI{}, 0, &NotFound{id}
	case a.Owner != account:
		return AMI{}, 0, fmt.Errorf("%s: %w", id, ErrNotOwner)
	}
	return a, revision, nil
}

// index is the one index of AMIs: under whom they are visible.
const index = "visible"

// everybody is the partition of public AMIs.
const everybody = "all"

// document is an AMI as the store keeps it. Lists return the whole record.
func (a AMI) document() (store.Document, error) {
	body, err := json.Marshal(a)
	if err != nil {
		return store.Document{}, fmt.Errorf("writing %s: %w", a.ID, err)
	}
	d := store.Document{Key: store.Key{Kind: KindAMI, ID: a.ID}, Summary: body, Body: body}
	for _, who := range slices.Concat([]string{a.Owner}, a.SharedWith) {
		d.Index = append(d.Index, store.Entry{Index: index, Partition: who, Sort: a.ID})
	}
	if a.Public {
		d.Index = append(d.Index, store.Entry{Index: index, Partition: everybody, Sort: a.ID})
	}
	if a.State == StatePending {
		d.Index = append(d.Index, store.Entry{Index: pendingIndex, Partition: a.Owner, Sort: a.ID})
	}
	return d, nil
}

// newID mints an AMI's id.
func (m *Images) newID() (string, error) {
	var b [9]byte
	_, err := io.ReadFull(m.config.Rand, b[:])
	if err != nil {
		return "", fmt.Errorf("making an AMI's id: %w", err)
	}
	return "ami-" + hex.EncodeToString(b[:])[:17], nil
}

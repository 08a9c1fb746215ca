// Package component keeps the installers of products: EC2 Image Builder
// components, each build of each version a record, with the files that it
// carries as an OCI artefact in the registry.
//
// It keeps and hands out; it runs nothing. What a component document says is
// known by artifact/component/document, and what runs it is artifact/installer.
package component

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"souk/artifact/archive"
	"souk/catalog/change"
	"souk/storage/store"
)

// Component is one build of a version of a component.
//
// EC2 Image Builder API Reference, "Component".
type Component struct {
	ARN               string // arn:aws:imagebuilder:REGION:ACCOUNT:component/NAME/1.0.0/1
	Account           string // its owner
	Region            string
	Name              string   // as its owner wrote it; the ARN has it in small letters
	Version           string   // 1.0.0
	Build             int      // 1, ...
	Type              string   // BUILD, or TEST if the document has a test phase alone
	Platform          string   // Linux
	SupportedOS       []string `json:",omitempty"` // supportedOsVersions
	Description       string   `json:",omitempty"`
	ChangeDescription string   `json:",omitempty"`
	Document          string   // the component document, YAML
	Phases            []string // of the document, in its order
	Parameters        []Parameter
	Files             Files             // the zero value: it has none
	Tags              map[string]string `json:",omitempty"`
	Created           time.Time

	Token string `json:",omitempty"` // of the request that made it
}

// Parameter is a parameter of a component document.
type Parameter struct {
	Name        string
	Type        string  // string
	Default     *string `json:",omitempty"` // nil: it has none
	Description string  `json:",omitempty"`
}

// Files is the OCI artefact that carries a component's files.
type Files struct {
	Repository string `json:",omitempty"` // NAMESPACE/NAME
	Digest     string `json:",omitempty"` // sha256:..., of its manifest
	Size       int64  `json:",omitempty"` // bytes of its layers as they are stored
}

// None says that there are no files.
func (f Files) None() bool { return f.Digest == "" }

// The one platform that components may have here, and the types of components.
const (
	Linux = "Linux"
	Build = "BUILD"
	Test  = "TEST"
)

// FilesTag is the tag of a component that names the OCI artefact of its files:
// NAMESPACE/NAME:TAG or NAMESPACE/NAME@DIGEST, with or without the registry's
// host before it. AWS has S3 in the place of it.
const FilesTag = "souk:files"

// Errors of the room. Any other error is a failure of ours.
var (
	// ErrNotFound: the account has no such component.
	ErrNotFound = errors.New("no such component")
	// ErrExists: the version has a build with the same content. The error is an *Exists.
	ErrExists = errors.New("component exists already")
	// ErrToken: the client token was used with other parameters.
	ErrToken = errors.New("client token was used with other parameters")
	// ErrLimit: the account has as many as it may have. Wrapped with the limit.
	ErrLimit = errors.New("limit of components reached")
	// ErrInUse: something names the component. Wrapped with what does.
	ErrInUse = errors.New("component is in use")
	// ErrVersion: a version number is malformed or out of bounds.
	ErrVersion = errors.New("version number is malformed or out of bounds")
	// ErrBadDocument: the component document is refused. Wrapped with the reason.
	ErrBadDocument = errors.New("component document is refused")
	// ErrBadFiles: the artefact of the files is not there, is not the account's,
	// or is refused. Wrapped with the reason.
	ErrBadFiles = errors.New("files of the component are refused")
	// ErrBadToken: a page token is none that a list has returned.
	ErrBadToken = errors.New("page token is not valid for this request")
	// errDry ends a Create that is to change nothing.
	errDry = errors.New("dry run")
)

// Exists says which component has the same content.
type Exists struct{ ARN string }

func (e *Exists) Error() string { return "component exists already: " + e.ARN }

// Is makes errors.Is(err, ErrExists) true.
func (e *Exists) Is(target error) bool { return target == ErrExists }

// Document is what the room must know of a component document.
type Document struct {
	Phases     []string // names in the document's order
	Parameters []Parameter
}

// Registry is what the room needs of artifact/registry. change.ErrImageNotFound
// for what is not there.
type Registry interface {
	Parse(uri string) (ref change.ImageRef, ok bool)
	Owner(ctx context.Context, repository string) (account string, err error)
	Current(ctx context.Context, repository, tag string) (digest string, err error)
	Manifest(ctx context.Context, repository, digest string) (mediaType string, payload []byte, err error)
	Blob(ctx context.Context, repository, digest string) (io.ReadSeekCloser, error)
	Tag(ctx context.Context, repository, tag, digest string) error
	Untag(ctx context.Context, repository, tag string) error
	HasPublished(ctx context.Context, productID, repository, digest string) (bool, error)
	Images() change.Images
}

// Sealer seals page tokens: access/keyring.Ring.
type Sealer interface {
	Seal(purpose string, plain, bound []byte) []byte
	Open(purpose string, sealed, bound []byte) ([]byte, error)
}

// Limits bounds what accounts and components may have. A field that is 0 means
// the default beside it.
type Limits struct {
	Versions int            // of an account in a region; DefaultVersions
	Builds   int            // of a version; DefaultBuilds
	Layers   int            // of an artefact with files; DefaultLayers
	Archive  archive.Limits // of each layer; Bytes are those of all layers together: DefaultFiles
}

// Limits that hold where Limits says nothing. Files: AWS Marketplace Catalog API,
// "Work with EC2 Image Builder component products": "files of up to 2 GB".
const (
	DefaultVersions = 1000
	DefaultBuilds   = 100
	DefaultLayers   = 32
	DefaultFiles    = 4 << 30
	DefaultFile     = 2 << 30
	DefaultEntries  = 100_000
)

// Config says what components stand on. Store, Registry, Keys and Parse are needed.
type Config struct {
	Store    store.Store
	Registry Registry
	Keys     Sealer
	// Parse reads a component document. An error, whose text is the reason,
	// means that it is refused.
	Parse func(document string) (Document, error)
	// InUse says what names a component, "" if nothing does. Nil: nothing ever does.
	InUse  func(ctx context.Context, c Component) (by string, err error)
	Limits Limits
	Now    func() time.Time // nil means time.Now
	Log    *slog.Logger     // nil means slog.Default()
}

// Components are the components of a market. Their methods may be called concurrently.
type Components struct{ config Config }

// New opens the components of a market.
func New(c Config) (*Components, error) {
	if c.Store == nil || c.Registry == nil || c.Keys == nil || c.Parse == nil {
		return nil, errors.New("opening components: Store, Registry, Keys and Parse are needed")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	for limit, fallback := range map[*int]int{
		&c.Limits.Versions: DefaultVersions, &c.Limits.Builds: DefaultBuilds, &c.Limits.Layers: DefaultLayers, &c.Limits.Archive.Entries: DefaultEntries,
	} {
		if *limit == 0 {
			*limit = fallback
		}
	}
	if c.Limits.Archive.Bytes == 0 {
		c.Limits.Archive.Bytes = DefaultFiles
	}
	if c.Limits.Archive.File == 0 {
		c.Limits.Archive.File = DefaultFile
	}
	return &Components{c}, nil
}

// Kinds of documents.
const (
	// KindComponent: a build of a version; the id is its ARN.
	KindComponent = "component"
	// KindVersion: a version with its builds; the id is its ARN.
	KindVersion = "component-version"
	// KindToken: what a client token made; the id is account/region and the hash of the token.
	KindToken = "component-token"
)

// indexAccount lists versions: partition account/region, in the order of names
// and then of version numbers.
const indexAccount = "account"

func partition(account, region string) string { return account + "/" + region }

// tokenKey hashes the token: it may be any text, and keys of the store may not.
func tokenKey(account, region, token string) store.Key {
	return store.Key{Kind: KindToken, ID: account + "/" + region + "/" + sum(token)}
}

// bad is an ErrBadFiles with its reason.
func bad(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBadFiles, fmt.Sprintf(format, args...))
}

// Package registry is the OCI registry that Souk serves below /v2/: the
// distribution library in-process, on a folder, behind our own log-in and our
// own rules of who may push and pull what. It is also change.Images, the
// registry as change types see it.
//
// It keeps no list of repositories: one exists where the store has a document
// of kind "repository". It knows nothing of products beyond the question
// whether an account may obtain one.
package registry

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"

	"souk/access/iam"
	"souk/access/trail"
	"souk/artifact/chart"
	"souk/catalog/procurement"
	"souk/storage/store"
)

// Host is the registry of AWS Marketplace as its documents write it. Image
// URIs under it name our repositories.
const Host = "709825985650.dkr.ecr.us-east-1.amazonaws.com"

// Account is the account that Host and all published repositories belong to.
const Account = "709825985650"

// Kinds of the documents that the registry reads. They are written by change
// sets (see change.Applying.Claim).
const (
	// KindRepository has the id NAMESPACE/NAME and a Repository as its body.
	KindRepository = "repository"
	// KindTag has the id NAMESPACE/NAME:TAG and a Tag as its body: a version
	// names that tag, and it cannot be pushed again.
	KindTag = "tag"
)

// Repository is the body of a repository's document.
type Repository struct {
	Account string // the only one that pushes
	Product string // the id of the product that the repository was made for
}

// Tag is the body of a tag's document.
type Tag struct {
	// Digest is what the version pinned (sha256:...). "" if it was not written
	// down: then the tag must stay at what it names now.
	Digest string
}

// Sizes that hold where Config says nothing.
const (
	DefaultMaxBlob  = 20 << 30 // bytes of one layer
	DefaultMaxChart = 10 << 20 // bytes of a packed chart that is loaded
	maxManifest     = 4 << 20  // bytes; what the distribution library and OCI clients agree on
)

// Keyring seals log-in tokens and derives the secret of upload sessions.
type Keyring interface {
	Seal(purpose string, plain, bound []byte) []byte
	Open(purpose string, sealed, bound []byte) ([]byte, error)
	MAC(purpose string, data []byte) []byte
}

// Config says what a Registry works with.
type Config struct {
	// Root is the folder of all its files. It is made with mode 0700. Several
	// nodes may share it if its file system has working flock(2) locks.
	Root string
	// Store has the repositories and the tags that are in use.
	Store store.Store
	// Credentials finds the secret of an access key; session is the token that
	// temporary credentials have, "" for others. ok is false if there is no
	// such key or it is not active, and the error iam.ErrExpiredToken for a
	// session that is over.
	Credentials func(ctx context.Context, accessKeyID, session string) (secret string, p *iam.Principal, ok bool, err error)
	// Decide answers a question for a principal; iam.Decide.
	Decide func(p *iam.Principal, q iam.Question) iam.Decision
	// MayObtain says whether an account may obtain a product (version "") and why;
	// procurement.
	MayObtain func(ctx context.Context, account, product, version string) (procurement.Answer, error)
	// Delivered says of the manifests that versions of a product deliver whether
	// an account may have them: of all that was published for the product, it
	// reads those that it may have, and what they name. Nil means that it reads all.
	Delivered func(ctx context.Context, account, product string) ([]procurement.Artifact, error)
	// Obtained is told that an account is about to be given what a product
	// delivers by a digest. Nothing is given if it fails. Nil: nobody is told.
	Obtained func(ctx context.Context, account, product, digest string) error
	// Lent returns the digests of the manifests in another account's repository
	// that an account may read, with what they name, though it obtains no product
	// there: of machine images that are shared with it. Asked of repositories that
	// no product has. Nil means nothing.
	Lent func(ctx context.Context, account, repository string) (digests []string, err error)
	// Lends says why an account may not have a manifest that Lent returned; "" if
	// it may. Nil: it may have all of them.
	Lends func(ctx context.Context, account, repository, digest string) (why string, err error)
	// PublicURL is the only source of our own name, such as http://127.0.0.1:8470.
	PublicURL *url.URL
	Keyring   Keyring

	// MaxBlob bounds a layer, in bytes; 0 means DefaultMaxBlob.
	MaxBlob int64
	// MaxChart bounds a packed chart, in bytes; 0 means DefaultMaxChart.
	MaxChart int64
	// ChartCommand is a program that renders charts in a process of its own
	// (chart.Main): a chart's templates are a program that a stranger wrote.
	// Nil renders in this process, which is for tests.
	ChartCommand []string

	// Trail records every request of who is known, as a call of Amazon ECR; nil:
	// none is recorded. A request that can't be recorded is answered as one that
	// failed.
	Trail *trail.Trail

	Log *slog.Logger     // nil means slog.Default
	Now func() time.Time // nil means time.Now
}

// Registry is a running registry.
type Registry struct {
	config    Config
	app       *handlers.App
	cancel    context.CancelFunc
	namespace distribution.Namespace // the same files as app's, for our own use
	layout    layout
	render    chart.Renderer

	// commits is read-locked while something makes a reference to a blob, and
	// locked while unreferenced ones are swept; see share and alone.
	commits sync.RWMutex
}

// New opens the registry below c.Root.
func New(c Config) (*Registry, error) {
	switch {
	case c.Root == "":
		return nil, errors.New("opening the registry: no folder given")
	case c.Store == nil, c.Credentials == nil, c.Decide == nil, c.MayObtain == nil, c.PublicURL == nil, c.Keyring == nil:
		return nil, errors.New("opening the registry: Store, Credentials, Decide, MayObtain, PublicURL and Keyring are needed")
	}
	if c.MaxBlob == 0 {
		c.MaxBlob = DefaultMaxBlob
	}
	if c.MaxChart == 0 {
		c.MaxChart = DefaultMaxChart
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	root, err := filepath.Abs(c.Root)
	if err != nil {
		return nil, fmt.Errorf("opening the registry: %w", err)
	}
	// The library makes files by the process's umask; nobody else gets below a
	// folder that is ours alone.
	err = os.MkdirAll(root, 0o700)
	if err == nil {
		err = os.Chmod(root, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the registry: %w", err)
	}
	joinLibrary(c.Log)

	ctx, cancel := context.WithCancel(context.Background())
	r := &Registry{
		config: c,
		cancel: cancel,
		layout: layout{root: root},
		render: chart.Renderer{Command: c.ChartCommand},
	}
	driver := filesystem.New(filesystem.DriverParameters{RootDirectory: root, MaxThreads: 100})
	r.namespace, err = storage.NewRegistry(ctx, driver, storage.EnableDelete, storage.EnableValidateImageIndexImagesExist)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("opening the registry: %w", err)
	}
	r.app = handlers.NewApp(ctx, r.libraryConfig(root))
	return r, nil
}

// libraryConfig is what the distribution library is told: a folder, no caches,
// no redis, no metrics, no notifications, no exporters.
func (r *Registry) libraryConfig(root string) *configuration.Configuration {
	c := &configuration.Configuration{
		Version: "0.1",
		Storage: configuration.Storage{
			"filesystem": configuration.Parameters{"rootdirectory": root, "maxthreads": 100},
			"delete":     configuration.Parameters{"enabled": true},
			"redirect":   configuration.Parameters{"disable": true},
			// Uploads that nobody finished within a day are removed once a day.
			"maintenance": configuration.Parameters{"uploadpurging": map[any]any{
				"enabled": true, "age": "24h", "interval": "24h", "dryrun": false,
			}},
		},
		Auth: configuration.Auth{controllerName: configuration.Parameters{"registry": r}},
	}
	// The same on every node, so that an upload may go on at another one.
	c.HTTP.Secret = hex.EncodeToString(r.config.Keyring.MAC("registry-uploads", nil))
	// Answers name no host at all, so never the one that a client claims.
	c.HTTP.RelativeURLs = true
	return c
}

// Handler serves the registry's API, all of /v2/.
func (r *Registry) Handler() http.Handler { return http.HandlerFunc(r.serve) }

// Close ends the registry's background work. Requests must have ended.
func (r *Registry) Close() error {
	err := r.app.Shutdown()
	r.cancel()
	if err != nil {
		return fmt.Errorf("closing the registry: %w", err)
	}
	return nil
}

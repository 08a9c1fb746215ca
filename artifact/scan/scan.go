// Package scan looks inside of images: for packages with known vulnerabilities,
// for secrets that somebody left, for malware, for logins that should not be.
// It is change.Scanner.
//
// It streams the layers of an image once and keeps what it learned of each by
// the layer's digest. It unpacks nothing, follows no link and runs nothing of
// the image, needs no rights, and holds a bounded part of it in memory. It knows
// no registry: layers come through the port Images.
package scan

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"souk/artifact/archive"
	"souk/artifact/scan/advisory"
	"souk/artifact/scan/assessment"
	"souk/catalog/change"
	"souk/storage/store"
)

// ErrBadImage: an image has a manifest or a config that none has which a machine
// or a container can start from. It is the image's fault: a finding, no failure.
var ErrBadImage = errors.New("image is none that can be started")

// Images opens images for a scan. An error means that we failed, but for
// ErrBadImage; change.ErrAMINotFound, change.ErrAMIUnreadable and
// change.ErrImageNotFound are passed on.
type Images interface {
	// AMI opens the image of an AMI.
	AMI(ctx context.Context, a change.AMI) (Image, error)
	// Container opens the images that a digest names: one, or those of an index.
	Container(ctx context.Context, s change.Seller, uri, digest string) ([]Image, error)
}

// Reports keeps reports and names them to the world; *blob.Store.
type Reports interface {
	PutBytes(ctx context.Context, kind, name string, content []byte) error
	URL(kind, name string, expires time.Time) (string, error)
	Delete(ctx context.Context, kind, name string) error
	// Has says whether there is a blob.
	Has(ctx context.Context, kind, name string) (bool, error)
	// Each calls f for every blob of a kind, in no order.
	Each(ctx context.Context, kind string, f func(name string, written time.Time) error) error
}

// Assessments keeps what scans came to; *assessment.Store.
type Assessments interface {
	Keep(ctx context.Context, a assessment.Assessment) error
	Sweep(ctx context.Context) (int, error)
}

// Advisories knows vulnerabilities; *advisory.Index.
type Advisories interface {
	// Find returns the advisories that concern packages. loaded is false where
	// nothing is known of the ecosystem.
	Find(ctx context.Context, ecosystem string, packages []advisory.Package) (matches []advisory.Match, loaded bool, err error)
}

// Config says what a Scanner works with. All but the last five must be set.
type Config struct {
	Store       store.Store // keeps what was learned of layers
	Images      Images
	Advisories  Advisories
	Assessments Assessments
	Reports     Reports

	Policy *Policy          // nil: DefaultPolicy
	Limits archive.Limits   // of one layer
	Most   int              // layers that are read at once, each with up to 130 MB; 0: one for each processor
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger     // nil: slog.Default
}

// Scanner scans images. Its methods may be called concurrently.
type Scanner struct {
	config Config
	slots  chan struct{} // one for each layer that is read
}

var _ change.Scanner = (*Scanner)(nil)

// New returns a Scanner.
func New(c Config) *Scanner {
	if c.Policy == nil {
		c.Policy = DefaultPolicy()
	}
	if c.Most == 0 {
		c.Most = runtime.GOMAXPROCS(0)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return &Scanner{config: c, slots: make(chan struct{}, c.Most)}
}

// ScanAMI implements change.Scanner.
func (s *Scanner) ScanAMI(ctx context.Context, target change.ScanTarget, a change.AMI) (change.Scan, error) {
	now := s.config.Now().UTC()
	image, err := s.config.Images.AMI(ctx, a)
	if errors.Is(err, ErrBadImage) {
		return s.conclude(ctx, target, assessment.AMISecurity, a.Digest, a.ID, []found{badImage(err)}, now)
	}
	if err != nil {
		return change.Scan{}, fmt.Errorf("opening AMI %s for a scan: %w", a.ID, err)
	}
	f, err := s.image(ctx, image, false, now)
	if err != nil {
		return change.Scan{}, err
	}
	s.sweep(ctx)
	return s.conclude(ctx, target, assessment.AMISecurity, image.Digest, a.ID, []found{f}, now)
}

// ScanImage implements change.Scanner. Of an index every image is scanned.
func (s *Scanner) ScanImage(ctx context.Context, target change.ScanTarget, uri, digest string) (change.Scan, error) {
	now := s.config.Now().UTC()
	var all []found
	images, err := s.config.Images.Container(ctx, target.Seller, uri, digest)
	if errors.Is(err, ErrBadImage) {
		return s.conclude(ctx, target, assessment.ContainerSecurity, digest, "", []found{badImage(err)}, now)
	}
	if err != nil {
		return change.Scan{}, fmt.Errorf("opening image %s for a scan: %w", digest, err)
	}
	for _, image := range images {
		f, err := s.image(ctx, image, true, now)
		if err != nil {
			return change.Scan{}, err
		}
		all = append(all, f)
	}
	s.sweep(ctx)
	return s.conclude(ctx, target, assessment.ContainerSecurity, digest, "", all, now)
}

// badImage is what a scan finds in an image that can't be opened.
func badImage(err error) found {
	return found{findings: []Finding{{Check: Layers, Code: "BAD_IMAGE", Severity: advisory.Critical, Message: "The image can't be read: " + plain([]byte(err.Error())) + "."}}}
}

// Look scans an image for a person who asks: nothing is kept but what was
// learned of its layers. container says how layers count. missing says what of
// its packages could not be looked up.
func (s *Scanner) Look(ctx context.Context, image Image, container bool) (judged []Judged, missing []string, err error) {
	now := s.config.Now().UTC()
	f, err := s.image(ctx, image, container, now)
	if err != nil {
		return nil, nil, err
	}
	return s.config.Policy.Judge(f.findings, now), f.missing, nil
}

// KindLayer is the kind of documents that keep what was learned of layers.
const KindLayer = "scanlayer"

const (
	// rules changes whenever a layer would be read differently: what was kept by
	// other rules is not believed.
	rules = "1"
	// keeping is how long a layer that nobody asks for is remembered.
	keeping = 30 * 24 * time.Hour
)

// layers returns what there is to know of layers, in their order.
func (s *Scanner) layers(ctx context.Context, layers []Layer) ([]*contents, error) {
	all := make([]*contents, len(layers))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(s.config.Most)
	for i, l := range layers {
		g.Go(func() (err error) {
			all[i], err = s.layer(ctx, l)
			return err
		})
	}
	return all, g.Wait()
}

// layer returns what there is to know of a layer, from the store or by reading it.
func (s *Scanner) layer(ctx context.Context, l Layer) (*contents, error) {
	key := store.Key{Kind: KindLayer, ID: l.Digest + " " + rules + " " + s.config.Policy.signatures.name}
	d, err := s.config.Store.Get(ctx, key)
	if err == nil {
		c := &contents{}
		if err := gob.NewDecoder(bytes.NewReader(d.Body)).Decode(c); err != nil {
			return nil, fmt.Errorf("reading what is known of layer %s: %w", l.Digest, err)
		}
		s.remember(ctx, d)
		return c, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("looking for layer %s: %w", l.Digest, err)
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("reading layer %s: %w", l.Digest, ctx.Err())
	}
	c, err := readLayer(ctx, l.Open, s.config.Limits, s.config.Policy.signatures)
	if err != nil {
		return nil, fmt.Errorf("reading layer %s: %w", l.Digest, err)
	}
	var body bytes.Buffer
	if err := gob.NewEncoder(&body).Encode(c); err != nil {
		return nil, fmt.Errorf("encoding what is known of layer %s: %w", l.Digest, err)
	}
	err = s.config.Store.Commit(ctx, store.Batch{Put: []store.Write{{Was: store.Any, Document: store.Document{
		Key: key, Body: body.Bytes(), Due: s.config.Now().Add(keeping),
	}}}})
	if err != nil {
		return nil, fmt.Errorf("keeping what is known of layer %s: %w", l.Digest, err)
	}
	return c, nil
}

// remember puts off the day on which a layer is forgotten, where that is near.
// That it can't is no reason to fail a scan.
func (s *Scanner) remember(ctx context.Context, d store.Document) {
	now := s.config.Now()
	if d.Due.After(now.Add(keeping / 2)) {
		return
	}
	d.Due = now.Add(keeping)
	err := s.config.Store.Commit(ctx, store.Batch{Put: []store.Write{{Document: d, Was: d.Revision}}})
	if err != nil && !errors.Is(err, store.ErrConflict) {
		s.config.Log.Warn("a layer that was scanned may be forgotten too early", "layer", d.ID, "error", err)
	}
}

// sweep forgets a few of the layers and assessments whose time is over. A scan
// does not fail for it.
func (s *Scanner) sweep(ctx context.Context) {
	if _, err := s.Sweep(ctx); err != nil {
		s.config.Log.Warn("old scans are not swept", "error", err)
	}
}

// Sweep forgets a few of the layers and assessments whose time is over, and says
// how many. Every scan does so too.
func (s *Scanner) Sweep(ctx context.Context) (int, error) {
	n, err := s.config.Assessments.Sweep(ctx)
	if err != nil {
		return n, err
	}
	const some = 20
	gone, err := s.config.Store.Claim(ctx, KindLayer, some, "sweep", time.Minute)
	if err != nil {
		return n, fmt.Errorf("looking for layers to forget: %w", err)
	}
	for _, d := range gone {
		err := s.config.Store.Commit(ctx, store.Batch{Delete: []store.Removal{{Key: d.Key, Was: d.Revision}}})
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return n, fmt.Errorf("forgetting layer %s: %w", d.ID, err)
		}
		n++
	}
	return n, nil
}

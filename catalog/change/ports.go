package change

import (
	"context"
	"errors"
)

// World is what Probe may ask. The server fills it; a port that is nil is one
// that no change type of this server needs.
type World struct {
	Images   Images
	Logos    Logos
	Names    Names
	Products Products
}

// Errors of the ports that mean "the request is wrong". Any other error of a
// port means that we failed, and the probe is tried again.
var (
	ErrImageNotFound    = errors.New("no such image")
	ErrChartInvalid     = errors.New("chart can't be loaded") // wrapped with the reason
	ErrLogoUnreachable  = errors.New("logo can't be fetched")
	ErrLogoNotSupported = errors.New("logo is not of a supported type or size")
	ErrProductNotFound  = errors.New("no such product")
)

// Images is the registry as change types see it.
type Images interface {
	// Parse reads an image URI, under Souk's own host or under the documents'
	// 709825985650.dkr.ecr.us-east-1.amazonaws.com. It asks nobody. ok is
	// false if the URI is no reference of a registry that we serve.
	Parse(uri string) (ref ImageRef, ok bool)
	// Resolve finds what a reference names. ErrImageNotFound if there is
	// nothing, or nothing that the seller may read.
	Resolve(ctx context.Context, s Seller, ref ImageRef) (Image, error)
	// Chart loads the Helm chart that a reference names. ErrImageNotFound, ErrChartInvalid.
	Chart(ctx context.Context, s Seller, ref ImageRef) (Chart, error)
	// Publish mounts an image into the product's own published repository, so
	// that a deletion by the seller breaks nothing. Doing it twice is no error.
	Publish(ctx context.Context, productID string, ref ImageRef, digest string) error
}

// ImageRef is a parsed image URI.
type ImageRef struct {
	Repository string // NAMESPACE/NAME
	Tag        string // "" if the URI has a digest or neither
	Digest     string // sha256:..., "" if the URI has a tag
	// Product, with a Digest, means the copy that was published for the product
	// of that id: it stays when the seller deletes the image. "" in all that
	// Parse returns.
	Product string
}

// Image is what a reference resolves to.
type Image struct {
	Digest    string // of the manifest or index
	MediaType string
	Chart     bool // a Helm chart, not a container image
}

// Chart is what a change type checks of a Helm chart.
type Chart struct {
	Digest  string
	Name    string
	Version string
	Values  map[string]any // the chart's default values
	// Images are the image references that the chart's templates render with
	// its default values.
	Images []string
}

// Logos fetches and keeps logos.
type Logos interface {
	// Copy fetches the URL, checks that it is an image that meets the logo
	// requirements and keeps it. It returns the URL under which Souk serves
	// the copy. ErrLogoUnreachable, ErrLogoNotSupported.
	Copy(ctx context.Context, url string) (kept string, err error)
}

// Names says which unique names are taken (see Applying.Claim).
type Names interface {
	Taken(ctx context.Context, kind, id string) (bool, error)
}

// Products is the catalog's products as change types of other products see them.
type Products interface {
	// Visibility returns the visibility (Draft, Limited, Public, Restricted) of
	// the latest revision of a product of the seller. ErrProductNotFound.
	Visibility(ctx context.Context, s Seller, id string) (visibility string, err error)
}

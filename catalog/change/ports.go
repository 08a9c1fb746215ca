package change

import (
	"context"
	"errors"
)

// World is what Probe may ask. The server fills it; a port that is nil is one
// that no change type of this server needs.
type World struct {
	Images   Images
	AMIs     AMIs
	Roles    Roles
	Scanner  Scanner
	Logos    Logos
	Names    Names
	Entities Entities
	// Branding is as Logos is, with the requirements of a private marketplace's logo.
	Branding Logos
	// Components is nil where products have no installers.
	Components Components
	// Pages is nil where the market looks at no pages of sellers.
	Pages        Pages
	Organization Organization
	Marks        Marks
	// Set has every change of the set in the order of the request, this one included.
	Set []Beside
}

// Beside is a change of the same set.
type Beside struct {
	ChangeType string
	EntityType string // with version
	EntityID   string // also of an entity that the set creates
}

// Errors of the ports that mean "the request is wrong". Any other error of a
// port means that we failed, and the probe is tried again.
var (
	ErrImageNotFound    = errors.New("no such image")
	ErrChartInvalid     = errors.New("chart can't be loaded") // wrapped with the reason
	ErrLogoUnreachable  = errors.New("logo can't be fetched")
	ErrLogoNotSupported = errors.New("logo is not of a supported type or size")
	ErrPageUnreachable  = errors.New("page can't be asked") // nobody can answer there
	ErrAMINotFound      = errors.New("no such AMI")
	ErrAMIUnreadable    = errors.New("AMI can't be read") // it is there, its layers are not
	ErrEntityNotFound   = errors.New("no such entity")
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

// Roles are the IAM roles by which a marketplace reads what a seller has.
type Roles interface {
	// May says whether the seller has a role of that ARN (there), and whether it
	// trusts the marketplace and its policies allow an action on a resource. It
	// takes nothing amiss: any text may be asked about.
	May(ctx context.Context, s Seller, arn, action, resource string) (there, allowed bool, err error)
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

// Pages are the sellers' own pages on the web, to which buyers are led.
type Pages interface {
	// Status returns the HTTP status with which a page answers, redirects
	// followed. ErrPageUnreachable if it can have none: no host has the name, its
	// address is private, nobody listens there.
	Status(ctx context.Context, url string) (int, error)
}

// Names says which unique names are taken (see Applying.Claim).
type Names interface {
	Taken(ctx context.Context, kind, id string) (bool, error)
}

// Organization says who belongs together. Its ids are those of accounts (12
// digits), organisational units (ou-...) and the organisation (o-...).
type Organization interface {
	// Management returns the id of the management account.
	Management(ctx context.Context) (account string, err error)
	// Has says whether an account, organisational unit or organisation of that
	// id is (part of) the organisation.
	Has(ctx context.Context, principal string) (bool, error)
}

// Marks says what other sets under way have marked (see Marker).
type Marks interface {
	// Ahead says whether a set that was started before this one, and has not
	// ended, has the mark.
	Ahead(ctx context.Context, mark string) (bool, error)
}

// Entities is the catalog's other entities as change types see them: first as
// the set's own changes have made them so far, then as they are stored. What
// was read must be unchanged when the set is applied; else its probes run again.
type Entities interface {
	// Read returns an entity of the seller and its state, a pointer to the P of
	// its type (product.Of finds the facets of any product in it). Nobody may
	// write the state. ErrEntityNotFound, also for those of other accounts.
	Read(ctx context.Context, s Seller, id string) (e Entity, state any, err error)
	// Named returns the ids of the seller's entities of a type (without
	// version) whose Listing has a value in a field: Named(ctx, s, "Offer",
	// "ProductId", id). At most 1,000, in no order; what other sets make
	// meanwhile may be missed.
	Named(ctx context.Context, s Seller, entityType, field, value string) (ids []string, err error)
}

// AMIs is the machine images of this marketplace as change types see them.
type AMIs interface {
	// Find returns an AMI that the seller owns or may use. ErrAMINotFound,
	// ErrAMIUnreadable.
	Find(ctx context.Context, s Seller, id string) (AMI, error)
	// Publish pins the AMI for a product: a copy by digest that its seller can
	// neither change nor delete. Doing it twice is no error.
	Publish(ctx context.Context, productID string, a AMI) error
}

// AMI is an Amazon Machine Image: here a root file system in the registry with
// a record beside it.
type AMI struct {
	ID                 string // ami- and 17 hexadecimal digits
	Name               string
	Owner              string // account id
	Digest             string // of the image's manifest
	Architecture       string // x86_64 or arm64
	VirtualizationType string // hvm or paravirtual
	RootDeviceType     string // ebs or instance-store
	EnaSupport         bool
	Platform           string   // such as "Debian GNU/Linux 13", from its os-release; "" if it has none
	ProductCodes       []string // of products that it was made from
}

// Scanner looks for vulnerable packages, secrets and the like inside of images.
type Scanner interface {
	// ScanAMI and ScanImage scan what is about to be listed and keep the result
	// as an assessment. An error means that we failed.
	ScanAMI(ctx context.Context, target ScanTarget, a AMI) (Scan, error)
	ScanImage(ctx context.Context, target ScanTarget, uri, digest string) (Scan, error)
}

// ScanTarget says for whom and for what is scanned.
type ScanTarget struct {
	Seller    Seller
	ChangeSet string // id
	EntityID  string
	// DeliveryOption is the id that the option has, or gets if the set succeeds
	// (see Checks.ID).
	DeliveryOption string
	Subject        string // what the report calls it, such as a delivery option's title
}

// Scan is what a scan came to.
type Scan struct {
	Assessment string // its id
	// Findings are those that refuse, at most 20 of them in words, the gravest
	// first; none: it may be listed, or there was nothing to scan with.
	Findings []string
	// Report is the URL of the whole report, for SCAN_ERROR. "" without findings.
	Report string
}

package change

import (
	"context"
	"errors"
)

// Errors of Components that mean "the request is wrong".
var (
	// ErrComponentNotFound: the seller has no build version of a component with that ARN.
	ErrComponentNotFound = errors.New("no such component")
	// ErrComponentUnreadable: it is there, and its files are not, or can't be read. Wrapped with the reason.
	ErrComponentUnreadable = errors.New("files of the component can't be read")
)

// Components is the installers of products as change types see them: EC2 Image
// Builder components, and the machines in which they are tried.
type Components interface {
	// Find returns the build version of a component of the seller that an ARN
	// names; an ARN without a build number names the newest build of the version.
	// ErrComponentNotFound, ErrComponentUnreadable.
	Find(ctx context.Context, s Seller, arn string) (Component, error)
	// Try installs a component in a machine of its own, by all of its phases. It
	// may take many minutes. An error means that we failed.
	Try(ctx context.Context, t Trial) (Tried, error)
	// Publish pins the component's files for a product: a copy by digest that its
	// seller can neither change nor delete. Without files it does nothing. Doing
	// it twice is no error. ErrComponentUnreadable.
	Publish(ctx context.Context, productID string, c Component) error
}

// Component is one build of a version of an EC2 Image Builder component.
type Component struct {
	ARN                 string // of the build: arn:aws:imagebuilder:REGION:ACCOUNT:component/NAME/1.0.0/1
	Name                string // as its seller wrote it
	Version             string // 1.0.0
	Build               int    // 1, ...
	Description         string // "" if it has none
	Platform            string // Linux
	SupportedOSVersions []string
	Document            string // the component document, YAML
	Phases              []string
	Parameters          []ComponentParameter
	Files               ComponentFiles
}

// ComponentParameter is a parameter of a component document.
type ComponentParameter struct {
	Name        string
	Default     *string `json:",omitempty"` // nil: it has none
	Description string  `json:",omitempty"`
}

// ComponentFiles is the OCI artefact that carries a component's files. The zero
// value means that it has none.
type ComponentFiles struct {
	Repository string `json:",omitempty"` // NAMESPACE/NAME, of the seller
	Digest     string `json:",omitempty"` // sha256:..., of the manifest
	Size       int64  `json:",omitempty"` // bytes of its layers as they are stored
}

// Trial is a component that is to be tried.
type Trial struct {
	ID        string // the same for the same trial of a set that is probed again
	Seller    Seller
	ChangeSet string // id
	EntityID  string // the product
	Component Component
	// Base is the digest of the product's own copy of an AMI; "": the newest
	// public image of a system that the component supports.
	Base string
	// BasePlatform is its system, such as Debian GNU/Linux 13; "" if it is not known.
	BasePlatform string
}

// Tried is what a trial came to.
type Tried struct {
	OK bool
	// Base is the system on which it was tried, such as Debian GNU/Linux 13.
	Base string
	// Incompatible: the component does not support Base, so nothing was run.
	Incompatible bool
	// Failure says in a line why it is not OK: the step that failed, or what the
	// market lacks to try it.
	Failure string
	Log     string // the end of what was written, a few hundred bytes; "" if nothing was run
	URL     string // of all that was written; "" if nothing was run
}

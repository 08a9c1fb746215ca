package images

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"souk/storage/store"
)

// Registration is an AMI to be.
//
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RegisterImage.html
type Registration struct {
	Account     string // who will own it
	Name        string // 3 to 128 of EC2's characters, unique among the account's AMIs
	Description string // at most 255 characters

	// Repository and Digest are the image: it was pushed to the repository that
	// Images.Repository returned. The digest is of a manifest, or of an index,
	// of which the image of the architecture is taken.
	Repository string
	Digest     string

	Architecture       string   // x86_64 or arm64; "" is the image's own
	VirtualizationType string   // hvm or paravirtual; "" is hvm
	RootDeviceType     string   // ebs or instance-store; "" is ebs
	EnaSupport         bool     // enhanced networking with ENA
	ProductCodes       []string // of products that it was made from
	Public             bool
	Source             string // where it came from, for people; at most 1,000 bytes
}

// repositoryName is the last part of the repository of an account's AMIs.
const repositoryName = "ami"

var (
	// namePattern has the characters that RegisterImage takes in names.
	namePattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9()\[\] ./\-'@_]{3,128}$`) })
	codePattern = regexp.MustCompile(`^[a-z0-9]{1,64}$`)
)

const (
	maxDescription = 255
	maxSource      = 1000
	maxCodes       = 25
)

// Register makes an AMI of an image: it reads all its layers first, so that a
// hostile or broken one becomes none. An image that is too large for that
// (Config.AtOnce) becomes a pending AMI, which Run makes available or failed.
// Errors: *Invalid, ErrNameTaken, ErrNoImage, ErrBadImage, ErrTooManyPending.
func (m *Images) Register(ctx context.Context, r Registration) (AMI, error) {
	err := r.check()
	if err != nil {
		return AMI{}, err
	}
	_, err = m.config.Store.Get(ctx, nameKey(r.Account, r.Name))
	if err == nil {
		return AMI{}, fmt.Errorf("%w: %q", ErrNameTaken, r.Name)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return AMI{}, fmt.Errorf("looking for the name %q: %w", r.Name, err)
	}
	owner, err := m.config.Registry.Owner(ctx, r.Repository)
	if err != nil {
		return AMI{}, noImage(err)
	}
	if owner != r.Account {
		return AMI{}, fmt.Errorf("%w: repository %s", ErrNoImage, r.Repository)
	}
	image, err := m.pick(ctx, r)
	if err != nil {
		return AMI{}, err
	}
	a := AMI{
		Owner: r.Account, Name: r.Name, Description: r.Description,
		Architecture: image.Architecture, VirtualizationType: r.VirtualizationType, RootDeviceType: r.RootDeviceType,
		EnaSupport: r.EnaSupport, ProductCodes: r.ProductCodes, State: StatePending,
		Created: m.config.Now().UTC().Truncate(time.Millisecond), Source: r.Source,
		Repository: r.Repository, Digest: image.Digest, Public: r.Public,
	}
	size, small := m.atOnce(image)
	a.Size = size
	if small {
		reading, done := context.WithTimeout(ctx, atOnceTime)
		got, err := verify(reading, image, m.config.Limits.Archive)
		late := reading.Err() != nil && ctx.Err() == nil
		done()
		switch {
		case err == nil:
			a.State = StateAvailable
			got.into(&a)
		case !late:
			return AMI{}, err
		}
	}
	if a.VirtualizationType == "" {
		a.VirtualizationType = HVM
	}
	if a.RootDeviceType == "" {
		a.RootDeviceType = EBS
	}
	return m.keep(ctx, a)
}

// keep gives an AMI its id and writes it, with a tag that holds its image.
func (m *Images) keep(ctx context.Context, a AMI) (AMI, error) {
	var err error
	a.ID, err = m.newID()
	if err != nil {
		return AMI{}, err
	}
	// Before the record: what is registered is there. The tag keeps the manifest
	// when manifests without one are swept.
	err = m.config.Registry.Tag(ctx, a.Repository, a.ID, a.Digest)
	if err != nil {
		return AMI{}, noImage(err)
	}
	batch, err := a.batch()
	if err != nil {
		return AMI{}, err
	}
	name := nameKey(a.Owner, a.Name)
	if a.State == StatePending {
		batch.Put[0].Due = m.runner.Now()
		batch.Bounds = []store.Bound{{Kind: KindAMI, Index: pendingIndex, Partition: a.Owner, Most: maxPending}}
	}
	err = m.config.Store.Commit(ctx, batch)
	if err == nil {
		m.runner.Wake()
		return a, nil
	}
	if errors.Is(err, store.ErrLimit) {
		err = fmt.Errorf("%w: at most %d", ErrTooManyPending, maxPending)
		return AMI{}, errors.Join(err, m.config.Registry.Untag(ctx, a.Repository, a.ID))
	}
	var conflict *store.Conflict
	if errors.As(err, &conflict) {
		err = fmt.Errorf("registering %s: %w", a.ID, err)
		if conflict.Key == name {
			err = fmt.Errorf("%w: %q", ErrNameTaken, a.Name)
		}
		// Nothing was written, so nobody knows the tag.
		return AMI{}, errors.Join(err, m.config.Registry.Untag(ctx, a.Repository, a.ID))
	}
	return AMI{}, fmt.Errorf("registering %s: %w", a.ID, err)
}

// pick finds the image of the registration's architecture. Its Architecture is
// EC2's word for it.
func (m *Images) pick(ctx context.Context, r Registration) (Image, error) {
	all, err := m.Images(ctx, r.Repository, r.Digest)
	if err != nil {
		return Image{}, err
	}
	var fit []Image
	var has []string
	for _, i := range all {
		has = append(has, platformOf(i.OS, i.Architecture))
		is, ok := fits(i.OS, i.Architecture, r.Architecture)
		if ok {
			i.Architecture = is
			fit = append(fit, i)
		}
	}
	switch len(fit) {
	case 0:
		return Image{}, unfit(has, r.Architecture)
	case 1:
		return fit[0], nil
	}
	return Image{}, &Invalid{"Architecture", r.Architecture, "the index has images for several; say which"}
}

// check looks at what needs no registry.
func (r Registration) check() error {
	switch _, name, _ := strings.Cut(r.Repository, "/"); {
	case !accountPattern.MatchString(r.Account):
		return &Invalid{"Account", r.Account, "an account id has 12 digits"}
	case name != repositoryName:
		return &Invalid{"Repository", r.Repository, "AMIs lie in the repository NAMESPACE/" + repositoryName}
	case !digestPattern.MatchString(r.Digest):
		return &Invalid{"Digest", r.Digest, "it is sha256: and 64 hexadecimal digits"}
	case !slices.Contains([]string{"", X8664, ARM64}, r.Architecture):
		return &Invalid{"Architecture", r.Architecture, "it is x86_64 or arm64"}
	case !slices.Contains([]string{"", HVM, Paravirtual}, r.VirtualizationType):
		return &Invalid{"VirtualizationType", r.VirtualizationType, "it is hvm or paravirtual"}
	case !slices.Contains([]string{"", EBS, InstanceStore}, r.RootDeviceType):
		return &Invalid{"RootDeviceType", r.RootDeviceType, "it is ebs or instance-store"}
	case len(r.Source) > maxSource || !utf8.ValidString(r.Source):
		return &Invalid{"Source", "", fmt.Sprintf("it has %d bytes of text at most", maxSource)}
	}
	return r.CheckWords()
}

// CheckWords looks at what people write: name, description and product codes.
// Whoever pushes an image to register it asks before. The error is an *Invalid.
func (r Registration) CheckWords() error {
	if !namePattern().MatchString(r.Name) {
		return &Invalid{"Name", r.Name, "it has 3 to 128 letters, digits, spaces and ()[]./-'@_"}
	}
	if len(r.ProductCodes) > maxCodes {
		return &Invalid{"ProductCodes", strings.Join(r.ProductCodes, ","), fmt.Sprintf("at most %d", maxCodes)}
	}
	for _, c := range r.ProductCodes {
		if !codePattern.MatchString(c) {
			return &Invalid{"ProductCodes", c, "a product code has 1 to 64 lower-case letters and digits"}
		}
	}
	return checkDescription(r.Description)
}

func checkDescription(d string) error {
	if !utf8.ValidString(d) || utf8.RuneCountInString(d) > maxDescription {
		return &Invalid{"Description", d, fmt.Sprintf("it has %d characters at most", maxDescription)}
	}
	return nil
}

package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"souk/artifact/appstream/resource"
	"souk/artifact/images"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// This file has what image builders need: images to begin with, and images that
// they make.

// Bounds of what people write (AppStream API reference).
const (
	maxDisplayName  = 100
	maxDescription  = 256
	maxApplications = 50
	// maxWords is what an image's applications may have to say, as JSON: lists have
	// it of every image of a page.
	maxWords = 64 << 10 // bytes
	maxIcon  = 1 << 20  // bytes
	maxSide  = 1024     // pixels of an icon, each way
)

// ErrSettled: an image that is to be ended is there no more, or has ended already.
var ErrSettled = errors.New("the image is not pending")

// Usable returns an image that an account in a region may make an image builder
// from: by its name its own, or a public one; by its ARN also one that is shared
// with it. Errors: ResourceNotFoundException, ResourceNotAvailableException,
// OperationNotPermittedException (a product in it may not be obtained),
// IncompatibleImageException (machines here are others).
func (r *Images) Usable(ctx context.Context, account, region, nameOrARN string) (Image, error) {
	i, err := r.find(ctx, account, region, nameOrARN)
	if err != nil {
		return Image{}, err
	}
	switch {
	case i.State != Available:
		return Image{}, notAvailable(i)
	case i.Visibility == Shared && !i.Shared[account].AllowImageBuilder:
		return Image{}, apierror.New("ResourceNotAvailableException", "The image %s is shared with account %s, and not for image builders.", i.Name, account)
	case r.config.Architecture != "" && i.Architecture != r.config.Architecture:
		return Image{}, apierror.New("IncompatibleImageException", "The image %s is for %s, and instances are %s here.", i.Name, i.Architecture, r.config.Architecture)
	}
	err = r.permitted(ctx, account, i)
	if err != nil {
		return Image{}, err
	}
	return i, nil
}

// permitted asks whether an account may have what is installed in an image of another.
func (r *Images) permitted(ctx context.Context, account string, i Image) error {
	if r.config.MayUse == nil || len(i.Codes) == 0 || i.Account == account {
		return nil
	}
	why, err := r.config.MayUse(ctx, account, i)
	if err != nil {
		return fmt.Errorf("asking whether account %s may use the image %s: %w", account, i.Name, err)
	}
	if why != "" {
		return apierror.New("OperationNotPermittedException", "The image %s can't be used: %s.", i.Name, strings.TrimSuffix(why, "."))
	}
	return nil
}

// find returns an image that an account in a region sees, whatever its state.
func (r *Images) find(ctx context.Context, account, region, nameOrARN string) (Image, error) {
	missing := notFound(nameOrARN, account)
	var keys []store.Key
	a, ok := resource.ParseARN(nameOrARN)
	switch {
	case ok && (a.Type != resource.TypeImage || a.Region != region):
		return Image{}, missing
	case ok:
		keys = []store.Key{key(a.Account, region, a.Name)}
	case resource.IsName(nameOrARN):
		keys = []store.Key{key(account, region, nameOrARN), key("", region, nameOrARN)}
	}
	for _, k := range keys {
		i, err := r.read(ctx, k, account, region)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return Image{}, err
		}
		if _, lent := i.Shared[account]; i.Visibility == Shared && (!lent || i.State != Available) {
			continue
		}
		return i, nil
	}
	return Image{}, missing
}

// read returns the image of a document. store.ErrNotFound.
func (r *Images) read(ctx context.Context, k store.Key, account, region string) (Image, error) {
	d, err := r.config.Store.Get(ctx, k)
	if err != nil {
		return Image{}, fmt.Errorf("reading image %s: %w", k.ID, err)
	}
	return decode(d, account, region)
}

// own returns an image that an account may change: its own, or a public one that
// it has made.
func (r *Images) own(ctx context.Context, account, region, name string) (Image, error) {
	i, err := r.find(ctx, account, region, name)
	if err == nil && i.Owner != account {
		return Image{}, notFound(name, account)
	}
	return i, err
}

// notAvailable is the service's answer to a request for an image that is not
// ready, in its own words.
func notAvailable(i Image) error {
	return apierror.New("ResourceNotAvailableException", "The image %s is %s. The image must be in an AVAILABLE state for this action to succeed.", i.Name, i.State)
}

// Beginning is an image that an image builder begins to make.
type Beginning struct {
	Account, Region string
	Name            string
	DisplayName     string
	Description     string
	Tags            resource.Tags
	Applications    []Application // with their icons
	Base            Image         // what the builder was made from, of Usable
	BuilderName     string
	AgentVersion    string // "": always the latest
	DryRun          bool   // check, and make nothing
}

// Begin checks what is to become an image, keeps its icons, and returns it with
// the batch that makes it PENDING; the batch of a DryRun is empty. The caller
// commits it with its own, and has Refusal say what a conflict means. Errors:
// ValidationException, ResourceAlreadyExistsException, LimitExceededException.
func (r *Images) Begin(ctx context.Context, b Beginning) (Image, store.Batch, error) {
	i := Image{
		Name: b.Name, Account: b.Account, Owner: b.Account, Region: b.Region, BaseARN: b.Base.ARN,
		DisplayName: b.DisplayName, Description: b.Description, State: Pending, Platform: b.Base.Platform, OS: b.Base.OS,
		Applications: slices.Clone(b.Applications), Created: r.now(), BaseReleased: b.Base.BaseReleased, AgentVersion: b.AgentVersion,
		BuilderName: b.BuilderName, Type: b.Base.Type, Tags: b.Tags, Codes: b.Base.Codes,
		Origin: &Origin{Base: b.Base.content()},
	}
	if b.Base.Type == "" {
		i.Type = Custom
	}
	err := r.fits(ctx, i)
	if err != nil || b.DryRun {
		return i, store.Batch{}, err
	}
	i, batch, err := r.begun(ctx, i)
	if err != nil {
		return Image{}, store.Batch{}, err
	}
	return i, batch, nil
}

// fits checks a new image: its words, and that the account may have it.
func (r *Images) fits(ctx context.Context, i Image) error {
	err := errors.Join(i.checkWords(), i.Tags.Check())
	if err == nil {
		err = i.checkApplications()
	}
	if err != nil {
		return first(err)
	}
	_, err = r.config.Store.Get(ctx, i.Key())
	if err == nil {
		return taken(i)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("looking for image %s: %w", i.Name, err)
	}
	most := r.limits(i.Account).Images
	if i.Account == "" || most < 0 {
		return nil
	}
	page, err := r.config.Store.List(ctx, store.Query{Kind: Kind, Index: indexOwn, Partition: resource.Place(i.Account, i.Region), Limit: max(1, most)})
	if err != nil {
		return fmt.Errorf("counting the images of %s: %w", i.Account, err)
	}
	if len(page.Documents) >= most {
		return r.full(i)
	}
	return nil
}

// first is the first refusal among joined errors, as clients see one at a time.
func first(err error) error {
	var refusal *apierror.Error
	if errors.As(err, &refusal) {
		return refusal
	}
	return err
}

// begun gives an image its id, keeps its icons, and returns the batch that makes it.
func (r *Images) begun(ctx context.Context, i Image) (Image, store.Batch, error) {
	var err error
	i.ID, err = r.newID()
	if err != nil {
		return Image{}, store.Batch{}, err
	}
	err = r.keepIcons(ctx, &i)
	if err != nil {
		return Image{}, store.Batch{}, err
	}
	d, err := i.document()
	if err != nil {
		return Image{}, store.Batch{}, err
	}
	if i.Account == "" {
		i.Visibility = Public
	} else {
		i.Visibility = Private
	}
	i.ARN = resource.ARN{Region: i.Region, Account: i.Account, Type: resource.TypeImage, Name: i.Name}.String()
	i.revision = 1
	batch := store.Batch{Put: []store.Write{{Document: d}}}
	if most := r.limits(i.Account).Images; i.Account != "" && most >= 0 {
		batch.Bounds = []store.Bound{{Kind: Kind, Index: indexOwn, Partition: resource.Place(i.Account, i.Region), Most: most}}
	}
	return i, batch, nil
}

// Refusal is what the failure of a commit with the batch of Begin means to the
// client; err itself where it has nothing to do with the image.
func (r *Images) Refusal(i Image, err error) error {
	var conflict *store.Conflict
	switch {
	case errors.Is(err, store.ErrLimit):
		return r.full(i)
	case errors.As(err, &conflict) && conflict.Key == i.Key():
		return taken(i)
	}
	return err
}

func taken(i Image) error {
	return apierror.New("ResourceAlreadyExistsException", "The image %s for account %s already exists.", i.Name, i.Owner)
}

func (r *Images) full(i Image) error {
	return apierror.New("LimitExceededException", "The account has reached its limit of images in this region, which is %d.", r.limits(i.Account).Images)
}

// checkWords looks at what people write.
func (i Image) checkWords() error {
	switch {
	case !resource.IsName(i.Name):
		return apierror.New("ValidationException", "The image name '%s' is not valid: it begins with a letter or digit and has at most 101 letters, digits and _ . -.", i.Name)
	case !utf8.ValidString(i.DisplayName) || utf8.RuneCountInString(i.DisplayName) > maxDisplayName:
		return apierror.New("ValidationException", "The display name has more than %d characters.", maxDisplayName)
	case !utf8.ValidString(i.Description) || utf8.RuneCountInString(i.Description) > maxDescription:
		return apierror.New("ValidationException", "The description has more than %d characters.", maxDescription)
	}
	return nil
}

// isIcon says whether a file is a picture that browsers show, that can hold no script,
// and that unpacks to no more than an icon has.
func isIcon(file []byte) bool {
	is, err := png.DecodeConfig(bytes.NewReader(file))
	return err == nil && len(file) <= maxIcon && is.Width <= maxSide && is.Height <= maxSide
}

func (i Image) checkApplications() error {
	if len(i.Applications) > maxApplications {
		return apierror.New("LimitExceededException", "An image can have %d applications at most.", maxApplications)
	}
	seen := map[string]bool{}
	for _, a := range i.Applications {
		switch {
		case a.Name == "" || seen[a.Name]:
			return apierror.New("ValidationException", "The application name '%s' is empty or used twice.", a.Name)
		case !strings.HasPrefix(a.LaunchPath, "/"):
			return apierror.New("ValidationException", "The path of the application %s is not absolute.", a.Name)
		case len(a.Icon) > 0 && !isIcon(a.Icon):
			return apierror.New("ValidationException", "The icon of the application %s is no PNG image of at most %d bytes and %d by %d pixels.", a.Name, maxIcon, maxSide, maxSide)
		}
		seen[a.Name] = true
	}
	return checkLength(i.Applications)
}

// checkLength looks at how much the applications of an image have to say: there are
// many of them, with up to 50 metadata each.
func checkLength(applications any) error {
	said, err := json.Marshal(applications)
	if err != nil {
		return fmt.Errorf("encoding applications: %w", err)
	}
	if len(said) > maxWords {
		return apierror.New("LimitExceededException", "The names, paths, parameters and metadata of an image's applications can have %d bytes together, and these have %d.", maxWords, len(said))
	}
	return nil
}

// Finish puts the base of an image with the layer that its builder wrote into the
// registry, and returns the batch that makes it AVAILABLE. layer may be nil: nothing
// was written. Done again after a crash it makes the same. Errors: ErrSettled;
// images.ErrNoImage (the base is gone), images.ErrBadImage (what was written makes none).
func (r *Images) Finish(ctx context.Context, i Image, layer *images.LayerFile) (store.Batch, error) {
	now, err := r.pending(ctx, i)
	if err != nil {
		return store.Batch{}, err
	}
	repository, err := r.config.Repository(ctx, now.Owner)
	if err != nil {
		return store.Batch{}, err
	}
	made, err := r.config.AMIs.Append(ctx, repository, now.Origin.Base, layer, "image builder "+now.BuilderName, now.Created)
	if err != nil {
		return store.Batch{}, fmt.Errorf("making image %s: %w", now.Name, err)
	}
	now.set(made)
	return r.ready(ctx, now)
}

// ready tags the bytes of an image and returns the batch that makes it AVAILABLE.
func (r *Images) ready(ctx context.Context, i Image) (store.Batch, error) {
	tag, err := r.config.AMIs.Tag(ctx, i.Place, i.ID)
	if err != nil {
		return store.Batch{}, fmt.Errorf("making image %s: %w", i.Name, err)
	}
	tag.Was = store.Any // of an import it is there already
	i.State, i.Reason, i.Origin, i.Tries = Available, nil, nil, 0
	w, err := i.write()
	return store.Batch{Put: []store.Write{w, tag}}, err
}

// Fail returns the batch that ends an image as FAILED. ErrSettled.
func (r *Images) Fail(ctx context.Context, i Image, why Reason) (store.Batch, error) {
	now, err := r.pending(ctx, i)
	if err != nil {
		return store.Batch{}, err
	}
	return r.failed(now, why)
}

// failed returns the batch that ends an image as FAILED. It holds no bytes then.
func (r *Images) failed(i Image, why Reason) (store.Batch, error) {
	var batch store.Batch
	if i.Place != (images.Place{}) {
		batch.Delete = []store.Removal{i.Place.Untagged(i.ID)}
	}
	code := "INTERNAL_SERVICE_ERROR"
	if why.Code != InternalError {
		code = "VALIDATION_ERROR"
	}
	i.Errors = append(slices.Clone(i.Errors), resource.Error{Code: code, Message: why.Message, Timestamp: r.now()})
	i.State, i.Reason, i.Origin, i.Tries = Failed, &why, nil, 0
	i.Place, i.Size, i.Unpacked = images.Place{}, 0, 0
	w, err := i.write()
	batch.Put = []store.Write{w}
	return batch, err
}

// pending reads an image that its builder ends.
func (r *Images) pending(ctx context.Context, i Image) (Image, error) {
	now, err := r.read(ctx, i.Key(), i.Account, i.Region)
	if errors.Is(err, store.ErrNotFound) || err == nil && (now.ID != i.ID || now.State != Pending || now.Origin == nil) {
		return Image{}, fmt.Errorf("ending image %s: %w", i.Name, ErrSettled)
	}
	return now, err
}

// content is the image's bytes and what they are.
func (i Image) content() images.Content {
	return images.Content{Place: i.Place, Architecture: i.Architecture, Platform: i.OS.Platform(), OS: i.OS, Size: i.Size, Unpacked: i.Unpacked}
}

// set makes bytes the image's.
func (i *Image) set(c images.Content) {
	i.Place, i.Architecture, i.OS, i.Size, i.Unpacked = c.Place, c.Architecture, c.OS, c.Size, c.Unpacked
	i.Platform = platform(c.OS)
}

// keepIcons keeps the icons of an image's applications as blobs.
func (r *Images) keepIcons(ctx context.Context, i *Image) error {
	for n := range i.Applications {
		a := &i.Applications[n]
		if a.Created.IsZero() {
			a.Created = i.Created
		}
		if len(a.Icon) == 0 {
			continue
		}
		a.IconBlob = fmt.Sprintf("%s.%d.png", i.ID, n)
		err := r.config.Blobs.PutBytes(ctx, KindIcons, a.IconBlob, a.Icon)
		if err != nil {
			return fmt.Errorf("keeping the icon of %s: %w", a.Name, err)
		}
		a.Icon = nil
	}
	return nil
}

// iconTime is for how long the address of an icon is good.
const iconTime = 12 * time.Hour

// IconURL is where the icon of an application can be read for half a day; "" if it
// has none.
func (r *Images) IconURL(a Application) (string, error) {
	if a.IconBlob == "" {
		return "", nil
	}
	return r.config.Blobs.URL(KindIcons, a.IconBlob, r.config.Now().Add(iconTime))
}

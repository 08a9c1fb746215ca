package image

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"souk/artifact/appstream/resource"
	"souk/artifact/images"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// ImportRequest asks for an image of a machine image.
type ImportRequest struct {
	Account, Region string
	Name            string
	AMI             string // id
	Role            string // ARN
	DisplayName     string
	Description     string
	Tags            resource.Tags
	Always          bool   // AgentSoftwareVersion ALWAYS_LATEST
	Try             bool   // RuntimeValidationConfig is there
	Instance        string // its IntendedInstanceType
	Catalog         []CatalogItem
	Public          bool // Visibility, of ours
	DryRun          bool

	// Begins, if set, is told of the image before it is stored.
	Begins func(i Image)
}

// Import begins an image of a machine image that the account may use. Errors of
// Import: those that the model binds to CreateImportedImage.
//
// AppStream API reference, "CreateImportedImage"; developer guide, "Import Image".
func (r *Images) Import(ctx context.Context, q ImportRequest) (Image, error) {
	i := Image{
		Name: q.Name, Account: q.Account, Owner: q.Account, Region: q.Region,
		DisplayName: q.DisplayName, Description: q.Description, State: Creating, Created: r.now(),
		AgentVersion: r.config.AgentVersion, Type: Custom, Tags: q.Tags,
		Origin: &Origin{AMI: q.AMI, Instance: q.Instance, Try: q.Try, Catalog: q.Catalog},
	}
	if q.Always {
		i.AgentVersion = ""
	}
	if q.Public {
		management, err := r.config.Management(ctx)
		if err != nil {
			return Image{}, fmt.Errorf("asking who may make public images: %w", err)
		}
		if management != q.Account {
			return Image{}, apierror.New("OperationNotPermittedException", "Only the management account can make public images.")
		}
		i.Account, i.Type = "", Native
	}
	err := r.fits(ctx, i)
	if err == nil {
		err = r.checkCatalog(q)
	}
	if err == nil {
		err = r.checkAMI(ctx, q)
	}
	if err == nil {
		err = r.checkRole(ctx, q.Account, q.Role, "ec2:DescribeImages", "*", "ec2:ModifyImageAttribute", amiARN(q.Region, q.AMI))
	}
	if err != nil {
		return Image{}, err
	}
	if q.DryRun {
		return Image{}, apierror.New("DryRunOperationException", "The image %s could be imported: no check has failed, and nothing was made.", q.Name)
	}
	i, batch, err := r.begun(ctx, i)
	if err != nil {
		return Image{}, err
	}
	if q.Begins != nil {
		q.Begins(i)
	}
	return i, r.hand(ctx, i, batch)
}

// amiARN is the ARN of an AMI, as policies name it.
func amiARN(region, id string) string { return "arn:aws:ec2:" + region + "::image/" + id }

func (r *Images) checkCatalog(q ImportRequest) error {
	if q.Instance != "" && r.config.Instance != nil && !r.config.Instance(q.Instance) {
		return apierror.New("OperationNotPermittedException", "The instance type %s is not offered.", q.Instance)
	}
	if len(q.Catalog) > maxApplications {
		return apierror.New("LimitExceededException", "An image can have %d applications at most.", maxApplications)
	}
	seen := map[string]bool{}
	for _, item := range q.Catalog {
		if seen[item.Name] {
			return apierror.New("OperationNotPermittedException", "The application %s is in the catalog twice.", item.Name)
		}
		seen[item.Name] = true
		for _, p := range []string{item.AppPath, item.IconPath, item.ManifestPath, item.WorkingDirectory} {
			if p != "" && !path.IsAbs(p) {
				return apierror.New("OperationNotPermittedException", "A path of the application %s is not absolute.", item.Name)
			}
		}
	}
	return checkLength(q.Catalog)
}

// checkAMI looks at what can be said of the machine image before its layers are read.
func (r *Images) checkAMI(ctx context.Context, q ImportRequest) error {
	a, err := r.config.AMIs.Find(ctx, q.Account, q.AMI)
	switch {
	case errors.Is(err, images.ErrNotFound):
		return resource.NotFound("AMI", q.AMI, q.Account)
	case errors.Is(err, images.ErrDenied):
		return apierror.New("OperationNotPermittedException", "%v.", err)
	case err != nil:
		return err
	case r.config.Architecture != "" && a.Architecture != r.config.Architecture:
		return apierror.New("IncompatibleImageException", "The AMI %s is for %s, and instances are %s here.", a.ID, a.Architecture, r.config.Architecture)
	case a.VirtualizationType != images.HVM || a.RootDeviceType != images.EBS:
		return apierror.New("IncompatibleImageException", "The AMI %s has the virtualization type %s and the root device type %s, and must have hvm and ebs.", a.ID, a.VirtualizationType, a.RootDeviceType)
	}
	return nil
}

// checkRole asks whether AppStream may assume a role of an account and do with it
// what is to be done: pairs of action and resource.
func (r *Images) checkRole(ctx context.Context, account, arn string, may ...string) error {
	for n := 0; n+1 < len(may); n += 2 {
		there, allowed, err := r.config.Roles.May(ctx, account, arn, may[n], may[n+1])
		switch {
		case err != nil:
			return fmt.Errorf("asking what role %s may: %w", arn, err)
		case !there:
			return apierror.New("InvalidRoleException", "The service encountered an error because your IAM role %s does not exist in account %s.", arn, account)
		case !allowed:
			return apierror.New("InvalidRoleException", "The service encountered an error because your IAM role %s can't be assumed by appstream.amazonaws.com or does not allow %s on %s.", arn, may[n], may[n+1])
		}
	}
	return nil
}

// created is the first step of an import: the machine image is waited for, and
// what it is is written down.
func (r *Images) created(ctx context.Context, i Image) (store.Batch, error) {
	a, err := r.config.AMIs.Find(ctx, i.Owner, i.Origin.AMI)
	switch {
	case errors.Is(err, images.ErrNotFound):
		return store.Batch{}, fails(ImportFailure, "The AMI %s is gone.", i.Origin.AMI)
	case errors.Is(err, images.ErrDenied):
		return store.Batch{}, fails(ImportFailure, "%v.", err)
	case err != nil:
		return store.Batch{}, err
	case a.State == images.StatePending:
		return store.Batch{}, errNotYet
	case a.State != images.StateAvailable:
		why := "its layers were refused"
		if a.StateReason != nil {
			why = a.StateReason.Message
		}
		return store.Batch{}, fails(ImportFailure, "The AMI %s is %s: %s", a.ID, a.State, why)
	}
	origin := *i.Origin
	origin.Base = a.Content()
	i.Origin, i.Codes, i.BaseReleased = &origin, slices.Clone(a.ProductCodes), a.Created
	if i.Account == "" {
		i.BaseReleased = i.Created
	}
	i.State, i.Tries = Importing, 0
	return onlyWrite(i)
}

// imported is the second: the bytes are the image's own from here on.
func (r *Images) imported(ctx context.Context, i Image) (store.Batch, error) {
	repository, err := r.config.Repository(ctx, i.Owner)
	if err != nil {
		return store.Batch{}, err
	}
	broken := func(err error) error {
		return gone(err, ImportFailure, "The AMI %s can't be read", i.Origin.AMI)
	}
	made, err := r.config.AMIs.Append(ctx, repository, i.Origin.Base, nil, "", i.Created)
	if err != nil {
		return store.Batch{}, broken(err)
	}
	i.set(made)
	tag, err := r.config.AMIs.Tag(ctx, i.Place, i.ID)
	if err != nil {
		return store.Batch{}, broken(err)
	}
	tag.Was = store.Any
	i.State, i.Tries = Validating, 0
	batch, err := onlyWrite(i)
	batch.Put = append(batch.Put, tag)
	return batch, err
}

// validated is the last: all layers are read, the applications looked for, and a
// machine started.
func (r *Images) validated(ctx context.Context, i Image) (store.Batch, error) {
	var paths []string
	for _, item := range i.Origin.Catalog {
		for _, p := range []string{item.AppPath, item.IconPath, item.ManifestPath, item.WorkingDirectory} {
			if p != "" {
				paths = append(paths, p)
			}
		}
	}
	found, err := r.config.AMIs.Look(ctx, i.Place, paths)
	if err != nil {
		return store.Batch{}, gone(err, ImportFailure, "The AMI %s can't be read", i.Origin.AMI)
	}
	i.Applications = nil
	for _, item := range i.Origin.Catalog {
		a, err := r.application(ctx, i, item, found)
		if err != nil {
			return store.Batch{}, gone(err, ImportFailure, "The AMI %s can't be read", i.Origin.AMI)
		}
		i.Applications = append(i.Applications, a)
	}
	err = r.keepIcons(ctx, &i)
	if err != nil {
		return store.Batch{}, err
	}
	err = r.boots(ctx, i)
	if err != nil {
		return store.Batch{}, err
	}
	return r.ready(ctx, i)
}

// application is what a catalog item makes of what an image has.
func (r *Images) application(ctx context.Context, i Image, item CatalogItem, found map[string]images.Entry) (Application, error) {
	var wrong string
	app, icon, manifest, dir := found[item.AppPath], found[item.IconPath], found[item.ManifestPath], found[item.WorkingDirectory]
	switch {
	case !app.Regular:
		wrong = fmt.Sprintf("there is no file %s", item.AppPath)
	case !app.Executable:
		wrong = fmt.Sprintf("nobody may run %s", item.AppPath)
	case item.IconPath != "" && !icon.Regular:
		wrong = fmt.Sprintf("there is no icon %s", item.IconPath)
	case item.ManifestPath != "" && !manifest.Regular:
		wrong = fmt.Sprintf("there is no manifest %s", item.ManifestPath)
	case item.WorkingDirectory != "" && !dir.Dir:
		wrong = fmt.Sprintf("there is no directory %s", item.WorkingDirectory)
	}
	a := Application{
		Name: item.Name, DisplayName: item.DisplayName, LaunchPath: item.AppPath, LaunchParameters: item.LaunchParameters,
		WorkingDirectory: item.WorkingDirectory, Enabled: true, Created: i.Created,
	}
	if wrong == "" && item.IconPath != "" {
		var err error
		a.Icon, err = r.config.AMIs.ReadFile(ctx, i.Place, icon, maxIcon)
		if errors.Is(err, images.ErrTooLarge) || err == nil && !isIcon(a.Icon) {
			wrong = fmt.Sprintf("the icon %s is no PNG image of at most %d bytes and %d by %d pixels", item.IconPath, maxIcon, maxSide, maxSide)
		} else if err != nil {
			return Application{}, err
		}
	}
	if wrong != "" {
		return Application{}, fails(ImportFailure, "The application %s is not in the image: %s.", item.Name, wrong)
	}
	return a, nil
}

// boots has a machine started of an image, where there are machines.
func (r *Images) boots(ctx context.Context, i Image) error {
	if r.config.Boots == nil {
		if i.Origin.Try {
			return fails(ImportFailure, "The image can't be tried: this market has no provider of machines.")
		}
		return nil
	}
	err := r.config.Boots(ctx, i, i.Origin.Instance)
	var no *Unbootable
	if errors.As(err, &no) {
		return fails(ImportFailure, "No instance starts from the AMI %s: %s", i.Origin.AMI, no.Reason)
	}
	return err
}

// onlyWrite is the batch that writes an image and nothing else.
func onlyWrite(i Image) (store.Batch, error) {
	w, err := i.write()
	return store.Batch{Put: []store.Write{w}}, err
}

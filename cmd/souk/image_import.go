package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"souk/artifact/images"
)

// ImageImportCommand makes an AMI.
type ImageImportCommand struct {
	MarketFlags    `embed:""`
	Source         string    `arg:"" name:"source" help:"A tar of a root file system (also compressed), an OCI layout (folder or archive), a docker archive, or a reference such as HOST/NAME:TAG."`
	Account        accountID `placeholder:"ID" env:"-" help:"The account that will own it: that of the access key, which is the default."`
	Name           string    `required:"" env:"-" help:"Name of the AMI: 3 to 128 characters, unique in the account."`
	Description    string    `env:"-" help:"Description, up to 255 characters."`
	Arch           string    `enum:"x86_64,arm64," default:"" placeholder:"ARCH" env:"-" help:"x86_64 or arm64 (default: what the image says)."`
	Virtualization string    `enum:"hvm,paravirtual" default:"hvm" placeholder:"TYPE" env:"-" help:"hvm or paravirtual (default hvm)."`
	Ena            *bool     `env:"-" help:"Enhanced networking with ENA (default: yes for hvm; --ena=false)."`
	RootDevice     string    `enum:"ebs,instance-store" default:"ebs" placeholder:"TYPE" env:"-" help:"ebs or instance-store (default ebs)."`
	ProductCode    []string  `placeholder:"CODE" env:"-" help:"Code of a product that it was made from; may be given several times."`
	Public         bool      `env:"-" help:"Let everybody use it."`
	Insecure       bool      `env:"-" help:"Talk to the source's registry by http."`
	AppStreamFlags `embed:""`
}

// Run reads the source, pushes it, registers it and waits until it is available;
// it prints the AMI's id, and below it the ARN of the AppStream image if one is made.
func (c *ImageImportCommand) Run(app *App) (err error) {
	m, err := c.market()
	if err != nil {
		return err
	}
	// What refuses the import is asked before the long work.
	err = images.Registration{Name: c.Name, Description: c.Description, ProductCodes: c.ProductCode}.CheckWords()
	if err != nil {
		return err
	}
	err = c.check(c.Name)
	if err != nil {
		return err
	}
	repository, err := c.mayImport(app.Ctx, m)
	if err != nil {
		return err
	}
	bar := newProgress(app.Err)
	defer bar.end()
	source, err := images.Open(app.Ctx, c.Source, images.Options{
		Architecture: c.Arch, Insecure: c.Insecure, Remote: []remote.Option{m.logins(c.Source)}, Progress: bar.tell,
	})
	if err != nil {
		return c.unread(err)
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	digest, err := m.push(app.Ctx, repository, source.Image, bar)
	if err != nil {
		return err
	}
	bar.end()
	id, err := c.register(app.Ctx, m, repository+"@"+digest, source)
	if err != nil {
		return err
	}
	if err := c.await(app.Ctx, m, id, bar); err != nil {
		return err
	}
	if c.Public {
		err = m.ec2(app.Ctx, "ModifyImageAttribute", url.Values{"ImageId": {id}, "LaunchPermission.Add.1.Group": {"all"}}, nil)
		if err != nil {
			return fmt.Errorf("%s is there and not public: %w", id, err)
		}
	}
	_, err = fmt.Fprintln(app.Out, id)
	app.hint("`souk image show %s` shows it.", id)
	if err != nil || c.AppStream == "" {
		return err
	}
	arn, err := c.publish(app.Ctx, m, id, c.Name)
	if err != nil {
		return fmt.Errorf("%s is there, and no AppStream image of it: %w. `aws appstream create-imported-image --source-ami-id %s` makes one later, and `souk image rm %s` removes the AMI", id, err, id, id)
	}
	_, err = fmt.Fprintln(app.Out, arn)
	return err
}

// mayImport says where to push, if the account is the right one, may register
// and has no AMI of the name.
func (c *ImageImportCommand) mayImport(ctx context.Context, m *remoteMarket) (repository string, err error) {
	if c.Account != "" {
		account, err := m.account(ctx)
		if err != nil {
			return "", err
		}
		if account != string(c.Account) {
			return "", usagef("--account %s: the access key %s is of account %s. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key of that account (`souk key create --account %s`)", c.Account, m.key.AccessKeyID, account, c.Account)
		}
	}
	var place struct {
		Repository string `xml:"repositoryUri"`
	}
	if err := m.ec2(ctx, "GetImageRepository", nil, &place); err != nil {
		return "", err
	}
	var same describedImages
	err = m.ec2(ctx, "DescribeImages", url.Values{"Owner.1": {"self"}, "Filter.1.Name": {"name"}, "Filter.1.Value.1": {literally(c.Name)}}, &same)
	if err == nil && len(same.Images) > 0 {
		return "", &refusedCall{"InvalidAMIName.Duplicate", fmt.Sprintf("the account has %s of the name %q", same.Images[0].ID, c.Name)}
	}
	return place.Repository, c.may(ctx, m, c.Name) // who may not list is told by RegisterImage
}

// literally is a text as the value of a filter, in which * and ? mean something.
func literally(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`).Replace(text)
}

// unread says what to do about a source that can't be read.
func (c *ImageImportCommand) unread(err error) error {
	var wrong *images.Invalid
	if c.Arch == "" && (errors.As(err, &wrong) && wrong.Field == "Architecture" || strings.Contains(err.Error(), "which architecture")) {
		return fmt.Errorf("%w. Say it by --arch x86_64 or --arch arm64", err)
	}
	return err
}

// register makes the AMI of what was pushed.
func (c *ImageImportCommand) register(ctx context.Context, m *remoteMarket, location string, source *images.Source) (id string, err error) {
	ena := c.Virtualization == images.HVM
	if c.Ena != nil {
		ena = *c.Ena
	}
	wanted := url.Values{
		"ImageLocation": {location}, "Name": {c.Name}, "Architecture": {source.Architecture}, "VirtualizationType": {c.Virtualization},
		"RootDeviceType": {c.RootDevice}, "EnaSupport": {strconv.FormatBool(ena)}, "Source": {told(c.Source, source.Kind)},
	}
	if c.Description != "" {
		wanted.Set("Description", c.Description)
	}
	for n, code := range c.ProductCode {
		wanted.Set("ProductCode."+strconv.Itoa(n+1), code)
	}
	var made struct {
		ID string `xml:"imageId"`
	}
	err = m.ec2(ctx, "RegisterImage", wanted, &made)
	return made.ID, err
}

// maxSilent is how many seconds a market may not answer while an image is awaited.
const maxSilent = 60

// await waits until the market has read a large image. One that it refuses is
// removed again: its name is free for the next try.
func (c *ImageImportCommand) await(ctx context.Context, m *remoteMarket, id string, bar *progress) error {
	defer bar.end()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for silent := 0; ; {
		i, err := m.image(ctx, imageID(id))
		switch {
		case code(err) == "UnauthorizedOperation":
			return nil // who may not look is told nothing more; most images are available at once
		case err != nil && code(err) == "" && silent < maxSilent && ctx.Err() == nil:
			silent++ // the market is being started again: it goes on where it was
		case err != nil:
			return fmt.Errorf("%s is registered, and whether it is available is not known: %w", id, err)
		case i.State == images.StateFailed:
			err = fmt.Errorf("the market refuses the image: %s (%s)", strings.TrimSuffix(i.Reason.Message, "."), i.Reason.Code)
			if gone := m.ec2(ctx, "DeregisterImage", url.Values{"ImageId": {id}}, nil); gone != nil {
				err = fmt.Errorf("%w. %s stays, as failed: remove it by `souk image rm %s`", err, id, id)
			}
			return err
		case i.State != images.StatePending:
			return nil
		}
		var done, total int64
		if err == nil {
			silent = 0
		}
		if n, _ := fmt.Sscanf(i.Reason.Message, "%d of %d bytes", &done, &total); n == 2 {
			bar.tell("reading", done, total)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s is pending, and the market goes on with it: `souk image show %s` says what becomes of it: %w", id, id, ctx.Err())
		}
	}
}

// told is what the market is told of where an AMI came from: a reference, or the
// last part of a path. What else a path says is the importer's own business.
func told(source, kind string) string {
	if kind == images.Remote {
		return source
	}
	whole, err := filepath.Abs(source)
	if err != nil {
		return filepath.Base(source)
	}
	return filepath.Base(whole)
}

// push pushes an image to a repository of the market and returns its digest.
func (m *remoteMarket) push(ctx context.Context, repository string, image v1.Image, bar *progress) (digest string, err error) {
	hash, err := image.Digest()
	if err != nil {
		return "", fmt.Errorf("pushing to %s: %w", repository, err)
	}
	ref, err := m.reference(repository + "@" + hash.String())
	if err != nil {
		return "", err
	}
	updates := make(chan v1.Update, 16)
	told := make(chan struct{})
	go func() {
		defer close(told)
		for u := range updates {
			if u.Error == nil {
				bar.tell("pushing", u.Complete, u.Total)
			}
		}
	}()
	err = remote.Write(ref, image, remote.WithContext(ctx), remote.WithAuth(m.login()), remote.WithProgress(updates))
	<-told // Write closes the channel
	if err != nil {
		return "", fmt.Errorf("pushing to %s: %w", repository, err)
	}
	return hash.String(), nil
}

// reference names an image of the market at the address by which the market is
// reached: its own name may be another.
func (m *remoteMarket) reference(location string) (name.Reference, error) {
	_, path, ok := strings.Cut(location, "/")
	if !ok {
		return nil, fmt.Errorf("the market says that its images are at %q", location)
	}
	var how []name.Option
	if m.url.Scheme == "http" {
		how = append(how, name.Insecure)
	}
	ref, err := name.ParseReference(m.url.Host+"/"+path, how...)
	if err != nil {
		return nil, fmt.Errorf("the market says that its images are at %q: %w", location, err)
	}
	return ref, nil
}

// logins are the credentials for a source: the access key where that is in the
// market itself, else what docker login has kept.
func (m *remoteMarket) logins(source string) remote.Option {
	if host, _, _ := strings.Cut(source, "/"); host == m.url.Host {
		return remote.WithAuth(m.login())
	}
	return remote.WithAuthFromKeychain(authn.DefaultKeychain)
}

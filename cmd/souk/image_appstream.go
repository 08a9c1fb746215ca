package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

// This file is the last step of souk image import --appstream: an AppStream image is
// made of the AMI, so that image builders can begin with it.

// AppStreamFlags say whether an import goes on to an AppStream image.
type AppStreamFlags struct {
	AppStream   string `name:"appstream" enum:"public,private," default:"" placeholder:"WHO" env:"-" help:"Make an AppStream image of it too, of the same name, for image builders: public for all accounts (of the management account), or private."`
	DisplayName string `placeholder:"TEXT" env:"-" help:"Display name of the AppStream image."`
	Role        string `placeholder:"ARN" env:"-" help:"Role by which AppStream reads the AMI (default: souk-appstream of the account, which is made when it is not there, and serves exports too)."`
}

// appStreamRole is the role that an import gives to AppStream where none is named.
const appStreamRole = "souk-appstream"

// What appStreamRole trusts, and allows: what imports ask for and what exports do, so
// that an account needs no other (developer guide, "Import Image", "Export Image").
const (
	appStreamTrust  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"appstream.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	appStreamPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:DescribeImages","ec2:ModifyImageAttribute","ec2:CopyImage","ec2:CreateTags"],"Resource":"*"}]}`
)

// appStreamName is the form of the names of AppStream images.
var appStreamName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}$`) })

// check looks at what would be refused after the long work.
func (f AppStreamFlags) check(name string) error {
	switch {
	case f.AppStream == "" && (f.DisplayName != "" || f.Role != ""):
		return usagef("--display-name and --role are of the AppStream image: give --appstream public or private too")
	case f.AppStream != "" && !appStreamName().MatchString(name):
		return usagef("--name %q: an AppStream image has a name of at most 101 letters, digits and _ . - that begins with a letter or digit", name)
	}
	return nil
}

// appStreamImage is an image as DescribeImages of AppStream shows it.
type appStreamImage struct {
	Name              string
	Arn               string
	State             string
	StateChangeReason struct{ Code, Message string }
}

// appStream asks an action of AppStream.
func (m *remoteMarket) appStream(ctx context.Context, action string, in, out any) error {
	return m.json(ctx, "appstream", "PhotonAdminProxyService."+action, in, out)
}

// may says whether the account may make the AppStream image, and its name is free. Who
// may not look is told by CreateImportedImage, after the long work.
func (f AppStreamFlags) may(ctx context.Context, m *remoteMarket, name string) error {
	if f.AppStream == "" {
		return nil
	}
	if f.AppStream == "public" {
		var of struct {
			Organization struct{ MasterAccountId string }
		}
		err := m.json(ctx, "organizations", "AWSOrganizationsV20161128.DescribeOrganization", struct{}{}, &of)
		account, unknown := m.account(ctx)
		if err == nil && unknown == nil && account != of.Organization.MasterAccountId {
			return &refusedCall{"OperationNotPermittedException", fmt.Sprintf("only the management account, %s, can make public images, and the access key %s is of account %s: give --appstream private, and share the image", of.Organization.MasterAccountId, m.key.AccessKeyID, account)}
		}
	}
	var found struct{ Images []appStreamImage }
	in := map[string]any{"Names": []string{name}, "Type": strings.ToUpper(f.AppStream)}
	err := m.appStream(ctx, "DescribeImages", in, &found)
	if err == nil && len(found.Images) > 0 {
		return &refusedCall{"ResourceAlreadyExistsException", fmt.Sprintf("there is an AppStream image of the name %q: %s", name, found.Images[0].Arn)}
	}
	return nil
}

// publish makes the AppStream image of an AMI, waits until it is AVAILABLE, and
// returns its ARN. One that fails is removed again.
func (f AppStreamFlags) publish(ctx context.Context, m *remoteMarket, ami, name string) (arn string, err error) {
	role := f.Role
	if role == "" {
		role, err = m.appStreamRole(ctx)
		if err != nil {
			return "", err
		}
	}
	in := map[string]any{"Name": name, "SourceAmiId": ami, "IamRoleArn": role, "Visibility": strings.ToUpper(f.AppStream)}
	if f.DisplayName != "" {
		in["DisplayName"] = f.DisplayName
	}
	var made struct{ Image appStreamImage }
	err = m.appStream(ctx, "CreateImportedImage", in, &made)
	if err != nil {
		return "", err
	}
	return made.Image.Arn, m.awaitAppStream(ctx, made.Image)
}

// appStreamRole returns the ARN of the account's role for AppStream, and makes it when
// it is not there.
func (m *remoteMarket) appStreamRole(ctx context.Context) (arn string, err error) {
	account, err := m.account(ctx)
	if err != nil {
		return "", err
	}
	arn = "arn:aws:iam::" + account + ":role/" + appStreamRole
	err = m.ask(ctx, "iam", "2010-05-08", "CreateRole", url.Values{
		"RoleName": {appStreamRole}, "AssumeRolePolicyDocument": {appStreamTrust}, "Description": {"souk image import --appstream gives it to AppStream"},
	}, nil)
	if code(err) == "EntityAlreadyExists" {
		return arn, nil
	}
	if err == nil {
		err = m.ask(ctx, "iam", "2010-05-08", "PutRolePolicy", url.Values{
			"RoleName": {appStreamRole}, "PolicyName": {"images"}, "PolicyDocument": {appStreamPolicy},
		}, nil)
	}
	if err != nil {
		return "", fmt.Errorf("making the role %s (--role names another): %w", appStreamRole, err)
	}
	return arn, nil
}

// awaitAppStream waits until an image is AVAILABLE.
func (m *remoteMarket) awaitAppStream(ctx context.Context, i appStreamImage) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for silent := 0; ; {
		var found struct{ Images []appStreamImage }
		err := m.appStream(ctx, "DescribeImages", map[string]any{"Arns": []string{i.Arn}}, &found)
		switch {
		case code(err) == "AccessDeniedException":
			return nil // who may not look is told nothing more
		case err != nil && code(err) == "" && silent < maxSilent && ctx.Err() == nil:
			silent++ // the market is being started again: it goes on where it was
		case err != nil || len(found.Images) != 1:
			return fmt.Errorf("%s is begun, and whether it is available is not known: %w", i.Arn, errors.Join(err, ctx.Err()))
		case found.Images[0].State == "FAILED":
			why := found.Images[0].StateChangeReason
			err = fmt.Errorf("the AppStream image can't be made: %s (%s)", strings.TrimSuffix(why.Message, "."), why.Code)
			if gone := m.appStream(ctx, "DeleteImage", map[string]any{"Name": i.Name}, &struct{}{}); gone != nil {
				err = fmt.Errorf("%w. %s stays, as FAILED", err, i.Arn)
			}
			return err
		case found.Images[0].State == "AVAILABLE":
			return nil
		default:
			silent = 0
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s is not available yet, and the market goes on with it: %w", i.Arn, ctx.Err())
		}
	}
}

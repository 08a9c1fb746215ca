package amiproduct

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"souk/catalog/change"
	"souk/catalog/instancetype"
)

// The virtualization and the root volume that AWS Marketplace demands of AMIs.
const (
	hvm     = "hvm"
	ebsRoot = "ebs"
)

// What Probe keeps of an AMI for Apply.
const (
	foundDigest         = "Digest"
	foundArchitecture   = "Architecture"
	foundVirtualization = "VirtualizationType"
	foundENA            = "EnaSupport"
	foundPlatform       = "Platform"
	foundOption         = "DeliveryOption"
)

// probeSource looks the AMI of a new version up, compares it with the product's
// other versions and the instance types that it has to run on, has it scanned,
// and keeps a copy of it in the product, so that nothing that the seller does to
// the AMI changes the version.
func probeSource(ctx context.Context, p *Product, c *change.Checks, title string, s AmiSource, recommended string) error {
	ami, err := c.World.AMIs.Find(ctx, c.Seller, s.AmiId)
	absent, unreadable := errors.Is(err, change.ErrAMINotFound), errors.Is(err, change.ErrAMIUnreadable)
	if err != nil && !absent && !unreadable {
		return fmt.Errorf("looking up AMI %s for %s: %w", s.AmiId, c.Entity.ID, err)
	}
	refuseMissing(c, s, absent, unreadable, err)
	if err != nil {
		return nil
	}
	barred, err := roleBarred(ctx, c, s)
	if err != nil {
		return err
	}
	if barred {
		refuseMissing(c, s, false, true, fmt.Errorf("role %s does not trust assets.marketplace.amazonaws.com, or may not ec2:ModifyImageAttribute of %s", s.AccessRoleArn, s.AmiId))
		return nil
	}
	checkAMI(c, p, ami, p.Compatibility.beside(recommended))
	if len(c.Refusals()) > 0 {
		return nil
	}
	if err := scan(ctx, c, title, ami); err != nil || len(c.Refusals()) > 0 {
		return err
	}
	err = c.World.AMIs.Publish(ctx, c.Entity.ID, ami)
	unreadable = errors.Is(err, change.ErrAMIUnreadable)
	if err != nil && !unreadable {
		return fmt.Errorf("copying AMI %s into %s: %w", s.AmiId, c.Entity.ID, err)
	}
	refuseMissing(c, s, false, unreadable, err)
	if err != nil {
		return nil
	}
	c.Keep(foundOption, optionID(c, title))
	c.Keep(foundDigest, ami.Digest)
	c.Keep(foundArchitecture, ami.Architecture)
	c.Keep(foundVirtualization, ami.VirtualizationType)
	c.Keep(foundENA, strconv.FormatBool(ami.EnaSupport))
	c.Keep(foundPlatform, ami.Platform)
	return nil
}

// roleBarred says whether the role by which the AMI is to be shared is one of
// this market that may not do it. Of a role that is not there nothing is
// asked: the AMIs of this market need none.
//
// Seller Guide, "Giving AWS Marketplace access to your AMI": the role has
// ec2:ModifyImageAttribute on the image.
func roleBarred(ctx context.Context, c *change.Checks, s AmiSource) (bool, error) {
	return roleBarredFrom(ctx, c, s.AccessRoleArn, "ec2:ModifyImageAttribute", "arn:aws:ec2:us-east-1::image/"+s.AmiId)
}

// roleBarredFrom is roleBarred for any action and resource.
func roleBarredFrom(ctx context.Context, c *change.Checks, role, action, resource string) (bool, error) {
	if c.World.Roles == nil || role == "" {
		return false, nil
	}
	there, allowed, err := c.World.Roles.May(ctx, c.Seller, role, action, resource)
	if err != nil {
		return false, fmt.Errorf("asking for role %s of %s: %w", role, c.Entity.ID, err)
	}
	return there && !allowed, nil
}

// refuseMissing states the rules of AMIs that can't be had.
func refuseMissing(c *change.Checks, s AmiSource, absent, unreadable bool, reason error) {
	c.Refuse(absent, "ASSET_NOT_FOUND", "Check if [ami-id] exists in us-east-1 Region of [account-id] AWS account and the AccessARN provided [ARN] has permissions to share this AMI with AWS Marketplace.", s.AmiId, c.Seller.Account, s.AccessRoleArn)
	c.Refuse(unreadable, "ASSET_ACCESS_EXCEPTION", "Unable to copy AMI [x] into AWS Marketplace account.", s.AmiId)
	if reason != nil && (absent || unreadable) {
		c.Explain(reason)
	}
}

// checkAMI states the rules of an AMI that was found.
func checkAMI(c *change.Checks, p *Product, ami change.AMI, instanceTypes []string) {
	c.Refuse(len(ami.ProductCodes) > 0, "EXISTING_AMI_PRODUCT_CODE", "Remove product code attached to image X.", ami.ID)
	architecture := p.architecture()
	c.Refuse(architecture != "" && ami.Architecture != architecture, "INVALID_AMI_ARCHITECTURE", "Provide new AMI with architecture [x].", architecture)
	c.Refuse(ami.VirtualizationType != hvm, "INVALID_AMI_VIRTUALIZATION_TYPE", "Provide new AMI with virtualization type [x].", hvm)
	c.Refuse(ami.RootDeviceType != ebsRoot, "INVALID_AMI_VIRTUALIZATION_TYPE", "Provide expected [z] volume on image [x].", "EBS", ami.ID)

	otherArchitecture := unfit(instanceTypes, func(t instancetype.Type) bool { return slices.Contains(t.Architectures, ami.Architecture) })
	otherVirtualization := unfit(instanceTypes, func(t instancetype.Type) bool { return slices.Contains(t.Virtualization, ami.VirtualizationType) })
	var ena []string
	if !ami.EnaSupport {
		ena = unfit(instanceTypes, withoutENA)
	}
	c.Refuse(len(otherArchitecture) > 0, "INCOMPATIBLE_AMI", "Provide new AMI as architecture [x] on [y] is not supported by following instance types: [z]", ami.Architecture, ami.ID, otherArchitecture)
	c.Refuse(len(otherVirtualization) > 0, "INCOMPATIBLE_AMI", "Provide new AMI as virtualization type [x] on [y] is not supported by following instance types: [z]", ami.VirtualizationType, ami.ID, otherVirtualization)
	c.Refuse(len(ena) > 0, "INCOMPATIBLE_AMI", "Enable ENA support for image x because following instance types require ENA support: [y]", ami.ID, ena)
}

// scan has an AMI scanned. What refuses it is told twice: as the URL of the whole
// report, which programs fetch, and in words, as the page has it.
func scan(ctx context.Context, c *change.Checks, title string, ami change.AMI) error {
	if c.World.Scanner == nil {
		return nil
	}
	target := change.ScanTarget{Seller: c.Seller, ChangeSet: c.ChangeSet, EntityID: c.Entity.ID, DeliveryOption: optionID(c, title), Subject: title}
	result, err := c.World.Scanner.ScanAMI(ctx, target, ami)
	if err != nil {
		return fmt.Errorf("scanning AMI %s for %s: %w", ami.ID, c.Entity.ID, err)
	}
	c.Refuse(result.Report != "", "SCAN_ERROR", "[x]", result.Report)
	c.Refuse(len(result.Findings) > 0, "SCAN_ERROR", "Fix security vulnerability [y] on Image [x].", result.Findings, ami.ID)
	return nil
}

// optionID is the id that the delivery option of a new version gets.
func optionID(c *change.Checks, version string) string {
	return c.ID("delivery option of version " + version)
}

// foundSource is the source of a new version: what the seller says of the AMI,
// and what Probe found.
func foundSource(s AmiSource, a *change.Applying) Source {
	source := Source{
		ID:                 a.IDs.UUID(),
		AMI:                s.AmiId,
		Digest:             a.Found[foundDigest],
		Architecture:       a.Found[foundArchitecture],
		VirtualizationType: a.Found[foundVirtualization],
		EnaSupport:         a.Found[foundENA] == "true",
		Platform:           a.Found[foundPlatform],
		AccessRoleArn:      s.AccessRoleArn,
		OperatingSystem:    s.system(),
	}
	return source
}

// system is what the seller says of the AMI's system. The port has a default.
func (s AmiSource) system() OperatingSystem {
	system := OperatingSystem{Name: s.OperatingSystemName, Version: s.OperatingSystemVersion, Username: s.UserName, ScanningPort: 22}
	if s.ScanningPort != nil {
		system.ScanningPort = *s.ScanningPort
	}
	return system
}

package organization

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"souk/access/iam"
	"souk/storage/store"
)

// RoleAllows says whether an account has a role of an ARN (there), and whether
// it trusts a service, such as assets.marketplace.amazonaws.com, and its
// policies allow an action on a resource. Any text may be asked about.
//
// IAM User Guide, "Create a role to delegate permissions to an AWS service".
func (o *Organization) RoleAllows(ctx context.Context, account, arn, service, action, resource string) (there, allowed bool, err error) {
	r, from, trusted, err := o.serviceRole(ctx, account, arn, service)
	if err != nil || !trusted {
		return r != nil, false, err
	}
	session := sessionOf(service)
	p := &iam.Principal{Account: account, ARN: sessionARN(account, r.Name, session), ID: r.ID + ":" + session, Role: arn, Tags: tagsByKey(r.Tags)}
	err = o.give(ctx, p, account, &r.grants, from)
	if errors.Is(err, store.ErrNotFound) {
		return true, false, nil // a policy has just gone
	}
	if err != nil {
		return false, false, err
	}
	return true, iam.Decide(p, iam.Question{Action: action, Resource: resource}).Allowed, nil
}

// sessionOf is what a service calls its sessions in roles: AWSMarketplace, or as the
// service itself is called, such as appstream.
func sessionOf(service string) string {
	name := strings.TrimSuffix(service, ".amazonaws.com")
	if name == "marketplace" || strings.HasSuffix(name, ".marketplace") {
		return "AWSMarketplace"
	}
	return name
}

// RoleTrusts says whether an account has a role of an ARN (there), and whether it
// trusts a service, such as appstream.amazonaws.com. Any text may be asked about.
func (o *Organization) RoleTrusts(ctx context.Context, account, arn, service string) (there, trusted bool, err error) {
	r, _, trusted, err := o.serviceRole(ctx, account, arn, service)
	return r != nil, trusted, err
}

// serviceRole reads a role of an account, nil if there is none, and says whether it
// trusts a service.
func (o *Organization) serviceRole(ctx context.Context, account, arn, service string) (_ *roleDocument, from *sources, trusted bool, err error) {
	name := arn[strings.LastIndexByte(arn, '/')+1:]
	if !roleNames().MatchString(name) || !accountIDs.MatchString(account) {
		return nil, nil, false, nil
	}
	r := &roleDocument{}
	from = &sources{}
	err = o.read(ctx, roleKey(account, name), r, from)
	if errors.Is(err, store.ErrNotFound) || err == nil && r.ARN() != arn {
		return nil, nil, false, nil
	}
	if err != nil {
		return nil, nil, false, fmt.Errorf("reading role %s: %w", arn, err)
	}
	trust, err := iam.ParseTrustPolicy([]byte(r.Trust))
	if err != nil {
		return nil, nil, false, fmt.Errorf("reading the trust policy of role %s: %w", arn, err)
	}
	assume := iam.Question{Action: "sts:AssumeRole", Resource: arn, Context: iam.Context{"aws:sourceaccount": {account}}}
	return r, from, iam.DecideResource(trust, iam.ServicePrincipal(service), assume).Allowed, nil
}

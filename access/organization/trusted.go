package organization

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"souk/storage/store"
)

// CloudTrail is the service that may be trusted with the organisation: then the
// management account's event history shows the records of all accounts.
const CloudTrail = "cloudtrail.amazonaws.com"

// ErrUnrecognized says that there is no such service to be trusted.
var ErrUnrecognized = errors.New("no service that can be trusted with the organisation")

// Trusts says whether a service is trusted with the organisation, by its
// principal, such as CloudTrail.
func (i Info) Trusts(service string) bool {
	_, trusted := i.Trusted[service]
	return trusted
}

// Trust trusts a service with the organisation, or no more. What is so already
// stays as it is. The error is ErrUnrecognized for a service that has nothing to
// do with it.
//
// AWS Organizations User Guide, "Using AWS Organizations with other AWS services".
func (o *Organization) Trust(ctx context.Context, service string, trusted bool) error {
	if service != CloudTrail {
		return ErrUnrecognized
	}
	return retry(func() error {
		var info Info
		revision, err := o.get(ctx, organizationKey, &info)
		if errors.Is(err, store.ErrNotFound) {
			return ErrNone
		}
		if err != nil {
			return fmt.Errorf("reading the organisation: %w", err)
		}
		if info.Trusts(service) == trusted {
			return nil
		}
		all := maps.Clone(info.Trusted)
		if all == nil {
			all = map[string]time.Time{}
		}
		delete(all, service)
		if trusted {
			all[service] = o.now().UTC().Truncate(time.Millisecond)
		}
		info.Trusted = all
		err = o.store.Commit(ctx, store.Batch{Put: []store.Write{{Document: document(organizationKey, nil, info), Was: revision}}})
		if err != nil {
			return fmt.Errorf("writing down that %s is trusted: %w", service, err)
		}
		return nil
	})
}

// Overseen are the other accounts whose records an account sees beside its own:
// of the management account all, while CloudTrail is trusted with the
// organisation; of others none.
func (o *Organization) Overseen(ctx context.Context, account string) ([]string, error) {
	info, err := o.Info(ctx)
	if err != nil || account != info.Management || !info.Trusts(CloudTrail) {
		return nil, err
	}
	accounts, err := o.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(accounts))
	for i := range accounts {
		ids = append(ids, accounts[i].ID)
	}
	return slices.DeleteFunc(ids, func(id string) bool { return id == account }), nil
}

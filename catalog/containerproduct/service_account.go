package containerproduct

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"souk/catalog/change"
)

// serviceAccount is the default value of the override parameter by which buyers
// of a paid product say how it meters: "For paid products, provide at least 1
// override parameter for service account configuration."
const serviceAccount = "${AWSMP_SERVICE_ACCOUNT}"

// withoutServiceAccount says whether a Helm option lacks that parameter.
func withoutServiceAccount(options []DeliveryOption) bool {
	return slices.ContainsFunc(options, func(o DeliveryOption) bool {
		return o.Helm != nil && !slices.ContainsFunc(o.Helm.OverrideParameters, func(p OverrideParameter) bool { return p.DefaultValue == serviceAccount })
	})
}

// checkServiceAccounts states the rule for products that have dimensions.
func checkServiceAccounts(c *change.Checks, p *Product, options []DeliveryOption) {
	c.Refuse(len(p.Dimensions) > 0 && withoutServiceAccount(options), "NO_SERVICE_ACCOUNT_CONFIGURATION", `For paid products, provide 1 override parameter for service account configuration. Needs DefaultValue of "${AWSMP_SERVICE_ACCOUNT}".`)
}

// probeServiceAccounts states the rule for products that an offer gives a price.
func probeServiceAccounts(ctx context.Context, c *change.Checks, options []DeliveryOption) error {
	if !withoutServiceAccount(options) {
		return nil
	}
	priced, err := hasPricedOffer(ctx, c)
	if err != nil {
		return err
	}
	c.Refuse(priced, "NO_SERVICE_ACCOUNT_CONFIGURATION", `For paid products, provide 1 override parameter for service account configuration. Needs DefaultValue of "${AWSMP_SERVICE_ACCOUNT}".`)
	return nil
}

// hasPricedOffer says whether an offer of the product has a price.
func hasPricedOffer(ctx context.Context, c *change.Checks) (bool, error) {
	ids, err := c.World.Entities.Named(ctx, c.Seller, "Offer", "ProductId", c.Entity.ID)
	if err != nil {
		return false, fmt.Errorf("looking up the offers of %s: %w", c.Entity.ID, err)
	}
	for _, id := range ids {
		_, state, err := c.World.Entities.Read(ctx, c.Seller, id)
		if errors.Is(err, change.ErrEntityNotFound) {
			continue // it went between the list and now
		}
		if err != nil {
			return false, fmt.Errorf("reading offer %s of %s: %w", id, c.Entity.ID, err)
		}
		if offer, ok := state.(interface{ Priced() bool }); ok && offer.Priced() {
			return true, nil
		}
	}
	return false, nil
}

package server

import (
	"context"

	"souk/artifact/images"
	"souk/catalog/amiproduct"
	"souk/catalog/containerproduct"
	"souk/catalog/procurement"
	"souk/catalog/product"
	"souk/catalog/saasproduct"
	"souk/gateway/apierror"
)

// newProcurement makes what says who may obtain what.
func (m *market) newProcurement(config Config) *procurement.Procurement {
	return procurement.New(procurement.Config{Product: m.product, Private: m.private, Store: m.store, Log: config.Log})
}

// product reads what procurement decides by, of a product of any type.
func (m *market) product(ctx context.Context, id string) (procurement.Product, error) {
	e, state, err := m.entity(ctx, id)
	if apierror.Is(err, "ResourceNotFoundException") {
		return procurement.Product{}, procurement.ErrNoProduct
	}
	if err != nil {
		return procurement.Product{}, err
	}
	facets, ok := product.Of(state)
	if !ok {
		return procurement.Product{}, procurement.ErrNoProduct
	}
	return procurement.Product{
		Owner: e.Owner, Visibility: string(facets.Description.Visibility), Invited: facets.Invited(), Versions: versionsOf(state),
	}, nil
}

// versionsOf returns the versions of a product with what they deliver.
func versionsOf(state any) []procurement.Version {
	var all []procurement.Version
	switch p := state.(type) {
	case *containerproduct.Product:
		for _, v := range p.Versions {
			version := procurement.Version{ID: v.ID, Title: v.Title}
			for _, o := range v.DeliveryOptions {
				option := procurement.Option{ID: o.ID, Visibility: string(o.Visibility)}
				for _, a := range o.Artifacts() {
					option.Digests = append(option.Digests, a.Digest)
				}
				version.Options = append(version.Options, option)
			}
			all = append(all, version)
		}
	case *amiproduct.Product:
		for _, v := range p.Versions {
			version := procurement.Version{ID: v.ID, Title: v.Title}
			for _, o := range v.DeliveryOptions {
				option := procurement.Option{ID: o.ID, Visibility: string(o.Visibility)}
				for _, source := range v.Sources {
					if source.ID == o.SourceID {
						option.Digests = append(option.Digests, source.Digest)
					}
				}
				version.Options = append(version.Options, option)
			}
			all = append(all, version)
		}
	case *saasproduct.Product:
		for _, v := range p.Versions {
			version := procurement.Version{ID: v.ID, Title: v.ID}
			for _, o := range v.DeliveryOptions {
				option := procurement.Option{ID: o.ID, Visibility: string(o.Visibility)}
				if o.Targeting != nil {
					option.Invited = o.Targeting.PositiveTargeting.BuyerAccounts
				}
				version.Options = append(version.Options, option)
			}
			all = append(all, version)
		}
	}
	return all
}

// mayUse says why an account may not use an AMI of another that is shared with
// it, "" if it may. An AMI with a product code is for those who may obtain the
// product. Of one that versions are made of, its seller has decided who sees it;
// what a private marketplace denies, and what takes no new subscribers, stays so
// however it is reached.
func (m *market) mayUse(ctx context.Context, account string, a images.AMI) (why string, err error) {
	for _, code := range a.ProductCodes {
		ids, err := m.listings.OfCode(ctx, code)
		if err != nil {
			return "", err
		}
		for _, id := range ids {
			answer, err := m.procurement.MayObtain(ctx, account, id, "")
			switch {
			case err != nil:
				return "", err
			case !answer.OK && answer.Told:
				return answer.Reason, nil
			case !answer.OK:
				return "it has the product code " + code + ", of a product that account " + account + " may not obtain", nil
			}
		}
	}
	ids, err := m.listings.MadeFrom(ctx, a.Owner, a.ID)
	if err != nil {
		return "", err
	}
	for _, id := range ids {
		answer, err := m.procurement.MayObtain(ctx, account, id, "")
		if err != nil {
			return "", err
		}
		if answer.OK || !answer.Told {
			return "", nil // it may have it by this product, or the product is not what it is about
		}
		why = answer.Reason
	}
	return why, nil
}

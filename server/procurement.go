package server

import (
	"context"

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

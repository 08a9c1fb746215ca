package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"souk/catalog/amiproduct"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// This file joins components with the rooms that they know nothing of: the
// products that are made of them, and the machines in which they are tried.

// errNoFulfillmentOption: no product has an option of that fulfillment option id.
var errNoFulfillmentOption = errors.New("no such fulfillment option")

// fulfillment is what a fulfillment option id (fo-...) stands for.
type fulfillment struct {
	Product      string // id
	ProductTitle string
	Owner        string // account id of the seller
	Version      string // id
	VersionTitle string
	Option       string // id of the delivery option
	Restricted   bool   // for new buyers
	// Component is as it was when the version was added.
	Component amiproduct.Component
}

// fulfillmentOption finds what a fulfillment option id stands for, whoever may
// obtain it. errNoFulfillmentOption.
func (m *market) fulfillmentOption(ctx context.Context, id string) (fulfillment, error) {
	d, err := m.store.Get(ctx, store.Key{Kind: amiproduct.KindFulfillmentOption, ID: id})
	if errors.Is(err, store.ErrNotFound) {
		return fulfillment{}, fmt.Errorf("%w: %s", errNoFulfillmentOption, id)
	}
	var of amiproduct.FulfillmentOption
	if err == nil {
		err = json.Unmarshal(d.Body, &of)
	}
	if err != nil {
		return fulfillment{}, fmt.Errorf("reading fulfillment option %s: %w", id, err)
	}
	e, state, err := m.entity(ctx, of.Product)
	if apierror.Is(err, "ResourceNotFoundException") {
		return fulfillment{}, fmt.Errorf("%w: %s", errNoFulfillmentOption, id)
	}
	if err != nil {
		return fulfillment{}, fmt.Errorf("reading the product of fulfillment option %s: %w", id, err)
	}
	p, ok := state.(*amiproduct.Product)
	if !ok {
		return fulfillment{}, fmt.Errorf("%w: %s", errNoFulfillmentOption, id)
	}
	version, option, component := p.Installer(id)
	if component == nil {
		return fulfillment{}, fmt.Errorf("%w: %s", errNoFulfillmentOption, id)
	}
	return fulfillment{
		Product: e.ID, ProductTitle: p.Description.ProductTitle, Owner: e.Owner, Version: version.ID, VersionTitle: version.Title,
		Option: option.ID, Restricted: option.Visibility != "Public", Component: *component,
	}, nil
}

package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"souk/artifact/build"
	"souk/artifact/component"
	"souk/artifact/component/document"
	"souk/artifact/installer"
	"souk/catalog/amiproduct"
	"souk/catalog/change"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// This file joins components with the rooms that they know nothing of: the
// products that are made of them, and the machines in which they are tried.

// installing is what a market has installers with.
type installing struct {
	components *component.Components
	// installer runs them, and says so where the market has no machines.
	installer *installer.Installer
	builds    *build.Builds
	built     func(build.Event) // observes them; nil: nobody does
}

// joinComponents makes the components. The registry, images and blobs are there already.
func (m *market) joinComponents(config Config) error {
	var err error
	m.components, err = component.New(component.Config{
		Store: m.store, Registry: m.registry, Keys: m.ring, Parse: parseDocument, InUse: m.componentUse, Log: config.Log,
	})
	return err
}

// parseDocument reads of a component document what its record has.
func parseDocument(text string) (component.Document, error) {
	d, err := document.Parse([]byte(text))
	if err != nil {
		return component.Document{}, err
	}
	var is component.Document
	for _, phase := range d.Phases {
		is.Phases = append(is.Phases, phase.Name)
	}
	for _, p := range d.Parameters {
		is.Parameters = append(is.Parameters, component.Parameter{Name: p.Name, Type: "string", Default: p.Default, Description: p.Description})
	}
	return is, nil
}

// componentUse says what names a component: a version of one of its owner's
// products that new buyers still get. The product has a copy of its own; but who
// looks at the version must find the component that it names.
func (m *market) componentUse(ctx context.Context, c component.Component) (by string, err error) {
	err = m.eachOf(ctx, c.Account, amiProduct, func(e change.Entity, state any) error {
		p, ok := state.(*amiproduct.Product)
		if !ok || by != "" {
			return nil
		}
		if title, ok := p.Installs(c.ARN); ok {
			by = fmt.Sprintf("version %s of %s", title, e.ID)
		}
		return nil
	})
	return by, err
}

// staleTag says whether a tag in a repository of machine images holds an image or
// files for nobody.
func (m *market) staleTag(ctx context.Context, repository, tag string) (bool, error) {
	lost, err := m.images.Lost(ctx, repository, tag)
	if lost || err != nil {
		return lost, err
	}
	lost, err = m.appImages.Lost(ctx, repository, tag)
	if lost || err != nil {
		return lost, err
	}
	return m.components.Lost(ctx, repository, tag)
}

// errNoFulfillmentOption: no product has an option of that fulfillment option id.
var errNoFulfillmentOption = errors.New("no such fulfillment option")

// fulfillment is what a fulfillment option id (fo-...) stands for.
type fulfillment struct {
	Product      string // id
	ProductTitle string
	ProductCode  string
	Owner        string // account id of the seller
	Version      string // id
	VersionTitle string
	Option       string // id of the delivery option
	Restricted   bool   // for new buyers
	// Component is as it was when the version was added.
	Component amiproduct.Component
}

// fulfillmentOptionID is what such an id looks like. What does not may be no key
// of the store, and is not looked for.
var fulfillmentOptionID = regexp.MustCompile(`^fo-[a-z0-9]{13}$`)

// fulfillmentOption finds what a fulfillment option id stands for, whoever may
// obtain it. errNoFulfillmentOption.
func (m *market) fulfillmentOption(ctx context.Context, id string) (fulfillment, error) {
	if !fulfillmentOptionID.MatchString(id) {
		return fulfillment{}, fmt.Errorf("%w: %.100q", errNoFulfillmentOption, id)
	}
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
		Product: e.ID, ProductTitle: p.Description.ProductTitle, ProductCode: p.Description.ProductCode, Owner: e.Owner, Version: version.ID, VersionTitle: version.Title,
		Option: option.ID, Restricted: option.Visibility != "Public", Component: *component,
	}, nil
}

// verifyFulfillment says what is wrong with the fulfillment options of a product.
func (m *market) verifyFulfillment(ctx context.Context, e change.Entity, state any) (wrong []string, err error) {
	p, ok := state.(*amiproduct.Product)
	if !ok {
		return nil, nil
	}
	for _, v := range p.Versions {
		for _, o := range v.DeliveryOptions {
			if o.FulfillmentOptionID == "" {
				continue
			}
			var of amiproduct.FulfillmentOption
			there, err := m.claim(ctx, amiproduct.KindFulfillmentOption, o.FulfillmentOptionID, &of)
			if err != nil {
				return nil, err
			}
			if !there || of.Product != e.ID || of.Option != o.ID {
				wrong = append(wrong, fmt.Sprintf("fulfillment option %s of version %s stands for product %q, option %q", o.FulfillmentOptionID, v.Title, of.Product, of.Option))
			}
			if _, _, c := p.Installer(o.FulfillmentOptionID); c == nil {
				wrong = append(wrong, fmt.Sprintf("fulfillment option %s of version %s has no component", o.FulfillmentOptionID, v.Title))
			}
		}
	}
	return wrong, nil
}

// Package marketplacediscovery is AWS Marketplace Discovery as a service of the
// gateway: how buyers, and administrators of private marketplaces, find products
// and their ids. One file for each action, with the action's input, its
// permission and its answer.
//
// The search is done by catalog/listing, and who may obtain what is said by
// catalog/procurement. There are no purchases here: offers, their terms and sets,
// purchase options and facets are not offered.
package marketplacediscovery

import (
	"context"
	"errors"
	"fmt"

	"souk/access/iam"
	"souk/catalog/change"
	"souk/catalog/listing"
	"souk/catalog/procurement"
	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/restjson"
)

// Config says what the service answers from. All of it is needed.
type Config struct {
	Listings *listing.Listings
	// Product reads a product with its state.
	Product func(ctx context.Context, id string) (change.Entity, any, error)
	// Case reads what decides whether an account may obtain a product;
	// procurement.ErrNoProduct.
	Case func(ctx context.Context, account, product string) (*procurement.Case, error)
	// Seller returns the name under which an account sells.
	Seller func(ctx context.Context, account string) (name string, err error)
	// Keys seals page tokens.
	Keys listing.Sealer
}

type service struct{ config Config }

// Service returns the service for the gateway.
//
// AWS Marketplace Discovery, version 2026-02-05.
func Service(c Config) (*gateway.Service, error) {
	if c.Listings == nil || c.Product == nil || c.Case == nil || c.Seller == nil || c.Keys == nil {
		return nil, errors.New("service marketplacediscovery: all of its Config is needed")
	}
	s := &service{c}
	return &gateway.Service{
		Name:         "marketplacediscovery",
		SigningNames: []string{"aws-marketplace"},
		Protocol:     restjson.Protocol{},
		APIVersion:   "2026-02-05",
		EventSource:  "discovery-marketplace.amazonaws.com",
		Errors: map[string]int{
			"AccessDeniedException":     403,
			"InternalServerException":   500,
			"ResourceNotFoundException": 404,
			"ThrottlingException":       429,
			"ValidationException":       400,
		},
		Internal:   "InternalServerException",
		Validation: "ValidationException",
		Denied:     "AccessDeniedException",
		Throttled:  "ThrottlingException",
		Operations: []gateway.Operation{
			s.searchListings(),
			s.getListing(),
			s.getProduct(),
			s.listFulfillmentOptions(),
		},
	}, nil
}

// theCatalog is the one catalog that there is.
const theCatalog = "AWSMarketplace"

// question is that of an action on a product or a listing.
//
// AWS Marketplace API Reference, "Access control for the AWS Marketplace
// Discovery API".
func question(action, kind, id string) []iam.Question {
	return []iam.Question{{Action: "aws-marketplace:" + action, Resource: "arn:aws:aws-marketplace:::catalog/" + theCatalog + "/" + kind + "/" + id}}
}

// invalid is a ValidationException for a reason that the service has.
func invalid(reason, format string, args ...any) error {
	e := apierror.New("ValidationException", format, args...)
	e.Fields = map[string]any{"reason": reason}
	return e
}

const (
	badToken   = "INVALID_PAGINATION_TOKEN"
	badRequest = "MALFORMED_REQUEST_PARAMETERS"
)

func notFound(kind, id string) error {
	return apierror.New("ResourceNotFoundException", "The %s '%s' does not exist.", kind, id)
}

// Procurement says whether the caller may obtain what it stands with, and why.
// The service's model has no such member: clients that are made from it pass
// over it.
type Procurement struct {
	MayObtain bool   `json:"mayObtain"`
	Reason    string `json:"reason"`
}

func said(a procurement.Answer) Procurement { return Procurement{a.OK, a.Reason} }

// found is a product that the caller sees.
type found struct {
	listing listing.Listing
	kase    *procurement.Case
}

// find finds a product that an account sees: its own and those that are Public,
// those Limited ones that it is invited to, and those that it has. ok is false
// where there is none, which is not told from one that the account doesn't see.
func (s *service) find(ctx context.Context, account, product string) (f found, ok bool, err error) {
	l, ok, err := s.config.Listings.Get(ctx, product)
	if err != nil || !ok {
		return found{}, false, err
	}
	k, err := s.config.Case(ctx, account, product)
	if errors.Is(err, procurement.ErrNoProduct) {
		return found{}, false, nil
	}
	if err != nil {
		return found{}, false, err
	}
	return found{l, k}, l.Sees(account) || k.Obtain().OK, nil
}

// seller shows an account as buyers see it.
func (s *service) seller(ctx context.Context, account string) (SellerInformation, error) {
	name, err := s.config.Seller(ctx, account)
	if err != nil {
		return SellerInformation{}, fmt.Errorf("looking up seller %s: %w", account, err)
	}
	return SellerInformation{SellerProfileID: listing.Profile(account), DisplayName: name}, nil
}

package marketplacecatalog

import (
	"context"

	"souk/access/iam"
	"souk/catalog/changeset"
	"souk/gateway"
)

// ListEntitiesInput asks for a page of the account's entities of one type.
type ListEntitiesInput struct {
	Catalog           string   `required:"" len:"1,64" pattern:"^[a-zA-Z]+$"`
	EntityType        string   `required:"" len:"1,255" pattern:"^[a-zA-Z]+$"` // without version
	FilterList        []Filter `size:"1,8"`
	Sort              *Sort
	MaxResults        *int    `range:"1,50"`
	NextToken         *string `len:"1,2048" pattern:"^[\\w+=.:@\\-\\/]+$"`
	OwnershipType     *string `enum:"SELF,SHARED"`
	EntityTypeFilters *EntityTypeFilters
	EntityTypeSort    *EntityTypeSort
}

// ListEntitiesOutput is a page of entities.
type ListEntitiesOutput struct {
	EntitySummaryList []EntitySummary
	NextToken         string `json:",omitzero"`
}

// EntitySummary is an entity in a list. Programs rely on the first six members
// being there. Each also has the member of its type.
type EntitySummary struct {
	Name                    string
	EntityType              string // without version
	EntityId                string // without revision
	EntityArn               string
	LastModifiedDate        string
	Visibility              string
	AmiProductSummary       *ProductSummary `json:",omitzero"`
	ContainerProductSummary *ProductSummary `json:",omitzero"`
	DataProductSummary      *ProductSummary `json:",omitzero"`
	SaaSProductSummary      *ProductSummary `json:",omitzero"`
	OfferSummary            *OfferSummary   `json:",omitzero"`
}

// ProductSummary is what all products have in a list.
type ProductSummary struct {
	ProductTitle string
	Visibility   string
}

// OfferSummary is what offers have in a list.
type OfferSummary struct {
	Name                  string
	ProductId             string   `json:",omitzero"`
	ResaleAuthorizationId string   `json:",omitzero"`
	ReleaseDate           string   `json:",omitzero"`
	AvailabilityEndDate   string   `json:",omitzero"`
	BuyerAccounts         []string `json:",omitzero"`
	State                 string   `json:",omitzero"`
	Targeting             []string `json:",omitzero"`
	OfferSetId            string   `json:",omitzero"`
	TargetAgreementId     string   `json:",omitzero"`
	TargetAgreementIntent string   `json:",omitzero"`
	CreatedBySource       string   `json:",omitzero"`
}

// listEntities lists the account's entities of a type, or those of others that
// are shared with it. FilterList has EntityId, Name, Visibility,
// LastModifiedDate and Scope; Sort has LastModifiedDate, EntityId, Name and
// Visibility. What the types have beside that is in EntityTypeFilters and
// EntityTypeSort. The order is descending where none is given.
//
// Catalog API Reference, "ListEntities".
func (s *service) listEntities() gateway.Operation {
	return gateway.Op(gateway.Def[ListEntitiesInput, *ListEntitiesOutput]{
		Name: "ListEntities", Method: "POST", Path: "/ListEntities", ReadOnly: true,
		Authorize: func(context.Context, *gateway.Caller, *ListEntitiesInput) ([]iam.Question, error) {
			return []iam.Question{{Action: action("ListEntities"), Resource: "*"}}, nil
		},
		Call: s.callListEntities,
	})
}

func (s *service) callListEntities(ctx context.Context, c *gateway.Caller, in *ListEntitiesInput) (*ListEntitiesOutput, error) {
	if err := checkCatalog(in.Catalog); err != nil {
		return nil, err
	}
	q, err := query(c.Principal.Account, in.FilterList, in.Sort, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	q.EntityType = in.EntityType
	if in.EntityTypeFilters != nil {
		q.Fields, err = in.EntityTypeFilters.fields(in.EntityType)
		if err != nil {
			return nil, err
		}
	}
	if in.EntityTypeSort != nil {
		if in.Sort != nil {
			return nil, invalid("Sort and EntityTypeSort can't be given together.")
		}
		if err := in.EntityTypeSort.apply(in.EntityType, &q); err != nil {
			return nil, err
		}
	}
	q.Shared = value(in.OwnershipType) == "SHARED"
	entities, next, err := s.engine.ListEntities(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &ListEntitiesOutput{EntitySummaryList: make([]EntitySummary, len(entities)), NextToken: next}
	for i := range entities {
		out.EntitySummaryList[i] = summary(&entities[i])
	}
	return out, nil
}

func summary(e *changeset.EntitySummary) EntitySummary {
	s := EntitySummary{
		Name: e.Name, EntityType: e.Type, EntityId: e.ID, EntityArn: arn(e.Owner, e.Type, e.ID),
		LastModifiedDate: timestamp(e.LastModified), Visibility: e.Visibility,
	}
	if e.Type == "Offer" {
		s.OfferSummary = offerSummary(e)
		return s
	}
	product := &ProductSummary{ProductTitle: e.Name, Visibility: e.Visibility}
	switch e.Type {
	case "AmiProduct":
		s.AmiProductSummary = product
	case "ContainerProduct":
		s.ContainerProductSummary = product
	case "DataProduct":
		s.DataProductSummary = product
	case "SaaSProduct":
		s.SaaSProductSummary = product
	}
	return s
}

func offerSummary(e *changeset.EntitySummary) *OfferSummary {
	one := func(field string) string {
		if values := e.Fields[field]; len(values) > 0 {
			return values[0]
		}
		return ""
	}
	return &OfferSummary{
		Name: e.Name, ProductId: one("ProductId"), ResaleAuthorizationId: one("ResaleAuthorizationId"),
		ReleaseDate: one("ReleaseDate"), AvailabilityEndDate: one("AvailabilityEndDate"),
		BuyerAccounts: e.Fields["BuyerAccounts"], State: one("State"), Targeting: e.Fields["Targeting"],
		OfferSetId: one("OfferSetId"), TargetAgreementId: one("TargetAgreementId"),
		TargetAgreementIntent: one("TargetAgreementIntent"), CreatedBySource: one("CreatedBySource"),
	}
}

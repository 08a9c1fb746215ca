package marketplacecatalog

import (
	"context"

	"github.com/go-json-experiment/json/jsontext"

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
	MaxResults        *int           `range:"1,50"`
	NextToken         *string        `len:"1,2048" pattern:"^[\\w+=.:@\\-\\/]+$"`
	OwnershipType     *string        `enum:"SELF,SHARED"`
	EntityTypeFilters jsontext.Value // a union by entity type
	EntityTypeSort    jsontext.Value // a union by entity type
}

// ListEntitiesOutput is a page of entities.
type ListEntitiesOutput struct {
	EntitySummaryList []EntitySummary
	NextToken         string `json:",omitzero"`
}

// EntitySummary is an entity in a list. Programs rely on the first six members
// being there. Products also have the member of their type.
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
}

// ProductSummary is what all products have in a list.
type ProductSummary struct {
	ProductTitle string
	Visibility   string
}

// listEntities lists the account's entities of a type. Filters: EntityId,
// Name, Visibility, LastModifiedDate, Scope. Sorted by LastModifiedDate,
// EntityId, Name or Visibility, descending.
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
	switch {
	case given(in.EntityTypeFilters):
		return nil, invalid("EntityTypeFilters are not offered yet. Use FilterList.")
	case given(in.EntityTypeSort):
		return nil, invalid("EntityTypeSort is not offered yet. Use Sort.")
	case value(in.OwnershipType) == "SHARED":
		return nil, invalid("OwnershipType SHARED is not offered yet.")
	}
	q, err := query(c.Principal.Account, in.FilterList, in.Sort, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	q.EntityType = in.EntityType
	entities, next, err := s.engine.ListEntities(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &ListEntitiesOutput{EntitySummaryList: make([]EntitySummary, len(entities)), NextToken: next}
	for i := range entities {
		out.EntitySummaryList[i] = summary(c.Principal.Account, &entities[i])
	}
	return out, nil
}

// given says whether a member of any JSON type is there.
func given(v jsontext.Value) bool { return len(v) > 0 && v.Kind() != jsontext.KindNull }

func summary(account string, e *changeset.EntitySummary) EntitySummary {
	s := EntitySummary{
		Name: e.Name, EntityType: e.Type, EntityId: e.ID, EntityArn: arn(account, e.Type, e.ID),
		LastModifiedDate: timestamp(e.LastModified), Visibility: e.Visibility,
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

package marketplacecatalog

import (
	"github.com/go-json-experiment/json/jsontext"

	"souk/catalog/changeset"
)

// EntityTypeSort is a union: the member of the EntityType that is listed.
//
// Catalog API Reference, "EntityTypeSort".
type EntityTypeSort struct {
	AmiProductSort       *ProductSort
	ContainerProductSort *ContainerProductSort
	DataProductSort      *ProductSort
	SaaSProductSort      *SaaSProductSort
	OfferSort            *OfferSort

	// Those of entity types that there are none of here.
	ExpressPrivateOfferConfigurationSort jsontext.Value
	MachineLearningProductSort           jsontext.Value
	OfferSetSort                         jsontext.Value
	ResaleAuthorizationSort              jsontext.Value
	SubsidiaryAuthorizationSort          jsontext.Value
}

type (
	// ProductSort orders AMI and data products.
	ProductSort struct {
		SortBy    *string `enum:"EntityId,LastModifiedDate,ProductTitle,Visibility"`
		SortOrder *string `enum:"ASCENDING,DESCENDING"`
	}
	// ContainerProductSort orders container products.
	ContainerProductSort struct {
		SortBy    *string `enum:"EntityId,LastModifiedDate,ProductTitle,Visibility,CompatibleAWSServices"`
		SortOrder *string `enum:"ASCENDING,DESCENDING"`
	}
	// SaaSProductSort orders SaaS products.
	SaaSProductSort struct {
		SortBy    *string `enum:"EntityId,LastModifiedDate,ProductTitle,Visibility,DeliveryOptionTypes"`
		SortOrder *string `enum:"ASCENDING,DESCENDING"`
	}
	// OfferSort orders offers.
	OfferSort struct {
		SortBy    *string `enum:"EntityId,Name,ProductId,ResaleAuthorizationId,ReleaseDate,AvailabilityEndDate,BuyerAccounts,State,Targeting,LastModifiedDate,OfferSetId,TargetAgreementId,TargetAgreementIntent,CreatedBySource"`
		SortOrder *string `enum:"ASCENDING,DESCENDING"`
	}
)

// apply makes the query sorted so.
func (s *EntityTypeSort) apply(entityType string, q *changeset.Query) error {
	var members []string
	var by, order *string
	if v := s.AmiProductSort; v != nil {
		members, by, order = append(members, "AmiProductSort"), v.SortBy, v.SortOrder
	}
	if v := s.ContainerProductSort; v != nil {
		members, by, order = append(members, "ContainerProductSort"), v.SortBy, v.SortOrder
	}
	if v := s.DataProductSort; v != nil {
		members, by, order = append(members, "DataProductSort"), v.SortBy, v.SortOrder
	}
	if v := s.SaaSProductSort; v != nil {
		members, by, order = append(members, "SaaSProductSort"), v.SortBy, v.SortOrder
	}
	if v := s.OfferSort; v != nil {
		members, by, order = append(members, "OfferSort"), v.SortBy, v.SortOrder
	}
	for _, v := range []struct {
		name  string
		value jsontext.Value
	}{
		{"ExpressPrivateOfferConfigurationSort", s.ExpressPrivateOfferConfigurationSort},
		{"MachineLearningProductSort", s.MachineLearningProductSort},
		{"OfferSetSort", s.OfferSetSort},
		{"ResaleAuthorizationSort", s.ResaleAuthorizationSort},
		{"SubsidiaryAuthorizationSort", s.SubsidiaryAuthorizationSort},
	} {
		if given(v.value) {
			members = append(members, v.name)
		}
	}
	if err := agree("EntityTypeSort", "Sort", entityType, members); err != nil {
		return err
	}
	q.Ascending = value(order) == "ASCENDING"
	switch name := engineName(value(by)); name {
	case "", "EntityId", "LastModifiedDate", "Name", "Visibility":
		q.SortBy = name
	default:
		q.SortField = name
	}
	return nil
}

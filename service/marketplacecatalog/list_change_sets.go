package marketplacecatalog

import (
	"context"

	"souk/access/iam"
	"souk/gateway"
)

// ListChangeSetsInput asks for a page of the account's change sets.
type ListChangeSetsInput struct {
	Catalog    string   `required:"" len:"1,64" pattern:"^[a-zA-Z]+$"`
	FilterList []Filter `size:"1,8"`
	Sort       *Sort
	MaxResults *int    `range:"1,20"`
	NextToken  *string `len:"1,2048" pattern:"^[\\w+=.:@\\-\\/]+$"`
}

// ListChangeSetsOutput is a page of change sets.
type ListChangeSetsOutput struct {
	ChangeSetSummaryList []ChangeSetSummaryListItem
	NextToken            string `json:",omitzero"`
}

// ChangeSetSummaryListItem is a change set in a list.
type ChangeSetSummaryListItem struct {
	ChangeSetId   string
	ChangeSetArn  string
	ChangeSetName string
	StartTime     string
	EndTime       string `json:",omitzero"`
	Status        string
	EntityIdList  []string
	FailureCode   string `json:",omitzero"`
}

// listChangeSets lists the account's change sets, or with Scope SharedWithMe
// those of others that change what all accounts share. Filters: ChangeSetName,
// Status, EntityId, BeforeStartTime, AfterStartTime, BeforeEndTime,
// AfterEndTime, Scope. Sorted by StartTime or EndTime, the latest first.
//
// Catalog API Reference, "ListChangeSets".
func (s *service) listChangeSets() gateway.Operation {
	return gateway.Op(gateway.Def[ListChangeSetsInput, *ListChangeSetsOutput]{
		Name: "ListChangeSets", Method: "POST", Path: "/ListChangeSets", ReadOnly: true,
		Authorize: func(context.Context, *gateway.Caller, *ListChangeSetsInput) ([]iam.Question, error) {
			return []iam.Question{{Action: action("ListChangeSets"), Resource: "*"}}, nil
		},
		Call: s.callListChangeSets,
	})
}

func (s *service) callListChangeSets(ctx context.Context, c *gateway.Caller, in *ListChangeSetsInput) (*ListChangeSetsOutput, error) {
	if err := checkCatalog(in.Catalog); err != nil {
		return nil, err
	}
	q, err := query(c.Principal.Account, in.FilterList, in.Sort, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	sets, next, err := s.engine.List(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &ListChangeSetsOutput{ChangeSetSummaryList: make([]ChangeSetSummaryListItem, len(sets)), NextToken: next}
	for i := range sets {
		d := &sets[i]
		out.ChangeSetSummaryList[i] = ChangeSetSummaryListItem{
			ChangeSetId: d.ID, ChangeSetArn: changeSetARN(d.Account, d.ID), ChangeSetName: d.Name,
			StartTime: timestamp(d.Start), EndTime: timestamp(d.End), Status: string(d.Status),
			EntityIdList: d.Entities, FailureCode: d.FailureCode,
		}
	}
	return out, nil
}

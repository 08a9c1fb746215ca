package marketplacecatalog

import (
	"context"

	"github.com/go-json-experiment/json/jsontext"

	"souk/access/iam"
	"souk/gateway"
)

// ChangeSetInput names a change set, for DescribeChangeSet and CancelChangeSet.
type ChangeSetInput struct {
	Catalog     string `query:"catalog" required:"" len:"1,64" pattern:"^[a-zA-Z]+$"`
	ChangeSetId string `query:"changeSetId" required:"" len:"1,255" pattern:"^[\\w\\-]+$"`
}

// DescribeChangeSetOutput is a change set with its changes.
type DescribeChangeSetOutput struct {
	ChangeSetId        string
	ChangeSetArn       string
	ChangeSetName      string
	Intent             string
	StartTime          string
	EndTime            string `json:",omitzero"`
	Status             string
	FailureCode        string `json:",omitzero"`
	FailureDescription string `json:",omitzero"`
	ChangeSet          []ChangeSummary
}

// ChangeSummary is one change of a set. Programs rely on Details and
// ErrorDetailList being there.
type ChangeSummary struct {
	ChangeType      string
	ChangeName      string `json:",omitzero"`
	Entity          Entity
	Details         string
	DetailsDocument jsontext.Value
	ErrorDetailList []ErrorDetail
}

// ErrorDetail is one reason why a change was refused.
type ErrorDetail struct {
	ErrorCode    string
	ErrorMessage string
}

// describeChangeSet shows a change set with its state and errors. The POST
// form with a body is that of the page "Change set status and errors".
//
// Catalog API Reference, "DescribeChangeSet".
func (s *service) describeChangeSet() gateway.Operation {
	return gateway.Op(gateway.Def[ChangeSetInput, *DescribeChangeSetOutput]{
		Name: "DescribeChangeSet", Method: "GET", Path: "/DescribeChangeSet",
		Also:     []string{"POST /DescribeChangeSet"},
		ReadOnly: true,
		Authorize: func(_ context.Context, c *gateway.Caller, in *ChangeSetInput) ([]iam.Question, error) {
			return in.questions("DescribeChangeSet", c), nil
		},
		Call: s.callDescribeChangeSet,
	})
}

func (in *ChangeSetInput) questions(operation string, c *gateway.Caller) []iam.Question {
	return []iam.Question{{Action: action(operation), Resource: changeSetARN(c.Principal.Account, in.ChangeSetId)}}
}

func (s *service) callDescribeChangeSet(ctx context.Context, c *gateway.Caller, in *ChangeSetInput) (*DescribeChangeSetOutput, error) {
	if err := checkCatalog(in.Catalog); err != nil {
		return nil, err
	}
	d, err := s.engine.Describe(ctx, c.Principal.Account, in.ChangeSetId)
	if err != nil {
		return nil, err
	}
	out := &DescribeChangeSetOutput{
		ChangeSetId: d.ID, ChangeSetArn: changeSetARN(d.Account, d.ID), ChangeSetName: d.Name, Intent: d.Intent,
		StartTime: timestamp(d.Start), EndTime: timestamp(d.End), Status: string(d.Status),
		FailureCode: d.FailureCode, FailureDescription: d.FailureDescription,
		ChangeSet: make([]ChangeSummary, len(d.Changes)),
	}
	for i := range d.Changes {
		c := &d.Changes[i]
		out.ChangeSet[i] = ChangeSummary{
			ChangeType: c.ChangeType, ChangeName: c.ChangeName, Entity: Entity{Type: c.EntityType},
			Details: c.Details, DetailsDocument: c.Document, ErrorDetailList: make([]ErrorDetail, len(c.Errors)),
		}
		if c.Identifier != "" {
			out.ChangeSet[i].Entity.Identifier = &c.Identifier
		}
		for j, e := range c.Errors {
			out.ChangeSet[i].ErrorDetailList[j] = ErrorDetail(e)
		}
	}
	return out, nil
}

package marketplacecatalog

import (
	"context"
	"errors"
	"strings"

	"souk/access/iam"
	"souk/artifact/scan/assessment"
	"souk/gateway"
)

// ListAssessmentsInput asks for a page of the account's assessments.
type ListAssessmentsInput struct {
	Catalog                string `required:"" len:"1,64" pattern:"^[a-zA-Z]+$"`
	AssessmentTargetFilter *AssessmentTarget
	FrameworkId            *string `len:"1,255"` // without version, too
	FrameworkFilters       *FrameworkFilters
	MaxResults             *int    `range:"1,100"`
	NextToken              *string `len:"1,2048" pattern:"^[\\w+=.:@\\-\\/]+$"`
}

// FrameworkFilters is a union by framework.
type FrameworkFilters struct {
	AMISecurityFilters       *AssessedOption
	ContainerSecurityFilters *AssessedOption
}

// ListAssessmentsOutput is a page of assessments.
type ListAssessmentsOutput struct {
	AssessmentSummaryList []AssessmentSummary
	NextToken             string `json:",omitzero"`
}

// listAssessments lists the assessments of the account, the latest first.
//
// Catalog API Reference, "ListAssessments".
func (s *service) listAssessments() gateway.Operation {
	return gateway.Op(gateway.Def[ListAssessmentsInput, *ListAssessmentsOutput]{
		Name: "ListAssessments", Method: "POST", Path: "/ListAssessments", ReadOnly: true,
		Authorize: func(context.Context, *gateway.Caller, *ListAssessmentsInput) ([]iam.Question, error) {
			return []iam.Question{{Action: action("ListAssessments"), Resource: "*"}}, nil
		},
		Call: s.callListAssessments,
	})
}

func (s *service) callListAssessments(ctx context.Context, c *gateway.Caller, in *ListAssessmentsInput) (*ListAssessmentsOutput, error) {
	if err := checkCatalog(in.Catalog); err != nil {
		return nil, err
	}
	q := assessment.Query{
		Account: c.Principal.Account, Framework: orElse(in.FrameworkId, ""), Max: orElse(in.MaxResults, 20), Token: orElse(in.NextToken, ""),
	}
	if t := in.AssessmentTargetFilter; t != nil {
		if t.ChangeSetId == "" && t.EntityId == "" {
			return nil, invalid("AssessmentTargetFilter must have a ChangeSetId or an EntityId.")
		}
		q.ChangeSet, q.Entity = t.ChangeSetId, t.EntityId
	}
	if f := in.FrameworkFilters; f != nil {
		if (f.AMISecurityFilters == nil) == (f.ContainerSecurityFilters == nil) {
			return nil, invalid("FrameworkFilters must have exactly one member. Supported: AMISecurityFilters, ContainerSecurityFilters.")
		}
		option, framework := f.AMISecurityFilters, assessment.AMISecurity
		if option == nil {
			option, framework = f.ContainerSecurityFilters, assessment.ContainerSecurity
		}
		name, _, _ := strings.Cut(framework, "@")
		if q.Framework != "" && q.Framework != name && q.Framework != framework {
			return nil, invalid("FrameworkFilters are of %s, FrameworkId is '%s'.", name, q.Framework)
		}
		q.Framework, q.DeliveryOption = framework, option.DeliveryOptionId
	}
	out := &ListAssessmentsOutput{AssessmentSummaryList: []AssessmentSummary{}}
	if s.assessments == nil {
		return out, nil
	}
	page, next, err := s.assessments.List(ctx, q)
	if errors.Is(err, assessment.ErrToken) {
		return nil, invalid("NextToken is not valid for this request.")
	}
	if err != nil {
		return nil, err
	}
	for i := range page {
		out.AssessmentSummaryList = append(out.AssessmentSummaryList, assessmentSummary(&page[i]))
	}
	out.NextToken = next
	return out, nil
}

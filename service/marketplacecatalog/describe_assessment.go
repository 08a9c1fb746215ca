package marketplacecatalog

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"souk/access/iam"
	"souk/artifact/scan/assessment"
	"souk/gateway"
	"souk/gateway/apierror"
)

// Assessments are the results of scans; *assessment.Store.
type Assessments interface {
	Get(ctx context.Context, account, id string) (assessment.Assessment, error)
	List(ctx context.Context, q assessment.Query) (page []assessment.Summary, next string, err error)
	Page(a assessment.Assessment, max int, token string) (page []assessment.Control, next string, err error)
}

// DescribeAssessmentInput names an assessment by its id or its ARN.
type DescribeAssessmentInput struct {
	AssessmentIdentifier string  `required:"" len:"1,255"`
	Catalog              string  `required:"" len:"1,64" pattern:"^[a-zA-Z]+$"`
	MaxResults           *int    `range:"1,100"`
	NextToken            *string `len:"1,2048" pattern:"^[\\w+=.:@\\-\\/]+$"`
}

// DescribeAssessmentOutput is an assessment with a page of its controls.
type DescribeAssessmentOutput struct {
	AssessmentSummary
	ControlAssessments []ControlAssessment
	NextToken          string `json:",omitzero"`
}

// AssessmentSummary is an assessment in a list.
type AssessmentSummary struct {
	AssessmentArn           string
	AssessmentId            string
	AssessmentResult        string
	AssessmentTargetSummary AssessmentTarget
	CreatedAt               string
	ExpiresAt               string
	FrameworkId             string            // with version
	FrameworkSummary        *FrameworkSummary `json:",omitzero"`
}

// AssessmentTarget is what was assessed, in an answer; which assessments are
// asked for, in a request.
type AssessmentTarget struct {
	ChangeSetId string `json:",omitzero" len:"1,255" pattern:"^[\\w\\-]+$"`
	EntityId    string `json:",omitzero" len:"1,255" pattern:"^[\\w\\-]+$"`
}

// FrameworkSummary is a union by framework.
type FrameworkSummary struct {
	AMISecuritySummary       *AssessedOption `json:",omitzero"`
	ContainerSecuritySummary *AssessedOption `json:",omitzero"`
}

// AssessedOption says which delivery option has what was assessed.
type AssessedOption struct {
	DeliveryOptionId string `json:",omitzero" len:"1,255"`
}

// ControlAssessment is the result of one check.
type ControlAssessment struct {
	ControlId               string
	ControlAssessmentResult string // PASS, FAIL, NOT_EXECUTED or EXEMPTION_PASS
	Errors                  []ControlError
}

// ControlError is one thing that a check found.
type ControlError struct {
	Code    string
	Message string
	Scope   []ErrorScope
}

// ErrorScope is what an error is about, such as FILE_PATH.
type ErrorScope struct {
	Name  string
	Value string
}

// describeAssessment shows what a scan came to.
//
// Catalog API Reference, "DescribeAssessment".
func (s *service) describeAssessment() gateway.Operation {
	return gateway.Op(gateway.Def[DescribeAssessmentInput, *DescribeAssessmentOutput]{
		Name: "DescribeAssessment", Method: "POST", Path: "/DescribeAssessment", ReadOnly: true,
		Authorize: func(_ context.Context, _ *gateway.Caller, in *DescribeAssessmentInput) ([]iam.Question, error) {
			id, err := in.id()
			if err != nil {
				return nil, err
			}
			return []iam.Question{{Action: action("DescribeAssessment"), Resource: assessmentARN(id)}}, nil
		},
		Call: s.callDescribeAssessment,
	})
}

// assessmentARN has no account, as the reference shows it.
func assessmentARN(id string) string { return arn("", "Assessment", id) }

var assessmentID = regexp.MustCompile(`^[\w\-]+$`)

// id reads the identifier.
func (in *DescribeAssessmentInput) id() (string, error) {
	id := strings.TrimPrefix(in.AssessmentIdentifier, assessmentARN(""))
	if !assessmentID.MatchString(id) {
		return "", invalid("AssessmentIdentifier '%s' is neither the id nor the ARN of an assessment.", in.AssessmentIdentifier)
	}
	return id, nil
}

func (s *service) callDescribeAssessment(ctx context.Context, c *gateway.Caller, in *DescribeAssessmentInput) (*DescribeAssessmentOutput, error) {
	if err := checkCatalog(in.Catalog); err != nil {
		return nil, err
	}
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	missing := apierror.New("ResourceNotFoundException", "Assessment '%s' can't be found.", id)
	if s.assessments == nil {
		return nil, missing
	}
	a, err := s.assessments.Get(ctx, c.Principal.Account, id)
	if errors.Is(err, assessment.ErrNotFound) {
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	page, next, err := s.assessments.Page(a, orElse(in.MaxResults, 50), orElse(in.NextToken, ""))
	if errors.Is(err, assessment.ErrToken) {
		return nil, invalid("NextToken is not valid for this request.")
	}
	if err != nil {
		return nil, err
	}
	out := &DescribeAssessmentOutput{AssessmentSummary: assessmentSummary(&a.Summary), ControlAssessments: make([]ControlAssessment, len(page)), NextToken: next}
	for i, control := range page {
		shown := ControlAssessment{ControlId: control.ID, ControlAssessmentResult: string(control.Result), Errors: make([]ControlError, len(control.Errors))}
		for j, e := range control.Errors {
			shown.Errors[j] = ControlError{Code: e.Code, Message: e.Message, Scope: make([]ErrorScope, len(e.Scope))}
			for k, scope := range e.Scope {
				shown.Errors[j].Scope[k] = ErrorScope(scope)
			}
		}
		out.ControlAssessments[i] = shown
	}
	return out, nil
}

// orElse is what a member says, or what holds where it is not given.
func orElse[T any](given *T, otherwise T) T {
	if given == nil {
		return otherwise
	}
	return *given
}

func assessmentSummary(a *assessment.Summary) AssessmentSummary {
	out := AssessmentSummary{
		AssessmentArn: assessmentARN(a.ID), AssessmentId: a.ID, AssessmentResult: string(a.Result),
		AssessmentTargetSummary: AssessmentTarget{ChangeSetId: a.ChangeSet, EntityId: a.Entity},
		CreatedAt:               timestamp(a.Created), ExpiresAt: timestamp(a.Expires), FrameworkId: a.Framework,
	}
	if option := (&AssessedOption{DeliveryOptionId: a.DeliveryOption}); a.DeliveryOption != "" {
		out.FrameworkSummary = &FrameworkSummary{AMISecuritySummary: option}
		if a.Framework == assessment.ContainerSecurity {
			out.FrameworkSummary = &FrameworkSummary{ContainerSecuritySummary: option}
		}
	}
	return out
}

// Package organizations is AWS Organizations: the organisation that every
// market has, its accounts, and the units in which they are. It offers no
// policies of an organisation, no invitations, and no way to leave: accounts are
// made, described, moved and closed.
package organizations

import (
	"context"
	"errors"

	"souk/access/iam"
	"souk/access/organization"
	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/awsjson"
	"souk/storage/store"
)

// service is what the operations share.
type service struct{ organization *organization.Organization }

// Service returns the service for the gateway.
//
// AWS Organizations API Reference, version 2016-11-28.
func Service(o *organization.Organization) *gateway.Service {
	s := &service{organization: o}
	return &gateway.Service{
		Name:         "organizations",
		SigningNames: []string{"organizations"},
		Protocol:     awsjson.Protocol{Version: "1.1"},
		TargetPrefix: "AWSOrganizationsV20161128",
		APIVersion:   "2016-11-28",
		EventSource:  "organizations.amazonaws.com",
		Errors: map[string]int{ // the model gives none a status of its own
			"AccessDeniedException":                400,
			"AccountAlreadyClosedException":        400,
			"AccountNotFoundException":             400,
			"AlreadyInOrganizationException":       400,
			"AWSOrganizationsNotInUseException":    400,
			"ChildNotFoundException":               400,
			"ConcurrentModificationException":      400,
			"ConstraintViolationException":         400,
			"CreateAccountStatusNotFoundException": 400,
			"DestinationParentNotFoundException":   400,
			"DuplicateAccountException":            400,
			"DuplicateOrganizationalUnitException": 400,
			"InvalidInputException":                400,
			"OrganizationalUnitNotEmptyException":  400,
			"OrganizationalUnitNotFoundException":  400,
			"ParentNotFoundException":              400,
			"ServiceException":                     500,
			"SourceParentNotFoundException":        400,
			"TargetNotFoundException":              400,
			"TooManyRequestsException":             400,
		},
		Internal:   "ServiceException",
		Validation: "InvalidInputException",
		Denied:     "AccessDeniedException",
		Throttled:  "TooManyRequestsException",
		Operations: []gateway.Operation{
			s.closeAccount(),
			s.createAccount(),
			s.createOrganization(),
			s.createOrganizationalUnit(),
			s.deleteOrganizationalUnit(),
			s.describeAccount(),
			s.describeCreateAccountStatus(),
			s.describeOrganization(),
			s.describeOrganizationalUnit(),
			s.disableAWSServiceAccess(),
			s.enableAWSServiceAccess(),
			s.listAWSServiceAccessForOrganization(),
			s.listAccounts(),
			s.listAccountsForParent(),
			s.listChildren(),
			s.listCreateAccountStatus(),
			s.listDelegatedAdministrators(),
			s.listOrganizationalUnitsForParent(),
			s.listParents(),
			s.listRoots(),
			s.listTagsForResource(),
			s.moveAccount(),
			s.tagResource(),
			s.untagResource(),
			s.updateOrganizationalUnit(),
		},
	}
}

// call is what an operation does in the organisation info.
type call[In, Out any] func(ctx context.Context, info organization.Info, in *In) (Out, error)

// managed makes the Call of an operation that the management account alone may
// call: "You can only call this operation from the management account or a
// member account that is a delegated administrator", which nobody is.
func managed[In, Out any](s *service, do call[In, Out]) func(context.Context, *gateway.Caller, *In) (Out, error) {
	return func(ctx context.Context, c *gateway.Caller, in *In) (Out, error) {
		var none Out
		info, err := s.organization.Info(ctx)
		if err != nil {
			return none, answer(err)
		}
		if c.Principal.Account != info.Management {
			return none, apierror.New("AccessDeniedException", "You don't have permissions to access this resource.")
		}
		out, err := do(ctx, info, in)
		return out, answer(err)
	}
}

// answer gives errors of the organisation the names that this service has for them.
func answer(err error) error {
	switch {
	case errors.Is(err, organization.ErrNone):
		return apierror.New("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
	case errors.Is(err, organization.ErrClosed):
		return apierror.New("AccountAlreadyClosedException", "You attempted to close an account that is already closed.")
	case errors.Is(err, organization.ErrManagement):
		e := apierror.New("ConstraintViolationException", "You can't close the management account.")
		e.Fields = map[string]any{"Reason": "CANNOT_CLOSE_MANAGEMENT_ACCOUNT"}
		return e
	case errors.Is(err, organization.ErrUnrecognized):
		return invalid("UNRECOGNIZED_SERVICE_PRINCIPAL", "You specified a service principal that isn't recognized.")
	case errors.Is(err, organization.ErrToken):
		return invalid("INVALID_NEXT_TOKEN", "The provided NextToken is not valid.")
	case errors.Is(err, store.ErrConflict):
		return apierror.New("ConcurrentModificationException", "The request failed because another request is changing the same resource. Try again later.")
	case apierror.Is(err, "ValidationError"):
		var e *apierror.Error
		errors.As(err, &e)
		return invalid("INVALID_PATTERN", "%s", e.Message)
	}
	return err
}

func invalid(reason, format string, args ...any) error {
	e := apierror.New("InvalidInputException", format, args...)
	e.Fields = map[string]any{"Reason": reason}
	return e
}

// anything is what operations ask that are about no resource.
func anything[In any](action string) func(context.Context, *gateway.Caller, *In) ([]iam.Question, error) {
	return func(context.Context, *gateway.Caller, *In) ([]iam.Question, error) {
		return []iam.Question{{Action: "organizations:" + action, Resource: "*"}}, nil
	}
}

// about asks for the action on the accounts, units and roots that ids returns.
//
// Service Authorization Reference, "Actions, resources, and condition keys for
// AWS Organizations".
func about[In any](s *service, action string, ids func(*In) []string) func(context.Context, *gateway.Caller, *In) ([]iam.Question, error) {
	return func(ctx context.Context, _ *gateway.Caller, in *In) ([]iam.Question, error) {
		info, err := s.organization.Info(ctx)
		if err != nil {
			return nil, answer(err)
		}
		var questions []iam.Question
		for _, id := range ids(in) {
			questions = append(questions, iam.Question{Action: "organizations:" + action, Resource: arn(info, id)})
		}
		return questions, nil
	}
}

// page is what the members of a list's input ask for.
func page(max *int, token *string) organization.Portion {
	var p organization.Portion
	if max != nil {
		p.Max = *max
	}
	if token != nil {
		p.Token = *token
	}
	return p
}

// single refuses a token of a list that has one page.
func single(token *string) error {
	if token != nil && *token != "" {
		return organization.ErrToken
	}
	return nil
}

// ofService asks for an action that is about a service.
//
// Service Authorization Reference, "Condition keys for AWS Organizations".
func ofService(action, principal string) []iam.Question {
	return []iam.Question{{
		Action: "organizations:" + action, Resource: "*",
		Context: iam.Context{"organizations:serviceprincipal": {principal}},
	}}
}

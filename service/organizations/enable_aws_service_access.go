package organizations

import (
	"context"

	"souk/access/iam"
	"souk/access/organization"
	"souk/gateway"
)

// EnableAWSServiceAccessInput names a service, such as cloudtrail.amazonaws.com.
type EnableAWSServiceAccessInput struct {
	ServicePrincipal string `required:"" len:"1,128" pattern:"^[\\w+=,.@-]*$"`
}

// enableAWSServiceAccess lets a service act in the whole organisation: CloudTrail then
// shows the management account the records of all accounts.
//
// AWS Organizations API Reference, "EnableAWSServiceAccess".
func (s *service) enableAWSServiceAccess() gateway.Operation {
	return gateway.Op(gateway.Def[EnableAWSServiceAccessInput, gateway.Raw]{
		Name: "EnableAWSServiceAccess",
		Authorize: func(_ context.Context, _ *gateway.Caller, in *EnableAWSServiceAccessInput) ([]iam.Question, error) {
			return ofService("EnableAWSServiceAccess", in.ServicePrincipal), nil
		},
		Call: managed(s, func(ctx context.Context, _ organization.Info, in *EnableAWSServiceAccessInput) (gateway.Raw, error) {
			return gateway.Raw("{}"), s.organization.Trust(ctx, in.ServicePrincipal, true)
		}),
	})
}

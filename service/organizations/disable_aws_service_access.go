package organizations

import (
	"context"

	"souk/access/iam"
	"souk/access/organization"
	"souk/gateway"
)

// DisableAWSServiceAccessInput names a service, such as cloudtrail.amazonaws.com.
type DisableAWSServiceAccessInput struct {
	ServicePrincipal string `required:"" len:"1,128" pattern:"^[\\w+=,.@-]*$"`
}

// disableAWSServiceAccess ends what EnableAWSServiceAccess began.
//
// AWS Organizations API Reference, "DisableAWSServiceAccess".
func (s *service) disableAWSServiceAccess() gateway.Operation {
	return gateway.Op(gateway.Def[DisableAWSServiceAccessInput, gateway.Raw]{
		Name: "DisableAWSServiceAccess",
		Authorize: func(_ context.Context, _ *gateway.Caller, in *DisableAWSServiceAccessInput) ([]iam.Question, error) {
			return ofService("DisableAWSServiceAccess", in.ServicePrincipal), nil
		},
		Call: managed(s, func(ctx context.Context, _ organization.Info, in *DisableAWSServiceAccessInput) (gateway.Raw, error) {
			return gateway.Raw("{}"), s.organization.Trust(ctx, in.ServicePrincipal, false)
		}),
	})
}

package organizations

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// CloseAccountInput names the account to be closed.
type CloseAccountInput struct {
	AccountId string `required:"" len:"0,12" pattern:"^\\d{12}$"`
}

// closeAccount closes a member account. It is done when it is answered.
//
// AWS Organizations API Reference, "CloseAccount".
func (s *service) closeAccount() gateway.Operation {
	return gateway.Op(gateway.Def[CloseAccountInput, gateway.Raw]{
		Name:      "CloseAccount",
		Authorize: about(s, "CloseAccount", func(in *CloseAccountInput) []string { return []string{in.AccountId} }),
		Call: managed(s, func(ctx context.Context, _ organization.Info, in *CloseAccountInput) (gateway.Raw, error) {
			return gateway.Raw("{}"), s.organization.CloseAccount(ctx, in.AccountId)
		}),
	})
}

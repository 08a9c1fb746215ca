package organizations

import (
	"context"

	"souk/access/organization"
	"souk/gateway"
)

// MoveAccountInput says which account is moved, from where to where.
type MoveAccountInput struct {
	AccountId           string `required:"" len:"0,12" pattern:"^\\d{12}$"`
	SourceParentId      string `required:"" len:"0,100" pattern:"^(r-[0-9a-z]{4,32})|(ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})$"`
	DestinationParentId string `required:"" len:"0,100" pattern:"^(r-[0-9a-z]{4,32})|(ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})$"`
}

// moveAccount moves an account to the root or to a unit. It must be allowed on
// the account and on both parents.
//
// AWS Organizations API Reference, "MoveAccount".
func (s *service) moveAccount() gateway.Operation {
	return gateway.Op(gateway.Def[MoveAccountInput, gateway.Raw]{
		Name: "MoveAccount",
		Authorize: about(s, "MoveAccount", func(in *MoveAccountInput) []string {
			return []string{in.AccountId, in.SourceParentId, in.DestinationParentId}
		}),
		Call: managed(s, func(ctx context.Context, _ organization.Info, in *MoveAccountInput) (gateway.Raw, error) {
			return gateway.Raw("{}"), s.organization.MoveAccount(ctx, in.AccountId, in.SourceParentId, in.DestinationParentId)
		}),
	})
}

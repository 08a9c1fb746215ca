package marketplacecatalog

import (
	"context"

	"souk/access/iam"
	"souk/gateway"
)

// cancelChangeSet ends a change set that is PREPARING.
//
// Catalog API Reference, "CancelChangeSet": "Must be sent before the status of
// the request changes to APPLYING".
func (s *service) cancelChangeSet() gateway.Operation {
	return gateway.Op(gateway.Def[ChangeSetInput, *ChangeSetID]{
		Name: "CancelChangeSet", Method: "PATCH", Path: "/CancelChangeSet",
		Authorize: func(_ context.Context, c *gateway.Caller, in *ChangeSetInput) ([]iam.Question, error) {
			return in.questions("CancelChangeSet", c), nil
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *ChangeSetInput) (*ChangeSetID, error) {
			if err := checkCatalog(in.Catalog); err != nil {
				return nil, err
			}
			if err := s.engine.Cancel(ctx, c.Principal.Account, in.ChangeSetId); err != nil {
				return nil, err
			}
			return &ChangeSetID{ChangeSetArn: changeSetARN(c.Principal.Account, in.ChangeSetId), ChangeSetId: in.ChangeSetId}, nil
		},
	})
}

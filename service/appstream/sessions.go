package appstream

import (
	"context"

	"souk/artifact/appstream/session"
)

// Sessions is what the operations on sessions in image builders need of their
// room; *session.Sessions does it.
type Sessions interface {
	Open(ctx context.Context, o session.Opening) (session.Opened, error)
}

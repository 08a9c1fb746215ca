package agent

import (
	"context"
	"fmt"
	"net"
)

// DoorPath is where programs of a machine's root reach its host: a unix socket that
// nobody else may use.
const DoorPath = "/run/souk/door"

// MaxKnocks is how many connections through its door a machine may have at a time. Each
// may have the host keep a request.
const MaxKnocks = 4

// Knock connects a program in a machine to the machine's host. It fails where the
// machine has no door, and for whoever is not root there.
func Knock(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", DoorPath)
	if err != nil {
		return nil, fmt.Errorf("reaching the machine's host: %w", err)
	}
	return c, nil
}

package server

import (
	"context"
	"fmt"

	"souk/access/quota"
	"souk/gateway"
	"souk/service/sts"
)

// parts are what a server is made of, joined by assemble.
type parts struct {
	front *front
	// background is what runs beside the port, by name, until the context ends.
	background map[string]func(context.Context) error
	closers    []func() error // in the order of opening
}

// assemble makes the parts and gives each what it needs of the others.
func (s *Server) assemble(ctx context.Context) error {
	limits, err := quota.New(quota.Config{Off: s.config.Quota == "off"})
	if err != nil {
		return fmt.Errorf("setting request rates: %w", err)
	}
	apis, err := gateway.New(gateway.Config{
		Services: []*gateway.Service{
			sts.Service(),
		},
		Credentials: s.market.organization,
		Limiter:     limits,
		Log:         s.log,
		Observe:     observeRequests(s.metrics),
	})
	if err != nil {
		return err
	}
	s.parts.front = &front{
		gateway: apis,
		ready:   s.ready,
		url:     s.url,
	}
	return nil
}

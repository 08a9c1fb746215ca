package server

import (
	"context"
	"net/http"
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
	s.parts.front = &front{ready: s.ready, url: s.url}
	_ = http.NotFoundHandler
	_ = ctx
	return nil
}

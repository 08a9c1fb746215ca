package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// log writes down what became of a call: every call at level debug; refusals
// of who asks and whether they may, and failures of the server, at info, with
// the request id that the client was told. Bodies, secrets and signatures are
// never in it. Where the level is off it costs a comparison.
func (c *call) log(ctx context.Context, took time.Duration) {
	status := http.StatusOK
	if c.failed != nil {
		status = c.failed.Status
	}
	level := slog.LevelDebug
	if c.denial || status >= 500 || c.failed != nil && c.caller.Principal == nil {
		level = slog.LevelInfo
	}
	log := c.g.config.Log
	if !log.Enabled(ctx, level) {
		return
	}
	attributes := make([]slog.Attr, 0, 10)
	add := func(name, value string) {
		if value != "" {
			attributes = append(attributes, slog.String(name, value))
		}
	}
	add("request", c.caller.RequestID)
	if c.service != nil {
		add("service", c.service.Name)
	}
	if c.route != nil {
		add("action", c.route.op.Name)
	}
	if p := c.caller.Principal; p != nil {
		add("account", p.Account)
		add("principal", p.ARN)
	} else {
		add("key", shortened(c.auth.AccessKeyID)) // who it claims to be
	}
	if c.caller.SourceIP.IsValid() {
		add("from", c.caller.SourceIP.String())
	}
	attributes = append(attributes, slog.Int("status", status))
	message := "answered"
	if c.failed != nil {
		message = "refused"
		if status >= 500 {
			message = "failed"
		}
		add("error", c.failed.Code)
	}
	if c.denial {
		add("reason", c.failed.Message) // the action and the resource that were missing
	}
	log.LogAttrs(ctx, level, message, append(attributes, slog.Int64("microseconds", took.Microseconds()))...)
}

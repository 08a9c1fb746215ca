package gateway

import (
	"context"

	"souk/access/iam"
	"souk/access/trail"
	"souk/gateway/apierror"
)

// do does the operation's work. The record of a call that writes goes along
// with the first commit of that work.
func (c *call) do() (any, error) {
	ctx, op := context.Context(c.ctx), c.route.op
	if c.g.config.Trail != nil && !op.ReadOnly {
		c.entry = c.g.config.Trail.Begin(c.described())
		ctx = c.entry.Context(ctx)
	}
	return op.Call(ctx, c.caller, c.input)
}

// record completes the record of a call, before its answer is sent. Calls of
// nobody who is known, or to no operation, have none: the log tells of them.
func (c *call) record(ctx context.Context, output any, failed *apierror.Error) error {
	if c.g.config.Trail == nil || c.recorded || c.caller.Principal == nil || c.route == nil {
		return nil
	}
	c.recorded = true
	o := trail.Outcome{Output: output, Throttled: c.surplus}
	if raw, ok := output.(Raw); ok {
		o.Output = []byte(raw)
	}
	if failed != nil {
		o.Output, o.Code, o.Message = nil, failed.Code, failed.Message
	}
	if c.entry == nil {
		return c.g.config.Trail.Record(ctx, c.described(), o)
	}
	return c.entry.End(ctx, o)
}

// described is what is known of the call before it is done.
func (c *call) described() trail.Call {
	d := trail.Call{
		Principal: c.caller.Principal, AccessKeyID: c.caller.AccessKeyID, Region: c.caller.Region,
		RequestID: c.caller.RequestID, Time: c.caller.Time,
		Source: c.service.EventSource, Name: c.route.op.Name, ReadOnly: c.route.op.ReadOnly,
		Input: c.input, Resources: resources(c.asked),
	}
	d.Came(c.r)
	return d
}

// resources are those that the questions are about, without the one that stands
// for all.
func resources(asked []iam.Question) []string {
	var all []string
	for i := range asked {
		if asked[i].Resource != "*" && asked[i].Resource != "" {
			all = append(all, asked[i].Resource)
		}
	}
	return all
}

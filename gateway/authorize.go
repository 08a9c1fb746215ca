package gateway

import (
	"net/http"
	"strconv"
	"time"

	"souk/access/iam"
	"souk/gateway/apierror"
)

// authorize asks the policies everything that the operation says must be
// allowed; one denial refuses the call.
func (c *call) authorize() error {
	p := c.caller.Principal
	questions, err := c.route.op.Authorize(c.ctx, c.caller, c.input)
	if err != nil {
		return err
	}
	c.asked = questions
	var common iam.Context
	for _, q := range questions {
		// No condition narrows what root may do, but that of a resource's
		// policy, so that its other requests do without the values.
		if !p.Root || q.Policy != nil {
			if common == nil {
				common = c.conditionKeys()
			}
			q.Context = merged(common, q.Context)
		}
		if d := c.g.config.Decide(p, q); !d.Allowed {
			return c.denied(q, d)
		}
	}
	return nil
}

// conditionKeys has the values of AWS's global condition keys that every
// request has; those that tell the principal, iam has from the principal. IAM
// User Guide, "AWS global condition context keys".
func (c *call) conditionKeys() iam.Context {
	now := c.caller.Time
	keys := iam.Context{
		"aws:currenttime":     {now.Format(time.RFC3339)},
		"aws:epochtime":       {strconv.FormatInt(now.Unix(), 10)},
		"aws:requestedregion": {c.caller.Region},
		"aws:securetransport": {strconv.FormatBool(c.r.TLS != nil)},
	}
	if c.caller.UserAgent != "" {
		keys["aws:useragent"] = []string{c.caller.UserAgent}
	}
	if c.caller.SourceIP.IsValid() {
		keys["aws:sourceip"] = []string{c.caller.SourceIP.String()}
	}
	return keys
}

// merged adds an operation's own keys to the common ones; its own win.
func merged(common, own iam.Context) iam.Context {
	if len(own) == 0 {
		return common
	}
	all := make(iam.Context, len(common)+len(own))
	for k, v := range common {
		all[k] = v
	}
	for k, v := range own {
		all[k] = v
	}
	return all
}

// denied is the refusal of a question, in the words of today's services; what
// the question is about stands behind them.
func (c *call) denied(q iam.Question, d iam.Decision) *apierror.Error {
	message := "User: " + c.caller.Principal.ARN + " is not authorized to perform: " + q.Action
	if q.Resource != "" {
		message += " on resource: " + q.Resource
	}
	switch {
	case q.Trust: // it tells nobody whom a role trusts, nor whether there is one
	case d.Explicit && d.By == iam.IdentityBased:
		message += " with an explicit deny in an identity-based policy"
	case d.Explicit:
		message += " with an explicit deny in a " + d.By.String()
	default:
		message += " because no " + d.By.String() + " allows the " + q.Action + " action"
	}
	if q.About != "" {
		message += " (" + q.About + ")"
	}
	c.denial = true
	own := c.route.op.DeniedCode
	if own == "" {
		own = c.service.Denied
	}
	return c.named(own, "AccessDeniedException", "AccessDenied", http.StatusForbidden, message)
}

package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"

	"souk/access/iam"
	"souk/gateway/apierror"
	"souk/gateway/sigv4"
)

// identify finds out which operation is meant and who claims to ask, as far as
// the header tells: a body of a stranger is not worth reading. err ends the
// request at once; refused ends it if the signature turns out right.
func (c *call) identify() (refused, err error) {
	g := c.g
	parseErr := g.verifier.Parse(c.r, c.caller.Time, &c.auth)
	c.table = g.routes.bySigningName[c.auth.Service]
	known := c.table != nil
	if !known {
		c.table = &g.routes.all
	}
	c.service, c.route, refused = c.table.find(c.r)
	if parseErr != nil {
		return nil, c.unauthenticated(parseErr)
	}
	if !known {
		return nil, c.unauthenticated(&sigv4.Error{Reason: sigv4.Mismatch,
			Message: "Credential should be scoped to correct service: '" + shortened(c.auth.Service) + "' is not offered here, " + g.routes.offered() + "."})
	}
	secret, principal, ok, err := g.config.Credentials.LookupSession(c.ctx, c.auth.AccessKeyID, c.auth.SessionToken)
	if errors.Is(err, iam.ErrExpiredToken) {
		return nil, c.expiredToken()
	}
	if err != nil {
		return nil, err
	}
	if !ok || principal == nil {
		return nil, c.unknownKey()
	}
	c.secret, c.claimed = secret, principal
	return refused, nil
}

// expiredToken refuses a session that is over. Clients that see one of these
// codes fetch new credentials.
func (c *call) expiredToken() error {
	return c.named("", "ExpiredTokenException", "ExpiredToken", http.StatusForbidden,
		"The security token included in the request is expired")
}

// verify checks the signature. Afterwards the caller is known.
func (c *call) verify(body []byte) error {
	payload := sigv4.Signed
	if c.service.UnsignedPayload {
		payload = sigv4.MayBeUnsigned
	}
	if err := c.g.verifier.Verify(c.r, &c.auth, c.secret, body, payload); err != nil {
		return c.unauthenticated(err)
	}
	c.caller.Principal = c.claimed
	c.caller.AccessKeyID = c.auth.AccessKeyID
	c.caller.SessionToken = c.auth.SessionToken
	c.caller.Region = c.auth.Region
	return nil
}

// The memory for bodies grows with what really arrives, and only usual sizes
// are kept for the next request.
const (
	firstBody = 8 << 10
	keptBody  = 1 << 20
)

// readBody reads all of the body into memory that release gives back.
func (c *call) readBody() (body []byte, release func(), err error) {
	nothing := func() {}
	if c.r.Body == nil || c.r.Body == http.NoBody || c.r.ContentLength == 0 {
		return nil, nothing, nil
	}
	if e := c.r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, nothing, apierror.WithStatus(http.StatusUnsupportedMediaType, "UnsupportedMediaTypeException",
			"The content encoding '%s' is not supported.", shortened(e))
	}
	limit := c.g.config.MaxBody
	if c.r.ContentLength > limit {
		return nil, nothing, c.tooLarge()
	}
	kept, _ := c.g.bodies.Get().(*[]byte)
	if kept == nil {
		b := make([]byte, 0, firstBody)
		kept = &b
	}
	b := (*kept)[:0]
	release = func() {
		if cap(b) <= keptBody {
			*kept = b[:0]
			c.g.bodies.Put(kept)
		}
	}
	for {
		if len(b) == cap(b) {
			b = slices.Grow(b, max(cap(b), 512))
		}
		n, err := c.r.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case int64(len(b)) > limit:
			return nil, release, c.tooLarge()
		case err == io.EOF:
			return b, release, nil
		case err != nil:
			return nil, release, c.unreadable(err)
		}
	}
}

func (c *call) tooLarge() error {
	return c.named("", "RequestEntityTooLargeException", "RequestEntityTooLarge", http.StatusRequestEntityTooLarge,
		"The request body is too large.")
}

// unreadable is the refusal of a body that broke off: the client's fault,
// whether it is still there to read it or not.
func (c *call) unreadable(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return c.named("", "RequestTimeoutException", "RequestTimeout", http.StatusRequestTimeout,
			"The request body did not arrive in time.")
	}
	return c.named("", "SerializationException", "IncompleteBody", http.StatusBadRequest,
		"The request body could not be read to its end.")
}

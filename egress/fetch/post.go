package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// maxReply is how much of an answer to a Post is read before the connection is closed.
const maxReply = 8 << 10

// Check says what is wrong with an address before anybody is asked; nil: it
// may be tried.
func Check(address string) error {
	_, err := parse(address)
	return err
}

// Post sends a body to an address of a user, under the same guard as Get, and
// returns the status of the answer, whatever it is. No redirect is followed:
// it is an answer as others. ErrRefused if the address may not be used, now or
// later; any other error means that nobody answered in time.
func (f *Fetcher) Post(ctx context.Context, address string, header http.Header, body []byte, timeout time.Duration) (status int, err error) {
	u, err := parse(address)
	if err != nil {
		return 0, err
	}
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return 0, refuse("the URL is malformed")
	}
	req.Header = header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", f.config.UserAgent)
	}
	resp, err := f.client.Transport.RoundTrip(req) // which follows no redirect, and doesn't even read where it leads
	if err != nil {
		return 0, f.unanswered(outer, u, err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxReply)) // what it says changes nothing
	return resp.StatusCode, nil
}

// unanswered tells what may not be asked from what did not answer. Unlike a
// Get's, a server that is down may be up at the next try.
func (f *Fetcher) unanswered(ctx context.Context, u *url.URL, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("posting to %s: %w", place(u), context.Cause(ctx))
	}
	if errors.Is(err, ErrAddress) {
		return f.explain(ctx, u, err)
	}
	var refused *Refused
	if err := f.explain(ctx, u, err); errors.As(err, &refused) {
		return fmt.Errorf("posting to %s: %s", place(u), refused.Reason)
	}
	var outermost *url.Error // its text has the whole URL
	if errors.As(err, &outermost) {
		err = outermost.Err
	}
	return fmt.Errorf("posting to %s: %w", place(u), err)
}

package seller

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// SigningName is the credential scope's service of the marketplace APIs.
const SigningName = "aws-marketplace"

// Answer is a whole answer.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Request makes a signed request with a JSON body ("" for none). The signature
// is the SDK's, made now.
func (s *Seller) Request(ctx context.Context, method, target, body string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.URL+target, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, fmt.Errorf("making request %s %s: %w", method, target, err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	err = s.Sign(r, body, time.Now())
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Sign signs a request with the SDK's signer, as of a time.
func (s *Seller) Sign(r *http.Request, body string, at time.Time) error {
	return s.SignFor(r, body, SigningName, at)
}

// SignFor signs a request to another service than the catalog, by its signing name.
func (s *Seller) SignFor(r *http.Request, body, service string, at time.Time) error {
	return s.SignIn(r, body, service, s.Region, at)
}

// SignIn signs a request to a service in another region than the seller's.
func (s *Seller) SignIn(r *http.Request, body, service, region string, at time.Time) error {
	sum := sha256.Sum256([]byte(body))
	hash := hex.EncodeToString(sum[:])
	err := v4.NewSigner().SignHTTP(r.Context(),
		aws.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey},
		r, hash, service, region, at)
	if err != nil {
		return fmt.Errorf("signing %s %s: %w", r.Method, r.URL.Path, err)
	}
	return nil
}

// Raw sends a signed request as it stands and returns the whole answer. A
// throttled one is sent again, Config.Retries times.
func (s *Seller) Raw(ctx context.Context, method, target, body string) (Answer, error) {
	for try := 1; ; try++ {
		r, err := s.Request(ctx, method, target, body)
		if err != nil {
			return Answer{}, err
		}
		a, err := s.Send(r)
		if err != nil || a.Status != http.StatusTooManyRequests || try >= s.Retries {
			return a, err
		}
		select {
		case <-time.After(time.Duration(try) * 100 * time.Millisecond):
		case <-ctx.Done():
			return a, fmt.Errorf("sending %s %s again: %w", method, target, context.Cause(ctx))
		}
	}
}

// Send sends a request and returns the whole answer.
func (s *Seller) Send(r *http.Request) (Answer, error) {
	resp, err := s.HTTP.Do(r)
	if err != nil {
		return Answer{}, fmt.Errorf("sending %s %s: %w", r.Method, r.URL.Path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("reading the answer to %s %s: %w", r.Method, r.URL.Path, err)
	}
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: string(b)}, nil
}

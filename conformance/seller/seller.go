// Package seller is a market seen from outside: a seller with an access key who
// uses the AWS SDK, signed raw requests and an OCI client. The conformance
// checks, the tests of the binary and the benchmark use it.
//
// It knows an endpoint's address and nothing of what answers there.
package seller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Catalog is the one catalog that there is.
const Catalog = "AWSMarketplace"

// ContainerProduct is the entity type of container products, with its version.
const ContainerProduct = "ContainerProduct@1.0"

// Config says whose eyes a market is seen with.
type Config struct {
	URL    string // of the endpoint, such as http://127.0.0.1:8470
	Region string // that requests are signed for; default us-east-1

	AccessKeyID, SecretAccessKey string

	// HTTP carries the requests; default a client of its own.
	HTTP *http.Client
	// Retries is how often a throttled call is tried; default 1: not again.
	Retries int
	// Poll is the pause between two looks at a change set that is waited for;
	// default 15 ms, which is more than an account's rate allows.
	Poll time.Duration
}

// Seller is a seller's view of a market.
type Seller struct {
	Config
	Catalog *marketplacecatalog.Client
	STS     *sts.Client
	ECR     *ecr.Client

	// mu guards account, which is asked for once.
	mu      sync.Mutex
	account string
}

// New returns the view that an access key gives.
func New(c Config) *Seller {
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	c.URL = strings.TrimSuffix(c.URL, "/")
	if c.HTTP == nil {
		c.HTTP = &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	}
	if c.Retries == 0 {
		c.Retries = 1
	}
	if c.Poll == 0 {
		c.Poll = 15 * time.Millisecond
	}
	config := aws.Config{
		Region:           c.Region,
		BaseEndpoint:     &c.URL,
		Credentials:      credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, ""),
		HTTPClient:       c.HTTP,
		RetryMaxAttempts: c.Retries,
	}
	return &Seller{
		Config:  c,
		Catalog: marketplacecatalog.NewFromConfig(config),
		STS:     sts.NewFromConfig(config),
		ECR:     ecr.NewFromConfig(config),
	}
}

// Host is the endpoint's host and port, under which its registry is reached too.
func (s *Seller) Host() string {
	u, err := url.Parse(s.URL)
	if err != nil {
		return s.URL
	}
	return u.Host
}

// Account returns the account id of the key.
func (s *Seller) Account(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.account == "" {
		who, err := s.STS.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return "", fmt.Errorf("asking whose key %s is: %w", s.AccessKeyID, err)
		}
		s.account = aws.ToString(who.Account)
	}
	return s.account, nil
}

// Change makes a change. An identifier of "" stands for an entity that the
// change creates; details are JSON, sent as the string Details.
func Change(changeType, identifier, details string) types.Change {
	c := types.Change{
		ChangeType: &changeType,
		Entity:     &types.Entity{Type: aws.String(ContainerProduct)},
		Details:    &details,
	}
	if identifier != "" {
		c.Entity.Identifier = &identifier
	}
	return c
}

// Named gives a change a name by which others of its set refer to it.
func Named(name string, c types.Change) types.Change {
	c.ChangeName = &name
	return c
}

// Start starts a change set and returns its id.
func (s *Seller) Start(ctx context.Context, changes ...types.Change) (string, error) {
	out, err := s.Catalog.StartChangeSet(ctx, &marketplacecatalog.StartChangeSetInput{
		Catalog:   aws.String(Catalog),
		ChangeSet: changes,
	})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.ChangeSetId), nil
}

// Describe returns a change set as it is now.
func (s *Seller) Describe(ctx context.Context, id string) (*marketplacecatalog.DescribeChangeSetOutput, error) {
	return s.Catalog.DescribeChangeSet(ctx, &marketplacecatalog.DescribeChangeSetInput{
		Catalog: aws.String(Catalog), ChangeSetId: &id,
	})
}

// Ended says that a status is one of those in which change sets stay.
func Ended(status types.ChangeStatus) bool {
	switch status {
	case types.ChangeStatusSucceeded, types.ChangeStatusFailed, types.ChangeStatusCancelled:
		return true
	}
	return false
}

// Wait describes a change set until it has ended.
func (s *Seller) Wait(ctx context.Context, id string) (*marketplacecatalog.DescribeChangeSetOutput, error) {
	return s.WaitFor(ctx, id, Ended)
}

// WaitFor describes a change set until its status is one that is waited for.
func (s *Seller) WaitFor(ctx context.Context, id string, reached func(types.ChangeStatus) bool) (*marketplacecatalog.DescribeChangeSetOutput, error) {
	tick := time.NewTicker(s.Poll)
	defer tick.Stop()
	last := types.ChangeStatus("unknown")
	for {
		set, err := s.Describe(ctx, id)
		switch {
		case err == nil && reached(set.Status):
			return set, nil
		case err == nil:
			last = set.Status
		case ctx.Err() == nil:
			return nil, fmt.Errorf("describing change set %s: %w", id, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for change set %s, which is %s: %w", id, last, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// Do starts a change set, waits for its end, and returns an error unless it
// succeeded.
func (s *Seller) Do(ctx context.Context, changes ...types.Change) (*marketplacecatalog.DescribeChangeSetOutput, error) {
	id, err := s.Start(ctx, changes...)
	if err != nil {
		return nil, err
	}
	set, err := s.Wait(ctx, id)
	if err != nil {
		return nil, err
	}
	if set.Status != types.ChangeStatusSucceeded {
		return set, fmt.Errorf("change set %s is %s: %s", id, set.Status, Refusals(set))
	}
	return set, nil
}

// Refusals is the error list of a change set in words.
func Refusals(set *marketplacecatalog.DescribeChangeSetOutput) string {
	var b strings.Builder
	if set.FailureCode != "" {
		fmt.Fprintf(&b, "%s (%s)", set.FailureCode, aws.ToString(set.FailureDescription))
	}
	for _, c := range set.ChangeSet {
		for _, e := range c.ErrorDetailList {
			fmt.Fprintf(&b, "; %s: %s: %s", aws.ToString(c.ChangeType), aws.ToString(e.ErrorCode), aws.ToString(e.ErrorMessage))
		}
	}
	return b.String()
}

// EntityID returns the identifier of a change's entity without its revision.
func EntityID(c types.ChangeSummary) string {
	if c.Entity == nil {
		return ""
	}
	id, _, _ := strings.Cut(aws.ToString(c.Entity.Identifier), "@")
	return id
}

// Entity describes an entity.
func (s *Seller) Entity(ctx context.Context, id string) (*marketplacecatalog.DescribeEntityOutput, error) {
	return s.Catalog.DescribeEntity(ctx, &marketplacecatalog.DescribeEntityInput{
		Catalog: aws.String(Catalog), EntityId: &id,
	})
}

// Code returns the code of an API error, "" of any other.
func Code(err error) string {
	var e interface{ ErrorCode() string }
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

// Message returns the message of an API error, "" of any other.
func Message(err error) string {
	var e interface{ ErrorMessage() string }
	if errors.As(err, &e) {
		return e.ErrorMessage()
	}
	return ""
}

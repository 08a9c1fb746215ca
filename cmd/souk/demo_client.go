package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/document"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// shopper is the AWS SDK as one user, who shows what she does.
type shopper struct {
	tell    *teller
	who     string // for people, such as "the seller, Acme Analytics"
	url     string
	id, key string // access key
	token   string // of a role's session
	config  aws.Config
	catalog *marketplacecatalog.Client
	sts     *sts.Client
	last    *lastAnswer
}

// catalogName and region are what every command says: clients that know no
// AWS_ENDPOINT_URL would go to AWS otherwise.
const (
	catalogName = "AWSMarketplace"
	region      = "us-east-1"
)

// newShopper makes a shopper; token is that of a role's session, or empty.
func newShopper(tell *teller, who, url, id, key, token string) *shopper {
	config := aws.Config{
		Region:       region,
		BaseEndpoint: aws.String(url),
		Credentials:  credentials.NewStaticCredentialsProvider(id, key, token),
	}
	last := &lastAnswer{client: http.DefaultClient}
	config.HTTPClient = last
	return &shopper{
		tell: tell, who: who, url: url, id: id, key: key, token: token, last: last,
		config:  config,
		catalog: marketplacecatalog.NewFromConfig(config),
		sts:     sts.NewFromConfig(config),
	}
}

// lastAnswer keeps the body of the last answer, to show what came over the wire.
type lastAnswer struct {
	client *http.Client
	body   []byte
}

// Do implements aws.HTTPClient.
func (l *lastAnswer) Do(r *http.Request) (*http.Response, error) {
	response, err := l.client.Do(r)
	if err != nil {
		return nil, err
	}
	l.body, err = io.ReadAll(response.Body)
	response.Body.Close()
	response.Body = io.NopCloser(bytes.NewReader(l.body))
	return response, err
}

// command prints a command that the shopper types, and who that is if another
// typed before.
func (s *shopper) command(first string, lines ...string) {
	s.tell.as("as " + s.who)
	s.tell.command(first, lines...)
}

// aws prints a command of the AWS CLI.
func (s *shopper) aws(command string, options ...string) {
	s.command("aws "+command, append([]string{"--endpoint-url " + s.url + " --region " + region}, options...)...)
}

// identity asks who the keys belong to.
func (s *shopper) identity(ctx context.Context) (account string, err error) {
	s.aws("sts get-caller-identity")
	out, err := s.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", err
	}
	shown, err := json.Marshal(struct{ UserId, Account, Arn string }{
		aws.ToString(out.UserId), aws.ToString(out.Account), aws.ToString(out.Arn),
	})
	if err != nil {
		return "", err
	}
	s.tell.answer(shown)
	return aws.ToString(out.Account), nil
}

// start starts a change set, given as the JSON of --change-set, and shows it.
func (s *shopper) start(ctx context.Context, name, changes string) (id string, err error) {
	var wanted []struct {
		ChangeType, ChangeName string
		Entity                 struct{ Type, Identifier string }
		DetailsDocument        any
	}
	err = json.Unmarshal([]byte(changes), &wanted)
	if err != nil {
		return "", fmt.Errorf("reading change set %q: %w", name, err)
	}
	in := &marketplacecatalog.StartChangeSetInput{Catalog: aws.String(catalogName), ChangeSetName: aws.String(name)}
	for _, w := range wanted {
		c := types.Change{
			ChangeType:      aws.String(w.ChangeType),
			Entity:          &types.Entity{Type: aws.String(w.Entity.Type)},
			DetailsDocument: document.NewLazyDocument(w.DetailsDocument),
		}
		if w.Entity.Identifier != "" {
			c.Entity.Identifier = aws.String(w.Entity.Identifier)
		}
		if w.ChangeName != "" {
			c.ChangeName = aws.String(w.ChangeName)
		}
		in.ChangeSet = append(in.ChangeSet, c)
	}
	s.aws("marketplace-catalog start-change-set", "--catalog "+catalogName, "--change-set-name '"+name+"'", "--change-set '"+changes+"'")
	out, err := s.catalog.StartChangeSet(ctx, in)
	if err != nil {
		return "", err
	}
	s.tell.answer(s.last.body)
	return aws.ToString(out.ChangeSetId), nil
}

// change starts a change set, waits for its end and describes it.
func (s *shopper) change(ctx context.Context, name, changes string, want types.ChangeStatus) (*marketplacecatalog.DescribeChangeSetOutput, error) {
	id, err := s.start(ctx, name, changes)
	if err != nil {
		return nil, err
	}
	ended, err := s.await(ctx, id)
	if err != nil {
		return nil, err
	}
	if ended.Status != want {
		s.tell.answer(s.last.body)
		return nil, fmt.Errorf("change set %s ended as %s, want %s", id, ended.Status, want)
	}
	return ended, nil
}

// await describes a change set until it has ended, and shows its states.
func (s *shopper) await(ctx context.Context, id string) (*marketplacecatalog.DescribeChangeSetOutput, error) {
	line := s.tell.wait("waiting for change set " + id)
	defer line.done()
	var out *marketplacecatalog.DescribeChangeSetOutput
	err := again(ctx, "change set "+id, calmly, func() (ended bool, err error) {
		out, err = s.catalog.DescribeChangeSet(ctx, &marketplacecatalog.DescribeChangeSetInput{
			Catalog: aws.String(catalogName), ChangeSetId: aws.String(id),
		})
		if err != nil {
			return false, err
		}
		line.state(string(out.Status))
		return slices.Contains([]types.ChangeStatus{types.ChangeStatusSucceeded, types.ChangeStatusFailed, types.ChangeStatusCancelled}, out.Status), nil
	})
	return out, err
}

// How often again asks.
const (
	quickly = 10 * time.Millisecond  // what is there at once; each question is a record that the last step reads
	calmly  = 120 * time.Millisecond // below the 10 a second that an account may ask
)

// again asks every so often until the answer is what is waited for, or ctx ends. It
// asks again also where that was too often.
func again(ctx context.Context, what string, every time.Duration, ask func() (done bool, err error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		done, err := ask()
		if err != nil && !throttled(err) {
			return err
		}
		if done {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
		}
	}
}

// throttled says that the market was asked too often, by the SDK or without.
func throttled(err error) bool {
	var e smithy.APIError
	return errors.As(err, &e) && e.ErrorCode() == "ThrottlingException" || code(err) == "ThrottlingException"
}

// show shows a part of the last answer, as it came over the wire.
func (s *shopper) show(path ...string) error { return s.tell.part(s.last.body, path...) }

// describe describes an entity and decodes its Details into details.
func (s *shopper) describe(ctx context.Context, id string, details any) error {
	out, err := s.catalog.DescribeEntity(ctx, &marketplacecatalog.DescribeEntityInput{
		Catalog: aws.String(catalogName), EntityId: aws.String(id),
	})
	if err != nil {
		return err
	}
	err = json.Unmarshal([]byte(aws.ToString(out.Details)), details)
	if err != nil {
		return fmt.Errorf("reading details of %s: %w", id, err)
	}
	return nil
}

// bare cuts the revision off an identifier: prod-x@1 is prod-x.
func bare(identifier string) string {
	id, _, _ := strings.Cut(identifier, "@")
	return id
}

// put sends a signed request of a service that the demo has no SDK of: those of
// EC2 are larger than all the rest of souk.
func (s *shopper) put(ctx context.Context, service, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", path, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, s.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	sum := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(ctx, s.keys(), r, hex.EncodeToString(sum[:]), service, region, time.Now())
	if err != nil {
		return fmt.Errorf("signing %s: %w", path, err)
	}
	response, err := s.last.Do(r)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("PUT %s: %s: %s", path, response.Status, s.last.body)
	}
	return json.Unmarshal(s.last.body, out)
}

// keys are the shopper's credentials.
func (s *shopper) keys() aws.Credentials {
	return aws.Credentials{AccessKeyID: s.id, SecretAccessKey: s.key, SessionToken: s.token}
}

// market is the market as souk build sees it.
func (s *shopper) market() (*remoteMarket, error) {
	u, err := url.Parse(s.url)
	if err != nil {
		return nil, err
	}
	return &remoteMarket{url: u, region: region, key: s.keys()}, nil
}

// souk runs a command of souk.
func (s *shopper) souk(ctx context.Context, out io.Writer, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, self, args...)
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) } // it removes what it has made
	c.WaitDelay = 10 * time.Second
	c.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+s.url, "AWS_REGION="+region,
		"AWS_ACCESS_KEY_ID="+s.id, "AWS_SECRET_ACCESS_KEY="+s.key, "AWS_SESSION_TOKEN="+s.token)
	var problems bytes.Buffer
	c.Stdout, c.Stderr = out, &problems
	err = c.Run()
	if err != nil {
		return fmt.Errorf("souk %s: %w: %s", strings.Join(args[:2], " "), err, problems.String())
	}
	return nil
}

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/go-json-experiment/json"
	"github.com/google/go-containerregistry/pkg/authn"
)

// This file is the way from souk image to a market: the same that the AWS CLI
// takes, with the same variables. The SDK's client of EC2 is several times as
// large as all the rest of souk, and can't say what RegisterImage has here
// beyond AWS's; its signer is used.

// MarketFlags say which market is asked, and from where.
type MarketFlags struct {
	EndpointURL string `name:"endpoint-url" placeholder:"URL" env:"AWS_ENDPOINT_URL" default:"http://127.0.0.1:8470" help:"The market (default http://127.0.0.1:8470)."`
	Region      string `placeholder:"NAME" env:"AWS_REGION,AWS_DEFAULT_REGION" default:"us-east-1" help:"Region of the signatures (default us-east-1)."`
}

// remoteMarket is a market seen from outside, with an access key.
type remoteMarket struct {
	url    *url.URL
	region string
	key    aws.Credentials
}

// market reads the key, and the authorities to trust, from the environment.
func (f MarketFlags) market() (*remoteMarket, error) {
	if err := trustBundle(os.Getenv("AWS_CA_BUNDLE")); err != nil {
		return nil, usagef("%v", err)
	}
	u, err := url.Parse(strings.TrimSuffix(f.EndpointURL, "/"))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usagef("--endpoint-url (AWS_ENDPOINT_URL): %q is no URL of a market, such as http://127.0.0.1:8470", f.EndpointURL)
	}
	m := &remoteMarket{url: u, region: f.Region}
	m.key = aws.Credentials{
		AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN"),
	}
	if m.key.AccessKeyID == "" || m.key.SecretAccessKey == "" {
		return nil, usagef("there is no access key: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run eval \"$(souk env)\"")
	}
	return m, nil
}

// login is the key as registries take it.
func (m *remoteMarket) login() authn.Authenticator {
	if m.key.SessionToken != "" {
		return roleLogin{m}
	}
	return &authn.Basic{Username: m.key.AccessKeyID, Password: m.key.SecretAccessKey}
}

// roleLogin is a role's session as registries take it: a name and a password can't
// say all three parts of its key, so that it asks for a password, as
// aws ecr get-login-password does.
type roleLogin struct{ market *remoteMarket }

// Authorization implements authn.Authenticator.
func (s roleLogin) Authorization() (*authn.AuthConfig, error) {
	return s.AuthorizationContext(context.Background())
}

// AuthorizationContext implements authn.ContextAuthenticator.
func (s roleLogin) AuthorizationContext(ctx context.Context) (*authn.AuthConfig, error) {
	var given struct {
		AuthorizationData []struct {
			AuthorizationToken string `json:"authorizationToken"`
		} `json:"authorizationData"`
	}
	err := s.market.json(ctx, "ecr", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken", struct{}{}, &given)
	if err != nil {
		return nil, fmt.Errorf("asking for a password of the registry: %w", err)
	}
	if len(given.AuthorizationData) != 1 {
		return nil, fmt.Errorf("asking for a password of the registry: there are %d", len(given.AuthorizationData))
	}
	return &authn.AuthConfig{Auth: given.AuthorizationData[0].AuthorizationToken}, nil
}

// ec2 asks an action of EC2 and reads the answer's members into a struct.
func (m *remoteMarket) ec2(ctx context.Context, action string, parameters url.Values, answer any) error {
	return m.ask(ctx, "ec2", "2016-11-15", action, parameters, answer)
}

// account is whose key it is.
func (m *remoteMarket) account(ctx context.Context) (string, error) {
	var who struct {
		Account string `xml:"GetCallerIdentityResult>Account"`
	}
	err := m.ask(ctx, "sts", "2011-06-15", "GetCallerIdentity", nil, &who)
	return who.Account, err
}

// image describes an AMI.
func (m *remoteMarket) image(ctx context.Context, id imageID) (machineImage, error) {
	var found describedImages
	err := m.ec2(ctx, "DescribeImages", url.Values{"ImageId.1": {string(id)}}, &found)
	if err != nil {
		return machineImage{}, err
	}
	if len(found.Images) != 1 {
		return machineImage{}, fmt.Errorf("describing %s: the answer has %d images", id, len(found.Images))
	}
	return found.Images[0], nil
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 32 << 20

// ask sends a signed request of the query protocol.
func (m *remoteMarket) ask(ctx context.Context, service, version, action string, parameters url.Values, answer any) error {
	form := url.Values{"Action": {action}, "Version": {version}}
	for name, values := range parameters {
		form[name] = values
	}
	response, text, err := m.send(ctx, service, action, []byte(form.Encode()), http.Header{
		"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"},
	})
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK:
		return refusalOf(action, response.Status, text)
	case answer == nil:
		return nil
	}
	err = xml.Unmarshal(text, answer)
	if err != nil {
		return fmt.Errorf("reading the answer of %s: %w", action, err)
	}
	return nil
}

// json sends a signed request of the JSON protocol, version 1.1.
func (m *remoteMarket) json(ctx context.Context, service, target string, in, out any) error {
	_, action, _ := strings.Cut(target, ".")
	body, err := json.Marshal(in, json.OmitZeroStructFields(true))
	if err != nil {
		return fmt.Errorf("encoding %s: %w", action, err)
	}
	response, text, err := m.send(ctx, service, action, body, http.Header{
		"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {target},
	})
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		var refused struct {
			Type    string `json:"__type"`
			Message string
		}
		if json.Unmarshal(text, &refused) != nil || refused.Type == "" {
			return fmt.Errorf("%s: %s", action, response.Status)
		}
		return &refusedCall{refused.Type, refused.Message}
	}
	err = json.Unmarshal(text, out)
	if err != nil {
		return fmt.Errorf("reading the answer of %s: %w", action, err)
	}
	return nil
}

// send signs a request for an action and reads the answer, whatever its status.
func (m *remoteMarket) send(ctx context.Context, service, action string, body []byte, header http.Header) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url.String()+"/", bytes.NewReader(body))
	if err != nil {
		return nil, nil, fmt.Errorf("asking %s of %s: %w", action, m.url, err)
	}
	r.Header = header
	sum := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(ctx, m.key, r, hex.EncodeToString(sum[:]), service, m.region, time.Now())
	if err != nil {
		return nil, nil, fmt.Errorf("signing %s: %w", action, err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, nil, unanswered(m.url, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, nil, fmt.Errorf("reading the answer of %s: %w", action, err)
	}
	return response, text, nil
}

// unanswered says what to do where no market is.
func unanswered(at *url.URL, err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	var stranger x509.UnknownAuthorityError
	if errors.As(err, &stranger) {
		return fmt.Errorf("the certificate of %s is not trusted: %w. If that market has --tls-auto, set AWS_CA_BUNDLE to a copy of its DATA/tls-ca.crt, as `souk env` does", at, err)
	}
	return fmt.Errorf("no market answers at %s: %w. Start `souk serve`, or name the market by --endpoint-url or AWS_ENDPOINT_URL", at, err)
}

// refusedCall is an error that the market has answered with.
type refusedCall struct{ code, message string }

func (e *refusedCall) Error() string {
	text := strings.TrimSuffix(e.message, ".")
	next := nextSteps[e.code]
	if strings.Contains(text, "access credentials") {
		next = "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: `souk env` and `souk key list --account ID` show keys"
	}
	if next != "" {
		return text + ". " + next
	}
	return text + " (" + e.code + ")"
}

// nextSteps says what to do after an error.
var nextSteps = map[string]string{
	"InvalidAMIID.NotFound":                "`souk image list --all` shows the AMIs that the account may use",
	"InvalidAMIID.Unavailable":             "`souk image show ID` says why",
	"InvalidAMIName.Duplicate":             "Give another --name, or remove the other with `souk image rm ID`",
	"UnauthorizedOperation":                "A policy must allow it: docs/operating.md, \"Machine images\"",
	"InvalidFulfillmentOptionIdException":  "DescribeEntity of an AMI product shows the ids of its options as FulfillmentOptionId",
	"InvalidSourceImageIdException":        "`souk image list --all` shows the AMIs that the account may use",
	"InvalidDestinationImageNameException": "Give another --name",
	"InstallerMismatchException":           "Take another --source: `souk image list --all` shows the platforms of AMIs",
	"InvalidSnsTopicArnException":          "`aws sns list-topics` shows the account's topics",
	"BuildLimitExceededException":          "Wait for one of them: `souk build list --status in-progress`",
	"IdempotentParameterMismatchException": "Give another --token, or none",
	"UnauthorizedOperationException":       "A policy must allow aws-marketplace:StartBuild",
	"AccessDeniedException":                "A policy must allow it",
	"OperationNotPermitted":                "Take it out of what names it first: the change type RestrictDeliveryOptions does that",
}

// code is the error code of a refused call, "" for all else.
func code(err error) string {
	var e *refusedCall
	if errors.As(err, &e) {
		return e.code
	}
	return ""
}

// refusalOf reads an error in the form of EC2 or of the query protocol.
func refusalOf(action, status string, text []byte) error {
	var e struct {
		EC2   refusedMembers `xml:"Errors>Error"`
		Query refusedMembers `xml:"Error"`
	}
	err := xml.Unmarshal(text, &e)
	if e.EC2.Code == "" {
		e.EC2 = e.Query
	}
	if err != nil || e.EC2.Code == "" {
		return fmt.Errorf("%s was answered with %s: is that a market?", action, status)
	}
	return &refusedCall{e.EC2.Code, e.EC2.Message}
}

type refusedMembers struct{ Code, Message string }

package sts_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"net/http/httptest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"souk/access/keyring"
	"souk/access/organization"
	"souk/gateway"
	"souk/service/sts"
	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
)

const (
	seller = "123456789012"
	buyer  = "444455556666"
)

// market is a gateway with this service, whose clock goes when it is told to.
type market struct {
	t            *testing.T
	url          string
	store        store.Store
	ring         *keyring.Ring
	ahead        atomic.Int64 // how far the clock is before the real one, in nanoseconds
	organization *organization.Organization
}

func newMarket(t *testing.T) *market {
	t.Helper()
	engine := sqlitetest.Open(t)
	m := &market{t: t, store: engine, ring: keyring.New([32]byte{1})}
	m.organization = m.node()
	if _, err := m.organization.Bootstrap(t.Context(), seller, m.organization.NewKey()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.organization.CreateAccount(t.Context(), organization.NewAccount{Name: "Buyer", ID: buyer}); err != nil {
		t.Fatal(err)
	}
	m.url = m.serve(m.organization)
	return m
}

func (m *market) now() time.Time { return time.Now().Add(time.Duration(m.ahead.Load())) }

// node is one more server on the database.
func (m *market) node() *organization.Organization {
	return organization.New(organization.Config{Store: m.store, Keyring: m.ring, Now: m.now})
}

func (m *market) serve(o *organization.Organization) (url string) {
	m.t.Helper()
	// The gateway's clock is the real one, so that signatures of now are good.
	g, err := gateway.New(gateway.Config{Services: []*gateway.Service{sts.Service(sts.Config{Organization: o})}, Credentials: o})
	if err != nil {
		m.t.Fatal(err)
	}
	server := httptest.NewServer(g)
	m.t.Cleanup(server.Close)
	return server.URL
}

// user makes a user with a policy ("" for none) and returns its client.
func (m *market) user(account, name, policy string) *awssts.Client {
	m.t.Helper()
	ctx := m.t.Context()
	if _, err := m.organization.CreateUser(ctx, account, name); err != nil {
		m.t.Fatal(err)
	}
	if policy != "" {
		if err := m.organization.PutPolicy(ctx, account, name, organization.Policy{Name: "p", Document: policy}); err != nil {
			m.t.Fatal(err)
		}
	}
	key, err := m.organization.CreateKey(ctx, account, name)
	if err != nil {
		m.t.Fatal(err)
	}
	return client(m.url, key, "")
}

func (m *market) role(n organization.NewRole) organization.Role {
	m.t.Helper()
	r, err := m.organization.CreateRole(m.t.Context(), n)
	if err != nil {
		m.t.Fatal(err)
	}
	return r
}

func allow(action string) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"` + action + `","Resource":"*"}}`
}

// trusting is a trust policy for a principal, with a condition ("" for none).
func trusting(who, condition string) string {
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + who + `"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]` + condition + `}}`
}

// whoami asks with temporary credentials.
func whoami(ctx context.Context, url string, c *types.Credentials) (string, error) {
	k := organization.Key{ID: *c.AccessKeyId, Secret: *c.SecretAccessKey}
	out, err := client(url, k, *c.SessionToken).GetCallerIdentity(ctx, nil)
	if err != nil {
		return "", err
	}
	return *out.Arn, nil
}

func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

func TestASessionIsGoodEverywhereUntilItsEnd(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	ctx := t.Context()
	ann := m.user(seller, "Ann", allow("sts:AssumeRole"))
	role := m.role(organization.NewRole{Account: seller, Name: "ops", Path: "/team/", Trust: trusting(seller, "")})
	in := &awssts.AssumeRoleInput{RoleArn: aws.String(role.ARN()), RoleSessionName: aws.String("ann"), DurationSeconds: aws.Int32(900)}
	out, err := ann.AssumeRole(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	arn := "arn:aws:sts::" + seller + ":assumed-role/ops/ann"
	if *out.AssumedRoleUser.Arn != arn || *out.AssumedRoleUser.AssumedRoleId != role.ID+":ann" {
		t.Errorf("session: %+v", out.AssumedRoleUser)
	}
	if !strings.HasPrefix(*out.Credentials.AccessKeyId, "ASIA") || time.Until(*out.Credentials.Expiration) > 15*time.Minute {
		t.Errorf("credentials end %v", out.Credentials.Expiration)
	}
	other, err := ann.AssumeRole(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	there := m.serve(m.node()) // a node that has never heard of it
	for _, url := range []string{m.url, there, m.url} {
		if got, err := whoami(ctx, url, out.Credentials); err != nil || got != arn {
			t.Errorf("who: %q, %v", got, err)
		}
	}

	raw, err := base64.StdEncoding.DecodeString(*out.Credentials.SessionToken)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	for name, c := range map[string]struct {
		token, secret string
		code          string
	}{
		"no token":                     {"", *out.Credentials.SecretAccessKey, "InvalidClientTokenId"},
		"the token of another session": {*other.Credentials.SessionToken, *out.Credentials.SecretAccessKey, "InvalidClientTokenId"},
		"a token with a bit turned":    {base64.StdEncoding.EncodeToString(raw), *out.Credentials.SecretAccessKey, "InvalidClientTokenId"},
		"a token that is too long":     {strings.Repeat("A", 100_000), *out.Credentials.SecretAccessKey, "InvalidClientTokenId"},
		"a token that is a word":       {"token", *out.Credentials.SecretAccessKey, "InvalidClientTokenId"},
		"another secret":               {*out.Credentials.SessionToken, *other.Credentials.SecretAccessKey, "SignatureDoesNotMatch"},
	} {
		for _, url := range []string{m.url, m.serve(m.node())} { // that knows the session, and does not
			bad := &types.Credentials{AccessKeyId: out.Credentials.AccessKeyId, SecretAccessKey: &c.secret, SessionToken: &c.token}
			if _, err := whoami(ctx, url, bad); code(err) != c.code {
				t.Errorf("%s: %v, want %s", name, err, c.code)
			}
		}
	}

	m.ahead.Store(int64(15 * time.Minute))
	for _, url := range []string{m.url, there, m.serve(m.node())} {
		if _, err := whoami(ctx, url, out.Credentials); code(err) != "ExpiredToken" {
			t.Errorf("after its end: %v", err)
		}
	}
}

func TestASessionOfAnotherMarketIsNone(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	ann := m.user(seller, "Ann", allow("sts:AssumeRole"))
	role := m.role(organization.NewRole{Account: seller, Name: "ops", Trust: trusting(seller, "")})
	out, err := ann.AssumeRole(t.Context(), &awssts.AssumeRoleInput{RoleArn: aws.String(role.ARN()), RoleSessionName: aws.String("ann")})
	if err != nil {
		t.Fatal(err)
	}
	m.ring = keyring.New([32]byte{2})
	if _, err := whoami(t.Context(), m.serve(m.node()), out.Credentials); code(err) != "InvalidClientTokenId" {
		t.Errorf("with another key file: %v", err)
	}
}

func TestASessionGoesWithItsRole(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	ctx := t.Context()
	ann := m.user(seller, "Ann", allow("sts:AssumeRole"))
	role := m.role(organization.NewRole{Account: seller, Name: "ops", Trust: trusting(seller, "")})
	out, err := ann.AssumeRole(ctx, &awssts.AssumeRoleInput{RoleArn: aws.String(role.ARN()), RoleSessionName: aws.String("ann")})
	if err != nil {
		t.Fatal(err)
	}
	there := m.serve(m.node())
	if _, err := whoami(ctx, there, out.Credentials); err != nil {
		t.Fatal(err)
	}
	if err := m.organization.DeleteRole(ctx, seller, "ops"); err != nil {
		t.Fatal(err)
	}
	if _, err := whoami(ctx, m.url, out.Credentials); code(err) != "InvalidClientTokenId" {
		t.Errorf("here, at once: %v", err)
	}
	m.ahead.Store(int64(5*time.Second - time.Millisecond))
	if _, err := whoami(ctx, there, out.Credentials); code(err) != "InvalidClientTokenId" {
		t.Errorf("there, in time: %v", err)
	}
	m.role(organization.NewRole{Account: seller, Name: "ops", Trust: trusting(seller, "")})
	if _, err := whoami(ctx, m.url, out.Credentials); code(err) != "InvalidClientTokenId" {
		t.Errorf("with another role of that name: %v", err)
	}
}

func TestNobodyAssumesARoleOfAClosedAccount(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	ctx := t.Context()
	bob := m.user(seller, "Bob", allow("sts:AssumeRole"))
	role := m.role(organization.NewRole{Account: buyer, Name: "ops", Trust: trusting(seller, "")})
	assume := func() error {
		_, err := bob.AssumeRole(ctx, &awssts.AssumeRoleInput{RoleArn: aws.String(role.ARN()), RoleSessionName: aws.String("bob")})
		return err
	}
	if err := assume(); err != nil {
		t.Fatal(err)
	}
	if err := m.organization.CloseAccount(ctx, buyer); err != nil {
		t.Fatal(err)
	}
	if err := assume(); code(err) != "AccessDenied" {
		t.Errorf("a role of a closed account: %v", err)
	}
}

func TestWhoMayAssumeARole(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	ctx := t.Context()
	clients := map[string]*awssts.Client{
		"Ann":   m.user(seller, "Ann", ""),
		"Boss":  m.user(seller, "Boss", allow("sts:*")),
		"Bob":   m.user(buyer, "Bob", allow("sts:AssumeRole")),
		"Nobob": m.user(buyer, "Nobob", ""),
	}
	root, err := m.organization.CreateKey(ctx, seller, "")
	if err != nil {
		t.Fatal(err)
	}
	clients["root"] = client(m.url, root, "")
	arn := map[string]string{"none": "arn:aws:iam::" + seller + ":role/none", "no role": "arn:aws:iam::" + seller + ":user/Ann"}
	for name, n := range map[string]organization.NewRole{
		"account":  {Trust: trusting(seller, "")},
		"ann":      {Trust: trusting("arn:aws:iam::"+seller+":user/Ann", "")},
		"external": {Trust: trusting(buyer, `{"StringEquals":{"sts:ExternalId":"id-12345"}}`), MaxSession: 7200},
		"tagged":   {Trust: trusting(seller, `{"StringEquals":{"aws:RequestTag/team":"blue"}}`)},
		"service":  {Trust: `{"Statement":{"Effect":"Allow","Principal":{"Service":"assets.marketplace.amazonaws.com"},"Action":"sts:AssumeRole"}}`},
	} {
		n.Account, n.Name = seller, name
		arn[name] = m.role(n).ARN()
	}
	arn["another path"] = "arn:aws:iam::" + seller + ":role/x/account"
	blue := []types.Tag{{Key: aws.String("Team"), Value: aws.String("blue")}}
	id := aws.String("id-12345")
	for name, c := range map[string]struct {
		who, role string
		in        awssts.AssumeRoleInput
		code      string
	}{
		"a user whom the account does not allow it":  {"Ann", "account", awssts.AssumeRoleInput{}, "AccessDenied"},
		"a user whom it does":                        {"Boss", "account", awssts.AssumeRoleInput{}, ""},
		"a user who is trusted by name":              {"Ann", "ann", awssts.AssumeRoleInput{}, ""},
		"a user who is not":                          {"Boss", "ann", awssts.AssumeRoleInput{}, "AccessDenied"},
		"a stranger without the external id":         {"Bob", "external", awssts.AssumeRoleInput{}, "AccessDenied"},
		"a stranger with another external id":        {"Bob", "external", awssts.AssumeRoleInput{ExternalId: aws.String("id-0")}, "AccessDenied"},
		"a stranger with the external id":            {"Bob", "external", awssts.AssumeRoleInput{ExternalId: id}, ""},
		"a stranger whose account does not allow it": {"Nobob", "external", awssts.AssumeRoleInput{ExternalId: id}, "AccessDenied"},
		"a role that is not there":                   {"Boss", "none", awssts.AssumeRoleInput{}, "AccessDenied"},
		"a role by another path":                     {"Boss", "another path", awssts.AssumeRoleInput{}, "AccessDenied"},
		"a role of a service":                        {"Boss", "service", awssts.AssumeRoleInput{}, "AccessDenied"},
		"the ARN of a user":                          {"Boss", "no role", awssts.AssumeRoleInput{}, "ValidationError"},
		"a root user":                                {"root", "account", awssts.AssumeRoleInput{}, "AccessDenied"},
		"without the tag that is asked for":          {"Boss", "tagged", awssts.AssumeRoleInput{}, "AccessDenied"},
		"with the tag that is asked for":             {"Boss", "tagged", awssts.AssumeRoleInput{Tags: blue}, ""},
		"a tag twice":                                {"Boss", "account", awssts.AssumeRoleInput{Tags: append(blue, types.Tag{Key: aws.String("TEAM"), Value: aws.String("x")})}, "InvalidParameterValue"},
		"longer than the role lasts":                 {"Boss", "account", awssts.AssumeRoleInput{DurationSeconds: aws.Int32(3601)}, "ValidationError"},
		"as long as the role lasts":                  {"Bob", "external", awssts.AssumeRoleInput{ExternalId: id, DurationSeconds: aws.Int32(7200)}, ""},
		"too short":                                  {"Boss", "account", awssts.AssumeRoleInput{DurationSeconds: aws.Int32(899)}, "ValidationError"},
		"a session policy that is none":              {"Boss", "account", awssts.AssumeRoleInput{Policy: aws.String("{}")}, "MalformedPolicyDocument"},
		"a session policy that is not there":         {"Boss", "account", awssts.AssumeRoleInput{PolicyArns: []types.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::aws:policy/None")}}}, "MalformedPolicyDocument"},
		"a session policy of AWS":                    {"Boss", "account", awssts.AssumeRoleInput{PolicyArns: []types.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::aws:policy/AWSMarketplaceSellerProductsReadOnly")}}}, ""},
		"a second factor":                            {"Boss", "account", awssts.AssumeRoleInput{SerialNumber: aws.String("arn:aws:iam::1:mfa/x"), TokenCode: aws.String("123456")}, "ValidationError"},
		"tags that pass on":                          {"Boss", "account", awssts.AssumeRoleInput{Tags: blue, TransitiveTagKeys: []string{"Team"}}, "ValidationError"},
	} {
		c.in.RoleArn, c.in.RoleSessionName = aws.String(arn[c.role]), aws.String("s1")
		_, err := clients[c.who].AssumeRole(ctx, &c.in)
		if got := code(err); got != c.code || (err == nil) != (c.code == "") {
			t.Errorf("%s: %v, want %q", name, err, c.code)
		}
	}
}

func TestChainsOfRoles(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	ctx := t.Context()
	ann := m.user(seller, "Ann", allow("sts:*"))
	first := m.role(organization.NewRole{Account: seller, Name: "first", MaxSession: 43200, Trust: trusting(seller, "")})
	second := m.role(organization.NewRole{Account: seller, Name: "second", MaxSession: 43200, Trust: trusting(first.ARN(), `{"StringEquals":{"aws:PrincipalTag/team":"blue"}}`)})

	// The SDK's own provider, as programs use it.
	provider := func(tag string) aws.CredentialsProvider {
		return stscreds.NewAssumeRoleProvider(ann, first.ARN(), func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName, o.Duration, o.SourceIdentity = "ann", 4*time.Hour, aws.String("ann@example.com")
			o.Tags = []types.Tag{{Key: aws.String("team"), Value: aws.String(tag)}}
		})
	}
	for _, c := range []struct {
		tag      string
		duration int32
		source   *string
		code     string
	}{
		{"blue", 3600, nil, ""},
		{"red", 3600, nil, "AccessDenied"},
		{"blue", 3601, nil, "ValidationError"},
		{"blue", 3600, aws.String("ann@example.com"), ""},
		{"blue", 3600, aws.String("bob@example.com"), "AccessDenied"},
	} {
		chained := awssts.New(awssts.Options{Region: "us-east-1", BaseEndpoint: aws.String(m.url), Retryer: aws.NopRetryer{}, Credentials: provider(c.tag)})
		out, err := chained.AssumeRole(ctx, &awssts.AssumeRoleInput{
			RoleArn: aws.String(second.ARN()), RoleSessionName: aws.String("next"), DurationSeconds: &c.duration, SourceIdentity: c.source})
		if code(err) != c.code || (err == nil) != (c.code == "") {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		if err != nil {
			continue
		}
		if out.SourceIdentity == nil || *out.SourceIdentity != "ann@example.com" {
			t.Errorf("source identity: %v", out.SourceIdentity)
		}
		if who, err := whoami(ctx, m.url, out.Credentials); err != nil || !strings.HasSuffix(who, "assumed-role/second/next") {
			t.Errorf("who: %q, %v", who, err)
		}
	}
}

func TestASessionPolicyLimitsTheRole(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	ctx := t.Context()
	ann := m.user(seller, "Ann", allow("sts:*"))
	role := m.role(organization.NewRole{Account: seller, Name: "ops", Trust: trusting(seller, ""), Tags: map[string]string{"Team": "red", "Unit": "a"}})
	h := organization.Holder{Kind: organization.OfRole, Account: seller, Name: "ops"}
	if err := m.organization.PutInline(ctx, h, organization.Policy{Name: "p", Document: allow("a:*")}); err != nil {
		t.Fatal(err)
	}
	in := awssts.AssumeRoleInput{RoleArn: aws.String(role.ARN()), RoleSessionName: aws.String("ann")}
	in.Policy = aws.String(allow("a:Get"))
	in.Tags = []types.Tag{{Key: aws.String("team"), Value: aws.String("blue")}}
	out, err := ann.AssumeRole(ctx, &in)
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 clients of before read it
	if packed := aws.ToInt32(out.PackedPolicySize); packed < 1 || packed > 20 {
		t.Errorf("the policies and tags take %d%% of the room for them", packed)
	}
	if size, used := aws.ToInt32(out.SessionTokenSize), aws.ToInt32(out.SessionTokenUtilization); int(size) != len(*out.Credentials.SessionToken) || used < 1 || used > 20 {
		t.Errorf("the token takes %d bytes, %d%%", size, used)
	}
	_, p, ok, err := m.organization.LookupSession(ctx, *out.Credentials.AccessKeyId, *out.Credentials.SessionToken)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if len(p.Session) != 1 || len(p.Policies) != 1 || p.Tags["team"] != "blue" || p.Tags["unit"] != "a" || p.Issued == "" || p.Role != role.ARN() || p.Organization == "" {
		t.Errorf("principal %+v", p)
	}
	if _, _, ok, err := m.organization.Lookup(ctx, *out.Credentials.AccessKeyId); ok || err != nil {
		t.Errorf("without its token: %v, %v", ok, err)
	}
	for i := range 40 { // more than fits into a token, and does not pack
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(strings.Repeat("k", i+1)), Value: aws.String(m.organization.NewKey().Secret + m.organization.NewKey().Secret)})
	}
	if _, err := ann.AssumeRole(ctx, &in); code(err) != "PackedPolicyTooLarge" {
		t.Errorf("too many tags: %v", err)
	}
}

func TestCredentialsOfASessionSignAddresses(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	ctx := t.Context()
	ann := m.user(seller, "Ann", allow("sts:*"))
	role := m.role(organization.NewRole{Account: seller, Name: "ops", Trust: trusting(seller, "")})
	out, err := ann.AssumeRole(ctx, &awssts.AssumeRoleInput{RoleArn: aws.String(role.ARN()), RoleSessionName: aws.String("ann")})
	if err != nil {
		t.Fatal(err)
	}
	c := out.Credentials
	signer := awssts.NewPresignClient(awssts.New(awssts.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(m.url),
		Credentials: credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken),
	}))
	signed, err := signer.PresignGetCallerIdentity(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]struct{ from, to, want string }{
		"as it was signed":     {"", "", "assumed-role/ops/ann"},
		"without the token":    {"X-Amz-Security-Token=", "X-Amz-Other=", "InvalidClientTokenId"},
		"with another session": {"X-Amz-Credential=ASIA", "X-Amz-Credential=ASIB", "InvalidClientTokenId"},
	} {
		body := get(t, strings.Replace(signed.URL, d.from, d.to, 1))
		if !strings.Contains(body, d.want) {
			t.Errorf("%s: %s", name, body)
		}
	}
}

package sts_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"souk/access/keyring"
	"souk/access/organization"
	"souk/gateway"
	"souk/service/sts"
	"souk/storage/store/sqlite/sqlitetest"
)

// endpoint is a gateway with this one service, and the organisation behind it.
func endpoint(t *testing.T) (url string, o *organization.Organization, root organization.Key) {
	t.Helper()
	engine := sqlitetest.Open(t)
	o = organization.New(organization.Config{Store: engine, Keyring: keyring.New([32]byte{1})})
	root = o.NewKey()
	if _, err := o.Bootstrap(t.Context(), "", root); err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Config{Services: []*gateway.Service{sts.Service(sts.Config{Organization: o})}, Credentials: o})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	return server.URL, o, root
}

func client(url string, k organization.Key, session string) *awssts.Client {
	return awssts.New(awssts.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(url), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(k.ID, k.Secret, session),
	})
}

func TestGetCallerIdentityOfRootAndOfAUserWhoMayDoNothing(t *testing.T) {
	t.Parallel()
	url, o, root := endpoint(t)
	ctx := t.Context()
	out, err := client(url, root, "").GetCallerIdentity(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if *out.Account != "123456789012" || *out.Arn != "arn:aws:iam::123456789012:root" || *out.UserId != "123456789012" {
		t.Errorf("root: %s %s %s", *out.Account, *out.Arn, *out.UserId)
	}
	u, err := o.CreateUser(ctx, "123456789012", "ci")
	if err != nil {
		t.Fatal(err)
	}
	err = o.PutPolicy(ctx, "123456789012", "ci", organization.Policy{Name: "none",
		Document: `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"sts:GetCallerIdentity","Resource":"*"}}`})
	if err != nil {
		t.Fatal(err)
	}
	key, err := o.CreateKey(ctx, "123456789012", "ci")
	if err != nil {
		t.Fatal(err)
	}
	out, err = client(url, key, "").GetCallerIdentity(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if *out.Account != "123456789012" || *out.Arn != u.ARN() || *out.UserId != u.ID {
		t.Errorf("user: %s %s %s", *out.Account, *out.Arn, *out.UserId)
	}
}

func TestWhoCanNotProveWhoHeIsGetsNoIdentity(t *testing.T) {
	t.Parallel()
	url, o, root := endpoint(t)
	for name, c := range map[string]struct {
		key     organization.Key
		session string
		code    string
	}{
		"unknown access key":      {o.NewKey(), "", "InvalidClientTokenId"},
		"wrong secret":            {organization.Key{ID: root.ID, Secret: o.NewKey().Secret}, "", "SignatureDoesNotMatch"},
		"left-over session token": {root, "left-over", "InvalidClientTokenId"},
	} {
		_, err := client(url, c.key, c.session).GetCallerIdentity(t.Context(), nil)
		var e smithy.APIError
		if !errors.As(err, &e) || e.ErrorCode() != c.code {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
	}
	r, err := http.Post(url, "application/x-www-form-urlencoded", strings.NewReader("Action=GetCallerIdentity&Version=2011-06-15"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusForbidden || !strings.Contains(string(body), "MissingAuthenticationToken") {
		t.Errorf("unsigned: %d %s %v", r.StatusCode, body, err)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

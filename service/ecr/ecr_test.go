package ecr_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsecr "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/smithy-go"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"souk/access/keyring"
	"souk/access/organization"
	"souk/artifact/registry"
	"souk/artifact/registry/registrytest"
	"souk/gateway"
	"souk/service/ecr"
	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
)

const account = "123456789012"

// endpoint is a gateway with this one service, the registry beside it, and the
// organisation behind both.
func endpoint(t *testing.T) (at string, o *organization.Organization, root organization.Key) {
	t.Helper()
	ctx := t.Context()
	engine := sqlitetest.Open(t)
	ring := keyring.New([32]byte{1})
	o = organization.New(organization.Config{Store: engine, Keyring: ring})
	root = o.NewKey()
	if _, err := o.Bootstrap(ctx, "", root); err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(registry.Repository{Account: account, Product: "prod-x"})
	if err != nil {
		t.Fatal(err)
	}
	err = engine.Commit(ctx, store.Batch{Put: []store.Write{{Document: store.Document{
		Key: store.Key{Kind: registry.KindRepository, ID: "acme/web"}, Body: body}}}})
	if err != nil {
		t.Fatal(err)
	}
	r := registrytest.Serve(t, engine, func(c *registry.Config) { c.Credentials, c.Keyring = o.LookupSession, ring })
	service, err := ecr.Service(ecr.Config{Token: r.Token, ProxyEndpoint: r.URL.String()})
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Config{Services: []*gateway.Service{service}, Credentials: o})
	if err != nil {
		t.Fatal(err)
	}
	r.Mux.Handle("/", g)
	return r.URL.String(), o, root
}

func client(at string, k organization.Key) *awsecr.Client {
	return awsecr.New(awsecr.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(at), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(k.ID, k.Secret, ""),
	})
}

// TestASessionLogsInToTheRegistry: with a log-in token, not with its key alone,
// and only as long as its role is there.
func TestASessionLogsInToTheRegistry(t *testing.T) {
	t.Parallel()
	at, o, _ := endpoint(t)
	ctx := t.Context()
	const account = organization.DefaultAccount
	role, err := o.CreateRole(ctx, organization.NewRole{Account: account, Name: "puller",
		Trust: `{"Statement":{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"sts:AssumeRole"}}`})
	if err != nil {
		t.Fatal(err)
	}
	h := organization.Holder{Kind: organization.OfRole, Account: account, Name: "puller"}
	allow := organization.Policy{Name: "p", Document: `{"Statement":{"Effect":"Allow","Action":"ecr:*","Resource":"*"}}`}
	if err := o.PutInline(ctx, h, allow); err != nil {
		t.Fatal(err)
	}
	s, err := o.NewSession(ctx, organization.NewSession{Role: role, Name: "ci", Policy: allow.Document})
	if err != nil {
		t.Fatal(err)
	}
	c := awsecr.New(awsecr.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(at), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(s.Key.ID, s.Key.Secret, s.Token),
	})
	out, err := c.GetAuthorizationToken(ctx, &awsecr.GetAuthorizationTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := base64.StdEncoding.DecodeString(*out.AuthorizationData[0].AuthorizationToken)
	if err != nil {
		t.Fatal(err)
	}
	_, password, _ := strings.Cut(string(plain), ":")
	status := func(user, password string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"/v2/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(user, password)
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got.Body.Close()
		return got.StatusCode
	}
	if got := status("AWS", password); got != http.StatusOK {
		t.Errorf("with the log-in token: %d", got)
	}
	if got := status(s.Key.ID, s.Key.Secret); got != http.StatusUnauthorized {
		t.Errorf("with the key of the session: %d", got)
	}
	if err := o.DeleteInline(ctx, h, "p"); err != nil {
		t.Fatal(err)
	}
	if err := o.DeleteRole(ctx, account, "puller"); err != nil {
		t.Fatal(err)
	}
	if got := status("AWS", password); got != http.StatusUnauthorized {
		t.Errorf("without the role: %d", got)
	}
}

func TestTokenLogsInToTheRegistry(t *testing.T) {
	t.Parallel()
	at, o, root := endpoint(t)
	ctx := t.Context()
	out, err := client(at, root).GetAuthorizationToken(ctx, &awsecr.GetAuthorizationTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.AuthorizationData) != 1 {
		t.Fatalf("%d entries, want 1", len(out.AuthorizationData))
	}
	data := out.AuthorizationData[0]
	if *data.ProxyEndpoint != at {
		t.Errorf("endpoint %s, want %s", *data.ProxyEndpoint, at)
	}
	if left := time.Until(*data.ExpiresAt); left < 11*time.Hour || left > 12*time.Hour {
		t.Errorf("good for %s, want 12 hours", left)
	}
	plain, err := base64.StdEncoding.DecodeString(*data.AuthorizationToken)
	if err != nil {
		t.Fatal(err)
	}
	user, password, _ := strings.Cut(string(plain), ":")
	if user != "AWS" || strings.Contains(password, root.Secret) {
		t.Errorf("token is %s", plain)
	}
	img, err := random.Image(100, 2)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(strings.TrimPrefix(at, "http://")+"/acme/web:1.0", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	push := func() error {
		return remote.Write(ref, img, remote.WithAuth(&authn.Basic{Username: user, Password: password}))
	}
	if err := push(); err != nil {
		t.Fatal(err)
	}
	// The key goes, and its tokens with it.
	if err := o.SetKeyActive(ctx, account, root.ID, false); err != nil {
		t.Fatal(err)
	}
	if err := push(); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("with a deactivated key: %v, want status 401", err)
	}
}

func TestRegistryIds(t *testing.T) {
	t.Parallel()
	at, _, root := endpoint(t)
	for ids, want := range map[string]int{"": 1, "709825985650": 1, "709825985650,123456789012": 2, "x": 0, "1,2,3,4,5,6,7,8,9,10,11": 0} {
		in := &awsecr.GetAuthorizationTokenInput{}
		if ids != "" {
			//lint:ignore SA1019 older clients send it
			in.RegistryIds = strings.Split(ids, ",")
		}
		out, err := client(at, root).GetAuthorizationToken(t.Context(), in)
		var api smithy.APIError
		switch {
		case want == 0 && (!errors.As(err, &api) || api.ErrorCode() != "InvalidParameterException"):
			t.Errorf("%q: %v, want InvalidParameterException", ids, err)
		case want > 0 && (err != nil || len(out.AuthorizationData) != want):
			t.Errorf("%q: %v, %v, want %d entries", ids, out, err, want)
		}
	}
}

func TestUserWithoutPolicyGetsNoToken(t *testing.T) {
	t.Parallel()
	at, o, _ := endpoint(t)
	ctx := t.Context()
	if _, err := o.CreateUser(ctx, account, "ci"); err != nil {
		t.Fatal(err)
	}
	key, err := o.CreateKey(ctx, account, "ci")
	if err != nil {
		t.Fatal(err)
	}
	_, err = client(at, key).GetAuthorizationToken(ctx, nil)
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "AccessDeniedException" || !strings.Contains(api.ErrorMessage(), "ecr:GetAuthorizationToken") {
		t.Errorf("%v, want AccessDeniedException that names the action", err)
	}
}

func TestTheCommandLineClient(t *testing.T) {
	t.Parallel()
	cli, err := exec.LookPath("aws")
	if err != nil {
		t.Fatal("the AWS CLI is needed: ", err)
	}
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Fatal("skopeo is needed: ", err)
	}
	at, _, root := endpoint(t)
	home := t.TempDir()
	run := func(input string, command string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), command, args...)
		cmd.Env = append(os.Environ(), "HOME="+home, "AWS_ACCESS_KEY_ID="+root.ID, "AWS_SECRET_ACCESS_KEY="+root.Secret,
			"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE="+filepath.Join(home, "config"), "AWS_PAGER=")
		cmd.Stdin = strings.NewReader(input)
		out, err := cmd.Output()
		if err != nil {
			var exit *exec.ExitError
			errors.As(err, &exit)
			t.Fatalf("%s %s: %v\n%s", command, strings.Join(args, " "), err, exit.Stderr)
		}
		return string(out)
	}
	password := run("", cli, "ecr", "get-login-password", "--endpoint-url", at, "--region", "us-east-1")
	run(password, skopeo, "login", "--tls-verify=false", "--authfile", filepath.Join(home, "auth.json"), "-u", "AWS", "--password-stdin", strings.TrimPrefix(at, "http://"))
}

func TestUnknownActionOfTheService(t *testing.T) {
	t.Parallel()
	at, _, root := endpoint(t)
	_, err := client(at, root).DescribeRepositories(t.Context(), nil)
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Errorf("%v, want an API error", err)
	}
	resp, err := http.Post(at+"/", "application/x-amz-json-1.1", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusBadRequest && resp.StatusCode != http.StatusForbidden {
		t.Errorf("unsigned: %s %s", resp.Status, b)
	}
}

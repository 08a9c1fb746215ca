package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"souk/access/keyring"
	"souk/access/organization"
	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// temporary are credentials in the spelling of the AWS SDK for JavaScript.
type temporary struct {
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
	SessionToken    string `json:"sessionToken,omitempty"`
}

// mint makes credentials of a role with a market's key file, as the market does
// it at another time. So a session can be over without anybody waiting for it.
func mint(t *testing.T, keyFile string, role organization.Role, at time.Time) temporary {
	t.Helper()
	ring, err := keyring.Load(keyFile)
	must(t, err)
	s, err := organization.New(organization.Config{Keyring: ring, Now: func() time.Time { return at }}).
		NewSession(t.Context(), organization.NewSession{Role: role, Name: "minted"})
	must(t, err)
	return temporary{s.Key.ID, s.Key.Secret, s.Token}
}

// refusals are the codes of those who must not get in, by service: that of a
// query service is another than that of a JSON service (STS API Reference,
// Common Errors; Catalog API Reference, Common Error Types).
var refusals = map[string]map[string]string{
	"expired":        {"sts": "ExpiredToken", "catalog": "ExpiredTokenException", "trail": "ExpiredTokenException"},
	"foreign":        {"sts": "InvalidClientTokenId", "catalog": "UnrecognizedClientException", "trail": "UnrecognizedClientException"},
	"another's":      {"sts": "InvalidClientTokenId", "catalog": "UnrecognizedClientException", "trail": "UnrecognizedClientException"},
	"tampered token": {"sts": "InvalidClientTokenId", "catalog": "UnrecognizedClientException", "trail": "UnrecognizedClientException"},
	"no token":       {"sts": "InvalidClientTokenId", "catalog": "UnrecognizedClientException", "trail": "UnrecognizedClientException"},
	"wrong secret":   {"sts": "SignatureDoesNotMatch", "catalog": "InvalidSignatureException", "trail": "InvalidSignatureException"},
}

// sessions is a market with a role and who may assume it.
type sessions struct {
	server *souktest.Server
	user   souktest.Key
	role   organization.Role
	// refused are credentials that are not good, and why.
	refused map[string]temporary
}

func newSessions(t *testing.T) sessions {
	t.Helper()
	server := souktest.Start(t, souktest.Options{})
	account := server.Account(t, "sessions", "sessions")
	identities := iam.New(iam.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL,
		Credentials: credentials.NewStaticCredentialsProvider(account.Key.AccessKeyID, account.Key.SecretAccessKey, ""),
	})
	made, err := identities.CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName: aws.String("publisher"), Path: aws.String("/pipelines/"),
		AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + account.ID + `"},"Action":"sts:AssumeRole"}}`),
	})
	must(t, err)
	_, err = identities.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{
		RoleName: aws.String("publisher"), PolicyName: aws.String("publish"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["aws-marketplace:*","cloudtrail:LookupEvents"],"Resource":"*"}}`),
	})
	must(t, err)
	server.User(t, account.Seller(server), "ci")
	server.Allow(t, account.Seller(server), "ci", "assume", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"`+*made.Role.Arn+`"}}`)
	s := sessions{
		server: server, user: server.Key(t, account.ID, "ci"),
		role: organization.Role{Account: account.ID, Name: "publisher", Path: "/pipelines/", ID: *made.Role.RoleId, MaxSession: 3600},
	}

	ours := filepath.Join(server.Dir, "key")
	// What we mint is good while it lasts: it is refused for its age alone.
	good := mint(t, ours, s.role, time.Now())
	if got := s.codes(t, good); got["sts"] != "allowed" || got["catalog"] != "allowed" || got["trail"] != "allowed" {
		t.Fatalf("a session that was just minted: %v", got)
	}
	foreign := filepath.Join(t.TempDir(), "key")
	_, _, err = keyring.LoadOrCreate(foreign)
	must(t, err)
	mixed := mint(t, ours, s.role, time.Now())
	mixed.SessionToken = good.SessionToken
	s.refused = map[string]temporary{
		"expired":   mint(t, ours, s.role, time.Now().Add(-time.Hour)),
		"foreign":   mint(t, foreign, s.role, time.Now()),
		"another's": mixed,
	}
	return s
}

// codes are what the services say to credentials, asked by the SDK for Go.
func (s sessions) codes(t *testing.T, c temporary) map[string]string {
	t.Helper()
	provider := credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)
	code := func(err error) string {
		if err == nil {
			return "allowed"
		}
		return seller.Code(err)
	}
	_, who := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: &s.server.URL, Credentials: provider}).
		GetCallerIdentity(t.Context(), nil)
	_, sets := marketplacecatalog.New(marketplacecatalog.Options{Region: "us-east-1", BaseEndpoint: &s.server.URL, Credentials: provider}).
		ListChangeSets(t.Context(), &marketplacecatalog.ListChangeSetsInput{Catalog: aws.String(seller.Catalog)})
	_, events := cloudtrail.New(cloudtrail.Options{Region: "us-east-1", BaseEndpoint: &s.server.URL, Credentials: provider}).
		LookupEvents(t.Context(), nil)
	return map[string]string{"sts": code(who), "catalog": code(sets), "trail": code(events)}
}

// TestSessionsThatMustBeRefused by the AWS SDK for Go and the AWS CLI; those
// that are good are in testdata/awscli/roles.txtar.
func TestSessionsThatMustBeRefused(t *testing.T) {
	t.Parallel()
	s := newSessions(t)
	line := souktest.NewAWS(t, t.TempDir())
	var started sync.WaitGroup
	for name, c := range s.refused {
		if got := s.codes(t, c); !maps.Equal(got, refusals[name]) {
			t.Errorf("%s, by the SDK for Go: %v, want %v", name, got, refusals[name])
		}
		for service, command := range map[string][]string{
			"sts":     {"sts", "get-caller-identity"},
			"catalog": {"marketplace-catalog", "list-change-sets", "--catalog", seller.Catalog},
		} {
			started.Go(func() {
				run := line.Command(t.Context(), append([]string{"--endpoint-url", s.server.URL, "--region", "us-east-1"}, command...)...)
				run.Env = append(run.Env, "AWS_ACCESS_KEY_ID="+c.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+c.SecretAccessKey, "AWS_SESSION_TOKEN="+c.SessionToken)
				out, err := run.CombinedOutput()
				if err == nil || !bytes.Contains(out, []byte("("+refusals[name][service]+")")) {
					t.Errorf("%s, by aws %s: %v, want %s\n%s", name, command[0], err, refusals[name][service], out)
				}
			})
		}
	}
	started.Wait()
}

// TestSessionsByJavaScript: a pipeline of the AWS SDK for JavaScript assumes a
// role and publishes with it; see javascript/session.mjs.
func TestSessionsByJavaScript(t *testing.T) {
	t.Parallel()
	for _, need := range []string{"javascript/node_modules/@aws-sdk/client-sts", "javascript/node_modules/@aws-sdk/client-marketplace-catalog", "javascript/node_modules/@aws-sdk/client-cloudtrail"} {
		_, err := os.Stat(need)
		if err != nil {
			t.Fatalf("the AWS SDK for JavaScript is needed (make setup installs it): %v", err)
		}
	}
	s := newSessions(t)
	in, err := json.Marshal(map[string]any{
		"endpoint": s.server.URL, "region": "us-east-1", "role": s.role.ARN(),
		"user": temporary{s.user.AccessKeyID, s.user.SecretAccessKey, ""}, "refused": s.refused,
	})
	must(t, err)
	run := exec.CommandContext(t.Context(), "node", "javascript/session.mjs")
	// It sees nothing of the person who runs the tests, neither ~/.aws nor any login.
	run.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "AWS_EC2_METADATA_DISABLED=true"}
	run.Stdin = bytes.NewReader(in)
	var out, problems bytes.Buffer
	run.Stdout, run.Stderr = &out, &problems
	err = run.Run()
	if err != nil {
		t.Fatalf("node: %v\n%s%s", err, out.Bytes(), problems.Bytes())
	}
	var got struct {
		Assumed   struct{ ARN, Expires string }
		Caller    string
		Published struct {
			Revision, Title, SKU string
			Listed               int
		}
		Recorded []string
		Refused  map[string]map[string]string
	}
	must(t, json.Unmarshal(out.Bytes(), &got))

	arn := "arn:aws:sts::" + s.role.Account + ":assumed-role/publisher/pipeline"
	if got.Assumed.ARN != arn || got.Caller != arn {
		t.Errorf("assumed %s, and GetCallerIdentity says %s; want %s", got.Assumed.ARN, got.Caller, arn)
	}
	expires, err := time.Parse(time.RFC3339, got.Assumed.Expires)
	if left := time.Until(expires); err != nil || left <= 0 || left > 15*time.Minute {
		t.Errorf("the session of 15 minutes ends at %s (%v)", got.Assumed.Expires, err)
	}
	if p := got.Published; p.Revision != "2" || p.Title != `From "JavaScript", with é` || p.SKU != "js-1" || p.Listed != 1 {
		t.Errorf("published: %+v", p)
	}
	if want := []string{arn, arn}; !slices.Equal(got.Recorded, want) {
		t.Errorf("change sets are recorded of %v, want %v", got.Recorded, want)
	}
	for name, want := range refusals {
		if !maps.Equal(got.Refused[name], want) {
			t.Errorf("%s: %v, want %v", name, got.Refused[name], want)
		}
	}
}

// TestPackagesOfJavaScriptComeFromWhereverTheMachineHasThem: the lock file pins
// them by their checksums and names no registry.
func TestPackagesOfJavaScriptComeFromWhereverTheMachineHasThem(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("javascript/package-lock.json")
	must(t, err)
	if bytes.Contains(text, []byte(`"resolved"`)) || regexp.MustCompile(`https?://`).Match(text) {
		t.Error("package-lock.json has addresses; make it with npm install --omit-lockfile-registry-resolved")
	}
	var lock struct {
		Packages map[string]struct{ Version, Integrity, License string }
	}
	must(t, json.Unmarshal(text, &lock))
	for name, p := range lock.Packages {
		if name != "" && (p.Version == "" || !strings.HasPrefix(p.Integrity, "sha512-")) {
			t.Errorf("%s: %+v has no checksum", name, p)
		}
	}
	if len(lock.Packages) < 4 {
		t.Error(fmt.Sprint("packages: ", len(lock.Packages)))
	}
}

package conformance

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// TestRecordsOfPushesAndPulls under TLS: a push by the root user, a pull by a
// session of a role, and one that its policies refuse, are found by
// LookupEvents, with who asked and the connection.
//
// AWS CloudTrail User Guide, "CloudTrail userIdentity element" and "CloudTrail
// record contents", tlsDetails.
func TestRecordsOfPushesAndPulls(t *testing.T) {
	t.Parallel()
	server := souktest.Start(t, souktest.Options{Flags: []string{"--tls-auto"}})
	account := server.Account(t, "Recorded", "recorded")
	client := trusting(t, server)
	config := func(id, secret, token string) aws.Config {
		return aws.Config{Region: "us-east-1", BaseEndpoint: &server.URL, HTTPClient: client, Credentials: credentials.NewStaticCredentialsProvider(id, secret, token)}
	}
	root := config(account.Key.AccessKeyID, account.Key.SecretAccessKey, "")
	s := seller.New(seller.Config{URL: server.URL, HTTP: client, AccessKeyID: account.Key.AccessKeyID, SecretAccessKey: account.Key.SecretAccessKey})
	_, err := s.Limited(t.Context(), "Recorded", "app")
	must(t, err)
	host := strings.TrimPrefix(server.URL, "https://")
	ref, err := name.ParseReference(host + "/recorded/app:1.0")
	must(t, err)
	image, err := random.Image(256, 1)
	must(t, err)
	transport := remote.WithTransport(client.Transport.(*http.Transport))
	must(t, remote.Write(ref, image, transport, remote.WithContext(t.Context()),
		remote.WithAuth(&authn.Basic{Username: account.Key.AccessKeyID, Password: account.Key.SecretAccessKey})))

	// A user may assume a role that may pull; another role may not.
	identities := iam.NewFromConfig(root)
	_, err = identities.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("ci")})
	must(t, err)
	_, err = identities.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: aws.String("ci"), PolicyName: aws.String("assume"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}}`)})
	must(t, err)
	key, err := identities.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("ci")})
	must(t, err)
	user := config(*key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey, "")
	ids := map[string]string{}
	for role, actions := range map[string]string{"puller": `["ecr:GetAuthorizationToken","ecr:BatchGetImage"]`, "stranger": `["ecr:GetAuthorizationToken"]`} {
		made, err := identities.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &role, AssumeRolePolicyDocument: aws.String(
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + account.ID + `"},"Action":"sts:AssumeRole"}}`)})
		must(t, err)
		ids[role] = *made.Role.RoleId
		_, err = identities.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &role, PolicyName: aws.String("pull"),
			PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":` + actions + `,"Resource":"*"}}`)})
		must(t, err)
		session, err := sts.NewFromConfig(user).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: made.Role.Arn, RoleSessionName: aws.String("job-7")})
		must(t, err)
		c := session.Credentials
		login, err := ecr.NewFromConfig(config(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)).GetAuthorizationToken(t.Context(), nil)
		must(t, err)
		_, err = remote.Get(ref, transport, remote.WithContext(t.Context()),
			remote.WithAuth(authn.FromConfig(authn.AuthConfig{Auth: *login.AuthorizationData[0].AuthorizationToken})))
		if (err == nil) != (role == "puller") {
			t.Errorf("a pull by %s: %v", role, err)
		}
	}

	type found struct {
		EventSource, ErrorCode, ErrorMessage string
		UserIdentity                         struct {
			Type, PrincipalID, Arn, AccountID string
			SessionContext                    struct {
				SessionIssuer struct{ Type, PrincipalID, Arn, AccountID, UserName string }
				Attributes    struct{ CreationDate, MFAAuthenticated string }
			}
		}
		RequestParameters struct{ RegistryID, RepositoryName, ImageTag string }
		TLSDetails        struct{ TLSVersion, CipherSuite, ClientProvidedHostHeader string }
	}
	lookUp := func(event string) (all []found) {
		t.Helper()
		out, err := cloudtrail.NewFromConfig(root, func(o *cloudtrail.Options) { o.RetryMaxAttempts = 10 }).LookupEvents(t.Context(), &cloudtrail.LookupEventsInput{
			LookupAttributes: []types.LookupAttribute{{AttributeKey: types.LookupAttributeKeyEventName, AttributeValue: &event}},
		})
		must(t, err)
		for _, e := range out.Events {
			var f found
			must(t, json.Unmarshal([]byte(*e.CloudTrailEvent), &f))
			if f.EventSource != "ecr.amazonaws.com" || f.TLSDetails.TLSVersion != "TLSv1.3" || f.TLSDetails.ClientProvidedHostHeader != host || !strings.HasPrefix(f.TLSDetails.CipherSuite, "TLS_") {
				t.Errorf("%s came by %+v to %s", event, f.TLSDetails, f.EventSource)
			}
			all = append(all, f)
		}
		return all
	}
	pushed := lookUp("PutImage")
	if len(pushed) != 1 || pushed[0].UserIdentity.Type != "Root" || pushed[0].RequestParameters.ImageTag != "1.0" || pushed[0].RequestParameters.RepositoryName != "recorded/app" || pushed[0].RequestParameters.RegistryID != account.ID {
		t.Errorf("pushes %+v", pushed)
	}
	pulls := map[string]found{} // by the role of their session
	for _, f := range lookUp("BatchGetImage") {
		issuer := f.UserIdentity.SessionContext.SessionIssuer
		if f.UserIdentity.Type != "AssumedRole" {
			continue // the push asked what is there
		}
		pulls[issuer.UserName] = f
		if issuer.Type != "Role" || issuer.PrincipalID != ids[issuer.UserName] || issuer.AccountID != account.ID || issuer.Arn != "arn:aws:iam::"+account.ID+":role/"+issuer.UserName ||
			f.UserIdentity.Arn != "arn:aws:sts::"+account.ID+":assumed-role/"+issuer.UserName+"/job-7" || f.UserIdentity.PrincipalID != issuer.PrincipalID+":job-7" ||
			f.UserIdentity.SessionContext.Attributes.CreationDate == "" || f.UserIdentity.SessionContext.Attributes.MFAAuthenticated != "false" {
			t.Errorf("a pull by %+v", f.UserIdentity)
		}
	}
	if f, ok := pulls["puller"]; !ok || f.ErrorCode != "" {
		t.Errorf("the pull that was allowed: %+v", f)
	}
	if f := pulls["stranger"]; f.ErrorCode != "AccessDeniedException" || !strings.Contains(f.ErrorMessage, "ecr:BatchGetImage") {
		t.Errorf("the pull that was refused: %+v", f)
	}
}

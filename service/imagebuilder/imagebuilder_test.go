package imagebuilder_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsbuilder "github.com/aws/aws-sdk-go-v2/service/imagebuilder"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder/types"
	"github.com/aws/smithy-go"

	"souk/access/keyring"
	"souk/access/organization"
	"souk/artifact/component"
	"souk/artifact/registry"
	"souk/artifact/registry/registrytest"
	"souk/gateway"
	"souk/service/imagebuilder"
	"souk/storage/store/sqlite/sqlitetest"
)

// market is a gateway with this one service, and the organisation behind it.
type market struct {
	at           string
	organization *organization.Organization
	root         organization.Key
	inUse        *string // what names every component
}

func newMarket(t *testing.T) *market {
	t.Helper()
	ctx := t.Context()
	engine := sqlitetest.Open(t)
	ring := keyring.New([32]byte{1})
	o := organization.New(organization.Config{Store: engine, Keyring: ring})
	m := &market{organization: o, root: o.NewKey(), inUse: new(string)}
	if _, err := o.Bootstrap(ctx, "", m.root); err != nil {
		t.Fatal(err)
	}
	r := registrytest.Serve(t, engine, func(c *registry.Config) { c.Credentials, c.Keyring = o.LookupSession, ring })
	components, err := component.New(component.Config{
		Store: engine, Registry: r.Registry, Keys: keyring.New([32]byte{1}),
		Parse: func(text string) (component.Document, error) {
			if strings.HasPrefix(text, "bad") {
				return component.Document{}, errors.New("line 1: action S3Download is not offered")
			}
			region := "eu-west-1"
			return component.Document{Phases: []string{"build", "test"}, Parameters: []component.Parameter{{Name: "region", Type: "string", Default: &region}}}, nil
		},
		InUse:  func(context.Context, component.Component) (string, error) { return *m.inUse, nil },
		Limits: component.Limits{Builds: 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	service, err := imagebuilder.Service(components)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Config{Services: []*gateway.Service{service}, Credentials: o})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	m.at = server.URL
	return m
}

func (m *market) client(k organization.Key, region string) *awsbuilder.Client {
	return awsbuilder.New(awsbuilder.Options{
		Region: region, BaseEndpoint: aws.String(m.at), Retryer: aws.NopRetryer{}, Credentials: credentials.NewStaticCredentialsProvider(k.ID, k.Secret, ""),
	})
}

// user makes a user of the management account with a policy.
func (m *market) user(t *testing.T, name, policy string) organization.Key {
	t.Helper()
	ctx := t.Context()
	const account = organization.DefaultAccount
	_, err := m.organization.CreateUser(ctx, account, name)
	if err == nil {
		err = m.organization.PutInline(ctx, organization.Holder{Kind: organization.OfUser, Account: account, Name: name}, organization.Policy{Name: "p", Document: policy})
	}
	if err != nil {
		t.Fatal(err)
	}
	k, err := m.organization.CreateKey(ctx, account, name)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func tool(token string) *awsbuilder.CreateComponentInput {
	return &awsbuilder.CreateComponentInput{
		Name: aws.String("MyExampleComponent"), SemanticVersion: aws.String("2019.12.2"), Platform: types.PlatformLinux, Data: aws.String("schemaVersion: 1.0"),
		Description: aws.String("This is an example component that builds, validates, and tests an image"), ChangeDescription: aws.String("Initial version."),
		SupportedOsVersions: []string{"Debian 13"}, ClientToken: aws.String(token), Tags: map[string]string{"team": "blue"},
	}
}

// refused fails the test if an error is not one of a code and an HTTP status, or
// says something else.
func refused(t *testing.T, what string, err error, code, says string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), says) {
		t.Errorf("%s: %v, want %s with %q", what, err, code, says)
	}
}

const arn = "arn:aws:imagebuilder:us-east-1:" + organization.DefaultAccount + ":component/myexamplecomponent/2019.12.2/1"

func TestAComponentIsMadeShownListedAndDeleted(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	c, ctx := m.client(m.root, "us-east-1"), t.Context()
	made, err := c.CreateComponent(ctx, tool("t"))
	if err != nil {
		t.Fatal(err)
	}
	if *made.ComponentBuildVersionArn != arn || *made.ClientToken != "t" || *made.RequestId == "" {
		t.Errorf("made %+v", made)
	}
	again, err := c.CreateComponent(ctx, tool("t"))
	if err != nil || *again.ComponentBuildVersionArn != arn {
		t.Errorf("the same request again: %+v, %v", again, err)
	}
	if v := made.LatestVersionReferences; *v.LatestVersionArn != strings.Replace(arn, "2019.12.2/1", "x.x.x", 1) || *v.LatestPatchVersionArn != strings.TrimSuffix(arn, "/1") ||
		*v.LatestMinorVersionArn != strings.Replace(arn, "2/1", "x", 1) || *v.LatestMajorVersionArn != strings.Replace(arn, "12.2/1", "x.x", 1) {
		t.Errorf("references: %s %s %s %s", *v.LatestVersionArn, *v.LatestMajorVersionArn, *v.LatestMinorVersionArn, *v.LatestPatchVersionArn)
	}
	for _, name := range []string{arn, strings.TrimSuffix(arn, "/1"), *made.LatestVersionReferences.LatestVersionArn} {
		got, err := c.GetComponent(ctx, &awsbuilder.GetComponentInput{ComponentBuildVersionArn: aws.String(name)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		is := got.Component
		if *is.Arn != arn || *is.Name != "MyExampleComponent" || *is.Data != "schemaVersion: 1.0" || is.Type != types.ComponentTypeBuild || is.State.Status != types.ComponentStatusActive ||
			*is.Owner != organization.DefaultAccount || is.Tags["team"] != "blue" || is.Parameters[0].DefaultValue[0] != "eu-west-1" || !slices.Equal(is.SupportedOsVersions, []string{"Debian 13"}) {
			t.Errorf("%s is %+v", name, is)
		}
	}
	listed, err := c.ListComponents(ctx, &awsbuilder.ListComponentsInput{Owner: types.OwnershipSelf})
	if err != nil || len(listed.ComponentVersionList) != 1 || *listed.ComponentVersionList[0].Arn != strings.TrimSuffix(arn, "/1") {
		t.Errorf("listed %+v, %v", listed, err)
	}
	mended := tool("t2")
	mended.Data = aws.String("schemaVersion: 1.0 # mended")
	if _, err := c.CreateComponent(ctx, mended); err != nil {
		t.Fatal(err)
	}
	pages := awsbuilder.NewListComponentBuildVersionsPaginator(c, &awsbuilder.ListComponentBuildVersionsInput{ComponentVersionArn: aws.String(strings.TrimSuffix(arn, "/1")), MaxResults: aws.Int32(1)})
	var builds []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range page.ComponentSummaryList {
			builds = append(builds, *b.Arn)
		}
	}
	if !slices.Equal(builds, []string{arn, strings.TrimSuffix(arn, "1") + "2"}) {
		t.Errorf("builds %q", builds)
	}
	deleted, err := c.DeleteComponent(ctx, &awsbuilder.DeleteComponentInput{ComponentBuildVersionArn: aws.String(arn)})
	if err != nil || *deleted.ComponentBuildVersionArn != arn {
		t.Errorf("deleted %+v, %v", deleted, err)
	}
	_, err = c.GetComponent(ctx, &awsbuilder.GetComponentInput{ComponentBuildVersionArn: aws.String(arn)})
	refused(t, "one that is gone", err, "ResourceNotFoundException", arn)
}

func TestFiltersKeepWhatHasOneOfTheirValues(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	c, ctx := m.client(m.root, "us-east-1"), t.Context()
	for i, version := range []string{"1.0.0", "1.2.0", "2.0.0"} {
		n := tool("t" + version)
		n.Name, n.SemanticVersion = aws.String([]string{"One", "One", "Two"}[i]), aws.String(version)
		if _, err := c.CreateComponent(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name   string
		values []string
		want   []string
	}{
		{"name", []string{"One"}, []string{"1.0.0", "1.2.0"}},
		{"name", []string{"one"}, nil},
		{"version", []string{"1.x.x", "2.0.0"}, []string{"1.0.0", "1.2.0", "2.0.0"}},
		{"version", []string{"1.0.0"}, []string{"1.0.0"}},
		{"platform", []string{"Windows"}, nil},
		{"supportedOsVersion", []string{"Debian 13"}, []string{"1.0.0", "1.2.0", "2.0.0"}},
		{"type", []string{"TEST"}, nil},
	} {
		pages := awsbuilder.NewListComponentsPaginator(c, &awsbuilder.ListComponentsInput{
			Filters: []types.Filter{{Name: aws.String(test.name), Values: test.values}}, MaxResults: aws.Int32(2), ByName: true,
		})
		var got []string
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range page.ComponentVersionList {
				got = append(got, *v.Version)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s %q: %q, want %q", test.name, test.values, got, test.want)
		}
	}
	for _, owner := range []types.Ownership{types.OwnershipAmazon, types.OwnershipShared, types.OwnershipThirdparty} {
		if page, err := c.ListComponents(ctx, &awsbuilder.ListComponentsInput{Owner: owner}); err != nil || len(page.ComponentVersionList) > 0 {
			t.Errorf("components of %s: %+v, %v", owner, page, err)
		}
	}
	_, err := c.ListComponents(ctx, &awsbuilder.ListComponentsInput{Filters: []types.Filter{{Name: aws.String("colour"), Values: []string{"blue"}}}})
	refused(t, "an unknown filter", err, "InvalidParameterValueException", "colour")
	_, err = c.ListComponents(ctx, &awsbuilder.ListComponentsInput{NextToken: aws.String("nonsense")})
	refused(t, "a token of nowhere", err, "InvalidPaginationTokenException", "")
	first, err := c.ListComponents(ctx, &awsbuilder.ListComponentsInput{MaxResults: aws.Int32(1)})
	if err != nil || first.NextToken == nil {
		t.Fatalf("a page of one: %+v, %v", first, err)
	}
	_, err = c.ListComponents(ctx, &awsbuilder.ListComponentsInput{NextToken: first.NextToken, Filters: []types.Filter{{Name: aws.String("name"), Values: []string{"one"}}}})
	refused(t, "a token of another list", err, "InvalidPaginationTokenException", "")
	_, err = m.client(m.root, "eu-west-1").ListComponents(ctx, &awsbuilder.ListComponentsInput{NextToken: first.NextToken})
	refused(t, "a token of another region", err, "InvalidPaginationTokenException", "")
	_, err = c.ListComponentBuildVersions(ctx, &awsbuilder.ListComponentBuildVersionsInput{ComponentVersionArn: aws.String("arn:aws:imagebuilder:us-east-1:" + organization.DefaultAccount + ":component/one/1.0.0"), NextToken: aws.String("-1")})
	refused(t, "a token of nowhere", err, "InvalidPaginationTokenException", "")
}

func TestWhatIsWrongWithARequestIsSaidByItsException(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	c, ctx := m.client(m.root, "us-east-1"), t.Context()
	if _, err := c.CreateComponent(ctx, tool("t")); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(n *awsbuilder.CreateComponentInput)
		code   string
		says   string
	}{
		"the same content under another token": {func(n *awsbuilder.CreateComponentInput) {}, "ResourceAlreadyExistsException", arn},
		"the token with another request": {func(n *awsbuilder.CreateComponentInput) {
			n.ClientToken, n.Description = aws.String("t"), aws.String("x")
		}, "IdempotentParameterMismatchException", ""},
		"a version with two numbers": {func(n *awsbuilder.CreateComponentInput) { n.SemanticVersion = aws.String("1.0") }, "InvalidVersionNumberException", "1.0"},
		"a name with a slash":        {func(n *awsbuilder.CreateComponentInput) { n.Name = aws.String("a/b") }, "InvalidParameterValueException", "name"},
		"a bad document":             {func(n *awsbuilder.CreateComponentInput) { n.Data = aws.String("bad") }, "InvalidParameterValueException", "S3Download is not offered"},
		"no document":                {func(n *awsbuilder.CreateComponentInput) { n.Data = nil }, "InvalidParameterCombinationException", "data"},
		"a document and a URI":       {func(n *awsbuilder.CreateComponentInput) { n.Uri = aws.String("s3://a/b") }, "InvalidParameterCombinationException", "uri"},
		"a URI":                      {func(n *awsbuilder.CreateComponentInput) { n.Data, n.Uri = nil, aws.String("s3://a/b") }, "InvalidRequestException", "S3"},
		"Windows":                    {func(n *awsbuilder.CreateComponentInput) { n.Platform = types.PlatformWindows }, "InvalidRequestException", "Windows"},
		"another platform":           {func(n *awsbuilder.CreateComponentInput) { n.Platform = "BeOS" }, "InvalidParameterValueException", "platform"},
		"a key of KMS":               {func(n *awsbuilder.CreateComponentInput) { n.KmsKeyId = aws.String("k") }, "InvalidRequestException", "KMS"},
		"a reserved tag":             {func(n *awsbuilder.CreateComponentInput) { n.Tags["aws:x"] = "y" }, "InvalidParameterValueException", "aws:x"},
		"files that are not there":   {func(n *awsbuilder.CreateComponentInput) { n.Tags["souk:files"] = "acme/ami:x" }, "InvalidParameterValueException", "acme/ami"},
		"a dry run":                  {func(n *awsbuilder.CreateComponentInput) { n.DryRun, n.SemanticVersion = true, aws.String("3.0.0") }, "DryRunOperationException", ""},
	} {
		n := tool("another " + name)
		n.Tags = map[string]string{"team": "blue"}
		test.change(n)
		_, err := c.CreateComponent(ctx, n)
		refused(t, name, err, test.code, test.says)
	}
	second := tool("second")
	second.Description = aws.String("second")
	if _, err := c.CreateComponent(ctx, second); err != nil {
		t.Fatal(err)
	}
	third := tool("third")
	third.Description = aws.String("third")
	_, err := c.CreateComponent(ctx, third)
	refused(t, "one build too many", err, "ServiceQuotaExceededException", "at most 2 builds")
	*m.inUse = "version 1.0 of prod-x"
	_, err = c.DeleteComponent(ctx, &awsbuilder.DeleteComponentInput{ComponentBuildVersionArn: aws.String(arn)})
	refused(t, "one in use", err, "ResourceDependencyException", "version 1.0 of prod-x")
	_, err = c.GetComponent(ctx, &awsbuilder.GetComponentInput{ComponentBuildVersionArn: aws.String("arn:aws:s3:::x")})
	refused(t, "an ARN of another service", err, "InvalidParameterValueException", "componentBuildVersionArn")
	_, err = m.client(m.root, "eu-west-1").GetComponent(ctx, &awsbuilder.GetComponentInput{ComponentBuildVersionArn: aws.String(arn)})
	refused(t, "from another region", err, "ResourceNotFoundException", arn)
	_, err = c.GetComponent(ctx, &awsbuilder.GetComponentInput{ComponentBuildVersionArn: aws.String(strings.Replace(arn, organization.DefaultAccount, "999999999999", 1))})
	refused(t, "of another account, as root", err, "AccessDeniedException", "")
}

func TestPoliciesDecideByResourceAndTags(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	ctx := t.Context()
	if _, err := m.client(m.root, "us-east-1").CreateComponent(ctx, tool("t")); err != nil {
		t.Fatal(err)
	}
	get := &awsbuilder.GetComponentInput{ComponentBuildVersionArn: aws.String(arn)}
	for name, test := range map[string]struct {
		statement   string
		get, create bool
	}{
		"nothing":            {`{"Effect":"Allow","Action":"sts:*","Resource":"*"}`, false, false},
		"this-component":     {`{"Effect":"Allow","Action":"imagebuilder:GetComponent","Resource":"arn:aws:imagebuilder:us-east-1:*:component/myexamplecomponent/*"}`, true, false},
		"another-component":  {`{"Effect":"Allow","Action":"imagebuilder:*","Resource":"arn:aws:imagebuilder:us-east-1:*:component/other/*"}`, false, false},
		"blue-ones":          {`{"Effect":"Allow","Action":"imagebuilder:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"blue"}}}`, true, false},
		"red-ones":           {`{"Effect":"Allow","Action":"imagebuilder:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"red"}}}`, false, false},
		"create-blue-ones":   {`{"Effect":"Allow","Action":["imagebuilder:CreateComponent","imagebuilder:TagResource"],"Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/team":"blue"}}}`, false, true},
		"create-without-tag": {`{"Effect":"Allow","Action":"imagebuilder:CreateComponent","Resource":"*"}`, false, false},
	} {
		c := m.client(m.user(t, name, `{"Version":"2012-10-17","Statement":`+test.statement+`}`), "us-east-1")
		_, err := c.GetComponent(ctx, get)
		if test.get && err != nil {
			t.Errorf("%s: GetComponent: %v", name, err)
		} else if !test.get {
			refused(t, name+": GetComponent", err, "AccessDeniedException", "imagebuilder:GetComponent")
		}
		n := tool(name)
		n.Name = aws.String("made by " + name)
		_, err = c.CreateComponent(ctx, n)
		if test.create && err != nil {
			t.Errorf("%s: CreateComponent: %v", name, err)
		} else if !test.create {
			refused(t, name+": CreateComponent", err, "AccessDeniedException", "imagebuilder:")
		}
	}
}

// TestTheAWSCommandLineUnderstandsTheService: its own model of the service reads
// what is answered.
func TestTheAWSCommandLineUnderstandsTheService(t *testing.T) {
	t.Parallel()
	cli, err := exec.LookPath("aws")
	if err != nil {
		t.Fatal("the AWS CLI is needed: apt-get install awscli")
	}
	m := newMarket(t)
	home := t.TempDir()
	run := func(into any, args ...string) (stderr string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), cli, append([]string{"--endpoint-url", m.at, "--region", "us-east-1", "--output", "json", "imagebuilder"}, args...)...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "AWS_ACCESS_KEY_ID=" + m.root.ID, "AWS_SECRET_ACCESS_KEY=" + m.root.Secret, "AWS_EC2_METADATA_DISABLED=true"}
		var out, errors bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errors
		err := cmd.Run()
		if err == nil {
			err = json.Unmarshal(out.Bytes(), into)
		}
		if err != nil && into != nil {
			t.Fatalf("aws imagebuilder %s: %v\n%s", args[0], err, errors.String())
		}
		return errors.String()
	}
	create := []string{"create-component", "--name", "MyExampleComponent", "--semantic-version", "2019.12.2", "--platform", "Linux", "--data", "schemaVersion: 1.0", "--supported-os-versions", "Debian 13"}
	var made struct{ ComponentBuildVersionArn string }
	run(&made, create...)
	if made.ComponentBuildVersionArn != arn {
		t.Errorf("made %s", made.ComponentBuildVersionArn)
	}
	if text := run(nil, create...); !strings.Contains(text, "(ResourceAlreadyExistsException)") || !strings.Contains(text, arn) {
		t.Errorf("made twice: %s", text)
	}
	var got struct {
		Component struct{ Name, Data, DateCreated string }
	}
	run(&got, "get-component", "--component-build-version-arn", arn)
	if got.Component.Name != "MyExampleComponent" || got.Component.Data != "schemaVersion: 1.0" {
		t.Errorf("got %+v", got)
	}
	var listed struct{ ComponentVersionList []struct{ Arn string } }
	run(&listed, "list-components", "--owner", "Self", "--filters", "name=name,values=MyExampleComponent")
	if len(listed.ComponentVersionList) != 1 {
		t.Errorf("listed %+v", listed)
	}
	var builds struct{ ComponentSummaryList []struct{ Arn string } }
	run(&builds, "list-component-build-versions", "--component-version-arn", strings.TrimSuffix(arn, "/1"))
	if len(builds.ComponentSummaryList) != 1 || builds.ComponentSummaryList[0].Arn != arn {
		t.Errorf("builds %+v", builds)
	}
	var deleted struct{ ComponentBuildVersionArn string }
	run(&deleted, "delete-component", "--component-build-version-arn", arn)
	if deleted.ComponentBuildVersionArn != arn {
		t.Errorf("deleted %+v", deleted)
	}
}

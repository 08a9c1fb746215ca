package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder/types"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"souk/conformance/seller"
	"souk/spec"
)

// tooLarge says of a sample that it needs 3 GiB of files, which nobody pushes
// for a test.
func tooLarge(s spec.Sample) bool { return strings.Contains(string(s.Details), ":component/large/") }

// componentNames finds the components that samples name.
var componentNames = regexp.MustCompile(`:component/([a-z0-9-]+)/([0-9.]+)`)

// components makes the components that samples of a state, and the way to it,
// name: catalog/amiproduct/testdata/README.md lists those that are special. The
// texts are the documents of their requests.
func (p *rowProduct) components(t *testing.T, texts string) {
	t.Helper()
	p.values["failure"] = scanned
	builder := p.builder()
	for _, m := range slices.Compact(slices.Sorted(slices.Values(componentNames.FindAllString(texts, -1)))) {
		found := componentNames.FindStringSubmatch(m)
		p.component(t, builder, found[1], found[2])
	}
	if strings.Contains(texts, "role/BarredIngestion") {
		p.barredRole(t)
	}
	if strings.Contains(texts, ":component/elsewhere/") {
		p.elsewhere(t)
	}
}

func (p *rowProduct) builder() *imagebuilder.Client {
	return imagebuilder.New(imagebuilder.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(p.URL), HTTPClient: p.HTTP, RetryMaxAttempts: 10,
		Credentials: credentials.NewStaticCredentialsProvider(p.AccessKeyID, p.SecretAccessKey, ""),
	})
}

// component makes one, with a file of its own.
func (p *rowProduct) component(t *testing.T, builder *imagebuilder.Client, slug, version string) {
	t.Helper()
	if slug == "missing" {
		return
	}
	ctx := t.Context()
	_, repository, _ := strings.Cut(p.souk(t, "image", "repository"), "/")
	tag := "files-" + slug + "-" + version
	image, err := seller.ImageOf(map[string]string{"tool": slug + " " + version})
	must(t, err)
	must(t, p.Push(ctx, repository, tag, image))
	phase, script, parameter, n := "build", "test -f /etc/os-release", "{type: string, default: eu-west-1}", &imagebuilder.CreateComponentInput{
		Name: aws.String(strings.ToUpper(slug[:1]) + slug[1:]), SemanticVersion: aws.String(version), Platform: types.PlatformLinux, Description: aws.String("A tool."),
		SupportedOsVersions: []string{"Debian 13"}, Tags: map[string]string{"souk:files": repository + ":" + tag},
	}
	switch slug {
	case "undescribed":
		n.Description = nil
	case "systemless":
		n.SupportedOsVersions = nil
	case "incompatible":
		n.SupportedOsVersions = []string{"Ubuntu 22"}
	case "parameterised":
		parameter = "{type: string}"
	case "testonly":
		phase = "test"
	case "failing":
		script = "exit 1"
	}
	n.Data = aws.String(fmt.Sprintf("schemaVersion: 1.0\nparameters:\n  - token: %s\nphases:\n  - name: %s\n    steps:\n      - name: Step\n        action: ExecuteBash\n        inputs: {commands: ['%s']}\n", parameter, phase, script))
	made, err := builder.CreateComponent(ctx, n)
	must(t, err)
	if want := ":component/" + slug + "/" + version + "/1"; !strings.HasSuffix(*made.ComponentBuildVersionArn, want) {
		t.Fatalf("made %s, want %s", *made.ComponentBuildVersionArn, want)
	}
	if slug != "unreadable" {
		return
	}
	digest, err := image.Digest()
	must(t, err)
	ref, err := name.ParseReference(p.Host()+"/"+repository+"@"+digest.String(), name.Insecure)
	must(t, err)
	must(t, remote.Delete(ref, p.Remote(ctx)...))
}

// barredRole makes the role that the marketplace may assume and that allows nothing.
func (p *rowProduct) barredRole(t *testing.T) {
	t.Helper()
	identities := iam.New(iam.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(p.URL), HTTPClient: p.HTTP, RetryMaxAttempts: 10,
		Credentials: credentials.NewStaticCredentialsProvider(p.AccessKeyID, p.SecretAccessKey, ""),
	})
	_, err := identities.CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName:                 aws.String("BarredIngestion"),
		AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"assets.marketplace.amazonaws.com"},"Action":"sts:AssumeRole"}}`),
	})
	must(t, err)
}

// elsewhere makes another product of the seller, with the component of that name.
func (p *rowProduct) elsewhere(t *testing.T) {
	t.Helper()
	q := &rowProduct{Seller: p.Seller, entity: p.entity, setups: p.setups, values: maps.Clone(p.values)}
	q.reach(t, "versioned")
	status, body := q.change(t, "AddDeliveryOptions", json.RawMessage(`{"Version":{"VersionTitle":"2.0","ReleaseNotes":"New."},"DeliveryOptions":[{"Details":{"Ec2ImageBuilderComponentDeliveryOptionDetails":{
		"UsageInstructions":"Start a build.","AccessRoleArn":"arn:aws:iam::111122223333:role/Ingestion","ComponentArn":"arn:aws:imagebuilder:us-east-1:`+p.values["account"]+`:component/elsewhere/1.0.0/1"}}}]}`))
	if status != 200 {
		t.Fatalf("adding a component to another product: %d %s", status, body)
	}
	set, err := p.Wait(t.Context(), startedID(t, body))
	must(t, err)
	if set.Status != "SUCCEEDED" {
		t.Fatalf("adding a component to another product is %s: %s", set.Status, seller.Refusals(set))
	}
}

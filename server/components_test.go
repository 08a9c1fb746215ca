package server

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"souk/access/organization"
	"souk/artifact/component"
	"souk/artifact/images"
	"souk/artifact/installer"
	"souk/artifact/installer/installertest"
	"souk/catalog/change"
)

// shop is a server with machines, and a seller at its door.
type shop struct {
	*Server
	t       *testing.T
	catalog *marketplacecatalog.Client
	key     authn.Basic
}

const shopkeeper = organization.DefaultAccount

// open starts one. Without machines it has none.
func open(t *testing.T, machines bool) *shop {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "souk-data")
	s, err := New(t.Context(), Config{Place: Place{Data: dir}, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	c := installer.Config{Folder: filepath.Join(dir, "trying")}
	if machines {
		c.Machines = installertest.Machines(t, t.TempDir())
	}
	s.market.installer, err = installer.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("stopping the server: %v", err)
		}
	})
	k, err := ReadCredentials(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &shop{s, t, marketplacecatalog.New(marketplacecatalog.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.URL()), Credentials: credentials.NewStaticCredentialsProvider(k.AccessKeyID, k.SecretAccessKey, ""),
	}), authn.Basic{Username: k.AccessKeyID, Password: k.SecretAccessKey}}
}

// push pushes a layer as an image into the seller's repository of AMIs.
func (s *shop) push(tag string, layer []byte) (repository, digest string) {
	s.t.Helper()
	repository, err := s.market.imageRepository(s.t.Context(), shopkeeper)
	if err != nil {
		s.t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer)), nil }, tarball.WithCompressedCaching)
	if err != nil {
		s.t.Fatal(err)
	}
	i, err := mutate.AppendLayers(empty.Image, l)
	if err == nil {
		i, err = mutate.ConfigFile(i, &v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: config(s.t, i).RootFS})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	ref, err := name.ParseReference(strings.TrimPrefix(s.URL(), "http://")+"/"+repository+":"+tag, name.Insecure)
	if err == nil {
		err = remote.Write(ref, i, remote.WithAuth(&s.key))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	d, err := i.Digest()
	if err != nil {
		s.t.Fatal(err)
	}
	return repository, d.String()
}

func config(t *testing.T, i v1.Image) *v1.ConfigFile {
	t.Helper()
	c, err := i.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// publicAMI makes a public AMI of the busybox that installertest has.
func (s *shop) publicAMI() {
	s.t.Helper()
	repository, digest := s.push("base", installertest.Base(s.t))
	ami, err := s.market.images.Register(s.t.Context(), images.Registration{Account: shopkeeper, Name: "busybox", Repository: repository, Digest: digest})
	if err == nil {
		public := true
		_, err = s.market.images.Modify(s.t.Context(), images.Modification{Account: shopkeeper, ID: ami.ID, Public: &public})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// component makes one whose files have a file "tool".
func (s *shop) component(named, system, document string) component.Component {
	s.t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	content := "the tool"
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "tool", Mode: 0o644, Size: int64(len(content))})
	if err == nil {
		_, err = io.WriteString(w, content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	repository, _ := s.push("files", b.Bytes())
	c, err := s.market.components.Create(s.t.Context(), component.NewComponent{
		Account: shopkeeper, Region: "us-east-1", Name: named, Version: "1.0.0", Description: "A tool.", SupportedOS: []string{system},
		Document: document, Tags: map[string]string{component.FilesTag: repository + ":files"},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// set runs a change set to its end.
func (s *shop) set(changes ...types.Change) *marketplacecatalog.DescribeChangeSetOutput {
	s.t.Helper()
	started, err := s.catalog.StartChangeSet(s.t.Context(), &marketplacecatalog.StartChangeSetInput{Catalog: aws.String("AWSMarketplace"), ChangeSet: changes})
	if err != nil {
		s.t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		set, err := s.catalog.DescribeChangeSet(s.t.Context(), &marketplacecatalog.DescribeChangeSetInput{Catalog: aws.String("AWSMarketplace"), ChangeSetId: started.ChangeSetId})
		if err != nil {
			s.t.Fatal(err)
		}
		if set.Status != types.ChangeStatusPreparing && set.Status != types.ChangeStatusApplying {
			return set
		}
		select {
		case <-tick.C:
		case <-s.t.Context().Done():
			s.t.Fatal(s.t.Context().Err())
		}
	}
}

func (s *shop) change(product, changeType, details string) types.Change {
	entity := &types.Entity{Type: aws.String("AmiProduct@1.0")}
	if product != "" {
		entity.Identifier = aws.String(product)
	}
	return types.Change{ChangeType: aws.String(changeType), Entity: entity, Details: aws.String(details)}
}

// product makes a product without versions.
func (s *shop) product() string {
	s.t.Helper()
	made := s.set(s.change("", "CreateProduct", `{"ProductTitle":"Tool"}`))
	if made.Status != types.ChangeStatusSucceeded {
		s.t.Fatalf("no product: %+v", made)
	}
	id, _, _ := strings.Cut(*made.ChangeSet[0].Entity.Identifier, "@")
	return id
}

// add adds a version with a component.
func (s *shop) add(product, title, arn string) *marketplacecatalog.DescribeChangeSetOutput {
	s.t.Helper()
	return s.set(s.change(product, "AddDeliveryOptions", fmt.Sprintf(`{"Version":{"VersionTitle":%q,"ReleaseNotes":"New."},"DeliveryOptions":[{"DeliveryOptionTitle":"Tool",
		"Details":{"Ec2ImageBuilderComponentDeliveryOptionDetails":{"UsageInstructions":"Start a build.","AccessRoleArn":"arn:aws:iam::%s:role/Ingestion","ComponentArn":%q}}}]}`, title, shopkeeper, arn)))
}

// failed returns the one error of a set that failed.
func failed(t *testing.T, set *marketplacecatalog.DescribeChangeSetOutput, code string) (message string) {
	t.Helper()
	if set.Status != types.ChangeStatusFailed || len(set.ChangeSet[0].ErrorDetailList) != 1 || *set.ChangeSet[0].ErrorDetailList[0].ErrorCode != code {
		t.Fatalf("%s %s, want one %s", set.Status, aws.ToString(set.FailureDescription), code)
	}
	return *set.ChangeSet[0].ErrorDetailList[0].ErrorMessage
}

func TestAComponentIsTriedAndListedWithItsFulfillmentOption(t *testing.T) {
	t.Parallel()
	s := open(t, true)
	s.publicAMI()
	installs := installertest.Document("build", "cp {{ souk.files }}/tool /opt/tool", "validate", "test -f /opt/tool", "test", "test -f /opt/tool")
	c := s.component("Good Tool", "Busybox 1", installs)
	product := s.product()
	if set := s.add(product, "1.0", c.ARN); set.Status != types.ChangeStatusSucceeded {
		t.Fatalf("%s %s: %+v", set.Status, aws.ToString(set.FailureDescription), set.ChangeSet[0].ErrorDetailList)
	}
	described, err := s.catalog.DescribeEntity(t.Context(), &marketplacecatalog.DescribeEntityInput{Catalog: aws.String("AWSMarketplace"), EntityId: aws.String(product)})
	if err != nil {
		t.Fatal(err)
	}
	var shown struct {
		Versions []struct {
			Sources         []struct{ Type, ComponentArn string }
			DeliveryOptions []struct{ Id, Type, Title, FulfillmentOptionId string }
		}
	}
	if err := json.Unmarshal([]byte(*described.Details), &shown); err != nil {
		t.Fatal(err)
	}
	option := shown.Versions[0].DeliveryOptions[0]
	if option.Type != "Ec2ImageBuilderComponent" || option.Title != "Tool" || len(option.FulfillmentOptionId) != 16 || shown.Versions[0].Sources[0].ComponentArn != c.ARN {
		t.Errorf("shown %+v", shown)
	}
	f, err := s.market.fulfillmentOption(t.Context(), option.FulfillmentOptionId)
	if err != nil || f.Product != product || f.VersionTitle != "1.0" || f.Option != option.Id || f.Restricted || f.Component.Document != installs || f.ProductTitle != "Tool" {
		t.Errorf("the fulfillment option stands for %+v, %v", f, err)
	}
	for _, id := range []string{"fo-aaaaaaaaaaaaa", "", "fo-", "fo-\x00", "fo-" + strings.Repeat("a", 600), option.FulfillmentOptionId + " "} {
		if _, err := s.market.fulfillmentOption(t.Context(), id); !errors.Is(err, errNoFulfillmentOption) {
			t.Errorf("the id %.30q, that no option has: %v", id, err)
		}
	}
	arn, _ := component.ParseARN(c.ARN)
	if err := s.market.components.Delete(t.Context(), shopkeeper, arn); err == nil || !strings.Contains(err.Error(), "version 1.0 of "+product) {
		t.Errorf("deleting a component that a version names: %v", err)
	}
	dir := t.TempDir()
	copied := component.PublishedFiles(product, component.Files{Repository: f.Component.Files.Repository, Digest: f.Component.Files.Digest})
	if err := s.market.components.Unpack(t.Context(), copied, dir); err != nil {
		t.Errorf("the product's own files: %v", err)
	}
	if kept, err := s.market.sweep(t.Context(), struct{}{}); err != nil {
		t.Errorf("sweeping: %d, %v", kept, err)
	}
	if findings, err := s.market.verify(t.Context(), struct{}{}); err != nil || len(findings) > 0 {
		t.Errorf("the doctor finds %q, %v", findings, err)
	}

	// The next one does not install: its seller reads why, and the whole log.
	broken := s.component("Bad Tool", "Busybox", installertest.Document("build", "echo looking for the tool\nls /nowhere"))
	message := failed(t, s.add(product, "2.0", broken.ARN), "FAILED_LAUNCH_TEST")
	_, url, _ := strings.Cut(message, "The whole log: ")
	if !strings.Contains(message, "The launch test for component "+broken.ARN+" has failed.") || !strings.Contains(message, "/nowhere") || !strings.Contains(message, "(on Busybox 1)") {
		t.Errorf("the message is %q", message)
	}
	if status, body, _ := get(t, http.DefaultClient, url, ""); status != http.StatusOK || !strings.Contains(body, "looking for the tool") {
		t.Errorf("the log is %d %q", status, body)
	}
	elsewhere := s.component("Other Tool", "Debian 13", installs)
	if message := failed(t, s.add(product, "3.0", elsewhere.ARN), "FAILED_LAUNCH_TEST"); !strings.Contains(message, "no public AMI of this market is Debian 13") {
		t.Errorf("without a base the message is %q", message)
	}
}

func TestWithoutMachinesAComponentIsNotListed(t *testing.T) {
	t.Parallel()
	s := open(t, false)
	s.publicAMI()
	c := s.component("Tool", "Busybox", installertest.Document("build", "true"))
	if message := failed(t, s.add(s.product(), "1.0", c.ARN), "FAILED_LAUNCH_TEST"); !strings.Contains(message, "this server can't run machines") {
		t.Errorf("the message is %q", message)
	}
}

func TestABaseThatAComponentDoesNotSupportIsIncompatible(t *testing.T) {
	t.Parallel()
	s := open(t, false)
	_, tried, err := s.market.baseOf(t.Context(), change.Trial{Base: "sha256:0", BasePlatform: "Ubuntu 24.04", Component: change.Component{SupportedOSVersions: []string{"Debian"}}})
	if err != nil || !tried.Incompatible {
		t.Errorf("%+v, %v", tried, err)
	}
}

func TestTheEndOfALogBeginsWithALine(t *testing.T) {
	t.Parallel()
	e := &ending{to: io.Discard}
	for i := range 200 {
		fmt.Fprintf(e, "line %d\n", i)
	}
	if got := e.end(); !strings.HasPrefix(got, "line ") || !strings.HasSuffix(got, "\nline 199") || len(got) > trialTail {
		t.Errorf("the end is %q", got)
	}
	e = &ending{to: io.Discard}
	fmt.Fprint(e, strings.Repeat("x", 2*trialTail))
	if got := e.end(); len(got) != trialTail {
		t.Errorf("one long line ends in %d bytes", len(got))
	}
}

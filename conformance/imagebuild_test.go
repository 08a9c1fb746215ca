package conformance

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"souk/artifact/installer/installertest"
	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// builder is the AWS CLI with the model of the Image Build Service added, as the
// "API Reference" page has it done.
type builder struct {
	t      *testing.T
	s      *seller.Seller
	line   *souktest.AWS
	home   string
	region string
}

// newBuilder adds the model that souk prints.
func newBuilder(t *testing.T, server *souktest.Server, s *seller.Seller) *builder {
	t.Helper()
	home := t.TempDir()
	b := &builder{t, s, souktest.NewAWS(t, home), home, "us-east-1"}
	model := filepath.Join(b.home, "marketplaceimagebuild-2017-12-15.normal.json")
	text, err := server.Program("model", "imagebuild")
	must(t, err)
	must(t, os.WriteFile(model, []byte(text), 0o600))
	b.ok("configure", "add-model", "--service-model", "file://"+model, "--service-name", "marketplaceimagebuild")
	return b
}

func (b *builder) run(args ...string) (out, problem string, failed error) {
	b.t.Helper()
	command := b.line.Command(b.t.Context(), append([]string{"--endpoint-url", b.s.URL, "--region", b.region}, args...)...)
	command.Env = append(command.Env, "AWS_MAX_ATTEMPTS=1", "AWS_ACCESS_KEY_ID="+b.s.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+b.s.SecretAccessKey)
	var o, e bytes.Buffer
	command.Stdout, command.Stderr = &o, &e
	failed = command.Run()
	return strings.TrimSpace(o.String()), strings.TrimSpace(e.String()), failed
}

func (b *builder) ok(args ...string) string {
	b.t.Helper()
	out, problem, failed := b.run(args...)
	if failed != nil {
		b.t.Fatalf("aws %v: %v: %s", args, failed, problem)
	}
	return out
}

// refused wants an exception, as the CLI shows it, and words of its message.
func (b *builder) refused(code, words string, args ...string) {
	b.t.Helper()
	out, problem, failed := b.run(args...)
	if failed == nil || !strings.Contains(problem, "("+code+")") || !strings.Contains(problem, words) {
		b.t.Errorf("aws %v: %s %s, want %s with %q", args, out, problem, code, words)
	}
}

// start is a start-build with its three required members.
func start(option, source, name string, more ...string) []string {
	return append([]string{"marketplaceimagebuild", "start-build", "--fulfillment-option-ids", option, "--source-image-id", source, "--destination-image-name", name}, more...)
}

// built is a build as describe-builds shows it.
type built struct {
	BuildId              string
	Status               string
	DestinationImage     struct{ Id, Name, Description string }
	SourceImage          struct{ Id, Name string }
	FulfillmentOptionIds []string
	Products             []struct{ Id, Version, Title string }
	StandardOutputUrl    string
	StandardErrorUrl     string
	SnsTopicArn          string
	ErrorDetail          *struct{ Code, Message string }
	StartTime            any // releases of the CLI differ in how they show times
	LastUpdateTime       any
}

func (b *builder) list(more ...string) []built {
	b.t.Helper()
	var page struct{ Builds []built }
	text := b.ok(append([]string{"--output", "json", "marketplaceimagebuild", "describe-builds"}, more...)...)
	if err := json.Unmarshal([]byte(text), &page); err != nil {
		b.t.Fatalf("%v: %s", err, text)
	}
	return page.Builds
}

// ended waits for the end of a build.
func (b *builder) ended(id string) built {
	b.t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(3 * time.Minute); ; {
		all := b.list("--build-ids", id)
		if len(all) != 1 {
			b.t.Fatalf("build %s: %+v", id, all)
		}
		if all[0].Status != "InProgress" {
			return all[0]
		}
		select {
		case <-tick.C:
		case <-late:
			b.t.Fatalf("build %s does not end: %+v", id, all[0])
		}
	}
}

// text reads a log.
func (b *builder) text(at string) string {
	b.t.Helper()
	got, err := http.Get(at)
	must(b.t, err)
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	must(b.t, err)
	if got.StatusCode != http.StatusOK {
		b.t.Errorf("%s: %s", at, got.Status)
	}
	return string(text)
}

// listInstallers makes a product of the account whose versions are components
// with documents, and returns their fulfillment options by the names of the
// components.
func (b *builder) listInstallers(system string, documents map[string]string) (product string, options map[string]string) {
	b.t.Helper()
	t := b.t
	change := func(changes ...any) {
		t.Helper()
		text, err := json.Marshal(changes)
		must(t, err)
		id := b.ok("marketplace-catalog", "start-change-set", "--catalog", seller.Catalog, "--change-set", string(text), "--query", "ChangeSetId", "--output", "text")
		set, err := b.s.Wait(t.Context(), id)
		must(t, err)
		if set.Status != "SUCCEEDED" {
			t.Fatalf("%s: %s", set.Status, seller.Refusals(set))
		}
		product, _, _ = strings.Cut(*set.ChangeSet[0].Entity.Identifier, "@")
	}
	one := func(kind, on string, details any) any {
		text, err := json.Marshal(details)
		must(t, err)
		entity := map[string]any{"Type": "AmiProduct@1.0"}
		if on != "" {
			entity["Identifier"] = on
		}
		return map[string]any{"ChangeType": kind, "Entity": entity, "Details": string(text)}
	}
	type object = map[string]any
	change(one("CreateProduct", "", object{"ProductTitle": "Tools"}))
	for _, named := range slices.Sorted(maps.Keys(documents)) {
		file := filepath.Join(b.home, named+".yaml")
		must(t, os.WriteFile(file, []byte(documents[named]), 0o600))
		arn := b.ok("imagebuilder", "create-component", "--name", named, "--semantic-version", "1.0.0", "--platform", "Linux", "--supported-os-versions", system,
			"--description", "A tool.", "--data", "file://"+file, "--query", "componentBuildVersionArn", "--output", "text")
		change(one("AddDeliveryOptions", product, object{
			"Version": object{"VersionTitle": named + " 1.0", "ReleaseNotes": "New."},
			"DeliveryOptions": []any{object{"DeliveryOptionTitle": named, "Details": object{"Ec2ImageBuilderComponentDeliveryOptionDetails": object{
				"UsageInstructions": "Start a build.", "AccessRoleArn": "arn:aws:iam::" + b.account() + ":role/Ingestion", "ComponentArn": arn,
			}}}},
		}))
	}
	var shown struct {
		Versions []struct {
			VersionTitle    string
			DeliveryOptions []struct{ FulfillmentOptionId string }
		}
	}
	text := b.ok("marketplace-catalog", "describe-entity", "--catalog", seller.Catalog, "--entity-id", product, "--query", "Details", "--output", "text")
	if err := json.Unmarshal([]byte(text), &shown); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	options = map[string]string{}
	for _, v := range shown.Versions {
		options[strings.TrimSuffix(v.VersionTitle, " 1.0")] = v.DeliveryOptions[0].FulfillmentOptionId
	}
	return product, options
}

func (b *builder) account() string {
	b.t.Helper()
	return b.ok("sts", "get-caller-identity", "--query", "Account", "--output", "text")
}

// imported makes an AMI of a shell.
func imported(t *testing.T, s *seller.Seller, name string, more ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "base.tar")
	must(t, os.WriteFile(file, installertest.Base(t), 0o600))
	id, err := souk(t, s, append([]string{"image", "import", file, "--name", name, "--arch", "x86_64"}, more...)...)
	if err != nil {
		t.Fatalf("souk image import: %v: %s", err, id)
	}
	return strings.TrimSpace(id)
}

// souk runs a command of souk as a client of a market.
func souk(t *testing.T, s *seller.Seller, args ...string) (string, error) {
	t.Helper()
	binary, err := souktest.Binary("")
	must(t, err)
	command := exec.CommandContext(t.Context(), binary, args...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "AWS_ENDPOINT_URL=" + s.URL, "AWS_ACCESS_KEY_ID=" + s.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + s.SecretAccessKey}
	var o, e bytes.Buffer
	command.Stdout, command.Stderr = &o, &e
	err = command.Run()
	if err != nil {
		return o.String() + e.String(), err
	}
	return o.String(), nil
}

// TestImageBuildsByTheAWSCommandLine: every exception of the model and a build of
// each end, by the AWS CLI with the model that souk prints. (The failure of the
// service is TestBuildsWhileTheDatabaseIsAway's.)
func TestImageBuildsByTheAWSCommandLine(t *testing.T) {
	t.Parallel()
	server := souktest.Start(t, souktest.Options{Quotas: true, Flags: []string{"--open-builds", "1", "--build-memory", "134217728", "--build-disk", "67108864"}})
	server.Must(t, "quota", "set", "marketplacecatalog.DescribeChangeSet", "unlimited") // the tests ask more often than people
	account := server.Account(t, "image builds", "tools")
	s := account.Seller(server)
	aws := newBuilder(t, server, s)
	base := imported(t, s, "base", "--public")
	product, options := aws.listInstallers("Busybox 1", map[string]string{
		"tool": installertest.Document("build", "echo one >/opt/one; echo careful >&2", "test", "test -s /opt/one"),
		"slow": installertest.Document("build", "echo begun; test -e /opt/late || sleep 5"),
		// It passes the trial on the public image, and fails where a mark is.
		"picky": installertest.Document("build", "test ! -e /opt/one"),
	})
	tool, slow, picky := options["tool"], options["slow"], options["picky"]

	topic := aws.ok("sns", "create-topic", "--name", "builds", "--query", "TopicArn", "--output", "text")
	answer := aws.ok(start(tool, base, "with tool", "--destination-image-description", "for all", "--sns-topic-arn", topic, "--client-token", "one", "--query", "[BuildId,Products[0].Id,Products[0].Version,Products[0].Title]", "--output", "text")...)
	fields := strings.Split(answer, "\t")
	if len(fields) != 4 || len(fields[0]) != 36 || fields[1] != product || fields[2] != "tool 1.0" || fields[3] != "Tools" {
		t.Fatalf("start-build answers %q", answer)
	}
	done := aws.ended(fields[0])
	if done.Status != "Succeeded" || !strings.HasPrefix(done.DestinationImage.Id, "ami-") || done.DestinationImage.Name != "with tool" || done.DestinationImage.Description != "for all" ||
		done.SourceImage.Id != base || done.SourceImage.Name != "base" || done.SnsTopicArn != topic || done.ErrorDetail != nil || done.StartTime == nil || done.LastUpdateTime == done.StartTime || !slices.Equal(done.FulfillmentOptionIds, []string{tool}) {
		t.Fatalf("it ended as %+v, %+v", done, done.ErrorDetail)
	}
	if text := aws.text(done.StandardErrorUrl); !strings.Contains(text, "careful") {
		t.Errorf("the error output is %q", text)
	}
	if text := aws.text(done.StandardOutputUrl); !strings.Contains(text, "tool") {
		t.Errorf("the output is %q", text)
	}
	if got := aws.ok("ec2", "describe-images", "--image-ids", done.DestinationImage.Id, "--query", "Images[0].[Name,State,OwnerId]", "--output", "text"); strings.Join(strings.Fields(got), " ") != "with tool available "+account.ID {
		t.Errorf("the image is %s", got)
	}

	// The same request with its token, and with others.
	if again := aws.ok(start(tool, base, "with tool", "--destination-image-description", "for all", "--sns-topic-arn", topic, "--client-token", "one", "--query", "BuildId", "--output", "text")...); again != done.BuildId {
		t.Errorf("the same request starts %s", again)
	}
	aws.refused("IdempotentParameterMismatchException", "", start(tool, base, "other", "--client-token", "one")...)

	// What StartBuild refuses.
	aws.refused("InvalidFulfillmentOptionIdException", "fo-aaaaaaaaaaaaa", start("fo-aaaaaaaaaaaaa", base, "other")...)
	aws.refused("InvalidSourceImageIdException", "ami-00000000000000000", start(tool, "ami-00000000000000000", "other")...)
	aws.refused("InvalidDestinationImageNameException", "3-128", start(tool, base, "a*")...)
	aws.refused("InvalidDestinationImageNameException", "with tool", start(tool, base, "with tool")...)
	aws.refused("InvalidSnsTopicArnException", "nowhere", start(tool, base, "other", "--sns-topic-arn", "arn:aws:sns:us-east-1:"+account.ID+":nowhere")...)
	debian := imageOfAnotherSystem(t, s)
	aws.refused("InstallerMismatchException", "Busybox 1", start(tool, debian, "other")...)
	stranger := server.Account(t, "stranger", "").Seller(server)
	foreign := newBuilder(t, server, stranger)
	foreign.refused("InvalidFulfillmentOptionIdException", "does not exist", start(tool, base, "other")...)
	if all := foreign.list(); len(all) != 0 {
		t.Errorf("a stranger sees %+v", all)
	}
	if all := foreign.list("--build-ids", done.BuildId); len(all) != 0 {
		t.Errorf("a stranger sees %+v", all)
	}

	// Policies.
	user := server.User(t, s, "watcher")
	server.Allow(t, s, "watcher", "list", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"aws-marketplace:ListBuilds","Resource":"*"}]}`)
	watcher := newBuilder(t, server, user)
	watcher.refused("UnauthorizedOperationException", "aws-marketplace:StartBuild", start(tool, base, "other")...)
	watcher.refused("AccessDeniedException", "aws-marketplace:DescribeBuilds", "marketplaceimagebuild", "describe-builds", "--build-ids", done.BuildId)
	if all := watcher.list(); len(all) != 1 {
		t.Errorf("who may list sees %+v", all)
	}

	// One build at a time; one that runs shows its log.
	running := aws.ok(start(slow, base, "slow (1) [b] c.d/e-f'g@h_i", "--query", "BuildId", "--output", "text")...)
	aws.refused("BuildLimitExceededException", "1", start(tool, base, "other")...)
	followed, err := souk(t, s, "build", "follow", running)
	if got := aws.ended(running); err != nil || got.Status != "Succeeded" || !strings.Contains(followed, "begun") || !strings.HasSuffix(strings.TrimSpace(followed), got.DestinationImage.Id) {
		t.Errorf("followed to %v, %+v:\n%s", err, got, followed)
	}

	// A build that fails.
	failing, err := souk(t, s, "build", "start", "--option", picky, "--source", done.DestinationImage.Id, "--name", "picky", "--follow")
	if err == nil || !strings.Contains(failing, "ended as Failed") || !strings.Contains(failing, "component picky failed") {
		t.Errorf("a build that fails: %v\n%s", err, failing)
	}
	failed := aws.list("--filters", "Name=status,Values=failed")
	if len(failed) != 1 || failed[0].ErrorDetail == nil || failed[0].ErrorDetail.Code != "InstallFailed" || failed[0].DestinationImage.Id != "" {
		t.Fatalf("failed builds %+v", failed)
	}

	// Lists.
	ids := func(all []built) string {
		var ids []string
		for _, b := range all {
			ids = append(ids, b.BuildId)
		}
		return strings.Join(ids, " ")
	}
	whole := failed[0].BuildId + " " + running + " " + done.BuildId
	for want, args := range map[string][]string{
		whole:                        {},
		running:                      {"--filters", "Name=fulfillment-option-id,Values=" + slow},
		done.BuildId:                 {"--filters", "Name=build-id,Values=" + done.BuildId},
		running + " " + done.BuildId: {"--filters", "Name=status,Values=succeeded,in-progress", "Name=product-id,Values=" + product},
		"":                           {"--filters", "Name=status,Values=internal-error"},
	} {
		if got := ids(aws.list(args...)); got != want {
			t.Errorf("%v: %q, want %q", args, got, want)
		}
	}
	first := aws.ok("marketplaceimagebuild", "describe-builds", "--max-results", "2", "--query", "[NextToken,length(Builds)]", "--output", "text")
	token, count, _ := strings.Cut(first, "\t")
	if count != "2" || ids(aws.list("--max-results", "2", "--next-token", token)) != done.BuildId {
		t.Errorf("pages of two: %q, then %q", first, ids(aws.list("--next-token", token)))
	}
	describe := func(more ...string) []string {
		return append([]string{"marketplaceimagebuild", "describe-builds"}, more...)
	}
	aws.refused("InvalidNextTokenException", "", describe("--next-token", "nonsense")...)
	aws.refused("InvalidMaxResultsException", "51", describe(append([]string{"--build-ids"}, strings.Fields(strings.Repeat("x ", 51))...)...)...)
	aws.refused("InvalidFilterException", "color", describe("--filters", "Name=color,Values=red")...)
	aws.refused("InvalidFilterException", "Failed", describe("--filters", "Name=status,Values=Failed")...)
	europe := *aws
	europe.region = "eu-west-1"
	if all := europe.list(); len(all) != 0 {
		t.Errorf("another region has %+v", all)
	}
	lines, err := souk(t, s, "build", "list", "--status", "failed")
	if err != nil || strings.Count(lines, "\n") != 1 || !strings.HasPrefix(lines, failed[0].BuildId+"\tFailed\tpicky\t\t"+done.DestinationImage.Id) {
		t.Errorf("souk build list: %v\n%s", err, lines)
	}

	for what, name := range map[string]string{"two characters": "ab", "129 characters": strings.Repeat("a", 129), "an asterisk": "abc*", "a hash": "abc#1", "a letter of no ASCII": "über"} {
		body := seller.JSON(map[string]any{"FulfillmentOptionIds": []string{tool}, "SourceImageId": base, "DestinationImageName": name})
		if code := rawBuild(t, s, "StartBuild", body); code != "InvalidDestinationImageNameException" {
			t.Errorf("a name of %s: %s", what, code)
		}
	}

	// MaxResults out of its range is refused by the CLI before it is sent.
	code := rawBuild(t, s, "DescribeBuilds", `{"MaxResults":257}`)
	if code != "InvalidMaxResultsException" {
		t.Errorf("257 results: %s", code)
	}
	if code := rawBuild(t, s, "StartBuild", `{"SourceImageId":"ami-1"}`); code != "ValidationException" {
		t.Errorf("without required members: %s", code)
	}
	server.Must(t, "doctor")
}

// imageOfAnotherSystem is one that the installers of Busybox are not for.
func imageOfAnotherSystem(t *testing.T, s *seller.Seller) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	must(t, os.MkdirAll(filepath.Join(root, "etc"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "etc", "os-release"), []byte("NAME=\"Debian GNU/Linux\"\nVERSION_ID=13\n"), 0o644))
	file := filepath.Join(t.TempDir(), "debian.tar")
	out, err := exec.Command("tar", "-C", root, "-cf", file, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
	id, err := souk(t, s, "image", "import", file, "--name", "debian", "--arch", "x86_64")
	if err != nil {
		t.Fatalf("souk image import: %v: %s", err, id)
	}
	return strings.TrimSpace(id)
}

// sendBuild sends a request of the Image Build Service as it stands and returns
// the answer.
func sendBuild(t *testing.T, s *seller.Seller, action, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/", strings.NewReader(body))
	must(t, err)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "AWSMPImageBuilding."+action)
	must(t, s.SignFor(r, body, "aws-marketplace", time.Now()))
	answer, err := s.Send(r)
	must(t, err)
	return string(answer.Body)
}

// rawBuild is the code of the answer to such a request.
func rawBuild(t *testing.T, s *seller.Seller, action, body string) string {
	t.Helper()
	var refused struct {
		Type string `json:"__type"`
	}
	must(t, json.Unmarshal([]byte(sendBuild(t, s, action, body)), &refused))
	return refused.Type
}

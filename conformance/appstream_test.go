package conformance

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"souk/artifact/installer/installertest"
	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// imageBuilder is an image builder as its clients show it. What they show of times
// differs: they are looked at as they are.
type imageBuilder struct {
	Name, Arn, ImageArn, Description, DisplayName string
	InstanceType, Platform, State, IamRoleArn     string
	StateChangeReason                             *struct{ Code, Message string }
	CreatedTime                                   any
	EnableDefaultInternetAccess                   *bool
	VpcConfig                                     *struct{ SubnetIds, SecurityGroupIds []string }
	DomainJoinInfo                                *struct{ DirectoryName, OrganizationalUnitDistinguishedName string }
	ImageBuilderErrors                            []struct{ ErrorCode, ErrorMessage string }
	AppstreamAgentVersion                         string
	LatestAppstreamAgentVersion                   string
}

// appImage is an AppStream image as its clients show it.
type appImage struct {
	Name, Arn, BaseImageArn, DisplayName, State, Visibility string
	Description, Platform, ImageBuilderName, ImageType      string
	ImageBuilderSupported                                   bool
	StateChangeReason                                       *struct{ Code, Message string }
	Applications                                            []struct {
		Name, DisplayName, IconURL, LaunchPath, LaunchParameters, WorkingDirectory string
		Enabled                                                                    bool
		Metadata                                                                   map[string]string
	}
	CreatedTime, PublicBaseImageReleasedDate any
	AppstreamAgentVersion                    string
	ImagePermissions                         *struct{ AllowFleet, AllowImageBuilder *bool }
	ImageSharedWithOthers                    string
}

// apps is an account's client of AppStream with the words of the tests.
type apps struct {
	studio
	t *testing.T
	s *seller.Seller
}

// in is an input: names and values, in turns.
func in(pairs ...any) string {
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// ask sends an operation that must succeed, and reads its output into out.
func (a *apps) ask(operation, input string, out any) {
	a.t.Helper()
	text, err := a.do(a.t, operation, input)
	if err != nil {
		a.t.Fatalf("%s %s: %v", operation, input, err)
	}
	if out != nil {
		must(a.t, json.Unmarshal([]byte(text), out))
	}
}

// refused sends one that must be refused by a code, with words of its message.
func (a *apps) refused(code, words, operation, input string) {
	a.t.Helper()
	text, err := a.do(a.t, operation, input)
	var said *refusal
	if !errors.As(err, &said) || said.Code != code || !strings.Contains(said.Message, words) {
		a.t.Errorf("%s %s: %s %v, want %s with %q", operation, input, text, err, code, words)
	}
}

// one is an image builder as DescribeImageBuilders shows it.
func (a *apps) one(name string) imageBuilder {
	a.t.Helper()
	var page struct{ ImageBuilders []imageBuilder }
	a.ask("DescribeImageBuilders", in("Names", []string{name}), &page)
	if len(page.ImageBuilders) != 1 {
		a.t.Fatalf("image builder %s: %+v", name, page)
	}
	return page.ImageBuilders[0]
}

// image is one as DescribeImages shows it.
func (a *apps) image(name string) appImage {
	a.t.Helper()
	var page struct{ Images []appImage }
	a.ask("DescribeImages", in("Names", []string{name}), &page)
	if len(page.Images) != 1 {
		a.t.Fatalf("image %s: %+v", name, page)
	}
	return page.Images[0]
}

// until waits until look returns true.
func until(t *testing.T, what string, look func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(5 * time.Minute); !look(); { // some look for what comes by chance
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: this does not come", what)
		}
	}
}

// reaches waits for a state of an image builder, through those that may come before.
func (a *apps) reaches(name, state string, before ...string) imageBuilder {
	a.t.Helper()
	var b imageBuilder
	until(a.t, name+" "+state, func() bool {
		b = a.one(name)
		if b.State != state && !strings.Contains(" "+strings.Join(before, " ")+" ", " "+b.State+" ") {
			a.t.Fatalf("%s is %s (%+v, %+v), want %s", name, b.State, b.StateChangeReason, b.ImageBuilderErrors, state)
		}
		return b.State == state
	})
	return b
}

// available waits until an image is there.
func (a *apps) available(name string) appImage {
	a.t.Helper()
	var i appImage
	until(a.t, name+" AVAILABLE", func() bool {
		i = a.image(name)
		if i.State == "FAILED" {
			a.t.Fatalf("image %s: %+v", name, i.StateChangeReason)
		}
		return i.State == "AVAILABLE"
	})
	return i
}

// gone waits until an image builder is no more.
func (a *apps) gone(name string) {
	a.t.Helper()
	until(a.t, name+" gone", func() bool {
		text, err := a.do(a.t, "DescribeImageBuilders", in("Names", []string{name}))
		var said *refusal
		if errors.As(err, &said) {
			if said.Code != "ResourceNotFoundException" {
				a.t.Fatalf("%s: %v", name, err)
			}
			return true
		}
		must(a.t, err)
		if !strings.Contains(text, "DELETING") {
			a.t.Fatalf("%s after DeleteImageBuilder: %s", name, text)
		}
		return false
	})
}

// souk runs a command of souk with the account's keys.
func (a *apps) souk(args ...string) string {
	a.t.Helper()
	out, err := souk(a.t, a.s, args...)
	if err != nil {
		a.t.Fatalf("souk %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

// parts runs a program in a builder which has its machine end. That program has a
// moment to say that it went well, which on a busy host may be too short: then the
// builder says so.
func (a *apps) parts(name string, program ...string) {
	a.t.Helper()
	out, err := souk(a.t, a.s, append([]string{"exec", name, "--"}, program...)...)
	if err != nil && a.one(name).State == "RUNNING" {
		a.t.Fatalf("souk exec %s -- %s: %v: %s", name, strings.Join(program, " "), err, out)
	}
}

// newApps makes an account, whose own AppStream role is there, and a client.
func newApps(t *testing.T, server *souktest.Server, name, client string) (*apps, souktest.Account) {
	t.Helper()
	account := server.Account(t, name, "")
	s := account.Seller(server)
	return &apps{studios[client](t, s, "us-east-1"), t, s}, account
}

// pipelineRole makes the role by which AppStream reads and writes AMIs.
func pipelineRole(t *testing.T, s *seller.Seller, account string) string {
	t.Helper()
	const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"appstream.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	const may = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}`
	makeRole(t, s, "Images", trust, may)
	return "arn:aws:iam::" + account + ":role/Images"
}

// stage is a market with a public base image: a Debian, where there is one.
type stage struct {
	server *souktest.Server
	left   *remains
	debian bool
}

const baseImage = "AppStream-WinServer2019-06-12-2023" // as the tests of infrastructure programs name theirs

func newStage(t *testing.T, debian bool, flags ...string) *stage {
	t.Helper()
	o, left := watched(t, souktest.Options{Flags: flags})
	server := souktest.Start(t, o)
	debian = importBase(t, server, debian)
	return &stage{server, left, debian}
}

// debianBase is the name of the file of a small Debian that set-up makes.
const debianBase = "debian-minbase.tar"

// baseFile is the root file system of a base image: a Debian, where there is one
// and it is wanted, else a shell.
func baseFile(t *testing.T, debian bool) string {
	t.Helper()
	if file := os.Getenv("SOUK_DEBIAN_BASE"); debian && file != "" {
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	file := filepath.Join(t.TempDir(), "base.tar")
	must(t, os.WriteFile(file, installertest.Base(t), 0o600))
	return file
}

// parcel is a Debian package with one program, as dpkg-deb builds it.
func parcel(t *testing.T) []byte {
	t.Helper()
	pack := func(files map[string]string) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		for _, dir := range []string{"./", "./usr/", "./usr/bin/"} {
			if len(files) > 0 && files["./control"] == "" {
				must(t, w.WriteHeader(&tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}))
			}
		}
		for name, text := range files {
			must(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(text))}))
			_, err := w.Write([]byte(text))
			must(t, err)
		}
		must(t, w.Close())
		must(t, z.Close())
		return b.Bytes()
	}
	out := bytes.NewBufferString("!<arch>\n")
	for _, part := range []struct {
		name string
		data []byte
	}{
		{"debian-binary", []byte("2.0\n")},
		{"control.tar.gz", pack(map[string]string{"./control": "Package: greeter\nVersion: 1.0\nArchitecture: all\nMaintainer: A Seller <seller@example.com>\nDescription: greets\n"})},
		{"data.tar.gz", pack(map[string]string{"./usr/bin/greet": "#!/bin/sh\necho hello from the package\n"})},
	} {
		fmt.Fprintf(out, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", part.name, 0, 0, 0, "100644", len(part.data))
		out.Write(part.data)
		if len(part.data)%2 == 1 {
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}

// TestAnImagePipelineWithEachClient: what an image engineer's pipeline does, from
// a base image to an AMI on which a listed product was built, without a person;
// with each client. Nothing is left on the host in the end.
func TestAnImagePipelineWithEachClient(t *testing.T) {
	t.Parallel()
	s := newStage(t, true)
	for _, client := range []string{"AWS CLI", "SDK for Go", "SDK for JavaScript", "JSON 1.1", "rpc-v2-cbor"} {
		t.Run(client, func(t *testing.T) { s.pipeline(t, client) })
	}
	must(t, s.server.Stop())
	s.left.nothing(t)
}

func (s *stage) pipeline(t *testing.T, client string) {
	name := strings.ToLower(strings.NewReplacer(" ", "-", ".", "-").Replace(client))
	a, account := newApps(t, s.server, name, client)

	// A builder, from nothing to RUNNING.
	var made struct{ ImageBuilder imageBuilder }
	a.ask("CreateImageBuilder", in("Name", "maker", "InstanceType", "stream.standard.medium", "ImageName", baseImage, "DisplayName", "The maker",
		"Description", "makes", "EnableDefaultInternetAccess", false, "Tags", map[string]string{"team": "images"}), &made)
	b := made.ImageBuilder
	base := "arn:aws:appstream:us-east-1::image/" + baseImage
	if b.State != "PENDING" || b.Arn != "arn:aws:appstream:us-east-1:"+account.ID+":image-builder/maker" || b.ImageArn != base || b.DisplayName != "The maker" || b.Description != "makes" ||
		b.InstanceType != "stream.standard.medium" || b.CreatedTime == nil || b.DomainJoinInfo != nil {
		t.Fatalf("it is made as %+v", b)
	}
	b = a.reaches("maker", "RUNNING", "PENDING")
	if b.AppstreamAgentVersion == "" || b.ImageArn != base {
		t.Errorf("it runs as %+v", b)
	}
	var tags struct{ Tags map[string]string }
	a.ask("ListTagsForResource", in("ResourceArn", b.Arn), &tags)
	if tags.Tags["team"] != "images" {
		t.Errorf("its tags are %v", tags)
	}

	// A package, installed from outside; it survives a stop and a start.
	file := filepath.Join(t.TempDir(), "greeter.deb")
	must(t, os.WriteFile(file, parcel(t), 0o600))
	a.souk("cp", file, "maker:/root/greeter.deb")
	a.souk("exec", "maker", "--", "sh", "-c", "if ! test -e /var/lib/dpkg/status; then busybox mkdir -p /var/lib/dpkg/info; echo >/var/lib/dpkg/status; fi; dpkg -i /root/greeter.deb")
	a.ask("StopImageBuilder", in("Name", "maker"), nil)
	a.reaches("maker", "STOPPED", "STOPPING")
	a.ask("StartImageBuilder", in("Name", "maker"), nil)
	a.reaches("maker", "RUNNING", "PENDING")
	if got := a.souk("exec", "maker", "--", "greet"); got != "hello from the package" {
		t.Errorf("after a stop and a start it says %q", got)
	}

	// The image, by the command inside.
	a.souk("exec", "maker", "--", "image-assistant", "add-application", "--name", "Greeter", "--display-name", "The greeter",
		"--absolute-app-path", "/usr/bin/greet", "--launch-parameters", "--loud", "--working-directory", "/root")
	create := []string{"image-assistant", "create-image", "--name", "greeting", "--display-name", "Greeting", "--description", "greets", "--use-latest-agent-version", "--tags", "made=here"}
	a.souk(append([]string{"exec", "maker", "--"}, append(create, "--dry-run")...)...)
	a.refused("ResourceNotFoundException", "greeting", "DescribeImages", in("Names", []string{"greeting"}))
	a.parts("maker", create...)
	a.reaches("maker", "STOPPED", "RUNNING", "SNAPSHOTTING")
	i := a.available("greeting")
	if i.BaseImageArn != base || i.Visibility != "PRIVATE" || i.DisplayName != "Greeting" || i.Description != "greets" || i.ImageBuilderName != "maker" || !i.ImageBuilderSupported ||
		i.CreatedTime == nil || i.PublicBaseImageReleasedDate == nil || i.AppstreamAgentVersion == "" || i.ImageType != "NATIVE" {
		t.Errorf("the image is %+v", i)
	}
	if len(i.Applications) != 1 || i.Applications[0].Name != "Greeter" || i.Applications[0].DisplayName != "The greeter" || i.Applications[0].LaunchPath != "/usr/bin/greet" ||
		i.Applications[0].LaunchParameters != "--loud" || i.Applications[0].WorkingDirectory != "/root" || !i.Applications[0].Enabled || i.Applications[0].IconURL == "" {
		t.Errorf("its applications are %+v", i.Applications)
	}
	a.ask("ListTagsForResource", in("ResourceArn", i.Arn), &tags)
	if tags.Tags["made"] != "here" {
		t.Errorf("its tags are %v", tags)
	}

	// A second builder from it has the package, also of another account.
	a.ask("CreateImageBuilder", in("Name", "second", "InstanceType", "stream.standard.small", "ImageArn", i.Arn), nil)
	a.reaches("second", "RUNNING", "PENDING")
	if got := a.souk("exec", "second", "--", "greet"); got != "hello from the package" {
		t.Errorf("the second builder says %q", got)
	}
	other, friend := newApps(t, s.server, name+"-friend", client)
	other.refused("ResourceNotFoundException", "", "CreateImageBuilder", in("Name", "third", "InstanceType", "stream.standard.small", "ImageArn", i.Arn))
	a.ask("UpdateImagePermissions", in("Name", "greeting", "SharedAccountId", friend.ID, "ImagePermissions", map[string]bool{"allowFleet": false, "allowImageBuilder": true}), nil)
	other.ask("CreateImageBuilder", in("Name", "third", "InstanceType", "stream.standard.small", "ImageArn", i.Arn), nil)
	other.reaches("third", "RUNNING", "PENDING")
	if got := other.souk("exec", "third", "--", "greet"); got != "hello from the package" {
		t.Errorf("the friend's builder says %q", got)
	}

	// An AMI of it, and a product built on that.
	role := pipelineRole(t, a.s, account.ID)
	ami := s.export(t, a, role, client)
	s.build(t, a, ami)

	// All goes.
	a.ask("DeleteImagePermissions", in("Name", "greeting", "SharedAccountId", friend.ID), nil)
	a.refused("ResourceInUseException", "greeting", "DeleteImage", in("Name", "greeting"))
	other.ask("DeleteImageBuilder", in("Name", "third"), nil)
	other.gone("third")
	a.ask("DeleteImageBuilder", in("Name", "second"), nil)
	a.gone("second")
	a.ask("DeleteImageBuilder", in("Name", "maker"), nil)
	a.gone("maker")
	a.ask("DeleteImage", in("Name", "greeting"), nil)
	until(t, "greeting gone", func() bool {
		_, err := a.do(t, "DescribeImages", in("Names", []string{"greeting"}))
		return err != nil && strings.Contains(err.Error(), "ResourceNotFoundException")
	})
}

// export makes an AMI of the image greeting.
func (s *stage) export(t *testing.T, a *apps, role, client string) string {
	t.Helper()
	by := a.newer(client)
	var task struct {
		ExportImageTask struct{ TaskId, State, AmiId, AmiName, ImageArn string }
	}
	by.ask("CreateExportImageTask", in("ImageName", "greeting", "AmiName", "greeting-ami", "IamRoleArn", role, "AmiDescription", "by hand"), &task)
	if task.ExportImageTask.State != "EXPORTING" || task.ExportImageTask.AmiName != "greeting-ami" {
		t.Fatalf("the task is %+v", task)
	}
	id := task.ExportImageTask.TaskId
	until(t, "the AMI", func() bool {
		by.ask("GetExportImageTask", in("TaskId", id), &task)
		if task.ExportImageTask.State == "FAILED" || task.ExportImageTask.State == "TIMED_OUT" {
			t.Fatalf("the task is %+v", task)
		}
		return task.ExportImageTask.State == "COMPLETED"
	})
	if !strings.HasPrefix(task.ExportImageTask.AmiId, "ami-") {
		t.Fatalf("the task is %+v", task)
	}
	return task.ExportImageTask.AmiId
}

// newer is the account's client, or the SDK for Go where that is of a release
// that does not know exports (the AWS CLI of Debian).
func (a *apps) newer(client string) *apps {
	if client != "AWS CLI" {
		return a
	}
	return &apps{newGoStudio(a.t, a.s, "us-east-1"), a.t, a.s}
}

// build installs a product on an AMI that has the program which was installed by
// hand: the installer runs it.
func (s *stage) build(t *testing.T, a *apps, ami string) {
	t.Helper()
	options := listInstallersFor(t, a.s, s.system(), map[string]string{"tool": installertest.Document("build", "if test -e /usr/bin/greet; then greet; fi; echo 1 >/opt/tool", "test", "test -s /opt/tool")})
	b := buildEnded(t, a.s, startBuild(t, a.s, options["tool"], ami, "with tool"))
	if b.Status != "Succeeded" {
		t.Fatalf("the build on what was made by hand: %+v, %+v", b, b.ErrorDetail)
	}
	got, err := http.Get(b.StandardOutputUrl)
	must(t, err)
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	must(t, err)
	if !strings.Contains(string(text), "hello from the package") {
		t.Errorf("the program that was installed by hand said nothing to the installer: %s", text)
	}
}

// system is the operating system of the base image, as its os-release has it.
func (s *stage) system() string {
	if s.debian {
		return "Debian"
	}
	return "Busybox 1"
}

// makeRole makes a role of an account with one policy.
func makeRole(t *testing.T, s *seller.Seller, name, trust, may string) {
	t.Helper()
	identities := iam.New(iam.Options{
		Region: "us-east-1", BaseEndpoint: &s.URL, RetryMaxAttempts: 10,
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.SecretAccessKey, ""),
	})
	_, err := identities.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust})
	must(t, err)
	if may == "" {
		return
	}
	_, err = identities.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &name, PolicyName: &name, PolicyDocument: &may})
	must(t, err)
}

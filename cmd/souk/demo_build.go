package main

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"
	"github.com/go-json-experiment/json/jsontext"

	"souk/service/marketplaceimagebuild"
)

// This file has the steps of the story about the Image Build Service: a product
// is installed on a base, and what came of it is really looked at.

// built is what the steps know of the build.
type built struct {
	without string // why nothing can be built here; "" if it can
	source  string // the AMI of the base
	product string
	option  string // the fulfillment option
	image   string // the AMI that was made
	role    string // by which AppStream reads AMIs
}

// bringBase imports the base, for everybody to build on.
func (s *story) bringBase(ctx context.Context) error {
	missing := s.machines(ctx)
	if missing != nil {
		s.built.without = missing.Error()
	}
	dir, err := s.folder()
	if err != nil {
		return err
	}
	var b base
	if s.built.without == "" {
		b, err = s.findBase(ctx, dir)
		if errors.Is(err, errNoBase) {
			s.built.without = "there is nothing to build on: " + err.Error()
		} else if err != nil {
			return err
		}
	}
	if s.built.without != "" {
		s.tell.say("No image can be built: %s.", s.built.without)
		s.tell.say("The steps with the Image Build Service are left out; all others follow.")
		return nil
	}
	s.built.source, err = s.importFile(ctx, s.root, b.file, "--name", b.name, "--arch", hostArch(), "--public")
	if err != nil {
		return err
	}
	s.tell.good("%s is Public: whoever may build may build on it", s.built.source)
	return nil
}

// pack pushes a package and makes the component that installs it.
func (s *story) pack(ctx context.Context) error {
	content, err := demoPackage()
	if err != nil {
		return err
	}
	img, err := packageArtifact(content)
	if err != nil {
		return err
	}
	files := s.image("ami", packageName+"-1.0")
	s.tell.say("%s is a package of Debian's, which was made just now.", packageFile)
	_, err = s.pushOne(ctx, "oras push --plain-http "+files+" "+packageFile, files, img)
	return err
}

// listInstaller makes the component, and a product of it that goes public.
func (s *story) listInstaller(ctx context.Context) error {
	arn, err := s.createComponent(ctx)
	if err != nil {
		return err
	}
	of := func(changeType, details string) string {
		return changeOf("AmiProduct", createdProduct, changeType, details)
	}
	done, err := s.acme.change(ctx, "Acme Agent", `[
        {
          "ChangeType": "CreateProduct",
          "ChangeName": "Product",
          "Entity": { "Type": "AmiProduct@1.0" },
          "DetailsDocument": { "ProductTitle": "Acme Agent" }
        },
        `+of("UpdateInformation", `{
            "ShortDescription": "Says that Acme Query is near.",
            "LongDescription": "An agent for machines of yours: the Image Build Service installs it.",
            "Highlights": ["Nothing to configure"],
            "SupportDescription": "Write to support@example.com.",
            "Categories": ["Databases"],
            "SearchKeywords": ["agent"]
          }`)+`,
        `+of("AddDeliveryOptions", `{
            "Version": { "VersionTitle": "1.0", "ReleaseNotes": "The first version." },
            "DeliveryOptions": [{
              "DeliveryOptionTitle": "Installer",
              "Details": {
                "Ec2ImageBuilderComponentDeliveryOptionDetails": {
                  "ComponentArn": "`+arn+`",
                  "AccessRoleArn": "arn:aws:iam::111122223333:role/Ingestion",
                  "UsageInstructions": "Run `+packageName+`."
                }
              }
            }]
          }`)+`,
        `+of("AddRegions", `{ "Regions": ["us-east-1"] }`)+`,
        `+of("ReleaseProduct", "{}")+`,
        `+bringYourOwnLicence(createdProduct)+`
      ]`, types.ChangeStatusSucceeded)
	if err != nil {
		return err
	}
	s.built.product = bare(aws.ToString(done.ChangeSet[0].Entity.Identifier))
	s.tell.good("the market has run the installer on %s before it listed it", s.built.source)
	_, err = s.acme.change(ctx, "Open Acme Agent",
		alone(changeOf("AmiProduct", s.built.product, "UpdateVisibility", `{ "TargetVisibility": "Public" }`)), types.ChangeStatusSucceeded)
	if err != nil {
		return err
	}
	s.acme.aws("marketplace-catalog describe-entity", "--catalog "+catalogName+" --entity-id "+s.built.product, "--query 'DetailsDocument.Versions[0].DeliveryOptions'")
	var p struct {
		Versions []struct {
			DeliveryOptions []struct{ FulfillmentOptionId string }
		}
	}
	err = s.acme.describe(ctx, s.built.product, &p)
	if err != nil {
		return err
	}
	err = s.acme.show("DetailsDocument", "Versions", "DeliveryOptions")
	if err != nil {
		return err
	}
	if len(p.Versions) != 1 || len(p.Versions[0].DeliveryOptions) != 1 || p.Versions[0].DeliveryOptions[0].FulfillmentOptionId == "" {
		return fmt.Errorf("product %s does not have one version with a fulfillment option", s.built.product)
	}
	s.built.option = p.Versions[0].DeliveryOptions[0].FulfillmentOptionId
	return nil
}

// createComponent makes the component that installs the package.
func (s *story) createComponent(ctx context.Context) (arn string, err error) {
	in := map[string]any{
		"name": "acme-agent", "semanticVersion": "1.0.0", "platform": "Linux", "supportedOsVersions": []string{"Debian", "BusyBox"},
		"description": "Installs Acme Agent.", "data": packageInstaller, "clientToken": "acme-agent-1.0.0",
		"tags": map[string]string{"souk:files": "acme/ami:" + packageName + "-1.0"},
	}
	s.acme.command("cat >" + packageName + ".yaml <<'END'\n" + packageInstaller + "END")
	s.acme.aws("imagebuilder create-component", "--name acme-agent --semantic-version 1.0.0 --platform Linux --supported-os-versions Debian BusyBox",
		"--description 'Installs Acme Agent.' --tags souk:files=acme/ami:"+packageName+"-1.0 --data file://"+packageName+".yaml")
	var made struct {
		ComponentBuildVersionARN string `json:"componentBuildVersionArn"`
	}
	err = s.acme.put(ctx, "imagebuilder", "/CreateComponent", in, &made)
	if err != nil {
		return "", err
	}
	s.tell.answer(s.acme.last.body)
	return made.ComponentBuildVersionARN, nil
}

// startBuild asks for a build and shows the answer.
func (s *story) startBuild(ctx context.Context, name string) (id string, err error) {
	member := s.private.member
	member.aws("marketplaceimagebuild start-build", "--fulfillment-option-ids "+s.built.option+" --source-image-id "+s.built.source, "--destination-image-name "+name)
	m, err := member.market()
	if err != nil {
		return "", err
	}
	var answer jsontext.Value
	err = m.builds(ctx, "StartBuild", marketplaceimagebuild.StartBuildRequest{
		FulfillmentOptionIds: []string{s.built.option}, SourceImageId: &s.built.source, DestinationImageName: &name,
	}, &answer)
	if err != nil {
		return "", err
	}
	s.tell.answer(answer)
	var started struct{ BuildId string }
	err = json.Unmarshal(answer, &started)
	return started.BuildId, err
}

// refuseBuild asks for a build before the private marketplace allows the product.
func (s *story) refuseBuild(ctx context.Context) error {
	s.tell.say("No SDK has the Image Build Service. The AWS CLI learns it from the market's own description:")
	s.private.member.command("souk model imagebuild >imagebuild.json")
	s.private.member.command("aws configure add-model --service-name marketplaceimagebuild --service-model file://imagebuild.json")
	_, err := s.startBuild(ctx, "research-1")
	var refused *refusedCall
	if !errors.As(err, &refused) {
		return fmt.Errorf("the build of what is not allowed ended with %v, want a refusal", err)
	}
	s.tell.bad("An error occurred (%s) when calling the StartBuild operation: %s", refused.code, refused.message)
	if refused.code != "InvalidFulfillmentOptionIdException" || !strings.Contains(refused.message, s.private.experience) {
		return errors.New("the refusal does not name the private marketplace")
	}
	_, err = s.private.ada.change(ctx, "Allow Acme Agent",
		alone(changeOf("Experience", s.private.experience, "AllowProductProcurement", `{ "Products": [{ "Ids": ["`+s.built.product+`"] }] }`)), types.ChangeStatusSucceeded)
	return err
}

// build has the product installed, and follows the log.
func (s *story) build(ctx context.Context) error {
	id, err := s.startBuild(ctx, "research-1")
	if err != nil {
		return err
	}
	member := s.private.member
	m, err := member.market()
	if err != nil {
		return err
	}
	member.command("souk build follow " + id)
	log := s.tell.log()
	shown := followed{app: &App{Out: log, Err: log}, client: http.DefaultClient}
	var ended *marketplaceimagebuild.Build
	err = again(ctx, "build "+id, calmly, func() (bool, error) {
		b, err := m.build(ctx, id)
		if err != nil {
			return false, err
		}
		ended = b
		return b.Status != "InProgress", shown.logs(ctx, b.StandardOutputUrl, b.StandardErrorUrl)
	})
	log.end()
	if err != nil {
		return err
	}
	member.aws("marketplaceimagebuild describe-builds", "--build-ids "+id, "--query 'Builds[0].[Status,DestinationImage,SourceImage,Products]'")
	text, err := json.Marshal([]any{ended.Status, ended.DestinationImage, ended.SourceImage, ended.Products})
	if err != nil {
		return err
	}
	s.tell.answer(text)
	if ended.Status != "Succeeded" || !strings.HasPrefix(ended.DestinationImage.Id, "ami-") {
		return fmt.Errorf("build %s ended as %s, want Succeeded with an image: %+v", id, ended.Status, ended.ErrorDetail)
	}
	s.built.image = ended.DestinationImage.Id
	s.tell.good("%s is an image of the department's own: the base, and one more layer", s.built.image)
	return nil
}

// lookInside exports the image and looks for the package in it.
func (s *story) lookInside(ctx context.Context) error {
	dir, err := s.folder()
	if err != nil {
		return err
	}
	layout := filepath.Join(dir, "research-1")
	err = s.export(ctx, "--oci", layout)
	if err != nil {
		return err
	}
	skopeo, err := exec.LookPath("skopeo")
	if err == nil {
		s.private.member.command("skopeo inspect oci:" + layout + " | jq -c '[.Os, .Architecture, .Layers]'")
		text, err := exec.CommandContext(ctx, skopeo, "inspect", "oci:"+layout).Output()
		if err != nil {
			return fmt.Errorf("skopeo inspect: %w", err)
		}
		var is struct {
			Os, Architecture string
			Layers           []string
		}
		err = json.Unmarshal(text, &is)
		if err != nil {
			return fmt.Errorf("reading what skopeo says: %w", err)
		}
		text, err = json.Marshal([]any{is.Os, is.Architecture, is.Layers})
		if err != nil {
			return err
		}
		s.tell.answer(text)
		if len(is.Layers) < 2 {
			return fmt.Errorf("the new image has %d layers, want that of the base and one more", len(is.Layers))
		}
	}
	flat := filepath.Join(dir, "research-1.tar")
	err = s.export(ctx, "--rootfs", flat)
	if err != nil {
		return err
	}
	found, err := inTree(flat)
	if err != nil {
		return err
	}
	s.private.member.command("tar -tvf " + flat + " --wildcards '*/" + packageName + "'")
	s.tell.answer([]byte(found.listed))
	s.private.member.command("tar -xOf " + flat + " var/lib/dpkg/status | grep -A 9 '^Package: " + packageName + "' | grep -E '^(Package|Status|Version)'")
	s.tell.answer([]byte(found.status))
	if !strings.Contains(found.listed, "usr/bin/"+packageName) || !strings.Contains(found.listed, "var/lib/"+packageName) || !strings.Contains(found.status, "install ok installed") {
		return errors.New("the package is not in the new image")
	}
	s.tell.good("the package is installed: its program, its user's folder, and dpkg's record of it")
	return nil
}

// export writes the image to files with the command that a user types.
func (s *story) export(ctx context.Context, form, to string) error {
	member := s.private.member
	member.command("souk image export " + s.built.image + " " + form + " " + to)
	return member.souk(ctx, io.Discard, "image", "export", s.built.image, form, to)
}

// inside is what was found of the package in a root file system.
type inside struct {
	listed string // its files, as tar -tv shows them
	status string // what dpkg says of it
}

// inTree looks for the package in an archive of a root file system.
func inTree(name string) (found inside, err error) {
	f, err := os.Open(name)
	if err != nil {
		return inside{}, err
	}
	defer f.Close()
	for archive := tar.NewReader(f); ; {
		h, err := archive.Next()
		if err == io.EOF {
			return found, nil
		}
		if err != nil {
			return inside{}, fmt.Errorf("reading %s: %w", name, err)
		}
		path := strings.Trim(strings.TrimPrefix(h.Name, "./"), "/")
		if strings.HasSuffix(path, "/"+packageName) {
			found.listed += fmt.Sprintf("%s %d/%d\t%8d %s %s\n", h.FileInfo().Mode(), h.Uid, h.Gid, h.Size, h.ModTime.UTC().Format("2006-01-02 15:04"), h.Name)
		}
		if path != "var/lib/dpkg/status" {
			continue
		}
		status, err := io.ReadAll(archive)
		if err != nil {
			return inside{}, fmt.Errorf("reading %s: %w", name, err)
		}
		for paragraph := range strings.SplitSeq(string(status), "\n\n") {
			if !strings.HasPrefix(strings.TrimLeft(paragraph, "\n"), "Package: "+packageName+"\n") {
				continue
			}
			for line := range strings.Lines(paragraph) {
				if name, _, _ := strings.Cut(line, ":"); name == "Package" || name == "Status" || name == "Version" {
					found.status += line
				}
			}
		}
	}
}

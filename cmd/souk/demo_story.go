package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"souk/access/organization"
	"souk/server"
	"souk/server/control"
)

// story is what the demo tells: sellers publish products, a department obtains them
// and has them built in. Each step looks at what really came of it; an error ends
// the story.
type story struct {
	tell   *teller
	host   string // HOST:PORT of the registry
	logo   string // URL of the logo
	root   *shopper
	market server.Place

	acme    *shopper
	product string
	digest  string // of the image of version 1.0
	machine machine
	private private

	base  string // --base
	built built
	// machines says why nothing runs installers here; nil if something does.
	machines func(context.Context) error
}

// shown is what the story looks at of DescribeEntity's Details.
type shown struct {
	Description struct {
		ProductTitle, Visibility string
	}
	PromotionalResources struct{ LogoUrl string }
	Repositories         []struct{ Url string }
	Versions             []struct {
		Id, VersionTitle string
		Sources          []struct {
			Type, HelmChartUri string
			Images             []string
		}
		DeliveryOptions []struct{ Id, Title, Type, Visibility string }
	}
}

const entityType = "ContainerProduct"

// stepTakes is what a step takes beside a minute at most.
type stepTakes int

const (
	machines stepTakes = iota + 1 // and a base: left out where they are not there
	longer                        // time, where Debian is made
)

// tellAll tells the whole story.
func (s *story) tellAll(ctx context.Context) error {
	for _, step := range []struct {
		title string
		run   func(context.Context) error
		takes stepTakes
	}{
		{"Who am I?", s.whoAmI, 0},
		{"A seller joins the market", s.join, 0},
		{"The seller creates a product, and two repositories for it, in one change set", s.create, 0},
		{"She pushes an image of two layers and a Helm chart to the market's registry", s.push, 0},
		{"She says what the product is; the market fetches and keeps its logo", s.inform, 0},
		{"She releases the product: it is Limited now, for her to try", s.release, 0},
		{"She adds version 1.0: containers, and the Helm chart that runs them", s.addVersion, 0},
		{"She opens it to everybody", s.publish, 0},
		{"A wrong version is refused, and the market says all that is wrong with it", s.wrongVersion, 0},
		{"Version 1.1 comes, and version 1.0 is restricted: no new buyer gets it", s.restrict, 0},
		{"A buyer pulls what is public", s.buy, 0},
		{"What is in the market now", s.list, 0},
		{"The seller brings a machine image", s.bringImage, 0},
		{"The operator loads security advisories", s.loadAdvisories, 0},
		{"The market looks inside the image, and refuses it", s.scanFails, 0},
		{"She mends it, and an AMI product goes public with its offer", s.mend, 0},
		{"A SaaS product and its offer, in one change set", s.sellService, 0},
		{"She sells a second container product", s.sellAnother, 0},
		{"An organisation has departments: an account is made, and entered by a role", s.enter, 0},
		{"A private marketplace: a look, an audience, one product allowed and one denied", s.decide, 0},
		{"The department obtains what is allowed, and is told why not the rest", s.obtain, 0},
		{"The operator brings a base, on which products are installed", s.bringBase, longer},
		{"The seller packs a program for it", s.pack, machines},
		{"She makes an installer of the package, and the market tries it before it lists it", s.listInstaller, machines},
		{"A build is refused, until the private marketplace allows what it installs", s.refuseBuild, machines},
		{"The department has the product installed: the base becomes an image of its own", s.build, machines},
		{"What is in the new image", s.lookInside, machines},
		{"What was built is worked on by hand: an AppStream image, and an image builder of it", s.bringWorkbench, machines},
		{"A program is installed in it, and it becomes an image again, with its application", s.workInside, machines},
		{"That becomes an AMI, and the machine goes", s.takeAway, machines},
		{"The market examines itself", s.doctor, 0},
		{"All that was done is on record", s.lookBack, 0},
	} {
		if step.takes == machines && s.built.without != "" {
			continue
		}
		s.tell.chapter(step.title)
		patience := time.Minute
		if step.takes == longer {
			patience = 10 * time.Minute
		}
		limited, cancel := context.WithTimeout(ctx, patience)
		err := step.run(limited)
		cancel()
		if err != nil {
			return fmt.Errorf("%s: %w", strings.ToLower(step.title[:1])+step.title[1:], err)
		}
	}
	return nil
}

func (s *story) whoAmI(ctx context.Context) error {
	s.operator("eval \"$(souk env --data " + s.market.Data + ")\"")
	account, err := s.root.identity(ctx)
	if err != nil {
		return err
	}
	s.tell.good("the root user of account %s, which the market made at its first start", account)
	return nil
}

// operator prints a command of the machine that the market runs on.
func (s *story) operator(command string) {
	s.tell.as("on the market's machine")
	s.tell.command(command)
}

func (s *story) join(ctx context.Context) error {
	account, seller, err := s.newAccount(ctx, "seller", "Acme Analytics", "acme")
	if err != nil {
		return err
	}
	s.acme = seller
	got, err := s.acme.identity(ctx)
	if err != nil {
		return err
	}
	if got != account {
		return fmt.Errorf("the keys of account %s belong to %s", account, got)
	}
	return nil
}

// newAccount makes an account and its first key, by the door that souk account
// and souk key use.
func (s *story) newAccount(ctx context.Context, role, name, namespace string) (id string, user *shopper, err error) {
	caller, closer, err := server.Reach(ctx, s.market)
	if err != nil {
		return "", nil, err
	}
	defer closer()
	directory := control.Directory{Caller: caller}
	s.operator("souk account create --name '" + name + "' --namespace " + namespace + " --data " + s.market.Data)
	a, err := directory.CreateAccount(ctx, organization.NewAccount{Name: name, Namespace: namespace})
	if err != nil {
		return "", nil, err
	}
	s.tell.answer([]byte(a.ID))
	s.operator("eval \"$(souk key create --account " + a.ID + " --env --data " + s.market.Data + ")\"")
	key, err := directory.CreateKey(ctx, a.ID, "")
	if err != nil {
		return "", nil, err
	}
	return a.ID, newShopper(s.tell, "the "+role+", "+name, s.root.url, key.ID, key.Secret, ""), nil
}

func (s *story) create(ctx context.Context) error {
	done, err := s.acme.change(ctx, "Create Acme Query", `[
        {
          "ChangeType": "CreateProduct",
          "ChangeName": "CreateProductChange",
          "Entity": { "Type": "ContainerProduct@1.0" },
          "DetailsDocument": { "ProductTitle": "Acme Query" }
        },
        {
          "ChangeType": "AddRepositories",
          "Entity": {
            "Type": "ContainerProduct@1.0",
            "Identifier": "$CreateProductChange.Entity.Identifier"
          },
          "DetailsDocument": {
            "Repositories": [
              { "RepositoryName": "query", "RepositoryType": "ECR" },
              { "RepositoryName": "query-chart", "RepositoryType": "ECR" }
            ]
          }
        }
      ]`, types.ChangeStatusSucceeded)
	if err != nil {
		return err
	}
	s.product = bare(aws.ToString(done.ChangeSet[0].Entity.Identifier))
	s.acme.aws("marketplace-catalog describe-entity", "--catalog "+catalogName+" --entity-id "+s.product, "--query DetailsDocument.Repositories")
	var p shown
	err = s.acme.describe(ctx, s.product, &p)
	if err != nil {
		return err
	}
	err = s.acme.show("DetailsDocument", "Repositories")
	if err != nil {
		return err
	}
	if len(p.Repositories) != 2 || p.Description.Visibility != "Draft" {
		return fmt.Errorf("product %s has %d repositories and is %s, want 2 and Draft", s.product, len(p.Repositories), p.Description.Visibility)
	}
	s.tell.good("product %s is a Draft with two repositories", s.product)
	return nil
}

// image names an image of the seller's.
func (s *story) image(repository, tag string) string {
	return s.host + "/acme/" + repository + ":" + tag
}

func (s *story) push(ctx context.Context) error {
	s.login(s.acme)
	img, err := demoImage("1.0")
	if err != nil {
		return err
	}
	s.digest, err = s.pushOne(ctx, "docker push "+s.image("query", "1.0"), s.image("query", "1.0"), img)
	if err != nil {
		return err
	}
	packed, err := demoChart("1.0.0", s.image("query", "1.0"))
	if err != nil {
		return err
	}
	chart, err := chartArtifact("1.0.0", packed)
	if err != nil {
		return err
	}
	s.tell.say("The chart is stored as helm stores it:")
	_, err = s.pushOne(ctx, "helm push "+chartName+"-1.0.0.tgz oci://"+s.host+"/acme --plain-http", s.image(chartName, "1.0.0"), chart)
	return err
}

// login prints how docker gets somebody's keys.
func (s *story) login(user *shopper) {
	user.command("docker login " + s.host + " --username " + user.id + " --password-stdin <<< \"$AWS_SECRET_ACCESS_KEY\"")
}

// pushOne pushes an image, as a command does it, and asks for its digest.
func (s *story) pushOne(ctx context.Context, command, image string, img v1.Image) (digest string, err error) {
	s.acme.command(command)
	ref, err := name.ParseReference(image, name.Insecure)
	if err != nil {
		return "", err
	}
	login := remote.WithAuth(&authn.Basic{Username: s.acme.id, Password: s.acme.key})
	err = remote.Write(ref, img, login, remote.WithContext(ctx))
	if err != nil {
		return "", err
	}
	found, err := remote.Head(ref, login, remote.WithContext(ctx))
	if err != nil {
		return "", err
	}
	want, err := img.Digest()
	if err != nil {
		return "", err
	}
	if found.Digest != want {
		return "", fmt.Errorf("the registry has %s as %s, which was pushed as %s", found.Digest, image, want)
	}
	layers, err := img.Layers()
	if err != nil {
		return "", err
	}
	s.tell.good("%d layer(s), %s", len(layers), want)
	return want.String(), nil
}

func (s *story) inform(ctx context.Context) error {
	_, err := s.acme.change(ctx, "Describe Acme Query", s.of("UpdateInformation", `{
            "ProductTitle": "Acme Query",
            "ShortDescription": "Answers questions about your data, in place.",
            "LongDescription": "Acme Query runs beside your data and answers questions about it. Nothing leaves your network.",
            "LogoUrl": "`+s.logo+`",
            "Highlights": ["Runs in your cluster", "Nothing leaves your network"],
            "SupportDescription": "Write to support@example.com.",
            "Categories": ["Databases"],
            "SearchKeywords": ["query", "analytics"]
          }`), types.ChangeStatusSucceeded)
	if err != nil {
		return err
	}
	var p shown
	err = s.acme.describe(ctx, s.product, &p)
	if err != nil {
		return err
	}
	kept := p.PromotionalResources.LogoUrl
	if kept == "" || kept == s.logo {
		return fmt.Errorf("the logo is %q, want the market's own copy", kept)
	}
	err = fetchPicture(ctx, kept)
	if err != nil {
		return err
	}
	s.tell.good("the market keeps its own copy: %s", kept)
	return nil
}

// of is a change set of one change of the product.
func (s *story) of(changeType, details string) string {
	return alone(changeOf("ContainerProduct", s.product, changeType, details))
}

func (s *story) release(ctx context.Context) error {
	_, err := s.acme.change(ctx, "Release Acme Query", s.of("ReleaseProduct", "{}"), types.ChangeStatusSucceeded)
	if err != nil {
		return err
	}
	return s.visible(ctx, "Limited")
}

// visible says whether the product has a visibility.
func (s *story) visible(ctx context.Context, want string) error {
	var p shown
	err := s.acme.describe(ctx, s.product, &p)
	if err != nil {
		return err
	}
	if p.Description.Visibility != want {
		return fmt.Errorf("product %s is %s, want %s", s.product, p.Description.Visibility, want)
	}
	s.tell.good("product %s is %s", s.product, want)
	return nil
}

func (s *story) publish(ctx context.Context) error {
	_, err := s.acme.change(ctx, "Open Acme Query", s.of("UpdateVisibility", `{ "TargetVisibility": "Public" }`), types.ChangeStatusSucceeded)
	if err != nil {
		return err
	}
	return s.visible(ctx, "Public")
}

func (s *story) buy(ctx context.Context) error {
	_, buyer, err := s.newAccount(ctx, "buyer", "Globex", "globex")
	if err != nil {
		return err
	}
	image := s.image("query", "1.1")
	s.login(buyer)
	buyer.command("docker pull " + image)
	ref, err := name.ParseReference(image, name.Insecure)
	if err != nil {
		return err
	}
	img, err := remote.Image(ref, remote.WithAuth(&authn.Basic{Username: buyer.id, Password: buyer.key}), remote.WithContext(ctx))
	if err != nil {
		return err
	}
	err = validate.Image(img) // reads every layer and compares every digest
	if err != nil {
		return fmt.Errorf("pulling %s: %w", image, err)
	}
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	s.tell.good("pulled %s", digest)
	return nil
}

func (s *story) list(ctx context.Context) error {
	s.acme.aws("marketplace-catalog list-entities", "--catalog "+catalogName+" --entity-type "+entityType)
	entities, err := s.acme.catalog.ListEntities(ctx, &marketplacecatalog.ListEntitiesInput{
		Catalog: aws.String(catalogName), EntityType: aws.String(entityType),
	})
	if err != nil {
		return err
	}
	s.tell.answer(s.acme.last.body)
	if len(entities.EntitySummaryList) != 1 || aws.ToString(entities.EntitySummaryList[0].EntityId) != s.product {
		return errors.New("the list does not have the one product")
	}
	s.acme.aws("marketplace-catalog list-change-sets", "--catalog "+catalogName, "--query 'ChangeSetSummaryList[].[ChangeSetName,Status]' --output text")
	sets, err := s.acme.catalog.ListChangeSets(ctx, &marketplacecatalog.ListChangeSetsInput{
		Catalog: aws.String(catalogName),
	})
	if err != nil {
		return err
	}
	var lines strings.Builder
	failed := 0
	for _, set := range sets.ChangeSetSummaryList {
		fmt.Fprintf(&lines, "%s\t%s\n", aws.ToString(set.ChangeSetName), set.Status)
		if set.Status != types.ChangeStatusSucceeded {
			failed++
		}
	}
	s.tell.answer([]byte(lines.String()))
	if len(sets.ChangeSetSummaryList) != 8 || failed != 1 {
		return fmt.Errorf("the list has %d change sets of which %d did not succeed, want 8 and 1", len(sets.ChangeSetSummaryList), failed)
	}
	s.acme.aws("marketplace-catalog describe-entity", "--catalog "+catalogName+" --entity-id "+s.product, "--query DetailsDocument.Description")
	err = s.acme.describe(ctx, s.product, &shown{})
	if err != nil {
		return err
	}
	err = s.acme.show("DetailsDocument", "Description")
	if err != nil {
		return err
	}
	return nil
}

func (s *story) doctor(ctx context.Context) error {
	caller, closer, err := server.Reach(ctx, s.market)
	if err != nil {
		return err
	}
	defer closer()
	s.operator("souk doctor --data " + s.market.Data)
	var findings []string
	err = caller.Call(ctx, "doctor", struct{}{}, &findings)
	if err != nil {
		return err
	}
	if len(findings) > 0 {
		return fmt.Errorf("the doctor found: %s", strings.Join(findings, "; "))
	}
	s.tell.good("the doctor finds nothing wrong")
	return nil
}

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"

	"souk/server"
	"souk/server/control"
)

// This file has the steps of the story about machine images: what is in one is
// really looked at.

// machine is what the steps know of the AMI product.
type machine struct {
	product string
	faulty  string // the AMI that is refused
}

// demoRoot is a root file system: a release of Debian with two packages and the
// seller's program. Careless, it has what must not be sold: a package with a
// known hole, and a key that somebody left behind.
func demoRoot(careless bool) ([]byte, error) {
	openssl := "3.5.4-1"
	if careless {
		openssl = "3.5.1-1"
	}
	installed := func(name, version string) string {
		return "Package: " + name + "\nStatus: install ok installed\nArchitecture: amd64\nVersion: " + version + "\n\n"
	}
	files := []file{
		{"etc/os-release", 0o644, "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\nID=debian\n"},
		{"etc/shadow", 0o640, "root:!*:20454::::::\nadmin:!*:20454::::::\n"},
		{"etc/ssh/sshd_config", 0o644, "PermitRootLogin no\nPasswordAuthentication no\n"},
		{"var/lib/dpkg/status", 0o644, installed("base-files", "13.8") + installed("openssl", openssl)},
		{"usr/bin/query", 0o755, string(helloProgram("Hello from Acme Query\n"))},
	}
	if careless {
		key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("openssh-key-v1 of the demo "), 12))
		files = append(files, file{"home/admin/.ssh/id_ed25519", 0o600, "-----BEGIN OPENSSH " + "PRIVATE KEY-----\n" + key + "\n-----END OPENSSH " + "PRIVATE KEY-----\n"})
	}
	return tarOf(files)
}

// demoAdvisory is an advisory as osv.dev publishes them.
const demoAdvisory = `{
  "schema_version": "1.6.0", "id": "DEBIAN-DEMO-2026-1", "modified": "2026-01-01T00:00:00Z",
  "summary": "A hole that was made up for this demo",
  "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" }],
  "affected": [{
    "package": { "ecosystem": "Debian:13", "name": "openssl" },
    "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": "3.5.4-1" }] }]
  }]
}`

// folder is a folder for what the steps need on a disk.
func (s *story) folder() (string, error) {
	dir := filepath.Join(filepath.Dir(s.market.Data), "goods") // in the folder that the demo removes
	return dir, os.MkdirAll(dir, 0o700)
}

// importImage makes an AMI with the command that a seller types.
func (s *story) importImage(ctx context.Context, file, name string, careless bool) (id string, err error) {
	root, err := demoRoot(careless)
	if err != nil {
		return "", err
	}
	dir, err := s.folder()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, file)
	if err := os.WriteFile(path, root, 0o600); err != nil {
		return "", err
	}
	return s.importFile(ctx, s.acme, path, "--name", name, "--arch", "x86_64")
}

// importFile makes an AMI of an archive with the command that its owner types.
func (s *story) importFile(ctx context.Context, owner *shopper, path string, options ...string) (id string, err error) {
	owner.command("souk image import " + filepath.Base(path) + " " + strings.Join(options, " "))
	var out bytes.Buffer
	err = owner.souk(ctx, &out, append([]string{"image", "import", path}, options...)...)
	if err != nil {
		return "", err
	}
	id = strings.TrimSpace(out.String())
	s.tell.answer([]byte(id))
	if !strings.HasPrefix(id, "ami-") {
		return "", fmt.Errorf("souk image import printed %q, want the id of an AMI", id)
	}
	return id, nil
}

// bringImage imports an image that should not be sold.
func (s *story) bringImage(ctx context.Context) (err error) {
	s.machine.faulty, err = s.importImage(ctx, "query-1.0.tar", "acme-query-1.0", true)
	if err != nil {
		return err
	}
	s.tell.good("%s is a root file system in the market's registry, with a record beside it", s.machine.faulty)
	return nil
}

// loadAdvisories does what an operator does each night.
func (s *story) loadAdvisories(ctx context.Context) error {
	dir, err := s.folder()
	if err != nil {
		return err
	}
	dir = filepath.Join(dir, "osv")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "DEBIAN-DEMO-2026-1.json"), []byte(demoAdvisory), 0o600); err != nil {
		return err
	}
	caller, closer, err := server.Reach(ctx, s.market)
	if err != nil {
		return err
	}
	defer closer()
	s.operator("souk advisories import osv --data " + s.market.Data)
	done, err := control.Advisories{Caller: caller}.Import(ctx, dir)
	if err != nil {
		return err
	}
	if done.Records != 1 {
		return fmt.Errorf("%d advisories were loaded, want 1", done.Records)
	}
	s.tell.good("%d advisory is loaded; osv.dev has them by the thousand", done.Records)
	return nil
}

// ami is a change of the AMI product.
func (s *story) ami(changeType, details string) string {
	return changeOf("AmiProduct", s.machine.product, changeType, details)
}

// offerAMI is the AddDeliveryOptions document of an AMI.
func offerAMI(id string) string {
	return `{
            "Version": { "VersionTitle": "1.0", "ReleaseNotes": "The first version." },
            "DeliveryOptions": [{
              "Details": {
                "AmiDeliveryOptionDetails": {
                  "AmiSource": {
                    "AmiId": "` + id + `",
                    "AccessRoleArn": "arn:aws:iam::111122223333:role/Ingestion",
                    "UserName": "admin",
                    "OperatingSystemName": "DEBIAN",
                    "OperatingSystemVersion": "13"
                  },
                  "UsageInstructions": "Log in as admin and run query.",
                  "RecommendedInstanceType": "m5.large",
                  "SecurityGroups": [{ "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": ["10.0.0.0/8"] }]
                }
              }
            }]
          }`
}

// scanFails offers the careless image and reads what the scan says.
func (s *story) scanFails(ctx context.Context) error {
	done, err := s.acme.change(ctx, "Create Acme Query machine", `[
        {
          "ChangeType": "CreateProduct",
          "ChangeName": "Product",
          "Entity": { "Type": "AmiProduct@1.0" },
          "DetailsDocument": { "ProductTitle": "Acme Query machine" }
        },
        `+changeOf("AmiProduct", createdProduct, "UpdateInformation", `{
            "ShortDescription": "Acme Query on a machine of its own.",
            "LongDescription": "A machine that answers questions about your data.",
            "Highlights": ["Nothing to install"],
            "SupportDescription": "Write to support@example.com.",
            "Categories": ["Databases"],
            "SearchKeywords": ["query"]
          }`)+`
      ]`, types.ChangeStatusSucceeded)
	if err != nil {
		return err
	}
	s.machine.product = bare(aws.ToString(done.ChangeSet[0].Entity.Identifier))
	failed, err := s.acme.change(ctx, "Acme Query machine 1.0", alone(s.ami("AddDeliveryOptions", offerAMI(s.machine.faulty))), types.ChangeStatusFailed)
	if err != nil {
		return err
	}
	report := ""
	for _, e := range failed.ChangeSet[0].ErrorDetailList {
		code, message := aws.ToString(e.ErrorCode), aws.ToString(e.ErrorMessage)
		s.tell.bad("%s: %s", code, message)
		if code != "SCAN_ERROR" {
			return fmt.Errorf("the change set failed with %s, want SCAN_ERROR", code)
		}
		if strings.HasPrefix(message, "http") {
			report = message
		}
	}
	s.acme.command("curl -s '" + report + "'")
	found, err := readReport(ctx, report)
	if err != nil {
		return err
	}
	text := ""
	for _, f := range found {
		text += f.ErrorMessage + "\n"
	}
	if !strings.Contains(text, "openssl") || !strings.Contains(text, "id_ed25519") {
		return fmt.Errorf("the report lacks the package or the key: %s", text)
	}
	s.tell.answer([]byte(text))
	s.tell.good("the scan read every file: the hole in openssl and the key are found")
	return nil
}

// scanError is an entry of a scan's report.
type scanError struct{ ErrorCode, ErrorMessage string }

// readReport reads the report of a scan.
func readReport(ctx context.Context, url string) (found []scanError, err error) {
	text, err := fetch(ctx, url)
	if err == nil {
		err = json.Unmarshal(text, &found)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the report: %w", err)
	}
	return found, nil
}

// mend imports a clean image and publishes the product with its offer.
func (s *story) mend(ctx context.Context) error {
	clean, err := s.importImage(ctx, "query-1.0.1.tar", "acme-query-1.0.1", false)
	if err != nil {
		return err
	}
	if _, err := s.acme.change(ctx, "Acme Query machine 1.0 mended", `[
        `+s.ami("AddDeliveryOptions", offerAMI(clean))+`,
        `+s.ami("AddRegions", `{ "Regions": ["us-east-1", "eu-west-1"] }`)+`
      ]`, types.ChangeStatusSucceeded); err != nil {
		return err
	}
	_, err = s.acme.change(ctx, "Release Acme Query machine", `[
        `+s.ami("ReleaseProduct", "{}")+`,
        `+bringYourOwnLicence(s.machine.product)+`
      ]`, types.ChangeStatusSucceeded)
	if err != nil {
		return err
	}
	if _, err := s.acme.change(ctx, "Open Acme Query machine", alone(s.ami("UpdateVisibility", `{ "TargetVisibility": "Public" }`)), types.ChangeStatusSucceeded); err != nil {
		return err
	}
	filters := `{"AmiProductFilters":{"ProductTitle":{"WildCardValue":"machine"},"Visibility":{"ValueList":["Public"]}}}`
	s.acme.aws("marketplace-catalog list-entities", "--catalog "+catalogName+" --entity-type AmiProduct", "--entity-type-filters '"+filters+"'")
	list, err := s.acme.catalog.ListEntities(ctx, &marketplacecatalog.ListEntitiesInput{
		Catalog: aws.String(catalogName), EntityType: aws.String("AmiProduct"),
		EntityTypeFilters: &types.EntityTypeFiltersMemberAmiProductFilters{Value: types.AmiProductFilters{
			ProductTitle: &types.AmiProductTitleFilter{WildCardValue: aws.String("machine")},
			Visibility:   &types.AmiProductVisibilityFilter{ValueList: []types.AmiProductVisibilityString{types.AmiProductVisibilityStringPublic}},
		}},
	})
	if err != nil {
		return err
	}
	s.tell.answer(s.acme.last.body)
	if len(list.EntitySummaryList) != 1 || aws.ToString(list.EntitySummaryList[0].EntityId) != s.machine.product {
		return errors.New("the typed filter does not find the AMI product")
	}
	s.tell.good("the AMI product is Public; its version is a copy that she can no longer change")
	return nil
}

// sellService publishes a SaaS product with its offer, all in one change set.
func (s *story) sellService(ctx context.Context) error {
	of := func(changeType, details string) string {
		return changeOf("SaaSProduct", createdProduct, changeType, details)
	}
	done, err := s.acme.change(ctx, "Acme Query as a service", `[
        {
          "ChangeType": "CreateProduct",
          "ChangeName": "Product",
          "Entity": { "Type": "SaaSProduct@1.0" },
          "DetailsDocument": { "ProductTitle": "Acme Query as a service" }
        },
        `+of("UpdateInformation", `{
            "ShortDescription": "Acme Query, run by Acme.",
            "LongDescription": "Ask questions about your data; we run the machines.",
            "Highlights": ["Nothing to run"],
            "SupportDescription": "Write to support@example.com.",
            "Categories": ["Databases"],
            "SearchKeywords": ["query"]
          }`)+`,
        `+of("AddDeliveryOptions", `{ "DeliveryOptions": [{ "Details": { "SaaSUrlDeliveryOptionDetails": { "FulfillmentUrl": "https://example.com/register" } } }] }`)+`,
        `+of("AddDimensions", `[{ "Key": "users", "Name": "Users", "Description": "Users who ask.", "Unit": "Users", "Types": ["Entitled"] }]`)+`,
        `+of("ReleaseProduct", "{}")+`,
        {
          "ChangeType": "CreateOffer",
          "ChangeName": "Offer",
          "Entity": { "Type": "Offer@1.0" },
          "DetailsDocument": { "ProductId": "$Product.Entity.Identifier" }
        },
        `+ofOffer("UpdateInformation", `{ "Name": "Public offer", "Description": "For everybody." }`)+`,
        `+ofOffer("UpdatePricingTerms", `{
            "PricingModel": "Contract",
            "Terms": [{
              "Type": "ConfigurableUpfrontPricingTerm", "CurrencyCode": "USD",
              "RateCards": [{
                "Selector": { "Type": "Duration", "Value": "P12M" },
                "RateCard": [{ "DimensionKey": "users", "Price": "25.00" }],
                "Constraints": { "MultipleDimensionSelection": "Allowed", "QuantityConfiguration": "Allowed" }
              }]
            }]
          }`)+`,
        `+ofOffer("UpdateLegalTerms", `{ "Terms": [{ "Type": "LegalTerm", "Documents": [{ "Type": "StandardEula", "Version": "2022-07-14" }] }] }`)+`,
        `+ofOffer("UpdateSupportTerms", `{ "Terms": [{ "Type": "SupportTerm", "RefundPolicy": "None." }] }`)+`,
        `+ofOffer("UpdateRenewalTerms", `{ "Terms": [{ "Type": "RenewalTerm" }] }`)+`,
        `+ofOffer("ReleaseOffer", "{}")+`
      ]`, types.ChangeStatusSucceeded)
	if err != nil {
		return err
	}
	offer := bare(aws.ToString(done.ChangeSet[5].Entity.Identifier))
	s.acme.aws("marketplace-catalog describe-entity", "--catalog "+catalogName+" --entity-id "+offer, "--query DetailsDocument.Terms")
	var shown struct {
		State string
		Terms []struct{ Type string }
	}
	if err := s.acme.describe(ctx, offer, &shown); err != nil {
		return err
	}
	if err := s.acme.show("DetailsDocument", "Terms"); err != nil {
		return err
	}
	if shown.State != "Released" || len(shown.Terms) != 4 {
		return fmt.Errorf("offer %s is %s with %d terms, want Released with 4", offer, shown.State, len(shown.Terms))
	}
	s.tell.good("12 changes of two entities, applied as one: the product and its offer are released")
	return nil
}

package conformance

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"

	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// TestAScanRefusesAnAMIUntilItIsMended imports advisories and an AMI with a
// planted key and a vulnerable package, reads the report and the assessment of
// the change set that fails, and publishes the AMI that was mended.
func TestAScanRefusesAnAMIUntilItIsMended(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		server := souktest.Start(t, o)
		osv := filepath.Join(t.TempDir(), "osv")
		must(t, os.Mkdir(osv, 0o700))
		must(t, os.WriteFile(filepath.Join(osv, "DSA-5764-1.json"), []byte(`{"id": "DSA-5764-1", "modified": "2024-09-03T00:00:00Z", "upstream": ["CVE-2024-6119"], "summary": "openssl - security update",
			"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}],
			"affected": [{"package": {"ecosystem": "Debian:13", "name": "openssl"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.14-1~deb12u2"}]}]}]}`), 0o600))
		server.Must(t, "advisories", "import", osv)

		p := &rowProduct{Seller: server.Account(t, "scans", "scans").Seller(server), values: map[string]string{"namespace": "scans"}}
		image := func(name, openssl string, keys string) string {
			t.Helper()
			var rootfs bytes.Buffer
			w := tar.NewWriter(&rootfs)
			for _, file := range [][2]string{
				{"etc/os-release", "ID=debian\nVERSION_ID=\"13\"\nPRETTY_NAME=\"Debian GNU/Linux 13\"\n"},
				{"var/lib/dpkg/status", "Package: libssl3\nStatus: install ok installed\nSource: openssl\nVersion: " + openssl + "\n"},
				{"root/.ssh/authorized_keys", keys},
			} {
				must(t, w.WriteHeader(&tar.Header{Name: file[0], Mode: 0o644, Size: int64(len(file[1]))}))
				_, err := w.Write([]byte(file[1]))
				must(t, err)
			}
			must(t, w.Close())
			path := filepath.Join(t.TempDir(), "root.tar")
			must(t, os.WriteFile(path, rootfs.Bytes(), 0o600))
			return p.souk(t, "image", "import", path, "--name", name, "--arch", "x86_64")
		}
		send := func(ami string) *marketplacecatalog.DescribeChangeSetOutput {
			t.Helper()
			return p.send(t, map[string]any{"Catalog": seller.Catalog, "ChangeSet": amiProduct(ami)})
		}

		set := send(image("bad", "3.0.14-1~deb12u1", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 builder\n"))
		version := slices.IndexFunc(set.ChangeSet, func(c types.ChangeSummary) bool { return aws.ToString(c.ChangeType) == "AddDeliveryOptions" })
		if set.Status != types.ChangeStatusFailed || len(set.ChangeSet[version].ErrorDetailList) == 0 || aws.ToString(set.ChangeSet[version].ErrorDetailList[0].ErrorCode) != "SCAN_ERROR" {
			t.Fatalf("the change set is %s: %s", set.Status, seller.Refusals(set))
		}
		var report []struct{ ErrorCode, ErrorMessage, Package, FixedVersion, AdvisoryId, Path string }
		answer, err := http.Get(aws.ToString(set.ChangeSet[version].ErrorDetailList[0].ErrorMessage))
		must(t, err)
		defer answer.Body.Close()
		must(t, json.NewDecoder(answer.Body).Decode(&report))
		codes := map[string]string{}
		for _, e := range report {
			codes[e.ErrorCode] = e.Path + " " + e.Package + " " + e.FixedVersion + " " + e.AdvisoryId
			if e.ErrorMessage == "" {
				t.Errorf("%s has no message", e.ErrorCode)
			}
		}
		if len(codes) != 2 || codes["AUTHORIZED_KEY"] != "root/.ssh/authorized_keys   " || codes["VULNERABLE_PACKAGE"] != "var/lib/dpkg/status libssl3 3.0.14-1~deb12u2 DSA-5764-1" {
			t.Errorf("the report is %v", codes)
		}

		good := send(image("good", "3.0.14-1~deb12u2", ""))
		if good.Status != types.ChangeStatusSucceeded {
			t.Fatalf("the mended change set is %s: %s", good.Status, seller.Refusals(good))
		}
		for _, c := range []struct {
			set  *string
			want types.AssessmentResult
		}{{set.ChangeSetId, types.AssessmentResultFail}, {good.ChangeSetId, types.AssessmentResultPass}} {
			list, err := p.Catalog.ListAssessments(t.Context(), &marketplacecatalog.ListAssessmentsInput{Catalog: aws.String(seller.Catalog), FrameworkId: aws.String("AMISecurity"), AssessmentTargetFilter: &types.AssessmentTargetFilter{ChangeSetId: c.set}})
			must(t, err)
			if len(list.AssessmentSummaryList) != 1 || list.AssessmentSummaryList[0].AssessmentResult != c.want {
				t.Fatalf("the assessments of %s are %+v, want one %s", *c.set, list.AssessmentSummaryList, c.want)
			}
			// An option of that id exists when the change set has succeeded.
			option := optionOf(list.AssessmentSummaryList[0].FrameworkSummary)
			filtered, err := p.Catalog.ListAssessments(t.Context(), &marketplacecatalog.ListAssessmentsInput{Catalog: aws.String(seller.Catalog), FrameworkId: aws.String("AMISecurity"), FrameworkFilters: &types.FrameworkFiltersMemberAMISecurityFilters{Value: types.AMISecurityFilters{DeliveryOptionId: &option}}})
			must(t, err)
			if option == "" || len(filtered.AssessmentSummaryList) != 1 || aws.ToString(filtered.AssessmentSummaryList[0].AssessmentId) != aws.ToString(list.AssessmentSummaryList[0].AssessmentId) {
				t.Errorf("by its delivery option %q of %s are found %s", option, c.want, seller.JSON(filtered.AssessmentSummaryList))
			}
			if c.want == types.AssessmentResultPass {
				entity, err := p.Entity(t.Context(), seller.EntityID(good.ChangeSet[version]))
				must(t, err)
				if text := seller.JSON(entity.DetailsDocument) + aws.ToString(entity.Details); !strings.Contains(text, option) {
					t.Errorf("the product has no delivery option %s: %s", option, text)
				}
			}
			shown, err := p.Catalog.DescribeAssessment(t.Context(), &marketplacecatalog.DescribeAssessmentInput{Catalog: aws.String(seller.Catalog), AssessmentIdentifier: list.AssessmentSummaryList[0].AssessmentArn})
			must(t, err)
			for _, control := range shown.ControlAssessments {
				id := aws.ToString(control.ControlId)
				failed := c.want == types.AssessmentResultFail && (id == "PackageVulnerabilities" || id == "AuthorizedKeys")
				if want := map[bool]types.ControlAssessmentResult{true: "FAIL", false: "PASS"}[failed]; control.ControlAssessmentResult != want {
					t.Errorf("%s of %s is %s, want %s", id, c.want, control.ControlAssessmentResult, want)
				}
			}
		}
	})
}

// optionOf is the delivery option that an assessment of an AMI names.
func optionOf(s types.FrameworkSummary) string {
	ami, ok := s.(*types.FrameworkSummaryMemberAMISecuritySummary)
	if !ok {
		return ""
	}
	return aws.ToString(ami.Value.DeliveryOptionId)
}

// TestScansOfContainerImagesAreShown: the scan that refuses a version and the one
// that lets it pass are both among the assessments.
func TestScansOfContainerImagesAreShown(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		server := souktest.Start(t, o)
		ctx, s := t.Context(), server.Root(t)
		product, err := s.Limited(ctx, "Scanned containers", "app")
		must(t, err)
		p, err := s.Product(ctx, product)
		must(t, err)
		path, err := p.RepositoryPath("app")
		must(t, err)
		must(t, s.Push(ctx, path, "careless", carelessImage(t)))
		mended, err := seller.Image("the program alone")
		must(t, err)
		must(t, s.Push(ctx, path, "mended", mended))
		for _, test := range []struct {
			tag    string
			status types.ChangeStatus
			result types.AssessmentResult
			keys   types.ControlAssessmentResult
		}{
			{"careless", types.ChangeStatusFailed, types.AssessmentResultFail, types.ControlAssessmentResultFail},
			{"mended", types.ChangeStatusSucceeded, types.AssessmentResultPass, types.ControlAssessmentResultPass},
		} {
			id, err := s.Start(ctx, seller.Change("AddDeliveryOptions", product, seller.Version("1.0", s.Host()+"/"+path+":"+test.tag)))
			must(t, err)
			set, err := s.Wait(ctx, id)
			must(t, err)
			if set.Status != test.status {
				t.Errorf("the %s version is %s: %s", test.tag, set.Status, seller.Refusals(set))
			}
			list, err := s.Catalog.ListAssessments(ctx, &marketplacecatalog.ListAssessmentsInput{
				Catalog: aws.String(seller.Catalog), FrameworkId: aws.String("ContainerSecurity"), AssessmentTargetFilter: &types.AssessmentTargetFilter{ChangeSetId: &id},
			})
			must(t, err)
			if len(list.AssessmentSummaryList) != 1 || list.AssessmentSummaryList[0].AssessmentResult != test.result {
				t.Fatalf("the assessments of the %s version are %s, want one %s", test.tag, seller.JSON(list.AssessmentSummaryList), test.result)
			}
			container, ok := list.AssessmentSummaryList[0].FrameworkSummary.(*types.FrameworkSummaryMemberContainerSecuritySummary)
			if !ok {
				t.Fatalf("the assessment of the %s version names no delivery option: %s", test.tag, seller.JSON(list.AssessmentSummaryList))
			}
			option := aws.ToString(container.Value.DeliveryOptionId)
			filtered, err := s.Catalog.ListAssessments(ctx, &marketplacecatalog.ListAssessmentsInput{
				Catalog: aws.String(seller.Catalog), FrameworkFilters: &types.FrameworkFiltersMemberContainerSecurityFilters{Value: types.ContainerSecurityFilters{DeliveryOptionId: &option}},
			})
			must(t, err)
			entity, err := s.Entity(ctx, product)
			must(t, err)
			there := strings.Contains(seller.JSON(entity.DetailsDocument)+aws.ToString(entity.Details), option)
			if option == "" || len(filtered.AssessmentSummaryList) != 1 || there != (test.status == types.ChangeStatusSucceeded) {
				t.Errorf("the delivery option %q of the %s version: the product has it: %t; assessments of it: %s", option, test.tag, there, seller.JSON(filtered.AssessmentSummaryList))
			}
			shown, err := s.Catalog.DescribeAssessment(ctx, &marketplacecatalog.DescribeAssessmentInput{
				Catalog: aws.String(seller.Catalog), AssessmentIdentifier: list.AssessmentSummaryList[0].AssessmentArn,
			})
			must(t, err)
			i := slices.IndexFunc(shown.ControlAssessments, func(c types.ControlAssessment) bool { return aws.ToString(c.ControlId) == "PrivateKeys" })
			if i < 0 || shown.ControlAssessments[i].ControlAssessmentResult != test.keys {
				t.Errorf("the control PrivateKeys of the %s version is not %s: %s", test.tag, test.keys, seller.JSON(shown.ControlAssessments))
			}
		}
	})
}

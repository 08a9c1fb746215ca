package conformance

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"souk/conformance/souktest"
	"souk/spec"
)

func TestDocumentedErrorsOfAmiProducts(t *testing.T) {
	t.Parallel()
	provokeAll(t, "AmiProduct", os.DirFS("../catalog/amiproduct/testdata"), []string{
		"CreateProduct", "UpdateInformation", "AddRegions", "RestrictRegions", "UpdateFutureRegionSupport",
		"AddInstanceTypes", "RestrictInstanceTypes", "AddDeliveryOptions", "UpdateDeliveryOptions", "RestrictDeliveryOptions",
		"AddDimensions", "UpdateDimensions", "RestrictDimensions", "UpdateTargeting", "ReleaseProduct", "UpdateVisibility",
	})
}

// samplesAMIs are the flags with which souk image import makes the AMIs that
// catalog/amiproduct/testdata/README.md lists.
var samplesAMIs = map[string][]string{
	"good":          {"--arch=x86_64"},
	"other":         {"--arch=x86_64"},
	"arm":           {"--arch=arm64"},
	"paravirtual":   {"--arch=x86_64", "--virtualization=paravirtual", "--ena=true"},
	"store":         {"--arch=x86_64", "--root-device=instance-store"},
	"without-ena":   {"--arch=x86_64", "--ena=false"},
	"with-code":     {"--arch=x86_64", "--product-code=abcdefghijklmnopqrstuvwx1"},
	"unreadable":    {"--arch=x86_64"},
	"with-findings": {"--arch=x86_64"},
}

// scanned stands in expected messages for what only the scanner knows.
const scanned = "[x]"

// images imports the AMIs that samples of a state, and the way to it, name.
func (p *rowProduct) images(t *testing.T, setups map[string]spec.Setup, state string, samples []spec.Sample) {
	t.Helper()
	account, err := p.Account(t.Context())
	must(t, err)
	p.values["account"], p.values["ami:missing"] = account, "ami-0fffffffffffffff0"
	p.values["report"], p.values["finding"] = "http"+scanned, "/root/.ssh/authorized_keys lets in "+scanned
	var texts strings.Builder
	for _, sample := range samples {
		texts.Write(sample.Details)
	}
	for ; state != ""; state = setups[state].From {
		for _, change := range setups[state].Changes {
			texts.Write(change.Details)
		}
	}
	for image, flags := range samplesAMIs {
		if strings.Contains(texts.String(), "${ami:"+image+"}") || image == "good" && strings.Contains(texts.String(), ":component/elsewhere/") {
			p.values["ami:"+image] = p.importImage(t, image, flags)
		}
	}
	p.components(t, texts.String())
	if p.values["ami:unreadable"] != "" {
		p.deleteImage(t, p.values["ami:unreadable"])
	}
}

// importImage makes an AMI as a seller does, and returns its id.
func (p *rowProduct) importImage(t *testing.T, image string, flags []string) string {
	t.Helper()
	var rootfs bytes.Buffer
	w := tar.NewWriter(&rootfs)
	type file struct{ name, text string }
	files := []file{
		{"etc/os-release", "ID=debian\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"13\"\nPRETTY_NAME=\"Debian GNU/Linux 13\"\n"},
		{"etc/motd", "The sample " + image + " of " + p.values["namespace"] + ".\n"},
	}
	if image == "good" { // components run in it
		shell, err := os.ReadFile("/bin/busybox") // Debian's package busybox-static
		must(t, err)
		files = append(files, file{"bin/busybox", string(shell)}, file{"bin/sh", string(shell)}, file{"bin/test", string(shell)}, file{"etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"})
	}
	if image == "with-findings" {
		files = append(files, file{"root/.ssh/authorized_keys", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8oO4Xk0nJ0uW0eZ7s9oP1cJ7yqWkq6n0T5Zc1x2y3z builder\n"})
	}
	for _, file := range files {
		mode := int64(0o644)
		if strings.HasPrefix(file.name, "bin/") {
			mode = 0o755
		}
		must(t, w.WriteHeader(&tar.Header{Name: file.name, Mode: mode, Size: int64(len(file.text))}))
		_, err := w.Write([]byte(file.text))
		must(t, err)
	}
	must(t, w.Close())
	path := filepath.Join(t.TempDir(), "root.tar")
	must(t, os.WriteFile(path, rootfs.Bytes(), 0o600))
	return p.souk(t, append([]string{"image", "import", path, "--name", image}, flags...)...)
}

// souk runs a command of souk with the seller's key.
func (p *rowProduct) souk(t *testing.T, args ...string) string {
	t.Helper()
	binary, err := souktest.Binary("")
	must(t, err)
	c := exec.CommandContext(t.Context(), binary, args...)
	c.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+p.URL, "AWS_REGION="+p.Region, "AWS_ACCESS_KEY_ID="+p.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+p.SecretAccessKey, "AWS_SESSION_TOKEN=", "NO_COLOR=1")
	var out, problems bytes.Buffer
	c.Stdout, c.Stderr = &out, &problems
	if err := c.Run(); err != nil {
		t.Fatalf("souk %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), problems.String())
	}
	return strings.TrimSpace(out.String())
}

// deleteImage deletes what an AMI consists of from the registry; its record stays.
func (p *rowProduct) deleteImage(t *testing.T, id string) {
	t.Helper()
	_, location, ok := strings.Cut(p.souk(t, "image", "show", id), p.Host()+"/")
	if !ok {
		t.Fatalf("souk image show %s says not where it lies", id)
	}
	location, _, _ = strings.Cut(location, "\n")
	ref, err := name.ParseReference(p.Host()+"/"+strings.TrimSpace(location), name.Insecure)
	must(t, err)
	must(t, remote.Delete(ref, p.Remote(t.Context())...))
}

// licenceOffer is the changes that make a public offer of a product whose buyers
// bring their own licence, and release it.
func licenceOffer(product string) []any {
	type object = map[string]any
	change := func(changeType string, details object) any {
		return object{"ChangeType": changeType, "Entity": object{"Type": "Offer@1.0", "Identifier": "$Offer.Entity.Identifier"}, "DetailsDocument": details}
	}
	return []any{
		object{"ChangeType": "CreateOffer", "ChangeName": "Offer", "Entity": object{"Type": "Offer@1.0"}, "DetailsDocument": object{"ProductId": product}},
		change("UpdateInformation", object{"Name": "Public offer", "Description": "Of a sample."}),
		change("UpdatePricingTerms", object{"PricingModel": "Byol", "Terms": []any{object{"Type": "ByolPricingTerm"}}}),
		change("UpdateLegalTerms", object{"Terms": []any{object{"Type": "LegalTerm", "Documents": []any{object{"Type": "StandardEula", "Version": "2022-07-14"}}}}}),
		change("UpdateSupportTerms", object{"Terms": []any{object{"Type": "SupportTerm", "RefundPolicy": "None."}}}),
		change("ReleaseOffer", object{}),
	}
}

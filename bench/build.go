package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/aws/aws-sdk-go-v2/aws"

	"souk/conformance/seller"
)

// What a build may take beside the script itself.
const (
	buildOverhead  = 700  // milliseconds, at most
	buildOfBuildah = 0.33 // of what buildah takes for all, at most
	buildRounds    = 5
)

// Names of the rows.
const (
	rowChroot      = "build: the installer in a plain chroot"
	rowMemory      = "build: the installer in a plain chroot in memory"
	rowBuildah     = "build: buildah from, run and commit"
	rowBuildahMore = "build: buildah, above the chroot in memory"
	rowBuild       = "build: StartBuild until Succeeded, layers warm"
	rowBuildOver   = "build: StartBuild, above the chroot"
	rowBuildMore   = "build: StartBuild, above the chroot in memory"
)

// debianBase is a root file system of Debian, made by mmdebstrap
// --variant=minbase: what .ci/setup makes. "" if it is not on this machine.
func debianBase() (string, error) {
	path := os.Getenv("SOUK_DEBIAN_BASE")
	if path == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", nil // no home, no cache
		}
		path = filepath.Join(cache, "souk-test", "debian-minbase.tar")
	}
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return path, err
}

// onBase comes by what builds and image builders begin with: the base, beside the
// rows of a machine alone, which a run has once. Where it can't be had, or we are not
// root, whom what is beside them needs, the row says so and there is no base.
func (b *bench) onBase(ctx context.Context, row, beside string) (base string, err error) {
	base, err = debianBase()
	if err != nil {
		return "", fmt.Errorf("looking for the base: %w", err)
	}
	if base == "" {
		b.table.absent(row, "there is no base: make setup makes one, or SOUK_DEBIAN_BASE names a tar of mmdebstrap --variant=minbase")
		return "", nil
	}
	if os.Geteuid() != 0 {
		b.table.absent(row, "it is measured beside "+beside+", for which the bench is to be run as root")
		return "", nil
	}
	if b.table.value(rowMachine) == 0 {
		err = b.machines(ctx, base)
		if err != nil {
			return "", fmt.Errorf("machines: %w", err)
		}
	}
	return base, nil
}

// builds measures StartBuild beside the same installer in a plain chroot and
// beside buildah, in turns: each is of the same base and leaves the same files.
// The scan of the new image comes after Succeeded, and is not in the time.
func (b *bench) builds(ctx context.Context) error {
	base, err := b.onBase(ctx, rowBuild, "chroot and buildah")
	if base == "" || err != nil {
		return err
	}
	product := filepath.Join(b.folder, "product")
	err = os.Mkdir(product, 0o755)
	if err == nil {
		err = writeProduct(product)
	}
	if err != nil {
		return err
	}
	onDisk := &chroot{base: base, product: product, folder: b.folder}
	inMemory := &chroot{base: base, product: product, folder: b.folder, memory: true}
	other, err := newBuildah(ctx, base, product, b.folder)
	if err != nil {
		return err
	}
	souk, err := b.newBuilder(ctx, base, product)
	if err != nil {
		return err
	}
	defer souk.shut()
	var disk, memory, others, othersMore, ours, oursOver, oursMore []time.Duration
	for range buildRounds {
		plain, err := onDisk.install(ctx)
		if err != nil {
			return err
		}
		disk = append(disk, plain)
		floor, err := inMemory.install(ctx)
		if err != nil {
			return err
		}
		memory = append(memory, floor)
		if other != nil {
			took, err := other.build(ctx)
			if err != nil {
				return err
			}
			others, othersMore = append(others, took), append(othersMore, took-floor)
		}
		took, err := souk.build(ctx)
		if err != nil {
			return err
		}
		ours, oursOver, oursMore = append(ours, took), append(oursOver, took-plain), append(oursMore, took-floor)
	}
	rounds := fmt.Sprintf("median of %d", buildRounds)
	b.table.add(rowChroot, median(disk), "ms", fmt.Sprintf("%s; dpkg -i of %d files, useradd, su and the like on %s, unpacked before", rounds, productFiles, filepath.Base(base)))
	b.table.add(rowMemory, median(memory), "ms", rounds+"; nothing that dpkg syncs waits for the disk")
	if other == nil {
		b.table.absent(rowBuildah, "buildah is not on this machine: apt-get install buildah")
	} else {
		b.table.add(rowBuildah, median(others), "ms", rounds+"; "+other.how+"; the base is in its storage")
		b.table.add(rowBuildahMore, median(othersMore), "ms", rounds)
	}
	b.table.add(rowBuild, median(ours), "ms", rounds+", as the client sees it; the scan comes after")
	b.table.least(rowBuildah, 0)
	b.table.add(rowBuildOver, median(oursOver), "ms", rounds+"; below 0 where the chroot waits longer for its disk than the rest takes")
	b.table.most("", buildOverhead)
	b.table.add(rowBuildOver, median(oursOver), "ms", "")
	b.table.most(rowBuildah, buildOfBuildah)
	b.table.add(rowBuildMore, median(oursMore), "ms", rounds+"; no target: buildah waits for the disk, too")
	b.table.least(rowBuildahMore, 0)
	return nil
}

// builder is a market with a base and a listed product whose installer is the
// script.
type builder struct {
	*shop
	ami    string // the base
	option string // FulfillmentOptionId of the product
	made   int
}

// newBuilder starts a market, imports the base, lists the product, and builds
// once, so that the layers are warm.
func (b *bench) newBuilder(ctx context.Context, base, product string) (*builder, error) {
	m, err := b.newMarket("builds", "")
	if err != nil {
		return nil, err
	}
	s, err := m.open()
	if err != nil {
		return nil, err
	}
	r := &builder{shop: s}
	r.ami, err = importImage(ctx, s.root, base, "bench base")
	if err != nil {
		return nil, err
	}
	component, err := r.component(ctx, product)
	if err != nil {
		return nil, err
	}
	err = r.list(ctx, component)
	if err != nil {
		return nil, err
	}
	_, err = r.build(ctx)
	return r, err
}

// component makes the component whose files are those of a folder.
func (r *builder) component(ctx context.Context, product string) (arn string, err error) {
	uri, err := clientCommand(ctx, r.root, "image", "repository")
	if err != nil {
		return "", err
	}
	archive := filepath.Join(r.folder, "product.tar")
	out, err := exec.CommandContext(ctx, "tar", "-C", product, "-cf", archive, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("packing the product: %w\n%s", err, out)
	}
	layer, err := tarball.LayerFromFile(archive)
	if err != nil {
		return "", fmt.Errorf("packing the product: %w", err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return "", fmt.Errorf("packing the product: %w", err)
	}
	repository := strings.TrimPrefix(uri, r.root.Host()+"/")
	err = r.root.Push(ctx, repository, "bench-tool", image)
	if err != nil {
		return "", err
	}
	document := `{name: BenchTool, schemaVersion: 1.0, phases: [{name: build, steps: [{name: Install, action: ExecuteBinary,
		inputs: {path: /bin/sh, arguments: ['{{ souk.files }}/` + productSetup + `', '{{ souk.files }}']}}]}]}`
	var made struct {
		ARN string `json:"componentBuildVersionArn"`
	}
	err = r.call(ctx, "imagebuilder", "PUT", "/CreateComponent", "", map[string]any{
		"name": "Bench Tool", "semanticVersion": "1.0.0", "platform": "Linux", "supportedOsVersions": []string{"Debian"}, "description": "A product.",
		"data": document, "tags": map[string]string{"souk:files": repository + ":bench-tool"}, "clientToken": "bench-component",
	}, &made)
	return made.ARN, err
}

// list lists the component as a version of a product, beside the base that it is
// tried on.
func (r *builder) list(ctx context.Context, component string) error {
	set, err := r.root.Do(ctx, amiChange("CreateProduct", "", `{"ProductTitle": "Bench Tool"}`))
	if err != nil {
		return err
	}
	product := seller.EntityID(set.ChangeSet[0])
	_, err = r.root.Do(ctx, amiChange("AddDeliveryOptions", product, versionDetails("base", r.ami)))
	if err != nil {
		return err
	}
	_, err = r.root.Do(ctx, amiChange("AddDeliveryOptions", product, fmt.Sprintf(
		`{"Version": {"VersionTitle": "1.0", "ReleaseNotes": "What is new."}, "DeliveryOptions": [{"DeliveryOptionTitle": "Bench Tool", "Details": {"Ec2ImageBuilderComponentDeliveryOptionDetails": {
			"UsageInstructions": "Start a build.", "AccessRoleArn": "arn:aws:iam::123456789012:role/AwsMarketplaceAmiIngestion", "ComponentArn": %q}}}]}`, component)))
	if err != nil {
		return err
	}
	described, err := r.root.Entity(ctx, product)
	if err != nil {
		return err
	}
	var shown struct {
		Versions []struct {
			DeliveryOptions []struct{ FulfillmentOptionId string }
		}
	}
	err = json.Unmarshal([]byte(aws.ToString(described.Details)), &shown)
	if err != nil {
		return fmt.Errorf("reading product %s: %w", product, err)
	}
	for _, v := range shown.Versions {
		for _, o := range v.DeliveryOptions {
			if o.FulfillmentOptionId != "" {
				r.option = o.FulfillmentOptionId
				return nil
			}
		}
	}
	return fmt.Errorf("product %s has no fulfillment option", product)
}

// polling is the pause between two looks at a build.
const polling = 10 * time.Millisecond

// build builds once, from the request until the answer that it has succeeded,
// and then waits until the server has done what comes after.
func (r *builder) build(ctx context.Context) (time.Duration, error) {
	r.made++
	var started struct{ BuildId string }
	began := time.Now()
	err := r.imaging(ctx, "StartBuild", map[string]any{
		"FulfillmentOptionIds": []string{r.option}, "SourceImageId": r.ami, "DestinationImageName": fmt.Sprintf("built %d", r.made),
	}, &started)
	if err != nil {
		return 0, err
	}
	err = until(ctx, polling, func() (bool, error) {
		var page struct {
			Builds []struct {
				Status      string
				ErrorDetail struct{ Code, Message string }
			}
		}
		err := r.imaging(ctx, "DescribeBuilds", map[string]any{"BuildIds": []string{started.BuildId}}, &page)
		if err != nil {
			return false, err
		}
		if len(page.Builds) != 1 {
			return false, fmt.Errorf("%d builds are shown as %s", len(page.Builds), started.BuildId)
		}
		b := page.Builds[0]
		if b.Status != "InProgress" && b.Status != "Succeeded" {
			return false, fmt.Errorf("build %s is %s: %s", started.BuildId, b.Status, b.ErrorDetail.Message)
		}
		return b.Status == "Succeeded", nil
	})
	took := time.Since(began)
	if err != nil {
		return 0, err
	}
	return took, r.rest(ctx)
}

// imaging calls the Image Build Service.
func (r *builder) imaging(ctx context.Context, action string, in, out any) error {
	return r.call(ctx, seller.SigningName, "POST", "/", "AWSMPImageBuilding."+action, in, out)
}

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"

	"souk/artifact/images"
	"souk/conformance/seller"
)

// The time that a version of a large image may take, in milliseconds.
const (
	scanCold  = 3000 // its layer was never seen
	scanKnown = 50   // its layer was read before
)

// scans measures versions of an AMI product from the start of their change sets
// to the end: looked up, scanned, copied and published. The image is of Debian:
// the machine's own packages where it is one.
func (b *bench) scans(ctx context.Context, d database) error {
	m, err := b.fresh(ctx, d)
	if err != nil {
		return err
	}
	s, err := m.open()
	if err != nil {
		return err
	}
	defer s.shut()
	root := s.root
	root.Poll = time.Millisecond
	system, err := installed()
	if err != nil {
		return err
	}
	osv := filepath.Join(m.folder, "osv.zip")
	advisories, err := system.advise(osv)
	if err != nil {
		return fmt.Errorf("writing advisories: %w", err)
	}
	if _, err := m.Command("advisories", "import", osv); err != nil {
		return err
	}
	set, err := root.Do(ctx, amiChange("CreateProduct", "", "{}"))
	if err != nil {
		return err
	}
	product := seller.EntityID(set.ChangeSet[0])

	const colds, knowns = 3, 9
	var cold, known []time.Duration
	var size int64
	for i := range colds {
		path := filepath.Join(m.folder, fmt.Sprintf("root-%d.tar", i))
		size, err = system.write(path, i) // each has its own bytes, so that no layer is known
		if err != nil {
			return fmt.Errorf("writing a root file system: %w", err)
		}
		ami, err := importImage(ctx, root, path, fmt.Sprintf("bench-%d", i))
		if err != nil {
			return err
		}
		for j := range 1 + knowns/colds {
			started := time.Now()
			_, err := root.Do(ctx, amiChange("AddDeliveryOptions", product, versionDetails(fmt.Sprintf("%d.%d", i, j), ami)))
			if err != nil {
				return err
			}
			if took := time.Since(started); j == 0 {
				cold = append(cold, took)
			} else {
				known = append(known, took)
			}
		}
	}
	what := fmt.Sprintf("%.0f MB in %d files of %s, %d source packages, %d advisories", float64(size)/1e6, len(system.files), system.name, len(system.sources), advisories)
	b.table.add(d.name+": AMI version from start to end, its scan cold", median(cold), "ms", fmt.Sprintf("median of %d; %s", len(cold), what))
	b.table.most("", scanCold)
	b.table.add(d.name+": AMI version from start to end, its layers known", median(known), "ms", fmt.Sprintf("median of %d", len(known)))
	b.table.most("", scanKnown)
	return nil
}

// architecture is that of this machine, as AMIs name it.
func architecture() string {
	if runtime.GOARCH == "arm64" {
		return images.ARM64
	}
	return images.X8664
}

// amiChange is a change of an AMI product.
func amiChange(changeType, product, details string) types.Change {
	c := seller.Change(changeType, product, details)
	c.Entity.Type = aws.String("AmiProduct@1.0")
	return c
}

// versionDetails is the document of a version with an AMI.
func versionDetails(title, ami string) string {
	return fmt.Sprintf(`{"Version": {"VersionTitle": %q, "ReleaseNotes": "What is new."}, "DeliveryOptions": [{"Details": {"AmiDeliveryOptionDetails": {
		"AmiSource": {"AmiId": %q, "AccessRoleArn": "arn:aws:iam::123456789012:role/AwsMarketplaceAmiIngestion", "UserName": "admin", "OperatingSystemName": "DEBIAN", "OperatingSystemVersion": "12", "ScanningPort": 22},
		"UsageInstructions": "Log in.", "RecommendedInstanceType": "m5.large", "SecurityGroups": [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": ["0.0.0.0/0"]}]}}}]}`, title, ami)
}

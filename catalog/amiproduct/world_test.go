package amiproduct_test

import (
	"context"
	"fmt"
	"strings"

	"souk/catalog/change"
	"souk/catalog/product/producttest"
)

// What the samples' scanner says of the AMI with findings.
const (
	finding   = "an SSH key may log in (root/.ssh/authorized_keys)"
	reportURL = "http://127.0.0.1/reports/1"
)

// missingAMI is an id that no AMI has.
const missingAMI = "ami-0fffffffffffffff0"

// world is what change types may ask here: the AMIs that testdata/README.md
// lists, and what was done with them.
type world struct {
	role      roleOfAMI // the one that is asked about
	amis      map[string]change.AMI
	scanned   []string // ids of AMIs
	published []string // product, then id of the AMI
	unscanned bool     // there is no scanner
	copyFails error    // of Publish

	installers *installers
}

func newWorld() *world {
	w := &world{installers: &installers{}, amis: map[string]change.AMI{
		"good":          {},
		"other":         {},
		"arm":           {Architecture: "arm64"},
		"paravirtual":   {VirtualizationType: "paravirtual"},
		"store":         {RootDeviceType: "instance-store"},
		"without-ena":   {},
		"with-code":     {ProductCodes: []string{"abcdefghijklmnopqrstuvwx1"}},
		"unreadable":    {},
		"with-findings": {},
	}}
	n := 0
	for _, name := range []string{"good", "other", "arm", "paravirtual", "store", "without-ena", "with-code", "unreadable", "with-findings"} {
		ami := w.amis[name]
		ami.ID = fmt.Sprintf("ami-0123456789abcdef%d", n)
		ami.Name, ami.Owner = name, seller.Account
		ami.Digest = "sha256:" + strings.Repeat("0123456789abcdef", 4)
		ami.EnaSupport = name != "without-ena"
		ami.Platform = "Debian GNU/Linux 13"
		for value, field := range map[string]*string{"x86_64": &ami.Architecture, "hvm": &ami.VirtualizationType, "ebs": &ami.RootDeviceType} {
			if *field == "" {
				*field = value
			}
		}
		w.amis[name] = ami
		n++
	}
	return w
}

// Ports implements producttest.World, with one offer of the product.
func (w *world) Ports(i *producttest.Item) change.World {
	ports := change.World{AMIs: w, Roles: w.role, Scanner: w, Logos: w, Components: w.installers, Entities: entities{producttest.Offers{"offer-1": {ProductID: i.Entity.ID}}}}
	if w.unscanned {
		ports.Scanner = nil
	}
	return ports
}

func (w *world) Find(_ context.Context, _ change.Seller, id string) (change.AMI, error) {
	for name, ami := range w.amis {
		switch {
		case ami.ID != id:
		case name == "unreadable":
			return change.AMI{}, fmt.Errorf("%w: its layer is gone", change.ErrAMIUnreadable)
		default:
			return ami, nil
		}
	}
	return change.AMI{}, change.ErrAMINotFound
}

func (w *world) Publish(_ context.Context, product string, a change.AMI) error {
	if w.copyFails == nil {
		w.published = append(w.published, product, a.ID)
	}
	return w.copyFails
}

func (w *world) ScanAMI(_ context.Context, _ change.ScanTarget, a change.AMI) (change.Scan, error) {
	w.scanned = append(w.scanned, a.ID)
	if a.Name == "with-findings" {
		return change.Scan{Assessment: "1", Findings: []string{finding}, Report: reportURL}, nil
	}
	return change.Scan{Assessment: "1"}, nil
}

func (w *world) ScanImage(context.Context, change.ScanTarget, string, string) (change.Scan, error) {
	return change.Scan{}, nil
}

func (w *world) Copy(_ context.Context, url string) (string, error) {
	switch {
	case strings.HasSuffix(url, "/missing.png"):
		return "", change.ErrLogoUnreachable
	case strings.HasSuffix(url, "/text.png"), strings.HasSuffix(url, "/tiny.png"):
		return "", change.ErrLogoNotSupported
	}
	return "https://souk.example/logos/1", nil
}

// roleOfAMI is the one role of a market.
type roleOfAMI struct{ there, allowed bool }

func (r roleOfAMI) May(_ context.Context, _ change.Seller, arn, action, _ string) (there, allowed bool, err error) {
	if action == "imagebuilder:GetComponent" {
		return true, !strings.HasSuffix(arn, ":role/BarredIngestion"), nil
	}
	return r.there, r.allowed, nil
}

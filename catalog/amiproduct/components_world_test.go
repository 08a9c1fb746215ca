package amiproduct_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"souk/catalog/amiproduct"
	"souk/catalog/change"
	"souk/catalog/product/producttest"
)

// logURL is where the whole log of a trial is, and trialFailure what the seller
// reads of it.
const (
	logURL       = "http://127.0.0.1/trials/1"
	trialFailure = "step install of phase build failed: exit code 1 (on Debian GNU/Linux 13). The end of the log: no such package The whole log: " + logURL
)

// installers are the components of the samples' market, which testdata/README.md
// lists, and what was done with them.
type installers struct {
	tried     []change.Trial
	published []string // product, then ARN of the component
	copyFails error    // of Publish
}

func (w *installers) Find(_ context.Context, s change.Seller, arn string) (change.Component, error) {
	_, rest, _ := strings.Cut(arn, ":"+s.Account+":component/")
	name, _, _ := strings.Cut(rest, "/")
	c := change.Component{
		ARN: arn, Name: strings.ToUpper(name[:min(1, len(name))]) + name[min(1, len(name)):], Version: "1.0.0", Build: 1, Description: "A tool.", Platform: "Linux",
		SupportedOSVersions: []string{"Debian 13"}, Document: "schemaVersion: 1.0", Phases: []string{"build", "test"},
		Files: change.ComponentFiles{Repository: "seller/files", Digest: "sha256:" + strings.Repeat("f", 64), Size: 1 << 20},
	}
	region := "eu-west-1"
	c.Parameters = []change.ComponentParameter{{Name: "region", Default: &region}}
	switch name {
	case "", "missing":
		return change.Component{}, fmt.Errorf("%w: %s", change.ErrComponentNotFound, arn)
	case "unreadable":
		return change.Component{}, fmt.Errorf("%w: its layer is gone", change.ErrComponentUnreadable)
	case "large":
		c.Files.Size = 3 << 30
	case "undescribed":
		c.Description = ""
	case strings.Repeat("long-", 15) + "name":
		c.Name = name
	case "systemless":
		c.SupportedOSVersions = nil
	case "incompatible":
		c.SupportedOSVersions = []string{"Ubuntu 22"}
	case "parameterised":
		c.Parameters = append(c.Parameters, change.ComponentParameter{Name: "token"})
	case "testonly":
		c.Phases = []string{"test"}
	}
	return c, nil
}

func (w *installers) Try(_ context.Context, t change.Trial) (change.Tried, error) {
	w.tried = append(w.tried, t)
	const base = "Debian GNU/Linux 13"
	switch {
	case strings.Contains(t.Component.ARN, "/failing/"):
		return change.Tried{Base: base, Failure: "step install of phase build failed: exit code 1", Log: "no such package", URL: logURL}, nil
	case strings.Contains(t.Component.ARN, "/incompatible/"):
		return change.Tried{Base: base, Incompatible: true}, nil
	case strings.Contains(t.Component.ARN, "/broken/"):
		return change.Tried{}, errors.New("the machines are broken")
	}
	return change.Tried{OK: true, Base: base}, nil
}

func (w *installers) Publish(_ context.Context, product string, c change.Component) error {
	if w.copyFails == nil {
		w.published = append(w.published, product, c.ARN)
	}
	return w.copyFails
}

// entities are the offer of the product, and another product with a component.
type entities struct{ producttest.Offers }

func (e entities) Named(ctx context.Context, s change.Seller, entityType, field, value string) ([]string, error) {
	if field == amiproduct.ComponentName {
		return slices.DeleteFunc([]string{"prod-elsewhere12345"}, func(string) bool { return value != "elsewhere" }), nil
	}
	return e.Offers.Named(ctx, s, entityType, field, value)
}

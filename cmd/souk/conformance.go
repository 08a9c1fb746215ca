package main

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"souk/conformance"
	"souk/conformance/seller"
	"souk/server"
)

// ConformanceCommand runs the black-box checks against an endpoint.
type ConformanceCommand struct {
	URL    string `arg:"" optional:"" env:"AWS_ENDPOINT_URL" help:"Endpoint to look at (default: AWS_ENDPOINT_URL)."`
	Data   string `placeholder:"DIR" help:"Take the keys from this data folder (default: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)."`
	Region string `env:"AWS_REGION" default:"us-east-1" help:"Region to sign for."`
	Only   string `placeholder:"TEXT" env:"-" help:"Only checks with this text in their name."`
	List   bool   `env:"-" help:"List the checks and run none."`
}

// Run prints a line for each check and fails if one does. It makes products,
// repositories and images in the account of the keys and leaves them there.
func (c *ConformanceCommand) Run(app *App) error {
	checks := c.checks()
	if len(checks) == 0 {
		return usagef("no check has %q in its name: souk conformance --list", c.Only)
	}
	if c.List {
		for _, check := range checks {
			_, err := fmt.Fprintf(app.Out, "%-32s %s\n", check.Name, check.About)
			if err != nil {
				return err
			}
		}
		return nil
	}
	s, err := c.seller()
	if err != nil {
		return err
	}
	failed := 0
	for _, check := range checks {
		started := time.Now()
		err := conformance.One(app.Ctx, check, s)
		verdict, found := "ok  ", ""
		if err != nil {
			failed++
			verdict, found = "FAIL", "\n     "+strings.ReplaceAll(err.Error(), "\n", "\n     ")
		}
		_, err = fmt.Fprintf(app.Out, "%s %-32s %6d ms  %s%s\n", verdict, check.Name, time.Since(started).Milliseconds(), check.About, found)
		if err != nil {
			return err
		}
		if app.Ctx.Err() != nil {
			return app.Ctx.Err()
		}
	}
	_, err = fmt.Fprintf(app.Out, "%d checks, %d failed\n", len(checks), failed)
	if err == nil && failed > 0 {
		err = errFindings
	}
	return err
}

// checks are those that were asked for.
func (c *ConformanceCommand) checks() []conformance.Check {
	var some []conformance.Check
	for _, check := range conformance.Checks() {
		if strings.Contains(check.Name, c.Only) {
			some = append(some, check)
		}
	}
	return some
}

// seller is who runs the checks: patient, since an account's request rates hold
// for them too.
func (c *ConformanceCommand) seller() (*seller.Seller, error) {
	config := seller.Config{
		URL: c.URL, Region: c.Region, Retries: 20, Poll: 150 * time.Millisecond,
		AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
	}
	bundle := os.Getenv("AWS_CA_BUNDLE")
	if c.Data != "" {
		found, err := server.ReadCredentials(c.Data)
		if err != nil {
			return nil, err
		}
		config.AccessKeyID, config.SecretAccessKey = found.AccessKeyID, found.SecretAccessKey
		config.URL = cmp.Or(c.URL, found.Endpoint)
		bundle = cmp.Or(bundle, found.CA)
	}
	u, err := url.Parse(config.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, usagef("%q is no URL of an endpoint, such as http://127.0.0.1:8470", config.URL)
	}
	if config.AccessKeyID == "" || config.SecretAccessKey == "" {
		return nil, usagef("which keys? Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give --data of a server of this machine")
	}
	if err := trustBundle(bundle); err != nil {
		return nil, usagef("%v", err)
	}
	if bundle != "" {
		config.HTTP = &http.Client{Timeout: time.Minute}
	}
	return seller.New(config), nil
}

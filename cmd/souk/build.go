package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"souk/service/marketplaceimagebuild"
)

// BuildCommand is the builds of an account, by signed calls of the Image Build
// Service.
type BuildCommand struct {
	Start  BuildStartCommand  `cmd:"" help:"Install listed products on an AMI, which makes a new AMI; prints the build's id."`
	Follow BuildFollowCommand `cmd:"" help:"Show the log of a build while it runs, and how it ends."`
	List   BuildListCommand   `cmd:"" help:"List the account's builds, the newest first."`
}

// builds asks an action of the Image Build Service.
func (m *remoteMarket) builds(ctx context.Context, action string, in, out any) error {
	return m.json(ctx, "aws-marketplace", "AWSMPImageBuilding."+action, in, out)
}

// build describes a build.
func (m *remoteMarket) build(ctx context.Context, id string) (*marketplaceimagebuild.Build, error) {
	var page marketplaceimagebuild.DescribeBuildsResult
	err := m.builds(ctx, "DescribeBuilds", marketplaceimagebuild.DescribeBuildsRequest{BuildIds: []string{id}}, &page)
	if err != nil {
		return nil, err
	}
	if len(page.Builds) == 0 {
		return nil, fmt.Errorf("the account has no build %s in %s: `souk build list` shows those that it has", id, m.region)
	}
	return &page.Builds[0], nil
}

// BuildStartCommand starts a build.
type BuildStartCommand struct {
	MarketFlags `embed:""`
	Option      []string `required:"" placeholder:"FO-ID" env:"-" help:"What to install: the FulfillmentOptionId of a product's option; may be given several times, they are installed in this order."`
	Source      imageID  `required:"" placeholder:"AMI" env:"-" help:"The AMI on which to install."`
	Name        string   `required:"" env:"-" help:"Name of the new AMI, 3 to 128 characters."`
	Description string   `env:"-" help:"What the new AMI is for."`
	Topic       string   `placeholder:"ARN" env:"-" help:"SNS topic that is told of each change of the build's status."`
	Token       string   `env:"-" help:"A request that is sent again with the same token starts nothing."`
	Follow      bool     `short:"f" env:"-" help:"Show the log, and wait for the end."`
}

// Run prints the id of the build, and with Follow its log.
func (c *BuildStartCommand) Run(app *App) error {
	m, err := c.market()
	if err != nil {
		return err
	}
	source := string(c.Source)
	in := marketplaceimagebuild.StartBuildRequest{FulfillmentOptionIds: c.Option, SourceImageId: &source, DestinationImageName: &c.Name}
	for member, value := range map[**string]*string{&in.ClientToken: &c.Token, &in.DestinationImageDescription: &c.Description, &in.SnsTopicArn: &c.Topic} {
		if *value != "" {
			*member = value
		}
	}
	var started marketplaceimagebuild.StartBuildResult
	err = m.builds(app.Ctx, "StartBuild", in, &started)
	if err != nil {
		return err
	}
	if !c.Follow {
		fmt.Fprintln(app.Out, started.BuildId)
		app.hint("`souk build follow %s` shows its log and how it ends", started.BuildId)
		return nil
	}
	for _, p := range started.Products {
		app.hint("build %s installs %s %s (%s)", started.BuildId, p.Title, p.Version, p.Id)
	}
	return m.follow(app, started.BuildId)
}

// BuildFollowCommand shows a build while it runs.
type BuildFollowCommand struct {
	MarketFlags `embed:""`
	ID          string `arg:"" help:"The build's id."`
}

// Run prints the log. It fails if the build does.
func (c *BuildFollowCommand) Run(app *App) error {
	m, err := c.market()
	if err != nil {
		return err
	}
	return m.follow(app, c.ID)
}

// BuildListCommand lists builds.
type BuildListCommand struct {
	MarketFlags `embed:""`
	Status      string `placeholder:"STATUS" env:"-" help:"Only those that are in-progress, internal-error, failed or succeeded."`
	Option      string `placeholder:"FO-ID" env:"-" help:"Only those with a fulfillment option."`
	Product     string `placeholder:"PROD-ID" env:"-" help:"Only those with a product."`
}

// Run prints a line for each build.
func (c *BuildListCommand) Run(app *App) error {
	m, err := c.market()
	if err != nil {
		return err
	}
	var in marketplaceimagebuild.DescribeBuildsRequest
	for _, f := range []marketplaceimagebuild.Filter{
		{Name: "status", Values: []string{c.Status}}, {Name: "fulfillment-option-id", Values: []string{c.Option}}, {Name: "product-id", Values: []string{c.Product}},
	} {
		if f.Values[0] != "" {
			in.Filters = append(in.Filters, f)
		}
	}
	var rows [][]string
	for {
		var page marketplaceimagebuild.DescribeBuildsResult
		err := m.builds(app.Ctx, "DescribeBuilds", in, &page)
		if err != nil {
			return err
		}
		for _, b := range page.Builds {
			var products []string
			for _, p := range b.Products {
				products = append(products, p.Title+" "+p.Version)
			}
			rows = append(rows, []string{b.BuildId, string(b.Status), b.DestinationImage.Name, b.DestinationImage.Id, b.SourceImage.Id, strings.Join(products, ", "), b.StartTime.UTC().Format(time.RFC3339)})
		}
		if page.NextToken == "" {
			break
		}
		in.NextToken = &page.NextToken
	}
	return app.table([]string{"BUILD", "STATUS", "NAME", "AMI", "SOURCE", "PRODUCTS", "STARTED"}, rows)
}

const (
	// looking is how often a build is looked at while it is followed.
	looking = time.Second
	// piece is how much of a log is read at a time, in bytes.
	piece = 1 << 20
)

// follow shows the two logs of a build as they grow, to the two outputs, and then
// how the build ended. On a terminal a line below them tells how long it takes.
func (m *remoteMarket) follow(app *App, id string) error {
	shown := followed{app: app, client: http.DefaultClient}
	tick := time.NewTicker(looking)
	defer tick.Stop()
	for {
		b, err := m.build(app.Ctx, id)
		if err != nil {
			shown.clear()
			return err
		}
		ended := b.Status != "InProgress"
		err = shown.logs(app.Ctx, b.StandardOutputUrl, b.StandardErrorUrl)
		if err != nil {
			return err
		}
		if ended {
			return shown.end(b)
		}
		shown.waiting(b)
		select {
		case <-tick.C:
		case <-app.Ctx.Done():
			shown.clear()
			app.hint("the build goes on: `souk build follow %s` shows it again", id)
			return app.Ctx.Err()
		}
	}
}

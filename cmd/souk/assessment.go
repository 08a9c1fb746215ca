package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"
	"github.com/aws/smithy-go"
)

// AssessmentCommand shows what scans came to, for those whose tools don't know
// ListAssessments and DescribeAssessment yet: they are of August 2026.
type AssessmentCommand struct {
	List AssessmentListCommand `cmd:"" help:"List the assessments of the account, the newest first."`
	Show AssessmentShowCommand `cmd:"" help:"Show what each control of an assessment came to."`
}

// catalogClient is the SDK's client of a market.
func (m *remoteMarket) catalogClient() *marketplacecatalog.Client {
	return marketplacecatalog.New(marketplacecatalog.Options{
		Region: m.region, BaseEndpoint: aws.String(m.url.String()), HTTPClient: http.DefaultClient,
		Credentials: credentials.StaticCredentialsProvider{Value: m.key},
	})
}

// AssessmentListCommand lists assessments.
type AssessmentListCommand struct {
	MarketFlags `embed:""`
	ChangeSet   string `placeholder:"ID" env:"-" help:"Only those of a change set."`
	Entity      string `placeholder:"ID" env:"-" help:"Only those of an entity."`
}

// Run prints a line for each assessment.
func (c *AssessmentListCommand) Run(app *App) error {
	m, err := c.market()
	if err != nil {
		return err
	}
	in := &marketplacecatalog.ListAssessmentsInput{Catalog: aws.String(catalogName)}
	if c.ChangeSet != "" || c.Entity != "" {
		in.AssessmentTargetFilter = &types.AssessmentTargetFilter{}
		if c.ChangeSet != "" {
			in.AssessmentTargetFilter.ChangeSetId = aws.String(c.ChangeSet)
		}
		if c.Entity != "" {
			in.AssessmentTargetFilter.EntityId = aws.String(c.Entity)
		}
	}
	var rows [][]string
	client := m.catalogClient()
	for {
		page, err := client.ListAssessments(app.Ctx, in)
		if err != nil {
			return plainError(err)
		}
		for _, a := range page.AssessmentSummaryList {
			target := types.AssessmentTargetSummary{}
			if a.AssessmentTargetSummary != nil {
				target = *a.AssessmentTargetSummary
			}
			rows = append(rows, []string{
				aws.ToString(a.AssessmentId), string(a.AssessmentResult), aws.ToString(a.FrameworkId),
				aws.ToString(target.ChangeSetId), aws.ToString(target.EntityId), aws.ToString(a.CreatedAt),
			})
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return app.table([]string{"ASSESSMENT", "RESULT", "FRAMEWORK", "CHANGE SET", "ENTITY", "CREATED"}, rows)
		}
	}
}

// AssessmentShowCommand shows an assessment.
type AssessmentShowCommand struct {
	MarketFlags `embed:""`
	ID          string `arg:"" help:"Id or ARN of an assessment."`
}

// Run prints a line for each control, and below it what was found.
func (c *AssessmentShowCommand) Run(app *App) error {
	m, err := c.market()
	if err != nil {
		return err
	}
	in := &marketplacecatalog.DescribeAssessmentInput{Catalog: aws.String(catalogName), AssessmentIdentifier: aws.String(c.ID)}
	var rows [][]string
	client := m.catalogClient()
	for {
		a, err := client.DescribeAssessment(app.Ctx, in)
		if err != nil {
			return plainError(err)
		}
		for _, control := range a.ControlAssessments {
			words := make([]string, 0, len(control.Errors))
			for _, e := range control.Errors {
				words = append(words, aws.ToString(e.Message))
			}
			rows = append(rows, []string{aws.ToString(control.ControlId), string(control.ControlAssessmentResult), strings.Join(words, "; ")})
		}
		if in.NextToken = a.NextToken; in.NextToken == nil {
			return app.table([]string{"CONTROL", "RESULT", "FOUND"}, rows)
		}
	}
}

// plainError is what the market says of a refusal, without the SDK's words.
func plainError(err error) error {
	var refused smithy.APIError
	if errors.As(err, &refused) {
		return fmt.Errorf("%s: %s", refused.ErrorCode(), refused.ErrorMessage())
	}
	return err
}

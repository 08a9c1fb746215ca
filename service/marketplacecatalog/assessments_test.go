package marketplacecatalog_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	catalog "github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"

	"souk/artifact/scan/assessment"
)

// assessed keeps assessments, oldest first, and returns the market.
func assessed(t *testing.T) *market {
	t.Helper()
	m := open(t)
	begin := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	for i, a := range []assessment.Summary{
		{ID: "assessment-1", ChangeSet: "set1", Entity: "prod-a", Framework: assessment.AMISecurity, DeliveryOption: "do-1"},
		{ID: "assessment-2", ChangeSet: "set1", Entity: "prod-b", Framework: assessment.ContainerSecurity},
		{ID: "assessment-3", ChangeSet: "set2", Entity: "prod-a", Framework: assessment.AMISecurity},
		{ID: "assessment-4", ChangeSet: "set1", Entity: "prod-a", Framework: assessment.AMISecurity, Account: "999999999999"},
		{ID: "assessment-5", ChangeSet: "set0", Entity: "prod-a", Framework: assessment.AMISecurity, Created: begin.Add(-61 * 24 * time.Hour)},
	} {
		if a.Account == "" {
			a.Account = account
		}
		if a.Created.IsZero() {
			a.Created = begin.Add(time.Duration(i) * time.Minute)
		}
		a.Expires, a.Result = a.Created.Add(assessment.Keeping), assessment.Fail
		whole := assessment.Assessment{Summary: a, Controls: []assessment.Control{
			{ID: "PackageVulnerabilities", Result: assessment.NotExecuted},
			{ID: "PrivateKeys", Result: assessment.Fail, Errors: []assessment.Error{{Code: "PRIVATE_KEY", Message: "a key", Scope: []assessment.Scope{{Name: "FILE_PATH", Value: "root/key"}}}}},
			{ID: "Malware", Result: assessment.Pass},
		}}
		if err := m.assessments.Keep(t.Context(), whole); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestDescribeAssessment(t *testing.T) {
	t.Parallel()
	m := assessed(t)
	for _, name := range []string{"assessment-1", "arn:aws:aws-marketplace:us-east-1::AWSMarketplace/Assessment/assessment-1"} {
		got, err := m.DescribeAssessment(t.Context(), &catalog.DescribeAssessmentInput{AssessmentIdentifier: &name, Catalog: aws.String("AWSMarketplace"), MaxResults: aws.Int32(2)})
		if err != nil {
			t.Fatal(err)
		}
		option, ok := got.FrameworkSummary.(*types.FrameworkSummaryMemberAMISecuritySummary)
		if *got.AssessmentArn != "arn:aws:aws-marketplace:us-east-1::AWSMarketplace/Assessment/assessment-1" || *got.AssessmentId != "assessment-1" ||
			got.AssessmentResult != types.AssessmentResultFail || *got.FrameworkId != "AMISecurity@1.0" || !ok || *option.Value.DeliveryOptionId != "do-1" ||
			*got.AssessmentTargetSummary.ChangeSetId != "set1" || *got.AssessmentTargetSummary.EntityId != "prod-a" || len(*got.CreatedAt) != 20 || len(*got.ExpiresAt) != 20 {
			t.Errorf("%s is %+v", name, got)
		}
		key := got.ControlAssessments[1]
		if len(got.ControlAssessments) != 2 || got.ControlAssessments[0].ControlAssessmentResult != types.ControlAssessmentResultNotExecuted ||
			*key.Errors[0].Code != "PRIVATE_KEY" || *key.Errors[0].Scope[0].Name != "FILE_PATH" || *key.Errors[0].Scope[0].Value != "root/key" {
			t.Errorf("%s has the controls %+v", name, got.ControlAssessments)
		}
		rest, err := m.DescribeAssessment(t.Context(), &catalog.DescribeAssessmentInput{AssessmentIdentifier: &name, Catalog: aws.String("AWSMarketplace"), NextToken: got.NextToken})
		if err != nil || len(rest.ControlAssessments) != 1 || *rest.ControlAssessments[0].ControlId != "Malware" || rest.NextToken != nil {
			t.Errorf("the rest of %s is %+v, %v", name, rest, err)
		}
		other := "assessment-3"
		_, err = m.DescribeAssessment(t.Context(), &catalog.DescribeAssessmentInput{AssessmentIdentifier: &other, Catalog: aws.String("AWSMarketplace"), NextToken: got.NextToken})
		refused(t, err, 422, "ValidationException", "NextToken")
	}
	for name, message := range map[string]string{
		"assessment-4": "can't be found", "assessment-5": "can't be found", "assessment-9": "can't be found",
	} {
		_, err := m.DescribeAssessment(t.Context(), &catalog.DescribeAssessmentInput{AssessmentIdentifier: &name, Catalog: aws.String("AWSMarketplace")})
		refused(t, err, 404, "ResourceNotFoundException", message)
	}
	_, err := m.DescribeAssessment(t.Context(), &catalog.DescribeAssessmentInput{AssessmentIdentifier: aws.String("arn:aws:s3:::x"), Catalog: aws.String("AWSMarketplace")})
	refused(t, err, 422, "ValidationException", "neither the id nor the ARN")
	reader := m.user("reader", `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "aws-marketplace:DescribeAssessment", "Resource": "arn:aws:aws-marketplace:us-east-1::AWSMarketplace/Assessment/assessment-1"}}`)
	_, err = reader.DescribeAssessment(t.Context(), &catalog.DescribeAssessmentInput{AssessmentIdentifier: aws.String("assessment-1"), Catalog: aws.String("AWSMarketplace")})
	if err != nil {
		t.Error(err)
	}
	_, err = reader.DescribeAssessment(t.Context(), &catalog.DescribeAssessmentInput{AssessmentIdentifier: aws.String("assessment-3"), Catalog: aws.String("AWSMarketplace")})
	refused(t, err, 403, "AccessDeniedException", "")
}

func TestListAssessments(t *testing.T) {
	t.Parallel()
	m := assessed(t)
	target := func(set, entity string) *types.AssessmentTargetFilter {
		f := &types.AssessmentTargetFilter{}
		if set != "" {
			f.ChangeSetId = &set
		}
		if entity != "" {
			f.EntityId = &entity
		}
		return f
	}
	option := &types.FrameworkFiltersMemberAMISecurityFilters{Value: types.AMISecurityFilters{DeliveryOptionId: aws.String("do-1")}}
	for name, c := range map[string]struct {
		in   catalog.ListAssessmentsInput
		want []string
	}{
		"all":                      {catalog.ListAssessmentsInput{}, []string{"3", "2", "1"}},
		"of a change set":          {catalog.ListAssessmentsInput{AssessmentTargetFilter: target("set1", "")}, []string{"2", "1"}},
		"of an entity":             {catalog.ListAssessmentsInput{AssessmentTargetFilter: target("", "prod-a")}, []string{"3", "1"}},
		"of both":                  {catalog.ListAssessmentsInput{AssessmentTargetFilter: target("set1", "prod-a")}, []string{"1"}},
		"of nothing that there is": {catalog.ListAssessmentsInput{AssessmentTargetFilter: target("set9", "")}, nil},
		"of AMIs":                  {catalog.ListAssessmentsInput{FrameworkId: aws.String("AMISecurity")}, []string{"3", "1"}},
		"of containers":            {catalog.ListAssessmentsInput{FrameworkId: aws.String("ContainerSecurity@1.0")}, []string{"2"}},
		"of a delivery option":     {catalog.ListAssessmentsInput{FrameworkFilters: option}, []string{"1"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int32{1, 100} {
				var got []string
				in := c.in
				in.Catalog, in.MaxResults = aws.String("AWSMarketplace"), &size
				for {
					page, err := m.ListAssessments(t.Context(), &in)
					if err != nil {
						t.Fatal(err)
					}
					for _, a := range page.AssessmentSummaryList {
						got = append(got, (*a.AssessmentId)[len("assessment-"):])
					}
					if page.NextToken == nil {
						break
					}
					in.NextToken = page.NextToken
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("in pages of %d: %q, want %q", size, got, c.want)
				}
			}
		})
	}
	page, err := m.ListAssessments(t.Context(), &catalog.ListAssessmentsInput{Catalog: aws.String("AWSMarketplace"), MaxResults: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	for i, in := range []catalog.ListAssessmentsInput{
		{NextToken: page.NextToken, FrameworkId: aws.String("AMISecurity")},
		{NextToken: aws.String("abc")},
		{AssessmentTargetFilter: &types.AssessmentTargetFilter{}},
		{FrameworkFilters: option, FrameworkId: aws.String("ContainerSecurity")},
	} {
		t.Run(fmt.Sprint("a question that is wrong ", i), func(t *testing.T) {
			in.Catalog = aws.String("AWSMarketplace")
			_, err := m.ListAssessments(t.Context(), &in)
			refused(t, err, 422, "ValidationException", "")
		})
	}
}

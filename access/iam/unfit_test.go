package iam

import (
	"strings"
	"testing"
)

func TestWhatAResourcesPolicyCanNeverMatch(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:aws-marketplace:us-east-1:123456789012:AWSMarketplace/AmiProduct/prod-1"
	actions := []string{"aws-marketplace:DescribeEntity", "aws-marketplace:ListEntities"}
	for rest, want := range map[string]string{
		`"Action":"aws-marketplace:describeentity","Resource":"` + arn + `"`:                                               "",
		`"Action":["aws-marketplace:*","*"],"Resource":["*","arn:aws:aws-marketplace:*:*:AWSMarketplace/AmiProduct/*"]`:    "",
		`"NotAction":"aws-marketplace:ListEntities","NotResource":"arn:aws:aws-marketplace:us-east-1:1:AWSMarketplace/x"`:  "",
		`"Action":"*","Resource":"arn:aws:aws-marketplace:us-east-1:123456789012:AWSMarketplace/AmiProduct/${aws:userid}"`: "",
		`"Action":["*","aws-marketplace:DescribeEntty"],"Resource":"*"`:                                                    "statement 1: the action 'aws-marketplace:DescribeEntty' is none of an entity",
		`"NotAction":"aws-marketplace:ListEntites","Resource":"*"`:                                                         "the action 'aws-marketplace:ListEntites'",
		`"Action":"s3:GetObject","Resource":"*"`:                                                                           "the action 's3:GetObject'",
		`"Action":"*","Resource":"` + arn + `2"`:                                                                           "the resource '" + arn + "2' is not the entity '" + arn + "'",
		`"Sid":"a","Action":"*","Resource":["*","` + strings.Replace(arn, "us-east-1", "eu-west-1", 1) + `"]`:              `statement "a": the resource`,
		`"Action":"*","NotResource":"*"`:                                                                                   "its NotResource leaves nothing",
	} {
		p, err := ParseResourcePolicy([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*",` + rest + `}}`))
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(p.Unfit(actions, arn), "; ")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", rest, got, want)
		}
	}
}

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
)

// This file has the last step of the story: the records of all the others.

// lookBack looks up what the accounts' records have of the story: of the
// seller's, who has asked hundreds of times how far her change sets are, what
// she has changed; of the management account's, everything.
func (s *story) lookBack(ctx context.Context) error {
	s.tell.say("Each account has a record of its calls. What the seller changed, the newest first:")
	writes := []types.LookupAttribute{{AttributeKey: types.LookupAttributeKeyReadOnly, AttributeValue: aws.String("false")}}
	if err := s.acme.lookUp(ctx, writes, "RegisterImage", "StartChangeSet"); err != nil {
		return err
	}
	s.tell.say("And how the private marketplace came about:")
	return s.root.lookUp(ctx, nil, "GetCallerIdentity", "CreateAccount", "DescribeCreateAccountStatus", "CreateUser",
		"AttachUserPolicy", "PutUserPolicy", "CreateAccessKey", "AssumeRole", "StartChangeSet", "DescribeChangeSet", "DescribeEntity")
}

// lookUp looks up the newest events of the shopper's account, until there is one
// of each of the names, and shows them: a line with time, user, event and what
// it is about.
func (s *shopper) lookUp(ctx context.Context, attributes []types.LookupAttribute, names ...string) error {
	options := []string{"--max-items 50 --output text", "--query 'Events[].[EventTime,Username,EventName,Resources[0].ResourceName]'"}
	for _, a := range attributes {
		options = slices.Insert(options, 0, "--lookup-attributes AttributeKey="+string(a.AttributeKey)+",AttributeValue="+aws.ToString(a.AttributeValue))
	}
	s.aws("cloudtrail lookup-events", options...)
	client := cloudtrail.NewFromConfig(s.config)
	var lines strings.Builder
	err := again(ctx, fmt.Sprintf("the records of %v", names), func() (bool, error) {
		out, err := client.LookupEvents(ctx, &cloudtrail.LookupEventsInput{LookupAttributes: attributes})
		if err != nil {
			return false, err
		}
		lines.Reset()
		seen := map[string]bool{}
		for _, e := range out.Events {
			seen[aws.ToString(e.EventName)] = true
			about := "None"
			if len(e.Resources) > 0 {
				about = aws.ToString(e.Resources[0].ResourceName)
			}
			fmt.Fprintf(&lines, "%s\t%s\t%s\t%s\n", aws.ToTime(e.EventTime).Format(time.RFC3339), aws.ToString(e.Username), aws.ToString(e.EventName), about)
		}
		return !slices.ContainsFunc(names, func(n string) bool { return !seen[n] }), nil
	})
	if err != nil {
		return err
	}
	s.tell.answer([]byte(lines.String()))
	return nil
}

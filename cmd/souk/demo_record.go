package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

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

// record is what the story looks at of a record of a call.
type record struct {
	EventTime, EventName string
	UserIdentity         struct{ UserName string }
	RequestParameters    struct{ ChangeSetName, Name, UserName, AccountName, RoleArn, EntityID string }
}

// recordFilter makes the same line of a record as record.line does.
const recordFilter = `.[] | fromjson | [.eventTime, (.userIdentity.userName // "root"), .eventName,
        (.requestParameters | .changeSetName // .name // .userName // .accountName // .roleArn // .entityId)] | @tsv`

// line has the time, who asked, for what, and what it was about.
func (r record) line() string {
	in := r.RequestParameters
	return strings.Join([]string{
		r.EventTime, cmp.Or(r.UserIdentity.UserName, "root"), r.EventName,
		cmp.Or(in.ChangeSetName, in.Name, in.UserName, in.AccountName, in.RoleArn, in.EntityID),
	}, "\t") + "\n"
}

// lookUp looks up the newest events of the shopper's account, until there is one
// of each of the names, and shows a line of each.
func (s *shopper) lookUp(ctx context.Context, attributes []types.LookupAttribute, names ...string) error {
	var options []string
	for _, a := range attributes {
		options = append(options, "--lookup-attributes AttributeKey="+string(a.AttributeKey)+",AttributeValue="+aws.ToString(a.AttributeValue))
	}
	s.aws("cloudtrail lookup-events", append(options, "--max-items 50 --query 'Events[].CloudTrailEvent' --output json |", "jq -r '"+recordFilter+"'")...)
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
			var r record
			if err := json.Unmarshal([]byte(aws.ToString(e.CloudTrailEvent)), &r); err != nil {
				return false, fmt.Errorf("reading event %s: %w", aws.ToString(e.EventId), err)
			}
			seen[r.EventName] = true
			lines.WriteString(r.line())
		}
		return !slices.ContainsFunc(names, func(n string) bool { return !seen[n] }), nil
	})
	if err != nil {
		return err
	}
	s.tell.answer([]byte(lines.String()))
	return nil
}

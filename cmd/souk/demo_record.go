package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
)

// This file has the last step of the story: the records of all the others.

// lookBack looks up the whole story at once: the management account, which
// trusts CloudTrail with the organisation, sees the records of all accounts.
func (s *story) lookBack(ctx context.Context) error {
	s.tell.say("Each account has a record of its calls. The management account asks to see all of them:")
	const service = "cloudtrail.amazonaws.com"
	s.root.aws("organizations enable-aws-service-access", "--service-principal "+service)
	_, err := organizations.NewFromConfig(s.root.config).EnableAWSServiceAccess(ctx, &organizations.EnableAWSServiceAccessInput{ServicePrincipal: aws.String(service)})
	if err != nil {
		return err
	}
	s.tell.say("Who changed what, who obtained what, and who was refused; the oldest first:")
	s.root.aws("cloudtrail lookup-events", "--query 'Events[].CloudTrailEvent' --output json |", "jq -r '"+recordFilter+"'")
	all, err := s.root.lookUp(ctx)
	if err != nil {
		return err
	}
	var lines strings.Builder
	seen, accounts, refused := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, r := range all {
		seen[r.EventName], accounts[r.RecipientAccountID] = true, true
		if r.ErrorCode != "" {
			refused[r.EventName] = true
		}
		if !smallSteps.MatchString(r.EventName) {
			lines.WriteString(r.line())
		}
	}
	want := []string{
		"GetCallerIdentity", "StartChangeSet", "PutImage", "BatchGetImage", "RegisterImage", "CreateAccount", "CreateUser",
		"AttachUserPolicy", "PutUserPolicy", "CreateAccessKey", "AssumeRole", "DescribeEntity", "EnableAWSServiceAccess",
	}
	if s.built.without == "" {
		want = append(want, "CreateComponent", "StartBuild", "CreateImageBuilder", "OpenImageBuilderSession", "CreateExportImageTask", "DeleteImageBuilder")
	}
	for _, name := range want {
		if !seen[name] {
			return fmt.Errorf("the story has no record of %s", name)
		}
	}
	if len(accounts) < 4 || !refused["BatchGetImage"] {
		return fmt.Errorf("the records are of %d accounts, want those of the market, the seller, the buyer and the department, and a pull that was refused: %t", len(accounts), refused["BatchGetImage"])
	}
	s.tell.answer([]byte(lines.String()))
	s.tell.good("one look-up has the whole story: %d calls of %d accounts", len(all), len(accounts))
	return nil
}

// record is what the story looks at of a record of a call.
type record struct {
	EventTime, EventName, ErrorCode, RecipientAccountID string

	UserIdentity struct {
		UserName, InvokedBy string
		SessionContext      struct{ SessionIssuer struct{ UserName string } }
	}
	RequestParameters struct {
		ChangeSetName, Name, UserName, AccountName, RoleName, RoleArn, EntityID, RepositoryName, DestinationImageName, ImageName, ServicePrincipal string
	}
}

// smallSteps are the calls that the story does not show: questions, and the
// pieces of a push.
var smallSteps = regexp.MustCompile(`^(Describe|Get|List|Search|BatchCheck|Initiate|UploadLayer|CompleteLayer)`)

// recordFilter makes the same lines of records as record.line does.
const recordFilter = `[.[] | fromjson] | reverse | .[]
        | select(.eventName | test("^(Describe|Get|List|Search|BatchCheck|Initiate|UploadLayer|CompleteLayer)") | not)
        | [.eventTime, .recipientAccountId, (.userIdentity | .userName // .sessionContext.sessionIssuer.userName // .invokedBy // "root"),
        .eventName, (.requestParameters | .changeSetName // .name // .userName // .accountName // .roleName // .roleArn // .entityId // .repositoryName // .destinationImageName // .imageName // .servicePrincipal),
        .errorCode] | @tsv`

// line has the time, whose call it was, who asked, for what, what it was about,
// and how it was refused.
func (r record) line() string {
	in, by := r.RequestParameters, r.UserIdentity
	return strings.Join([]string{
		r.EventTime, r.RecipientAccountID, cmp.Or(by.UserName, by.SessionContext.SessionIssuer.UserName, by.InvokedBy, "root"), r.EventName,
		cmp.Or(in.ChangeSetName, in.Name, in.UserName, in.AccountName, in.RoleName, in.RoleArn, in.EntityID, in.RepositoryName, in.DestinationImageName, in.ImageName, in.ServicePrincipal), r.ErrorCode,
	}, "\t") + "\n"
}

// lookUp looks up all that the shopper's account sees, the oldest first.
func (s *shopper) lookUp(ctx context.Context) ([]record, error) {
	client := cloudtrail.NewFromConfig(s.config, func(o *cloudtrail.Options) { o.RetryMaxAttempts = 10 })
	turn := time.NewTicker(time.Second / 2) // two pages a second are answered
	defer turn.Stop()
	var all []record
	for pages := cloudtrail.NewLookupEventsPaginator(client, &cloudtrail.LookupEventsInput{}); pages.HasMorePages(); {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, e := range out.Events {
			var r record
			if err := json.Unmarshal([]byte(aws.ToString(e.CloudTrailEvent)), &r); err != nil {
				return nil, fmt.Errorf("reading event %s: %w", aws.ToString(e.EventId), err)
			}
			all = append(all, r)
		}
		if pages.HasMorePages() {
			select {
			case <-turn.C:
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
	}
	slices.Reverse(all)
	return all, nil
}

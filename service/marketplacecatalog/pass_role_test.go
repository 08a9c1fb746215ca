package marketplacecatalog_test

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	catalog "github.com/aws/aws-sdk-go-v2/service/marketplacecatalog"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/document"
	"github.com/aws/aws-sdk-go-v2/service/marketplacecatalog/types"
)

// TestRolesArePassedByThoseWhoMay: the role of a version is given to the
// marketplace by who starts the change set.
func TestRolesArePassedByThoseWhoMay(t *testing.T) {
	t.Parallel()
	m := open(t)
	id := m.made("a")
	const start = `{"Effect":"Allow","Action":"aws-marketplace:StartChangeSet","Resource":"*"}`
	statement := func(effect, resource, service string) string {
		return `{"Effect":"` + effect + `","Action":"iam:PassRole","Resource":"` + resource + `","Condition":{"StringEquals":{"iam:PassedToService":"` + service + `"}}}`
	}
	users := map[string]*catalog.Client{}
	for name, statements := range map[string]string{
		"none":     start,
		"assets":   start + "," + statement("Allow", "arn:aws:iam::*:role/*", "assets.marketplace.amazonaws.com"),
		"ec2":      start + "," + statement("Allow", "arn:aws:iam::*:role/*", "ec2.amazonaws.com"),
		"readers":  start + "," + statement("Allow", "arn:aws:iam::*:role/readers/*", "assets.marketplace.amazonaws.com"),
		"denied":   start + `,{"Effect":"Allow","Action":"*","Resource":"*"},` + statement("Deny", "*", "assets.marketplace.amazonaws.com"),
		"anything": `{"Effect":"Allow","Action":"*","Resource":"*"}`,
	} {
		users[name] = m.user(name, `{"Version":"2012-10-17","Statement":[`+statements+`]}`)
	}
	const (
		one  = `{"DeliveryOptions":[{"Details":{"EcrDeliveryOptionDetails":{"AccessRoleArn":"arn:aws:iam::123456789012:role/readers/one"}}}]}`
		both = `{"DeliveryOptions":[{"AccessRoleArn":"arn:aws:iam::123456789012:role/readers/one"},{"AccessRoleArn":"arn:aws:iam::123456789012:role/two"}]}`
	)
	for _, c := range []struct {
		what, user, details string
		passes              bool
	}{
		{"no leave", "none", one, false},
		{"leave for the marketplace", "assets", one, true},
		{"leave for another service", "ec2", one, false},
		{"leave for this role", "readers", one, true},
		{"leave for one of two", "readers", both, false},
		{"leave for both", "assets", both, true},
		{"a denial beside an allow", "denied", one, false},
		{"everything", "anything", one, true},
		{"no role", "none", `{"Sku":"AccessRoleArn"}`, true},
		{"a role in a text", "none", `{"Sku":"\"AccessRoleArn\":\"arn:aws:iam::123456789012:role/one\""}`, true},
		{"a name in escapes", "none", `{"Access\u0052oleArn":"arn:aws:iam::123456789012:role/one"}`, false},
		{"a name twice", "none", `{"AccessRoleArn":"","AccessRoleArn":"arn:aws:iam::123456789012:role/one"}`, false},
		{"no ARN", "none", `{"AccessRoleArn":"one"}`, true}, // the change type refuses it
		{"no text", "none", `{"AccessRoleArn":["arn:aws:iam::123456789012:role/one"]}`, true},
		{"no JSON", "none", `{"AccessRoleArn":"arn:aws:iam::123456789012:role/one",}`, true},
	} {
		_, err := users[c.user].StartChangeSet(t.Context(), &catalog.StartChangeSetInput{
			Catalog: aws.String("AWSMarketplace"), ChangeSet: []types.Change{edit("AddDeliveryOptions", id, c.details)},
			Intent: types.IntentValidate,
		})
		if c.passes {
			var denied *types.AccessDeniedException
			if errors.As(err, &denied) {
				t.Errorf("%s: %v", c.what, err)
			}
			continue
		}
		refused(t, err, 403, "AccessDeniedException", "is not authorized to perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/")
	}
	change := edit("AddDeliveryOptions", id, "")
	change.Details = nil
	change.DetailsDocument = document.NewLazyDocument(map[string]any{"AccessRoleArn": "arn:aws:iam::123456789012:role/one"})
	_, err := users["none"].StartChangeSet(t.Context(), &catalog.StartChangeSetInput{Catalog: aws.String("AWSMarketplace"), ChangeSet: []types.Change{change}})
	refused(t, err, 403, "AccessDeniedException", "iam:PassRole")
}

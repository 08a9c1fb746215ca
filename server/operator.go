package server

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"souk/access/iam"
	"souk/access/keyring"
	"souk/access/organization"
	"souk/access/quota"
	"souk/access/trail"
	"souk/gateway/apierror"
)

// operator is who changes a market by its local door: whoever may open it. In
// records it is the service "souk": it has no account and no key.
const operator = "souk"

// doorEvents are the offers of the local door that change something: who may do
// what, what seals, and the market's settings. They are recorded by the names
// that AWS has for the same call, where it has one.
var doorEvents = map[string]struct{ source, name string }{
	"account/create":    {"organizations.amazonaws.com", "CreateAccount"},
	"account/reopen":    {operator, "ReopenAccount"},
	"user/create":       {"iam.amazonaws.com", "CreateUser"},
	"user/delete":       {"iam.amazonaws.com", "DeleteUser"},
	"key/create":        {"iam.amazonaws.com", "CreateAccessKey"},
	"key/activate":      {"iam.amazonaws.com", "UpdateAccessKey"},
	"key/delete":        {"iam.amazonaws.com", "DeleteAccessKey"},
	"policy/put":        {"iam.amazonaws.com", "PutUserPolicy"},
	"policy/delete":     {"iam.amazonaws.com", "DeleteUserPolicy"},
	"keyring/add":       {operator, "AddKey"},
	"keyring/use":       {operator, "UseKey"},
	"keyring/reseal":    {operator, "Reseal"},
	"keyring/drop":      {operator, "DropKey"},
	"quota/set":         {operator, "SetQuota"},
	"quota/reset":       {operator, "ResetQuota"},
	"scenario/apply":    {operator, "ApplyScenario"},
	"scenario/off":      {operator, "EndScenario"},
	"scenario/release":  {operator, "ReleaseChangeSet"},
	"advisories/import": {operator, "ImportAdvisories"},
	"advisories/remove": {operator, "RemoveAdvisories"},
	"topic/redrive":     {operator, "RedriveMessages"},
	"gc":                {operator, "Sweep"},
}

// doorInput is what records show of what such an offer is asked.
type doorInput struct {
	AccountName     string
	AccountId       string
	UserName        string
	AccessKeyId     string
	Status          string
	PolicyName      string
	PolicyDocument  string
	KeyId           string // of the key file
	QuotaName       string
	Value           *float64
	Scenario        string // its YAML
	ChangeSetId     string
	Advisories      string // a source, or an ecosystem
	TopicArn        string
	SubscriptionArn string
	MessageId       string
}

// doorOutput is what records show of what it answers.
type doorOutput struct{ AccountId, UserName, AccessKeyId, KeyId string }

// record does what the local door is asked, with its record: in the account that
// it is about, else in the management account.
func (m *market) record(ctx context.Context, offer string, in []byte, do func(context.Context) (any, error)) (any, error) {
	event, ok := doorEvents[offer]
	if !ok {
		return do(ctx)
	}
	info, err := m.organization.Info(ctx)
	if err != nil {
		return nil, err
	}
	account, input := doorAsked(offer, in)
	if account == "" {
		account = info.Management
	}
	e := m.trail.Begin(trail.Call{
		Principal: &iam.Principal{Account: account, ID: operator}, Region: "us-east-1", RequestID: trail.NewRequestID(), UserAgent: operator,
		Time: time.Now().UTC(), Source: event.source, Name: event.name, Input: input,
	})
	v, err := do(e.Context(ctx))
	o := trail.Outcome{}
	switch known := (*apierror.Error)(nil); {
	case err == nil:
		o.Output = doorAnswered(v)
	case errors.As(err, &known):
		o.Code, o.Message = known.Code, known.Message
	default:
		o.Code, o.Message = "ServiceException", "the operator was told why"
	}
	return v, errors.Join(err, e.End(ctx, o))
}

// doorAsked reads an offer's input: which account it is about, "" for none, and
// what is shown.
func doorAsked(offer string, in []byte) (account string, shown *doorInput) {
	var q struct {
		Account, User, Key, Name, Text, ID, Topic, Subscription string

		Value float64
		Yes   bool
	}
	if json.Unmarshal(in, &q) != nil && json.Unmarshal(in, &q.ID) != nil { // an id alone
		return "", nil
	}
	shown = &doorInput{UserName: q.User, AccessKeyId: q.Key}
	switch offer {
	case "account/create":
		shown.AccountName, shown.AccountId = q.Name, q.ID
	case "policy/put", "policy/delete":
		shown.PolicyName, shown.PolicyDocument = q.Name, q.Text
	case "key/activate":
		shown.Status = "Inactive"
		if q.Yes {
			shown.Status = "Active"
		}
	case "keyring/use", "keyring/drop":
		shown.KeyId = q.ID
	case "quota/set", "quota/reset":
		if q.Account == quota.AllAccounts {
			q.Account = ""
		}
		shown.AccountId, shown.QuotaName = q.Account, q.Name
		if offer == "quota/set" {
			shown.Value = &q.Value
		}
	case "scenario/apply":
		shown.Scenario = q.Text
	case "scenario/release":
		shown.ChangeSetId = q.ID
	case "advisories/import", "advisories/remove":
		shown.Advisories = q.Name
	case "topic/redrive":
		shown.TopicArn, shown.SubscriptionArn, shown.MessageId = q.Topic, q.Subscription, q.ID
	}
	return q.Account, shown
}

// doorAnswered is what is shown of an answer: never a secret.
func doorAnswered(v any) any {
	switch v := v.(type) {
	case organization.Account:
		return &doorOutput{AccountId: v.ID}
	case organization.User:
		return &doorOutput{UserName: v.Name}
	case organization.Key:
		return &doorOutput{AccessKeyId: v.ID}
	case keyring.Key:
		return &doorOutput{KeyId: v.ID}
	}
	return nil
}

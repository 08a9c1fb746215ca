package server

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"souk/access/iam"
	"souk/access/organization"
	"souk/access/trail"
	"souk/gateway/apierror"
)

// operator is who changes a market by its local door: whoever may open it. In
// records it is the service "souk": it has no account and no key.
const operator = "souk"

// doorEvents are the offers of the local door that change who may do what, or
// what seals, and the names by which they are recorded: those of AWS where it
// has the same call.
var doorEvents = map[string]struct{ source, name string }{
	"account/create": {"organizations.amazonaws.com", "CreateAccount"},
	"user/create":    {"iam.amazonaws.com", "CreateUser"},
	"user/delete":    {"iam.amazonaws.com", "DeleteUser"},
	"key/create":     {"iam.amazonaws.com", "CreateAccessKey"},
	"key/activate":   {"iam.amazonaws.com", "UpdateAccessKey"},
	"key/delete":     {"iam.amazonaws.com", "DeleteAccessKey"},
	"policy/put":     {"iam.amazonaws.com", "PutUserPolicy"},
	"policy/delete":  {"iam.amazonaws.com", "DeleteUserPolicy"},
	"keyring/add":    {operator, "AddKey"},
	"keyring/use":    {operator, "UseKey"},
	"keyring/reseal": {operator, "Reseal"},
	"keyring/drop":   {operator, "DropKey"},
}

// doorInput is what records show of what such an offer is asked.
type doorInput struct {
	AccountName    string
	AccountId      string
	UserName       string
	AccessKeyId    string
	Status         string
	PolicyName     string
	PolicyDocument string
}

// doorOutput is what records show of what it answers.
type doorOutput struct{ AccountId, UserName, AccessKeyId string }

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

// doorAsked reads an offer's input: which account it is about, and what is shown.
func doorAsked(offer string, in []byte) (account string, shown *doorInput) {
	var q struct {
		Account, User, Key, Name, Text, ID string
		Yes                                bool
	}
	if json.Unmarshal(in, &q) != nil { // of a form of its own: a key of the file
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
	}
	return nil
}

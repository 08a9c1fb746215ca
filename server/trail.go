package server

import (
	"context"
	"errors"
	"time"

	"souk/access/iam"
	"souk/access/trail"
	"souk/artifact/appstream/assistant"
	"souk/artifact/appstream/builder"
	"souk/gateway/apierror"
)

// newTrail makes what records calls.
func (m *market) newTrail(config Config, node string) (*trail.Trail, error) {
	return trail.New(trail.Config{
		Store: m.store, Owner: node, Tokens: m.ring, Log: config.Log,
		Accounts: func(ctx context.Context) ([]string, error) {
			accounts, err := m.organization.Accounts(ctx)
			ids := make([]string, len(accounts))
			for i := range accounts {
				ids[i] = accounts[i].ID
			}
			return ids, err
		},
		Delivery: trail.Delivery{Dir: config.TrailDelivery, Every: config.TrailInterval, Size: config.TrailSize},
	})
}

// askedEvents are what the machine of an image builder asks its host for, by the
// names that AWS has for the like, where it has one.
var askedEvents = map[assistant.Operation]string{
	assistant.CreateImage: "CreateImage",
	assistant.Reboot:      "RebootImageBuilder",
	assistant.PowerOff:    "StopImageBuilder",
}

// askedInput is what records show of what a machine asks for.
type askedInput struct {
	ImageBuilderName      string
	Name                  string // of the image
	DisplayName           string
	Description           string
	Tags                  map[string]string
	DryRun                *bool
	UseLatestAgentVersion *bool
	Applications          []string // their names
}

// recordAsked does what a machine asks for, with its record in the builder's account.
// The service asks there: a program in a machine has no identity of the market. Of
// machines that ask without an end only some refusals and dry runs are recorded.
func (m *market) recordAsked(ctx context.Context, a builder.Asked, do func(context.Context) error) error {
	q := a.Request
	in := &askedInput{ImageBuilderName: a.Builder, Name: q.Name, DisplayName: q.DisplayName, Description: q.Description, Tags: q.Tags}
	if q.Operation == assistant.CreateImage {
		in.DryRun, in.UseLatestAgentVersion = &q.DryRun, &q.UseLatestAgentVersion
		for _, app := range q.Applications {
			in.Applications = append(in.Applications, app.Name)
		}
	}
	e := m.trail.Begin(trail.Call{
		Principal: &iam.Principal{Account: a.Account, ID: appStream}, Region: a.Region, RequestID: trail.NewRequestID(), UserAgent: appStream,
		Time: time.Now().UTC(), Source: appStream, Name: askedEvents[q.Operation], ReadOnly: q.DryRun, Input: in, Resources: a.Resources,
	})
	err := do(e.Context(ctx))
	o := trail.Outcome{}
	switch known := (*apierror.Error)(nil); {
	case err == nil:
	case errors.As(err, &known):
		o.Code, o.Message = known.Code, known.Message
	default:
		o.Code, o.Message = "InternalFailure", "It failed by no fault of the machine."
	}
	o.Throttled = o.Code != "" || q.DryRun
	return errors.Join(err, e.End(ctx, o))
}

package appstream

import (
	"context"

	"souk/access/iam"
	"souk/artifact/appstream/session"
	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/awsjson"
)

// OpenImageBuilderSessionRequest names an image builder and what is to run in it.
type OpenImageBuilderSessionRequest struct {
	Name string `required:"" pattern:"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}$"`
	Kind string `required:"" enum:"TERMINAL,COMMAND,FILES"`
	// Program is that of a COMMAND: its name without its arguments, which may hold
	// secrets and are nobody's business but the machine's.
	Program string `len:"1,255"`
	// User is as whom it runs: NAME, UID or UID:GID, as the machine has them.
	User string `len:"1,255"`
}

// OpenImageBuilderSessionResult is how the session begins: the connection to URL
// is upgraded with the ticket.
type OpenImageBuilderSessionResult struct {
	URL     string
	Ticket  string `sensitive:""`
	Expires awsjson.Time
}

// openImageBuilderSession gives a ticket for one session in the machine of an
// image builder that is RUNNING. It is ours, for a command line has no use for
// the page that CreateImageBuilderStreamingURL gives; who may do that may do
// this, and who may not, not. What is to run is said here already so that it
// stands in the trail: a ticket is for that program alone.
func (s *service) openImageBuilderSession() action {
	return act(gateway.Def[OpenImageBuilderSessionRequest, *OpenImageBuilderSessionResult]{
		Name: "OpenImageBuilderSession",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *OpenImageBuilderSessionRequest) ([]iam.Question, error) {
			q, err := s.on(ctx, c, "CreateImageBuilderStreamingURL", builderKind, in.Name)
			return []iam.Question{q}, err
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *OpenImageBuilderSessionRequest) (*OpenImageBuilderSessionResult, error) {
			kind := session.Kind(in.Kind)
			switch {
			case kind == session.Command && in.Program == "":
				return nil, apierror.New("ValidationException", "Program is required where Kind is COMMAND.")
			case kind != session.Command && in.Program != "":
				return nil, apierror.New("ValidationException", "Program is for the Kind COMMAND alone.")
			case kind == session.Files && in.User != "":
				return nil, apierror.New("ValidationException", "User can't be given where Kind is FILES.")
			}
			opened, err := s.Sessions.Open(ctx, session.Opening{
				Account: c.Principal.Account, Region: c.Region, Builder: in.Name, Kind: kind, Program: in.Program, User: in.User,
			})
			if err != nil {
				return nil, err
			}
			return &OpenImageBuilderSessionResult{URL: opened.URL, Ticket: opened.Ticket, Expires: awsjson.Time{Time: opened.Expires}}, nil
		},
	})
}

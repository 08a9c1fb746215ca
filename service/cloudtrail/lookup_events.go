package cloudtrail

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"souk/access/iam"
	"souk/access/trail"
	"souk/gateway"
	"souk/gateway/apierror"
	"souk/gateway/awsjson"
)

// LookupEventsInput asks for a page of the account's events.
type LookupEventsInput struct {
	LookupAttributes []LookupAttribute // one at most
	StartTime        *float64          // seconds since 1970
	EndTime          *float64          // seconds since 1970
	EventCategory    *string           // "insight"; absent: management events
	MaxResults       *int              // 1 to 50
	NextToken        *string
}

// LookupAttribute is what an event must have.
type LookupAttribute struct {
	AttributeKey   string `required:""`
	AttributeValue string `required:""`
}

// LookupEventsOutput is a page of events, the newest first.
type LookupEventsOutput struct {
	Events    []Event
	NextToken string `json:",omitzero"`
}

// Event is a call that was recorded.
type Event struct {
	EventId         string
	EventName       string
	ReadOnly        string // true or false
	AccessKeyId     string `json:",omitzero"`
	EventTime       awsjson.Time
	EventSource     string
	Username        string
	Resources       []Resource
	CloudTrailEvent string // the whole record, JSON
}

// Resource is what an event is about.
type Resource struct {
	ResourceType string `json:",omitzero"`
	ResourceName string
}

const (
	mostResults = 50
	mostValue   = 2000 // characters of an attribute's value; _ , space and line end count twice
)

// lookupEvents lists the calls of the account in the last 90 days, the newest
// first, and of those that it oversees: "The default number of results returned is 50, with a maximum of 50
// possible." There are no Insights events, so a list of them is empty.
//
// AWS CloudTrail API Reference, "LookupEvents".
func lookupEvents(events Events, overseen Overseen) gateway.Operation {
	return gateway.Op(gateway.Def[LookupEventsInput, *LookupEventsOutput]{
		Name:     "LookupEvents",
		ReadOnly: true,
		Authorize: func(context.Context, *gateway.Caller, *LookupEventsInput) ([]iam.Question, error) {
			return []iam.Question{{Action: "cloudtrail:LookupEvents", Resource: "*"}}, nil
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *LookupEventsInput) (*LookupEventsOutput, error) {
			q, err := in.query(c.Principal.Account)
			if err != nil {
				return nil, err
			}
			out := &LookupEventsOutput{Events: []Event{}}
			if in.EventCategory != nil {
				return out, nil
			}
			if overseen != nil {
				q.Others, err = overseen(ctx, q.Account)
				if err != nil {
					return nil, err
				}
			}
			records, next, err := events.Lookup(ctx, q)
			if errors.Is(err, trail.ErrToken) {
				return nil, apierror.New("InvalidNextTokenException", "The NextToken is not valid, or was used before with different parameters.")
			}
			if err != nil {
				return nil, err
			}
			out.NextToken = next
			for _, r := range records {
				out.Events = append(out.Events, event(r))
			}
			return out, nil
		},
	})
}

// query reads and checks what is asked for.
func (in *LookupEventsInput) query(account string) (q trail.Query, err error) {
	q = trail.Query{Account: account, Most: mostResults}
	if in.EventCategory != nil && *in.EventCategory != "insight" {
		return q, apierror.New("InvalidEventCategoryException", "The event category '%s' is not valid: it is insight, or left out for management events.", *in.EventCategory)
	}
	if in.MaxResults != nil {
		if q.Most = *in.MaxResults; q.Most < 1 || q.Most > mostResults {
			return q, apierror.New("InvalidMaxResultsException", "MaxResults is %d: it must be from 1 to %d.", q.Most, mostResults)
		}
	}
	if len(in.LookupAttributes) > 1 {
		return q, apierror.New("InvalidLookupAttributesException", "You can specify only one lookup attribute, and there are %d.", len(in.LookupAttributes))
	}
	for _, a := range in.LookupAttributes {
		var ok bool
		q.Attribute, ok = trail.AttributeNamed(a.AttributeKey)
		if !ok {
			return q, apierror.New("InvalidLookupAttributesException", "The attribute key '%s' is not valid: it is one of AccessKeyId, EventId, EventName, EventSource, ReadOnly, ResourceName, ResourceType, Username.", a.AttributeKey)
		}
		if length(a.AttributeValue) > mostValue {
			return q, apierror.New("InvalidLookupAttributesException", "The attribute value is longer than %d characters.", mostValue)
		}
		q.Value = a.AttributeValue
	}
	if q.Start, err = at("StartTime", in.StartTime); err != nil {
		return q, err
	}
	if q.End, err = at("EndTime", in.EndTime); err != nil {
		return q, err
	}
	if !q.Start.IsZero() && !q.End.IsZero() && q.Start.After(q.End) {
		return q, apierror.New("InvalidTimeRangeException", "The start time must not be after the end time.")
	}
	if in.NextToken != nil {
		if q.Token = *in.NextToken; q.Token == "" {
			return q, apierror.New("InvalidNextTokenException", "The NextToken is empty.")
		}
	}
	return q, nil
}

// length counts the characters of an attribute's value as CloudTrail does.
func length(s string) int {
	return utf8.RuneCountInString(s) + strings.Count(s, "_") + strings.Count(s, " ") + strings.Count(s, ",") + strings.Count(s, "\n")
}

// latest is the last second that times can have: the end of the year 9999.
const latest = 253402300799

func at(name string, seconds *float64) (time.Time, error) {
	if seconds == nil {
		return time.Time{}, nil
	}
	if math.IsNaN(*seconds) || *seconds < 0 || *seconds > latest {
		return time.Time{}, apierror.New("InvalidTimeRangeException", "The %s is out of the range of possible values.", name)
	}
	whole, part := math.Modf(*seconds)
	return time.Unix(int64(whole), int64(part*1e9)).UTC(), nil
}

// event is a record as the API shows it.
func event(r *trail.Record) Event {
	e := Event{
		EventId: r.ID, EventName: r.Name, ReadOnly: strconv.FormatBool(r.ReadOnly), AccessKeyId: r.Key,
		EventTime: awsjson.Time{Time: r.Time().Truncate(time.Second)}, EventSource: r.Source, Username: r.Username(),
		Resources: []Resource{}, CloudTrailEvent: string(r.JSON()),
	}
	for _, arn := range r.Resources {
		about := trail.ResourceOf(arn)
		e.Resources = append(e.Resources, Resource{ResourceType: about.Type, ResourceName: about.Name})
	}
	return e
}

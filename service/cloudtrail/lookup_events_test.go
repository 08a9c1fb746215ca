package cloudtrail

import (
	"errors"
	"strings"
	"testing"

	"souk/access/trail"
	"souk/gateway/apierror"
)

func ptr[T any](v T) *T { return &v }

// The codes are those of the CloudTrail API Reference, "LookupEvents", "Errors".
func TestWhatIsWrongWithALookupHasItsDocumentedCode(t *testing.T) {
	t.Parallel()
	named := func(key, value string) []LookupAttribute { return []LookupAttribute{{key, value}} }
	for name, c := range map[string]struct {
		in   LookupEventsInput
		code string
	}{
		"nothing":                     {LookupEventsInput{}, ""},
		"an attribute":                {LookupEventsInput{LookupAttributes: named("Username", "root")}, ""},
		"an unknown attribute":        {LookupEventsInput{LookupAttributes: named("Color", "red")}, "InvalidLookupAttributesException"},
		"an attribute in small":       {LookupEventsInput{LookupAttributes: named("username", "root")}, "InvalidLookupAttributesException"},
		"two attributes":              {LookupEventsInput{LookupAttributes: append(named("Username", "root"), named("EventName", "x")...)}, "InvalidLookupAttributesException"},
		"a value of 2,000":            {LookupEventsInput{LookupAttributes: named("Username", strings.Repeat("ä", 2000))}, ""},
		"a value of 2,001":            {LookupEventsInput{LookupAttributes: named("Username", strings.Repeat("a", 2001))}, "InvalidLookupAttributesException"},
		"a value of 1,001 underlines": {LookupEventsInput{LookupAttributes: named("Username", strings.Repeat("_", 1001))}, "InvalidLookupAttributesException"},
		"no results":                  {LookupEventsInput{MaxResults: ptr(0)}, "InvalidMaxResultsException"},
		"50 results":                  {LookupEventsInput{MaxResults: ptr(50)}, ""},
		"51 results":                  {LookupEventsInput{MaxResults: ptr(51)}, "InvalidMaxResultsException"},
		"an end before its start":     {LookupEventsInput{StartTime: ptr(2.0), EndTime: ptr(1.0)}, "InvalidTimeRangeException"},
		"a moment":                    {LookupEventsInput{StartTime: ptr(1.5), EndTime: ptr(1.5)}, ""},
		"a time before 1970":          {LookupEventsInput{StartTime: ptr(-1.0)}, "InvalidTimeRangeException"},
		"a time after 9999":           {LookupEventsInput{EndTime: ptr(1e12)}, "InvalidTimeRangeException"},
		"an empty token":              {LookupEventsInput{NextToken: ptr("")}, "InvalidNextTokenException"},
		"insights":                    {LookupEventsInput{EventCategory: ptr("insight")}, ""},
		"another category":            {LookupEventsInput{EventCategory: ptr("data")}, "InvalidEventCategoryException"},
	} {
		_, err := c.in.query("123456789012")
		var e *apierror.Error
		code := ""
		if errors.As(err, &e) {
			code = e.Code
		}
		if code != c.code {
			t.Errorf("%s: %v, want code %q", name, err, c.code)
		}
	}
}

func TestEveryAttributeOfTheModelIsKnown(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"EventId", "EventName", "ReadOnly", "Username", "ResourceType", "ResourceName", "EventSource", "AccessKeyId"} {
		if _, ok := trail.AttributeNamed(key); !ok {
			t.Errorf("%s is not known", key)
		}
	}
}

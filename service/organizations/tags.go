package organizations

import (
	"context"
	"strings"

	"souk/access/iam"
	"souk/gateway"
)

// Tag is a tag of an account, a unit or the root.
type Tag struct {
	Key   string  `required:"" len:"1,128" pattern:"^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$"`
	Value *string `required:"" len:"0,256" pattern:"^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$"`
}

// tagMap are the tags of a request, each key once.
func tagMap(tags []Tag) (map[string]string, error) {
	if len(tags) == 0 {
		return nil, nil
	}
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		if _, twice := m[t.Key]; twice {
			return nil, invalid("DUPLICATE_TAG_KEY", "You specified the tag key %s more than once.", t.Key)
		}
		m[t.Key] = *t.Value
	}
	return m, nil
}

// tagged adds the condition keys of tags to the questions of an operation that
// makes something with tags, and asks for organizations:TagResource too: "If the
// request includes tags, then the requester must have the
// organizations:TagResource permission."
func tagged[In any](authorize func(context.Context, *gateway.Caller, *In) ([]iam.Question, error), tags func(*In) []Tag) func(context.Context, *gateway.Caller, *In) ([]iam.Question, error) {
	return func(ctx context.Context, c *gateway.Caller, in *In) ([]iam.Question, error) {
		questions, err := authorize(ctx, c, in)
		if given := tags(in); len(given) > 0 {
			questions = append(questions, iam.Question{Action: "organizations:TagResource", Resource: "*"})
			keys := tagKeys(given)
			for i := range questions {
				questions[i].Context = keys
			}
		}
		return questions, err
	}
}

// tagKeys are the condition keys of tags of the request.
func tagKeys(tags []Tag) iam.Context {
	keys := iam.Context{}
	for _, t := range tags {
		keys["aws:requesttag/"+strings.ToLower(t.Key)] = []string{*t.Value}
		keys["aws:tagkeys"] = append(keys["aws:tagkeys"], t.Key)
	}
	return keys
}

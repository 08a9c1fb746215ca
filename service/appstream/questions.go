package appstream

import (
	"context"
	"strings"

	"souk/access/iam"
	"souk/artifact/appstream/resource"
	"souk/gateway"
)

// This file says what must be allowed, as the Service Authorization Reference
// has it, "Actions, resources, and condition keys for Amazon AppStream 2.0".

type question = iam.Question

// The kinds of resources that policies name.
const (
	imageKind   = "image"
	builderKind = "image-builder"
)

// on asks for an action on a resource of the caller's account and region, such
// as on(ctx, c, "StopImageBuilder", builderKind, in.Name), with the tags that it
// has. name may be "*".
func (s *service) on(ctx context.Context, c *gateway.Caller, action, kind, name string) (question, error) {
	return s.onARN(ctx, c, action, "arn:aws:appstream:"+c.Region+":"+c.Principal.Account+":"+kind+"/"+name)
}

// onEach asks for an action on each of the resources that a request names, and
// on all of a kind if it names none.
func (s *service) onEach(ctx context.Context, c *gateway.Caller, action, kind string, names []string) ([]question, error) {
	if len(names) == 0 {
		names = []string{"*"}
	}
	all := make([]question, 0, len(names))
	for _, name := range names {
		q, err := s.on(ctx, c, action, kind, name)
		if err != nil {
			return nil, err
		}
		all = append(all, q)
	}
	return all, nil
}

// onARN asks for an action on a resource that the request names by its ARN. What
// another account owns is asked about as the caller's own, but without its tags, of
// which the answer would tell: sharing it is not done by policies, and the rooms know
// whom it is shared to.
func (s *service) onARN(ctx context.Context, c *gateway.Caller, action, arn string) (question, error) {
	q := question{Action: "appstream:" + action, Resource: arn}
	a, ok := resource.ParseARN(arn)
	if s.Tags == nil || !ok || a.Account != c.Principal.Account || !c.Principal.Looks("aws:resourcetag/") {
		return q, nil
	}
	tags, err := s.Tags.Of(ctx, a)
	if err != nil {
		return q, err
	}
	for key, value := range tags {
		with(&q, "aws:resourcetag/"+strings.ToLower(key), value)
	}
	return q, nil
}

// onAll asks for an action that has no resources, such as those on directory
// configurations.
func onAll(action string) []question {
	return []question{{Action: "appstream:" + action, Resource: "*"}}
}

// withTags puts the tags of a request into a question: aws:RequestTag/KEY and
// aws:TagKeys.
func withTags(q question, tags map[string]string) question {
	for key, value := range tags {
		with(&q, "aws:requesttag/"+strings.ToLower(key), value)
		with(&q, "aws:tagkeys", key)
	}
	return q
}

// withTagKeys puts the keys of tags that a request removes into a question.
func withTagKeys(q question, keys []string) question {
	for _, key := range keys {
		with(&q, "aws:tagkeys", key)
	}
	return q
}

// tagging is asked beside the action that makes a resource with tags.
func tagging(arn string, tags map[string]string) []question {
	if len(tags) == 0 {
		return nil
	}
	return []question{withTags(question{Action: "appstream:TagResource", Resource: arn}, tags)}
}

// passing asks whether the caller may hand a role to the service; nothing is
// asked where no role is named.
func passing(role string) []question {
	if role == "" {
		return nil
	}
	q := question{Action: "iam:PassRole", Resource: role}
	with(&q, "iam:passedtoservice", "appstream.amazonaws.com")
	return []question{q}
}

// with adds a value of a condition key.
func with(q *question, key, value string) {
	if q.Context == nil {
		q.Context = iam.Context{}
	}
	q.Context[key] = append(q.Context[key], value)
}

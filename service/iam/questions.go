package iam

import (
	"context"
	"strings"

	"souk/access/iam"
	"souk/access/organization"
	"souk/gateway"
	"souk/gateway/apierror"
)

// This file says what is asked of policies before an action: the resources are
// those of the Service Authorization Reference, "Actions, resources, and
// condition keys for AWS Identity and Access Management".

// authorize returns what must be allowed for an input.
type authorize[In any] func(context.Context, *gateway.Caller, *In) ([]iam.Question, error)

// ask asks for the action on a resource that the input alone tells.
func ask[In any](action string, resource func(account string, in *In) string) authorize[In] {
	return func(_ context.Context, c *gateway.Caller, in *In) ([]iam.Question, error) {
		return []iam.Question{{Action: "iam:" + action, Resource: resource(c.Principal.Account, in)}}, nil
	}
}

// all asks for the action on everything.
func all[In any](action string) authorize[In] {
	return ask(action, func(string, *In) string { return "*" })
}

// made asks for the action on an entity that is to be made.
func made[In any](action, kind string, name func(*In) (path *string, name string)) authorize[In] {
	return ask(action, func(account string, in *In) string {
		path, name := name(in)
		if path == nil {
			return "arn:aws:iam::" + account + ":" + kind + "/" + name
		}
		return "arn:aws:iam::" + account + ":" + kind + *path + name
	})
}

// on asks for the action on a user, group or role.
func on[In any](s *service, action string, kind organization.HolderKind, name func(*In) string) authorize[In] {
	return func(ctx context.Context, c *gateway.Caller, in *In) ([]iam.Question, error) {
		arn, err := s.arn(ctx, organization.Holder{Kind: kind, Account: c.Principal.Account, Name: name(in)})
		if err != nil {
			return nil, err
		}
		return []iam.Question{{Action: "iam:" + action, Resource: arn}}, nil
	}
}

// renamed asks for a user or group as it is, and as it is to be: "To change a
// user name, the requester must have appropriate permissions on both the source
// object and the target object." Else who may change those of one path could
// give them another, and what policies allow there.
func renamed[In any](s *service, action string, kind organization.HolderKind, change func(*In) (name string, newPath, newName *string)) authorize[In] {
	return func(ctx context.Context, c *gateway.Caller, in *In) ([]iam.Question, error) {
		name, newPath, newName := change(in)
		was, err := s.arn(ctx, organization.Holder{Kind: kind, Account: c.Principal.Account, Name: name})
		if err != nil {
			return nil, err
		}
		start, rest, _ := strings.Cut(was, "/") // arn:aws:iam::ACCOUNT:user, division/Bob
		slash := strings.LastIndexByte(rest, '/') + 1
		path, name := "/"+rest[:slash], rest[slash:]
		if newPath != nil {
			path = *newPath
		}
		if newName != nil {
			name = *newName
		}
		questions := []iam.Question{{Action: "iam:" + action, Resource: was}}
		if is := start + path + name; is != was {
			questions = append(questions, iam.Question{Action: "iam:" + action, Resource: is})
		}
		return questions, nil
	}
}

// self is on for a user whose name may be left out: then it is the caller.
func self[In any](s *service, action string, name func(*In) *string) authorize[In] {
	return func(ctx context.Context, c *gateway.Caller, in *In) ([]iam.Question, error) {
		user, err := caller(c, name(in))
		if err != nil {
			return nil, err
		}
		arn := c.Principal.ARN
		if user != "" {
			arn, err = s.arn(ctx, organization.Holder{Kind: organization.OfUser, Account: c.Principal.Account, Name: user})
		}
		return []iam.Question{{Action: "iam:" + action, Resource: arn}}, err
	}
}

// with adds condition keys to the questions of another authorize.
func with[In any](a authorize[In], keys func(*In) iam.Context) authorize[In] {
	return func(ctx context.Context, c *gateway.Caller, in *In) ([]iam.Question, error) {
		questions, err := a(ctx, c, in)
		for i := range questions {
			questions[i].Context = keys(in)
		}
		return questions, err
	}
}

// tagged adds the condition keys of tags to the questions of an operation that
// makes something, and asks for the action that tags it, too: who may not give
// tags gives none at birth, or policies that go by tags would be no bounds.
//
// IAM User Guide, "Tags for IAM resources", permissions required for tagging.
func tagged[In any](a authorize[In], action string, tags func(*In) []Tag) authorize[In] {
	return func(ctx context.Context, c *gateway.Caller, in *In) ([]iam.Question, error) {
		questions, err := a(ctx, c, in)
		given := tags(in)
		if err != nil || len(given) == 0 {
			return questions, err
		}
		for _, q := range questions {
			q.Action = "iam:" + action
			questions = append(questions, q)
		}
		for i := range questions {
			questions[i].Context = tagKeys(given)
		}
		return questions, nil
	}
}

// policyKey is the condition key of a managed policy that is attached or detached.
func policyKey(arn string) iam.Context { return iam.Context{"iam:policyarn": {arn}} }

// tagKeys are the condition keys of tags of the request.
func tagKeys(tags []Tag) iam.Context {
	keys := iam.Context{}
	for _, t := range tags {
		keys["aws:requesttag/"+strings.ToLower(t.Key)] = []string{value(t.Value)}
		keys["aws:tagkeys"] = append(keys["aws:tagkeys"], t.Key)
	}
	return keys
}

// arn is the ARN of a user, group or role with its path; of one that is not
// there, the ARN that it would have without a path.
func (s *service) arn(ctx context.Context, h organization.Holder) (string, error) {
	var (
		arn string
		err error
	)
	switch h.Kind {
	case organization.OfUser:
		var u organization.User
		u, err = s.organization.User(ctx, h.Account, h.Name)
		arn = u.ARN()
	case organization.OfGroup:
		var g organization.Group
		g, err = s.organization.Group(ctx, h.Account, h.Name)
		arn = g.ARN()
	default:
		var r organization.Role
		r, err = s.organization.Role(ctx, h.Account, h.Name)
		arn = r.ARN()
	}
	if apierror.Is(err, "NoSuchEntity") {
		return "arn:aws:iam::" + h.Account + ":" + h.Kind.String() + "/" + h.Name, nil
	}
	return arn, err
}

// caller is the name of the user that a request is about: the caller's own
// where none is given, "" for the root user.
func caller(c *gateway.Caller, name *string) (string, error) {
	switch p := c.Principal; {
	case name != nil:
		return *name, nil
	case p.Root:
		return "", nil
	case p.Name != "" && strings.HasPrefix(p.ARN, "arn:aws:iam::"+p.Account+":user/"):
		return p.Name, nil
	}
	return "", apierror.New("ValidationError", "Must specify userName when calling with non-User credentials")
}

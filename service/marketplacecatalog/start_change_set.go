package marketplacecatalog

import (
	"context"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"souk/access/iam"
	"souk/access/trail"
	"souk/catalog/changeset"
	"souk/gateway"
)

// StartChangeSetInput asks for changes of entities.
type StartChangeSetInput struct {
	Catalog            string   `required:"" len:"1,64" pattern:"^[a-zA-Z]+$"`
	ChangeSet          []Change `required:"" size:"1,20"`
	ChangeSetName      *string  `len:"1,100" pattern:"^[\\w\\s+=.:@-]+$"`
	ClientRequestToken *string  `len:"1,64" pattern:"^[!-~]+$"`
	ChangeSetTags      []Tag    `size:"1,200"`
	Intent             *string  `enum:"VALIDATE,APPLY"`
}

// Change is one change of a set.
type Change struct {
	ChangeType      string         `required:"" len:"1,255" pattern:"^[A-Z][\\w]*$"`
	Entity          *Entity        `required:""`
	EntityTags      []Tag          `size:"1,200"`
	Details         *string        `len:"2,16384" pattern:"^[\\s]*\\{[\\s\\S]*\\}[\\s]*$"`
	DetailsDocument jsontext.Value // any JSON: some change types take an array
	ChangeName      *string        `len:"1,72" pattern:"^[a-zA-Z]+$"`
}

// Entity is the entity of a change. The documented patterns leave no room for
// the @ of a type and for references ($ChangeName.Entity.Identifier), which
// the documentation's examples have.
type Entity struct {
	Type       string  `required:"" len:"1,255" pattern:"^[a-zA-Z]+(@[0-9]+(\\.[0-9]+)*)?$"`
	Identifier *string `json:",omitzero" len:"1,255" pattern:"^([\\w\\-@]+|\\$[\\w\\-]+\\.Entity\\.Identifier)$"`
}

// startChangeSet stores a change set and answers; the changes are made in the
// background.
//
// Catalog API Reference, "StartChangeSet".
func (s *service) startChangeSet() gateway.Operation {
	return gateway.Op(gateway.Def[StartChangeSetInput, *ChangeSetID]{
		Name: "StartChangeSet", Method: "POST", Path: "/StartChangeSet",
		Authorize: func(ctx context.Context, c *gateway.Caller, in *StartChangeSetInput) ([]iam.Question, error) {
			return s.startQuestions(ctx, c, in)
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *StartChangeSetInput) (*ChangeSetID, error) {
			r, err := in.request(c.Principal.Account)
			if err != nil {
				return nil, err
			}
			answer := func(id string) *ChangeSetID {
				return &ChangeSetID{ChangeSetArn: changeSetARN(c.Principal.Account, id), ChangeSetId: id}
			}
			var announced *ChangeSetID
			r.Begins = func(id string) {
				announced = answer(id)
				trail.Answer(ctx, announced, announced.ChangeSetArn)
			}
			id, err := s.engine.Start(ctx, r)
			if err != nil {
				return nil, err
			}
			if announced != nil && announced.ChangeSetId == id {
				return announced, nil
			}
			return answer(id), nil // the token was used before
		},
	})
}

// startQuestions asks for every change whether its type is allowed on its
// entity; the set is allowed only if all of them are. Where tags are given, each
// is asked about both with the tags of its entity and with those of the set, and
// it is asked whether those may be tagged. Where a change names a role, it is
// asked whether that may be passed to the marketplace.
//
// AWS Marketplace Catalog API, "Access control", tags: "the condition must match
// the tags of the entity and of the change set".
func (s *service) startQuestions(ctx context.Context, c *gateway.Caller, in *StartChangeSetInput) ([]iam.Question, error) {
	account := c.Principal.Account
	setTags, err := tagsOf(in.ChangeSetTags)
	if err != nil {
		return nil, err
	}
	questions := make([]iam.Question, 0, len(in.ChangeSet)+1)
	if len(setTags) > 0 {
		questions = append(questions, iam.Question{
			Action: action("TagResource"), Resource: changeSetARN(account, "*"), Context: requestTags(setTags, nil), About: "the tags of the change set",
		})
	}
	for i := range in.ChangeSet {
		change := &in.ChangeSet[i]
		tags, err := tagsOf(change.EntityTags)
		if err != nil {
			return nil, err
		}
		id := in.target(change)
		resource, err := s.target(ctx, account, unversioned(change.Entity.Type), id)
		if err != nil {
			return nil, err
		}
		ask := func(tags map[string]string) error {
			keys := iam.Context{"catalog:changetype": {change.ChangeType}}
			if in.Intent != nil {
				keys["aws-marketplace:intent"] = []string{*in.Intent}
			}
			keys, err := s.resourceTags(ctx, c, id, requestTags(tags, keys))
			questions = append(questions, iam.Question{
				Action:   action("StartChangeSet"),
				Resource: resource,
				Context:  keys,
				About:    "change type " + change.ChangeType,
			})
			return err
		}
		if err := ask(tags); err != nil {
			return nil, err
		}
		if len(setTags) > 0 {
			if err := ask(setTags); err != nil {
				return nil, err
			}
		}
		if len(tags) > 0 {
			questions = append(questions, iam.Question{
				Action: action("TagResource"), Resource: resource, Context: requestTags(tags, nil), About: "the tags of " + change.ChangeType,
			})
		}
		questions = append(questions, change.passQuestions()...)
	}
	return questions, nil
}

// target is the ARN of the entity that a change of an account changes: of what
// all accounts share, that of its owner.
func (s *service) target(ctx context.Context, account, kind, id string) (string, error) {
	if s.engine.Shared(kind) && id != "*" {
		owner, err := s.engine.Owner(ctx, id)
		if err != nil {
			return "", err
		}
		if owner != "" {
			account = owner
		}
	}
	return arn(account, kind, id), nil
}

// target is the id of the entity that a change changes, "*" for one that is
// still to be made. References are followed to the entity itself.
func (in *StartChangeSetInput) target(c *Change) string {
	for range in.ChangeSet {
		if c.Entity.Identifier == nil {
			return "*"
		}
		name, refers := strings.CutPrefix(*c.Entity.Identifier, "$")
		if !refers {
			id, _, _ := strings.Cut(*c.Entity.Identifier, "@")
			return id
		}
		name = strings.TrimSuffix(name, ".Entity.Identifier")
		next := c
		for i := range in.ChangeSet {
			if n := in.ChangeSet[i].ChangeName; n != nil && *n == name {
				next = &in.ChangeSet[i]
			}
		}
		c = next
	}
	return "*" // a cycle, or a name of no change: the engine refuses both
}

func (in *StartChangeSetInput) request(account string) (*changeset.Request, error) {
	if err := checkCatalog(in.Catalog); err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.ChangeSetTags)
	if err != nil {
		return nil, err
	}
	r := &changeset.Request{
		Tags:    tags,
		Account: account, Name: value(in.ChangeSetName), Token: value(in.ClientRequestToken), Intent: value(in.Intent),
		Changes: make([]changeset.Change, len(in.ChangeSet)),
	}
	for i := range in.ChangeSet {
		c := &in.ChangeSet[i]
		tags, err := tagsOf(c.EntityTags)
		if err != nil {
			return nil, err
		}
		r.Changes[i] = changeset.Change{
			Tags:       tags,
			ChangeType: c.ChangeType, EntityType: c.Entity.Type, Identifier: value(c.Entity.Identifier),
			ChangeName: value(c.ChangeName), Details: c.Details, DetailsDocument: c.DetailsDocument,
		}
	}
	return r, nil
}

// Starting is what can be told of the set from the request alone: titles are
// those that details give.
func (in *StartChangeSetInput) Starting(account string) changeset.Starting {
	s := changeset.Starting{Account: account, Name: value(in.ChangeSetName)}
	for i := range in.ChangeSet {
		c := &in.ChangeSet[i]
		details := []byte(c.DetailsDocument)
		if c.Details != nil {
			details = []byte(*c.Details)
		}
		s.Changes = append(s.Changes, changeset.StartingChange{
			ChangeType: c.ChangeType, EntityType: unversioned(c.Entity.Type), EntityID: in.target(c), Title: changeset.TitleIn(details),
		})
	}
	return s
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

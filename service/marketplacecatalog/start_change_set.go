package marketplacecatalog

import (
	"context"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"souk/access/iam"
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
		Authorize: func(_ context.Context, c *gateway.Caller, in *StartChangeSetInput) ([]iam.Question, error) {
			return in.questions(c.Principal.Account), nil
		},
		Call: func(ctx context.Context, c *gateway.Caller, in *StartChangeSetInput) (*ChangeSetID, error) {
			r, err := in.request(c.Principal.Account)
			if err != nil {
				return nil, err
			}
			id, err := s.engine.Start(ctx, r)
			if err != nil {
				return nil, err
			}
			return &ChangeSetID{ChangeSetArn: changeSetARN(c.Principal.Account, id), ChangeSetId: id}, nil
		},
	})
}

// questions asks for every change whether its type is allowed on its entity.
// The set is allowed only if all of them are.
func (in *StartChangeSetInput) questions(account string) []iam.Question {
	questions := make([]iam.Question, len(in.ChangeSet))
	for i := range in.ChangeSet {
		c := &in.ChangeSet[i]
		keys := iam.Context{"catalog:changetype": {c.ChangeType}}
		if in.Intent != nil {
			keys["aws-marketplace:intent"] = []string{*in.Intent}
		}
		questions[i] = iam.Question{
			Action:   action("StartChangeSet"),
			Resource: arn(account, unversioned(c.Entity.Type), in.target(c)),
			Context:  keys,
			About:    "change type " + c.ChangeType,
		}
	}
	return questions
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
	if len(in.ChangeSetTags) > 0 {
		return nil, invalid("ChangeSetTags are not offered yet.")
	}
	r := &changeset.Request{
		Account: account, Name: value(in.ChangeSetName), Token: value(in.ClientRequestToken), Intent: value(in.Intent),
		Changes: make([]changeset.Change, len(in.ChangeSet)),
	}
	for i := range in.ChangeSet {
		c := &in.ChangeSet[i]
		if len(c.EntityTags) > 0 {
			return nil, invalid("EntityTags are not offered yet.")
		}
		r.Changes[i] = changeset.Change{
			ChangeType: c.ChangeType, EntityType: c.Entity.Type, Identifier: value(c.Entity.Identifier),
			ChangeName: value(c.ChangeName), Details: c.Details, DetailsDocument: c.DetailsDocument,
		}
	}
	return r, nil
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

package changeset

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"souk/catalog/change"
	"souk/gateway/apierror"
)

// MaxDocument is the size of the largest DetailsDocument, in bytes.
const MaxDocument = 256 << 10

// plan is a change set as it is worked on: its changes decoded, with the ids of
// entities in the place of references, in the order in which they apply.
type plan struct {
	steps  []step
	probes bool // a change of the set asks the world
}

// step is one change of a plan.
type step struct {
	index  int // in the request
	entity *change.EntityType
	kind   *change.Type
	change change.Change
	needs  []int // indexes of the creating changes whose entities it names or changes
}

// invalid is the error of a request that is refused at once (422).
func invalid(format string, args ...any) error {
	return apierror.New("ValidationException", format, args...)
}

// resolve finds the entity of every change: its own new one where the change
// type creates, that of the change that it refers to, or the one that it names.
// The records have ChangeType, EntityType, Sent, ChangeName and the details;
// resolve fills Creates and EntityID. newID mints the id of a new entity.
func (e *Engine) resolve(records []record, newID func(*change.EntityType) (string, error)) error {
	names := map[string]int{}
	for i := range records {
		name := records[i].ChangeName
		if name == "" {
			continue
		}
		if _, taken := names[name]; taken {
			return invalid("ChangeName '%s' is used by more than one change of the change set.", name)
		}
		names[name] = i
	}
	refers := make([]int, len(records)) // index of the change referred to, or -1
	for i := range records {
		r := &records[i]
		refers[i] = -1
		et, kind, err := e.find(r.EntityType, r.ChangeType)
		if err != nil {
			return err
		}
		r.Creates = kind.Creates
		switch {
		case kind.Creates && r.Sent != "":
			return invalid("Entity.Identifier must not be given for change type '%s', which creates its entity.", r.ChangeType)
		case kind.Creates:
			if r.EntityID, err = newID(et); err != nil {
				return err
			}
		case r.Sent == "":
			return invalid("Entity.Identifier is required for change type '%s'.", r.ChangeType)
		default:
			id, ok := parseIdentifier(r.Sent)
			if !ok {
				return invalid("Entity.Identifier '%s' is neither an entity identifier nor a reference of the form $ChangeName.Entity.Identifier.", r.Sent)
			}
			r.EntityID = id.id
			if id.change != "" {
				if refers[i], ok = names[id.change]; !ok {
					return unknownName(id.change)
				}
			}
		}
	}
	roots := make([]int, len(records)) // the change that knows the entity's id
	for i := range records {
		at := i
		for hops := 0; records[at].EntityID == ""; hops++ {
			if at = refers[at]; hops > len(records) {
				return errCycle
			}
		}
		if records[at].EntityType != records[i].EntityType {
			return invalid("Entity.Identifier '%s' refers to an entity of type '%s', not '%s'.", records[i].Sent, records[at].EntityType, records[i].EntityType)
		}
		roots[i] = at
	}
	for i, at := range roots {
		records[i].EntityID = records[at].EntityID
	}
	return nil
}

func unknownName(name string) error {
	return invalid("'$%s%s' refers to a change that is not in the change set.", name, referenceTail)
}

var errCycle = invalid("The changes of the change set refer to each other in a cycle.")

// support ends "is not ..." about an entity type, or one of its change types,
// that the engine does not have: whether it is known and comes later.
func (e *Engine) support(entityType, changeType string) string {
	name, _, _ := strings.Cut(entityType, "@")
	changes, known := e.cfg.Later[name]
	if changeType == "" && known && e.names[name] == nil || changeType != "" && slices.Contains(changes, changeType) {
		return "offered yet"
	}
	return "supported"
}

// offered lists the entity types that there are.
func (e *Engine) offered() string {
	var names []string
	for _, et := range e.cfg.Types {
		names = append(names, "'"+et.Name+"@"+et.Version+"'")
	}
	return strings.Join(names, ", ")
}

// changesOf lists the change types of an entity type.
func changesOf(et *change.EntityType) string {
	names := make([]string, len(et.Types))
	for i := range et.Types {
		names[i] = et.Types[i].Name
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// find returns an entity type and one of its change types.
func (e *Engine) find(entityType, changeType string) (*change.EntityType, *change.Type, error) {
	et := e.types[entityType]
	if et == nil {
		// Programs look for the words "entity type" to find out what a
		// marketplace has.
		return nil, nil, invalid("Entity type '%s' is not %s. The entity types are: %s.", entityType, e.support(entityType, ""), e.offered())
	}
	kind := e.changes[typeKey{entityType, changeType}]
	if kind == nil && len(et.Types) == 0 {
		return nil, nil, invalid("Change type '%s' is not supported for entity type '%s', which changes only with the entity that it is a part of.", changeType, entityType)
	}
	if kind == nil {
		return nil, nil, invalid("Change type '%s' is not %s for entity type '%s'. The change types are: %s.",
			changeType, e.support(entityType, changeType), entityType, changesOf(et))
	}
	return et, kind, nil
}

// plan decodes and orders resolved records. Its errors are refusals (422).
func (e *Engine) plan(records []record) (*plan, error) {
	names := map[string]int{}
	for i := range records {
		if records[i].ChangeName != "" {
			names[records[i].ChangeName] = i
		}
	}
	steps := make([]step, len(records))
	before := make([][]int, len(records)) // what must apply first
	for i := range records {
		r := &records[i]
		et, kind, err := e.find(r.EntityType, r.ChangeType)
		if err != nil {
			return nil, err
		}
		steps[i] = step{index: i, entity: et, kind: kind}
		if id, ok := parseIdentifier(r.Sent); ok && id.change != "" {
			before[i] = append(before[i], names[id.change])
		}
		document := r.details()
		mentioned, err := references(document)
		if err != nil {
			return nil, invalidDetails("Document not valid JSON format")
		}
		for _, name := range mentioned {
			j, ok := names[name]
			if !ok {
				return nil, unknownName(name)
			}
			before[i] = append(before[i], j)
		}
		if len(mentioned) > 0 {
			document, err = substitute(document, func(name string) (string, bool) {
				j, ok := names[name]
				if !ok {
					return "", false
				}
				return records[j].EntityID, true
			})
			if err != nil {
				return nil, invalidDetails("Document not valid JSON format")
			}
		}
		if steps[i].change, err = kind.Decode(document); err != nil {
			return nil, ofChange(invalidDetails(err.Error()), i, r)
		}
		for j := range records {
			if j == i {
				continue
			}
			if slices.Contains(kind.AfterAll, records[j].ChangeType) {
				before[i] = append(before[i], j)
			}
			if records[j].EntityID != r.EntityID {
				continue
			}
			switch {
			case records[j].ChangeType == r.ChangeType:
				return nil, invalid("Change type '%s' is requested more than once for entity '%s' in the change set.", r.ChangeType, r.shownAs())
			case kind.Alone:
				return nil, invalid("Change type '%s' can't be combined with other changes of entity '%s' in one change set.", r.ChangeType, r.shownAs())
			case records[j].Creates || slices.Contains(kind.After, records[j].ChangeType):
				before[i] = append(before[i], j)
			}
		}
	}
	order, ok := sortChanges(before)
	if !ok {
		return nil, errCycle
	}
	p := &plan{steps: make([]step, 0, len(steps))}
	for _, i := range order {
		s := steps[i]
		for _, j := range before[i] {
			if records[j].Creates && !slices.Contains(s.needs, j) {
				s.needs = append(s.needs, j)
			}
		}
		p.steps = append(p.steps, s)
		p.probes = p.probes || s.change.Probe != nil
	}
	return p, nil
}

// shownAs names the record's entity in a message, as the request did.
func (r *record) shownAs() string {
	if r.Sent != "" {
		return r.Sent
	}
	return r.EntityID
}

func invalidDetails(what string) error {
	return invalid("Provided Details is not valid. %s", what)
}

// errNotJSON refuses Details that are none; see notJSON.
var errNotJSON = invalidDetails("Document not valid JSON format")

// notJSON gives errNotJSON the words of the entity type.
func (e *Engine) notJSON(err error, entityType string) error {
	if et := e.types[entityType]; err == errNotJSON && et != nil && et.NotJSON != "" {
		return invalid("%s", et.NotJSON)
	}
	return err
}

// ofChange says of a refusal to which change of the request it belongs.
//
// Catalog API Reference, "ValidationException".
func ofChange(err error, i int, r *record) error {
	var e *apierror.Error
	if !errors.As(err, &e) {
		return err
	}
	field := map[string]string{
		"Field": fmt.Sprintf("changeSet.%d.member.details", i+1), "Message": e.Message, "Reason": "FieldValidationFailed",
		"EntityType": r.EntityType, "ChangeType": r.ChangeType,
	}
	if id, ok := parseIdentifier(r.Sent); ok && id.id != "" {
		field["EntityId"] = id.id
	}
	refusal := *e
	refusal.Fields = map[string]any{"ValidationExceptionFieldList": []map[string]string{field}}
	return &refusal
}

// because adds to the field of a refusal which values are wrong, where its
// documented message doesn't say so.
func because(err, reason error) error {
	var e *apierror.Error
	if reason == nil || !errors.As(err, &e) {
		return err
	}
	if fields, ok := e.Fields["ValidationExceptionFieldList"].([]map[string]string); ok && len(fields) == 1 {
		fields[0]["Message"] += " (" + strings.TrimPrefix(reason.Error(), "422: ") + ")"
	}
	return err
}

// sortChanges orders the changes 0 to len(before)-1 so that before[i] stand
// before i, and the order of the request is kept where that leaves a choice.
// False: they form a cycle.
func sortChanges(before [][]int) ([]int, bool) {
	order := make([]int, 0, len(before))
	placed := make([]bool, len(before))
	for len(order) < len(before) {
		next := -1
		for i := range before {
			if !placed[i] && !slices.ContainsFunc(before[i], func(j int) bool { return !placed[j] }) {
				next = i
				break
			}
		}
		if next < 0 {
			return nil, false
		}
		placed[next] = true
		order = append(order, next)
	}
	return order, true
}

// readDetails takes the details of a change as they were sent into its record.
// They are valid JSON after it: no name twice in an object, no bad UTF-8.
func readDetails(c *Change, r *record) error {
	given := c.DetailsDocument != nil && c.DetailsDocument.Kind() != 'n'
	switch {
	case given && c.Details != nil:
		return invalid("Only one of Details and DetailsDocument can be given for a change.")
	case given:
		if len(c.DetailsDocument) > MaxDocument {
			return invalidDetails(fmt.Sprintf("DetailsDocument is longer than %d bytes", MaxDocument))
		}
		r.Document = c.DetailsDocument.Clone()
		if r.Document.Compact() != nil {
			return errNotJSON
		}
	case c.Details != nil:
		if !jsontext.Value(*c.Details).IsValid() {
			return errNotJSON
		}
		r.Text = *c.Details
	default:
		return invalid("One of Details and DetailsDocument is required for a change.")
	}
	return nil
}

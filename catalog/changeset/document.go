package changeset

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"souk/catalog/change"
	"souk/storage/store"
)

// The kinds of documents that the engine writes, beside those of change.Claim.
const (
	kindSet    = "changeset"
	kindEntity = "entity"
	kindLock   = "lock"
	kindToken  = "token"
)

// Status is the state of a change set.
type Status string

// The states, as DescribeChangeSet shows them.
const (
	Preparing Status = "PREPARING"
	Applying  Status = "APPLYING"
	Succeeded Status = "SUCCEEDED"
	Cancelled Status = "CANCELLED"
	Failed    Status = "FAILED"
)

// Ended says whether a set in this state stays in it.
func (s Status) Ended() bool { return s == Succeeded || s == Cancelled || s == Failed }

// The two failure codes.
const (
	clientError = "CLIENT_ERROR"
	serverFault = "SERVER_FAULT"
)

// Intents of a change set.
const (
	IntentApply    = "APPLY"
	IntentValidate = "VALIDATE"
)

// setBody is the document of a change set.
type setBody struct {
	Account string
	Name    string
	Intent  string
	Status  Status
	Started time.Time
	Ended   time.Time `json:",omitzero"`
	Failure string    `json:",omitzero"` // FailureCode
	Reason  string    `json:",omitzero"` // FailureDescription
	Token   string    `json:",omitzero"` // id of its token document
	Changes []record

	// Marks are the names that it has marked while it is open, see change.Marker.
	Marks []string `json:",omitempty"`
	// Shared: it changes nothing but entities that all accounts share.
	Shared bool `json:",omitzero"`

	// Fixed when PREPARING ends, so that a redo of APPLYING gives the same bytes.
	Namespace string    `json:",omitzero"` // of the seller
	Now       time.Time `json:",omitzero"`
	Seed      string    `json:",omitzero"` // of the ids that Apply mints

	// Read are the revisions of other entities on which the probes' answers rest.
	Read map[string]int64 `json:",omitempty"`

	Direction *Direction `json:",omitempty"` // what happens to it by the director's word
	Until     time.Time  `json:",omitzero"`  // when it goes on that is held

	Tries     int       `json:",omitzero"` // of probes that failed by our fault
	FirstTry  time.Time `json:",omitzero"` // when the first of them began
	Revision  int64     // of the document when this was written
	Claimings int64     `json:",omitzero"` // how often a worker took it over before
}

// record is one change of a set.
type record struct {
	ChangeType string
	EntityType string // with version
	Sent       string `json:",omitzero"` // Identifier of the request
	EntityID   string // without revision; minted at Start where Creates
	Creates    bool   `json:",omitzero"`
	ChangeName string `json:",omitzero"`

	// One of the two: how the details were sent.
	Text     string         `json:",omitzero"` // Details, a string
	Document jsontext.Value `json:",omitzero"` // DetailsDocument, compact

	Tags   map[string]string `json:",omitempty"` // that its entity gets
	Found  map[string]string `json:",omitempty"` // what its probe found
	Errors []change.Refusal  `json:",omitempty"` // ErrorDetailList
}

// details returns the change's document as JSON.
func (r *record) details() []byte {
	if r.Document != nil {
		return r.Document
	}
	return []byte(r.Text)
}

// clone returns a copy whose changes may be written.
func (s *setBody) clone() *setBody {
	c := *s
	c.Changes, c.Read = slices.Clone(s.Changes), maps.Clone(s.Read)
	for i := range c.Changes {
		c.Changes[i].Found = maps.Clone(c.Changes[i].Found)
		c.Changes[i].Errors = slices.Clone(c.Changes[i].Errors)
	}
	return &c
}

// locked returns the ids of the locks that the set has: those of the entities
// that it changes and does not create, and its marks. Sorted, each once.
func (s *setBody) locked() []string {
	return append(s.ids(func(id string) bool { return !s.creates(id) }), s.Marks...)
}

// shown returns the ids of EntityIdList.
func (s *setBody) shown() []string {
	return s.ids(func(id string) bool { return s.Intent != IntentValidate || !s.creates(id) })
}

func (s *setBody) ids(want func(id string) bool) []string {
	ids := make([]string, 0, len(s.Changes))
	for i := range s.Changes {
		if id := s.Changes[i].EntityID; !slices.Contains(ids, id) && want(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (s *setBody) creates(id string) bool {
	for i := range s.Changes {
		if s.Changes[i].Creates && s.Changes[i].EntityID == id {
			return true
		}
	}
	return false
}

// types returns the change types that the set has for an entity.
func (s *setBody) types(id string) []string {
	var types []string
	for i := range s.Changes {
		if s.Changes[i].EntityID == id {
			types = append(types, s.Changes[i].ChangeType)
		}
	}
	return types
}

// setSummary is what lists show of a set, beside its id, and what combinations
// of filters look at. The store keeps it with every index entry, so it is
// short: the fields in this order, with NUL between them.
type setSummary struct {
	status   Status
	started  string   // stamp
	ended    string   // stamp; "" while the set is open
	failure  string   // FailureCode
	name     string   // "" for defaultName
	entities []string // separated by commas
	account  string   // whose it is; of sets that others see only
}

func (s *setBody) summary() []byte {
	name, ended := s.Name, ""
	if name == defaultName(s.Account) {
		name = ""
	}
	if !s.Ended.IsZero() {
		ended = stamp(s.Ended)
	}
	fields := []string{string(s.Status), stamp(s.Started), ended, s.Failure, name, strings.Join(s.shown(), ",")}
	if s.Shared {
		fields = append(fields, s.Account)
	}
	return []byte(strings.Join(fields, "\x00"))
}

func decodeSetSummary(raw []byte) (setSummary, error) {
	f := strings.SplitN(string(raw), "\x00", 7)
	if len(f) < 6 {
		return setSummary{}, errors.New("a change set's summary is damaged")
	}
	s := setSummary{status: Status(f[0]), started: f[1], ended: f[2], failure: f[3], name: f[4]}
	if len(f) == 7 {
		s.account = f[6]
	}
	if f[5] != "" {
		s.entities = strings.Split(f[5], ",")
	}
	return s, nil
}

// stamp is a time in the lists of change sets: microseconds since 1970, in
// eleven digits of base 36, so that stamps are in the order of their times.
func stamp(t time.Time) string {
	const digits = 11
	s := strconv.FormatInt(max(0, t.UnixMicro()), 36)
	return "00000000000"[:digits-len(s)] + s
}

// stamped is the time of a stamp; zero for "".
func stamped(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	n, err := strconv.ParseInt(s, 36, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the stamp of a change set: %w", err)
	}
	return time.UnixMicro(n).UTC(), nil
}

// Indexes of change sets. Open sets have one entry; they are few (OpenSets), so
// that each list reads them beside what has ended. Ended sets have two entries
// in each of the others, by start and by end: these stand in one partition, so
// that a set's neighbours are written together. Those of all entities stand in
// one, too: ids begin with a time, so that new ones are neighbours.
const (
	indexOpen   = "open"   // partition account; by start
	indexStatus = "status" // partition account/status
	indexName   = "name"   // partition account/name; not those of defaultName
	indexEntity = "entity" // partition account; before the time stand the entity's id and NUL
	// indexShared has the sets that others see, of all accounts: open ones by
	// start, ended ones as in the other indexes.
	indexShared = "shared" // partition open or ended

	byStart = "s" // stands before the time in Sort
	byEnd   = "e"
)

// defaultName is the ChangeSetName of a set that was given none. Most sets have
// it, so who asks for it is answered from the indexes by status.
func defaultName(account string) string { return "Submitted by " + account }

// sortTime is the form of times in the indexes of entities: of one length, to
// the microsecond.
const sortTime = "2006-01-02T15:04:05.000000Z"

// write makes the document of a set as it is to be put in the place of
// revision was. Due and Owner are the caller's.
func (s *setBody) write(id string, was int64) (store.Write, error) {
	s.Revision = was + 1
	body, err := json.Marshal(s)
	if err != nil {
		return store.Write{}, fmt.Errorf("encoding change set %s: %w", id, err)
	}
	summary := s.summary()
	w := store.Write{Was: was, Document: store.Document{
		Key: store.Key{Kind: kindSet, ID: id}, Body: body, Summary: summary,
	}}
	start := stamp(s.Started)
	if !s.Status.Ended() {
		w.Index = []store.Entry{{Index: indexOpen, Partition: s.Account, Sort: start, Cover: summary}}
		if s.Shared {
			w.Index = append(w.Index, store.Entry{Index: indexShared, Partition: sharedOpen, Sort: start, Cover: summary})
		}
		return w, nil
	}
	end, shown := stamp(s.Ended), s.shown()
	w.Index = make([]store.Entry, 0, 4+2*len(shown))
	add := func(index, partition, lead string) {
		w.Index = append(w.Index,
			store.Entry{Index: index, Partition: partition, Sort: lead + byEnd + end, Cover: summary},
			store.Entry{Index: index, Partition: partition, Sort: lead + byStart + start, Cover: summary})
	}
	add(indexStatus, s.Account+"/"+string(s.Status), "")
	if s.Name != defaultName(s.Account) {
		add(indexName, s.Account+"/"+s.Name, "")
	}
	if s.Shared {
		add(indexShared, sharedEnded, "")
	}
	for _, id := range shown {
		add(indexEntity, s.Account, id+"\x00")
	}
	return w, nil
}

func decodeSet(d store.Document) (*setBody, error) {
	s := &setBody{}
	if err := json.Unmarshal(d.Body, s); err != nil {
		return nil, fmt.Errorf("decoding change set %s: %w", d.ID, err)
	}
	return s, nil
}

// entityBody is the document of an entity.
type entityBody struct {
	Type         string // with version
	Owner        string
	LastModified time.Time
	State        jsontext.Value // encoding/json of the type's state
}

// Indexes of entities. All partitions begin with owner/type (without version).
const (
	indexModified           = "modified"            // owner/type; by LastModified
	indexNameModified       = "name"                // owner/type; by name, NUL, LastModified
	indexVisibilityModified = "visibility/modified" // owner/type/visibility; by LastModified
	indexVisibilityName     = "visibility/name"     // owner/type/visibility; by name
	indexVisibilityID       = "visibility/id"       // owner/type/visibility; by id
	indexField              = "field"               // owner/type/field/value; by LastModified
	indexSorted             = "sorted"              // owner/type/field; by the field's values
	// indexOfAll has the entities of the types that all accounts share.
	indexOfAll = "ofall" // type; by id
)

// The partitions of indexShared.
const (
	sharedOpen  = "open"
	sharedEnded = "ended"
)

// fieldPartition is the partition of indexField for a value of a field.
func fieldPartition(all, field, value string) string { return all + "/" + field + "/" + value }

// visibilities are those that an entity type may list, in their order.
func visibilities(et *change.EntityType) []string {
	if et.Visibilities != nil {
		return et.Visibilities
	}
	return []string{"Draft", "Limited", "Public", "Restricted"}
}

// writeEntity makes the document of an entity in its new state.
func writeEntity(et *change.EntityType, e change.Entity, state any, was int64) (store.Write, error) {
	raw, err := encodeState(state)
	if err != nil {
		return store.Write{}, fmt.Errorf("encoding entity %s: %w", e.ID, err)
	}
	body, err := json.Marshal(entityBody{Type: e.Type, Owner: e.Owner, LastModified: e.LastModified, State: raw},
		jsontext.PreserveRawStrings(true))
	if err != nil {
		return store.Write{}, fmt.Errorf("encoding entity %s: %w", e.ID, err)
	}
	l := et.List(state)
	if !slices.Contains(visibilities(et), l.Visibility) {
		return store.Write{}, fmt.Errorf("%w: entity %s has visibility %q, which its type doesn't name", errBroken, e.ID, l.Visibility)
	}
	listed, err := summarize(et, l, e.LastModified)
	if err != nil {
		return store.Write{}, fmt.Errorf("%w: entity %s: %w", errBroken, e.ID, err)
	}
	all := e.Owner + "/" + et.Name
	modified, summary := listed.modified, listed.encode()
	w := store.Write{Was: was, Document: store.Document{
		Key: store.Key{Kind: kindEntity, ID: e.ID}, Body: body, Summary: summary,
		Index: []store.Entry{
			{Index: indexModified, Partition: all, Sort: modified, Cover: summary},
			{Index: indexVisibilityModified, Partition: all + "/" + l.Visibility, Sort: modified, Cover: summary},
			{Index: indexVisibilityName, Partition: all + "/" + l.Visibility, Sort: cut(l.Name), Cover: summary},
			{Index: indexVisibilityID, Partition: all + "/" + l.Visibility, Cover: summary},
			{Index: indexNameModified, Partition: all, Sort: cut(l.Name) + "\x00" + modified, Cover: summary},
		},
		Terms: entityTerms(et, e.Owner, l),
	}}
	if et.Shared {
		w.Index = append(w.Index, store.Entry{Index: indexOfAll, Partition: et.Name})
	}
	for field, values := range l.Fields { // the store puts entries in order
		for _, v := range values {
			w.Index = append(w.Index, store.Entry{Index: indexField, Partition: fieldPartition(all, field, v), Sort: modified, Cover: summary})
		}
	}
	for _, field := range et.Fields {
		w.Index = append(w.Index, store.Entry{Index: indexSorted, Partition: all + "/" + field, Sort: listed.key(field), Cover: summary})
	}
	return w, nil
}

// maxSort is the length to which names are cut in Sort values: with a time
// behind them they stay below the length that the store allows.
const maxSort = 480

// cut shortens a name between characters, so that the store need not and
// positions made from documents equal those made by the store.
func cut(sort string) string {
	if len(sort) <= maxSort {
		return sort
	}
	n := maxSort
	for n > 0 && !utf8.RuneStart(sort[n]) {
		n--
	}
	return sort[:n]
}

// encodeState is encoding/json without its escapes for HTML.
func encodeState(v any) (jsontext.Value, error) {
	var b bytes.Buffer
	enc := stdjson.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return jsontext.Value(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// stored is an entity as it was read.
type stored struct {
	change.Entity
	state jsontext.Value
}

func decodeEntity(d store.Document) (*stored, error) {
	var b entityBody
	if err := json.Unmarshal(d.Body, &b); err != nil {
		return nil, fmt.Errorf("decoding entity %s: %w", d.ID, err)
	}
	return &stored{
		Entity: change.Entity{ID: d.ID, Type: b.Type, Owner: b.Owner, Revision: d.Revision, LastModified: b.LastModified},
		state:  b.State,
	}, nil
}

// decode fills a new state.
func (s *stored) decode(et *change.EntityType) (any, error) {
	state := et.New()
	if err := stdjson.Unmarshal(s.state, state); err != nil {
		return nil, fmt.Errorf("decoding entity %s: %w", s.ID, err)
	}
	return state, nil
}

// lockBody is the document of an entity's lock. It is never deleted, so that
// its revision tells every change of it; where it exists, it says whose the
// entity is without a look at the entity.
type lockBody struct {
	Type  string // of the entity, with version
	Owner string
	Held  []holder `json:",omitempty"`
}

// holder is an open change set with changes of the entity.
type holder struct {
	Set   string
	Types []string // change types
}

func (l lockBody) write(entity string, was int64) (store.Write, error) {
	body, err := json.Marshal(l)
	if err != nil {
		return store.Write{}, fmt.Errorf("encoding lock %s: %w", entity, err)
	}
	return store.Write{Was: was, Document: store.Document{Key: store.Key{Kind: kindLock, ID: entity}, Body: body}}, nil
}

// without returns the lock without a set's hold.
func (l lockBody) without(set string) lockBody {
	l.Held = slices.DeleteFunc(slices.Clone(l.Held), func(h holder) bool { return h.Set == set })
	return l
}

func decodeLock(d store.Document) (lockBody, error) {
	var l lockBody
	if err := json.Unmarshal(d.Body, &l); err != nil {
		return l, fmt.Errorf("decoding lock %s: %w", d.ID, err)
	}
	return l, nil
}

// tokenBody is the document of a ClientRequestToken.
type tokenBody struct {
	Input string // hash of the request, see Request.hash
	Set   string
}

func decodeToken(d store.Document) (tokenBody, error) {
	var t tokenBody
	if err := json.Unmarshal(d.Body, &t); err != nil {
		return t, fmt.Errorf("decoding token %s: %w", d.ID, err)
	}
	return t, nil
}

// Package assessment keeps the results of scans in the form of the Catalog API's
// assessments: which controls an image passed, and what was wrong. They are kept
// as long as their reports.
//
// It scans nothing and decides nothing.
package assessment

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"souk/storage/store"
)

// Kind is that of the documents.
const Kind = "assessment"

// Keeping is how long an assessment is kept.
const Keeping = 60 * 24 * time.Hour

// Frameworks: what was assessed. The reference shows the first; that the second
// has the version 1.0 is ours.
const (
	AMISecurity       = "AMISecurity@1.0"
	ContainerSecurity = "ContainerSecurity@1.0"
)

// Result says how an assessment, or a control of it, ended.
type Result string

// Results. Assessments have the first two.
const (
	Pass          Result = "PASS"
	Fail          Result = "FAIL"
	NotExecuted   Result = "NOT_EXECUTED"   // there was nothing to compare with
	ExemptionPass Result = "EXEMPTION_PASS" // it would have failed without the operator's exceptions
)

// Errors.
var (
	// ErrNotFound: the account has no such assessment.
	ErrNotFound = errors.New("no such assessment")
	// ErrToken: a page token is none of ours, or of another question.
	ErrToken = errors.New("not a page token of this list")
)

// Assessment is the result of a scan.
//
// Catalog API Reference, "DescribeAssessment".
type Assessment struct {
	Summary
	Subject  string // what was scanned, as the seller calls it
	Image    string // its digest
	Report   string `json:",omitzero"` // URL of the whole report, as long as the assessment is kept
	Controls []Control
}

// Summary is an assessment in a list.
type Summary struct {
	ID             string
	Account        string
	ChangeSet      string
	Entity         string
	Framework      string // with version
	DeliveryOption string `json:",omitzero"`
	Result         Result
	Created        time.Time
	Expires        time.Time
}

// Control is one check of an assessment.
type Control struct {
	ID     string
	Result Result
	Errors []Error `json:",omitzero"`
}

// Error is one thing that a control found. Those of a control that passed are warnings.
type Error struct {
	Code    string
	Message string
	Scope   []Scope `json:",omitzero"`
}

// Scope is what an error is about, such as FILE_PATH.
type Scope struct{ Name, Value string }

// Keyring seals page tokens; *keyring.Ring.
type Keyring interface {
	Seal(purpose string, plain, bound []byte) []byte
	Open(purpose string, sealed, bound []byte) ([]byte, error)
}

// Config says where assessments are kept.
type Config struct {
	Store   store.Store
	Keyring Keyring
	// Forget, if set, is told of assessments that expire, before they go.
	Forget func(context.Context, Assessment) error
	Now    func() time.Time // nil means time.Now
}

// Store keeps assessments. Its methods may be called concurrently.
type Store struct{ config Config }

// New returns the assessments of a store.
func New(c Config) *Store {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Store{config: c}
}

// Indexes.
const (
	byAccount   = "account"
	byChangeSet = "changeset"
	byEntity    = "entity"
)

// joined names a partition. Accounts have no slash.
func joined(account, id string) string { return account + "/" + id }

// Keep keeps an assessment in the place of one of its id: a scan that is done
// again has the same.
func (s *Store) Keep(ctx context.Context, a Assessment) error {
	body, err := json.Marshal(a, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return fmt.Errorf("encoding assessment %s: %w", a.ID, err)
	}
	summary, err := json.Marshal(a.Summary)
	if err != nil {
		return fmt.Errorf("encoding assessment %s: %w", a.ID, err)
	}
	sort := a.Created.UTC().Format("2006-01-02T15:04:05.000Z")
	cover := []byte(strings.Join([]string{a.ChangeSet, a.Entity, a.Framework, a.DeliveryOption}, "\x00"))
	d := store.Document{Key: store.Key{Kind: Kind, ID: a.ID}, Body: body, Summary: summary, Due: a.Expires, Index: []store.Entry{
		{Index: byAccount, Partition: a.Account, Sort: sort, Cover: cover},
		{Index: byChangeSet, Partition: joined(a.Account, a.ChangeSet), Sort: sort, Cover: cover},
		{Index: byEntity, Partition: joined(a.Account, a.Entity), Sort: sort, Cover: cover},
	}}
	err = s.config.Store.Commit(ctx, store.Batch{Put: []store.Write{{Document: d, Was: store.Any}}})
	if err != nil {
		return fmt.Errorf("keeping assessment %s: %w", a.ID, err)
	}
	return nil
}

// Get returns an assessment of an account. ErrNotFound, also for those of
// others and those that have expired.
func (s *Store) Get(ctx context.Context, account, id string) (Assessment, error) {
	var a Assessment
	d, err := s.config.Store.Get(ctx, store.Key{Kind: Kind, ID: id})
	if errors.Is(err, store.ErrNotFound) {
		return a, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	if err == nil {
		err = json.Unmarshal(d.Body, &a)
	}
	if err != nil {
		return a, fmt.Errorf("reading assessment %s: %w", id, err)
	}
	if a.Account != account || !s.config.Now().Before(a.Expires) {
		return Assessment{}, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	return a, nil
}

// Decode reads an assessment from its document.
func Decode(d store.Document) (a Assessment, err error) {
	err = json.Unmarshal(d.Body, &a)
	if err == nil && a.ID != d.ID {
		err = fmt.Errorf("it calls itself %q", a.ID)
	}
	return a, err
}

// Query asks for assessments of an account. Empty members ask for all.
type Query struct {
	Account        string
	ChangeSet      string
	Entity         string
	Framework      string // with or without version
	DeliveryOption string
	Max            int
	Token          string // of the page before
}

// purpose separates page tokens from all else that is sealed.
const purpose = "assessment-page"

// bound ties a token to its question.
func (q *Query) bound() []byte {
	return []byte(strings.Join([]string{q.Account, q.ChangeSet, q.Entity, q.Framework, q.DeliveryOption}, "\x00"))
}

// List returns a page of assessments, the newest first, and the token of the
// next, "" at the end. A page may be short. ErrToken.
func (s *Store) List(ctx context.Context, q Query) (page []Summary, next string, err error) {
	w := store.Query{Kind: Kind, Index: byAccount, Partition: q.Account, Backward: true, Limit: q.Max}
	switch {
	case q.ChangeSet != "":
		w.Index, w.Partition = byChangeSet, joined(q.Account, q.ChangeSet)
	case q.Entity != "":
		w.Index, w.Partition = byEntity, joined(q.Account, q.Entity)
	}
	w.Match = func(_, _ string, cover []byte) bool {
		parts := strings.Split(string(cover), "\x00")
		if len(parts) != 4 {
			return false
		}
		framework, _, _ := strings.Cut(parts[2], "@")
		return (q.ChangeSet == "" || q.ChangeSet == parts[0]) && (q.Entity == "" || q.Entity == parts[1]) &&
			(q.Framework == "" || q.Framework == parts[2] || q.Framework == framework) && (q.DeliveryOption == "" || q.DeliveryOption == parts[3])
	}
	if q.Token != "" {
		plain, err := s.open(q.Token, q.bound())
		if err == nil {
			err = json.Unmarshal(plain, &w.After)
		}
		if err != nil {
			return nil, "", ErrToken
		}
	}
	found, err := s.config.Store.List(ctx, w)
	if err != nil {
		return nil, "", fmt.Errorf("listing assessments: %w", err)
	}
	now := s.config.Now()
	for _, d := range found.Documents {
		var a Summary
		if err := json.Unmarshal(d.Summary, &a); err != nil {
			return nil, "", fmt.Errorf("reading assessment %s: %w", d.ID, err)
		}
		if now.Before(a.Expires) {
			page = append(page, a)
		}
	}
	if !found.More {
		return page, "", nil
	}
	plain, err := json.Marshal(found.Next)
	if err != nil {
		return nil, "", fmt.Errorf("encoding a page token: %w", err)
	}
	return page, s.seal(plain, q.bound()), nil
}

func (s *Store) seal(plain, bound []byte) string {
	return base64.RawURLEncoding.EncodeToString(s.config.Keyring.Seal(purpose, plain, bound))
}

func (s *Store) open(token string, bound []byte) ([]byte, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return nil, err
	}
	return s.config.Keyring.Open(purpose, sealed, bound)
}

// Page returns a page of an assessment's controls and the token of the next, ""
// at the end. ErrToken.
func (s *Store) Page(a Assessment, max int, token string) (page []Control, next string, err error) {
	bound := []byte("controls\x00" + a.ID)
	from := 0
	if token != "" {
		plain, err := s.open(token, bound)
		if err == nil {
			err = json.Unmarshal(plain, &from)
		}
		if err != nil || from < 0 || from > len(a.Controls) {
			return nil, "", ErrToken
		}
	}
	to := min(from+max, len(a.Controls))
	if to == len(a.Controls) {
		return a.Controls[from:], "", nil
	}
	plain, err := json.Marshal(to)
	if err != nil {
		return nil, "", fmt.Errorf("encoding a page token: %w", err)
	}
	return a.Controls[from:to], s.seal(plain, bound), nil
}

// Sweep removes a few assessments that have expired, and says how many. What it
// leaves comes with the next call.
func (s *Store) Sweep(ctx context.Context) (int, error) {
	const some = 20
	gone, err := s.config.Store.Claim(ctx, Kind, some, "sweep", time.Minute)
	if err != nil {
		return 0, fmt.Errorf("looking for assessments that have expired: %w", err)
	}
	for n, d := range gone {
		var a Assessment
		if err := json.Unmarshal(d.Body, &a); err != nil {
			return n, fmt.Errorf("reading assessment %s: %w", d.ID, err)
		}
		if s.config.Forget != nil {
			if err := s.config.Forget(ctx, a); err != nil {
				return n, fmt.Errorf("forgetting assessment %s: %w", a.ID, err)
			}
		}
		err := s.config.Store.Commit(ctx, store.Batch{Delete: []store.Removal{{Key: d.Key, Was: d.Revision}}})
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return n, fmt.Errorf("removing assessment %s: %w", d.ID, err)
		}
	}
	return len(gone), nil
}

// Package organization keeps who there is: the organisation, its accounts,
// their users, groups, roles, access keys and policies; and it finds the owner
// of an access key for every request.
//
// It decides nothing: what a principal may do is iam.Decide's to say.
package organization

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"souk/access/iam"
	"souk/access/keyring"
	"souk/gateway/apierror"
	"souk/storage/store"
	"souk/storage/work"
)

// DefaultAccount is the management account's id unless told otherwise.
const DefaultAccount = "123456789012"

// ReservedAccount is the account of the documents' registry host,
// 709825985650.dkr.ecr.us-east-1.amazonaws.com. Nobody gets it.
const ReservedAccount = "709825985650"

// Config says what an Organization works with.
type Config struct {
	Store   store.Store      // required
	Keyring *keyring.Ring    // required; seals the secrets of access keys
	Now     func() time.Time // nil means time.Now
	Rand    io.Reader        // of ids and secrets; nil means crypto/rand.Reader
}

// Organization is the one organisation of a database. Its methods may be
// called concurrently, on several nodes that share the database.
//
// Errors of what the caller asked are *apierror.Error with IAM's codes:
// NoSuchEntity, EntityAlreadyExists, LimitExceeded, DeleteConflict,
// ValidationError, InvalidInput, MalformedPolicyDocument.
type Organization struct {
	store   store.Store
	ring    *keyring.Ring
	now     func() time.Time
	rand    io.Reader
	aws     map[string]*managedDocument // policies of AWS, by ARN; not changed
	keys    cache
	id      atomic.Value // string: the organisation's id, once it was read
	sellers sellers
	runner  atomic.Pointer[work.Runner] // of Run, while it runs
}

// New returns the organisation of a store; Bootstrap or Check comes next.
func New(c Config) *Organization {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	return &Organization{store: c.Store, ring: c.Keyring, now: c.Now, rand: c.Rand, aws: awsPolicies()}
}

// Kinds of documents. Every change of a user's keys and policies writes the
// user's document, and every change of a root user's keys the account's, so
// that one revision tells whether anything changed.
const (
	kindOrganization = "organization" // one, id "organization"
	kindAccount      = "account"      // by account id
	kindNamespace    = "namespace"    // by namespace: keeps it unique
	kindUser         = "user"         // by "ACCOUNT/name in lower case": IAM's names differ by more than case
	kindAccessKey    = "accesskey"    // by access key id
	kindGroup        = "iamgroup"     // by "ACCOUNT/name in lower case", as the two below
	kindRole         = "iamrole"
	kindManaged      = "iampolicy" // a customer's managed policy
	kindUnit         = "unit"      // by the id of the organisational unit
	kindTags         = "unittags"  // by the id of an account, a unit or the root
	kindCreation     = "creation"  // by the id of a request to make an account
)

// Indexes: all documents of a kind by id, and those of an account.
const (
	indexAll     = "all"     // partition ""
	indexAccount = "account" // partition: the account id
	indexGroup   = "group"   // the users of a group; partition: the group's id
	indexPolicy  = "policy"  // who has a managed policy; partition: account and ARN
	indexParent  = "parent"  // partition: the unit or root that something is in; accounts in the root have none
	indexEmail   = "email"   // partition: the e-mail address in lower case
	indexName    = "name"    // partition: a unit's parent and name
)

// sealPurpose is the keyring's purpose for the secrets of access keys, which
// are bound to the key's id.
const sealPurpose = "access key secret"

// Info is what there is to know about the organisation itself.
type Info struct {
	ID          string // o- and ten letters and digits
	Management  string // account id
	Created     time.Time
	Fingerprint string // of the key that seals this database's secrets
	// Retired says of keys that sealed before, by fingerprint, when they stopped.
	Retired map[string]time.Time `json:",omitzero"`
	// Trusted says which services are trusted with the organisation, by their
	// principal, and since when; see Trust.
	Trusted map[string]time.Time `json:",omitzero"`
}

var organizationKey = store.Key{Kind: kindOrganization, ID: "organization"}

// ErrNone says that the database has no organisation yet.
var ErrNone = errors.New("there is no organisation in this database yet: start `souk serve` once")

// WrongKeyError says that the key file lacks the key that seals the database.
type WrongKeyError struct {
	Want, Have string // fingerprints: the database's, that of the key that the file would seal with
}

func (e *WrongKeyError) Error() string {
	return fmt.Sprintf("the key file does not fit the database: its fingerprint is %s, the database was sealed with %s; "+
		"give --key-file the key file with which this market was made (all nodes of one market have the same file)", e.Have, e.Want)
}

// Info returns the organisation, or ErrNone.
func (o *Organization) Info(ctx context.Context) (Info, error) {
	var info Info
	_, err := o.get(ctx, organizationKey, &info)
	if errors.Is(err, store.ErrNotFound) {
		return info, ErrNone
	}
	if err != nil {
		return info, fmt.Errorf("reading the organisation: %w", err)
	}
	return info, nil
}

// Check says whether the database has an organisation and this server's key
// file opens it: nil, ErrNone, or a *WrongKeyError.
func (o *Organization) Check(ctx context.Context) error {
	info, err := o.Info(ctx)
	if err != nil {
		return err
	}
	return o.fits(info)
}

// fits makes the ring seal with the key of the database, or says that it lacks it.
func (o *Organization) fits(info Info) error {
	if !o.ring.SealWith(info.Fingerprint) {
		return &WrongKeyError{Want: info.Fingerprint, Have: o.ring.Fingerprint()}
	}
	return nil
}

// Bootstrap makes the organisation with its management account and root as
// that account's root key, in one commit, unless there is one already. made
// says whether it was this offer that was taken, however often it is called
// with the same key and on however many nodes at once: exactly one offer is.
//
// accountID "" is DefaultAccount, or whatever the existing organisation has; any
// other id must be the existing one's. A key file that does not fit the
// database is a *WrongKeyError. FirstStart is Bootstrap with the secret kept.
func (o *Organization) Bootstrap(ctx context.Context, accountID string, root Key) (made bool, err error) {
	for range maxTries {
		info, err := o.Info(ctx)
		if err == nil {
			return o.joined(ctx, info, accountID, root)
		}
		if !errors.Is(err, ErrNone) {
			return false, err
		}
		batch, err := o.beginning(accountID, root)
		if err != nil {
			return false, err
		}
		// Whatever the answer, and also when it is lost: what is stored tells.
		commitErr := o.store.Commit(ctx, batch)
		if _, err := o.Info(ctx); err != nil {
			if commitErr != nil && !errors.Is(commitErr, store.ErrConflict) {
				err = commitErr
			}
			return false, fmt.Errorf("making the organisation: %w", err)
		}
	}
	return false, errors.New("making the organisation: it was made and vanished again")
}

// joined answers Bootstrap where there is an organisation.
func (o *Organization) joined(ctx context.Context, info Info, accountID string, root Key) (made bool, err error) {
	if err := o.fits(info); err != nil {
		return false, err
	}
	if accountID != "" && accountID != info.Management {
		return false, fmt.Errorf("the management account of this market is %s, not %s: it is fixed since the first start", info.Management, accountID)
	}
	if root == (Key{}) {
		return false, nil // nothing was offered
	}
	_, err = o.store.Get(ctx, keyKey(root.ID))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading access key %s: %w", root.ID, err)
	}
	return true, nil
}

// beginning is the commit that makes an organisation.
func (o *Organization) beginning(accountID string, root Key) (store.Batch, error) {
	var batch store.Batch
	if accountID == "" {
		accountID = DefaultAccount
	}
	if err := checkAccountID(accountID); err != nil {
		return batch, err
	}
	now := o.now().UTC().Truncate(time.Millisecond)
	info := Info{ID: "o-" + o.random(lowerAlphabet, 10), Management: accountID, Created: now, Fingerprint: o.ring.Fingerprint()}
	account := accountDocument{
		Account:  Account{ID: accountID, Name: "Management", Namespace: defaultNamespace(accountID), Management: true, Created: now},
		RootKeys: []string{root.ID},
	}
	key := AccessKey{ID: root.ID, Account: accountID, Active: true, Created: now}
	batch.Put = []store.Write{
		{Document: document(organizationKey, nil, info)},
		account.write(0),
		account.claim(),
		o.keyWrite(key, root.Secret, 0),
	}
	return batch, nil
}

// maxTries bounds how often a change is tried anew after another one came first.
const maxTries = 20

// retry does a change until it does not conflict with another one.
func retry(change func() error) error {
	var err error
	for range maxTries {
		err = change()
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return err
}

// get reads a document into body and returns its revision.
func (o *Organization) get(ctx context.Context, key store.Key, body any) (int64, error) {
	d, err := o.store.Get(ctx, key)
	if err != nil {
		return 0, err
	}
	return d.Revision, decode(d, body)
}

func decode(d store.Document, body any) error {
	if err := json.Unmarshal(d.Body, body); err != nil {
		return fmt.Errorf("%s %s: %w: %w", d.Kind, d.ID, errDamaged, err)
	}
	return nil
}

// errDamaged says that a stored document can't be decoded.
var errDamaged = errors.New("stored document is damaged")

// document makes a document from its body and what lists show of it.
func document(key store.Key, summary, body any, index ...store.Entry) store.Document {
	return store.Document{Key: key, Summary: encode(summary), Body: encode(body), Index: index}
}

func encode(v any) []byte {
	if v == nil {
		return nil
	}
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		panic("organization: encoding a document: " + err.Error()) // our own plain structs
	}
	return b
}

// each calls f for the summary of each document of an index partition, in order.
func (o *Organization) each(ctx context.Context, kind, index, partition string, f func(store.Document) error) error {
	q := store.Query{Kind: kind, Index: index, Partition: partition, Limit: 500}
	for {
		page, err := o.store.List(ctx, q)
		if err != nil {
			return fmt.Errorf("listing documents of kind %s: %w", kind, err)
		}
		for _, d := range page.Documents {
			if err := f(d); err != nil {
				return err
			}
		}
		if !page.More {
			return nil
		}
		q.After = page.Next
	}
}

// summaries collects the summaries of an index partition.
func summaries[T any](ctx context.Context, o *Organization, kind, index, partition string) ([]T, error) {
	list := []T{}
	err := o.each(ctx, kind, index, partition, func(d store.Document) error {
		var t T
		if err := json.Unmarshal(d.Summary, &t); err != nil {
			return fmt.Errorf("reading the summary of %s %s: %w", kind, d.ID, err)
		}
		list = append(list, t)
		return nil
	})
	return list, err
}

// Alphabets of ids.
const (
	lowerAlphabet  = "abcdefghijklmnopqrstuvwxyz0123456789"
	upperAlphabet  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" // of AKIA and AIDA ids
	secretAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	digitAlphabet  = "0123456789"
)

// random returns n letters of an alphabet, each as likely as any other.
func (o *Organization) random(alphabet string, n int) string {
	out := make([]byte, 0, n)
	fair := byte(256/len(alphabet)*len(alphabet) - 1)
	var b [64]byte
	for len(out) < n {
		if _, err := io.ReadFull(o.rand, b[:]); err != nil {
			panic("organization: the source of randomness failed: " + err.Error())
		}
		for _, c := range b {
			if c <= fair && len(out) < n {
				out = append(out, alphabet[int(c)%len(alphabet)])
			}
		}
	}
	return string(out)
}

func refuse(status int, code, format string, args ...any) error {
	return apierror.WithStatus(status, code, format, args...)
}

// malformed turns a refusal of iam into an API error.
func malformed(err error) error {
	var d *iam.DocumentError
	if errors.As(err, &d) {
		if d.Code == "LimitExceeded" {
			return refuse(409, d.Code, "%s", d.Message)
		}
		return refuse(400, d.Code, "%s", d.Message)
	}
	return err
}

// Package directory is the directory configurations of AppStream: what an account
// has said of a directory that image builders can join. It keeps them, with the
// password of the service account sealed, and says what stands in the way of a
// builder that wants to join. It speaks to no directory.
//
// AppStream API Reference, "DirectoryConfig"; Administration Guide, "Using Active
// Directory with AppStream 2.0".
package directory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"souk/artifact/appstream/resource"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// Kind is that of directory configurations; the id is ACCOUNT/REGION/NAME, the
// name in small letters.
const Kind = "appstream-directory"

// Indexes of directory configurations.
const (
	indexOwn = "own" // partition ACCOUNT/REGION; by name
	indexAll = "all" // partition ""; by id
)

// Certificate says whether users are known by certificates
// (CertificateBasedAuthProperties).
type Certificate struct {
	Status    string `json:",omitempty"` // Disabled is the only one here
	Authority string `json:",omitempty"` // ARN
}

// Disabled is the Status of a directory whose users give a password.
const Disabled = "DISABLED"

// Directory is a directory configuration. It has no password: nobody is shown it.
type Directory struct {
	Account string
	Region  string
	Name    string   // fully qualified, such as corp.example.com
	Units   []string // distinguished names of organizational units
	// User is the name of the service account; "" if there are no credentials.
	User        string       `json:",omitempty"`
	Certificate *Certificate `json:",omitempty"`
	Created     time.Time    // UTC, whole milliseconds
}

// stored is what is kept.
type stored struct {
	Directory
	Password []byte `json:",omitempty"` // sealed
}

// Credentials are those of the service account that joins machines to a directory.
type Credentials struct {
	User     string
	Password string // a secret
}

// Bounds of a directory configuration. The API gives those of names and passwords.
const (
	DefaultMost  = 50   // directories of an account in a region
	mostUnits    = 100  // of a directory
	mostUnit     = 2000 // characters
	mostUser     = 256  // characters
	mostPassword = 127  // characters
)

// Use is one resource that uses a directory.
type Use struct {
	By   string // such as "image builder NAME"
	Unit string // "" for the directory's own choice
}

// Config is what Directories works with.
type Config struct {
	Store store.Store
	Keys  resource.Sealer // seals passwords and page tokens
	// Guard, if set, is what a commit that holds something sealed expects: that the
	// key which seals is still the one of the database.
	Guard func(ctx context.Context) (store.Expectation, error)
	// Uses lists what uses a directory; nil: nothing does.
	Uses func(ctx context.Context, account, region, directory string) ([]Use, error)
	// Most is how many directories an account may have in a region; below 0: any
	// number. Nil means DefaultMost.
	Most func(account string) int
	Now  func() time.Time // nil means time.Now
}

// Directories are the directory configurations of a store. Its methods may be
// called concurrently.
type Directories struct{ config Config }

// New returns the directory configurations of a store.
func New(c Config) (*Directories, error) {
	if c.Store == nil || c.Keys == nil {
		return nil, errors.New("opening the directory configurations: a store and keys are needed")
	}
	if c.Uses == nil {
		c.Uses = func(context.Context, string, string, string) ([]Use, error) { return nil, nil }
	}
	if c.Most == nil {
		c.Most = func(string) int { return DefaultMost }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Directories{c}, nil
}

// formOfName is that of a fully qualified domain name.
var formOfName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
})

// isName says whether a text is the name of a directory.
func isName(name string) bool { return len(name) <= 255 && formOfName().MatchString(name) }

// formOfUnit is that of a distinguished name: attributes and their values with
// commas between them, commas in values behind a backslash (RFC 4514).
var formOfUnit = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9.-]*\s*=\s*([^,=\\]|\\.)+(\s*,\s*[A-Za-z][A-Za-z0-9.-]*\s*=\s*([^,=\\]|\\.)+)*$`)

// invalid refuses a value that no documented exception is for.
func invalid(format string, args ...any) error {
	return apierror.New("ValidationException", format, args...)
}

// SameName says whether two names are of one directory.
func SameName(a, b string) bool { return strings.EqualFold(a, b) }

// checkUnits refuses what are no organizational units.
func checkUnits(units []string) error {
	if len(units) == 0 || len(units) > mostUnits {
		return invalid("A directory configuration has 1 to %d organizational units, not %d.", mostUnits, len(units))
	}
	for _, u := range units {
		if !utf8.ValidString(u) || utf8.RuneCountInString(u) > mostUnit || !formOfUnit.MatchString(u) {
			return invalid("'%.100s' is no distinguished name of an organizational unit.", strings.ToValidUTF8(u, "?"))
		}
	}
	return nil
}

// checkCredentials refuses what can't be a user and password.
func checkCredentials(c *Credentials) error {
	switch {
	case c == nil:
		return nil
	case c.User == "" || utf8.RuneCountInString(c.User) > mostUser:
		return invalid("The account name of a service account has 1 to %d characters.", mostUser)
	case c.Password == "" || utf8.RuneCountInString(c.Password) > mostPassword:
		return invalid("The password of a service account has 1 to %d characters.", mostPassword)
	}
	return nil
}

// checkCertificate refuses what is not there: nobody here looks at certificates.
func checkCertificate(c *Certificate) error {
	if c != nil && c.Status != "" && c.Status != Disabled {
		return apierror.New("OperationNotPermittedException", "Certificate-based authentication can't be enabled here: its status can be %s.", Disabled)
	}
	return nil
}

func keyOf(account, region, name string) store.Key {
	return store.Key{Kind: Kind, ID: resource.Place(account, region) + "/" + strings.ToLower(name)}
}

func (s stored) key() store.Key { return keyOf(s.Account, s.Region, s.Name) }

// document is a configuration as the store keeps it. The summary lacks the password.
func (s stored) document() (store.Document, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return store.Document{}, fmt.Errorf("encoding directory configuration %s: %w", s.key().ID, err)
	}
	summary, err := json.Marshal(s.Directory)
	if err != nil {
		return store.Document{}, fmt.Errorf("encoding directory configuration %s: %w", s.key().ID, err)
	}
	key := s.key()
	return store.Document{Key: key, Body: body, Summary: summary, Index: []store.Entry{
		{Index: indexOwn, Partition: resource.Place(s.Account, s.Region), Sort: strings.ToLower(s.Name)},
		{Index: indexAll, Sort: key.ID},
	}}, nil
}

func decode(d store.Document) (stored, error) {
	var s stored
	body := d.Body
	if body == nil {
		body = d.Summary
	}
	err := json.Unmarshal(body, &s)
	if err != nil {
		return stored{}, fmt.Errorf("decoding directory configuration %s: %w", d.ID, err)
	}
	return s, nil
}

// get reads a configuration. The error of one that is not there is the service's.
func (d *Directories) get(ctx context.Context, account, region, name string) (stored, int64, error) {
	missing := apierror.New("ResourceNotFoundException", "The directory config %s for account %s does not exist.", name, account)
	if !isName(name) {
		return stored{}, 0, missing // the key of no document
	}
	found, err := d.config.Store.Get(ctx, keyOf(account, region, name))
	if errors.Is(err, store.ErrNotFound) {
		return stored{}, 0, missing
	}
	if err != nil {
		return stored{}, 0, fmt.Errorf("reading directory configuration %s of %s: %w", name, account, err)
	}
	s, err := decode(found)
	return s, found.Revision, err
}

// commit writes a configuration. What is sealed in it was sealed by the key that
// seals in the moment of the commit: seal runs behind the guard.
func (d *Directories) commit(ctx context.Context, s stored, was int64, c *Credentials, bounds ...store.Bound) error {
	b := store.Batch{Bounds: bounds}
	if c != nil {
		if d.config.Guard != nil {
			guard, err := d.config.Guard(ctx)
			if err != nil {
				return err
			}
			b.Expect = append(b.Expect, guard)
		}
		s.User, s.Password = c.User, d.config.Keys.Seal(purpose, []byte(c.Password), []byte(s.key().ID))
	}
	document, err := s.document()
	if err != nil {
		return err
	}
	b.Put = []store.Write{{Document: document, Was: was}}
	return d.config.Store.Commit(ctx, b)
}

// again runs what may meet another writer until it does not. The last conflict is
// returned.
func again(do func() error) error {
	var err error
	for range 20 {
		err = do()
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return err
}

// Creation says which directory configuration is to be made.
type Creation struct {
	Account, Region string
	Name            string
	Units           []string
	Credentials     *Credentials // nil: none
	Certificate     *Certificate // nil: it was not given
	// Begins, if set, is told what Create will return, before anything is written.
	Begins func(Directory)
}

// Create makes a directory configuration. Errors: ResourceAlreadyExistsException,
// LimitExceededException, OperationNotPermittedException.
//
// AppStream API Reference, "CreateDirectoryConfig".
func (d *Directories) Create(ctx context.Context, n Creation) (Directory, error) {
	if !isName(n.Name) {
		return Directory{}, invalid("'%.100s' is no fully qualified name of a directory, such as corp.example.com.", n.Name)
	}
	for _, err := range []error{checkUnits(n.Units), checkCredentials(n.Credentials), checkCertificate(n.Certificate)} {
		if err != nil {
			return Directory{}, err
		}
	}
	s := stored{Directory: Directory{
		Account: n.Account, Region: n.Region, Name: n.Name, Units: slices.Clone(n.Units), Certificate: n.Certificate,
		Created: d.config.Now().UTC().Truncate(time.Millisecond),
	}}
	if n.Credentials != nil {
		s.User = n.Credentials.User
	}
	if n.Begins != nil {
		n.Begins(s.Directory)
	}
	var bounds []store.Bound
	most := d.config.Most(n.Account)
	if most >= 0 {
		bounds = []store.Bound{{Kind: Kind, Index: indexOwn, Partition: resource.Place(n.Account, n.Region), Most: most}}
	}
	err := again(func() error {
		_, _, err := d.get(ctx, n.Account, n.Region, n.Name)
		if err == nil {
			return apierror.New("ResourceAlreadyExistsException", "The directory config %s already exists.", n.Name)
		}
		if !apierror.Is(err, "ResourceNotFoundException") {
			return err
		}
		return d.commit(ctx, s, 0, n.Credentials, bounds...)
	})
	switch {
	case errors.Is(err, store.ErrLimit):
		return Directory{}, apierror.New("LimitExceededException", "The account has %d directory configs in this region, and can have no more.", most)
	case err != nil && !isAnswer(err):
		return Directory{}, fmt.Errorf("making directory configuration %s of %s: %w", n.Name, n.Account, err)
	}
	return s.Directory, err
}

// isAnswer says whether an error is for the caller to see.
func isAnswer(err error) bool {
	var e *apierror.Error
	return errors.As(err, &e)
}

// Change says what of a directory configuration is to be another; nil members stay.
type Change struct {
	Account, Region string
	Name            string
	Units           []string
	Credentials     *Credentials
	Certificate     *Certificate
	// Begins, if set, is told what Update will return, before anything is written.
	Begins func(Directory)
}

// Update changes a directory configuration, also of a directory that is in use;
// ResourceInUseException for a unit that is and would no longer be there. Others:
// ResourceNotFoundException, ConcurrentModificationException,
// OperationNotPermittedException.
//
// AppStream API Reference, "UpdateDirectoryConfig".
func (d *Directories) Update(ctx context.Context, c Change) (Directory, error) {
	if c.Units != nil {
		err := checkUnits(c.Units)
		if err != nil {
			return Directory{}, err
		}
	}
	err := checkCredentials(c.Credentials)
	if err == nil {
		err = checkCertificate(c.Certificate)
	}
	if err != nil {
		return Directory{}, err
	}
	s, was, err := d.get(ctx, c.Account, c.Region, c.Name)
	if err != nil {
		return Directory{}, err
	}
	if c.Units != nil {
		uses, err := d.config.Uses(ctx, c.Account, c.Region, s.Name)
		if err != nil {
			return Directory{}, fmt.Errorf("looking for what uses directory %s of %s: %w", c.Name, c.Account, err)
		}
		for _, u := range uses {
			if u.Unit != "" && hasUnit(s.Units, u.Unit) && !hasUnit(c.Units, u.Unit) {
				return Directory{}, apierror.New("ResourceInUseException", "The organizational unit %s of the directory config %s is in use by the %s.", u.Unit, s.Name, u.By)
			}
		}
		s.Units = slices.Clone(c.Units)
	}
	if c.Certificate != nil {
		s.Certificate = c.Certificate
	}
	if c.Credentials != nil {
		s.User = c.Credentials.User
	}
	if c.Begins != nil {
		c.Begins(s.Directory)
	}
	err = d.commit(ctx, s, was, c.Credentials)
	if errors.Is(err, store.ErrConflict) {
		return Directory{}, resource.Concurrent("directory config", s.Name)
	}
	if err != nil {
		return Directory{}, fmt.Errorf("changing directory configuration %s of %s: %w", c.Name, c.Account, err)
	}
	return s.Directory, nil
}

// Delete removes a directory configuration. Errors: ResourceInUseException,
// ResourceNotFoundException.
//
// AppStream API Reference, "DeleteDirectoryConfig".
func (d *Directories) Delete(ctx context.Context, account, region, name string) error {
	err := again(func() error {
		s, was, err := d.get(ctx, account, region, name)
		if err != nil {
			return err
		}
		uses, err := d.config.Uses(ctx, account, region, s.Name)
		if err != nil {
			return fmt.Errorf("looking for what uses directory %s of %s: %w", name, account, err)
		}
		if len(uses) > 0 {
			return apierror.New("ResourceInUseException", "The directory config %s is in use by the %s.", s.Name, uses[0].By)
		}
		return d.config.Store.Commit(ctx, store.Batch{Delete: []store.Removal{{Key: s.key(), Was: was}}})
	})
	if err != nil && !isAnswer(err) {
		return fmt.Errorf("deleting directory configuration %s of %s: %w", name, account, err)
	}
	return err
}

package organization

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"souk/storage/store"
)

// Account is an account of the organisation. A seller's repositories lie below
// its Namespace, which is fixed when the account is made.
type Account struct {
	ID         string // 12 digits
	Name       string
	Email      string `json:",omitzero"` // unique, whatever the case of its letters; see Address
	Namespace  string
	Management bool
	Parent     string `json:",omitzero"` // id of the unit that it is in; "" for the root
	Created    time.Time
	Closed     time.Time `json:",omitzero"` // see CloseAccount; zero: it is open
}

// Address is the account's e-mail address. One that was made without has one
// that no mail ever reaches.
func (a Account) Address() string {
	if a.Email == "" {
		return "account-" + a.ID + noMail
	}
	return a.Email
}

// noMail is the domain of addresses that were not given (RFC 2606, ".invalid").
const noMail = "@souk.invalid"

// RootARN is the ARN of the account's root user.
func (a Account) RootARN() string { return "arn:aws:iam::" + a.ID + ":root" }

// accountDocument is what is stored of an account.
type accountDocument struct {
	Account
	RootKeys []string // access keys of its root user
}

func accountKey(id string) store.Key { return store.Key{Kind: kindAccount, ID: id} }

func (a *accountDocument) write(was int64) store.Write {
	index := []store.Entry{
		{Index: indexAll, Sort: a.ID, Cover: []byte(a.Parent)},
		{Index: indexEmail, Partition: strings.ToLower(a.Address()), Sort: a.ID},
	}
	if a.Parent != "" {
		index = append(index, store.Entry{Index: indexParent, Partition: a.Parent, Sort: a.ID})
	}
	return store.Write{Was: was, Document: document(accountKey(a.ID), a.Account, a, index...)}
}

// namespaceDocument keeps a namespace for its account.
type namespaceDocument struct{ Account string }

func namespaceKey(name string) store.Key { return store.Key{Kind: kindNamespace, ID: name} }

// claim is the write that takes the account's namespace.
func (a *accountDocument) claim() store.Write {
	n := namespaceDocument{Account: a.ID}
	return store.Write{Document: document(namespaceKey(a.Namespace), n, n, store.Entry{Index: indexAll, Sort: a.Namespace})}
}

// NewAccount says which account is to be made.
type NewAccount struct {
	Name      string            // 1 to 50 printable ASCII characters
	Email     string            // "": none that mail reaches
	ID        string            // 12 digits; "" takes a free one
	Namespace string            // "" is seller-ID
	Role      string            // by which the management account gets in; "" is AccessRole
	Tags      map[string]string `json:",omitempty"`
}

// AccessRole is the role by which users and roles of the management account
// that may assume it administrate an account.
//
// AWS Organizations User Guide, "Accessing member accounts in an organization".
const AccessRole = "OrganizationAccountAccessRole"

// accessRole is the role that an account is born with.
func (o *Organization) accessRole(a Account, name, management string) store.Write {
	if name == "" {
		name = AccessRole
	}
	r := roleDocument{Role: Role{
		Account: a.ID, Name: name, Path: "/", ID: "AROA" + o.random(upperAlphabet, 17), MaxSession: shortestMaxSession, Created: a.Created,
		Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + management + `:root"},"Action":"sts:AssumeRole"}]}`,
	}}
	r.Policies = []Policy{{
		Name:     "AdministratorAccess",
		Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
	}}
	return r.write(0)
}

var (
	accountIDs   = regexp.MustCompile(`^[0-9]{12}$`)
	accountNames = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[ -~]{1,50}$`) }) // Organizations API Reference, CreateAccount, AccountName
	emails       = regexp.MustCompile(`^[^\s@]+@[^\s@]+\.[^\s@]+$`)                                     // the same, Email
	namespaces   = regexp.MustCompile(`^[a-z0-9]+(?:[._-][a-z0-9]+)*$`)
)

func defaultNamespace(account string) string { return "seller-" + account }

func checkAccountID(id string) error {
	if !accountIDs.MatchString(id) {
		return refuse(400, "ValidationError", "%q is no account id: it has 12 digits.", id)
	}
	if id == ReservedAccount {
		return refuse(400, "ValidationError", "Account id %s is reserved: it names the registry in AWS's documents.", id)
	}
	return nil
}

// checkNamespace refuses what can't be the first part of a repository's name,
// the names that Souk uses itself, and the default namespace of another account.
func checkNamespace(name, account string) error {
	if len(name) < 2 || len(name) > 64 || !namespaces.MatchString(name) {
		return refuse(400, "ValidationError", "%q is no namespace: 2 to 64 lower-case letters and digits, with single dots, hyphens and underscores between them.", name)
	}
	other, isDefault := strings.CutPrefix(name, "seller-")
	if name == "published" || name == "souk" || isDefault && accountIDs.MatchString(other) && other != account {
		return refuse(400, "ValidationError", "Namespace %s is reserved.", name)
	}
	return nil
}

// CreateAccount makes an account, and in it the role by which the management
// account gets in. Its root user has no access key yet: see CreateKey.
func (o *Organization) CreateAccount(ctx context.Context, n NewAccount) (Account, error) {
	return o.makeAccount(ctx, n, nil)
}

// makeAccount makes an account, and whatever else is to be written in the same commit.
func (o *Organization) makeAccount(ctx context.Context, n NewAccount, with func(Account) []store.Write) (Account, error) {
	var none Account
	if err := n.check(); err != nil {
		return none, err
	}
	info, err := o.Info(ctx)
	if err != nil {
		return none, err
	}
	for range maxTries {
		a := accountDocument{Account: Account{ID: n.ID, Name: n.Name, Email: n.Email, Namespace: n.Namespace, Created: o.now().UTC().Truncate(time.Millisecond)}}
		if a.ID == "" {
			a.ID = o.random(digitAlphabet[1:], 1) + o.random(digitAlphabet, 11)
			if a.ID == ReservedAccount {
				continue
			}
		}
		if a.Namespace == "" {
			a.Namespace = defaultNamespace(a.ID)
		}
		if err := checkNamespace(a.Namespace, a.ID); err != nil {
			return none, err
		}
		batch := store.Batch{
			Put:    []store.Write{a.write(0), a.claim(), o.accessRole(a.Account, n.Role, info.Management)},
			Bounds: []store.Bound{{Kind: kindAccount, Index: indexEmail, Partition: strings.ToLower(a.Address()), Most: 1}},
		}
		batch.Put = append(batch.Put, writeTags(a.ID, n.Tags)...)
		if with != nil {
			batch.Put = append(batch.Put, with(a.Account)...)
		}
		err := o.store.Commit(ctx, batch)
		if err == nil {
			return a.Account, nil
		}
		var conflict *store.Conflict
		switch {
		case errors.Is(err, store.ErrLimit):
			return none, refuse(409, "EntityAlreadyExists", "An account with the e-mail address %s exists already.", a.Address())
		case !errors.As(err, &conflict):
			return none, fmt.Errorf("making account %s: %w", a.ID, err)
		case conflict.Key.Kind == kindNamespace && n.Namespace != "":
			return none, refuse(409, "EntityAlreadyExists", "Namespace %s belongs to another account.", a.Namespace)
		case conflict.Key.Kind == kindAccount && n.ID != "":
			return none, refuse(409, "EntityAlreadyExists", "Account %s exists already.", a.ID)
		case conflict.Key.Kind != kindAccount && conflict.Key.Kind != kindNamespace:
			return none, fmt.Errorf("making account %s: %w", a.ID, err) // with something that another has changed
		}
	}
	return none, errors.New("making an account: no free account id was found")
}

// check refuses what no account can have.
func (n *NewAccount) check() error {
	if !accountNames().MatchString(n.Name) || strings.TrimSpace(n.Name) == "" {
		return refuse(400, "ValidationError", "%q is no account name: 1 to 50 printable ASCII characters.", n.Name)
	}
	if n.Email != "" && (len(n.Email) < 6 || len(n.Email) > 64 || !emails.MatchString(n.Email) || strings.HasSuffix(strings.ToLower(n.Email), noMail)) {
		return refuse(400, "ValidationError", "%q is no e-mail address of 6 to 64 characters.", n.Email)
	}
	if n.Role != "" && !roleNames().MatchString(n.Role) {
		return refuse(400, "ValidationError", "%q is no role name: 1 to 64 letters, digits and characters of _+=,.@-", n.Role)
	}
	if n.ID != "" {
		if err := checkAccountID(n.ID); err != nil {
			return err
		}
	}
	return checkUnitTags(n.Tags)
}

// Account returns an account.
func (o *Organization) Account(ctx context.Context, id string) (Account, error) {
	d, _, err := o.account(ctx, id)
	return d.Account, err
}

func (o *Organization) account(ctx context.Context, id string) (accountDocument, int64, error) {
	var d accountDocument
	if err := checkAccountID(id); err != nil {
		return d, 0, err
	}
	revision, err := o.get(ctx, accountKey(id), &d)
	if errors.Is(err, store.ErrNotFound) {
		return d, 0, refuse(404, "NoSuchEntity", "The account with id %s cannot be found.", id)
	}
	if err != nil {
		return d, 0, fmt.Errorf("reading account %s: %w", id, err)
	}
	return d, revision, nil
}

// Accounts returns all accounts, by id.
func (o *Organization) Accounts(ctx context.Context) ([]Account, error) {
	return summaries[Account](ctx, o, kindAccount, indexAll, "")
}

// Seller returns the namespace of an account's repositories.
func (o *Organization) Seller(ctx context.Context, account string) (namespace string, err error) {
	if name, ok := o.sellers.get(account); ok {
		return name, nil
	}
	a, err := o.Account(ctx, account)
	if err != nil {
		return "", err
	}
	o.sellers.put(account, a.Namespace)
	return a.Namespace, nil
}

// NamespaceOwner returns the account whose repositories lie below a namespace.
// ok is false if it is nobody's.
func (o *Organization) NamespaceOwner(ctx context.Context, namespace string) (account string, ok bool, err error) {
	var n namespaceDocument
	_, err = o.get(ctx, namespaceKey(namespace), &n)
	if errors.Is(err, store.ErrNotFound) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("reading namespace %s: %w", namespace, err)
	}
	return n.Account, true, nil
}

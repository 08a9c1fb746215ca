package organization

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"souk/storage/store"
)

// Key is an access key with its secret, which is told once: when it is made.
type Key struct {
	ID     string // AKIA and 16 letters and digits
	Secret string // 40 letters and digits
}

// AccessKey is what there is to know about an access key.
type AccessKey struct {
	ID      string
	Account string
	User    string // "" for the account's root user
	Active  bool
	Created time.Time
}

// maxKeys is how many access keys a user may have (IAM User Guide, "IAM and
// AWS STS quotas": "Access keys per IAM user").
const maxKeys = 2

// keyIDs is the form of our access key ids; what has another form is not looked for.
var keyIDs = regexp.MustCompile(`^AKIA[A-Z2-7]{16}$`)

// keyDocument is what is stored of an access key.
type keyDocument struct {
	AccessKey
	Sealed []byte // the secret, sealed and bound to ID
}

func keyKey(id string) store.Key { return store.Key{Kind: kindAccessKey, ID: id} }

func (k *keyDocument) write(was int64) store.Write {
	return store.Write{Was: was, Document: document(keyKey(k.ID), k.AccessKey, k,
		store.Entry{Index: indexAll, Sort: k.ID},
		store.Entry{Index: indexAccount, Partition: k.Account, Sort: k.ID})}
}

// keyWrite seals a secret and writes its key. Guard comes before it.
func (o *Organization) keyWrite(k AccessKey, secret string, was int64) store.Write {
	d := keyDocument{AccessKey: k, Sealed: o.ring.Seal(sealPurpose, []byte(secret), []byte(k.ID))}
	return d.write(was)
}

// NewKey returns a new access key that nobody has yet, for Bootstrap.
func (o *Organization) NewKey() Key {
	return Key{ID: "AKIA" + o.random(upperAlphabet, 16), Secret: o.random(secretAlphabet, 40)}
}

// CreateKey makes an access key for a user, or for the account's root user if
// user is "". It is the only time that the secret is told.
func (o *Organization) CreateKey(ctx context.Context, account, user string) (Key, error) {
	key := o.NewKey()
	k := AccessKey{ID: key.ID, Account: account, Active: true, Created: o.now().UTC().Truncate(time.Millisecond)}
	err := retry(func() error {
		owner, err := o.changeOwner(ctx, account, user, func(name string, keys *[]string) error {
			if len(*keys) >= maxKeys {
				return refuse(409, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: %d", maxKeys)
			}
			k.User = name
			*keys = append(*keys, key.ID)
			return nil
		})
		if err != nil {
			return err
		}
		guard, err := o.Guard(ctx)
		if err != nil {
			return err
		}
		batch := store.Batch{Expect: []store.Expectation{guard}, Put: []store.Write{owner, o.keyWrite(k, key.Secret, 0)}}
		return o.commitKeys(ctx, batch, []string{key.ID}, "making an access key for account "+account)
	})
	if err != nil {
		return Key{}, err
	}
	return key, nil
}

// changeOwner reads the owner of access keys, lets change have its name and
// its keys, and returns the write.
func (o *Organization) changeOwner(ctx context.Context, account, user string, change func(name string, keys *[]string) error) (store.Write, error) {
	if user == "" {
		a, revision, err := o.account(ctx, account)
		if err == nil {
			err = change("", &a.RootKeys)
		}
		return a.write(revision), err
	}
	u, revision, err := o.user(ctx, account, user)
	if err == nil {
		err = change(u.Name, &u.Keys)
	}
	return u.write(revision), err
}

// Keys returns the access keys of an account, of all its users and its root
// user; only those of a user if user is set.
func (o *Organization) Keys(ctx context.Context, account, user string) ([]AccessKey, error) {
	if _, err := o.Account(ctx, account); err != nil {
		return nil, err
	}
	if user != "" {
		u, _, err := o.user(ctx, account, user)
		if err != nil {
			return nil, err
		}
		user = u.Name
	}
	list, err := summaries[AccessKey](ctx, o, kindAccessKey, indexAccount, account)
	if user != "" {
		list = slices.DeleteFunc(list, func(k AccessKey) bool { return k.User != user })
	}
	return list, err
}

// SetKeyActive makes an access key of an account valid or invalid.
func (o *Organization) SetKeyActive(ctx context.Context, account, id string, active bool) error {
	return retry(func() error {
		k, revision, err := o.key(ctx, account, id)
		if err != nil || k.Active == active {
			return err
		}
		k.Active = active
		return o.commitKeys(ctx, store.Batch{Put: []store.Write{k.write(revision)}}, []string{id}, "changing access key "+id)
	})
}

// DeleteKey deletes an access key of an account.
func (o *Organization) DeleteKey(ctx context.Context, account, id string) error {
	return retry(func() error {
		k, revision, err := o.key(ctx, account, id)
		if err != nil {
			return err
		}
		owner, err := o.changeOwner(ctx, account, k.User, func(_ string, keys *[]string) error {
			*keys = slices.DeleteFunc(*keys, func(other string) bool { return other == id })
			return nil
		})
		if err != nil {
			return err
		}
		batch := store.Batch{Put: []store.Write{owner}, Delete: []store.Removal{{Key: keyKey(id), Was: revision}}}
		return o.commitKeys(ctx, batch, []string{id}, "deleting access key "+id)
	})
}

func (o *Organization) key(ctx context.Context, account, id string) (keyDocument, int64, error) {
	var k keyDocument
	missing := refuse(404, "NoSuchEntity", "The Access Key with id %s cannot be found.", id)
	if !keyIDs.MatchString(id) {
		return k, 0, missing
	}
	revision, err := o.get(ctx, keyKey(id), &k)
	if errors.Is(err, store.ErrNotFound) || err == nil && k.Account != account {
		return k, 0, missing
	}
	if err != nil {
		return k, 0, fmt.Errorf("reading access key %s: %w", id, err)
	}
	return k, revision, nil
}

// commitAll commits a change of what many keys may do: of a group, a role or a
// managed policy. This node then asks for every key's documents anew.
func (o *Organization) commitAll(ctx context.Context, batch store.Batch, what string) error {
	err := o.store.Commit(ctx, batch)
	o.keys.doubt()
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// commitKeys commits a change of what the keys may do. From its return on, and
// before it tells anybody, this node looks at the keys anew: also after an error,
// since the change may have been written and its answer lost.
func (o *Organization) commitKeys(ctx context.Context, batch store.Batch, keys []string, what string) error {
	err := o.store.Commit(ctx, batch)
	o.keys.forget(keys...)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

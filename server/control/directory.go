package control

import (
	"context"

	"souk/access/organization"
)

// The inputs of what a Directory asks. Members that a call does not need are left out.
type question struct {
	Account string `json:",omitzero"`
	User    string `json:",omitzero"`
	Key     string `json:",omitzero"`
	Name    string `json:",omitzero"`
	Text    string `json:",omitzero"`
	Yes     bool   `json:",omitzero"` // active; with all that belongs to it
}

// nothing is the answer of what answers nothing.
type nothing struct{}

// OfferDirectory offers what Directory asks for.
func OfferDirectory(d *Door, o *organization.Organization) {
	Offer(d, "account/create", o.CreateAccount)
	Offer(d, "account/list", func(ctx context.Context, _ question) ([]organization.Account, error) {
		return o.Accounts(ctx)
	})
	Offer(d, "account/show", func(ctx context.Context, q question) (organization.Account, error) {
		return o.Account(ctx, q.Account)
	})
	Offer(d, "account/path", func(ctx context.Context, q question) ([]string, error) {
		return o.Path(ctx, q.Account)
	})
	Offer(d, "account/reopen", func(ctx context.Context, q question) (nothing, error) {
		return nothing{}, o.ReopenAccount(ctx, q.Account)
	})
	Offer(d, "user/create", func(ctx context.Context, q question) (organization.User, error) {
		return o.CreateUser(ctx, q.Account, q.User)
	})
	Offer(d, "user/list", func(ctx context.Context, q question) ([]organization.User, error) {
		return o.Users(ctx, q.Account)
	})
	Offer(d, "user/delete", func(ctx context.Context, q question) (nothing, error) {
		return nothing{}, o.DeleteUser(ctx, q.Account, q.User, q.Yes)
	})
	Offer(d, "key/create", func(ctx context.Context, q question) (organization.Key, error) {
		return o.CreateKey(ctx, q.Account, q.User)
	})
	Offer(d, "key/list", func(ctx context.Context, q question) ([]organization.AccessKey, error) {
		return o.Keys(ctx, q.Account, q.User)
	})
	Offer(d, "key/activate", func(ctx context.Context, q question) (nothing, error) {
		return nothing{}, o.SetKeyActive(ctx, q.Account, q.Key, q.Yes)
	})
	Offer(d, "key/delete", func(ctx context.Context, q question) (nothing, error) {
		return nothing{}, o.DeleteKey(ctx, q.Account, q.Key)
	})
	Offer(d, "policy/put", func(ctx context.Context, q question) (nothing, error) {
		return nothing{}, o.PutPolicy(ctx, q.Account, q.User, organization.Policy{Name: q.Name, Document: q.Text})
	})
	Offer(d, "policy/list", func(ctx context.Context, q question) ([]organization.Policy, error) {
		return o.Policies(ctx, q.Account, q.User)
	})
	Offer(d, "policy/show", func(ctx context.Context, q question) (organization.Policy, error) {
		return o.Policy(ctx, q.Account, q.User, q.Name)
	})
	Offer(d, "policy/delete", func(ctx context.Context, q question) (nothing, error) {
		return nothing{}, o.DeletePolicy(ctx, q.Account, q.User, q.Name)
	})
}

// Directory asks who there is, and changes it: accounts, users, access keys
// and policies. Its methods are those of organization.Organization.
type Directory struct {
	Caller Caller
}

func ask[Out any](ctx context.Context, c Caller, name string, in any) (Out, error) {
	var out Out
	err := c.Call(ctx, name, in, &out)
	return out, err
}

// CreateAccount makes an account.
func (d Directory) CreateAccount(ctx context.Context, n organization.NewAccount) (organization.Account, error) {
	return ask[organization.Account](ctx, d.Caller, "account/create", n)
}

// Accounts lists all accounts.
func (d Directory) Accounts(ctx context.Context) ([]organization.Account, error) {
	return ask[[]organization.Account](ctx, d.Caller, "account/list", question{})
}

// Account shows an account.
func (d Directory) Account(ctx context.Context, id string) (organization.Account, error) {
	return ask[organization.Account](ctx, d.Caller, "account/show", question{Account: id})
}

// Path shows what an account is in: its id, its units', the root's, the organisation's.
func (d Directory) Path(ctx context.Context, id string) ([]string, error) {
	return ask[[]string](ctx, d.Caller, "account/path", question{Account: id})
}

// ReopenAccount makes a closed account what it was.
func (d Directory) ReopenAccount(ctx context.Context, id string) error {
	return d.Caller.Call(ctx, "account/reopen", question{Account: id}, nil)
}

// CreateUser makes a user of an account.
func (d Directory) CreateUser(ctx context.Context, account, name string) (organization.User, error) {
	return ask[organization.User](ctx, d.Caller, "user/create", question{Account: account, User: name})
}

// Users lists the users of an account.
func (d Directory) Users(ctx context.Context, account string) ([]organization.User, error) {
	return ask[[]organization.User](ctx, d.Caller, "user/list", question{Account: account})
}

// DeleteUser deletes a user; all: with keys and policies.
func (d Directory) DeleteUser(ctx context.Context, account, name string, all bool) error {
	return d.Caller.Call(ctx, "user/delete", question{Account: account, User: name, Yes: all}, nil)
}

// CreateKey makes an access key of a user, or of the root user if user is "".
func (d Directory) CreateKey(ctx context.Context, account, user string) (organization.Key, error) {
	return ask[organization.Key](ctx, d.Caller, "key/create", question{Account: account, User: user})
}

// Keys lists the access keys of an account, or of one of its users.
func (d Directory) Keys(ctx context.Context, account, user string) ([]organization.AccessKey, error) {
	return ask[[]organization.AccessKey](ctx, d.Caller, "key/list", question{Account: account, User: user})
}

// SetKeyActive makes an access key valid or invalid.
func (d Directory) SetKeyActive(ctx context.Context, account, id string, active bool) error {
	return d.Caller.Call(ctx, "key/activate", question{Account: account, Key: id, Yes: active}, nil)
}

// DeleteKey deletes an access key.
func (d Directory) DeleteKey(ctx context.Context, account, id string) error {
	return d.Caller.Call(ctx, "key/delete", question{Account: account, Key: id}, nil)
}

// PutPolicy attaches a policy to a user.
func (d Directory) PutPolicy(ctx context.Context, account, user string, p organization.Policy) error {
	return d.Caller.Call(ctx, "policy/put", question{Account: account, User: user, Name: p.Name, Text: p.Document}, nil)
}

// Policies lists the policies of a user.
func (d Directory) Policies(ctx context.Context, account, user string) ([]organization.Policy, error) {
	return ask[[]organization.Policy](ctx, d.Caller, "policy/list", question{Account: account, User: user})
}

// Policy shows a policy of a user.
func (d Directory) Policy(ctx context.Context, account, user, name string) (organization.Policy, error) {
	return ask[organization.Policy](ctx, d.Caller, "policy/show", question{Account: account, User: user, Name: name})
}

// DeletePolicy takes a policy from a user.
func (d Directory) DeletePolicy(ctx context.Context, account, user, name string) error {
	return d.Caller.Call(ctx, "policy/delete", question{Account: account, User: user, Name: name}, nil)
}

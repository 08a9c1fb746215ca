package control_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"souk/access/keyring"
	"souk/access/organization"
	"souk/gateway/apierror"
	"souk/server/control"
	"souk/storage/store/sqlite/sqlitetest"
)

// door is a door on a real organisation.
func door(t *testing.T) *control.Door {
	t.Helper()
	engine := sqlitetest.Open(t)
	o := organization.New(organization.Config{Store: engine, Keyring: keyring.New([32]byte{1})})
	if _, err := o.Bootstrap(t.Context(), "", o.NewKey()); err != nil {
		t.Fatal(err)
	}
	d := control.NewDoor()
	control.OfferDirectory(d, o)
	control.Offer(d, "broken", func(context.Context, struct{}) (struct{}, error) {
		return struct{}{}, errors.New("reading souk.db: disk I/O error")
	})
	control.Offer(d, "wait", func(ctx context.Context, _ struct{}) (struct{}, error) {
		<-ctx.Done()
		return struct{}{}, ctx.Err()
	})
	return d
}

// served is the client of a door's socket in a folder.
func served(t *testing.T, d *control.Door, dir string) *control.Client {
	t.Helper()
	l, err := control.Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- control.Serve(ctx, &http.Server{Handler: d}, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := control.Dial(context.Background(), dir); !errors.Is(err, control.ErrNoServer) {
			t.Errorf("dial after the end: %v", err)
		}
		if _, err := os.Stat(filepath.Join(dir, "souk.sock")); !os.IsNotExist(err) {
			t.Errorf("the socket was left behind: %v", err)
		}
	})
	c, err := control.Dial(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The same through the socket and in this process.
func TestDirectory(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) control.Caller{
		"socket":     func(t *testing.T) control.Caller { return served(t, door(t), t.TempDir()) },
		"in process": func(t *testing.T) control.Caller { return door(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caller := open(t)
			dir := control.Directory{Caller: caller}
			ctx := t.Context()
			a, err := dir.CreateAccount(ctx, organization.NewAccount{Name: "Acme", Namespace: "acme"})
			if err != nil {
				t.Fatal(err)
			}
			if shown, err := dir.Account(ctx, a.ID); err != nil || shown != a {
				t.Errorf("account %+v, %v; made %+v", shown, err, a)
			}
			if list, err := dir.Accounts(ctx); err != nil || len(list) != 2 {
				t.Errorf("accounts %+v, %v", list, err)
			}
			_, err = dir.CreateAccount(ctx, organization.NewAccount{Name: "Acme", Namespace: "acme"})
			var refused *apierror.Error
			if !errors.As(err, &refused) || refused.Code != "EntityAlreadyExists" || refused.Status != 409 || !strings.Contains(refused.Message, "acme") {
				t.Errorf("second account: %v", err)
			}
			u, err := dir.CreateUser(ctx, a.ID, "ci")
			if err != nil {
				t.Fatal(err)
			}
			p := organization.Policy{Name: "all", Document: `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`}
			if err := dir.PutPolicy(ctx, a.ID, "ci", p); err != nil {
				t.Fatal(err)
			}
			if got, err := dir.Policy(ctx, a.ID, "ci", "all"); err != nil || got != p {
				t.Errorf("policy %+v, %v", got, err)
			}
			if list, err := dir.Policies(ctx, a.ID, "ci"); err != nil || len(list) != 1 || list[0] != p {
				t.Errorf("policies %+v, %v", list, err)
			}
			k, err := dir.CreateKey(ctx, a.ID, "ci")
			if err != nil || len(k.Secret) != 40 {
				t.Fatalf("key %+v, %v", k, err)
			}
			if err := dir.SetKeyActive(ctx, a.ID, k.ID, false); err != nil {
				t.Fatal(err)
			}
			keys, err := dir.Keys(ctx, a.ID, "ci")
			if err != nil || len(keys) != 1 || keys[0].ID != k.ID || keys[0].Active {
				t.Errorf("keys %+v, %v", keys, err)
			}
			u.Policies, u.Keys = []string{"all"}, []string{k.ID}
			if list, err := dir.Users(ctx, a.ID); err != nil || len(list) != 1 || !reflect.DeepEqual(list[0], u) {
				t.Errorf("users %+v, %v; want %+v", list, err, u)
			}
			if err := dir.DeleteKey(ctx, a.ID, k.ID); err != nil {
				t.Error(err)
			}
			if err := dir.DeletePolicy(ctx, a.ID, "ci", "all"); err != nil {
				t.Error(err)
			}
			if err := dir.DeleteUser(ctx, a.ID, "ci", false); err != nil {
				t.Error(err)
			}
			if err := caller.Call(ctx, "broken", struct{}{}, nil); err == nil || !strings.Contains(err.Error(), "disk I/O error") {
				t.Errorf("an operator must see what broke: %v", err)
			}
			if err := caller.Call(ctx, "account/rename", struct{}{}, nil); err == nil || !strings.Contains(err.Error(), "another version") {
				t.Errorf("an offer of another version: %v", err)
			}
			if err := caller.Call(ctx, "account/show", []int{1}, nil); err == nil || !strings.Contains(err.Error(), "decoding the input") {
				t.Errorf("input of a wrong form: %v", err)
			}
		})
	}
}

func TestSocketIsPrivateAndReplacesOneThatWasLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "souk.sock")
	if _, err := control.Dial(t.Context(), dir); !errors.Is(err, control.ErrNoServer) {
		t.Errorf("dial before a socket is there: %v", err)
	}
	left, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := control.Dial(t.Context(), dir); !errors.Is(err, control.ErrNoServer) {
		t.Errorf("dial of a socket whose server died: %v", err)
	}
	served(t, door(t), dir)
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != os.ModeSocket {
		t.Errorf("socket: %v, %v", info.Mode(), err)
	}
}

func TestFolderWhosePathIsLongerThanASocketAddress(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c := served(t, door(t), dir)
	if list, err := (control.Directory{Caller: c}).Accounts(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("accounts %+v, %v", list, err)
	}
}

func TestCallEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := served(t, door(t), t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	context.AfterFunc(t.Context(), cancel)
	go cancel()
	if err := c.Call(ctx, "wait", struct{}{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestErrorsAreExplained: people get what Explain makes of an error, on both
// sides of the socket.
func TestErrorsAreExplained(t *testing.T) {
	t.Parallel()
	d := door(t)
	d.Explain = func(err error) error { return errors.New("what to do about it") }
	for what, c := range map[string]control.Caller{"in this process": d, "through the socket": served(t, d, t.TempDir())} {
		err := c.Call(t.Context(), "broken", struct{}{}, nil)
		if err == nil || err.Error() != "what to do about it" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

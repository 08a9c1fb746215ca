package changeset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"souk/catalog/change"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// logged takes a log that many goroutines write.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestAMisspeltMemberIsLoggedOrRefused(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s store.Store) {
		var log logged
		request := &Request{Account: alice, Changes: []Change{doc("CreateThing", "", `{"Title":"lamp","Titel":"lamps"}`)}}
		m := open(t, s, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		id, err := m.Start(context.Background(), request)
		if err != nil {
			t.Fatal(err)
		}
		if d := m.ended(id); d.Status != Succeeded {
			t.Errorf("a set with an unknown member is %s: %s", d.Status, errorsOf(d))
		}
		if !strings.Contains(log.String(), id) || !strings.Contains(log.String(), "/Titel") {
			t.Errorf("the log says %q", log.String())
		}

		strict := open(t, s, func(c *Config) { c.StrictDetails = true })
		_, err = strict.Start(context.Background(), request)
		var refused *apierror.Error
		if !errors.As(err, &refused) || refused.Message != "Provided Details is not valid. Unknown members: /Titel." {
			t.Fatalf("with StrictDetails: %v", err)
		}
		if field := fmt.Sprint(refused.Fields); !strings.Contains(field, "changeSet.1.member.details") {
			t.Errorf("its fields are %s", field)
		}
	})
}

// explained refuses by a text that doesn't say what is wrong.
type explained struct{ Port int }

func (d *explained) Valid(c *change.Checks) {
	c.Refuse(d.Port < 0, "422", "Provide a port.", change.In("Port", fmt.Sprint(d.Port)))
}

func (d *explained) Check(_ *thing, c *change.Checks) {
	c.Refuse(d.Port > 65535, "INVALID_PORT", "Provide a valid port.", change.In("Port", fmt.Sprint(d.Port)))
}

func (*explained) Apply(*thing, *change.Applying) {}

func TestWhatTheDocumentedTextLeavesOutIsSaidBesideIt(t *testing.T) {
	t.Parallel()
	var log logged
	m := open(t, openSQLite(t), func(c *Config) {
		et := thingType()
		et.Types = append(et.Types, change.Of[thing, explained](change.Type{Name: "Explained"}))
		c.Types, c.Log = []*change.EntityType{et}, slog.New(slog.NewTextHandler(&log, nil))
	})
	lamp := m.made("lamp")
	_, err := m.Start(context.Background(), &Request{Account: alice, Changes: []Change{doc("Explained", lamp, `{"Port":-1}`)}})
	var refused *apierror.Error
	if !errors.As(err, &refused) || refused.Message != "Provide a port." || !strings.Contains(fmt.Sprint(refused.Fields), `Provide a port. (Port "-1")`) {
		t.Errorf("at once: %v, %v", err, refused.Fields)
	}
	id, err := m.Start(context.Background(), &Request{Account: alice, Changes: []Change{doc("Explained", lamp, `{"Port":70000}`)}})
	if err != nil {
		t.Fatal(err)
	}
	if d := m.ended(id); d.Changes[0].Errors[0].ErrorMessage != "Provide a valid port." {
		t.Errorf("later: %s", errorsOf(d))
	}
	if !strings.Contains(log.String(), id) || !strings.Contains(log.String(), `INVALID_PORT: Port \"70000\"`) {
		t.Errorf("the log says %q", log.String())
	}
}

// thorough is a change type with something to refuse in Check and in Probe.
type thorough struct{}

func (*thorough) Check(_ *thing, c *change.Checks) { c.Refuse(true, "CHECKED", "Checked.") }

func (*thorough) Probe(_ context.Context, _ *thing, c *change.Checks) error {
	c.Refuse(true, "PROBED", "Probed.")
	return nil
}

func (*thorough) Apply(*thing, *change.Applying) {}

// always is thorough.
type always struct{ thorough }

func (*always) ProbesAlways() {}

func TestAThoroughProbeIsAskedAlsoWhereTheCheckRefused(t *testing.T) {
	t.Parallel()
	m := open(t, openSQLite(t), func(c *Config) {
		et := thingType()
		et.Types = append(et.Types, change.Of[thing, thorough](change.Type{Name: "Hasty"}), change.Of[thing, always](change.Type{Name: "Always"}))
		c.Types = []*change.EntityType{et}
	})
	lamp := m.made("lamp")
	for kind, want := range map[string]int{"Hasty": 1, "Always": 2} {
		id, err := m.Start(context.Background(), &Request{Account: alice, Changes: []Change{doc(kind, lamp, `{}`)}})
		if err != nil {
			t.Fatal(err)
		}
		if d := m.ended(id); len(d.Changes[0].Errors) != want {
			t.Errorf("%s: %s, want %d errors", kind, errorsOf(d), want)
		}
	}
}

package directory

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"souk/access/keyring"
	"souk/gateway/apierror"
	"souk/storage/store"
	"souk/storage/store/sqlite"
)

const (
	account = "111122223333"
	region  = "us-east-1"
	unit    = "OU=Builders,DC=corp,DC=example,DC=com"
	secret  = "hunter2 of the service"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// house is directories on a real store.
type house struct {
	*Directories
	store store.Store
	ring  *keyring.Ring
	uses  []Use
}

func newHouse(t *testing.T) *house {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "souk.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	h := &house{store: s, ring: keyring.New([32]byte{1})}
	h.Directories, err = New(Config{
		Store: s, Keys: h.ring, Now: func() time.Time { return noon }, Most: func(string) int { return 3 },
		Uses: func(context.Context, string, string, string) ([]Use, error) { return h.uses, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) create(t *testing.T, name string, c *Credentials) Directory {
	t.Helper()
	d, err := h.Create(t.Context(), Creation{Account: account, Region: region, Name: name, Units: []string{unit}, Credentials: c})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// is compares the code of an error.
func is(t *testing.T, err error, code string) {
	t.Helper()
	if !apierror.Is(err, code) {
		t.Errorf("the error is %v, not %s", err, code)
	}
}

func TestALife(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	made := h.create(t, "Corp.example.com", &Credentials{"joiner", secret})
	if made.User != "joiner" || !made.Created.Equal(noon) || made.Name != "Corp.example.com" {
		t.Errorf("it was made as %+v", made)
	}
	_, err := h.Create(t.Context(), Creation{Account: account, Region: region, Name: "corp.EXAMPLE.com", Units: []string{unit}})
	is(t, err, "ResourceAlreadyExistsException")
	changed, err := h.Update(t.Context(), Change{Account: account, Region: region, Name: "corp.example.com", Units: []string{"OU=Other,DC=corp", unit}})
	if err != nil || len(changed.Units) != 2 || changed.User != "joiner" {
		t.Errorf("it was changed to %+v: %v", changed, err)
	}
	changed, err = h.Update(t.Context(), Change{Account: account, Region: region, Name: "corp.example.com", Credentials: &Credentials{"other", "new"}, Certificate: &Certificate{Status: Disabled}})
	if err != nil || changed.User != "other" || len(changed.Units) != 2 || changed.Certificate == nil {
		t.Errorf("it was changed to %+v: %v", changed, err)
	}
	page, err := h.List(t.Context(), Query{Account: account, Region: region, Names: []string{"CORP.example.com"}})
	if err != nil || len(page.Directories) != 1 || page.Directories[0].User != "other" {
		t.Errorf("it is listed as %+v: %v", page, err)
	}
	err = h.Delete(t.Context(), account, region, "corp.example.com")
	if err != nil {
		t.Fatal(err)
	}
	is(t, h.Delete(t.Context(), account, region, "corp.example.com"), "ResourceNotFoundException")
	_, err = h.Update(t.Context(), Change{Account: account, Region: region, Name: "corp.example.com"})
	is(t, err, "ResourceNotFoundException")
	_, err = h.List(t.Context(), Query{Account: account, Region: region, Names: []string{"corp.example.com"}})
	is(t, err, "ResourceNotFoundException")
	if !strings.Contains(err.Error(), "The directory config corp.example.com for account 111122223333 does not exist.") {
		t.Errorf("the text is %v", err)
	}
}

func TestWhatCanBeNone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for name, c := range map[string]struct {
		code string
		Creation
	}{
		"no domain":             {"ValidationException", Creation{Name: "corp", Units: []string{unit}}},
		"path as a name":        {"ValidationException", Creation{Name: "../x.example.com", Units: []string{unit}}},
		"NUL in a name":         {"ValidationException", Creation{Name: "a\x00.example.com", Units: []string{unit}}},
		"long name":             {"ValidationException", Creation{Name: strings.Repeat("a.", 128) + "com", Units: []string{unit}}},
		"no units":              {"ValidationException", Creation{Name: "a.example.com"}},
		"unit without a value":  {"ValidationException", Creation{Name: "a.example.com", Units: []string{"OU="}}},
		"unit is a path":        {"ValidationException", Creation{Name: "a.example.com", Units: []string{"corp.example.com/Builders"}}},
		"long unit":             {"ValidationException", Creation{Name: "a.example.com", Units: []string{"OU=" + strings.Repeat("u", 2000)}}},
		"no user":               {"ValidationException", Creation{Name: "a.example.com", Units: []string{unit}, Credentials: &Credentials{"", "x"}}},
		"no password":           {"ValidationException", Creation{Name: "a.example.com", Units: []string{unit}, Credentials: &Credentials{"x", ""}}},
		"long password":         {"ValidationException", Creation{Name: "a.example.com", Units: []string{unit}, Credentials: &Credentials{"x", strings.Repeat("p", 128)}}},
		"users by certificates": {"OperationNotPermittedException", Creation{Name: "a.example.com", Units: []string{unit}, Certificate: &Certificate{Status: "ENABLED"}}},
	} {
		t.Run(name, func(t *testing.T) {
			c.Account, c.Region = account, region
			_, err := h.Create(t.Context(), c.Creation)
			is(t, err, c.code)
		})
	}
	page, err := h.List(t.Context(), Query{Account: account, Region: region})
	if err != nil || len(page.Directories) != 0 {
		t.Errorf("there are %+v: %v", page, err)
	}
}

func TestALimit(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for i := range 3 {
		h.create(t, fmt.Sprintf("d%d.example.com", i), nil)
	}
	more := Creation{Account: account, Region: region, Name: "d3.example.com", Units: []string{unit}}
	_, err := h.Create(t.Context(), more)
	is(t, err, "LimitExceededException")
	more.Region = "eu-west-1"
	if _, err := h.Create(t.Context(), more); err != nil {
		t.Errorf("in another region: %v", err)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, n := range []string{"c.example.com", "a.example.com", "B.example.com"} {
		h.create(t, n, nil)
	}
	two := 2
	for _, names := range [][]string{nil, {"a.example.com", "B.example.com", "c.example.com"}} {
		q := Query{Account: account, Region: region, Names: names, MaxResults: &two}
		first, err := h.List(t.Context(), q)
		if err != nil || len(first.Directories) != 2 || first.NextToken == "" {
			t.Fatalf("the first page is %+v: %v", first, err)
		}
		q.NextToken = &first.NextToken
		second, err := h.List(t.Context(), q)
		if err != nil || len(second.Directories) != 1 || second.NextToken != "" {
			t.Fatalf("the second page is %+v: %v", second, err)
		}
		got := first.Directories[0].Name + first.Directories[1].Name + second.Directories[0].Name
		if got != "a.example.comB.example.comc.example.com" {
			t.Errorf("the order is %s", got)
		}
		q.Account = "999988887777"
		_, err = h.List(t.Context(), q)
		is(t, err, "ValidationException")
	}
	below := -1
	_, err := h.List(t.Context(), Query{Account: account, Region: region, MaxResults: &below})
	is(t, err, "ValidationException")
}

// A directory and the units that builders use can't go; others can.
func TestInUse(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(t, "corp.example.com", nil)
	h.uses = []Use{{By: "image builder one", Unit: strings.ReplaceAll(strings.ToLower(unit), ",", " , ")}, {By: "image builder two"}}
	err := h.Delete(t.Context(), account, region, "corp.example.com")
	is(t, err, "ResourceInUseException")
	if !strings.Contains(err.Error(), "image builder one") {
		t.Errorf("the text is %v", err)
	}
	change := Change{Account: account, Region: region, Name: "corp.example.com", Units: []string{"OU=Other,DC=corp"}}
	_, err = h.Update(t.Context(), change)
	is(t, err, "ResourceInUseException")
	change.Units = append(change.Units, unit)
	if _, err := h.Update(t.Context(), change); err != nil {
		t.Error(err)
	}
}

// What lies in the store has no password that could be read, and another key can
// be given to it.
func TestPasswordsAreSealed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(t, "corp.example.com", &Credentials{"joiner", secret})
	d, err := h.store.Get(t.Context(), keyOf(account, region, "corp.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(d.Body)+string(d.Summary), secret) {
		t.Error("the password can be read")
	}
	at := SealedAtRest()
	text, bound, err := at.Text(d)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := h.ring.Open(at.Purpose, text, bound)
	if err != nil || string(opened) != secret {
		t.Fatalf("%q was sealed: %v", opened, err)
	}
	other := keyring.New([32]byte{2})
	again, err := at.With(d, other.Seal(at.Purpose, opened, bound))
	if err != nil || again.ID != d.ID || len(again.Index) != 2 {
		t.Fatalf("it becomes %+v: %v", again, err)
	}
	err = h.store.Commit(t.Context(), store.Batch{Put: []store.Write{{Document: again, Was: d.Revision}}})
	if err != nil {
		t.Fatal(err)
	}
	if found, err := h.Join(t.Context(), account, region, "corp.example.com", unit); err != nil || len(found) != 1 || found[0].Code != "DOMAIN_JOIN_INTERNAL_SERVICE_ERROR" {
		t.Errorf("with a lost key: %+v, %v", found, err)
	}
	found, err := h.store.List(t.Context(), store.Query{Kind: at.Kind, Index: at.Index, Limit: 10})
	if err != nil || len(found.Documents) != 1 {
		t.Errorf("the index has %+v: %v", found, err)
	}
}

// The guard of the keys stands in every commit that seals.
func TestAnotherKeySealsMeanwhile(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.config.Guard = func(context.Context) (store.Expectation, error) {
		return store.Expectation{Key: store.Key{Kind: "organization", ID: "it"}, Revision: 7}, nil
	}
	_, err := h.Create(t.Context(), Creation{Account: account, Region: region, Name: "a.example.com", Units: []string{unit}, Credentials: &Credentials{"u", "p"}})
	if !errors.Is(err, store.ErrConflict) {
		t.Errorf("the error is %v", err)
	}
	h.create(t, "a.example.com", nil) // nothing is sealed
	_, err = h.Update(t.Context(), Change{Account: account, Region: region, Name: "a.example.com", Credentials: &Credentials{"u", "p"}})
	is(t, err, "ConcurrentModificationException")
}

func TestJoining(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.create(t, "corp.example.com", &Credentials{"joiner", secret})
	h.create(t, "open.example.com", nil)
	for name, c := range map[string]struct{ directory, unit, want string }{
		"all is there":        {"Corp.Example.Com", strings.ToLower(strings.ReplaceAll(unit, ",", ", ")), ""},
		"no unit":             {"corp.example.com", "", ""},
		"no such directory":   {"gone.example.com", unit, "DOMAIN_JOIN_ERROR_NO_SUCH_DOMAIN"},
		"no directory's name": {"WORKGROUP", unit, "DOMAIN_JOIN_NERR_INVALID_WORKGROUP_NAME"},
		"another unit":        {"corp.example.com", "OU=Other,DC=corp,DC=example,DC=com", "DOMAIN_JOIN_ERROR_INVALID_PARAMETER"},
		"no unit at all":      {"corp.example.com", "CN=Computers,DC=corp,DC=example,DC=com", "DOMAIN_JOIN_ERROR_FILE_NOT_FOUND"},
		"no credentials":      {"open.example.com", unit, "DOMAIN_JOIN_ERROR_LOGON_FAILURE"},
	} {
		found, err := h.Join(t.Context(), account, region, c.directory, c.unit)
		got := ""
		for _, e := range found {
			got += e.Code
			if e.Message == "" || !e.Timestamp.Equal(noon) {
				t.Errorf("%s: %+v", name, e)
			}
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %q, not %q: %v", name, got, c.want, err)
		}
	}
}

func TestCreatedTwiceAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	done := make(chan error)
	for range 8 {
		go func() {
			_, err := h.Create(context.Background(), Creation{Account: account, Region: region, Name: "a.example.com", Units: []string{unit}})
			done <- err
		}()
	}
	made := 0
	for range 8 {
		err := <-done
		if err == nil {
			made++
		} else {
			is(t, err, "ResourceAlreadyExistsException")
		}
	}
	if made != 1 {
		t.Errorf("%d were made", made)
	}
}

func FuzzUnits(f *testing.F) {
	f.Add(unit)
	f.Add(`OU=A\,B , DC = corp`)
	f.Add("OU=,")
	f.Fuzz(func(t *testing.T, u string) {
		if checkUnits([]string{u}) == nil && !hasUnit([]string{plain(u)}, u) {
			t.Errorf("%q is not itself", u)
		}
	})
}

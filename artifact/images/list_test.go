package images

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"souk/storage/store"
)

// put writes an AMI's record without an image.
func (h *house) put(a AMI) {
	h.t.Helper()
	d, err := a.document()
	if err == nil {
		err = h.config.Store.Commit(h.t.Context(), store.Batch{Put: []store.Write{{Document: d}}})
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func ami(n int, owner, name string) AMI {
	return AMI{
		ID: fmt.Sprintf("ami-%017x", n), Owner: owner, Name: name, Architecture: X8664, VirtualizationType: HVM, RootDeviceType: EBS,
		EnaSupport: true, State: StateAvailable, Created: time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC),
	}
}

func TestFiltersAsDescribeImagesHasThem(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	one, two, three, four := ami(1, sellerAccount, "web 1.0"), ami(2, sellerAccount, "web* 2.0"), ami(3, otherAccount, "db"), ami(4, otherAccount, "secret")
	one.Platform, one.ProductCodes, one.Description = "Debian GNU/Linux 13", []string{"abc", "def"}, "first\nsecond"
	two.Architecture, two.EnaSupport, two.VirtualizationType, two.RootDeviceType = ARM64, false, Paravirtual, InstanceStore
	two.SharedWith = []string{thirdAccount}
	three.Public = true
	for _, a := range []AMI{one, two, three, four} {
		h.put(a)
	}
	filter := func(name string, values ...string) Query { return Query{Filters: map[string][]string{name: values}} }
	for _, test := range []struct {
		name string
		q    Query
		want string // the last digits of the ids
	}{
		{"all that the account may use", Query{}, "123"},
		{"its own", Query{Owners: []string{"self"}}, "12"},
		{"by owner", Query{Owners: []string{otherAccount, "amazon"}}, "3"},
		{"of an owner that has none", Query{Owners: []string{"aws-marketplace"}}, ""},
		{"by id", Query{IDs: []string{three.ID, one.ID, one.ID}}, "13"},
		{"by id and owner", Query{IDs: []string{three.ID, one.ID}, Owners: []string{"self"}}, "1"},
		{"public ones", Query{ExecutableUsers: []string{"all"}}, "3"},
		{"shared with somebody", Query{ExecutableUsers: []string{thirdAccount}}, "2"},
		{"shared with the account", Query{ExecutableUsers: []string{"self"}}, ""},
		{"shared, as the other account", Query{Account: thirdAccount, ExecutableUsers: []string{"self"}}, "2"},
		{"another account's view", Query{Account: thirdAccount}, "23"},
		{"architecture", filter("architecture", "arm64"), "2"},
		{"architecture, either", filter("architecture", "arm64", "x86_64"), "123"},
		{"creation-date with a wildcard", filter("creation-date", "2026-03-02T*"), "2"},
		{"description over lines", filter("description", "first*second"), "1"},
		{"ena-support", filter("ena-support", "false"), "2"},
		{"image-id", filter("image-id", "ami-*3"), "3"},
		{"image-type", filter("image-type", "kernel"), ""},
		{"is-public", filter("is-public", "true"), "3"},
		{"name with a wildcard", filter("name", "web*"), "12"},
		{"name with one character", filter("name", "web ?.0"), "1"},
		{"name with a star that is one", filter("name", `web\* *`), "2"},
		{"name in other letters", filter("name", "WEB*"), ""},
		{"name that is a pattern elsewhere", filter("name", "w.b 1.0"), ""},
		{"owner-id", filter("owner-id", otherAccount), "3"},
		{"platform-details", filter("platform-details", "Debian*"), "1"},
		{"platform-details without os-release", filter("platform-details", "Linux/UNIX"), "23"},
		{"product-code", filter("product-code", "def"), "1"},
		{"root-device-type", filter("root-device-type", "instance-store"), "2"},
		{"state", filter("state", "available"), "123"},
		{"state that none has", filter("state", "pending"), ""},
		{"virtualization-type", filter("virtualization-type", "paravirtual"), "2"},
		{"two filters", Query{Filters: map[string][]string{"name": {"web*"}, "architecture": {"x86_64"}}}, "1"},
	} {
		if test.q.Account == "" {
			test.q.Account = sellerAccount
		}
		p, err := h.List(t.Context(), test.q)
		got := ""
		for _, a := range p.Images {
			got += a.ID[len(a.ID)-1:]
		}
		if err != nil || got != test.want {
			t.Errorf("%s: got %q, %v, want %q", test.name, got, err, test.want)
		}
	}
	for _, test := range []struct {
		name, field string
		q           Query
	}{
		{"unknown filter", "Filters", filter("color", "red")},
		{"filter without a value", "Filters", filter("name")},
		{"filter with too many values", "Filters", filter("name", slices.Repeat([]string{"x"}, 201)...)},
		{"owner that is none", "Owners", Query{Owners: []string{"me"}}},
		{"user that is none", "ExecutableUsers", Query{ExecutableUsers: []string{"everybody"}}},
		{"page too small", "MaxResults", Query{MaxResults: 4}},
		{"page too large", "MaxResults", Query{MaxResults: 1001}},
		{"page of ids", "MaxResults", Query{MaxResults: 5, IDs: []string{one.ID}}},
		{"token that is none", "NextToken", Query{NextToken: "next"}},
	} {
		test.q.Account = sellerAccount
		_, err := h.List(t.Context(), test.q)
		var invalid *Invalid
		if !errors.As(err, &invalid) || invalid.Field != test.field {
			t.Errorf("%s: got %v, want %s refused", test.name, err, test.field)
		}
	}
	var missing *NotFound
	if _, err := h.List(t.Context(), Query{Account: sellerAccount, IDs: []string{one.ID, four.ID}}); !errors.As(err, &missing) || missing.ID != four.ID {
		t.Errorf("an AMI of others by id: %v", err)
	}
}

func TestPagesHaveEachImageOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	for n := range 27 {
		a := ami(n+1, sellerAccount, fmt.Sprint("image ", n))
		a.Public = n%2 == 0 // listed under its owner and under everybody
		if n%3 == 0 {
			a.Owner, a.Public = otherAccount, true
		}
		h.put(a)
	}
	var got []string
	q := Query{Account: sellerAccount, MaxResults: 5}
	for pages := 1; ; pages++ {
		p, err := h.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range p.Images {
			got = append(got, a.ID)
		}
		if p.NextToken == "" {
			if pages != 6 {
				t.Errorf("%d pages, want 6", pages)
			}
			break
		}
		q.NextToken = p.NextToken
	}
	if len(got) != 27 || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != 27 {
		t.Errorf("got %d: %s", len(got), strings.Join(got, " "))
	}
}

func TestModificationsAreChecked(t *testing.T) {
	t.Parallel()
	h := newHouse(t, onSQLite(t))
	a := ami(1, sellerAccount, "web")
	h.put(a)
	many := make([]string, MaxShared+1)
	for i := range many {
		many[i] = fmt.Sprintf("%012d", i)
	}
	long := strings.Repeat("d", 256)
	for _, c := range []Modification{{Share: []string{"all"}}, {Unshare: []string{"1"}}, {Share: many}, {Description: &long}} {
		c.Account, c.ID = sellerAccount, a.ID
		_, err := h.Modify(t.Context(), c)
		var invalid *Invalid
		if !errors.As(err, &invalid) {
			t.Errorf("%+v: got %v", c, err)
		}
	}
	if _, err := h.Modify(t.Context(), Modification{Account: otherAccount, ID: a.ID}); !errors.Is(err, ErrNotFound) {
		t.Errorf("changed by one who may not know of it: %v", err)
	}
}

// FuzzWildcard: a value without signs of its own matches itself alone.
func FuzzWildcard(f *testing.F) {
	for _, s := range []string{"", "web", `a\`, `a\*b`, "[x-", "*", "??", "(a|b)+$", "\xff"} {
		f.Add(s, "web")
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		p := wildcard(pattern)
		if !strings.ContainsAny(pattern, `*?\`) && strings.ToValidUTF8(pattern, "") == pattern && p.MatchString(text) != (pattern == text) {
			t.Errorf("%q and %q", pattern, text)
		}
	})
}

package trail

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"souk/access/iam"
)

func TestRecordsAreFoundByEachAttribute(t *testing.T) {
	t.Parallel()
	m := newMarket(t, nil)
	var ids []string
	for i := range 60 {
		c := m.call(fmt.Sprintf("Action%d", i%6), i%2 == 0)
		switch i % 3 {
		case 1:
			c.Principal = &iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":root", ID: account, Root: true}
			c.AccessKeyID = "AKIAROOT"
		case 2:
			c.Source = "iam.amazonaws.com"
			c.Resources = []string{"arn:aws:iam::123456789012:user/Bob" + fmt.Sprint(i%10), "arn:aws:iam::123456789012:user/*"}
		}
		e := m.Begin(c)
		ids = append(ids, e.id)
		if err := e.End(t.Context(), Outcome{}); err != nil {
			t.Fatal(err)
		}
		m.later(7 * time.Second)
	}
	for packed := range 2 {
		for _, c := range []struct {
			a     Attribute
			value string
			want  int
		}{
			{EventName, "Action4", 10}, {EventName, "Action", 0}, {ReadOnly, "true", 30}, {ReadOnly, "false", 30}, {Username, "root", 20},
			{Username, "Nikki", 40}, {ResourceType, "AWS::IAM::User", 20}, {ResourceName, "Bob2", 2}, {ResourceName, "arn:aws:iam::123456789012:user/Bob2", 2},
			{EventSource, "iam.amazonaws.com", 20}, {AccessKeyID, "AKIAROOT", 20}, {EventID, ids[17], 1}, {EventID, ids[18], 1}, {EventID, "not an id", 0}, {None, "", 60},
		} {
			for _, most := range []int{50, 3} {
				if n := len(m.lookup(t, Query{Attribute: c.a, Value: c.value, Most: most})); n != c.want {
					t.Errorf("round %d, attribute %d = %s in pages of %d: %d records, want %d", packed, c.a, c.value, most, n, c.want)
				}
			}
		}
		at, _ := idTime(ids[10])
		if n := len(m.lookup(t, Query{Start: at.Truncate(time.Second), End: at.Add(14 * time.Second).Truncate(time.Second)})); n != 3 {
			t.Errorf("round %d: %d records in 14 seconds, want 3", packed, n)
		}
		m.later(settled)
		if err := m.packSingles(t.Context(), m.settledBefore()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(m.lookup(t, Query{Account: "210987654321"})); n != 0 {
		t.Errorf("another account sees %d records", n)
	}
}

func TestATokenIsOfItsQueryAlone(t *testing.T) {
	t.Parallel()
	m := newMarket(t, nil)
	for range 5 {
		m.write(t, "TagResource", Outcome{})
	}
	q := Query{Account: account, Most: 2}
	_, next, err := m.Lookup(t.Context(), q)
	if err != nil || next == "" {
		t.Fatalf("token %q, %v", next, err)
	}
	q.Token = next
	for name, change := range map[string]func(*Query){
		"another account":   func(q *Query) { q.Account = "210987654321" },
		"another attribute": func(q *Query) { q.Attribute, q.Value = EventName, "TagResource" },
		"another start":     func(q *Query) { q.Start = time.Unix(1, 0) },
		"a changed token":   func(q *Query) { q.Token = "A" + q.Token[1:] + "A" },
		"no token at all":   func(q *Query) { q.Token = "%" },
	} {
		other := q
		change(&other)
		if _, _, err := m.Lookup(t.Context(), other); !errors.Is(err, ErrToken) {
			t.Errorf("%s: %v, want ErrToken", name, err)
		}
	}
}

func TestRecordsOfSeveralAccountsAreInOneOrder(t *testing.T) {
	t.Parallel()
	m := newMarket(t, nil)
	accounts := []string{account, "210987654321", "111122223333", "444455556666"}
	var want []string // request ids, the oldest first
	for i := range 150 {
		c := m.call("TagResource", i%3 == 0)
		c.Principal = &iam.Principal{Account: accounts[i*i%3], ARN: "arn:aws:iam::" + accounts[i*i%3] + ":root", Root: true}
		c.RequestID = fmt.Sprint(i)
		want = append(want, c.RequestID)
		if err := m.Record(t.Context(), c, Outcome{}); err != nil {
			t.Fatal(err)
		}
		m.later(5 * time.Second)
		if i == 90 { // of some there are packs now
			if err := m.packSingles(t.Context(), m.settledBefore()); err != nil {
				t.Fatal(err)
			}
		}
		if i == 40 {
			if err := m.flush(t.Context(), true); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, most := range []int{50, 7, 1} {
		all := m.lookup(t, Query{Others: accounts[1:], Most: most})
		if len(all) != len(want) {
			t.Fatalf("pages of %d: %d records, want %d", most, len(all), len(want))
		}
		for i, r := range all {
			if r.Request != want[len(want)-1-i] {
				t.Fatalf("pages of %d: record %d is of request %s, want %s", most, i, r.Request, want[len(want)-1-i])
			}
		}
	}
	for _, r := range m.lookup(t, Query{Account: accounts[1]}) {
		if r.Account != accounts[1] {
			t.Errorf("account %s sees a record of %s", accounts[1], r.Account)
		}
	}
	// A token of the organisation's records is none of the account's own.
	q := Query{Account: account, Others: accounts[1:], Most: 2}
	_, next, err := m.Lookup(t.Context(), q)
	if err != nil || next == "" {
		t.Fatalf("token %q, %v", next, err)
	}
	q.Token = next
	q.Others = append(q.Others[:1:1], "777788889999") // one that has come since
	if _, _, err := m.Lookup(t.Context(), q); err != nil {
		t.Errorf("with another account among them: %v", err)
	}
	q.Others = nil
	if _, _, err := m.Lookup(t.Context(), q); !errors.Is(err, ErrToken) {
		t.Errorf("without the others: %v, want ErrToken", err)
	}
}

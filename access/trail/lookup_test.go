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
		if err := m.packSingles(t.Context()); err != nil {
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

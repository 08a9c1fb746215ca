package trail

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"souk/storage/store"
)

// FuzzDecode reads bytes as a record; what is one is written the same, and shown as JSON.
func FuzzDecode(f *testing.F) {
	r := Record{
		ID: newID(time.UnixMilli(1_763_788_925_123)), Source: "iam.amazonaws.com", Name: "CreateUser", Account: account,
		ARN: "arn:aws:sts::123456789012:assumed-role/Seller/monday", Role: "arn:aws:iam::123456789012:role/Seller", Agent: "\xff", Input: `{"userName":"Bob"}`,
		TLS: `{"tlsVersion":"TLSv1.3"}`, Resources: []string{"arn:aws:iam::123456789012:user/Bob", "", "x"},
	}
	f.Add(r.append(nil))
	f.Add((&Record{ID: r.ID}).append(nil))
	f.Add([]byte{recordFormat})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decode(b)
		if err != nil {
			return
		}
		again, err := decode(r.append(nil))
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Errorf("written again it is %+v, %v; it was %+v", again, err, r)
		}
		ours := *r
		ours.Input, ours.Output, ours.TLS = "", "", "" // which are JSON where we made them
		if text := ours.JSON(); !json.Valid(text) {
			t.Errorf("it is shown as %s", text)
		}
		var c cover
		c.add(r)
		for _, a := range []Attribute{EventName, EventSource, Username, AccessKeyID} {
			if v := r.value(a); v != "" && !mayHave(c.bytes(), fingerprint(a, v)) {
				t.Errorf("its cover hides %q", v)
			}
		}
	})
}

// FuzzOpen reads bytes as a pack.
func FuzzOpen(f *testing.F) {
	tr, err := New(Config{Store: struct{ store.Store }{}})
	if err != nil {
		f.Fatal(err)
	}
	g := group{account: account}
	for range 3 {
		g.add((&Record{ID: newID(time.UnixMilli(1_763_788_925_123)), Account: account}).append(nil))
	}
	p, err := tr.pack(&g)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.body)
	f.Add([]byte{packFormat})
	f.Add([]byte{packFormat, 0x28, 0xb5, 0x2f, 0xfd})
	f.Fuzz(func(_ *testing.T, b []byte) {
		records, err := tr.open(b)
		if err == nil {
			_ = each(records, func(record string) error { return (&Record{}).decode(record) })
		}
	})
}

// FuzzElements shows documents that clients sent: whatever they are, the record
// is JSON.
func FuzzElements(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `{"password":"x"}`, `{"token":`, `[{"Secret":["a",{"b":1e999}]}]`, `{"secret":1,"secret":2}`, "", "\xff", `{"a":"secret \ud800"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := elements(&struct {
			Text     string
			Document jsontext.Value
		}{s, jsontext.Value(s)})
		if got != "" && !json.Valid([]byte(got)) {
			t.Errorf("%q is shown as %s", s, got)
		}
	})
}

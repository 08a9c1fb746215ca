package malformed

import (
	"bytes"
	"strings"
	"testing"
	"time"

	smithycbor "github.com/aws/smithy-go/encoding/cbor"
)

func TestASeedAlwaysGivesTheSameRequest(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	sign := SignWith("AKID", "secret", func() time.Time { return at })
	framed := 0
	for seed := range uint64(2000) {
		a, err := Generate(seed, "127.0.0.1:8470", sign)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Generate(seed, "127.0.0.1:8470", sign)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Raw, b.Raw) || a.Framed != b.Framed {
			t.Fatalf("seed %d gave two requests:\n%q\n%q", seed, a.Raw, b.Raw)
		}
		if len(a.Raw) > 400<<10 {
			t.Errorf("seed %d gave %d bytes", seed, len(a.Raw))
		}
		if a.Framed {
			framed++
		}
	}
	if framed < 1000 || framed > 1800 {
		t.Errorf("%d of 2000 requests are framed", framed)
	}
}

// TestRequestsInCBORAreMadeToo: well-formed ones are CBOR as another reads it, and many
// that are spoiled are of their protocol still.
func TestRequestsInCBORAreMadeToo(t *testing.T) {
	t.Parallel()
	right := 0
	for _, well := range wellFormed {
		if well.header["Smithy-Protocol"] == "" {
			continue
		}
		right++
		v, err := smithycbor.Decode([]byte(well.body))
		found := items([]byte(well.body))
		if m, is := v.(smithycbor.Map); err != nil || !is || len(found) < 1+2*len(m) || found[0] != (span{0, len(well.body)}) {
			t.Errorf("%s: %v: %v, items %v", well.path, err, v, found)
		}
	}
	if right == 0 {
		t.Fatal("none is well-formed")
	}
	sign := SignWith("AKID", "secret", func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) })
	sent, readable := 0, 0
	for seed := range uint64(2000) {
		q, err := Generate(seed, "127.0.0.1:8470", sign)
		if err != nil {
			t.Fatal(err)
		}
		_, body, found := bytes.Cut(q.Raw, []byte("\r\n\r\n"))
		if !found || !bytes.Contains(q.Raw, []byte("rpc-v2-cbor\r\n")) {
			continue
		}
		sent++
		if _, err := smithycbor.Decode(body); err == nil {
			readable++
		}
	}
	if sent < 300 || readable == 0 || readable == sent {
		t.Errorf("of 2000 requests %d are in CBOR, and %d of them can be read", sent, readable)
	}
}

// TestItemsOfBrokenCBOR: what can be found of a broken body lies in it.
func TestItemsOfBrokenCBOR(t *testing.T) {
	t.Parallel()
	bodies := append([]string{"", "\xa1", "\xa1\x61a", "\x82\x00", "\xa1\x61a\x82\x61b\x61"}, oddItems...)
	for _, body := range append(bodies, strings.Repeat("\x81", 5000)) {
		for _, at := range items([]byte(body)) {
			if at.from < 0 || at.to <= at.from || at.to > len(body) {
				t.Errorf("%x has an item at %v", body, at)
			}
		}
	}
}

func TestAnswersFindWhatIsWrong(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
	framed := Request{Method: "GET", Framed: true}
	last := Request{Method: "GET"}
	tests := []struct {
		name, wire string
		sent       []Request
		want       string // "" if all is well
	}{
		{"all answered", ok + ok, []Request{framed, framed}, ""},
		{"one answer missing", ok, []Request{framed, framed}, "ended after 1 of 2"},
		{"an end that was announced", strings.Replace(ok, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1), []Request{framed, framed}, ""},
		{"a broken request without an answer", ok, []Request{framed, last}, ""},
		{"a framed one without an answer before a broken one", "", []Request{framed, last}, "ended after 0 of 2"},
		{"interim answer", "HTTP/1.1 100 Continue\r\n\r\n" + ok, []Request{framed}, ""},
		{"server error", ok + "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", []Request{framed, framed}, "answer 2 is 500"},
		{"unknown coding", "HTTP/1.1 501 Not Implemented\r\n\r\n", []Request{last}, "answer 1 is 501"},
		{"answer cut off", ok[:len(ok)-1], []Request{framed}, "ended after 1 of 1"},
		{"no HTTP", ok + "hello\r\n\r\n", []Request{framed, framed}, "ended after 1 of 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Answers(strings.NewReader(tt.wire), tt.sent)
			switch {
			case err == nil && tt.want != "":
				t.Errorf("found nothing, want %q", tt.want)
			case err != nil && (tt.want == "" || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

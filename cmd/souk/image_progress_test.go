package main

import (
	"bytes"
	"testing"
	"time"
)

func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Unix(0, 0)
	p := &progress{out: &out, terminal: true, now: func() time.Time { return now }}
	p.tell("pushing", 0, 2_000_000)
	p.tell("pushing", 500_000, 2_000_000) // too soon to be drawn
	now = now.Add(time.Second)
	p.tell("pushing", 1_000_000, 2_000_000)
	p.tell("pushing", 2_000_000, 2_000_000) // the end is always drawn
	p.tell("writing", 10, 0)
	p.end()
	p.end()
	want := "\rpushing      [                              ]   0%  0 bytes of 2.0 MB\x1b[K" +
		"\rpushing      [===============               ]  50%  1.0 MB of 2.0 MB\x1b[K" +
		"\rpushing      [==============================] 100%  2.0 MB of 2.0 MB\x1b[K\n" +
		"\rwriting      10 bytes\x1b[K\n"
	if out.String() != want {
		t.Errorf("got  %q\nwant %q", out.String(), want)
	}
}

func TestProgressInAPipe(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := newProgress(&out)
	p.tell("checking", 0, 1500)
	p.tell("checking", 1500, 1500)
	p.tell("writing", 1, 0)
	p.end()
	if want := "checking 1.5 kB\nwriting\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestBytesForPeople(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0 bytes", 999: "999 bytes", 1000: "1.0 kB", 999_949: "999.9 kB", 999_951: "1.0 MB", 170_300_000: "170.3 MB", 5_000_000_000_000: "5000.0 GB",
	} {
		if got := bytesForPeople(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

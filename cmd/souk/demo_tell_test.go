package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestLinesOfAProgramAreShownWholeShortenedAndWithoutControls(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := (&teller{out: &out}).log()
	for _, part := range []string{"Unpacking", " it ...\r\n\n", "red \x1b[31m\n" + strings.Repeat("é", widest) + "\n", "no end"} {
		if _, err := log.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	log.end()
	want := "   | Unpacking it ...\n   | red  [31m\n   | " + strings.Repeat("é", widest/2) + "...\n   | no end\n"
	if out.String() != want {
		t.Errorf("shown as %q, want %q", out.String(), want)
	}
}

package awsjson

import (
	"errors"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"souk/gateway/apierror"
)

func TestTime(t *testing.T) {
	t.Parallel()
	at := Time{time.UnixMilli(1529960569430).UTC()}
	b, err := json.Marshal(at)
	if err != nil || string(b) != "1529960569.43" {
		t.Errorf("got %s, %v, want 1529960569.43", b, err)
	}
	var back Time
	if err := json.Unmarshal(b, &back); err != nil || !back.Equal(at.Time) {
		t.Errorf("got %v, %v, want %v", back, err, at)
	}
	if err := json.Unmarshal([]byte("null"), &back); err != nil || !back.IsZero() {
		t.Errorf("null: got %v, %v", back, err)
	}
	for _, wrong := range []string{`"2026"`, `1e300`, `true`, `{}`} {
		var e *apierror.Error
		if err := json.Unmarshal([]byte(wrong), &back); !errors.As(err, &e) {
			t.Errorf("%s: got %v, want an error for the client", wrong, err)
		}
	}
}

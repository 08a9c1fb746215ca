package gateway

import (
	"context"
	"errors"
	"testing"
	"time"
)

type name struct{}

// patient is the context of a request that came some time ago.
func patient(t *testing.T, ago time.Duration) (*patience, context.CancelFunc) {
	t.Helper()
	connection, hangUp := context.WithCancel(context.WithValue(t.Context(), name{}, "value"))
	p := &patience{}
	p.begin(connection, time.Now().Add(-ago))
	t.Cleanup(p.end)
	return p, hangUp
}

func TestClientThatHangsUpEndsNothing(t *testing.T) {
	t.Parallel()
	p, hangUp := patient(t, 0)
	child, cancel := context.WithCancel(p)
	defer cancel()
	hangUp()
	if p.Err() != nil || child.Err() != nil {
		t.Errorf("ended: %v, %v", p.Err(), child.Err())
	}
	if p.Value(name{}) != "value" || child.Value(name{}) != "value" {
		t.Error("the connection's values are gone")
	}
}

func TestTimeThatIsOver(t *testing.T) {
	t.Parallel()
	for order, look := range map[string]func(p *patience){
		"Done first": func(p *patience) { <-p.Done() },
		"Err first":  func(p *patience) { _ = p.Err() },
	} {
		p, _ := patient(t, 2*answerTime)
		look(p)
		if !errors.Is(p.Err(), context.DeadlineExceeded) || !errors.Is(context.Cause(p), context.DeadlineExceeded) {
			t.Errorf("%s: got %v, because of %v", order, p.Err(), context.Cause(p))
		}
		<-p.Done()
		child, cancel := context.WithCancel(p)
		<-child.Done()
		cancel()
	}
}

func TestEndOfARequestEndsWhatWaitsForIt(t *testing.T) {
	t.Parallel()
	p, _ := patient(t, 0)
	if until, ok := p.Deadline(); !ok || time.Until(until) > answerTime {
		t.Errorf("the deadline is %v, %v", until, ok)
	}
	child, cancel := context.WithCancel(p)
	defer cancel()
	p.end()
	<-child.Done()
	if p.Err() == nil {
		t.Error("it goes on")
	}
}

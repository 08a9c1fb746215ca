package builder

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"souk/artifact/appstream/image"
	"souk/artifact/machine"
	"souk/gateway/apierror"
	"souk/storage/store"
	"souk/storage/worktest"
)

func TestABuilderBecomesAnImageOfWhichAnotherIsMade(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.start()
	b := h.create("one")
	if b.ARN != "arn:aws:appstream:us-east-1:111111111111:image-builder/one" || b.ImageARN != "arn:aws:appstream:us-east-1:111111111111:image/base" || b.Agent != "1.0" || !h.Latest(b) {
		t.Errorf("it is %+v", b)
	}
	if got := h.sh("one", "echo hello >/opt/made; cat /opt/made; cat /proc/sys/kernel/hostname"); got != "0 hello\none" {
		t.Errorf("a program says %q", got)
	}
	for _, step := range []struct {
		do func() (*Builder, error)
		at State
		to State
	}{
		{func() (*Builder, error) { return h.Stop(t.Context(), account, region, "one", nil) }, Stopping, Stopped},
		{func() (*Builder, error) { return h.Start(t.Context(), account, region, "one", Latest, nil) }, Pending, Running},
	} {
		b, err := step.do()
		if err != nil || b.State != step.at {
			t.Fatalf("it is %+v, %v, want %s", b, err, step.at)
		}
		h.is("one", step.to)
	}
	if got := h.sh("one", "cat /opt/made"); got != "0 hello" {
		t.Errorf("after a stop and a start: %q", got)
	}
	if got := h.sh("one", "image-assistant create-image --name made --display-name Made --description text --use-latest-agent-version --tags a b"); got[:2] != "0 " {
		t.Fatalf("the assistant says %q", got)
	}
	b = h.is("one", Stopped)
	if b.Snapshot != nil || b.Reason != nil {
		t.Errorf("after the snapshot it is %+v", b)
	}
	i := h.image("made")
	if i.State != image.Available || i.DisplayName != "Made" || i.BuilderName != "one" || i.BaseARN != b.ImageARN || i.AgentVersion != "" || i.Tags["a"] != "b" {
		t.Errorf("the image is %+v", i)
	}
	h.create("two", func(r *Request) { r.ImageName, r.ImageARN = "", i.ARN })
	if got := h.sh("two", "cat /opt/made"); got != "0 hello" {
		t.Errorf("in a builder of the image: %q", got)
	}
	if by, err := h.InUse(t.Context(), i); err != nil || by != "arn:aws:appstream:us-east-1:111111111111:image-builder/two" {
		t.Errorf("the image is in use by %q, %v", by, err)
	}
	h.healthy(2)
	for _, name := range []string{"one", "two"} {
		b, err := h.Delete(t.Context(), account, region, name, nil)
		if err != nil || b.State != Deleting {
			t.Fatalf("deleting gives %+v, %v", b, err)
		}
		h.gone(name)
	}
	h.healthy(0)
}

func TestADryRunOfTheAssistantMakesNothing(t *testing.T) {
	t.Parallel()
	h := running(t)
	if got := h.sh("one", "AppStreamImageAssistant create-image --name made --dry-run"); got[:2] != "0 " {
		t.Errorf("a dry run says %q", got)
	}
	if got := h.sh("one", "image-assistant create-image --name base"); got[:2] != "1 " {
		t.Errorf("a name that is taken: %q", got)
	}
	if b := h.read("one"); b.State != Running {
		t.Errorf("it is %s", b.State)
	}
	h.healthy(1)
}

func TestRebootAndPowerOffFromInside(t *testing.T) {
	t.Parallel()
	h := running(t)
	step := h.read("one").Step
	if got := h.sh("one", "echo x >/opt/x; /run/souk/bin/reboot"); got[:2] != "0 " {
		t.Errorf("reboot says %q", got)
	}
	worktest.Until(t, "it was rebooted", func() bool { b := h.read("one"); return b.Step == step+1 && b.State == Running })
	if got := h.sh("one", "cat /opt/x; /run/souk/bin/poweroff"); got[:3] != "0 x" {
		t.Errorf("poweroff says %q", got)
	}
	if b := h.is("one", Stopped); b.Reason != nil {
		t.Errorf("it was asked to stop, and has the reason %+v", b.Reason)
	}
	h.healthy(1)
}

func TestAMachineThatEndsByItselfIsStartedAgainOnce(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.start()
	b := h.create("one")
	h.must(h.config.Machines.Stop(t.Context(), b.Machine)) // nobody has asked the builder
	worktest.Until(t, "it was started again", func() bool { r := h.read("one"); return r.Step == b.Step+1 && r.State == Running })
	h.passes(short / 2)
	h.must(h.config.Machines.Stop(t.Context(), b.Machine))
	if r := h.is("one", Stopped); r.Reason == nil || r.Reason.Code != InternalError {
		t.Errorf("it ended again at once, and the reason is %+v", r.Reason)
	}
	_, err := h.Start(t.Context(), account, region, "one", "", nil)
	h.must(err)
	r := h.is("one", Running)
	h.passes(2 * short)
	h.must(h.config.Machines.Stop(t.Context(), b.Machine))
	worktest.Until(t, "it was started again", func() bool { n := h.read("one"); return n.Step == r.Step+1 && n.State == Running })
	h.healthy(1)
}

func TestABuilderThatIdlesIsStopped(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.start(func(c *Config) { c.Idle = func() time.Duration { return time.Hour } })
	h.create("busy")
	h.create("idle")
	s, err := h.Enter(t.Context(), account, region, "busy")
	h.must(err)
	h.passes(2 * time.Hour)
	if b := h.is("idle", Stopped); b.Reason == nil || b.Reason.Code != "" || b.Reason.Message != "Nobody has worked in it for 1h0m0s." {
		t.Errorf("the reason is %+v", b.Reason)
	}
	if b := h.read("busy"); b.State != Running {
		t.Errorf("somebody works in it, and it is %s", b.State)
	}
	s.Close()
	s.Close()
	h.passes(2 * time.Hour)
	h.is("busy", Stopped)
	h.healthy(2)
}

func TestWhoEntersABuilderThatDoesNotRunIsTold(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.start()
	_, err := h.Enter(t.Context(), account, region, "none")
	if !apierror.Is(err, "ResourceNotFoundException") {
		t.Errorf("none: %v", err)
	}
	h.create("one")
	_, err = h.Enter(t.Context(), other, region, "one")
	if !apierror.Is(err, "ResourceNotFoundException") {
		t.Errorf("of another account: %v", err)
	}
	s, err := h.Enter(t.Context(), account, region, "one")
	h.must(err)
	_, err = h.Stop(t.Context(), account, region, "one", nil)
	h.must(err)
	h.is("one", Stopped)
	if _, err := s.Exec(t.Context(), machine.Cmd{Args: []string{"true"}}); !errors.Is(err, machine.ErrState) {
		t.Errorf("in a session of a builder that was stopped: %v", err)
	}
	_, err = h.Enter(t.Context(), account, region, "one")
	if !apierror.Is(err, "OperationNotPermittedException") {
		t.Errorf("stopped: %v", err)
	}
}

func TestTheAgentIsUpdatedWhenTheProgramIs(t *testing.T) {
	t.Parallel()
	h := running(t)
	h.start(func(c *Config) { c.AgentVersion = "2.0" })
	b := h.is("one", Stopped)
	if h.Latest(b) {
		t.Error("its agent is the latest")
	}
	if _, err := h.Start(t.Context(), account, region, "one", "1.0", nil); !apierror.Is(err, "ResourceNotAvailableException") {
		t.Errorf("an agent that is not there any more: %v", err)
	}
	b, err := h.Start(t.Context(), account, region, "one", Latest, nil)
	if err != nil || b.State != UpdatingAgent {
		t.Fatalf("it is %+v, %v", b, err)
	}
	if b = h.is("one", Running); b.Agent != "2.0" || !h.Latest(b) {
		t.Errorf("its agent is %s", b.Agent)
	}
	h.healthy(1)
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.start()
	const many = 12
	made := make(chan error, many)
	for n := range many {
		go func() {
			_, err := h.Create(t.Context(), request(fmt.Sprintf("b-%02d", n)))
			made <- err
		}()
	}
	for range many {
		h.must(<-made)
	}
	for n := range many {
		h.is(fmt.Sprintf("b-%02d", n), Running)
	}
	h.healthy(many)
	for n := range many {
		_, err := h.Delete(t.Context(), account, region, fmt.Sprintf("b-%02d", n), nil)
		h.must(err)
	}
	for n := range many {
		h.gone(fmt.Sprintf("b-%02d", n))
	}
	h.healthy(0)
}

// listened is images that keep what they were told was committed.
type listened struct {
	Images
	mu   sync.Mutex
	told []image.State // guarded by mu
}

func (l *listened) Committed(batch store.Batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range batch.Put {
		var is struct{ State image.State }
		if w.Document.Kind == image.Kind && json.Unmarshal(w.Document.Body, &is) == nil {
			l.told = append(l.told, is.State)
		}
	}
}

// TestOfImagesThatBuildersBecomeIsTold: metrics of images count them too.
func TestOfImagesThatBuildersBecomeIsTold(t *testing.T) {
	t.Parallel()
	h := open(t)
	l := &listened{}
	h.start(func(c *Config) { l.Images, c.Images = c.Images, l })
	h.create("one")
	h.becomes()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.told, []image.State{image.Pending, image.Available}) {
		t.Errorf("told is %v", l.told)
	}
}

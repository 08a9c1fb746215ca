package server

import (
	"errors"
	"io"
	"testing"

	"souk/artifact/installer"
	"souk/artifact/machine"
)

// TestMachinesThatCouldNotBeOpened: whoever asks for one is told why there is none.
func TestMachinesThatCouldNotBeOpened(t *testing.T) {
	t.Parallel()
	reason := errors.New("the folder of machines is in use")
	c := &compute{known: make(chan struct{}), failure: reason}
	close(c.known)
	ctx := t.Context()
	_, run := c.Exec(ctx, "m", machine.Cmd{Args: []string{"true"}})
	for name, err := range map[string]error{
		"Reach": c.Reach(ctx, "m", nil), "Start": c.Start(ctx, "m"), "Exec": run, "Stop": c.Stop(ctx, "m"), "Wait": c.Wait(ctx, "m"), "Diff": c.Diff(ctx, "m", io.Discard),
	} {
		if !errors.Is(err, machine.ErrNotFound) || !errors.Is(err, reason) {
			t.Errorf("%s: got %v, want that there is no machine, and why", name, err)
		}
	}
	if err := c.Create(ctx, "m", machine.Spec{}); !errors.Is(err, installer.ErrNoMachines) || !errors.Is(err, reason) {
		t.Errorf("Create: got %v", err)
	}
	all, err := c.List(ctx)
	if len(all) > 0 || err != nil {
		t.Errorf("List: got %v, %v", all, err)
	}
	if err := errors.Join(c.Delete(ctx, "m"), c.close()); err != nil {
		t.Errorf("Delete and close: %v", err)
	}
}

//go:build !linux

package document

import (
	"errors"
	"os"
	"os/exec"
)

// Machines are Linux; elsewhere documents can be read and not run.
type processes struct{}

func (*processes) adopt() error {
	return errors.New("component documents are run in machines, which are Linux")
}

func (*processes) release() {}

func (*processes) run(*exec.Cmd) error {
	return errors.New("component documents are run in machines, which are Linux")
}

func ownerOf(os.FileInfo) (uid, gid int, ok bool) { return 0, 0, false }

func copyCapability(string, string) error { return nil }

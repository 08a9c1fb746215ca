package souktest

import (
	_ "embed"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
)

//go:embed awscli_cbor.py
var modelInCBOR string

// ErrNoCBOR says that the AWS CLI of this machine is older than rpc-v2-cbor.
var ErrNoCBOR = errors.New("the AWS CLI does not speak rpc-v2-cbor")

// SpeakCBOR makes the AWS CLI speak rpc-v2-cbor to a service (appstream), where
// HOME is this folder. The CLI chooses a protocol by its model of the service, and
// prefers JSON where it has the choice; what it finds in the home is a copy of that
// model without the choice. The rest of the model is as the CLI has it. The error
// is ErrNoCBOR where the CLI is too old.
func SpeakCBOR(home, service string) error {
	path, err := exec.LookPath("aws")
	if err != nil {
		return fmt.Errorf("finding the AWS CLI (make setup installs it): %w", err)
	}
	_, python := interpreter(path)
	if python == "" {
		return fmt.Errorf("%s is no program of Python, so that nobody can ask for its models", path)
	}
	out, err := exec.Command(python, "-c", modelInCBOR, service, filepath.Join(home, ".aws", "models")).CombinedOutput()
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.ExitCode() == 3 {
		return ErrNoCBOR
	}
	if err != nil {
		return fmt.Errorf("copying the model of %s: %w: %s", service, err, out)
	}
	return nil
}

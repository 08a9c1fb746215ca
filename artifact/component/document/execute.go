package document

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// background is how long a program that ended is waited for while something
// that it left behind holds its output.
const background = time.Second

// rebootCode is the exit code by which AWSTOE is asked to restart the machine.
const rebootCode = 194

// executeBash runs all commands as one script, as AWSTOE does: its last command
// decides, unless the script says set -e.
func executeBash(ctx context.Context, w *work, in input) (string, error) {
	shell, err := w.shell("/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash")
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "souk-component-")
	if errors.Is(err, fs.ErrNotExist) { // an image without /tmp
		dir, err = os.MkdirTemp("/", "souk-component-")
	}
	if err != nil {
		return "", fmt.Errorf("making a place for the script: %w", err)
	}
	defer os.RemoveAll(dir)
	script := filepath.Join(dir, "input.sh")
	if err := os.WriteFile(script, []byte(strings.Join(in.lists["commands"], "\n")+"\n"), 0o700); err != nil {
		return "", fmt.Errorf("writing the script: %w", err)
	}
	return w.execute(ctx, shell, script)
}

// shell returns the first of the places of bash where it is, and sh where it is
// nowhere; that is said once.
func (w *work) shell(places ...string) (string, error) {
	for _, path := range places {
		if executable(path) {
			return path, nil
		}
	}
	if !executable("/bin/sh") {
		return "", errors.New("the image has neither bash nor /bin/sh")
	}
	if !w.saidShell {
		w.saidShell = true
		w.say(w.out, "the image has no bash; /bin/sh runs the commands")
	}
	return "/bin/sh", nil
}

// executable says whether path is a file that can be run.
func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

func executeBinary(ctx context.Context, w *work, in input) (string, error) {
	return w.execute(ctx, in.texts["path"], in.lists["arguments"]...)
}

// execute runs a program and returns the beginning of its output.
func (w *work) execute(ctx context.Context, path string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	out := &capture{to: w.out}
	cmd.Stdout, cmd.Stderr = out, w.err
	cmd.Env = os.Environ()
	if os.Getenv("PATH") == "" {
		cmd.Env = append(cmd.Env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	}
	if w.files != "" {
		cmd.Env = append(cmd.Env, FilesVariable+"="+w.files)
	}
	cmd.WaitDelay = background
	err := w.processes.run(cmd)
	text, over := out.text()
	if over {
		w.say(w.out, "%s wrote more than %d bytes; references to its output have the beginning", w.title, maxCapture)
	}
	if ended := ctx.Err(); ended != nil {
		return "", ended
	}
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return text, nil
	case errors.As(err, &exit) && exit.ExitCode() == rebootCode:
		return "", fmt.Errorf("exit code %d asks for a restart, and a machine that builds an image is not started again", rebootCode)
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return "", fmt.Errorf("exit code %d", exit.ExitCode())
	case errors.As(err, &exit):
		return "", fmt.Errorf("ended by %s", exit.ProcessState)
	}
	return "", err
}

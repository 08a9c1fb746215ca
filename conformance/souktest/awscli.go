package souktest

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The program that is kept and the command that asks it; both are run by the
// interpreter of the AWS CLI.
var (
	//go:embed awscli_kept.py
	keptAWS []byte
	//go:embed awscli_ask.py
	askAWS []byte
)

// AWS is the AWS CLI that this machine has, for the commands of one home folder.
// It sees nothing of the person who runs the tests: neither ~/.aws nor a login.
//
// Starting the program costs half a second of the processor, nearly all of it
// for imports and for reading the models of the services. So it is started once
// for each home, and every command is a fork of that: the same program in the
// same interpreter with what it had read, and nothing of the commands before it
// (see awscli_kept.py). Where the program can't be kept, because it is not one
// of Python's, every command starts it.
type AWS struct {
	Path string // the program aws; Command runs it
	// Env is the environment of a command, without keys, region and endpoint. In
	// its PATH, aws is this program. HOME and AWS_DATA_PATH must stay as they are.
	Env []string

	dir  string    // what ours is made of; "" if the program is not kept
	kept *exec.Cmd // what is forked
	log  *journal  // what kept printed itself: nothing, unless it failed
}

// NewAWS is the AWS CLI for a home folder, until the end of the test.
func NewAWS(tb testing.TB, home string) *AWS {
	tb.Helper()
	a, err := KeepAWS(home)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(a.Close)
	return a
}

// KeepAWS is NewAWS without a test: the caller closes it.
func KeepAWS(home string) (*AWS, error) {
	path, err := exec.LookPath("aws")
	if err != nil {
		return nil, fmt.Errorf("finding the AWS CLI (make setup installs it): %w", err)
	}
	a := &AWS{Path: path, log: &journal{}, Env: []string{
		"HOME=" + home, "PATH=" + os.Getenv("PATH"),
		"AWS_CONFIG_FILE=" + filepath.Join(home, "config"), "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(home, "credentials"),
		"AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=", "AWS_CLI_AUTO_PROMPT=off", "AWS_DEFAULT_OUTPUT=json",
		// Where python is one of several (pyenv), the command finds its own by this.
		"PYENV_ROOT=" + os.Getenv("PYENV_ROOT"),
	}}
	program, python := interpreter(path)
	if python == "" {
		return a, nil
	}
	err = a.keep(program, python)
	if err != nil {
		a.Close()
		return nil, fmt.Errorf("starting the AWS CLI that is kept: %w", err)
	}
	return a, nil
}

// interpreter finds the program of Python that the AWS CLI is, and which Python
// runs it; "" if it is another kind of program.
func interpreter(path string) (program, python string) {
	python = firstLine(path)
	if python == "" {
		// It may be what chooses one of several by the folder (pyenv's shim).
		out, err := exec.Command("pyenv", "which", "aws").Output()
		if err != nil {
			return "", ""
		}
		path = strings.TrimSpace(string(out))
		python = firstLine(path)
	}
	return path, python
}

// firstLine is the Python that a program's first line names, or "".
func firstLine(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	line, err := bufio.NewReaderSize(f, 1024).ReadSlice('\n')
	words, script := strings.CutPrefix(string(line), "#!")
	first, _, _ := strings.Cut(strings.TrimSpace(words), " ")
	if err != nil || !script || !strings.HasPrefix(filepath.Base(first), "python") {
		return ""
	}
	return first
}

// keep starts what is forked, and puts the command that asks it into the PATH.
// It listens before it is ready: whoever asks early waits.
func (a *AWS) keep(program, python string) error {
	dir, err := os.MkdirTemp("", "souk-aws-") // short: the path of a socket may have 107 bytes
	if err != nil {
		return err
	}
	a.dir = dir
	bin, socket, script := filepath.Join(dir, "bin"), filepath.Join(dir, "socket"), filepath.Join(dir, "kept.py")
	a.Path = filepath.Join(bin, "aws")
	err = errors.Join(
		os.Mkdir(bin, 0o700),
		os.WriteFile(script, keptAWS, 0o600),
		// Isolated and without site-packages it starts in some milliseconds.
		os.WriteFile(a.Path, append([]byte("#!"+python+" -IS\n"), askAWS...), 0o700),
	)
	if err != nil {
		return err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return err
	}
	listener.SetUnlinkOnClose(false)
	defer listener.Close()
	end, err := listener.File()
	if err != nil {
		return err
	}
	defer end.Close()
	for i, e := range a.Env {
		if path, found := strings.CutPrefix(e, "PATH="); found {
			a.Env[i] = "PATH=" + bin + string(os.PathListSeparator) + path
		}
	}
	a.kept = exec.Command(python, script, program)
	a.kept.Env = a.Env
	a.kept.ExtraFiles = []*os.File{end}
	a.kept.Stdout, a.kept.Stderr = a.log, a.log
	if _, err := a.kept.StdinPipe(); err != nil { // it ends when this process does
		return err
	}
	a.kept.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that its forks end with it
	return a.kept.Start()
}

// Command is a command of the AWS CLI, in the environment Env.
func (a *AWS) Command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, a.Path, args...)
	c.Env = append([]string(nil), a.Env...)
	return c
}

// Close ends what was kept. It may be called again.
func (a *AWS) Close() {
	if a.kept != nil && a.kept.Process != nil {
		// Neither can fail but where it is gone already.
		_ = syscall.Kill(-a.kept.Process.Pid, syscall.SIGKILL)
		_ = a.kept.Wait()
		a.kept = nil
	}
	if a.dir != "" {
		_ = os.RemoveAll(a.dir)
		a.dir = ""
	}
}

// Log is what the program that is kept printed of itself, which is nothing as
// long as it works.
func (a *AWS) Log() string { return a.log.String() }

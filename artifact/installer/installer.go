// Package installer installs products on an image: it runs their components in
// a machine made of the image, one after the other, and hands back what they
// changed as one more layer, and what they wrote in two logs. The phases build
// and validate run in that machine; the phase test runs in a second one, made of
// the image with the new layer, whose changes are thrown away.
//
// It keeps nothing: what a build is, and that it is done again after a crash, is
// artifact/build's; the language of components is artifact/component/document's;
// a machine is its provider's.
package installer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"souk/artifact/images"
	"souk/artifact/machine"
)

// Codes of a Failure: the ErrorCode of the Image Build Service.
const (
	// InstallFailed: "installation timed out or exited with non zero return value".
	InstallFailed = "InstallFailed"
	// SSMAgentNotFound: the "agent was not running on the instance or was unreachable".
	SSMAgentNotFound = "SSMAgentNotFound"
)

// Failure is an installation that was tried and did not succeed, by no fault of
// ours: doing it again would come to the same.
type Failure struct {
	Code    string // InstallFailed or SSMAgentNotFound
	Message string // which component, and why; for whoever asked for it
}

func (f *Failure) Error() string { return f.Message }

// ErrNoMachines: this server has no provider of machines. Its text says what to do.
var ErrNoMachines = errors.New("this server can't run machines: start it with --compute=auto on a host that allows namespaces, and read what it says at its start")

// DefaultTime is how long an installation may take where Limits say nothing.
const DefaultTime = 4 * time.Hour

// Limits bound an installation. A field that is 0 is the default beside it.
type Limits struct {
	Time   time.Duration // all components together; DefaultTime
	Memory int64         // bytes; machine.DefaultMemory
	Disk   int64         // bytes that may be written; machine.DefaultDisk
	CPU    int           // thousandths of a processor; machine.DefaultCPU
	Pids   int           // processes and threads; machine.DefaultPids
	Egress []string      // what may be reached, as machine.Spec has it; none
}

// Config says what Installer works with.
type Config struct {
	// Machines runs the machines. Nil: every Run ends with ErrNoMachines.
	Machines machine.Provider
	// Folder keeps the files of components and new layers while they are needed.
	// Everything in it is the Installer's: Clean removes what a crash has left.
	Folder string
	Limits Limits
}

// Installer runs components. Its methods may be called concurrently.
type Installer struct{ config Config }

// New makes the folder of an Installer and returns it.
func New(c Config) (*Installer, error) {
	if c.Folder == "" {
		return nil, errors.New("opening the installer: Folder is needed")
	}
	if c.Limits.Time <= 0 {
		c.Limits.Time = DefaultTime
	}
	// Machines have the folders of files mounted by processes that are elsewhere.
	folder, err := filepath.Abs(c.Folder)
	if err == nil {
		c.Folder = folder
		err = os.MkdirAll(c.Folder, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the installer: %w", err)
	}
	return &Installer{config: c}, nil
}

// Component is the installer of one product.
type Component struct {
	Name       string            // for people, and of the folder that has its files
	Document   []byte            // YAML, as artifact/component/document reads it
	Phases     []string          // that the document has: build, validate, test
	Parameters map[string]string // values of the document's parameters; what is missing has its default
	// Files writes the files of the component below a folder of this host, which
	// is there and empty. Nil: it has none.
	Files func(ctx context.Context, folder string) error
}

// Job is one installation.
type Job struct {
	ID         string // names its machines; the same as that of an earlier try, whose machines are removed
	Image      images.Image
	Components []Component // in the order in which they run
	// Stdout and Stderr get what the components write, while they write it. They
	// may be called concurrently with each other. Nil: it is thrown away.
	Stdout, Stderr io.Writer
	// Trial asks for no layer: whether the components run, and leave what can be one,
	// is all that is asked.
	Trial bool
}

// Result is what an installation came to.
type Result struct {
	Layer *images.LayerFile // nil of a trial
	file  string
}

// Close removes the layer's file. It may be called again.
func (r *Result) Close() error {
	if r == nil || r.file == "" {
		return nil
	}
	err := os.Remove(r.file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing a layer: %w", err)
	}
	return nil
}

// purpose begins Spec.Purpose of the machines that are made here.
const purpose = "installation "

// Clean removes what an earlier process has left: machines, files of components,
// layers. It is called before the first Run.
func (i *Installer) Clean(ctx context.Context) error {
	var all []error
	left, err := os.ReadDir(i.config.Folder)
	all = append(all, err)
	for _, e := range left {
		all = append(all, os.RemoveAll(filepath.Join(i.config.Folder, e.Name())))
	}
	if i.config.Machines != nil {
		machines, err := i.config.Machines.List(ctx)
		all = append(all, err)
		for _, m := range machines {
			if strings.HasPrefix(m.Purpose, purpose) {
				all = append(all, i.config.Machines.Delete(ctx, m.ID))
			}
		}
	}
	err = errors.Join(all...)
	if err != nil {
		return fmt.Errorf("removing what earlier installations have left: %w", err)
	}
	return nil
}

// Run installs. The error is a *Failure, ErrNoMachines, the cause of ctx, or a
// fault of ours after which the job may be tried again. Whatever it is, no
// machine is left. The caller closes the result when it has the layer.
func (i *Installer) Run(ctx context.Context, j Job) (result *Result, err error) {
	if i.config.Machines == nil {
		return nil, ErrNoMachines
	}
	folder, err := os.MkdirTemp(i.config.Folder, "job-")
	if err != nil {
		return nil, fmt.Errorf("installing for %s: %w", j.ID, err)
	}
	r := &run{
		Installer: i, job: j, folder: folder,
		stdout: orDiscard(j.Stdout), stderr: newTail(orDiscard(j.Stderr)),
	}
	late := &Failure{InstallFailed, fmt.Sprintf("The installation timed out: it may take %v.", i.config.Limits.Time)}
	limited, cancel := context.WithTimeoutCause(ctx, i.config.Limits.Time, late)
	defer cancel()
	result, err = r.install(limited)
	if ctx.Err() != nil && err != nil {
		err = context.Cause(ctx)
	} else if err != nil && limited.Err() != nil {
		err = r.late(late)
	}
	removed := os.RemoveAll(folder)
	if err == nil && removed != nil {
		err = fmt.Errorf("installing for %s: %w", j.ID, removed)
	}
	if err == nil && j.Trial { // the test had one
		err = result.Close()
		result.Layer = nil
	}
	if err != nil {
		_ = result.Close()
		var failed *Failure
		if errors.As(err, &failed) {
			fmt.Fprintf(r.stderr, "%s\n", failed.Message)
			return nil, failed
		}
		return nil, err
	}
	return result, nil
}

func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

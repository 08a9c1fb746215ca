package installer

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"souk/artifact/component/document"
	"souk/artifact/images"
	"souk/artifact/machine"
)

// run is one Run.
type run struct {
	*Installer
	job    Job
	folder string // of the job: files/, whose folders are those of its components
	stdout io.Writer
	stderr *tail

	names []string // of the components' folders; "" where one has no files
	doing string   // the component that runs, "" between them
}

// tool is the name by which a machine's agent knows the reader of documents.
const tool = "component"

// install is Run without what surrounds it.
func (r *run) install(ctx context.Context) (*Result, error) {
	files, err := r.unpack(ctx)
	if err != nil {
		return nil, err
	}
	result := &Result{}
	err = r.in(ctx, r.job.ID, r.job.Image.Layers, files, func(id string) error {
		err := r.components(ctx, id, "build", "validate")
		if err != nil {
			return err
		}
		err = r.config.Machines.Stop(ctx, id)
		if err != nil {
			return fmt.Errorf("stopping machine %s: %w", id, err)
		}
		if r.job.Trial && !r.tests() {
			// Nobody needs the layer, but it must be one: builds will make it.
			err = r.config.Machines.Diff(ctx, id, io.Discard)
			if err != nil {
				return fmt.Errorf("reading what machine %s changed: %w", id, err)
			}
			return nil
		}
		result.Layer, result.file, err = r.layer(ctx, id)
		return err
	})
	if err != nil || !r.tests() {
		return result, err
	}
	layers := append(r.job.Image.Layers[:len(r.job.Image.Layers):len(r.job.Image.Layers)], result.Layer.Layer())
	err = r.in(ctx, r.job.ID+"-test", layers, files, func(id string) error {
		return r.components(ctx, id, "test")
	})
	return result, err
}

// in runs f with a machine that is made for it and is gone when in returns.
func (r *run) in(ctx context.Context, id string, layers []images.Layer, files string, f func(id string) error) (err error) {
	machines, l := r.config.Machines, r.config.Limits
	// What ends the job does not keep its machine from being removed.
	remove := func() error {
		err := machines.Delete(context.WithoutCancel(ctx), id)
		if err != nil {
			return fmt.Errorf("deleting machine %s: %w", id, err)
		}
		return nil
	}
	err = remove() // of a try that was cut short
	if err != nil {
		return err
	}
	defer func() {
		removed := remove()
		if err == nil {
			err = removed
		}
	}()
	err = machines.Create(ctx, id, machine.Spec{
		Layers: layers, Memory: l.Memory, Disk: l.Disk, CPU: l.CPU, Pids: l.Pids, Egress: l.Egress,
		Files: files, Purpose: purpose + r.job.ID,
	})
	if err == nil {
		err = machines.Start(ctx, id)
	}
	if err != nil {
		return r.failure(fmt.Errorf("starting machine %s: %w", id, err))
	}
	return r.failure(f(id))
}

// failure makes a Failure of an error that is not ours.
func (r *run) failure(err error) error {
	switch {
	case errors.Is(err, machine.ErrNoAgent):
		return &Failure{SSMAgentNotFound, "The agent of the machine that was made of the source image did not answer."}
	case errors.Is(err, machine.ErrBadImage):
		return &Failure{SSMAgentNotFound, "The source image can't be started, so that its agent could not be reached: " + short(err.Error())}
	case errors.Is(err, machine.ErrUnsupported): // and it will be so the next time
		return fmt.Errorf("%w (%w)", ErrNoMachines, err)
	case errors.Is(err, machine.ErrDiskFull):
		return &Failure{InstallFailed, r.about("wrote more than the disk of the machine has", "")}
	case errors.Is(err, machine.ErrBadTree), errors.Is(err, images.ErrBadImage):
		_, why, found := strings.Cut(err.Error(), machine.ErrBadTree.Error()+": ")
		if !found {
			_, why, _ = strings.Cut(err.Error(), images.ErrBadImage.Error()+": ")
		}
		return &Failure{InstallFailed, short("What was installed makes no image: " + why + ".")}
	}
	return err
}

// about is a message on the component that runs.
func (r *run) about(what, why string) string {
	who := "The installation "
	if r.doing != "" {
		who = "The component " + r.doing + " "
	}
	if why != "" {
		why = ": " + why
	}
	return short(who + what + why + ".")
}

// late says which component was running when the time was over.
func (r *run) late(f *Failure) *Failure {
	if r.doing != "" {
		return &Failure{f.Code, fmt.Sprintf("The component %s was running when the installation timed out: it may take %v.", r.doing, r.config.Limits.Time)}
	}
	return f
}

// unsafe is what the name of a folder does not have.
var unsafe = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// unpack writes the files of all components, each into a folder of its name, and
// returns the folder of all; "" if there are none.
func (r *run) unpack(ctx context.Context) (folder string, err error) {
	used := map[string]bool{}
	for n, c := range r.job.Components {
		r.names = append(r.names, "")
		if c.Files == nil {
			continue
		}
		name := strings.Trim(unsafe.ReplaceAllString(c.Name, "-"), ".-")
		if name == "" || used[name] {
			name = fmt.Sprintf("%s-%d", name, n+1)
		}
		used[name], r.names[n] = true, name
		folder = filepath.Join(r.folder, "files")
		at := filepath.Join(folder, name)
		// The users of a machine are not ours: its folders are open to all of them.
		err = errors.Join(os.MkdirAll(at, 0o755), os.Chmod(folder, 0o755), os.Chmod(at, 0o755))
		if err == nil {
			err = c.Files(ctx, at)
		}
		if err != nil {
			return "", fmt.Errorf("unpacking the files of component %s: %w", c.Name, err)
		}
	}
	return folder, nil
}

// tests says whether a component has a phase test.
func (r *run) tests() bool {
	for _, c := range r.job.Components {
		if slices.Contains(c.Phases, "test") {
			return true
		}
	}
	return false
}

// components runs phases of all components in a machine.
func (r *run) components(ctx context.Context, id string, phases ...string) error {
	for n, c := range r.job.Components {
		phases := slices.DeleteFunc(slices.Clone(phases), func(p string) bool { return !slices.Contains(c.Phases, p) })
		if len(phases) == 0 {
			continue
		}
		r.doing = c.Name
		fmt.Fprintf(r.stdout, "== %s (component %d of %d), phases: %s\n", c.Name, n+1, len(r.job.Components), strings.Join(phases, ", "))
		job := document.Job{Document: c.Document, Parameters: c.Parameters, Phases: phases, Name: c.Name}
		if r.names[n] != "" {
			job.Files = path.Join(machine.FilesPath, r.names[n])
		}
		encoded, err := json.Marshal(job)
		if err != nil {
			return fmt.Errorf("encoding component %s: %w", c.Name, err)
		}
		r.stderr.begin()
		exit, err := r.config.Machines.Exec(ctx, id, machine.Cmd{
			Args: []string{tool}, Tool: true, Stdin: bytes.NewReader(encoded), Stdout: r.stdout, Stderr: r.stderr,
		})
		switch {
		case err != nil:
			return fmt.Errorf("running component %s: %w", c.Name, err)
		case exit.OutOfMemory:
			return &Failure{InstallFailed, r.about(fmt.Sprintf("ran out of memory, of which the machine has %d MiB", r.memory()>>20), r.stderr.last())}
		case exit.DiskFull:
			return &Failure{InstallFailed, r.about(fmt.Sprintf("filled the disk of the machine, which has %d MiB", r.disk()>>20), r.stderr.last())}
		case exit.Signal != 0:
			return &Failure{InstallFailed, r.about(fmt.Sprintf("was ended by signal %d", exit.Signal), r.stderr.last())}
		case exit.Code != 0:
			return &Failure{InstallFailed, r.about(fmt.Sprintf("failed with status %d", exit.Code), r.stderr.last())}
		}
		r.doing = ""
	}
	return nil
}

func (r *run) memory() int64 { return cmp.Or(r.config.Limits.Memory, machine.DefaultMemory) }

func (r *run) disk() int64 { return cmp.Or(r.config.Limits.Disk, machine.DefaultDisk) }

// layer writes what a stopped machine changed as a compressed layer to a file of
// the installer's folder, quickly rather than well.
func (r *run) layer(ctx context.Context, id string) (*images.LayerFile, string, error) {
	f, err := os.CreateTemp(r.config.Folder, "layer-")
	if err != nil {
		return nil, "", fmt.Errorf("making a layer: %w", err)
	}
	name := f.Name()
	l, err := images.CompressLayer(f, func(w io.Writer) error { return r.config.Machines.Diff(ctx, id, w) })
	if err == nil {
		l.File = name
	}
	err = errors.Join(err, f.Close())
	if err != nil {
		return nil, name, fmt.Errorf("writing the layer of machine %s: %w", id, err)
	}
	return l, name, nil
}

// mostMessage is how many bytes of a message are told; the log has the rest.
const mostMessage = 1000

func short(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) <= mostMessage {
		return s
	}
	cut := mostMessage
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}

// tail hands on what is written and remembers its last lines.
type tail struct {
	to io.Writer

	mu   sync.Mutex // guards what follows
	kept []byte
}

// tailSize is how much is remembered.
const tailSize = 512

func newTail(to io.Writer) *tail { return &tail{to: to} }

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	t.kept = append(t.kept, p[max(0, len(p)-tailSize):]...)
	if extra := len(t.kept) - tailSize; extra > 0 {
		t.kept = append(t.kept[:0], t.kept[extra:]...)
	}
	t.mu.Unlock()
	return t.to.Write(p)
}

// begin forgets what was written.
func (t *tail) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = nil
}

// last is the last line that was written and is not empty, "" if there is none.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimSpace(strings.ToValidUTF8(string(t.kept), "?"))
	line := strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
	for _, own := range []string{"souk: failed: ", "souk: refused: "} { // the document's reader says it
		line = strings.TrimPrefix(line, own)
	}
	return strings.TrimSuffix(line, ".")
}

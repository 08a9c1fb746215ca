package document

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Job is what Tool reads from its input.
type Job struct {
	Document   []byte            // the YAML
	Parameters map[string]string // by name; those that the document does not have are ignored
	Phases     []string          // that run, if the document has them; none: all. Their order is the document's
	Name       string            // of the component, for messages
	Files      string            // the folder with the component's files; "" for none
}

// maxJob is the most bytes of a job as JSON.
const maxJob = 16 << 20

// ErrFailed is in the error of Run when a step failed. Any other error means
// that nothing was run.
var ErrFailed = errors.New("a step failed")

// FilesVariable is where programs that steps run find Job.Files in their
// environment.
const FilesVariable = "SOUK_PRODUCT_FILES"

// Exit codes of Tool.
const (
	ExitPassed  = 0 // all phases passed
	ExitFailed  = 1 // a step failed; the last lines of the error output say which and why
	ExitRefused = 2 // nothing was run: the job or its document is wrong
)

// Tool reads a Job as JSON from in and runs it: a tool of a machine's agent. Its
// result is one of the exit codes.
//
// Both outputs are those of the steps, whole. Beside them Tool writes lines that
// begin with "souk: ", one for each attempt and one for each step that was
// skipped to out, and one for each failure to err:
//
//	souk: build/InstallPackage (ExecuteBash) attempt 1
//	souk: build/InstallTools (ExecuteBash) skipped
//	souk: build/InstallPackage (ExecuteBash) attempt 1 failed: exit code 100
//	souk: failed: build/InstallPackage (ExecuteBash): exit code 100
//
// The last form closes the error output when the exit code is ExitFailed.
func Tool(ctx context.Context, _ []string, in io.Reader, out, err io.Writer) int {
	var job Job
	decoder := json.NewDecoder(io.LimitReader(in, maxJob))
	decoder.DisallowUnknownFields()
	if fault := decoder.Decode(&job); fault != nil {
		fmt.Fprintf(err, "souk: refused: reading the job: %v\n", fault)
		return ExitRefused
	}
	fault := Run(ctx, job, out, err)
	switch {
	case fault == nil:
		return ExitPassed
	case errors.Is(fault, ErrFailed):
		return ExitFailed
	}
	for line := range strings.Lines(fault.Error()) {
		fmt.Fprintf(err, "souk: refused: %s\n", strings.TrimSuffix(line, "\n"))
	}
	return ExitRefused
}

// Run runs a job in this process and its machine. The process becomes the parent
// of all that its steps leave behind, so that a time-out ends them too: it should
// have nothing else to do, and no children of its own.
func Run(ctx context.Context, job Job, out, err io.Writer) error {
	doc, fault := Parse(job.Document)
	if fault != nil {
		return fault
	}
	w := &work{
		doc: doc, name: job.Name, files: job.Files, variables: map[string]string{},
		out: &lineWriter{w: out}, err: &lineWriter{w: err}, done: map[*Step]*outcome{},
	}
	for _, p := range doc.Parameters {
		value, ok := job.Parameters[p.Name]
		switch {
		case ok:
			w.variables[p.Name] = value
		case p.Default != nil:
			w.variables[p.Name] = *p.Default
		default:
			return fmt.Errorf("parameter [%s] has no value", p.Name)
		}
		if len(w.variables[p.Name]) > maxText || strings.ContainsRune(w.variables[p.Name], 0) {
			return fmt.Errorf("parameter [%s] is longer than %d bytes or has a zero byte", p.Name, maxText)
		}
	}
	for _, c := range doc.Constants {
		w.variables[c.Name] = c.Value
	}
	if fault := w.processes.adopt(); fault != nil {
		return fault
	}
	defer w.processes.release()
	return w.run(ctx, job.Phases)
}

// work is a document that runs.
type work struct {
	doc       *Document
	name      string
	files     string
	variables map[string]string
	out, err  *lineWriter
	done      map[*Step]*outcome
	processes processes
	title     string // of the step that runs, for lines about it
	saidShell bool   // that there is no bash
}

// outcome of a step that ran, or will: what later steps may refer to.
type outcome struct {
	inputs  map[*value]string // that were resolved
	outputs []string          // nil until the step passed
	passed  bool
}

// failure of a step, for the last lines.
type failure struct{ title, text string }

func (w *work) run(ctx context.Context, phases []string) error {
	var failed []failure
	for i := range w.doc.Phases {
		phase := &w.doc.Phases[i]
		if len(phases) > 0 && !slices.Contains(phases, phase.Name) {
			continue
		}
		for j := range phase.Steps {
			step := &phase.Steps[j]
			w.title = fmt.Sprintf("%s/%s (%s)", phase.Name, step.Name, step.Action)
			fault := w.step(ctx, step)
			if fault == nil {
				continue
			}
			if step.OnFailure == Ignore && ctx.Err() == nil {
				w.say(w.err, "%s failed and is ignored: %s", w.title, oneLine(fault))
				continue
			}
			failed = append(failed, failure{title: w.title, text: oneLine(fault)})
			if step.OnFailure == Abort || ctx.Err() != nil {
				return w.close(failed)
			}
		}
	}
	return w.close(failed)
}

// close tells what failed.
func (w *work) close(failed []failure) error {
	if len(failed) == 0 {
		return nil
	}
	for _, f := range failed {
		w.say(w.err, "failed: %s: %s", f.title, f.text)
	}
	return fmt.Errorf("%s: %s: %w", failed[0].title, failed[0].text, ErrFailed)
}

// step runs one with all its attempts.
func (w *work) step(ctx context.Context, s *Step) error {
	w.done[s] = &outcome{inputs: map[*value]string{}}
	if s.when != nil {
		decided, err := w.decide(s)
		if err != nil {
			return fmt.Errorf("deciding whether it runs: %w", err)
		}
		switch decided {
		case decideSkip:
			w.say(w.out, "%s skipped", w.title)
			return nil
		case decideAbort:
			return errors.New("its condition decides Abort")
		}
	}
	for attempt := 1; ; attempt++ {
		w.say(w.out, "%s attempt %d", w.title, attempt)
		outputs, err := w.attempt(ctx, s)
		if err == nil {
			w.done[s].outputs, w.done[s].passed = outputs, true
			return nil
		}
		if attempt == s.MaxAttempts || ctx.Err() != nil {
			return err
		}
		w.say(w.err, "%s attempt %d failed: %s", w.title, attempt, oneLine(err))
	}
}

// errTimeout is the cause of a context that ended with a step's time.
var errTimeout = errors.New("time-out")

// attempt runs all iterations of a step once. The outputs of iterations are
// joined in lines.
func (w *work) attempt(ctx context.Context, s *Step) ([]string, error) {
	if s.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.Timeout, errTimeout)
		defer cancel()
	}
	var outputs []string
	err := func() error {
		if s.loop == nil {
			var err error
			outputs, err = w.once(ctx, s, nil)
			return err
		}
		values, err := s.loop.values(func(v *value) (string, error) { return w.resolve(v, s, nil) })
		if err != nil {
			return err
		}
		for i, v := range values {
			one, err := w.once(ctx, s, &iteration{loop: s.loop.name, index: i, value: v})
			if err != nil {
				return fmt.Errorf("iteration %d: %w", i, err)
			}
			for k, output := range one {
				if i == 0 {
					outputs = append(outputs, output)
				} else if outputs[k] += "\n" + output; len(outputs[k]) > maxCapture {
					outputs[k] = keep(outputs[k])
				}
			}
		}
		return nil
	}()
	if err != nil && ctx.Err() != nil {
		if errors.Is(context.Cause(ctx), errTimeout) {
			return nil, fmt.Errorf("it took longer than timeoutSeconds, %d", int(s.Timeout.Seconds()))
		}
		return nil, fmt.Errorf("it was ended: %w", context.Cause(ctx))
	}
	return outputs, err
}

// iteration of a loop.
type iteration struct {
	loop  string // its name
	index int
	value string
}

// once does the action of a step, for all of its inputs.
func (w *work) once(ctx context.Context, s *Step, it *iteration) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.act.asserts {
		holds, err := w.holds(s.assert, func(v *value) (string, error) { return w.resolve(v, s, it) })
		if err != nil {
			return nil, err
		}
		if !holds {
			return nil, fmt.Errorf("the assertion does not hold: %s", s.assert)
		}
		return nil, nil
	}
	mappings := []*value{s.inputs}
	if s.act.each {
		mappings = s.inputs.items
	}
	var outputs []string
	for i, m := range mappings {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		in, err := w.input(m, s, it)
		if err != nil {
			return nil, err
		}
		output, err := s.act.do(ctx, w, in)
		if err != nil {
			if s.act.each && len(mappings) > 1 {
				return nil, fmt.Errorf("inputs[%d]: %w", i, err)
			}
			return nil, err
		}
		outputs = append(outputs, output)
	}
	if s.act.joined {
		outputs = []string{strings.Join(outputs, "\n")}
	}
	return outputs, nil
}

// input replaces the references of one mapping of inputs.
func (w *work) input(m *value, s *Step, it *iteration) (input, error) {
	in := input{texts: map[string]string{}, lists: map[string][]string{}}
	for _, f := range s.act.fields {
		v := m.get(f.name)
		switch {
		case v == nil:
		case f.kind == texts:
			for _, item := range v.items {
				text, err := w.resolve(item, s, it)
				if err != nil {
					return in, err
				}
				in.lists[f.name] = append(in.lists[f.name], text)
			}
		default:
			text, err := w.resolve(v, s, it)
			if err != nil {
				return in, err
			}
			if f.check != nil {
				if wrong := f.check(text); wrong != "" {
					return in, fmt.Errorf("%s: %s", f.name, wrong)
				}
			}
			in.texts[f.name] = text
		}
	}
	return in, nil
}

// resolve replaces the references of a value of step s. What does not change
// with iterations is kept, for later steps and for speed.
func (w *work) resolve(v *value, s *Step, it *iteration) (string, error) {
	kept := w.done[s]
	if it == nil && kept != nil {
		if text, ok := kept.inputs[v]; ok {
			return text, nil
		}
	}
	text, err := replace(v.text, func(r reference) (string, error) { return w.lookUp(r, s, it) })
	if err == nil && strings.ContainsRune(text, 0) {
		err = errors.New("a text with its references replaced has a zero byte")
	}
	if err == nil && it == nil && kept != nil {
		kept.inputs[v] = text
	}
	return text, err
}

// lookUp returns what a reference of step s means. Parse has seen that there is
// such a thing.
func (w *work) lookUp(r reference, s *Step, it *iteration) (string, error) {
	switch {
	case len(r.parts) == 1:
		return w.variables[r.text], nil
	case r.text == "souk.files":
		if w.files == "" {
			return "", errors.New("the component has no files, and refers to {{ souk.files }}")
		}
		return w.files, nil
	case len(r.parts) == 2:
		if it == nil {
			return "", fmt.Errorf("reference [%s] belongs to the iterations of another step", r.text)
		}
		if r.parts[1].name == "index" {
			return fmt.Sprint(it.index), nil
		}
		return it.value, nil
	}
	_, phase := w.doc.find(r.parts[0].name)
	_, step := phase.find(r.parts[1].name)
	if r.parts[2].name == "inputs" {
		if w.done[step] == nil { // its phase was not asked for
			w.done[step] = &outcome{inputs: map[*value]string{}}
		}
		return w.resolve(walk(step.inputs, r.parts[2:]), step, nil)
	}
	index, _, _ := r.output()
	done := w.done[step]
	if done == nil || !done.passed {
		return "", fmt.Errorf("reference [%s]: that step did not run, or failed, and has no outputs", r.text)
	}
	if index >= len(done.outputs) { // a loop without iterations
		return "", nil
	}
	return done.outputs[index], nil
}

func (w *work) say(to *lineWriter, format string, args ...any) {
	to.line("souk: " + fmt.Sprintf(format, args...))
}

// oneLine is an error for a line of the log.
func oneLine(err error) string { return cut(err.Error(), 500) }

// Package document is the language in which installers of products are written:
// the component documents of EC2 Image Builder (AWSTOE), schema version 1.0.
// Parse reads one and finds all that is wrong with it, with lines and columns;
// Run does what it says, in the machine in which it is called; Tool is Run as a
// tool of the machine's agent.
//
// The package knows nothing of records of components, of builds and of machines.
// It trusts no document: whatever one says happens inside of a machine that
// holds strangers, and reading one costs little whatever it contains.
//
// # References
//
// Texts in the inputs of a step, in its loop and in its condition may have
// references, which are replaced before the step runs:
//
//	{{ NAME }}                              a parameter or a constant
//	{{ PHASE.STEP.inputs[0].source }}       an input of an earlier step
//	{{ PHASE.STEP.outputs.stdout }}         an output of an earlier step
//	{{ loop.index }} {{ loop.value }}       of the step's own loop; its name may stand for loop
//	{{ souk.files }}                        the folder with the component's files
//
// The last is Souk's own. What stands in double braces and has another form,
// such as {{ .Name }} of a template, is text like any other.
//
// The pages: https://docs.aws.amazon.com/imagebuilder/latest/userguide/toe-use-documents.html
// and its neighbours toe-action-modules, toe-user-defined-variables,
// toe-looping-constructs, toe-conditional-constructs, toe-comparison-operators
// and toe-logical-operators.
package document

import (
	"fmt"
	"strings"
	"time"
)

// Limits of a document. AWS has the first only, as 16,000 characters of the
// member data of CreateComponent, which the service checks.
const (
	MaxSize       = 64 << 10 // bytes
	maxNodes      = 20_000   // values, each alias counted as all that it stands for
	maxDepth      = 24       // of values in one another
	maxPhases     = 20
	maxSteps      = 200 // of all phases
	maxVariables  = 200 // parameters and constants
	maxAttempts   = 100
	maxIterations = 10_000 // of a loop
	maxProblems   = 50     // that are told
	maxLogical    = 4      // and, or and not in one another: toe-conditional-constructs
)

// DefaultTimeout is that of a step that says nothing.
const DefaultTimeout = 7200 * time.Second

// A Document that Parse found nothing wrong with.
type Document struct {
	Name        string
	Description string
	Parameters  []Parameter
	Constants   []Constant
	Phases      []Phase // in the order in which they run
}

// Parameter is a variable that whoever runs the document may set.
type Parameter struct {
	Name        string
	Default     *string // nil: it must be set
	Description string
}

// Constant is a variable that nobody can set.
type Constant struct{ Name, Value string }

// Phase is a list of steps with a name: build, validate, test or another.
type Phase struct {
	Name  string
	Steps []Step
}

// Step is one piece of work.
type Step struct {
	Name        string
	Action      string
	Timeout     time.Duration // of an attempt with all iterations of its loop; 0: none
	OnFailure   OnFailure
	MaxAttempts int

	act    *action
	inputs *value
	loop   *loop
	when   *conditional
	assert *condition // of Assert
}

// OnFailure says what follows when a step failed with its last attempt.
type OnFailure string

// What may follow.
const (
	Abort    OnFailure = "Abort"    // nothing more runs; the document failed
	Continue OnFailure = "Continue" // the next step runs; the document failed
	Ignore   OnFailure = "Ignore"   // the next step runs; the document did not fail for that
)

// Type is what EC2 Image Builder calls a component of this document: TEST where
// test is its only phase, else BUILD.
func (d *Document) Type() string {
	if len(d.Phases) == 1 && d.Phases[0].Name == "test" {
		return "TEST"
	}
	return "BUILD"
}

// Problem is one thing that is wrong with a document.
type Problem struct {
	Line, Column int    // from 1; 0: of no place
	Path         string // such as phases[0].steps[2].inputs; "" for the whole document
	Text         string
}

// String is such as "line 7, column 3: phases[0].steps[0]: ...".
func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d, column %d: ", p.Line, p.Column)
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	return b.String() + p.Text
}

// Problems is the error of Parse: all that is wrong, in the order of the lines,
// up to 50.
type Problems []Problem

// Error has a line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

package chart

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A chart's templates are a program. Some take all memory or all time
// ({{ repeat 1000000000 "x" }}), and the engine has no limits of its own. So a
// server renders in a child process that is given little of both.
const (
	childMemory = 768 << 20 // bytes that it may map to write on
	childCPU    = 20        // seconds
	childWall   = 2 * time.Minute
	maxAnswer   = 64 << 20 // bytes that it may answer
)

// Renderer loads charts. The zero value does it in this process.
type Renderer struct {
	// Command is a program and its arguments that call Main. Nil loads in this
	// process, without limits of time and memory: for charts that are trusted.
	Command []string
}

// answer is what the child writes.
type answer struct {
	Chart   Chart
	Invalid string
}

// Load reads a packed chart. An *Invalid means that the chart can't be used;
// any other error that we failed.
func (r Renderer) Load(ctx context.Context, archive []byte) (Chart, error) {
	if len(r.Command) == 0 {
		return load(archive)
	}
	ctx, cancel := context.WithTimeout(ctx, childWall)
	defer cancel()
	child := exec.CommandContext(ctx, r.Command[0], r.Command[1:]...)
	// Nothing of ours is in its environment, and no folder is its own.
	child.Env = []string{"GOMAXPROCS=1", "GOTRACEBACK=none"}
	child.Dir = "/"
	child.Stdin = bytes.NewReader(archive)
	var out, complaint limited
	out.left, complaint.left = maxAnswer, 4096
	child.Stdout, child.Stderr = &out, &complaint
	child.WaitDelay = time.Second
	err := child.Run()
	if ctx.Err() != nil {
		return Chart{}, fmt.Errorf("rendering a chart: %w", ctx.Err())
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		text := complaint.String()
		if strings.Contains(text, "out of memory") || strings.Contains(text, "cannot allocate memory") || strings.Contains(text, "stack overflow") ||
			strings.Contains(text, "stack exceeds") || exit.ExitCode() == -1 { // ended by a signal: SIGXCPU, SIGKILL
			return Chart{}, invalid("its templates take too much memory or time")
		}
		return Chart{}, fmt.Errorf("rendering a chart: %w: %s", err, text)
	}
	if err != nil {
		return Chart{}, fmt.Errorf("rendering a chart: %w", err)
	}
	if out.left < 0 {
		return Chart{}, invalid("it has too many values and images")
	}
	var a answer
	err = json.Unmarshal(out.Bytes(), &a)
	if err != nil {
		return Chart{}, fmt.Errorf("rendering a chart: reading the answer: %w", err)
	}
	if a.Invalid != "" {
		return Chart{}, &Invalid{a.Invalid}
	}
	return a.Chart, nil
}

// limited keeps the first bytes that are written to it.
type limited struct {
	bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := len(p)
	if n > l.left {
		p = p[:max(l.left, 0)]
	}
	l.left -= n
	l.Buffer.Write(p)
	return n, nil
}

// Main is the child: it takes the limits upon itself, reads a packed chart
// from in and writes the answer to out. The program that is Renderer.Command
// calls it and exits with status 1 if it returns an error.
func Main(in io.Reader, out io.Writer) error {
	for _, l := range []struct {
		resource int
		limit    uint64
	}{
		{unix.RLIMIT_DATA, childMemory},
		{unix.RLIMIT_CPU, childCPU},
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_FSIZE, 0}, // its output is a pipe
	} {
		err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.limit, Max: l.limit})
		if err != nil {
			return fmt.Errorf("limiting the chart renderer: %w", err)
		}
	}
	archive, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("reading the chart: %w", err)
	}
	var a answer
	a.Chart, err = load(archive)
	var wrong *Invalid
	if errors.As(err, &wrong) {
		a.Invalid = wrong.Reason
	} else if err != nil {
		return err
	}
	err = json.NewEncoder(out).Encode(a)
	if err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	return nil
}

// Argument is the only argument with which a program should call Main, by
// Child, before it does anything else.
const Argument = "render-chart"

// Child runs Main and exits if the process was started as a renderer: with
// Argument alone. It is the first line of a program whose own path and
// Argument are a Renderer's Command.
func Child() {
	if len(os.Args) != 2 || os.Args[1] != Argument {
		return
	}
	err := Main(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

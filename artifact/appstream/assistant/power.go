package assistant

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"souk/artifact/machine/agent"
)

// RebootTool is the command reboot: the machine is stopped and started again. It
// is an agent.Tool.
func RebootTool(ctx context.Context, args []string, _ io.Reader, out, errs io.Writer) int {
	return power{Reboot, "Restarts the image builder.", agent.Knock, os.Geteuid() == 0}.run(ctx, args, out, errs)
}

// PowerOffTool is the command poweroff: the image builder is stopped. It is an
// agent.Tool.
func PowerOffTool(ctx context.Context, args []string, _ io.Reader, out, errs io.Writer) int {
	return power{PowerOff, "Stops the image builder.", agent.Knock, os.Geteuid() == 0}.run(ctx, args, out, errs)
}

// power is one run of one of the two commands.
type power struct {
	operation     Operation
	about         string
	knock         Knock
	administrator bool
}

// run asks for the operation. -f is understood, as the command of that name has
// it elsewhere: there is nothing here that it would leave out.
func (p power) run(ctx context.Context, args []string, out, errs io.Writer) int {
	if slices.Contains(args, "--help") {
		fmt.Fprintf(out, "%s [-f]\n\n%s\n", p.operation, p.about)
		return 0
	}
	for _, a := range args {
		if a != "-f" && a != "--force" {
			fmt.Fprintf(errs, "%s: unknown option: %s\n", p.operation, a)
			return 1
		}
	}
	if !p.administrator {
		fmt.Fprintf(errs, "%s: only root can do that\n", p.operation)
		return 1
	}
	a, hold, err := ask(ctx, p.knock, Request{Operation: p.operation})
	if err != nil {
		fmt.Fprintf(errs, "%s: %v\n", p.operation, err)
		return 1
	}
	defer hold.Close()
	if a.Status != OK {
		fmt.Fprintf(errs, "%s: %s\n", p.operation, a.Message)
		return 1
	}
	return 0
}

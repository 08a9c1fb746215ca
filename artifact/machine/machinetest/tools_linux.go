package machinetest

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"

	"souk/artifact/machine"
	"souk/artifact/machine/agent"
	"souk/artifact/machine/files"
)

// Names of tools.
const (
	tell  = "tell"  // tells how it was run
	knock = "knock" // sends its input to the host, and writes the answer
)

// Tools are those that the agents of machines under test have.
func Tools() map[string]agent.Tool {
	return map[string]agent.Tool{machine.FilesTool: files.Tool, tell: tellTool, knock: knockTool}
}

// tellTool writes who runs it with which arguments, where, a variable, and its input.
// It ends with the number of its arguments.
func tellTool(_ context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	dir, _ := os.Getwd()
	fmt.Fprintf(out, "%d %q\n%s\n%s\n", os.Getuid(), args, dir, os.Getenv("TOLD"))
	io.Copy(out, in) //nolint:errcheck // what is missing is seen
	io.WriteString(errs, "told\n")
	return len(args)
}

// knockTool knocks, and carries its input and the answer.
func knockTool(ctx context.Context, _ []string, in io.Reader, out, errs io.Writer) int {
	c, err := agent.Knock(ctx)
	if err != nil {
		fmt.Fprintln(errs, err)
		return 1
	}
	defer c.Close()
	go func() {
		io.Copy(c, in)                 //nolint:errcheck
		c.(*net.UnixConn).CloseWrite() //nolint:errcheck
	}()
	_, err = io.Copy(out, c)
	if err != nil {
		fmt.Fprintln(errs, err)
		return 1
	}
	return 0
}

// doors are the host's end of doors: it tells the machine's id, and says again what
// is said until the word "bye".
type doors struct{ open, most atomic.Int64 }

func (d *doors) serve(ctx context.Context, id string, c net.Conn) {
	n := d.open.Add(1)
	defer d.open.Add(-1)
	for most := d.most.Load(); n > most && !d.most.CompareAndSwap(most, n); most = d.most.Load() {
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	_, err := fmt.Fprintf(c, "machine %s\n", id)
	buf, said := make([]byte, 4096), ""
	for err == nil && !strings.Contains(said, "bye") {
		var n int
		n, err = c.Read(buf)
		said = string(buf[:n])
		if n > 0 {
			_, err = c.Write(buf[:n])
		}
	}
}

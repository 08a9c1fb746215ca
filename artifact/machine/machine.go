// Package machine is a place to run what strangers wrote in: the installer of a
// product, or what somebody does by hand in an image builder. A machine is made
// of the layers of an image and one writable layer above them; what was written
// there becomes a layer of a new image.
//
// The package says what a provider of machines is, and no more. Its sandbox is
// artifact/machine/sandbox; what every provider must do and hold is checked by
// artifact/machine/machinetest. Nothing here knows of builds and of products.
package machine

import (
	"context"
	"errors"
	"io"
	"time"

	"souk/artifact/images"
)

// Errors of a Provider. Any other error is a fault of ours or of the host, and
// the work may be tried again.
var (
	// ErrNotFound: there is no machine of that id.
	ErrNotFound = errors.New("no such machine")
	// ErrState: the machine is running and must not, or the other way round.
	ErrState = errors.New("machine is not in a state for that")
	// ErrUnsupported: this provider can't do that on this host; the text says
	// what is missing.
	ErrUnsupported = errors.New("not possible with this provider of machines")
	// ErrNoAgent: the machine was started and its agent does not answer.
	ErrNoAgent = errors.New("the machine's agent does not answer")
	// ErrBadImage: the layers are no root file system that can be started. It is
	// the image's fault.
	ErrBadImage = errors.New("image can't be started")
	// ErrDiskFull: what the machine wrote leaves no room on its disk to start it
	// again. A program that runs is told by its kernel (ENOSPC): see Exit.DiskFull.
	ErrDiskFull = errors.New("the machine's disk is full")
	// ErrBadTree: what the machine wrote can't be a layer. It is the fault of what
	// ran in it. Behind the words of this error and a colon the text names the file
	// and says why.
	ErrBadTree = errors.New("what the machine wrote can't be a layer")
)

// Provider makes machines. Its methods may be called concurrently, also for one
// machine: then one waits for the other. The disk of a machine outlives the
// process that made it: List finds it again after a crash.
type Provider interface {
	// Name is such as "sandbox".
	Name() string
	// Probe runs a program that does nothing in a machine, and says what this
	// provider holds on this host. ErrUnsupported, with the reason, if it can't
	// run anything.
	Probe(ctx context.Context) (Capabilities, error)
	// Create prepares the disk of a machine. Doing it again with the same id is
	// no error while the machine has not been started.
	Create(ctx context.Context, id string, s Spec) error
	// Reach says anew what a machine may reach (Spec.Egress), from its next start on.
	// ErrState if it is running.
	Reach(ctx context.Context, id string, egress []string) error
	// Start starts a machine and returns when its agent has answered. ErrNoAgent,
	// ErrDiskFull.
	Start(ctx context.Context, id string) error
	// Exec runs a program in a running machine until it ends, and all output
	// that it wrote was handed over. When ctx ends the program is killed with
	// all that it started (Capabilities.Orphans), and the error is the cause of ctx.
	// A program that left something in the background which holds its output is not waited for
	// longer than a second.
	Exec(ctx context.Context, id string, c Cmd) (Exit, error)
	// Stop ends all processes of a machine. Its disk stays. It is no error if
	// the machine is not running.
	Stop(ctx context.Context, id string) error
	// Wait returns nil when a machine runs no more: it was stopped or deleted, or it
	// ended by itself, also if that was before the call. ErrState if it was not
	// started since it was last stopped.
	Wait(ctx context.Context, id string) error
	// Diff writes what the machine changed as the tar archive of an OCI layer,
	// not compressed. ErrState while it runs; ErrBadTree.
	Diff(ctx context.Context, id string, w io.Writer) error
	// Delete removes a machine and its disk, running or not. It is no error if
	// there is none.
	Delete(ctx context.Context, id string) error
	// List returns all machines on this host, in no order; those that an earlier
	// process left behind too, none of which is running.
	List(ctx context.Context) ([]Machine, error)
	// Close stops all machines. Their disks stay.
	Close() error
}

// Spec says what a machine is made of.
type Spec struct {
	// Layers are those of the image, the lowest first. They are read while
	// Create works, if the provider has not got them.
	Layers []images.Layer
	// Env is what every program in the machine finds in its environment,
	// NAME=value, beside PATH, HOME and TERM.
	Env []string
	// Hostname is "" for the provider's choice.
	Hostname string

	Memory int64 // bytes; 0: DefaultMemory
	Disk   int64 // bytes that the writable layer may have; 0: DefaultDisk
	CPU    int   // thousandths of a processor; 0: DefaultCPU
	Pids   int   // processes and threads; 0: DefaultPids

	// Egress are the places that the machine may reach through the proxy that
	// its environment names (HTTP_PROXY, HTTPS_PROXY and their small spellings):
	// HOST, HOST:PORT, or *.DOMAIN of either. None: it has no network.
	Egress []string
	// Files is a folder of the host whose content stands in the machine at
	// FilesPath, for reading alone. "" for none.
	Files string
	// Sudo lets programs of the machine gain rights by being run, as sudo and su do
	// for its users. False: they can't (no_new_privs). Its root is no root of the
	// host either way.
	Sudo bool
	// Kept machines outlive a loss of power: what their programs sync is on the
	// host's disk, and all that they wrote is when Stop returns. Other machines are
	// faster, and their disk is whole as long as the host runs.
	Kept bool
	// Commands are names of tools of the machine's agent that its programs find as
	// programs, in a folder (CommandsPath) that stands before all others in their
	// PATH. A command runs with the rights of who calls it. Nobody in the machine can
	// change the folder, and it is no part of what Diff writes.
	Commands []string
	// Door lets programs of the machine's root reach the host, where the provider's
	// door is served: see artifact/machine/agent, Knock. The host trusts nothing of
	// what comes in there.
	Door bool
	// Purpose says whose the machine is, such as a build's id. List returns it.
	Purpose string
}

// FilesPath is where a machine finds Spec.Files.
const FilesPath = "/run/product"

// CommandsPath is the folder of Spec.Commands in a machine.
const CommandsPath = "/run/souk/bin"

// FilesTool is the tool of agents that carries files in and out of a machine, as tar
// archives: its arguments are "get" PATH, which writes one, or "put" PATH, which reads
// one. See artifact/machine/files.
const FilesTool = "files"

// What a machine has where its Spec says nothing.
const (
	DefaultMemory = 1 << 30
	DefaultDisk   = 8 << 30
	DefaultCPU    = 1000
	DefaultPids   = 512
)

// Cmd is a program that is to run in a machine.
type Cmd struct {
	// Args are the program and its arguments. A name without a slash is looked
	// up in the machine's PATH.
	Args []string
	// Tool runs a tool of the machine's agent named Args[0], instead of a
	// program of the machine: see artifact/machine/agent.
	Tool bool
	Env  []string // beside the machine's own; later ones win
	Dir  string   // "" is /
	User string   // NAME, UID or UID:GID, as the machine's /etc/passwd has it; "" is root

	Stdin          io.Reader // nil: empty
	Stdout, Stderr io.Writer // nil: thrown away. Both of a terminal arrive in Stdout
	// Terminal gives the program one; nil: it has pipes. When the context of Exec ends
	// the terminal is hung up, and the program killed half a second later.
	Terminal *Terminal
}

// Terminal is the terminal of a program.
type Terminal struct {
	Term   string // of the environment; "" is xterm
	Size   Size
	Resize <-chan Size // nil: it keeps its size
}

// Size of a terminal in characters.
type Size struct{ Rows, Columns uint16 }

// Exit says how a program ended.
type Exit struct {
	Code   int // 0 to 255; 128 and the number of the signal that ended it
	Signal int // 0: none
	// OutOfMemory: the machine's memory ran out while the program ran and
	// something of it was killed for that, whatever Code says.
	OutOfMemory bool
	// DiskFull: the program failed, and the machine's disk was full then. Where
	// Capabilities.Disk is false nobody knows.
	DiskFull bool
}

// State of a machine.
type State string

// The states of a machine.
const (
	Stopped State = "stopped"
	Running State = "running"
)

// Machine is what List tells of one.
type Machine struct {
	ID      string
	Purpose string
	State   State
	Created time.Time
	Disk    int64 // bytes of its writable layer
}

// Capabilities is what a provider holds on this host. What is false is not held,
// and who starts a server is told.
type Capabilities struct {
	// Isolation is "namespaces" (one kernel with the host) or "vm".
	Isolation string
	// Rootless: the provider runs as an ordinary user.
	Rootless bool
	// FullUIDs: users of a machine are not users of the host, and all 65,536 are there.
	FullUIDs bool
	// Limits of Spec that hold.
	Memory, Pids, CPU, Disk bool
	// Orphans: what Exec kills at the end of its context is all that the program
	// started. False: what left the program's session lives until the machine stops.
	Orphans bool
	// Egress: Spec.Egress can be used.
	Egress bool
	// Seccomp: system calls are on an allow-list.
	Seccomp bool
	// Missing says in words what is not held and why, a sentence each.
	Missing []string
}

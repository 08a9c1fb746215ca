// Package session carries the input and output of a program, or of a terminal,
// between a person's command line and a machine of an image builder: both ends.
// A session is one connection of HTTP/1.1 that was upgraded, so that it works
// wherever the API does. It runs one program.
//
// Who may have a session is decided by whom it is opened for, once: Open returns
// a ticket, sealed and good for half a minute and one session. Sessions serves
// those who come with one, here or by the node that has the machine.
//
// The package knows neither image builders nor how machines are made: Config
// says where a machine is and enters it. It does not read what passes through.
package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode"

	"souk/artifact/machine"
)

// Kind says what a session is for.
type Kind string

// The kinds of sessions.
const (
	// Terminal: a terminal with the shell of a user.
	Terminal Kind = "TERMINAL"
	// Command: one program, with a terminal or with pipes.
	Command Kind = "COMMAND"
	// Files: files go in or come out, as a tar archive.
	Files Kind = "FILES"
)

// The two things that a session of kind Files does: Start.Args is one of them and
// a path in the machine.
const (
	Get = "get" // the tar archive of the path is the program's output
	Put = "put" // a tar archive is the program's input
)

// Protocol is what the connection is upgraded to.
const Protocol = "souk-session/1"

// Path is where sessions are served.
const Path = "/sessions/image-builder"

// Headers of the request that begins a session.
const (
	// TicketHeader has the ticket: in a URL it would stand in logs.
	TicketHeader = "Souk-Session-Ticket"
	// nodeHeader has the id of the node to which another node passes a session on.
	nodeHeader = "Souk-Session-Node"
)

// Size and Exit are a machine's; clients need nothing else of that room.
type (
	Size = machine.Size
	Exit = machine.Exit
)

// Start is what a client asks for, once it is let in. The ticket said already
// which machine it is, as whom, and which program.
type Start struct {
	// Args are the program and its arguments. None for a Terminal; see Get for Files.
	Args []string `json:"args,omitempty"`
	Env  []string `json:"env,omitempty"` // NAME=value
	Dir  string   `json:"dir,omitempty"` // "" is the machine's choice
	// Terminal gives the program one. Resize is not sent: see Streams.
	Terminal bool         `json:"terminal,omitempty"`
	Term     string       `json:"term,omitempty"` // of the environment, such as xterm-256color
	Size     machine.Size `json:"size,omitzero"`
}

// parseStart reads a start message, which is hostile.
func parseStart(data []byte) (Start, error) {
	var s Start
	if len(data) > maxStart {
		return s, fmt.Errorf("program and environment have %d bytes, and %d are the most", len(data), maxStart)
	}
	err := json.Unmarshal(data, &s)
	if err != nil {
		return s, errors.New("the start message can't be read")
	}
	for _, a := range s.Args {
		if strings.ContainsRune(a, 0) {
			return s, errors.New("an argument has a byte that is zero")
		}
	}
	for _, v := range s.Env {
		name, _, ok := strings.Cut(v, "=")
		if !ok || name == "" || strings.ContainsRune(v, 0) {
			return s, fmt.Errorf("%q is no NAME=value of an environment", printable(name))
		}
	}
	if s.Dir != "" && !path.IsAbs(s.Dir) || strings.ContainsRune(s.Dir, 0) {
		return s, fmt.Errorf("the folder %q is not absolute", printable(s.Dir))
	}
	if len(s.Term) > 64 || strings.Trim(s.Term, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-+._") != "" {
		return s, errors.New("the name of the terminal can't be one")
	}
	return s, nil
}

// cmd is what a machine is asked to run. The ticket bounds what may be asked for.
func (s Start) cmd(t Ticket) (machine.Cmd, error) {
	c := machine.Cmd{Args: s.Args, Env: s.Env, Dir: s.Dir, User: t.User}
	if s.Terminal {
		c.Terminal = &machine.Terminal{Term: s.Term, Size: s.Size}
	}
	switch t.Kind {
	case Terminal:
		if len(s.Args) != 0 || !s.Terminal {
			return c, errors.New("the ticket is for a terminal with a shell, and for no other program")
		}
		c.Args = shell(t.User)
	case Command:
		if len(s.Args) == 0 || s.Args[0] != t.Program {
			return c, fmt.Errorf("the ticket is for the program %q alone", t.Program)
		}
	case Files:
		if len(s.Args) != 2 || s.Args[0] != Get && s.Args[0] != Put || s.Terminal || len(s.Env) != 0 || s.Dir != "" {
			return c, errors.New("the ticket is for files going in or coming out")
		}
		c.Tool, c.Args = true, []string{machine.FilesTool, s.Args[0], s.Args[1]}
	default:
		return c, errors.New("the ticket is for no known kind of session")
	}
	return c, nil
}

// theirs finds the shell of a user in /etc/passwd, and becomes it, in the user's home.
// Who has no such line, or a program that is not there, gets /bin/sh. It is no login
// shell: those read /etc/profile, which sets PATH anew, without the machine's commands.
const theirs = `user=$1 shell= home=
while IFS=: read -r name _ uid _ _ dir program; do
	if [ "$name" = "$user" ] || [ "$uid" = "$user" ]; then shell=$program home=$dir; break; fi
done </etc/passwd 2>/dev/null
[ -n "$shell" ] && [ -x "$shell" ] || shell=/bin/sh
[ -n "$home" ] && cd "$home" 2>/dev/null
export SHELL="$shell"
exec "$shell"`

// shell is the program of a terminal: the shell of a user of the machine,
// who may be given as NAME, UID, or either with a group; "" is root.
func shell(user string) []string {
	name, _, _ := strings.Cut(user, ":")
	if name == "" {
		name = "root"
	}
	return []string{"/bin/sh", "-c", theirs, "souk", name}
}

// Failure says why a session did not begin, or not end by its program's end. Its
// text is for the person who asked, and says what to do.
type Failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (f *Failure) Error() string { return f.Message }

// Codes of failures.
const (
	CodeTicket   = "TicketInvalid"   // it is no ticket of this market, or its time is over, or it was used
	CodeLimit    = "LimitExceeded"   // as many sessions are open as may be
	CodeRequest  = "RequestInvalid"  // what was asked for can't be
	CodeStopping = "ServerStopping"  // the server is being stopped
	CodeIdle     = "Idle"            // nothing was typed and nothing shown for long
	CodeMachine  = "MachineStopped"  // the machine has ended under the program
	CodeNode     = "NodeUnreachable" // the node that has the machine does not answer
	CodeInternal = "Internal"        // a fault of the server
)

// printable is a text without what a terminal would obey.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && !unicode.IsPrint(r) {
			return '.'
		}
		return r
	}, s)
}

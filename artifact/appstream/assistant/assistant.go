// Package assistant is the image assistant of an image builder: the command
// image-assistant that people and scripts run in the machine to name the
// applications of an image and to have the image made, and the two commands
// reboot and poweroff, which in a machine without an init of its own must ask
// the host.
//
// It has both ends. Tool, RebootTool and PowerOffTool run in the machine, keep
// the catalogue of applications on the machine's own disk, and knock at the door
// of the host; Serve is the host's end of a door, and trusts nothing that comes
// through it. What is done for a request is the builder's matter
// (artifact/appstream/builder).
//
// Amazon AppStream 2.0 Administration Guide, "Create Your AppStream 2.0 Image
// Programmatically by Using the Image Assistant CLI Operations".
package assistant

import (
	"context"
	"net"
)

// Operation is what a machine asks its host for.
type Operation string

// The operations that go to the host.
const (
	CreateImage Operation = "create-image"
	Reboot      Operation = "reboot"
	PowerOff    Operation = "poweroff"
)

// Request is what the machine asks its host for. It comes from the machine's
// root, who may be anybody: Serve has checked the form of every member (sizes,
// counts, icons that are pictures), and nothing else of it.
type Request struct {
	Operation Operation

	// The members of create-image.
	Name        string            `json:",omitzero"`
	DisplayName string            `json:",omitzero"`
	Description string            `json:",omitzero"`
	Tags        map[string]string `json:",omitzero"`
	// UseLatestAgentVersion: the image is not pinned to the agent that made it.
	UseLatestAgentVersion bool `json:",omitzero"`
	// DryRun: everything is checked, and nothing is done.
	DryRun       bool          `json:",omitzero"`
	Applications []Application `json:",omitzero"`
}

// Application is an entry of the catalogue of applications.
//
// AppStream API Reference, "Application".
type Application struct {
	Name             string            // unique in the catalogue
	DisplayName      string            // never empty
	LaunchPath       string            // absolute
	LaunchParameters string            `json:",omitzero"`
	WorkingDirectory string            `json:",omitzero"`
	Metadata         map[string]string `json:",omitzero"`
	// Icon is a PNG of at most 256 by 256 pixels, the default one if the
	// application has none of its own.
	Icon    []byte `json:",omitzero"`
	Enabled bool
}

// Answer is what the host says. The command prints it, and ends with its status.
type Answer struct {
	Status  int    `json:"status"`
	Message string `json:"message"`
}

// The statuses of an Answer, which are the exit codes of the command.
const (
	OK         = 0
	Refused    = 1   // the request can't be granted, and won't be if it is sent again
	Unexpected = 255 // it failed by no fault of who asked
)

// Success is the answer of what was done.
var Success = Answer{Status: OK, Message: "Success"}

// The texts that the guide gives for refusals which only the host can know.
const (
	ImageExists = "An image with the given name already exists"
	InvalidTags = "Invalid value (tags)"
)

// Handler does what a machine asks for.
type Handler func(ctx context.Context, r Request) Answer

// Knock reaches the host from inside of a machine.
type Knock func(ctx context.Context) (net.Conn, error)

// Package builder is the image builders of AppStream: machines that are made of
// an image, in which somebody installs applications, and which become a new
// image.
//
// A builder's document is its state, and the states between two others are
// work: whatever the machine has to do for one is a task document of the node
// that has the machine, written in the same commit. So what was answered is gone
// on with after a crash, on that node, and is done once: the end of a transition
// is one commit with the end of its task.
//
// What an image is is artifact/appstream/image's, what a machine can do
// artifact/machine's; networks, directories, roles and instance types are asked of
// the functions of Config.
//
// AppStream API Reference, "ImageBuilder"; Administration Guide, "Image Builder
// Actions".
package builder

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"souk/artifact/appstream/image"
	"souk/artifact/appstream/resource"
	"souk/storage/store"
)

// Kinds of the documents that the room writes.
const (
	// Kind is that of image builders; the id is ACCOUNT/REGION/NAME.
	Kind = "image-builder"
	// KindNode is that of the heartbeats of nodes; the id is the node's.
	KindNode = "image-builder-node"
	// kindTask and a node's id are the kind of that node's tasks; their ids are
	// those of the builders.
	kindTask = "image-builder-task/"
)

// State of an image builder.
type State string

// The states that are reached here (API Reference, "ImageBuilder", State).
const (
	Pending       State = "PENDING"        // its machine is being made or started
	UpdatingAgent State = "UPDATING_AGENT" // as PENDING; its agent is another than it was
	Running       State = "RUNNING"
	Stopping      State = "STOPPING"
	Stopped       State = "STOPPED"
	Rebooting     State = "REBOOTING"
	Snapshotting  State = "SNAPSHOTTING" // it becomes an image
	Deleting      State = "DELETING"
	Failed        State = "FAILED"
)

// States are all of them.
func States() []State {
	return []State{Pending, UpdatingAgent, Running, Stopping, Stopped, Rebooting, Snapshotting, Deleting, Failed}
}

// working says whether a state is one that a task ends.
func (s State) working() bool {
	return slices.Contains([]State{Pending, UpdatingAgent, Stopping, Rebooting, Snapshotting, Deleting}, s)
}

// Codes of a Reason (API Reference, "ImageBuilderStateChangeReason").
const (
	InternalError    = "INTERNAL_ERROR"
	ImageUnavailable = "IMAGE_UNAVAILABLE"
)

// Reason says why the last change of state happened, where it was not asked for.
type Reason struct {
	Code    string `json:",omitempty"` // "" where it is no error
	Message string
}

// Network is a VpcConfig.
type Network struct {
	Subnets []string `json:",omitempty"`
	Groups  []string `json:",omitempty"`
}

// Domain is a DomainJoinInfo.
type Domain struct {
	Directory string `json:",omitempty"`
	Unit      string `json:",omitempty"` // the distinguished name of an organizational unit
}

// Endpoint is an AccessEndpoint.
type Endpoint struct {
	Type string
	VPCE string `json:",omitempty"`
}

// Builder is an image builder. Nil and empty members were not given.
type Builder struct {
	Account      string
	Region       string
	Name         string
	ARN          string
	ImageARN     string
	Description  string `json:",omitempty"`
	DisplayName  string `json:",omitempty"`
	Network      *Network
	InstanceType string
	Platform     string `json:",omitempty"` // AppStream's word; "" where it has none
	Role         string `json:",omitempty"` // ARN
	State        State
	Reason       *Reason
	Created      time.Time // UTC, whole milliseconds
	Internet     bool
	Domain       *Domain
	Errors       []resource.Error `json:",omitempty"`
	Agent        string           // the version of the agent in its machine
	Endpoints    []Endpoint       `json:",omitempty"`
	Volume       int              `json:",omitempty"` // GiB; 0: it was not given
	NoIMDSv1     *bool
	Tags         resource.Tags `json:",omitempty"`

	Base     image.Image  `json:",omitzero"` // the image as it was when it was used
	Node     string       // that has its machine
	Machine  string       // the machine's id
	Step     int          // counts its transitions; each has a task of its own
	Changed  time.Time    // of its state
	Made     bool         `json:",omitempty"` // its machine has run once
	Ended    time.Time    `json:",omitzero"`  // when the machine last ended by itself
	Inside   bool         `json:",omitempty"` // the state was asked for by a program in the machine
	Snapshot *image.Image `json:",omitempty"` // in SNAPSHOTTING: what it becomes
}

// id is that of the builder's document.
func (b *Builder) id() string { return identity(b.Account, b.Region, b.Name) }

func identity(account, region, name string) string {
	return resource.Place(account, region) + "/" + name
}

func keyOf(account, region, name string) store.Key {
	return store.Key{Kind: Kind, ID: identity(account, region, name)}
}

func (b *Builder) key() store.Key { return keyOf(b.Account, b.Region, b.Name) }

// Indexes of builders.
const (
	indexAll   = "all"   // partition ACCOUNT/REGION; by name
	indexImage = "image" // partition ID of the image
	indexNode  = "node"  // partition NODE: those whose machines it has
	indexState = "state" // partition STATE
)

// write is the write of a builder that is stored as revision was. Lists return
// all of it but what is ours alone.
func (b *Builder) write(was int64) (store.Write, error) {
	body, err := json.Marshal(b)
	if err != nil {
		return store.Write{}, fmt.Errorf("encoding image builder %s: %w", b.id(), err)
	}
	short := *b
	short.Base, short.Snapshot = image.Image{}, nil
	summary, err := json.Marshal(short)
	if err != nil {
		return store.Write{}, fmt.Errorf("encoding image builder %s: %w", b.id(), err)
	}
	return store.Write{Was: was, Document: store.Document{Key: b.key(), Summary: summary, Body: body, Index: []store.Entry{
		{Index: indexAll, Partition: resource.Place(b.Account, b.Region), Sort: b.Name},
		{Index: indexImage, Partition: b.Base.ID},
		{Index: indexNode, Partition: b.Node},
		{Index: indexState, Partition: string(b.State)},
	}}}, nil
}

func decode(d store.Document) (*Builder, error) {
	b := &Builder{}
	body := d.Body
	if body == nil {
		body = d.Summary
	}
	err := json.Unmarshal(body, b)
	if err != nil {
		return nil, fmt.Errorf("decoding image builder %s: %w", d.ID, err)
	}
	return b, nil
}

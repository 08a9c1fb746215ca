// Package image is the images of AppStream: what image builders are made from
// and what they make. An image is a document with its words, its state and whom
// it is shared with, and an image in the registry, which a tag of its own holds.
// The room lists, shares, copies and deletes them, makes them of machine images
// (import), and makes machine images of them (export).
//
// What takes its time is a document that is work: it is done anew where a node
// died, and ends by one commit. The room starts no machine: who builds an image
// hands over the layer that was written, and whether one starts is asked of
// Config.Boots.
package image

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"souk/artifact/appstream/resource"
	"souk/artifact/images"
	"souk/storage/store"
)

// State of an image (AppStream API reference, "Image", State).
type State string

// The states. An image of a builder is PENDING until it is AVAILABLE or FAILED; a
// copy is COPYING before; an imported one is CREATING until its AMI was read,
// IMPORTING while it gets its bytes, VALIDATING while it is tried.
const (
	Pending    State = "PENDING"
	Available  State = "AVAILABLE"
	Failed     State = "FAILED"
	Copying    State = "COPYING"
	Deleting   State = "DELETING"
	Creating   State = "CREATING"
	Importing  State = "IMPORTING"
	Validating State = "VALIDATING"
)

// States are all of them.
func States() []State {
	return []State{Pending, Available, Failed, Copying, Deleting, Creating, Importing, Validating}
}

// Visibility is whose an image is, as whoever asks sees it.
type Visibility string

// The three (AppStream API reference, "VisibilityType").
const (
	Public  Visibility = "PUBLIC"
	Private Visibility = "PRIVATE"
	Shared  Visibility = "SHARED" // of another account, which lets the asker use it
)

// Codes of a Reason (AppStream API reference, "ImageStateChangeReason").
const (
	InternalError       = "INTERNAL_ERROR"
	BuilderNotAvailable = "IMAGE_BUILDER_NOT_AVAILABLE"
	CopyFailure         = "IMAGE_COPY_FAILURE"
	ImportFailure       = "IMAGE_IMPORT_FAILURE"
)

// Reason says why an image is in its state.
type Reason struct {
	Code    string
	Message string
}

// Types of images (AppStream API reference, "ImageType").
const (
	Native = "NATIVE" // provided by the market, and what was made of those
	Custom = "CUSTOM" // imported by an account, and what was made of those
)

// Permissions say what an account may do with an image that is shared with it.
type Permissions struct {
	AllowFleet        bool
	AllowImageBuilder bool
}

// Application is one of the applications of an image (AppStream API reference,
// "Application").
type Application struct {
	Name             string
	DisplayName      string            `json:",omitempty"`
	Description      string            `json:",omitempty"`
	LaunchPath       string            // absolute, in the image
	LaunchParameters string            `json:",omitempty"`
	WorkingDirectory string            `json:",omitempty"`
	Metadata         map[string]string `json:",omitempty"`
	Enabled          bool
	Created          time.Time
	Icon             []byte `json:"-"`          // of a Beginning: the picture; it is kept as a blob
	IconBlob         string `json:",omitempty"` // its name; "" if there is none
}

// Image is an image. An account of "" is the market: a public image, which is
// seen in every region, with the asker's region in its ARN.
type Image struct {
	ID      string // img- and 17 hexadecimal digits: of this image and no later one of its name
	Name    string
	Account string // "": public
	Owner   string // whose repository has its bytes, and who may delete it
	Region  string // where it is; of a public image where the asker is
	ARN     string `json:"-"`

	BaseARN      string `json:",omitempty"` // of the image that it was made from
	DisplayName  string `json:",omitempty"`
	Description  string `json:",omitempty"`
	State        State
	Reason       *Reason          `json:",omitempty"`
	Visibility   Visibility       `json:"-"` // for the asker
	Platform     string           `json:",omitempty"`
	OS           images.OSRelease `json:",omitzero"`
	Applications []Application    `json:",omitempty"`
	Created      time.Time        // UTC, whole milliseconds
	BaseReleased time.Time        `json:",omitzero"`
	AgentVersion string           `json:",omitempty"` // "": always the latest
	BuilderName  string           `json:",omitempty"`
	Type         string           // Native or Custom
	Tags         resource.Tags    `json:",omitempty"`
	Errors       []resource.Error `json:",omitempty"`
	Codes        []string         `json:",omitempty"` // product codes of what was installed in it

	Place        images.Place `json:",omitzero"` // its bytes, once there are any
	Architecture string       `json:",omitempty"`
	Size         int64        `json:",omitempty"` // bytes of its layers as they are stored
	Unpacked     int64        `json:",omitempty"` // bytes of its layers after decompression

	Shared map[string]Permissions `json:",omitempty"` // account ids that may use it

	Origin *Origin `json:",omitempty"` // of one that is not made yet, by copy or import
	Tries  int     `json:",omitempty"` // begun and not ended

	revision int64
}

// Origin is what an image is made from, while it is.
type Origin struct {
	Base     images.Content `json:",omitzero"`  // what a builder was made from, what is copied, or an AMI that is available
	AMI      string         `json:",omitempty"` // id of the machine image that is imported
	Instance string         `json:",omitempty"` // type of the machine that it is tried on; "": any
	Try      bool           `json:",omitempty"` // the importer wants it to be tried: without a machine it fails
	Catalog  []CatalogItem  `json:",omitempty"` // applications that it must have
}

// CatalogItem is an application that an imported image must have
// (AppStream API reference, "ApplicationConfig"). Paths are absolute.
type CatalogItem struct {
	Name             string
	DisplayName      string `json:",omitempty"`
	AppPath          string
	IconPath         string `json:",omitempty"`
	ManifestPath     string `json:",omitempty"`
	WorkingDirectory string `json:",omitempty"`
	LaunchParameters string `json:",omitempty"`
}

// Kinds of the documents and blobs that the room writes.
const (
	// Kind is that of images; the id is ACCOUNT/REGION/NAME, or public/NAME.
	Kind = "appstream-image"
	// KindTask is that of export tasks; the id is the TaskId.
	KindTask = "appstream-export-task"
	// KindIcons is the kind of the icons of applications among the blobs; their
	// names begin with the image's ID and a dot.
	KindIcons = "appstream-icons"
)

// Indexes of images. Sort is the name.
const (
	indexOwn    = "own"    // partition ACCOUNT/REGION
	indexPublic = "public" // partition public
	indexShared = "shared" // partition ACCOUNT/REGION, of whom it is shared with; sort OWNER/NAME
	indexID     = "id"     // partition ID
	indexState  = "state"  // partition STATE
)

// publicPlace is the place of public images.
const publicPlace = "public"

// key is the document of an image.
func key(account, region, name string) store.Key {
	if account == "" {
		return store.Key{Kind: Kind, ID: publicPlace + "/" + name}
	}
	return store.Key{Kind: Kind, ID: resource.Place(account, region) + "/" + name}
}

// Key is the document of the image.
func (i Image) Key() store.Key { return key(i.Account, i.Region, i.Name) }

// Unchanged is the expectation that the image is as it was read: what is made
// from it in the same commit is made from one that is there.
func (i Image) Unchanged() store.Expectation {
	return store.Expectation{Key: i.Key(), Revision: i.revision}
}

// document is an image as the store keeps it.
func (i Image) document() (store.Document, error) {
	if i.Account == "" {
		i.Region = ""
	}
	body, err := json.Marshal(i)
	if err != nil {
		return store.Document{}, fmt.Errorf("encoding image %s: %w", i.Name, err)
	}
	d := store.Document{Key: i.Key(), Body: body, Summary: body}
	if i.Account == "" {
		d.Index = append(d.Index, store.Entry{Index: indexPublic, Partition: publicPlace, Sort: i.Name})
	} else {
		d.Index = append(d.Index, store.Entry{Index: indexOwn, Partition: resource.Place(i.Account, i.Region), Sort: i.Name})
	}
	for account := range i.Shared {
		if i.State == Available {
			d.Index = append(d.Index, store.Entry{Index: indexShared, Partition: resource.Place(account, i.Region), Sort: i.Account + "/" + i.Name})
		}
	}
	d.Index = append(d.Index,
		store.Entry{Index: indexID, Partition: i.ID},
		store.Entry{Index: indexState, Partition: string(i.State), Sort: i.Name},
	)
	return d, nil
}

// decode reads an image as an account in a region sees it.
func decode(d store.Document, account, region string) (Image, error) {
	body := d.Body
	if body == nil {
		body = d.Summary
	}
	var i Image
	err := json.Unmarshal(body, &i)
	if err != nil {
		return Image{}, fmt.Errorf("decoding image %s: %w", d.ID, err)
	}
	i.revision = d.Revision
	i.Visibility = Private
	switch {
	case i.Account == "":
		i.Visibility, i.Region = Public, region
	case i.Account != account:
		i.Visibility = Shared
	}
	i.ARN = resource.ARN{Region: i.Region, Account: i.Account, Type: resource.TypeImage, Name: i.Name}.String()
	return i, nil
}

// write is the write of an image in the place of the one that was read.
func (i Image) write() (store.Write, error) {
	d, err := i.document()
	return store.Write{Document: d, Was: i.revision}, err
}

// platforms are what a system's os-release makes of an image's Platform
// (AppStream API reference, "PlatformType").
var platforms = []struct{ id, version, platform string }{
	{"amzn", "2", "AMAZON_LINUX2"},
	{"rhel", "8", "RHEL8"},
	{"rocky", "8", "ROCKY_LINUX8"},
	{"ubuntu", "24.04", "UBUNTU_PRO_2404"},
}

// platform is the Platform of a system, "" if AppStream has no word for it.
func platform(os images.OSRelease) string {
	n := slices.IndexFunc(platforms, func(p struct{ id, version, platform string }) bool {
		return p.id == os.ID && (p.version == os.VersionID || len(os.VersionID) > len(p.version) && os.VersionID[:len(p.version)+1] == p.version+".")
	})
	if n < 0 {
		return ""
	}
	return platforms[n].platform
}

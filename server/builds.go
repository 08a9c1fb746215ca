package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"souk/access/quota"
	"souk/artifact/build"
	"souk/artifact/component"
	"souk/artifact/images"
	"souk/artifact/installer"
	"souk/artifact/machine"
	"souk/catalog/change"
	"souk/egress/notify"
	"souk/gateway/apierror"
	"souk/storage/store"
)

// This file joins the builds of the Image Build Service with the rooms that they
// know nothing of: products and who may obtain them, topics, scans.

// Building is what installers of products may have.
type Building struct {
	// OpenBuilds is how many builds of an account may be in progress
	// (BuildLimitExceededException beyond). Default: 5.
	OpenBuilds int `name:"open-builds" placeholder:"N" help:"Builds of images that an account may have in progress (default 5)."`

	// BuildWorkers is how many builds this node works on at a time. Default: 2.
	BuildWorkers int `name:"build-workers" placeholder:"N" help:"Builds worked on at a time by this node (default 2)."`

	// BuildTime is how long the installers of a build may take together; then it
	// has failed. Default: 4h.
	BuildTime time.Duration `name:"build-time" placeholder:"DURATION" help:"How long the installers of a build may take (default 4h)."`

	// BuildMemory and BuildDisk bound the machine of a build, in bytes. Default:
	// 1 GiB, and 8 GiB that may be written.
	BuildMemory int64 `name:"build-memory" placeholder:"BYTES" help:"Memory of the machine of a build (default 1073741824, 1 GiB)."`
	BuildDisk   int64 `name:"build-disk" placeholder:"BYTES" help:"Bytes that a build may write (default 8589934592, 8 GiB)."`

	// BuildLog is how many bytes of each of a build's two logs are kept. Default: 64 MiB.
	BuildLog int64 `name:"build-log" placeholder:"BYTES" help:"Bytes of each log of a build that are kept (default 67108864, 64 MiB)."`

	// BuildEgress lists the places that installers may reach, through a proxy:
	// HOST, HOST:PORT, *.DOMAIN. Default: none.
	BuildEgress []string `name:"build-egress" placeholder:"HOST" help:"Places that installers may reach: HOST, HOST:PORT or *.DOMAIN (default none)."`
}

// filled returns the settings with their defaults.
func (b Building) filled() Building {
	b.OpenBuilds = cmp.Or(b.OpenBuilds, build.DefaultOpen)
	b.BuildWorkers = cmp.Or(b.BuildWorkers, build.DefaultAtOnce)
	b.BuildTime = cmp.Or(b.BuildTime, installer.DefaultTime)
	b.BuildMemory = cmp.Or(b.BuildMemory, machine.DefaultMemory)
	b.BuildDisk = cmp.Or(b.BuildDisk, machine.DefaultDisk)
	b.BuildLog = cmp.Or(b.BuildLog, build.DefaultLogSize)
	return b
}

// numbers are the settings with what is allowed of them.
func (b Building) numbers() []number {
	return []number{
		{"open-builds", b.OpenBuilds, b.OpenBuilds < 1, "1 or more"},
		{"build-workers", b.BuildWorkers, b.BuildWorkers < 1 || b.BuildWorkers > 100, "from 1 to 100"},
		{"build-time", b.BuildTime, b.BuildTime < 0, "more than 0s"},
		{"build-memory", b.BuildMemory, b.BuildMemory < 32<<20, "33554432 bytes (32 MiB) or more"},
		{"build-disk", b.BuildDisk, b.BuildDisk < 1<<20, "1048576 bytes (1 MiB) or more"},
		{"build-log", b.BuildLog, b.BuildLog < 1, "1 or more bytes"},
	}
}

// joinBuilds makes the installer and the builds. Everything that they ask is there already.
func (m *market) joinBuilds(config Config, node string, machines machine.Provider) error {
	var err error
	m.installer, err = installer.New(installer.Config{
		Machines: machines, Folder: filepath.Join(config.Data, "installing"),
		Limits: installer.Limits{Time: config.BuildTime, Memory: config.BuildMemory, Disk: config.BuildDisk, Egress: config.BuildEgress},
	})
	if err != nil {
		return err
	}
	m.builds, err = build.New(build.Config{
		Store: m.store, Images: m.images, Installer: m.installer, Logs: m.blobs, Keys: m.ring,
		Option: m.buildOption,
		Mismatch: func(_ context.Context, o build.Option, source images.AMI) (string, error) {
			return mismatch(o, source), nil
		},
		Obtained: func(ctx context.Context, account string, o build.Option) error {
			return m.procurement.ObtainedVersion(ctx, account, o.Product, o.VersionID)
		},
		Unpack: func(ctx context.Context, o build.Option, folder string) error {
			f := component.PublishedFiles(o.Product, component.Files{Repository: o.Component.Files.Repository, Digest: o.Component.Files.Digest})
			return m.components.Unpack(ctx, f, folder)
		},
		Derive:   m.derive,
		Topic:    m.ownTopic,
		Announce: m.announceBuild,
		Scan:     m.scanBuilt,
		Observe:  m.built,
		Open:     m.bound(config, quota.OpenBuilds, config.OpenBuilds),
		Owner:    node, AtOnce: config.BuildWorkers, LogSize: config.BuildLog, History: config.History, Log: config.Log,
	})
	return err
}

// derive makes an AMI of another in the repository of its account.
func (m *market) derive(ctx context.Context, d images.Derivation) (images.AMI, store.Batch, error) {
	owner, err := m.seller(ctx, d.Account)
	if err != nil {
		return images.AMI{}, store.Batch{}, err
	}
	return m.images.Derive(ctx, owner, d)
}

// buildOption finds a fulfillment option for an account that wants to build with
// it. Of one that it may not obtain it learns as much as of the product.
func (m *market) buildOption(ctx context.Context, account, id string) (build.Option, error) {
	f, err := m.fulfillmentOption(ctx, id)
	if errors.Is(err, errNoFulfillmentOption) {
		return build.Option{}, build.ErrNoOption
	}
	if err != nil {
		return build.Option{}, err
	}
	answer, err := m.procurement.ObtainOption(ctx, account, f.Product, f.Version, f.Option)
	switch {
	case err != nil:
		return build.Option{}, err
	case !answer.OK && answer.Told:
		return build.Option{}, &build.Denied{Reason: answer.Reason}
	case !answer.OK:
		return build.Option{}, build.ErrNoOption
	}
	read, err := parseDocument(f.Component.Document)
	if err != nil {
		return build.Option{}, fmt.Errorf("reading the component of fulfillment option %s: %w", id, err)
	}
	return build.Option{
		ID: id, Product: f.Product, Title: f.ProductTitle, Code: f.ProductCode, VersionID: f.Version, Version: f.VersionTitle,
		Component: build.Component{
			ARN: f.Component.ARN, Name: f.Component.Name, Document: f.Component.Document, Phases: read.Phases,
			Platform: component.Linux, Systems: f.Component.SupportedOSVersions,
			Files: build.Files{Repository: f.Component.Files.Repository, Digest: f.Component.Files.Digest},
		},
	}, nil
}

// mismatch says why an option can't be installed on an image, "" if it can.
func mismatch(o build.Option, source images.AMI) string {
	if is := hostArchitecture(); source.Architecture != is {
		return fmt.Sprintf("the image is for %s, and the installers run on %s here", source.Architecture, is)
	}
	if !component.Supports(o.Component.Systems, source.Platform) {
		return fmt.Sprintf("it supports %s, and the image is %s", strings.Join(o.Component.Systems, ", "), source.PlatformDetails())
	}
	return ""
}

// ownTopic says whether an account may have messages of its own sent to a topic:
// topics have no policies, so that it must be the account's.
func (m *market) ownTopic(ctx context.Context, account, arn string) error {
	_, owner, ok := notify.Place(arn)
	if !ok || owner != account {
		return build.ErrNoTopic
	}
	_, err := m.topics.TopicAttributes(ctx, arn)
	if apierror.Is(err, "NotFound") || apierror.Is(err, "InvalidParameter") {
		return build.ErrNoTopic
	}
	return err
}

// buildMessage is what a topic is told of a build. The reference leaves its form
// open; names are those of DescribeBuilds.
type buildMessage struct {
	BuildId              string
	Status               string
	FulfillmentOptionIds []string
	SourceImageId        string
	DestinationImageName string
	DestinationImageId   string        `json:",omitzero"` // of a build that has succeeded
	ErrorDetail          *build.Detail `json:",omitzero"`
	StartTime            string        // 2026-03-01T12:00:00.000Z
	LastUpdateTime       string
}

// announceBuild tells a build's topic of its status.
func (m *market) announceBuild(b *build.Build) ([]store.Write, error) {
	const stamp = "2006-01-02T15:04:05.000Z"
	message := buildMessage{
		BuildId: b.ID, Status: string(b.Status), SourceImageId: b.Source.ID, DestinationImageName: b.Destination.Name, ErrorDetail: b.Detail,
		StartTime: b.Started.UTC().Format(stamp), LastUpdateTime: b.Updated.UTC().Format(stamp),
	}
	for _, o := range b.Options {
		message.FulfillmentOptionIds = append(message.FulfillmentOptionIds, o.ID)
	}
	if b.Status == build.Succeeded {
		message.DestinationImageId = b.Destination.ID
	}
	text, err := json.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("encoding the message: %w", err)
	}
	w, err := m.topics.Outgoing(b.Topic, "AWS Marketplace Image Build: "+string(b.Status), string(text), "build "+b.ID+" "+string(b.Status), b.Updated)
	return []store.Write{w}, err
}

// scanBuilt scans what was built, as an AMI that is listed: what is found stands
// in an assessment of the account, whose entity is the AMI.
func (m *market) scanBuilt(ctx context.Context, b *build.Build, a images.AMI) error {
	owner, err := m.seller(ctx, b.Account)
	if err != nil {
		return err
	}
	found, err := m.images.AMIs().Find(ctx, owner, a.ID)
	if errors.Is(err, change.ErrAMINotFound) || errors.Is(err, change.ErrAMIUnreadable) {
		return nil // its owner was quicker
	}
	if err != nil {
		return err
	}
	_, err = m.scanner.ScanAMI(ctx, change.ScanTarget{Seller: owner, EntityID: a.ID, Subject: a.Name}, found)
	return err
}

// logsWithoutBuild removes logs whose build is gone: those of a crash while it
// was forgotten.
func (m *market) logsWithoutBuild(ctx context.Context) error {
	return m.blobs.Each(ctx, build.KindLogs, func(name string, kept time.Time) error {
		id, _, _ := strings.Cut(name, ".")
		_, err := m.store.Get(ctx, store.Key{Kind: build.Kind, ID: id})
		if !errors.Is(err, store.ErrNotFound) || time.Since(kept) < 24*time.Hour {
			return err
		}
		return m.blobs.Delete(ctx, build.KindLogs, name)
	})
}

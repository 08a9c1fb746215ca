package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"souk/access/quota"
	"souk/artifact/appstream/assistant"
	"souk/artifact/appstream/builder"
	"souk/artifact/appstream/directory"
	"souk/artifact/appstream/instancetype"
	"souk/artifact/appstream/network"
	"souk/artifact/machine"
	"souk/egress/proxy"
)

// This file joins AppStream's image builders with the rooms that they know nothing
// of: machines, roles, and how servers that share a market reach each other.

// ImageBuilding is what image builders may have.
type ImageBuilding struct {
	// ImageBuilders is how many image builders an account may have in a region
	// (LimitExceededException beyond). Default: 10.
	ImageBuilders int `name:"image-builders" placeholder:"N" help:"Image builders that an account may have in a region (default 10)."`

	// ImageBuilderIdle is for how long nobody may have worked in an image builder
	// before it is stopped. 0: it is not. Default: 0.
	ImageBuilderIdle time.Duration `name:"image-builder-idle" placeholder:"DURATION" help:"Stop image builders in which nobody has worked for so long (default 0, never)."`

	// ImageBuilderEgress lists the places that image builders with
	// EnableDefaultInternetAccess may reach, through a proxy: HOST, HOST:PORT,
	// *.DOMAIN, * for every public place; none for no place. Default: *.
	ImageBuilderEgress []string `name:"image-builder-egress" placeholder:"HOST" help:"Places that image builders with internet access may reach: HOST, HOST:PORT, *.DOMAIN, * or none (default *)."`

	// ImageBuilderDisk is how many bytes an image builder may write that is made
	// without a RootVolumeConfig. They are taken as they are written. Default: 8 GiB.
	ImageBuilderDisk int64 `name:"image-builder-disk" placeholder:"BYTES" help:"Bytes that an image builder without a RootVolumeConfig may write (default 8589934592, 8 GiB)."`

	// NetworkTable is a file that says which subnets and security groups image
	// builders can name, and what they have. Default: none; every id of the right
	// form is one.
	NetworkTable string `name:"network-table" placeholder:"FILE" help:"Table (YAML) of the subnets and security groups that image builders can name (default: any)."`

	// NodeURL is how the other servers of the market reach this one, where several
	// share one: what happens in a machine goes through the server that has it.
	// Default: where it listens; that is 127.0.0.1 where it listens on every address,
	// which other hosts can't reach.
	NodeURL string `name:"node-url" placeholder:"URL" help:"How the other servers of this market reach this one (default: where it listens)."`

	// NodeTimeout is for how long a server of the market may say nothing before the
	// others take it for dead: its image builders that ran are STOPPED then. Default: 1m.
	NodeTimeout time.Duration `name:"node-timeout" placeholder:"DURATION" help:"How long another server of this market may say nothing before it is taken for dead, and its image builders for stopped (default 1m)."`

	// AgentVersion is what image builders are told of the version of their agent. It is
	// that of the program; a test that plays an upgrade gives another.
	AgentVersion string `kong:"-"`
}

// filled returns the settings with their defaults.
func (b ImageBuilding) filled() ImageBuilding {
	b.ImageBuilders = cmp.Or(b.ImageBuilders, builder.DefaultMost)
	if len(b.ImageBuilderEgress) == 0 {
		b.ImageBuilderEgress = []string{"*"}
	}
	b.ImageBuilderDisk = cmp.Or(b.ImageBuilderDisk, machine.DefaultDisk)
	b.NodeURL = strings.TrimSuffix(b.NodeURL, "/")
	b.NodeTimeout = cmp.Or(b.NodeTimeout, builder.DefaultDead)
	return b
}

// wrong names the setting that is wrong and says why; "" if none is.
func (b ImageBuilding) wrong() (setting, text string) {
	_, err := proxy.Parse(b.egress())
	if err != nil {
		return "image-builder-egress", err.Error()
	}
	if b.NodeURL == "" {
		return "", ""
	}
	u, err := url.Parse(b.NodeURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return "node-url", fmt.Sprintf("%q is not http:// or https://, a host and perhaps a port", b.NodeURL)
	}
	return "", ""
}

// egress are the places, without the word for none.
func (b ImageBuilding) egress() []string {
	if len(b.ImageBuilderEgress) == 1 && b.ImageBuilderEgress[0] == "none" {
		return nil
	}
	return b.ImageBuilderEgress
}

// numbers are the settings with what is allowed of them.
func (b ImageBuilding) numbers() []number {
	return []number{
		{"image-builders", b.ImageBuilders, b.ImageBuilders < 1, "1 or more"},
		{"image-builder-idle", b.ImageBuilderIdle, b.ImageBuilderIdle < 0, "more than 0s, or 0"},
		{"node-timeout", b.NodeTimeout, b.NodeTimeout < time.Second, "1s or more"},
		{"image-builder-disk", b.ImageBuilderDisk, b.ImageBuilderDisk < 1<<20, "1048576 bytes (1 MiB) or more"},
	}
}

// nodeFile of a data folder names the node for as long as there is the folder: its
// machines are found again by it.
const nodeFile = "node"

// nodeID reads the name of this node. begin says that one is made where there is none;
// else it is "-" then, which no node is named.
func (f *folder) nodeID(begin bool) (string, error) {
	text, err := os.ReadFile(f.path(nodeFile))
	if id := strings.TrimSpace(string(text)); err == nil && id != "" {
		return id, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the name of this node: %w", err)
	}
	if !begin {
		return "-", nil
	}
	id := strings.ToLower(rand.Text()[:16])
	err = writeWhole(f.path(nodeFile), []byte(id+"\n"), 0o600)
	if err != nil {
		return "", fmt.Errorf("writing down the name of this node: %w", err)
	}
	return id, nil
}

// imageBuilding is what a market has image builders with.
type imageBuilding struct {
	builders       *builder.Builders
	directories    *directory.Directories
	networks       *network.Networks
	builderChanged func(builder.Event) // observes them; nil: nobody does
}

// joinImageBuilders makes the image builders. Machines and AppStream images are there
// already. Where a server runs, config.NodeURL is filled.
func (m *market) joinImageBuilders(config Config, node string, all builder.Images) error {
	id, err := m.folder.nodeID(node != "")
	if err != nil {
		return err
	}
	err = m.joinNetworks(config)
	if err != nil {
		return err
	}
	machines := m.machines
	if m.compute != nil && m.compute.Provider == nil {
		machines = nil // it could not even be opened
	}
	m.builders, err = builder.New(builder.Config{
		Store: m.store, Images: all, Layers: m.images, Keys: m.ring, Node: id, Folder: filepath.Join(config.Data, "snapshots"),
		Machines: machines, URL: config.NodeURL, AgentVersion: agentVersion(config),
		InstanceType: builderSize,
		Network:      m.networkOf, Directory: m.directoryOf,
		Role:   m.builderRole,
		Egress: config.egress(), Disk: config.ImageBuilderDisk,
		Idle:    func() time.Duration { return config.ImageBuilderIdle },
		Most:    m.bound(config, quota.ImageBuilders, config.ImageBuilders),
		Record:  m.recordAsked,
		Observe: m.builderChanged,
		Owner:   node, Log: config.Log,
		Dead: config.NodeTimeout, Beat: config.NodeTimeout / beatsOfTimeout,
	})
	return err
}

// beatsOfTimeout is how often a server says within --node-timeout that it lives: one
// that is slow for a while is not taken for dead.
const beatsOfTimeout = 6

// agentVersion is that of the agent of machines: it is this program, so it is the
// version of the module, or the commit that was built.
func agentVersion(config Config) string {
	if v := cmp.Or(config.AgentVersion, crashVersion()); v != "" {
		return v
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "devel-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}

// builderSize is what a machine of an instance type has.
func builderSize(name string) (builder.Size, bool) {
	t, ok := instancetype.Lookup(name)
	return builder.Size{CPU: t.CPU, Memory: t.Memory, Graphics: t.Graphics}, ok
}

// appStream is the service whom the roles trust that are given with image builders and
// images (AppStream API Reference, IamRoleArn).
const appStream = "appstream.amazonaws.com"

// builderRole says whether a role can be given to an image builder.
func (m *market) builderRole(ctx context.Context, account, arn string) error {
	there, trusted, err := m.organization.RoleTrusts(ctx, account, arn, appStream)
	switch {
	case err != nil:
		return err
	case !there:
		return builder.ErrNoRole
	case !trusted:
		return builder.ErrUntrusted
	}
	return nil
}

// answerDoor serves what a program in a machine asks its host for.
func (m *market) answerDoor(ctx context.Context, id string, conn net.Conn, log *slog.Logger) {
	err := assistant.Serve(ctx, conn, func(ctx context.Context, r assistant.Request) assistant.Answer {
		return m.builders.Assist(ctx, id, r)
	})
	if err != nil && ctx.Err() == nil {
		log.Debug("what a machine asked for could not be read or answered", "machine", id, "error", err)
	}
}

// observeImageBuilders counts the changes of state of image builders on this node, and
// how long they took.
func observeImageBuilders(r prometheus.Registerer) func(builder.Event) {
	changes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "souk_appstream_image_builder_changes_total",
		Help: "Changes of image builders' states on this node, by the state after (none of one that was deleted) and the code of its reason.",
	}, []string{"state", "code"})
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "souk_appstream_image_builder_seconds",
		Help:    "Seconds for which image builders were between two states on this node, by both (none: it was deleted).",
		Buckets: []float64{.01, .025, .05, .1, .2, .3, .5, 1, 2.5, 5, 15, 60, 300},
	}, []string{"from", "to"})
	r.MustRegister(changes, took)
	return func(e builder.Event) {
		changes.WithLabelValues(string(e.State), e.Code).Inc()
		if e.Was != "" {
			took.WithLabelValues(string(e.Was), string(e.State)).Observe(e.Took.Seconds())
		}
	}
}

// builderStates counts the market's image builders whenever somebody asks.
type builderStates struct {
	builders *builder.Builders
	states   *prometheus.Desc
}

// measureImageBuilders says how many image builders are in each state.
func measureImageBuilders(r prometheus.Registerer, b *builder.Builders) {
	r.MustRegister(builderStates{b, prometheus.NewDesc("souk_appstream_image_builders", "Image builders of the market by their state, on all nodes.", []string{"state"}, nil)})
}

// Describe implements prometheus.Collector.
func (s builderStates) Describe(out chan<- *prometheus.Desc) { out <- s.states }

// Collect implements prometheus.Collector. Where the database does not answer in
// time nothing is told.
func (s builderStates) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	count, err := s.builders.Count(ctx)
	if err != nil {
		return
	}
	for _, state := range builder.States() {
		out <- prometheus.MustNewConstMetric(s.states, prometheus.GaugeValue, float64(count[state]), string(state))
	}
}

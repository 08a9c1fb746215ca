package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"souk/artifact/appstream/assistant"
	"souk/artifact/component/document"
	"souk/artifact/installer"
	"souk/artifact/layer"
	"souk/artifact/machine"
	"souk/artifact/machine/agent"
	"souk/artifact/machine/files"
	"souk/artifact/machine/sandbox"
	"souk/egress/proxy"
)

// This file finds out what machines this host can run, and gives them to the rooms
// that install products.

// Compute says what machines are made with.
type Compute struct {
	// Compute is auto, sandbox or none. auto tries whether a machine runs and says at
	// the start what holds and what does not; where none runs, builds fail and say
	// why. sandbox refuses to start there. none makes no machines. Default: auto.
	Compute string `name:"compute" placeholder:"auto|sandbox|none" help:"What runs the installers of products, and image builders: auto, sandbox or none (default auto)."`

	// ComputeCache is how many bytes of unpacked layers are kept for machines; those
	// in use may take more. Default: 20 GiB.
	ComputeCache int64 `name:"compute-cache" placeholder:"BYTES" help:"Unpacked layers kept for machines (default 21474836480, 20 GiB)."`

	// ComputeCPU is how much of the processors a machine may have, in thousandths of
	// one. Default: 1000.
	ComputeCPU int `name:"compute-cpu" placeholder:"N" help:"Thousandths of a processor that a machine may have (default 1000)."`

	// ComputeUsers is the first of 65,536 user and group ids of this host that are
	// those of machines, where the server is root: nobody else may have them. It
	// stays as it is while there are machines. Default: 16777216.
	ComputeUsers int `name:"compute-users" placeholder:"ID" help:"First of the 65536 user ids of this host that belong to machines (default 16777216)."`

	// MachineProgram says that this program calls Child before all else, so that it
	// can be started again as a machine. Without it there are no machines.
	MachineProgram bool `kong:"-"`
}

// filled returns the settings with their defaults.
func (c Compute) filled() Compute {
	c.Compute = cmp.Or(c.Compute, "auto")
	c.ComputeCache = cmp.Or(c.ComputeCache, layer.DefaultSize)
	c.ComputeCPU = cmp.Or(c.ComputeCPU, machine.DefaultCPU)
	c.ComputeUsers = cmp.Or(c.ComputeUsers, sandbox.DefaultShift)
	return c
}

// wrong says what is not allowed of --compute, "" if all is.
func (c Compute) wrong() string {
	switch c.Compute {
	case "auto", "sandbox", "none":
		return ""
	case "vm":
		return "virtual machines can't be run: it is auto, sandbox or none"
	}
	return fmt.Sprintf("%q is none of auto, sandbox, none", c.Compute)
}

// numbers are the settings with what is allowed of them.
func (c Compute) numbers() []number {
	return []number{
		{"compute-cache", c.ComputeCache, c.ComputeCache < 1, "1 or more bytes"},
		{"compute-cpu", c.ComputeCPU, c.ComputeCPU < 10, "10 or more"},
		{"compute-users", c.ComputeUsers, c.ComputeUsers < 1<<16 || c.ComputeUsers > 1<<32-1<<17, "from 65536 to 4294836224"},
	}
}

// Child runs what this process was started for, and does not return, if that was to
// be a machine or a tool in one. It is the first line of a program whose
// Config.MachineProgram is set.
func Child() { sandbox.Main(machineTools()) }

// componentTool is the name by which installers ask for the tool that runs component
// documents.
const componentTool = "component"

// machineTools are what the agent of a machine can do by itself.
func machineTools() map[string]agent.Tool {
	return map[string]agent.Tool{
		componentTool: document.Tool, machine.FilesTool: files.Tool,
		"image-assistant": assistant.Tool, "AppStreamImageAssistant": assistant.Tool, "reboot": assistant.RebootTool, "poweroff": assistant.PowerOffTool,
	}
}

// computing is what a market has machines with.
type computing struct {
	// machines makes them; nil: there are none, and there are to be none.
	machines machine.Provider
	compute  *compute
}

// compute is a provider of machines that is tried once, beside the start of the
// server: what needs a machine before it is known waits.
type compute struct {
	machine.Provider
	cache *layer.Cache

	known   chan struct{} // closed when what is below is set
	holds   machine.Capabilities
	failure error // nil: machines run
}

// joinCompute opens the provider of machines. Nothing is started yet.
func (m *market) joinCompute(ctx context.Context, config Config, node string, dialer proxy.Dialer) error {
	if config.Compute.Compute == "none" || !config.MachineProgram || node == "" {
		return nil
	}
	c := &compute{known: make(chan struct{})}
	m.compute, m.machines = c, c
	door := func(ctx context.Context, id string, conn net.Conn) { m.answerDoor(ctx, id, conn, config.Log) }
	err := c.open(config, proxy.New(proxy.Config{Dialer: dialer}), door)
	if err != nil {
		c.failure = err
		close(c.known)
		config.Log.Warn(noMachines, "error", err)
	}
	if config.Compute.Compute == "sandbox" {
		c.run(ctx, config.Log)
		if c.failure != nil {
			return &SettingError{Setting: "compute", Text: c.failure.Error()}
		}
	}
	return nil
}

// open opens the layers and the provider in the data folder.
func (c *compute) open(config Config, p *proxy.Proxy, door func(context.Context, string, net.Conn)) error {
	dir := filepath.Join(config.Data, "compute")
	shift, rootless := sandbox.Layers(config.ComputeUsers)
	cache, err := layer.New(layer.Config{Root: filepath.Join(dir, "layers"), Shift: shift, Rootless: rootless, Size: config.ComputeCache, Log: config.Log})
	if err != nil {
		return err
	}
	s, err := sandbox.New(sandbox.Config{
		Root: filepath.Join(dir, "machines"), Cache: cache, Shift: config.ComputeUsers, CPU: config.ComputeCPU, Proxy: p, Door: door, Log: config.Log,
	})
	if err != nil {
		return errors.Join(err, cache.Close())
	}
	c.Provider, c.cache = s, cache
	return nil
}

// noMachines is what the log says where none run.
const noMachines = "machines can't be run: builds and image builders will fail"

// run finds out whether a machine runs, unless that is known, and logs what holds.
func (c *compute) run(ctx context.Context, log *slog.Logger) {
	if c == nil {
		return
	}
	select {
	case <-c.known:
		return // it could not even be opened
	default:
	}
	defer close(c.known)
	c.holds, c.failure = c.Provider.Probe(ctx)
	if c.failure != nil {
		if ctx.Err() == nil {
			log.Warn(noMachines, "error", c.failure)
		}
		return
	}
	log.Info("machines run", "provider", c.Name(), "isolation", c.holds.Isolation, "limits", strings.Join(c.limits(), ","), "rootless", c.holds.Rootless)
	for _, sentence := range c.holds.Missing {
		log.Warn("what machines don't hold", "missing", sentence)
	}
}

// limits names those that hold.
func (c *compute) limits() []string {
	var all []string
	for _, l := range []struct {
		held bool
		name string
	}{{c.holds.Memory, "memory"}, {c.holds.Pids, "processes"}, {c.holds.CPU, "processors"}, {c.holds.Disk, "disk"}} {
		if l.held {
			all = append(all, l.name)
		}
	}
	return all
}

// Name is that of the provider, also where it could not be opened.
func (c *compute) Name() string { return "sandbox" }

// Create waits until it is known whether machines run.
func (c *compute) Create(ctx context.Context, id string, s machine.Spec) error {
	select {
	case <-c.known:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if c.failure != nil {
		return fmt.Errorf("%w: %w", installer.ErrNoMachines, c.failure)
	}
	return c.Provider.Create(ctx, id, s)
}

// missing is the error for a machine of a provider that could not be opened: it has
// none, so nobody should ask, but whoever does is told.
func (c *compute) missing(id string) error {
	return fmt.Errorf("%w: %s: %w: %w", machine.ErrNotFound, id, installer.ErrNoMachines, c.failure)
}

// Reach finds no machine where the provider could not be opened; so do those below.
func (c *compute) Reach(ctx context.Context, id string, egress []string) error {
	if c.Provider == nil {
		return c.missing(id)
	}
	return c.Provider.Reach(ctx, id, egress)
}

// Start implements machine.Provider.
func (c *compute) Start(ctx context.Context, id string) error {
	if c.Provider == nil {
		return c.missing(id)
	}
	return c.Provider.Start(ctx, id)
}

// Exec implements machine.Provider.
func (c *compute) Exec(ctx context.Context, id string, cmd machine.Cmd) (machine.Exit, error) {
	if c.Provider == nil {
		return machine.Exit{}, c.missing(id)
	}
	return c.Provider.Exec(ctx, id, cmd)
}

// Stop implements machine.Provider.
func (c *compute) Stop(ctx context.Context, id string) error {
	if c.Provider == nil {
		return c.missing(id)
	}
	return c.Provider.Stop(ctx, id)
}

// Wait implements machine.Provider.
func (c *compute) Wait(ctx context.Context, id string) error {
	if c.Provider == nil {
		return c.missing(id)
	}
	return c.Provider.Wait(ctx, id)
}

// Diff implements machine.Provider.
func (c *compute) Diff(ctx context.Context, id string, w io.Writer) error {
	if c.Provider == nil {
		return c.missing(id)
	}
	return c.Provider.Diff(ctx, id, w)
}

// List returns no machine where the provider could not be opened.
func (c *compute) List(ctx context.Context) ([]machine.Machine, error) {
	if c.Provider == nil {
		return nil, nil
	}
	return c.Provider.List(ctx)
}

// Delete has nothing to do where the provider could not be opened.
func (c *compute) Delete(ctx context.Context, id string) error {
	if c.Provider == nil {
		return nil
	}
	return c.Provider.Delete(ctx, id)
}

// close stops all machines. Their disks stay.
func (c *compute) close() error {
	if c == nil || c.Provider == nil {
		return nil
	}
	return errors.Join(c.Provider.Close(), c.cache.Close())
}

// computeHealth is what /health says of machines.
type computeHealth struct {
	Provider     string                `json:"provider"` // sandbox, or none
	Tried        bool                  `json:"tried"`    // false: it is not known yet whether they run
	Problem      string                `json:"problem,omitempty"`
	Capabilities *machine.Capabilities `json:"capabilities,omitempty"`
	Layers       int                   `json:"layers"`
	LayerBytes   int64                 `json:"layer_bytes"`
}

// health says what is known of the machines of this server.
func (c *compute) health() computeHealth {
	if c == nil {
		return computeHealth{Provider: "none", Tried: true}
	}
	h := computeHealth{Provider: c.Name()}
	select {
	case <-c.known:
	default:
		return h
	}
	h.Tried = true
	if c.cache != nil {
		h.Layers, h.LayerBytes = c.cache.Size()
	}
	if c.failure != nil {
		h.Problem = c.failure.Error()
		return h
	}
	h.Capabilities = &c.holds
	return h
}

// observeCompute measures the layers that are kept for machines.
func observeCompute(r prometheus.Registerer, c *compute) {
	if c == nil || c.cache == nil {
		return
	}
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "souk_compute_layer_bytes",
		Help: "Bytes of the disk that unpacked layers take.",
	}, func() float64 { _, bytes := c.cache.Size(); return float64(bytes) }))
}

// Machines says what the machines of this server hold, when that is known.
// installer.ErrNoMachines, with the reason, if none can be run.
func (s *Server) Machines(ctx context.Context) (machine.Capabilities, error) {
	c := s.market.compute
	if c == nil {
		return machine.Capabilities{}, installer.ErrNoMachines
	}
	select {
	case <-c.known:
	case <-ctx.Done():
		return machine.Capabilities{}, context.Cause(ctx)
	}
	if c.failure != nil {
		return machine.Capabilities{}, fmt.Errorf("%w: %w", installer.ErrNoMachines, c.failure)
	}
	return c.holds, nil
}

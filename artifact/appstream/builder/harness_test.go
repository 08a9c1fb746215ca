package builder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"souk/artifact/appstream/assistant"
	"souk/artifact/appstream/image"
	"souk/artifact/images"
	"souk/artifact/images/imagestest"
	"souk/artifact/installer/installertest"
	"souk/artifact/layer"
	"souk/artifact/machine"
	"souk/artifact/machine/sandbox"
	"souk/egress/proxy"
	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
	"souk/storage/worktest"
)

const (
	account = "111111111111"
	other   = "222222222222"
	region  = "us-east-1"
	role    = "arn:aws:iam::111111111111:role/machine"
)

// program is the first process of machines, built once.
var program = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "buildertest-")
	if err != nil {
		return "", err
	}
	at := filepath.Join(folder, "machine")
	build := exec.Command("go", "build", "-o", at, "./testdata/machine")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	text, err := build.CombinedOutput()
	if err != nil {
		return "", errors.New(err.Error() + ": " + string(text))
	}
	return at, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if at, err := program(); err == nil {
		_ = os.RemoveAll(filepath.Dir(at))
	}
	os.Exit(code)
}

// house is image builders on a real store, real images and real machines. Its node
// may be restarted.
type house struct {
	*Builders
	t      *testing.T
	store  store.Store
	below  *imagestest.House
	images *image.Images
	at     string // folder of machines
	stop   func() // of the node that runs; nil: none does
	close  func() // of its machines

	mu   sync.Mutex // guards what follows
	late time.Duration
}

// Tuned settings of a test.
type edit func(*Config)

// open makes a house with an image named base. No node runs yet.
func open(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, store: sqlitetest.Open(t), at: t.TempDir()}
	h.below = imagestest.Open(t, h.store)
	var err error
	h.images, err = image.New(image.Config{
		Store: h.store, AMIs: h.below.Images, Blobs: h.below.Blobs, Keys: h.below.Registry.Keys, Roles: all{},
		Repository: h.below.AppStreamRepository, Export: h.below.Derive,
		Management:   func(context.Context) (string, error) { return "999999999999", nil },
		InUse:        func(ctx context.Context, i image.Image) (string, error) { return h.InUse(ctx, i) },
		AgentVersion: "1.0", Architecture: images.X8664, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	h.must(err)
	worktest.Run(t, h.images.Run)
	h.base("base")
	return h
}

// running is a house with a builder one that is RUNNING.
func running(t *testing.T) *house {
	t.Helper()
	h := open(t)
	h.start()
	h.create("one")
	return h
}

// all is roles that may everything.
type all struct{}

func (all) May(context.Context, string, string, string, string) (there, allowed bool, err error) {
	return true, true, nil
}

// start runs a node: what an earlier one has left is found by it, as after a crash.
func (h *house) start(edits ...edit) {
	h.t.Helper()
	h.open(edits...)
	h.run()
}

// run runs the node that was opened.
func (h *house) run() {
	h.stop = worktest.Run(h.t, h.Run)
	worktest.Until(h.t, "the node has begun", func() bool {
		select {
		case <-h.started:
			return true
		default:
			return false
		}
	})
}

// open opens a node and its machines.
func (h *house) open(edits ...edit) {
	h.t.Helper()
	h.halt()
	log := slog.New(slog.NewTextHandler(h.t.Output(), nil))
	c := Config{
		Store: h.store, Images: h.images, Layers: h.below.Images, Keys: h.below.Registry.Keys, Node: "node-1", Folder: filepath.Join(h.at, "snapshots"),
		URL: "http://node-1", AgentVersion: "1.0", Disk: 64 << 20,
		InstanceType: func(name string) (Size, bool) {
			return Size{CPU: 2000, Memory: 128 << 20, Graphics: strings.Contains(name, "graphics")}, strings.HasPrefix(name, "stream.")
		},
		Role: func(_ context.Context, _, arn string) error {
			switch {
			case strings.HasSuffix(arn, "/none"):
				return ErrNoRole
			case strings.HasSuffix(arn, "/other"):
				return ErrUntrusted
			}
			return nil
		},
		Most: func(string) int { return 100 },
		Beat: 50 * time.Millisecond, Dead: time.Minute,
		Now: func() time.Time {
			h.mu.Lock()
			defer h.mu.Unlock()
			return time.Now().Add(h.late)
		},
		Log: log,
	}
	c.Machines, h.close = h.machines()
	for _, e := range edits {
		e(&c)
	}
	var err error
	h.Builders, err = New(c)
	h.must(err)
}

// halt ends the node: its machines end with it.
func (h *house) halt() {
	if h.stop != nil {
		h.stop()
		h.stop = nil
	}
	if h.close != nil {
		h.close()
		h.close = nil
	}
}

// machines opens the provider of machines.
func (h *house) machines() (machine.Provider, func()) {
	h.t.Helper()
	at, err := program()
	h.must(err)
	shift, rootless := sandbox.Layers(0)
	cache, err := layer.New(layer.Config{Root: filepath.Join(h.at, "layers"), Shift: shift, Rootless: rootless})
	h.must(err)
	s, err := sandbox.New(sandbox.Config{
		Root: filepath.Join(h.at, "machines"), Cache: cache, Binary: at, Proxy: proxy.New(proxy.Config{}),
		Door: func(ctx context.Context, id string, conn net.Conn) {
			_ = assistant.Serve(ctx, conn, func(ctx context.Context, r assistant.Request) assistant.Answer { return h.Assist(ctx, id, r) })
		},
	})
	h.must(err)
	closing := sync.OnceFunc(func() {
		if err := errors.Join(s.Close(), cache.Close()); err != nil {
			h.t.Error(err)
		}
	})
	h.t.Cleanup(closing)
	return s, closing
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// base makes an AppStream image with a shell.
func (h *house) base(called string) {
	h.t.Helper()
	a := h.below.Register(account, called, installertest.Base(h.t))
	_, err := h.images.Import(h.t.Context(), image.ImportRequest{Account: account, Region: region, Name: called, AMI: a.ID, Role: role})
	h.must(err)
	worktest.Until(h.t, "image "+called+" is there", func() bool { return h.image(called).State == image.Available })
}

// image reads an image.
func (h *house) image(called string) image.Image {
	h.t.Helper()
	page, err := h.images.List(h.t.Context(), image.Query{Account: account, Region: region, Names: []string{called}})
	h.must(err)
	return page.Images[0]
}

func request(called string, edits ...func(*Request)) Request {
	r := Request{Account: account, Region: region, Name: called, InstanceType: "stream.standard.small", ImageName: "base"}
	for _, e := range edits {
		e(&r)
	}
	return r
}

// create makes a builder and waits until it is RUNNING.
func (h *house) create(called string, edits ...func(*Request)) *Builder {
	h.t.Helper()
	b, err := h.Create(h.t.Context(), request(called, edits...))
	h.must(err)
	if b.State != Pending {
		h.t.Fatalf("a new builder is %s", b.State)
	}
	return h.is(called, Running)
}

func (h *house) read(called string) *Builder {
	h.t.Helper()
	d, err := h.store.Get(h.t.Context(), keyOf(account, region, called))
	h.must(err)
	b, err := decode(d)
	h.must(err)
	return b
}

// is waits until a builder is in a state. One that stays in another for good is an error.
func (h *house) is(called string, s State) *Builder {
	h.t.Helper()
	var b *Builder
	worktest.Until(h.t, called+" is "+string(s), func() bool {
		b = h.read(called)
		if b.State == Failed && s != Failed {
			h.t.Fatalf("%s is %s: %+v %+v", called, b.State, b.Reason, b.Errors)
		}
		return b.State == s
	})
	return b
}

// becomes makes builder one the image made, in whatever state that ends.
func (h *house) becomes() image.Image {
	h.t.Helper()
	if a := h.Assist(h.t.Context(), h.read("one").Machine, createImage("made")); a != assistant.Success {
		h.t.Fatalf("the host says %+v", a)
	}
	h.is("one", Stopped)
	return h.image("made")
}

func (h *house) gone(called string) {
	h.t.Helper()
	worktest.Until(h.t, called+" is gone", func() bool {
		_, err := h.store.Get(h.t.Context(), keyOf(account, region, called))
		return errors.Is(err, store.ErrNotFound)
	})
}

// sh runs a script in a builder's machine.
func (h *house) sh(called, script string) string {
	h.t.Helper()
	s, err := h.Enter(h.t.Context(), account, region, called)
	h.must(err)
	defer s.Close()
	var out bytes.Buffer
	exit, err := s.Exec(h.t.Context(), machine.Cmd{Args: []string{"sh", "-c", script}, Stdout: &out, Stderr: &out})
	h.must(err)
	return fmt.Sprintf("%d %s", exit.Code, strings.TrimSpace(out.String()))
}

// passes lets time pass by the builders' clock.
func (h *house) passes(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.late += d
}

// healthy wants nothing found by the doctors, and as many machines as there should be.
func (h *house) healthy(machines int) {
	h.t.Helper()
	wrong, err := h.Doctor(h.t.Context())
	of, also := h.images.Doctor(h.t.Context())
	if err := errors.Join(err, also); err != nil || len(wrong)+len(of) > 0 {
		h.t.Errorf("the doctors find %q, %q, %v", wrong, of, err)
	}
	there, err := h.Builders.machines(h.t.Context())
	if err != nil || len(there) != machines {
		h.t.Errorf("there are %d machines, %v, want %d", len(there), err, machines)
	}
	left, _ := os.ReadDir(h.config.Folder)
	if len(left) > 0 {
		h.t.Errorf("%d files of layers are left", len(left))
	}
}

package installer

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"souk/artifact/images"
	"souk/artifact/installer/installertest"
	"souk/artifact/machine"
)

func TestMain(m *testing.M) {
	code := m.Run()
	installertest.Tidy()
	os.Exit(code)
}

// base is an image with a shell.
func base(t testing.TB) images.Image {
	t.Helper()
	b := installertest.Base(t)
	sum := sha256.Sum256(b)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	l := images.NewLayer(images.Layer{Digest: digest, DiffID: digest, MediaType: "application/vnd.oci.image.layer.v1.tar", Size: int64(len(b))},
		func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil })
	return images.Image{Architecture: "amd64", OS: "linux", Layers: []images.Layer{l}}
}

// workshop is an installer with a provider.
type workshop struct {
	*Installer
	t      testing.TB
	folder string
	image  images.Image
	out    both
}

// both takes the two logs.
type both struct{ stdout, stderr buffer }

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
	on func(text string) // told after each write
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Write(p)
	if b.on != nil {
		b.on(b.b.String())
	}
	return len(p), nil
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func open(t testing.TB, l Limits) *workshop {
	t.Helper()
	if l.Memory == 0 {
		l.Memory = 128 << 20
	}
	if l.Disk == 0 {
		l.Disk = 64 << 20
	}
	w := &workshop{t: t, folder: filepath.Join(t.TempDir(), "installing"), image: base(t)}
	var err error
	w.Installer, err = New(Config{Machines: installertest.Machines(t, t.TempDir()), Folder: w.folder, Limits: l})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// run installs components; what went wrong with the logs around it is a fault of the test.
func (w *workshop) run(ctx context.Context, components ...Component) (*Result, error) {
	w.t.Helper()
	result, err := w.Run(ctx, Job{ID: "job", Image: w.image, Components: components, Stdout: &w.out.stdout, Stderr: &w.out.stderr})
	left, listed := w.config.Machines.List(context.WithoutCancel(ctx))
	if listed != nil || len(left) > 0 {
		w.t.Errorf("machines are left: %v, %v", left, listed)
	}
	return result, err
}

// fails wants a Failure with a code and something in its message.
func fails(t testing.TB, err error, code string, message ...string) {
	t.Helper()
	var failed *Failure
	if !errors.As(err, &failed) || failed.Code != code {
		t.Errorf("got %v, want a failure %s", err, code)
		return
	}
	for _, m := range message {
		if !strings.Contains(failed.Message, m) {
			t.Errorf("message %q, want %q in it", failed.Message, m)
		}
	}
}

// scripts is a component with a script for each phase.
func scripts(name string, phases ...string) Component {
	c := Component{Name: name, Document: []byte(installertest.Document(phases...))}
	for i := 0; i < len(phases); i += 2 {
		c.Phases = append(c.Phases, phases[i])
	}
	return c
}

// names are the entries of a layer.
func names(t testing.TB, l *images.LayerFile) []string {
	t.Helper()
	f, err := os.Open(l.File)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, h.Name)
	}
}

func TestComponentsAreInstalledInTheirOrder(t *testing.T) {
	t.Parallel()
	w := open(t, Limits{})
	first := scripts("Web Server", "build", "cat $SOUK_PRODUCT_FILES/web.conf >/opt/web.conf; echo installing; echo careful >&2", "validate", "test -s /opt/web.conf")
	first.Files = func(_ context.Context, folder string) error {
		return os.WriteFile(filepath.Join(folder, "web.conf"), []byte("port=80\n"), 0o644)
	}
	second := scripts("plugin", "build", "test -s /opt/web.conf && echo plugged >>/opt/web.conf", "test", "test $(tail -n1 /opt/web.conf) = plugged && echo tested && echo x >/opt/of-the-test")
	result, err := w.run(t.Context(), first, second)
	if err != nil {
		t.Fatalf("%v\n%s%s", err, w.out.stdout.String(), w.out.stderr.String())
	}
	if got := names(t, result.Layer); !slices.Equal(got, []string{"opt/", "opt/web.conf"}) {
		t.Errorf("the layer has %q", got)
	}
	out := w.out.stdout.String()
	order := []string{"== Web Server (component 1 of 2), phases: build, validate", "installing", "== plugin (component 2 of 2), phases: build", "== plugin (component 2 of 2), phases: test", "tested"}
	for at, want := range order {
		if i := strings.Index(out, want); i < 0 || at > 0 && i < strings.Index(out, order[at-1]) {
			t.Errorf("%q is not in its place in the output:\n%s", want, out)
		}
	}
	if !strings.Contains(w.out.stderr.String(), "careful") {
		t.Errorf("the error output is %q", w.out.stderr.String())
	}
	if err := errors.Join(result.Close(), result.Close()); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(w.folder); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}

func TestAnInstallationFailsForWhatTheComponentDoes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits    Limits
		component Component
		message   []string
	}{
		"a step exits with a status":   {Limits{}, scripts("bad", "build", "echo why >&2; exit 7"), []string{"component bad", "StepB", "7"}},
		"a phase after it":             {Limits{}, scripts("bad", "build", "true", "validate", "exit 3"), []string{"component bad", "StepV"}},
		"the test of the image":        {Limits{}, scripts("bad", "build", "true", "test", "exit 4"), []string{"component bad", "StepT"}},
		"it takes too long":            {Limits{Time: time.Second}, scripts("slow", "build", "sleep 100"), []string{"component slow", "timed out", "1s"}},
		"it takes too much memory":     {Limits{Memory: 64 << 20}, scripts("fat", "build", "tail /dev/zero"), []string{"component fat", "out of memory", "64 MiB"}},
		"it writes more than the disk": {Limits{Disk: 16 << 20}, scripts("wide", "build", "dd if=/dev/zero of=/opt/big bs=1M count=100"), []string{"component wide filled the disk", "16 MiB"}},
		"its words are no help then":   {Limits{Disk: 16 << 20}, scripts("wide", "build", "/bin/busybox head -c 100000000 /dev/zero >/tmp/big"), []string{"component wide filled the disk", "16 MiB"}},
		"a name that no layer has":     {Limits{}, scripts("odd", "build", "echo x >/opt/.wh.x"), []string{`What was installed makes no image: "opt/.wh.x": names that begin with .wh.`}},
		"no document":                  {Limits{}, Component{Name: "none", Phases: []string{"build"}, Document: []byte("no: document")}, []string{"component none"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, c.limits)
			result, err := w.run(t.Context(), c.component)
			fails(t, err, InstallFailed, c.message...)
			if result != nil {
				t.Error("there is a result")
			}
			if err != nil && !strings.Contains(w.out.stderr.String(), err.Error()) {
				t.Errorf("the error output does not end with the reason %q:\n%s", err, w.out.stderr.String())
			}
			if left, err := os.ReadDir(w.folder); err != nil || len(left) > 0 {
				t.Errorf("files are left: %v, %v", left, err)
			}
		})
	}
}

func TestAnImageThatCannotBeStartedHasNoAgent(t *testing.T) {
	t.Parallel()
	w := open(t, Limits{})
	text := []byte("no archive")
	sum := sha256.Sum256(text)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	w.image.Layers = append(w.image.Layers, images.NewLayer(images.Layer{Digest: digest, DiffID: digest, Size: int64(len(text))},
		func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }))
	_, err := w.run(t.Context(), scripts("any", "build", "true"))
	fails(t, err, SSMAgentNotFound)
}

// holes has files in every machine that are nearly nothing but holes.
type holes struct{ machine.Provider }

func (holes) Diff(context.Context, string, io.Writer) error {
	return fmt.Errorf("%w: the new layer: copying %q: decompression bomb", images.ErrBadImage, "opt/hole")
}

func TestALayerThatIsABombIsTheComponentsFault(t *testing.T) {
	t.Parallel()
	w := open(t, Limits{})
	w.config.Machines = holes{w.config.Machines}
	_, err := w.run(t.Context(), scripts("sparse", "build", "true"))
	fails(t, err, InstallFailed, `What was installed makes no image: the new layer: copying "opt/hole": decompression bomb.`)
}

func TestATrialMakesNoLayer(t *testing.T) {
	t.Parallel()
	w := open(t, Limits{})
	result, err := w.Run(t.Context(), Job{ID: "trial", Image: w.image, Trial: true, Components: []Component{scripts("any", "build", "echo x >/opt/x", "test", "test -s /opt/x")}})
	if err != nil || result.Layer != nil {
		t.Errorf("got %+v, %v", result, err)
	}
	_, err = w.Run(t.Context(), Job{ID: "trial", Image: w.image, Trial: true, Components: []Component{scripts("any", "build", "true", "test", "test -s /opt/x")}})
	fails(t, err, InstallFailed, "StepT")
	for _, phases := range [][]string{{"build", "echo x >/opt/.wh.x"}, {"build", "echo x >/opt/.wh.x", "test", "true"}} {
		_, err = w.Run(t.Context(), Job{ID: "trial", Image: w.image, Trial: true, Components: []Component{scripts("any", phases...)}})
		fails(t, err, InstallFailed, `makes no image: "opt/.wh.x"`)
	}
	if left, err := os.ReadDir(w.folder); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}

func TestAnInstallationEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := open(t, Limits{})
	why := errors.New("the server stops")
	ctx, cancel := context.WithCancelCause(t.Context())
	w.out.stdout.on = func(text string) {
		if strings.Contains(text, "begun") {
			cancel(why)
		}
	}
	if _, err := w.run(ctx, scripts("slow", "build", "echo begun; sleep 100")); !errors.Is(err, why) {
		t.Errorf("ended with %v", err)
	}
}

func TestWithoutMachinesNothingIsInstalled(t *testing.T) {
	t.Parallel()
	i, err := New(Config{Folder: t.TempDir()})
	if err == nil {
		err = i.Clean(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Run(t.Context(), Job{ID: "job"}); !errors.Is(err, ErrNoMachines) {
		t.Errorf("got %v", err)
	}
}

// TestWhatACrashLeftIsRemoved: machines of installations, and no others.
func TestWhatACrashLeftIsRemoved(t *testing.T) {
	t.Parallel()
	w := open(t, Limits{})
	ctx := t.Context()
	err := errors.Join(
		w.config.Machines.Create(ctx, "left", machine.Spec{Layers: w.image.Layers, Purpose: purpose + "old"}),
		w.config.Machines.Create(ctx, "other", machine.Spec{Layers: w.image.Layers, Purpose: "image builder"}),
		os.MkdirAll(filepath.Join(w.folder, "job-1", "files"), 0o700), os.WriteFile(filepath.Join(w.folder, "layer-1"), nil, 0o600),
		w.Clean(ctx),
	)
	if err != nil {
		t.Fatal(err)
	}
	all, err := w.config.Machines.List(ctx)
	if err != nil || len(all) != 1 || all[0].ID != "other" {
		t.Errorf("machines: %+v, %v", all, err)
	}
	if left, err := os.ReadDir(w.folder); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}

// TestFilesAreFoundFromEverywhere: who mounts them may be in another folder than
// this process, whose own was named from where it is.
func TestFilesAreFoundFromEverywhere(t *testing.T) {
	t.Chdir(t.TempDir())
	i, err := New(Config{Folder: "installing"})
	if err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(i.config.Folder) {
		t.Errorf("the folder is %s", i.config.Folder)
	}
}

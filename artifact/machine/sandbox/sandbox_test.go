package sandbox

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"souk/artifact/images"
	"souk/artifact/layer"
	"souk/artifact/machine"
)

// The test binary is the machines' first process.
func TestMain(m *testing.M) {
	Main(nil)
	os.Exit(m.Run())
}

// busybox is a root file system with a shell.
func busybox(t testing.TB) images.Layer {
	t.Helper()
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatalf("busybox is needed (Debian's package busybox-static): %v", err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h *tar.Header, content []byte) {
		h.Size = int64(len(content))
		err := w.WriteHeader(h)
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"bin/", "etc/", "root/"} {
		add(&tar.Header{Typeflag: tar.TypeDir, Name: d, Mode: 0o755}, nil)
	}
	add(&tar.Header{Typeflag: tar.TypeReg, Name: "bin/busybox", Mode: 0o755}, program)
	for _, name := range strings.Fields("sh cat echo sleep ls id ps mkdir rm dd touch true false stty hostname chown mknod mount unshare readlink wget stat env kill head yes wc setsid test tail df ifconfig grep printf") {
		add(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + name, Linkname: "busybox", Mode: 0o777}, nil)
	}
	add(&tar.Header{Typeflag: tar.TypeReg, Name: "etc/passwd", Mode: 0o644}, []byte("root:x:0:0:root:/root:/bin/sh\nshop:x:1000:1000::/home/shop:/bin/sh\n"))
	add(&tar.Header{Typeflag: tar.TypeReg, Name: "etc/group", Mode: 0o644}, []byte("root:x:0:\nshop:x:1000:\nstaff:x:50:shop\n"))
	err = w.Close()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b.Bytes())
	digest := "sha256:" + hex.EncodeToString(sum[:])
	return images.NewLayer(images.Layer{Digest: digest, DiffID: digest, MediaType: "application/vnd.oci.image.layer.v1.tar", Size: int64(b.Len())},
		func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
}

// open opens a provider on a folder; its cache is beside it.
func open(t testing.TB, root string, change func(*Config)) *Sandbox {
	t.Helper()
	c := Config{Root: filepath.Join(root, "machines")}
	if change != nil {
		change(&c)
	}
	shift, rootless := Layers(c.Shift)
	cache, err := layer.New(layer.Config{Root: filepath.Join(root, "layers"), Shift: shift, Rootless: rootless})
	if err != nil {
		t.Fatal(err)
	}
	c.Cache = cache
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := errors.Join(s.Close(), cache.Close())
		if err != nil {
			t.Error(err)
		}
	})
	return s
}

// start makes and starts a machine of busybox.
func start(t testing.TB, s *Sandbox, id string, change func(*machine.Spec)) {
	t.Helper()
	spec := machine.Spec{Layers: []images.Layer{busybox(t)}, Memory: 128 << 20, Disk: 64 << 20, Pids: 100}
	if change != nil {
		change(&spec)
	}
	err := s.Create(t.Context(), id, spec)
	if err == nil {
		err = s.Start(t.Context(), id)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// sh runs a script and returns its output.
func sh(t testing.TB, s *Sandbox, id, script string) (string, machine.Exit) {
	t.Helper()
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	exit, err := s.Exec(ctx, id, machine.Cmd{Args: []string{"sh", "-c", script}, Stdout: &out, Stderr: &out})
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out.String())
	}
	return out.String(), exit
}

func TestAMachineLives(t *testing.T) {
	t.Parallel()
	s := open(t, folder(t), nil)
	start(t, s, "m", nil)
	out, exit := sh(t, s, "m", "id; hostname; echo $HOME; echo written >/root/file; exit 3")
	if exit.Code != 3 || !strings.HasPrefix(out, "uid=0(root) gid=0(root)") || !strings.Contains(out, "\nmachine\n/root\n") {
		t.Errorf("got %q, %+v", out, exit)
	}
	err := s.Stop(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	var diff bytes.Buffer
	err = s.Diff(t.Context(), "m", &diff)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(&diff); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
	if got := strings.Join(names, " "); got != "root/ root/file" {
		t.Errorf("the layer has %s", got)
	}
	err = s.Start(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	out, _ = sh(t, s, "m", "cat /root/file")
	if out != "written\n" {
		t.Errorf("the disk was not kept: %q", out)
	}
	err = s.Delete(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	_, err = os.Stat(filepath.Join(s.config.Root, machinesFolder, "m"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder is still there: %v", err)
	}
}

// folder makes a folder of a test; machines of ordinary users may close what is in it.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "souk-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := layer.Remove(dir)
		if err != nil {
			t.Error(err)
		}
	})
	return dir
}

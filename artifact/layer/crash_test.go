package layer_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	. "souk/artifact/archive/archivetest"
	"souk/artifact/images"
	"souk/artifact/layer"
)

// many is a layer of many files.
func many() []byte {
	all := []Entry{}
	for n := range 300 {
		all = append(all, File(fmt.Sprintf("d%d/f%d", n%17, n), strings.Repeat("x", n*10)))
	}
	return Tar(all...)
}

// stops gives half of the bytes, says so, and nothing more.
type stops struct {
	r    io.Reader
	left int
}

func (s *stops) Read(p []byte) (int, error) {
	if s.left <= 0 {
		fmt.Println("half")
		select {}
	}
	n, err := s.r.Read(p[:min(len(p), s.left, 4096)])
	s.left -= n
	return n, err
}

func (s *stops) Close() error { return nil }

// unpackUntilKilled is the process that TestAProcessThatIsKilledLeavesNothing kills.
func unpackUntilKilled(dir string) {
	b := many()
	l, err := images.LayerOf(seen{static.NewLayer(b, types.OCILayer), new(atomic.Int32), func(r io.ReadCloser) io.ReadCloser { return &stops{r, len(b) / 2} }})
	if err == nil {
		var c *layer.Cache
		c, err = layer.New(config(dir))
		if err == nil {
			_, _, err = c.Get(context.Background(), []images.Layer{l})
		}
	}
	fmt.Println(err)
	os.Exit(1)
}

func TestAProcessThatIsKilledLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "layers")
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), asks+"=unpack "+dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, _ := bufio.NewReader(out).ReadString('\n')
	cmd.Process.Kill()
	cmd.Wait()
	if line != "half\n" {
		t.Fatalf("the process says %q", line)
	}
	if all := folders(t, dir); len(all) != 1 || !strings.HasPrefix(all[0], "new-") {
		t.Fatalf("the killed process has left %q", all)
	}
	c := open(t, config(dir))
	if all := folders(t, dir); len(all) > 0 {
		t.Errorf("%q stay", all)
	}
	tree := get(t, c, plain(t, many()))
	if len(look(t, tree)) != 317 {
		t.Errorf("the layer has %d files", len(look(t, tree)))
	}
}

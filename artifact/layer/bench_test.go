package layer_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "souk/artifact/archive/archivetest"
	"souk/artifact/images"
	"souk/artifact/layer"
)

// system is a layer as a small Debian system is: 9,000 files of 170 MB, most of
// them small, that compress to a third.
func system() []byte {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 1<<20)
	for n := range noise {
		noise[n] = "etaoin shrdlu\n\x00\x7f"[r.IntN(16)]
	}
	var all []Entry
	for n := range 9000 {
		size := r.IntN(8 << 10)
		if n%60 == 0 {
			size = r.IntN(1_800_000)
		}
		data := string(noise[r.IntN(1<<19):])
		all = append(all, File(fmt.Sprintf("usr/share/p%d/d%d/f%d", n/30, n/6%5, n), strings.Repeat(data, size/len(data)+1)[:size]))
	}
	return Tar(all...)
}

func BenchmarkUnpack(b *testing.B) {
	tar := system()
	stored := stored(b, Gzip(tar), digest(tar))
	b.Run("cache", func(b *testing.B) {
		b.SetBytes(int64(len(tar)))
		for b.Loop() {
			b.StopTimer()
			c, err := layer.New(config(filepath.Join(b.TempDir(), "layers")))
			must(b, err)
			b.StartTimer()
			_, release, err := c.Get(b.Context(), []images.Layer{stored})
			b.StopTimer()
			must(b, err)
			release()
			must(b, c.Close())
			b.StartTimer()
		}
	})
	b.Run("tar", func(b *testing.B) {
		file := filepath.Join(b.TempDir(), "layer.tar.gz")
		r, err := stored.Open(b.Context())
		must(b, err)
		out, err := os.Create(file)
		must(b, err)
		_, err = io.Copy(out, r)
		must(b, err)
		must(b, out.Close())
		b.SetBytes(int64(len(tar)))
		for b.Loop() {
			b.StopTimer()
			dir := b.TempDir()
			b.StartTimer()
			out, err := exec.Command("tar", "-xzf", file, "-C", dir).CombinedOutput()
			if err != nil {
				b.Fatalf("%v: %s", err, out)
			}
		}
	})
}

func BenchmarkDiff(b *testing.B) {
	tar := system()
	c := open(b, config(filepath.Join(b.TempDir(), "layers")))
	dirs, release, err := c.Get(b.Context(), []images.Layer{plain(b, tar)})
	must(b, err)
	defer release()
	b.SetBytes(int64(len(tar)))
	for b.Loop() {
		_, err = layer.Diff(b.Context(), io.Discard, dirs[0], options())
		must(b, err)
	}
}

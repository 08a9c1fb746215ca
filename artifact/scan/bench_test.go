package scan_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"souk/artifact/scan"
	"souk/artifact/scan/scantest"
	"souk/catalog/change"
)

const (
	imageSize    = 170 << 20 // bytes of the files of a large Debian image
	packageCount = 3000
)

// large is an image of about imageSize bytes: files of sizes and contents as a
// root file system has them, a third of them programs, and a database of
// packageCount packages. It lies on the disk, so that memory is the scanner's.
func large(b *testing.B) scan.Image {
	b.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	var status strings.Builder
	for i := range packageCount {
		fmt.Fprintf(&status, "Package: pkg%d\nStatus: install ok installed\nPriority: optional\nSection: libs\nInstalled-Size: 123\nMaintainer: Nobody <nobody@example.com>\nArchitecture: amd64\nMulti-Arch: same\nSource: src%d\nVersion: 1.%d-1\nDepends: libc6 (>= 2.34), pkg%d\nDescription: a package\n that has a long description\n over a few lines\nHomepage: https://example.com\n\n", i, i/2, i%7, i/3)
	}
	file, err := os.Create(filepath.Join(b.TempDir(), "layer"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	z, _ := gzip.NewWriterLevel(file, gzip.BestSpeed)
	w := tar.NewWriter(z)
	put := func(name string, content []byte) {
		err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(content)), Mode: 0o644})
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	put("etc/os-release", []byte("ID=debian\nVERSION_ID=\"12\"\n"))
	put("var/lib/dpkg/status", []byte(status.String()))
	text := bytes.Repeat([]byte("The quick brown fox jumps over the lazy dog, 0123456789.\n"), 40_000)
	random := make([]byte, 2<<20)
	for i := range random {
		random[i] = byte(r.Uint32() >> (r.UintN(3) * 2)) // compresses as programs do
	}
	for i, total := 0, 0; total < imageSize; i++ {
		size := 200 + r.IntN(24<<10)
		content := text[r.IntN(1000):][:size]
		name := fmt.Sprintf("usr/share/dir%d/file%d.txt", i%200, i)
		if i%40 == 0 {
			size = 100<<10 + r.IntN(1<<20)
			content = append([]byte("\x7fELF"), random[r.IntN(1<<19):][:size]...)
			name = fmt.Sprintf("usr/lib/x86_64-linux-gnu/lib%d.so", i)
		}
		put(name, content)
		total += len(content)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
	info, err := file.Stat()
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d MB compressed", info.Size()>>20)
	path := file.Name()
	return scantest.Image(scan.Layer{Digest: "sha256:large", Open: func(context.Context) (io.ReadCloser, error) { return os.Open(path) }})
}

// loadMany imports advisories for every third source of the image, four for each.
func loadMany(b *testing.B, r *room) {
	b.Helper()
	dir := b.TempDir()
	for i := range packageCount / 6 {
		for j := range 4 {
			text := fmt.Sprintf(`{"id": "CVE-2026-%d", "modified": "2026-01-01T00:00:00Z", "summary": "something is wrong",
				"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
				"affected": [{"package": {"ecosystem": "Debian:12", "name": "src%d"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.%d-1"}]}]}]}`, i*4+j, i*3, 2*j)
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-%d.json", i, j)), []byte(text), 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
	if _, err := r.advisories.Import(b.Context(), dir); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkCold reads all layers of a large image. What must hold: 3 seconds.
func BenchmarkCold(b *testing.B) {
	image := large(b)
	for b.Loop() {
		b.StopTimer()
		r := open(b, scantest.Images{image.Digest: image}, "")
		loadMany(b, r)
		b.StartTimer()
		benchmarkScan(b, r, image.Digest)
	}
	b.SetBytes(imageSize)
}

// BenchmarkKnown scans a large image whose layers are known. What must hold: 50
// milliseconds.
func BenchmarkKnown(b *testing.B) {
	image := large(b)
	r := open(b, scantest.Images{image.Digest: image}, "")
	loadMany(b, r)
	benchmarkScan(b, r, image.Digest)
	for b.Loop() {
		benchmarkScan(b, r, image.Digest)
	}
}

func benchmarkScan(b *testing.B, r *room, digest string) {
	b.Helper()
	got, err := r.ScanAMI(b.Context(), scantest.Target, change.AMI{ID: "ami-1", Digest: digest})
	if err != nil {
		b.Fatal(err)
	}
	if len(got.Findings) == 0 {
		b.Fatal("nothing was found")
	}
}

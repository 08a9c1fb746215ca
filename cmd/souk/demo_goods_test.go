package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
)

func TestTheDemosImageHasTwoLayersAndAProgramThatRuns(t *testing.T) {
	t.Parallel()
	img, err := demoImage("1.0")
	if err != nil {
		t.Fatalf("building the image: %v", err)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 2 {
		t.Fatalf("the image has %d layers (%v), want 2", len(layers), err)
	}
	content, err := layers[1].Uncompressed()
	if err != nil {
		t.Fatalf("reading the second layer: %v", err)
	}
	defer content.Close()
	files := tar.NewReader(content)
	header, err := files.Next()
	if err != nil || header.Name != "usr/local/bin/query" {
		t.Fatalf("the first file is %v (%v), want the program", header, err)
	}
	program, err := io.ReadAll(files)
	if err != nil {
		t.Fatalf("reading the program: %v", err)
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return // the program is one for linux/amd64
	}
	name := filepath.Join(t.TempDir(), "query")
	err = os.WriteFile(name, program, 0o755)
	if err != nil {
		t.Fatalf("writing the program: %v", err)
	}
	out, err := exec.Command(name).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "Acme Query 1.0") {
		t.Fatalf("the program said %q (%v)", out, err)
	}
}

func TestTheDemosChartLoads(t *testing.T) {
	t.Parallel()
	packed, err := demoChart("1.0.0", "127.0.0.1:8470/acme/query:1.0")
	if err != nil {
		t.Fatalf("building the chart: %v", err)
	}
	c, err := loader.LoadArchive(bytes.NewReader(packed))
	if err != nil {
		t.Fatalf("loading the chart: %v", err)
	}
	if err := c.Validate(); err != nil {
		t.Fatalf("the chart is not valid: %v", err)
	}
	if c.Name() != chartName || len(c.Templates) != 1 || c.Values["replicas"] == nil {
		t.Fatalf("the chart is %s with %d templates and values %v", c.Name(), len(c.Templates), c.Values)
	}
}

// The members of a package are read as deb(5) has them; that dpkg installs it is
// seen by the scripts.
func TestTheDemosPackageHasItsThreeMembers(t *testing.T) {
	t.Parallel()
	content, err := demoPackage()
	if err != nil {
		t.Fatalf("building the package: %v", err)
	}
	rest, ok := bytes.CutPrefix(content, []byte("!<arch>\n"))
	if !ok {
		t.Fatal("the package is no archive of ar")
	}
	var names []string
	for len(rest) > 0 {
		var size int
		_, err := fmt.Sscanf(string(rest[48:58]), "%d", &size)
		if err != nil || string(rest[58:60]) != "`\n" {
			t.Fatalf("a header is %q (%v)", rest[:60], err)
		}
		names = append(names, strings.TrimSpace(string(rest[:16])))
		rest = rest[60+size+size%2:]
	}
	if got := strings.Join(names, " "); got != "debian-binary control.tar.gz data.tar.gz" {
		t.Errorf("the package has the members %s", got)
	}
}

func TestTheDemosLogoIsAPicture(t *testing.T) {
	t.Parallel()
	logo, err := demoLogo()
	if err != nil {
		t.Fatalf("painting the logo: %v", err)
	}
	picture, err := png.Decode(bytes.NewReader(logo))
	if err != nil {
		t.Fatalf("decoding the logo: %v", err)
	}
	if b := picture.Bounds(); b.Dx() != b.Dy() || b.Dx() < 120 {
		t.Fatalf("the logo is %v", b)
	}
}

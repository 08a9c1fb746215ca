package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// The product that is installed: a Debian package, and a script that does what
// installers do beside unpacking it.
const (
	productFiles = 500    // of the package, beside its program
	productBytes = 10_000 // of each of them, on average
	productDeb   = "bench-tool.deb"
	productSetup = "install.sh"
)

// installScript is run as root with the folder of its own files as its argument.
const installScript = `set -e
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
dpkg -i "$1"/` + productDeb + `
useradd --system --create-home --home-dir /var/lib/bench-tool --shell /usr/sbin/nologin bench-tool
chown -R bench-tool: /var/lib/bench-tool
chmod 4755 /usr/bin/bench-tool
su -s /bin/sh bench-tool -c 'bench-tool >/var/lib/bench-tool/made'
perl -pi -e 's/^mode=.*/mode=production/' /etc/bench-tool.conf
rm -rf /usr/share/doc/bench-tool
ldconfig
`

// writeProduct writes the package and the script to a folder.
func writeProduct(folder string) error {
	deb, err := os.Create(filepath.Join(folder, productDeb))
	if err != nil {
		return err
	}
	err = errors.Join(writeDeb(deb), deb.Close())
	if err != nil {
		return fmt.Errorf("writing the package: %w", err)
	}
	return os.WriteFile(filepath.Join(folder, productSetup), []byte(installScript), 0o755)
}

// writeDeb writes the package: an ar archive of its version and two archives
// (deb(5)).
func writeDeb(w io.Writer) error {
	control, err := packed([]entry{
		{"./control", 0o644, fmt.Sprintf("Package: bench-tool\nVersion: 1.0\nArchitecture: %s\nMaintainer: Bench <bench@example.com>\nDescription: a product\n", runtime.GOARCH)},
		{"./conffiles", 0o644, "/etc/bench-tool.conf\n"},
		{"./postinst", 0o755, "#!/bin/sh\nset -e\nmkdir -p /var/lib/bench-tool\n"},
	})
	if err != nil {
		return err
	}
	files := []entry{
		{"./etc/bench-tool.conf", 0o644, "mode=test\n"},
		{"./usr/bin/bench-tool", 0o755, "#!/bin/sh\nid -un\n"},
		{"./usr/share/doc/bench-tool/changelog", 0o644, "* The first version.\n"},
	}
	// Half of what a compressor could not shorten, as programs and data are.
	random := rand.New(rand.NewPCG(1, 2))
	for i := range productFiles {
		noise := make([]byte, random.IntN(productBytes))
		for j := range noise {
			noise[j] = byte(random.Uint32())
		}
		files = append(files, entry{fmt.Sprintf("./usr/share/bench-tool/part%d/file%d", i%20, i), 0o644, hex.EncodeToString(noise)})
	}
	data, err := packed(files)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, "!<arch>\n")
	for _, m := range []struct{ name, content string }{{"debian-binary", "2.0\n"}, {"control.tar.gz", control}, {"data.tar.gz", data}} {
		if err == nil {
			_, err = fmt.Fprintf(w, "%-16s%-12d%-6d%-6d%-8o%-10d`\n%s%s", m.name, 0, 0, 0, 0o100644, len(m.content), m.content, strings.Repeat("\n", len(m.content)%2))
		}
	}
	return err
}

// entry is a file of an archive.
type entry struct {
	name    string
	mode    int64
	content string
}

// packed is an archive of files, and of the folders that they lie in.
func packed(files []entry) (string, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	seen := map[string]bool{}
	var folder func(name string) error
	folder = func(name string) error {
		if name == "." || seen[name] {
			return nil
		}
		seen[name] = true
		err := folder(path.Dir(name))
		if err != nil {
			return err
		}
		return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "./" + name + "/", Mode: 0o755})
	}
	for _, f := range files {
		err := folder(path.Dir(f.name))
		if err == nil {
			err = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.content))})
		}
		if err == nil {
			_, err = io.WriteString(w, f.content)
		}
		if err != nil {
			return "", fmt.Errorf("packing %s: %w", f.name, err)
		}
	}
	err := errors.Join(w.Close(), z.Close())
	return b.String(), err
}

package main

import (
	"bytes"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
)

// This file makes what the demo has installed: a package as dpkg takes it, and
// the document of the component that installs it.

// The package.
const (
	packageName = "acme-agent"
	packageFile = packageName + "_1.0_all.deb"
)

// packageControl is what dpkg keeps of the package.
const packageControl = `Package: ` + packageName + `
Version: 1.0
Architecture: all
Maintainer: Acme Analytics <support@example.com>
Section: misc
Priority: optional
Installed-Size: 8
Description: Says that Acme Query is near
 It was made by souk demo.
`

// packagePostinst makes a user for the program, and a folder that is hers. The
// dpkg of busybox does not say configure, and the machines of a market that an
// ordinary user runs have one user.
const packagePostinst = `#!/bin/sh
set -e
[ "${1:-configure}" = configure ] || exit 0
if ! grep -q '^` + packageName + `:' /etc/passwd; then
    if command -v useradd >/dev/null; then
        useradd --system --home-dir /var/lib/` + packageName + ` --shell /bin/false ` + packageName + `
    else
        echo '` + packageName + `:x:990:990::/var/lib/` + packageName + `:/bin/false' >>/etc/passwd
        echo '` + packageName + `:x:990:' >>/etc/group
    fi
fi
mkdir -p /var/lib/` + packageName + `
chown ` + packageName + ` /var/lib/` + packageName + ` 2>/dev/null || echo "no user but root is here: the folder is root's"
`

// demoPackage builds the package, as dpkg-deb --build does.
func demoPackage() ([]byte, error) {
	control, err := gzipped([]file{
		{"./control", 0o644, packageControl},
		{"./postinst", 0o755, packagePostinst},
	})
	if err != nil {
		return nil, err
	}
	data, err := gzipped([]file{
		{"./", 0o755, ""},
		{"./usr/", 0o755, ""},
		{"./usr/bin/", 0o755, ""},
		{"./usr/bin/" + packageName, 0o755, "#!/bin/sh\necho \"Acme Agent 1.0 is here, on $(uname -m).\"\n"},
	})
	if err != nil {
		return nil, err
	}
	// deb(5): an ar archive of three members.
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	for _, m := range []struct {
		name string
		body []byte
	}{{"debian-binary", []byte("2.0\n")}, {"control.tar.gz", control}, {"data.tar.gz", data}} {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", m.name, demoTime.Unix(), 0, 0, "100644", len(m.body))
		b.Write(m.body)
		if len(m.body)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.Bytes(), nil
}

// packageArtifact wraps the package in a manifest, as oras push does.
func packageArtifact(content []byte) (v1.Image, error) {
	layer := static.NewLayer(content, "application/vnd.debian.binary-package")
	return wrapped(layer, "application/vnd.oci.empty.v1+json", []byte("{}"), map[string]string{"org.opencontainers.image.title": packageFile})
}

// packageInstaller is the component document that installs the package.
const packageInstaller = `name: InstallAcmeAgent
schemaVersion: 1.0
phases:
  - name: build
    steps:
      - name: Install
        action: ExecuteBash
        inputs:
          commands:
            - dpkg -i "{{ souk.files }}/` + packageFile + `"
  - name: validate
    steps:
      - name: Runs
        action: ExecuteBinary
        inputs: {path: /usr/bin/` + packageName + `}
`

package scantest

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"souk/artifact/scan"
	"souk/catalog/change"
)

// Setup is what a scanner under test is made of.
type Setup struct {
	// Images is where it finds the images of the suite.
	Images scan.Images
	// Advisories is a folder of OSV files that it knows; "" if it knows none.
	Advisories string
}

// advisories are what the suite's scanners know.
var advisories = map[string]string{
	"DSA-1.json": `{"id": "DSA-1", "modified": "2026-01-02T00:00:00Z", "aliases": ["CVE-2026-1"], "summary": "lamp burns",
		"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
		"affected": [{"package": {"ecosystem": "Debian:12", "name": "lamp-src"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0-1"}]}]}]}`,
	"DSA-2.json": `{"id": "DSA-2", "modified": "2026-01-03T00:00:00Z", "summary": "lamp flickers",
		"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"}],
		"affected": [{"package": {"ecosystem": "Debian:12", "name": "lamp-src"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "2.0-1"}, {"fixed": "3.0-1"}]}]}]}`,
	"ALPINE-1.json": `{"id": "ALPINE-1", "modified": "2026-01-04T00:00:00Z", "database_specific": {"severity": "HIGH"},
		"affected": [{"package": {"ecosystem": "Alpine:v3.22", "name": "torch-src"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2.3-r4"}]}]}]}`,
}

// Advisories writes the OSV files that Run's scanners know into a folder.
func Advisories(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range advisories {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatalf("writing advisories: %v", err)
		}
	}
	return dir
}

// Target is for whom the suite scans.
var Target = change.ScanTarget{Seller: change.Seller{Account: "111122223333", Namespace: "seller"}, ChangeSet: "set1", EntityID: "prod-1", Subject: "Lamp 1.0"}

// Run checks a scanner with the policy that holds where an operator gave none.
// start makes one for each test.
func Run(t *testing.T, start func(t *testing.T, s Setup) change.Scanner) {
	t.Helper()
	for name, c := range cases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			images := Images{}
			s := Setup{Images: images}
			if !c.unloaded {
				s.Advisories = Advisories(t)
			}
			scanner := start(t, s)
			digest := images.Add(Image(c.layers...))
			for _, kind := range []string{"AMI", "container image"} {
				refused := c.refused
				if kind == "AMI" && c.containers {
					refused = nil
				}
				got := Scan(t, scanner, kind, digest)
				Check(t, kind, got, refused)
				again := Scan(t, scanner, kind, digest)
				Check(t, kind+", scanned again", again, refused)
				if got.Assessment == "" || got.Assessment != again.Assessment {
					t.Errorf("%s: the same scan has the assessments %q and %q", kind, got.Assessment, again.Assessment)
				}
			}
		})
	}
	t.Run("a stream that fails is our failure", func(t *testing.T) {
		t.Parallel()
		images := Images{}
		scanner := start(t, Setup{Images: images})
		broken := errors.New("disk on fire")
		digest := images.Add(Image(Failing(broken, File{Name: "data", Content: strings.Repeat("x", 100_000)})))
		_, err := scanner.ScanAMI(t.Context(), Target, change.AMI{ID: "ami-1", Digest: digest})
		if !errors.Is(err, broken) {
			t.Errorf("the error is %v, want one of the stream", err)
		}
	})
	t.Run("an image that is not there is passed on", func(t *testing.T) {
		t.Parallel()
		scanner := start(t, Setup{Images: Images{}})
		_, err := scanner.ScanImage(t.Context(), Target, "uri", "sha256:0")
		if !errors.Is(err, change.ErrImageNotFound) {
			t.Errorf("the error of an image is %v", err)
		}
		_, err = scanner.ScanAMI(t.Context(), Target, change.AMI{ID: "ami-1"})
		if !errors.Is(err, change.ErrAMIUnreadable) {
			t.Errorf("the error of an AMI is %v", err)
		}
	})
	t.Run("a caller who has gone is not scanned for", func(t *testing.T) {
		t.Parallel()
		images := Images{}
		scanner := start(t, Setup{Images: images})
		digest := images.Add(Image(Layer(Debian("1")...)))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := scanner.ScanAMI(ctx, Target, change.AMI{ID: "ami-1", Digest: digest})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
	})
}

// Scan scans an image as a "container image" or as an "AMI".
func Scan(t testing.TB, s change.Scanner, kind, digest string) change.Scan {
	t.Helper()
	var (
		got change.Scan
		err error
	)
	if kind == "AMI" {
		got, err = s.ScanAMI(t.Context(), Target, change.AMI{ID: "ami-0123456789abcdef0", Digest: digest})
	} else {
		got, err = s.ScanImage(t.Context(), Target, "uri", digest)
	}
	if err != nil {
		t.Fatalf("scanning an %s: %v", kind, err)
	}
	return got
}

// Check compares the findings that refuse with words that must be in them, one
// text for each.
func Check(t testing.TB, kind string, got change.Scan, want []string) {
	t.Helper()
	left := slices.Clone(got.Findings)
	for _, w := range want {
		i := slices.IndexFunc(left, func(f string) bool { return strings.Contains(f, w) })
		if i < 0 {
			t.Errorf("%s: no finding says %q: %q", kind, w, got.Findings)
			continue
		}
		left = slices.Delete(left, i, i+1)
	}
	if len(left) > 0 {
		t.Errorf("%s: nobody expects %q", kind, left)
	}
	if (got.Report != "") != (len(want) > 0) {
		t.Errorf("%s: its report is at %q", kind, got.Report)
	}
}

// sample is an image and what refuses it.
type sample struct {
	layers     []scan.Layer
	refused    []string // words of each finding
	containers bool     // it refuses container images alone
	unloaded   bool     // no advisories are known
}

func cases() map[string]sample {
	key := File{Name: "root/.ssh/id_ed25519", Content: PrivateKey()}
	with := func(files ...File) []scan.Layer { return []scan.Layer{Layer(append(Debian("3.0-1"), files...)...)} }
	gone := func(name string) scan.Layer { return Layer(File{Name: name}) }
	large := strings.Repeat("0123456789abcdef", 100_000)
	return map[string]sample{
		"a mended package":                  {layers: with()},
		"a grave vulnerability":             {layers: []scan.Layer{Layer(Debian("1.9-1")...)}, refused: []string{"DSA-1"}},
		"a slight vulnerability":            {layers: []scan.Layer{Layer(Debian("2.0-1")...)}},
		"a version just before the fix":     {layers: []scan.Layer{Layer(Debian("2.0-1~rc1")...)}, refused: []string{"fixed in 2.0-1"}},
		"a vulnerability of Alpine":         {layers: []scan.Layer{Layer(Alpine("1.2.3-r3")...)}, refused: []string{"ALPINE-1"}},
		"a mended package of Alpine":        {layers: []scan.Layer{Layer(Alpine("1.2.3-r10")...)}},
		"nothing is known":                  {layers: []scan.Layer{Layer(Debian("1.0-1")...)}, unloaded: true},
		"a package that was updated":        {layers: []scan.Layer{Layer(Debian("1.0-1")...), Layer(Status("3.0-1"))}},
		"a package that was made old":       {layers: []scan.Layer{Layer(Debian("3.0-1")...), Layer(Status("1.0-1"))}, refused: []string{"DSA-1"}},
		"a database that was deleted":       {layers: []scan.Layer{Layer(Debian("1.0-1")...), gone("var/lib/dpkg/.wh.status")}},
		"a database whose folder was":       {layers: []scan.Layer{Layer(Debian("1.0-1")...), gone("var/lib/.wh.dpkg")}},
		"a database in an emptied folder":   {layers: []scan.Layer{Layer(Debian("1.0-1")...), gone("var/lib/dpkg/.wh..wh..opq")}},
		"a database whose folder is a file": {layers: []scan.Layer{Layer(Debian("1.0-1")...), Layer(File{Name: "var/lib", Content: "x"})}},
		"a neighbour was deleted":           {layers: []scan.Layer{Layer(Debian("1.0-1")...), gone("var/lib/dpkg/.wh.status-old")}, refused: []string{"DSA-1"}},
		"a private key":                     {layers: with(key), refused: []string{"/root/.ssh/id_ed25519"}},
		"a key that was deleted":            {layers: append(with(key), gone("root/.ssh/.wh.id_ed25519")), refused: []string{"/root/.ssh/id_ed25519"}, containers: true},
		"a private key in JSON":             {layers: with(File{Name: "opt/gcp.json", Content: `{"private_key": "` + strings.ReplaceAll(PrivateKey(), "\n", `\n`) + `"}`}), refused: []string{"/opt/gcp.json"}},
		"a private key's mark alone":        {layers: with(File{Name: "opt/reader.py", Content: `if line == "-----BEGIN RSA PRIVATE KEY-----": return True`})},
		"a public key":                      {layers: with(File{Name: "etc/ssl/cert.pem", Content: strings.ReplaceAll(PrivateKey(), "PRIVATE", "PUBLIC")})},
		"an authorized key":                 {layers: with(File{Name: "home/admin/.ssh/authorized_keys", Content: "# mine\nssh-ed25519 AAAAC3Nz admin\n"}), refused: []string{"authorized_keys"}},
		"an empty authorized_keys":          {layers: with(File{Name: "root/.ssh/authorized_keys", Content: "# nobody\n\n"})},
		"a password":                        {layers: with(File{Name: "etc/shadow", Content: "root:*:1:0::::\nadmin:$y$j9T$abc$def:1::::::\n"}), refused: []string{"admin"}},
		"an empty password":                 {layers: with(File{Name: "etc/shadow", Content: "root::1:0::::\n"}), refused: []string{"without a password: root"}},
		"locked passwords":                  {layers: with(File{Name: "etc/shadow", Content: "root:*:1\na:!:1\nb:!!:1\nc:!$6$x$y:1\n"}, File{Name: "etc/passwd", Content: "root:x:0:0::/root:/bin/sh\n"})},
		"a cloud's key":                     {layers: with(File{Name: "root/.aws/credentials", Content: "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n"}), refused: []string{"/root/.aws/credentials"}},
		"a cloud's key in a script":         {layers: with(File{Name: "opt/deploy.sh", Content: "export AWS_ACCESS_KEY_ID=AKIAQWERTYUIOPASDFGH\nexport AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYabcdefghij\n"}), refused: []string{"/opt/deploy.sh"}},
		"a key id without its secret":       {layers: with(File{Name: "opt/deploy.sh", Content: "ID=AKIAQWERTYUIOPASDFGH\n"})},
		"malware":                           {layers: with(File{Name: "opt/tool", Content: EICAR()}), refused: []string{"/opt/tool"}},
		"malware in a large file":           {layers: with(File{Name: "opt/data.bin", Content: large[:1<<20-20] + EICAR() + large}), refused: []string{"/opt/data.bin"}},
		"malware that was deleted":          {layers: append(with(File{Name: "opt/tool", Content: EICAR()}), gone("opt/.wh.tool")), refused: []string{"/opt/tool"}, containers: true},
		"a path that leaves the layer":      {layers: []scan.Layer{Layer(File{Name: "../etc/passwd", Content: "x"})}, refused: []string{"../etc/passwd"}},
		"an absolute path":                  {layers: []scan.Layer{Layer(File{Name: "/etc/passwd", Content: "x"})}, refused: []string{"/etc/passwd"}},
		"a device":                          {layers: []scan.Layer{Layer(File{Name: "dev/sda", Type: tar.TypeBlock})}, refused: []string{"dev/sda"}},
		"a layer that is cut off":           {layers: []scan.Layer{Raw(Tar(File{Name: "data", Content: large})[:1<<20])}, refused: []string{"cut off"}},
		"a layer that is no archive":        {layers: []scan.Layer{Raw([]byte(large))}, refused: []string{"layer"}},
		"a bomb":                            {layers: []scan.Layer{Raw(bytes.Repeat(Gzip(make([]byte, 200<<20)), 6))}, refused: []string{"layer"}},
		"what came before a bad entry":      {layers: []scan.Layer{Layer(key, File{Name: "/x", Content: "x"})}, refused: []string{"id_ed25519", "absolute"}},
		"names that are no text":            {layers: with(File{Name: "opt/\xff\xfe.conf", Content: PrivateKey()}), refused: []string{"private key"}},
		"an empty layer":                    {layers: []scan.Layer{Layer()}},
	}
}

package proxy

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// repository answers as a Debian repository with one package, and as a plain file
// server for curl and wget.
func repository() http.HandlerFunc {
	deb := []byte("!<arch>\nnot a package, but apt-get download looks at its sum alone\n")
	var index bytes.Buffer
	z := gzip.NewWriter(&index)
	packages := fmt.Sprintf("Package: hello-souk\nVersion: 1.0\nArchitecture: all\nMaintainer: Nobody <nobody@example.com>\nDescription: says hello\nFilename: ./hello-souk_1.0_all.deb\nSize: %d\nSHA256: %x\n\n", len(deb), sha256.Sum256(deb))
	z.Write([]byte(packages))
	z.Close()
	release := fmt.Sprintf("Origin: souk\nSuite: stable\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n %x %d Packages\n %x %d Packages.gz\n",
		sha256.Sum256([]byte(packages)), len(packages), sha256.Sum256(index.Bytes()), index.Len())
	files := map[string][]byte{"/Release": []byte(release), "/Packages": []byte(packages), "/Packages.gz": index.Bytes(), "/hello-souk_1.0_all.deb": deb}
	return func(w http.ResponseWriter, r *http.Request) {
		b, ok := files[path.Clean(r.URL.Path)] // apt asks for /./Packages
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Write(b)
	}
}

// run runs a program that knows of the proxy by its environment alone.
func run(t *testing.T, dir, proxy string, args ...string) (string, error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), args[0], args[1:]...)
	c.Dir = dir
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C"}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		c.Env = append(c.Env, name+"=http://"+proxy)
	}
	out, err := c.CombinedOutput()
	return string(out), err
}

// Programs as they are, with the proxy in their environment: http, https, and a
// host that is not on the list.
func TestProgramsWorkThroughTheProxy(t *testing.T) {
	t.Parallel()
	_, plain := outside(t, false, repository())
	server, secure := outside(t, true, repository())
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	_, at := machine(t, Config{}, "example.com:"+plain, "example.com:"+secure)
	places := map[string]string{"http": "http://example.com:" + plain + "/", "https": "https://example.com:" + secure + "/"}
	for program, args := range map[string][]string{
		"curl": {"curl", "-sS", "--fail", "--cacert", ca, "-o", "-"},
		"wget": {"wget", "-q", "--ca-certificate=" + ca, "-O", "-"},
	} {
		if _, err := exec.LookPath(program); err != nil && program != "curl" {
			t.Logf("%s is not here", program)
			continue
		}
		for scheme, place := range places {
			out, err := run(t, dir, at, append(args, place+"Packages")...)
			if err != nil || !strings.HasPrefix(out, "Package: hello-souk\n") {
				t.Errorf("%s by %s: %v\n%s", program, scheme, err, out)
			}
			if out, err := run(t, dir, at, append(args, strings.Replace(place, "example.com", "other.example.com", 1)+"Packages")...); err == nil {
				t.Errorf("%s by %s gets from a host that is not on the list:\n%s", program, scheme, out)
			}
		}
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Log("apt-get is not here")
		return
	}
	for scheme, place := range places {
		root := filepath.Join(dir, scheme)
		for _, d := range []string{"etc/apt/preferences.d", "etc/apt/apt.conf.d", "etc/apt/trusted.gpg.d", "state/lists/partial", "cache/archives/partial", "dpkg"} {
			if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		os.WriteFile(filepath.Join(root, "dpkg/status"), nil, 0o644)
		sources := filepath.Join(root, "etc/apt/sources.list")
		options := []string{"-q", "-o", "Dir::Etc=" + root + "/etc/apt", "-o", "Dir::State=" + root + "/state", "-o", "Dir::State::status=" + root + "/dpkg/status",
			"-o", "Dir::Cache=" + root + "/cache", "-o", "APT::Sandbox::User=root", "-o", "Acquire::https::CAInfo=" + ca, "-o", "Acquire::Retries=0"}
		os.WriteFile(sources, []byte("deb [trusted=yes] "+place+" ./\n"), 0o644)
		if out, err := run(t, root, at, append(append([]string{"apt-get"}, options...), "update")...); err != nil || strings.Contains(out, "Err:") {
			t.Errorf("apt-get update by %s: %v\n%s", scheme, err, out)
			continue
		}
		if out, err := run(t, root, at, append(append([]string{"apt-get"}, options...), "download", "hello-souk")...); err != nil {
			t.Errorf("apt-get download by %s: %v\n%s", scheme, err, out)
		}
		if _, err := os.Stat(filepath.Join(root, "hello-souk_1.0_all.deb")); err != nil {
			t.Errorf("apt-get by %s: %v", scheme, err)
		}
		os.WriteFile(sources, []byte("deb [trusted=yes] "+strings.Replace(place, "example.com", "other.example.com", 1)+" ./\n"), 0o644)
		if out, _ := run(t, root, at, append(append([]string{"apt-get"}, options...), "update")...); !strings.Contains(out, "403") {
			t.Errorf("apt-get update by %s from a host that is not on the list does not say 403:\n%s", scheme, out)
		}
	}
}

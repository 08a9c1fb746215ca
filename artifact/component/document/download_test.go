package document

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// origin serves what the tests download.
func origin(t *testing.T) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var flaky atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/file.txt", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "content") })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/file.txt", http.StatusFound) })
	mux.HandleFunc("/to-a-file", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	})
	mux.HandleFunc("/flaky", func(w http.ResponseWriter, _ *http.Request) {
		if flaky.Add(1) < 3 {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "at last")
	})
	mux.HandleFunc("/empty", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server, &flaky
}

// download is a document with one WebDownload and a step that prints its output.
func download(inputs string) []byte {
	return fmt.Appendf(nil, `schemaVersion: 1.0
phases:
  - name: build
    steps:
      - {name: Get, action: WebDownload, inputs: [%s]}
      - {name: Say, action: ExecuteBash, inputs: {commands: ["echo 'got {{ build.Get.outputs.destination }}'"]}}
`, inputs)
}

func TestDownloads(t *testing.T) {
	t.Parallel()
	server, flaky := origin(t)
	sum := sha256.Sum256([]byte("content"))
	right := hex.EncodeToString(sum[:])
	for name, c := range map[string]struct {
		inputs    string // ORIGIN and DIR are replaced
		there     string // content of DIR/file.txt before
		code      int
		out, err  string
		file      string // content of DIR/file.txt after
		untouched bool
	}{
		"a file":                       {inputs: `{source: ORIGIN/file.txt, destination: DIR/file.txt}`, out: "got DIR/file.txt\n", file: "content"},
		"two and one to a new folder":  {inputs: `{source: ORIGIN/file.txt, destination: DIR/file.txt}, {source: 'ORIGIN/file.txt?x=/y', destination: DIR/new/}`, out: "got DIR/file.txt\nDIR/new/file.txt\n", file: "content"},
		"a redirect":                   {inputs: `{source: ORIGIN/moved, destination: DIR/file.txt}`, file: "content"},
		"a redirect to a file":         {inputs: `{source: ORIGIN/to-a-file, destination: DIR/file.txt}`, code: 1, err: "unsupported protocol scheme"},
		"a server that comes back":     {inputs: `{source: ORIGIN/flaky, destination: DIR/file.txt}`, file: "at last", err: "download 2 of [ORIGIN/flaky] failed: the server answered 503"},
		"nothing there":                {inputs: `{source: ORIGIN/none, destination: DIR/file.txt}`, code: 1, err: "downloading [ORIGIN/none]: the server answered 404 Not Found"},
		"an answer that is not 200":    {inputs: `{source: ORIGIN/empty, destination: DIR/file.txt}`, code: 1, err: "the server answered 204 No Content"},
		"the right checksum":           {inputs: `{source: ORIGIN/file.txt, destination: DIR/file.txt, checksum: ` + right + `, algorithm: SHA256}`, file: "content"},
		"a wrong checksum":             {inputs: `{source: ORIGIN/file.txt, destination: DIR/file.txt, checksum: aa, algorithm: sha1}`, there: "before", code: 1, err: "its SHA1 is 040f06fd774092478d450774f5ba30c5da78acc8, not aa", file: "before"},
		"a file that is there":         {inputs: `{source: ORIGIN/file.txt, destination: DIR/file.txt}`, there: "before", file: "content"},
		"one that must not be written": {inputs: `{source: ORIGIN/file.txt, destination: DIR/file.txt, overwrite: false}`, there: "before", code: 1, err: "[DIR/file.txt] is there and overwrite is false", file: "before"},
		"one that is right already":    {inputs: `{source: ORIGIN/none, destination: DIR/file.txt, checksum: ` + strings.ToUpper(right) + `, algorithm: SHA256}`, there: "content", file: "content"},
		"a URL without a file's name":  {inputs: `{source: ORIGIN/, destination: DIR/}`, code: 1, err: "has no file name"},
		"a name that climbs":           {inputs: `{source: 'ORIGIN/a/%2e%2e', destination: DIR/}`, code: 1, err: "has no file name"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "file.txt")
			if c.there != "" {
				if err := os.WriteFile(file, []byte(c.there), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			flaky.Store(0)
			real := strings.NewReplacer("ORIGIN", server.URL, "DIR", dir)
			got := runJob(t, Job{Document: download(real.Replace(c.inputs))})
			if got.code != c.code || !strings.Contains(got.out, real.Replace(c.out)) || !strings.Contains(got.err, real.Replace(c.err)) {
				t.Errorf("got exit code %d, output:\n%s\nerror output:\n%s", got.code, got.out, got.err)
			}
			if data, _ := os.ReadFile(file); string(data) != c.file {
				t.Errorf("the file has %q, want %q", data, c.file)
			}
			left, err := filepath.Glob(filepath.Join(dir, ".souk-download-*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestDownloadsUseTheProxyOfTheEnvironment(t *testing.T) {
	t.Parallel()
	var asked atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.String())
		fmt.Fprint(w, "by proxy")
	}))
	t.Cleanup(proxy.Close)
	file := filepath.Join(t.TempDir(), "file")
	got := runJob(t, Job{Document: download(`{source: 'http://packages.example/x', destination: ` + file + `}`)},
		"HTTP_PROXY="+proxy.URL, "http_proxy="+proxy.URL, "NO_PROXY=", "no_proxy=")
	data, _ := os.ReadFile(file)
	if got.code != 0 || string(data) != "by proxy" || asked.Load() != "http://packages.example/x" {
		t.Errorf("got %+v, file %q, the proxy was asked for %v", got, data, asked.Load())
	}
}

func TestDownloadsCheckCertificates(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "x") }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "file")
	got := runJob(t, Job{Document: download(`{source: '` + server.URL + `/x', destination: ` + file + `}`)})
	if got.code != ExitFailed || !strings.Contains(got.err, "certificate") {
		t.Errorf("got %+v", got)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the file was written")
	}
}

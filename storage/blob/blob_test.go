package blob

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

type ring string

func (r ring) MAC(purpose string, data []byte) []byte {
	h := hmac.New(sha256.New, []byte(r))
	h.Write([]byte(purpose + "\x00"))
	h.Write(data)
	return h.Sum(nil)
}

func (r ring) Verify(purpose string, data, mac []byte) bool {
	return hmac.Equal(r.MAC(purpose, data), mac)
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func open(t testing.TB) *Store {
	t.Helper()
	public, err := url.Parse("https://souk.example/base")
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Root: filepath.Join(t.TempDir(), "blobs"), PublicURL: public, Keyring: ring("key"), Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestPutGetDelete(t *testing.T) {
	t.Parallel()
	s, ctx := open(t), t.Context()
	for _, content := range []string{"first", "second, longer", ""} {
		if err := s.PutBytes(ctx, "logs", "build-1.log", []byte(content)); err != nil {
			t.Fatal(err)
		}
		got, err := s.Get(ctx, "logs", "build-1.log")
		if err != nil || string(got) != content {
			t.Errorf("got %q, %v, want %q", got, err, content)
		}
	}
	for range 2 {
		if err := s.Delete(ctx, "logs", "build-1.log"); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Get(ctx, "logs", "build-1.log"); !errors.Is(err, ErrNotFound) {
		t.Errorf("after delete: %v, want ErrNotFound", err)
	}
}

func TestEachBlobOfAKind(t *testing.T) {
	t.Parallel()
	s, ctx := open(t), t.Context()
	each := func() (names []string) {
		t.Helper()
		err := s.Each(ctx, "logs", func(name string, kept time.Time) error {
			if kept.IsZero() {
				t.Errorf("%s was kept at no time", name)
			}
			names = append(names, name)
			return s.Delete(ctx, "logs", name) // also while they are listed
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(names)
		return names
	}
	if got := each(); len(got) != 0 {
		t.Errorf("without a folder there are %q", got)
	}
	for _, name := range []string{"a.log", "b.log", "c.log"} {
		if err := s.PutBytes(ctx, "logs", name, nil); err != nil {
			t.Fatal(err)
		}
		if there, err := s.Has(ctx, "logs", name); err != nil || !there {
			t.Errorf("%s is there: %t, %v", name, there, err)
		}
	}
	if err := s.PutBytes(ctx, "others", "d.log", nil); err != nil {
		t.Fatal(err)
	}
	if got := each(); !slices.Equal(got, []string{"a.log", "b.log", "c.log"}) {
		t.Errorf("there are %q", got)
	}
	if there, err := s.Has(ctx, "logs", "a.log"); err != nil || there {
		t.Errorf("what was deleted is there: %t, %v", there, err)
	}
	if err := s.Each(ctx, "../logs", nil); !errors.Is(err, ErrName) {
		t.Errorf("a kind that is none: %v", err)
	}
	stop := errors.New("stop")
	if err := s.Each(ctx, "others", func(string, time.Time) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a listing that is stopped: %v", err)
	}
}

func TestFilesAreOursAlone(t *testing.T) {
	t.Parallel()
	s := open(t)
	if err := s.PutBytes(t.Context(), Logos, "a.png", []byte("x")); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(s.config.Root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNamesThatAreNone(t *testing.T) {
	t.Parallel()
	s, ctx := open(t), t.Context()
	for _, n := range [][2]string{
		{"logs", ""}, {"", "x"}, {"logs", "."}, {"logs", ".."}, {"logs", "../x"}, {"logs", "a/b"}, {"logs", "/etc/passwd"}, {"logs", ".hidden"},
		{"logs", "a\x00b"}, {"logs", "a b"}, {"logs", "a\n"}, {"logs", strings.Repeat("x", 201)}, {"..", "x"}, {"../logs", "x"}, {"Logs", "x"}, {"logs/", "x"}, {"logs", `a\b`}, {"logs", "ä"},
	} {
		_, errURL := s.URL(n[0], n[1], noon)
		_, errGet := s.Get(ctx, n[0], n[1])
		for what, err := range map[string]error{"Put": s.PutBytes(ctx, n[0], n[1], nil), "Get": errGet, "Delete": s.Delete(ctx, n[0], n[1]), "URL": errURL} {
			if !errors.Is(err, ErrName) {
				t.Errorf("%s of %q: %v, want ErrName", what, n, err)
			}
		}
	}
}

// failing ends with an error after some bytes.
type failing struct{ n int }

func (f *failing) Read(p []byte) (int, error) {
	if f.n == 0 {
		return 0, errors.New("broken")
	}
	f.n--
	return copy(p, "partial"), nil
}

func TestFailedPutLeavesTheOldOneAndNoRest(t *testing.T) {
	t.Parallel()
	s, ctx := open(t), t.Context()
	if err := s.PutBytes(ctx, "reports", "r", []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(ctx, "reports", "r", &failing{3}); err == nil {
		t.Error("a broken reader was taken")
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.PutBytes(cancelled, "reports", "r", []byte("new")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if got, err := s.Get(ctx, "reports", "r"); err != nil || string(got) != "old" {
		t.Errorf("got %q, %v, want old", got, err)
	}
	files := 0
	filepath.WalkDir(s.config.Root, func(_ string, d fs.DirEntry, _ error) error {
		if !d.IsDir() {
			files++
		}
		return nil
	})
	if files != 1 {
		t.Errorf("%d files, want 1", files)
	}
}

// TestTidyRemovesWhatADeathHasLeft: and nothing that is being written, or that is whole.
func TestTidyRemovesWhatADeathHasLeft(t *testing.T) {
	t.Parallel()
	s, ctx := open(t), t.Context()
	if err := s.PutBytes(ctx, "logs", "whole", []byte("content")); err != nil {
		t.Fatal(err)
	}
	file, err := path("logs", "whole")
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(s.root.Name(), filepath.Dir(file))
	for name, age := range map[string]time.Duration{"whole": 48 * time.Hour, temporary + "old": 25 * time.Hour, temporary + "new": 23 * time.Hour} {
		at := filepath.Join(folder, name)
		if name != "whole" {
			if err := os.WriteFile(at, []byte("half"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chtimes(at, noon.Add(-age), noon.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Tidy(ctx, noon.Add(-24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if want := []string{temporary + "new", "whole"}; !slices.Equal(left, want) {
		t.Errorf("there are %q, want %q", left, want)
	}
}

func TestReadersSeeOneWholeVersion(t *testing.T) {
	t.Parallel()
	s, ctx := open(t), t.Context()
	content := func(i int) []byte { return []byte(strings.Repeat(fmt.Sprint(i%10), 10_000)) }
	if err := s.PutBytes(ctx, "logs", "x", content(0)); err != nil {
		t.Fatal(err)
	}
	var doing sync.WaitGroup
	for i := range 4 {
		doing.Go(func() {
			for j := range 10 {
				if err := s.PutBytes(ctx, "logs", "x", content(i+j)); err != nil {
					t.Error(err)
				}
				got, err := s.Get(ctx, "logs", "x")
				if err != nil || len(got) != 10_000 || strings.Trim(string(got), string(got[:1])) != "" {
					t.Errorf("%d bytes, %v: not one version", len(got), err)
				}
			}
		})
	}
	doing.Wait()
}

func TestLinksInTheFolderLeadNowhere(t *testing.T) {
	t.Parallel()
	s, ctx := open(t), t.Context()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.PutBytes(ctx, Logos, "a.png", nil); err != nil {
		t.Fatal(err)
	}
	file, err := path(Logos, "a.png")
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(s.config.Root, file)
	if err := errors.Join(os.Remove(at), os.Symlink(secret, at)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(ctx, Logos, "a.png"); err == nil {
		t.Errorf("read %q through a link", got)
	}
}

func get(s *Store, method, target string) *http.Response {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, "http://evil.example", nil)
	u, err := url.Parse(target)
	if err != nil {
		return &http.Response{StatusCode: http.StatusBadRequest, Body: http.NoBody}
	}
	r.URL = u
	s.Handler().ServeHTTP(w, r)
	return w.Result()
}

func TestSignedURLs(t *testing.T) {
	t.Parallel()
	s, ctx := open(t), t.Context()
	for _, name := range []string{"build-1.log", "build-2.log", "report.html"} {
		if err := s.PutBytes(ctx, "logs", name, []byte("<script>")); err != nil {
			t.Fatal(err)
		}
	}
	signed, err := s.URL("logs", "build-1.log", noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	prefix := "https://souk.example/base/blobs/logs/build-1.log?"
	if !strings.HasPrefix(signed, prefix) {
		t.Errorf("URL %s, want %s...", signed, prefix)
	}
	local := strings.TrimPrefix(signed, "https://souk.example/base") // a proxy takes the base off
	resp := get(s, http.MethodGet, local)
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK || string(body) != "<script>" {
		t.Errorf("%s %q", resp.Status, body)
	}
	for name, want := range map[string]string{"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox", "Cache-Control": "private, no-store"} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	expired, _ := s.URL("logs", "build-1.log", noon)
	page, _ := s.URL("logs", "report.html", noon.Add(time.Hour))
	for what, target := range map[string]string{
		"expired":          strings.TrimPrefix(expired, "https://souk.example/base"),
		"another name":     strings.Replace(local, "build-1", "build-2", 1),
		"another kind":     strings.Replace(local, "logs", "reports", 1),
		"later expiry":     strings.Replace(local, "expires=1", "expires=2", 1),
		"expiry with zero": strings.Replace(local, "expires=", "expires=0x", 1),
		"doubled expiry":   local + "&expires=9999999999",
		"no signature":     strings.Split(local, "&signature")[0],
		"nothing":          "/blobs/logs/build-1.log",
		"path tricks":      strings.Replace(local, "/logs/", "/x/../logs/", 1),
		"escaped":          strings.Replace(local, "build-1", "build%2D1", 1),
	} {
		if resp := get(s, http.MethodGet, target); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s, want 403", what, resp.Status)
		}
	}
	resp = get(s, http.MethodGet, strings.TrimPrefix(page, "https://souk.example/base"))
	if resp.Header.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(resp.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("a page is shown as one: %v", resp.Header)
	}
}

func TestLogosAreForEverybody(t *testing.T) {
	t.Parallel()
	s := open(t)
	if err := s.PutBytes(t.Context(), Logos, "abc.png", []byte("png")); err != nil {
		t.Fatal(err)
	}
	if got, want := s.LogoURL("abc.png"), "https://souk.example/base/logos/abc.png"; got != want {
		t.Errorf("LogoURL %s, want %s", got, want)
	}
	resp := get(s, http.MethodGet, "/logos/abc.png")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "image/png" || !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	for target, want := range map[string]int{"/logos/none.png": 404, "/logos/": 404, "/logos/../logs/x": 404, "/logos/%2e%2e/x": 404, "/logos/a/b": 404, "/other": 403} {
		if resp := get(s, http.MethodGet, target); resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", target, resp.Status, want)
		}
	}
	if resp := get(s, http.MethodDelete, "/logos/abc.png"); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("DELETE: %s", resp.Status)
	}
}

func FuzzHandler(f *testing.F) {
	s := open(f)
	for _, p := range []string{"/logos/a.png", "/blobs/logs/x?expires=1&signature=y", "/logos/../../etc/passwd", "/blobs//x"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, target string) {
		if resp := get(s, http.MethodGet, target); resp.StatusCode < 400 || resp.StatusCode >= 500 {
			t.Errorf("%q: %s from an empty store", target, resp.Status)
		}
	})
}

package advisory_test

import (
	"archive/zip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"souk/artifact/scan/advisory"
	"souk/artifact/scan/version"
	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
)

// debian is an advisory as osv.dev has them, shortened.
const debian = `{
  "schema_version": "1.7.0", "id": "DSA-5764-1", "modified": "2024-09-03T00:00:00Z", "published": "2024-09-03T00:00:00Z",
  "upstream": ["CVE-2024-6119"], "summary": "openssl - security update", "details": "",
  "affected": [
    {"package": {"ecosystem": "Debian:12", "name": "openssl", "purl": "pkg:deb/debian/openssl?arch=source"},
     "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.14-1~deb12u2"}]}],
     "versions": ["3.0.9-1", "3.0.14-1~deb12u1"], "ecosystem_specific": {"urgency": "high**"}},
    {"package": {"ecosystem": "npm", "name": "openssl"}, "versions": ["1.0.0"]}
  ]}`

// golang is an advisory of Go's database with two spans.
const golang = `{
  "schema_version": "1.3.1", "id": "GO-2024-2963", "modified": "2024-07-02T20:11:00Z", "aliases": ["CVE-2024-24791"],
  "summary": "Denial of service due to improper 100-continue handling in net/http", "details": "...",
  "affected": [{"package": {"name": "stdlib", "ecosystem": "Go"},
    "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.21.12"}, {"introduced": "1.22.0-0"}, {"fixed": "1.22.5"}]}],
    "ecosystem_specific": {"imports": [{"path": "net/http"}]}}],
  "database_specific": {"url": "https://pkg.go.dev/vuln/GO-2024-2963", "review_status": "REVIEWED"}}`

func parse(t *testing.T, text string) []advisory.Record {
	t.Helper()
	records, _, _, err := advisory.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func TestAnAdvisoryOfDebian(t *testing.T) {
	t.Parallel()
	records, modified, skipped, err := advisory.Parse([]byte(debian))
	if err != nil || skipped != 1 || !modified.Equal(time.Date(2024, 9, 3, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%d skipped, modified %s, %v", skipped, modified, err)
	}
	want := []advisory.Record{{Ecosystem: "Debian:12", Package: "openssl", Advisory: advisory.Advisory{
		ID: "DSA-5764-1", Aliases: []string{"CVE-2024-6119"}, Summary: "openssl - security update", Severity: advisory.High,
		Ranges: []advisory.Range{{Fixed: "3.0.14-1~deb12u2"}},
	}}}
	if d := cmp.Diff(want, records); d != "" {
		t.Error(d)
	}
}

func TestVersionsThatAreAffected(t *testing.T) {
	t.Parallel()
	deb, stdlib := parse(t, debian)[0].Advisory, parse(t, golang)[0].Advisory
	last := advisory.Advisory{Ranges: []advisory.Range{{Introduced: "1.0", Last: "1.5"}}}
	listed := advisory.Advisory{Versions: []string{"1.0-1"}}
	for _, c := range []struct {
		a       advisory.Advisory
		order   version.Order
		v       string
		fixed   string
		affects bool
	}{
		{deb, version.Debian, "3.0.9-1", "3.0.14-1~deb12u2", true},
		{deb, version.Debian, "3.0.14-1~deb12u2", "", false},
		{deb, version.Debian, "3.0.14-1", "", false},
		{stdlib, version.Go, "1.20.1", "1.21.12", true},
		{stdlib, version.Go, "1.21.12", "", false},
		{stdlib, version.Go, "1.22.0-rc.1", "1.22.5", true},
		{stdlib, version.Go, "1.22.5", "", false},
		{last, version.Alpine, "0.9", "", false},
		{last, version.Alpine, "1.5", "", true},
		{last, version.Alpine, "1.5.1", "", false},
		{listed, version.Debian, "1.0-1", "", true},
		{listed, version.Debian, "1.0-2", "", false},
	} {
		fixed, affects := c.a.Affects(c.v, c.order)
		if fixed != c.fixed || affects != c.affects {
			t.Errorf("%s %s: %q, %t, want %q, %t", c.a.ID, c.v, fixed, affects, c.fixed, c.affects)
		}
	}
}

func TestSeverities(t *testing.T) {
	t.Parallel()
	file := func(severity, specific string) string {
		return `{"id": "X-1", "severity": [` + severity + `], "database_specific": ` + specific + `, "affected": [{"package": {"ecosystem": "Go", "name": "m"}}]}`
	}
	for text, want := range map[string]advisory.Severity{
		file(`{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}`, `{}`):                    advisory.Critical, // 9.8
		file(`{"type": "CVSS_V3", "score": "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}`, `{"severity": "LOW"}`):   advisory.High,     // 7.5
		file(`{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H"}`, `{}`): advisory.Critical, // 10.0
		file(`{"type": "CVSS_V2", "score": "AV:N/AC:L/Au:N/C:C/I:C/A:C"}`, `{}`):                                      advisory.High,     // 10.0
		file(`{"type": "CVSS_V3", "score": "CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"}`, `{}`):                    advisory.Low,      // 1.6
		file(`{"type": "CVSS_V3", "score": "CVSS:3.1/rubbish"}`, `{"severity": "MODERATE"}`):                          advisory.Medium,
		file(`{"type": "Ubuntu", "score": "negligible"}`, `{}`):                                                       advisory.Low,
		file(``, `{"severity": ["HIGH"]}`):                                                                            advisory.Unknown,
		file(``, `"text"`):                                                                                            advisory.Unknown,
	} {
		if got := parse(t, text)[0].Severity; got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
}

// index opens an index on a fresh database.
func index(t testing.TB) (*advisory.Index, store.Store) {
	t.Helper()
	s := sqlitetest.Open(t)
	return advisory.New(s, func() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }), s
}

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func load(t *testing.T, x *advisory.Index, source string) advisory.Imported {
	t.Helper()
	done, err := x.Import(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// find returns the ids of what concerns a version of Debian's openssl.
func find(t *testing.T, x *advisory.Index, v string) []string {
	t.Helper()
	matches, loaded, err := x.Find(t.Context(), "Debian:12", []advisory.Package{{Name: "bash", Version: "1"}, {Name: "openssl", Version: v}})
	if err != nil || !loaded {
		t.Fatalf("loaded: %t, %v", loaded, err)
	}
	ids := []string{}
	for _, m := range matches {
		if m.Package != 1 {
			t.Errorf("%s concerns package %d", m.ID, m.Package)
		}
		ids = append(ids, m.ID)
	}
	return ids
}

func TestImportFromAFolderAndAnArchive(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"debian/DSA-5764-1.json": debian, "GO-2024-2963.json": golang, "README.md": "no advisory", ".hidden.json": "{"})
	archive := filepath.Join(t.TempDir(), "all.zip")
	f, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	if err := z.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{dir, archive} {
		x, _ := index(t)
		want := advisory.Imported{Files: 2, Records: 2, Skipped: 1, Ecosystems: []string{"Debian:12", "Go"}}
		if d := cmp.Diff(want, load(t, x, source)); d != "" {
			t.Errorf("%s: %s", source, d)
		}
		if got := find(t, x, "3.0.9-1"); !slices.Equal(got, []string{"DSA-5764-1"}) {
			t.Errorf("%s: found %q", source, got)
		}
		list, err := x.List(t.Context())
		if err != nil || len(list) != 2 || list[0].Name != "Debian:12" || list[0].Advisories != 1 || !list[0].Modified.Equal(time.Date(2024, 9, 3, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: the list is %+v, %v", source, list, err)
		}
	}
}

func TestAnotherImportReplacesAndWithdraws(t *testing.T) {
	t.Parallel()
	x, s := index(t)
	second := strings.NewReplacer("DSA-5764-1", "DSA-9-1", "3.0.14-1~deb12u2", "9").Replace(debian)
	load(t, x, folder(t, map[string]string{"a.json": debian, "b.json": second}))
	if got := find(t, x, "3.0.9-1"); len(got) != 2 {
		t.Errorf("found %q", got)
	}
	load(t, x, folder(t, map[string]string{"a.json": strings.ReplaceAll(debian, "3.0.14-1~deb12u2", "1.0")}))
	if got := find(t, x, "3.0.9-1"); !slices.Equal(got, []string{"DSA-9-1"}) {
		t.Errorf("after a correction found %q", got)
	}
	withdrawn := strings.Replace(second, `"upstream"`, `"withdrawn": "2025-01-01T00:00:00Z", "upstream"`, 1)
	load(t, x, folder(t, map[string]string{"b.json": withdrawn}))
	if got := find(t, x, "3.0.9-1"); len(got) > 0 {
		t.Errorf("after a withdrawal found %q", got)
	}
	if there, err := x.Remove(t.Context(), "Debian:12"); err != nil || !there {
		t.Errorf("removing: %t, %v", there, err)
	}
	if _, loaded, err := x.Find(t.Context(), "Debian:12", nil); err != nil || loaded {
		t.Errorf("after removing it is loaded: %t, %v", loaded, err)
	}
	if there, err := x.Remove(t.Context(), "Debian:12"); err != nil || there {
		t.Errorf("removing twice: %t, %v", there, err)
	}
	_, err := s.Get(t.Context(), store.Key{Kind: advisory.KindPackage, ID: "Debian:12 openssl"})
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the package's advisories are there: %v", err)
	}
}

func TestImportsThatKeepNothing(t *testing.T) {
	t.Parallel()
	x, _ := index(t)
	text := filepath.Join(folder(t, map[string]string{"x.txt": "no archive"}), "x.txt")
	for name, source := range map[string]string{
		"a folder without advisories": t.TempDir(),
		"a file that is no archive":   text,
		"nothing":                     filepath.Join(t.TempDir(), "missing"),
		"a file that is no JSON":      folder(t, map[string]string{"a.json": debian, "b.json": "{"}),
		"a file that is no advisory":  folder(t, map[string]string{"a.json": debian, "b.json": "{}"}),
	} {
		if _, err := x.Import(t.Context(), source); err == nil {
			t.Errorf("%s is imported", name)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := x.Import(gone, folder(t, map[string]string{"a.json": debian})); !errors.Is(err, context.Canceled) {
		t.Errorf("an import of one who has gone: %v", err)
	}
	if list, err := x.List(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("loaded is %+v, %v", list, err)
	}
}

// FuzzParse checks that files of any bytes are read or refused, and that what is
// read can be asked.
func FuzzParse(f *testing.F) {
	f.Add([]byte(debian), "1")
	f.Add([]byte(golang), "1.22.4")
	f.Add([]byte(`{"id":"a","affected":[{"package":{"ecosystem":"Go","name":"m"},"ranges":[{"events":[{"fixed":"1"},{"introduced":"0"},{"introduced":"0"}]}]}]}`), "")
	f.Fuzz(func(_ *testing.T, b []byte, v string) {
		records, _, _, err := advisory.Parse(b)
		if err != nil {
			return
		}
		for _, r := range records {
			r.Affects(v, version.OrderOf(r.Ecosystem))
		}
	})
}

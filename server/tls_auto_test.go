package server

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTLSOfItsOwnIsTrustedByItsFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := Config{Place: Place{Data: dir}, TLSAuto: true, PublicURL: ""}
	pool := x509.NewCertPool()
	ask := func(s *Server) {
		t.Helper()
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
		for _, url := range []string{s.URL(), strings.Replace(s.URL(), "127.0.0.1", "localhost", 1)} {
			if status, _, _ := get(t, client, url+"/healthz", ""); status != 200 {
				t.Errorf("%s: status %d", url, status)
			}
		}
	}
	s, stop := start(t, config)
	text, err := os.ReadFile(filepath.Join(dir, "tls-ca.crt"))
	if err != nil || !pool.AppendCertsFromPEM(text) || strings.Contains(string(text), "PRIVATE") {
		t.Fatalf("tls-ca.crt: %v\n%s", err, text)
	}
	ask(s)
	if info, err := os.Stat(filepath.Join(dir, "tls-ca.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("tls-ca.key: %v, %v", info.Mode(), err)
	}
	c, err := ReadCredentials(dir)
	if err != nil || c.CA != filepath.Join(dir, "tls-ca.crt") || !strings.HasPrefix(c.Endpoint, "https://") {
		t.Errorf("credentials %+v, %v", c, err)
	}
	stop()
	s, stop = start(t, config)
	ask(s) // the same authority
	stop()
	_, stop = start(t, Config{Place: Place{Data: dir}})
	stop()
	if c, err := ReadCredentials(dir); err != nil || c.CA != "" {
		t.Errorf("without TLS clients are told to trust %q, %v", c.CA, err)
	}
	s, _ = start(t, config)
	ask(s)
}

func TestCertificatesAreRenewedInTime(t *testing.T) {
	t.Parallel()
	f, err := openFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	hosts := Config{PublicURL: "https://market.example.com:8443", Listen: "[2001:db8::7]:443"}.hosts()
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	a, made, err := openAuthority(f, hosts, now)
	if err != nil || !made {
		t.Fatal(made, err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	if life := a.certificate.NotAfter.Sub(now); life != authorityLife {
		t.Errorf("the authority lives for %s", life)
	}
	var last *tls.Certificate
	for _, step := range []struct {
		day     int
		renewed bool
	}{{0, true}, {59, false}, {61, true}, {120, false}, {122, true}, {3000, true}} {
		at := now.AddDate(0, 0, step.day)
		c, err := a.get(at)
		if err != nil {
			t.Fatal(err)
		}
		if (c != last) != step.renewed && step.day > 0 {
			t.Errorf("day %d: renewed %t, want %t", step.day, c != last, step.renewed)
		}
		last = c
		if left := c.Leaf.NotAfter.Sub(at); left < certificateLife/3 {
			t.Errorf("day %d: %s are left", step.day, left)
		}
		for _, host := range []string{"market.example.com", "2001:db8::7", "localhost", "127.0.0.1", "::1"} {
			if _, err := c.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: pool, CurrentTime: at}); err != nil {
				t.Errorf("day %d, %s: %v", step.day, host, err)
			}
		}
	}
	if _, made, err := openAuthority(f, hosts, now.AddDate(9, 0, 0)); made || err != nil {
		t.Errorf("after nine years: made anew %t, %v", made, err)
	}
	if _, made, err := openAuthority(f, hosts, now.Add(authorityLife-time.Hour)); !made || err != nil {
		t.Errorf("at its end: made anew %t, %v", made, err)
	}
	for name, text := range map[string]string{"empty": "", "no key": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", "broken": "x"} {
		if err := os.WriteFile(f.path(authorityFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := openAuthority(f, hosts, now); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
}

func TestWhereTLSOfItsOwnMayStand(t *testing.T) {
	t.Parallel()
	if _, err := (Config{Listen: "0.0.0.0:8443", TLSAuto: true}).filled(); err != nil {
		t.Errorf("beyond loopback: %v", err)
	}
	if _, err := (Config{TLSAuto: true, TLSCert: "c", TLSKey: "k"}).filled(); err == nil || !strings.Contains(err.Error(), "--tls-auto") {
		t.Errorf("beside files: %v", err)
	}
}

func FuzzAuthority(f *testing.F) {
	a := &authority{hosts: []string{"localhost"}}
	text, err := a.create(time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(text[:len(text)/2])
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		a := &authority{hosts: []string{"localhost"}}
		if err := a.parse(text); err != nil {
			return
		}
		if _, err := a.sign(time.Now()); err != nil {
			t.Errorf("an authority that was taken signs nothing: %v", err)
		}
	})
}

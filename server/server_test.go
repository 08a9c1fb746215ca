package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"souk/access/keyring"
	"souk/access/organization"
	"souk/artifact/installer/installertest"
	"souk/server/control"
	"souk/storage/store/postgres/pgtest"
)

// TestMain stops the PostgreSQL that the tests started, and removes what their
// machines started with.
func TestMain(m *testing.M) {
	status := pgtest.Main(m)
	installertest.Tidy()
	os.Exit(status)
}

// start starts a server on a free port and a temporary folder. stop drains it
// and returns what Run returned.
func start(t *testing.T, c Config) (s *Server, stop func() error) {
	t.Helper()
	if c.Data == "" {
		c.Data = filepath.Join(t.TempDir(), "souk-data")
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatalf("starting a server: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var result error
	done := false
	stop = func() error {
		if !done {
			done = true
			cancel()
			result = <-ended
		}
		return result
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("stopping the server: %v", err)
		}
	})
	return s, stop
}

// get asks for a path as a browser or as a program.
func get(t *testing.T, client *http.Client, url, accept string) (status int, body string, header http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatalf("making a request of %s: %v", url, err)
	}
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatalf("asking for %s: %v", url, err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("reading %s: %v", url, err)
	}
	return response.StatusCode, string(b), response.Header
}

func TestPathsReachTheirParts(t *testing.T) {
	t.Parallel()
	s, _ := start(t, Config{})
	for _, want := range []struct {
		path, accept string
		status       int
		contains     string
	}{
		{"/healthz", "", 200, "ok"},
		{"/readyz", "", 200, "ready"},
		{"/", "text/html", 200, "marketplace-catalog list-entities"},
		{"/", "application/json", 403, "MissingAuthenticationToken"},
		{"/DescribeEntity?catalog=AWSMarketplace&entityId=x", "text/html", 403, "MissingAuthenticationToken"},
		{"/v2/", "", 401, "UNAUTHORIZED"},
		{"/logos/none.png", "", 404, ""},
		{"/blobs/logs/none", "", 403, ""},
	} {
		status, body, _ := get(t, http.DefaultClient, s.URL()+want.path, want.accept)
		if status != want.status || !strings.Contains(body, want.contains) {
			t.Errorf("GET %s (Accept %q): got %d %q, want %d with %q", want.path, want.accept, status, body, want.status, want.contains)
		}
	}
}

func TestFirstStartMakesTheFolderForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "deep", "souk-data")
	s, stop := start(t, Config{Place: Place{Data: dir}})
	for name, want := range map[string]os.FileMode{".": 0o700, "credentials": 0o600, "key": 0o600, "souk.db": 0o600, "souk.sock": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatalf("looking for %s: %v", name, err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
	first, err := ReadCredentials(dir)
	if err != nil || first.Endpoint != s.URL() {
		t.Fatalf("credentials of the first start: %+v, %v; want endpoint %s", first, err, s.URL())
	}
	if err := stop(); err != nil {
		t.Fatalf("stopping: %v", err)
	}
	second, _ := start(t, Config{Place: Place{Data: dir}})
	again, err := ReadCredentials(dir)
	if err != nil || again.AccessKeyID != first.AccessKeyID || again.Endpoint != second.URL() {
		t.Errorf("credentials after a restart: %+v, %v; want the key of %+v and endpoint %s", again, err, first, second.URL())
	}
}

func TestASecondServerOnTheFolderNamesTheFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, Config{Place: Place{Data: dir}})
	_, err := New(t.Context(), Config{Place: Place{Data: dir}, Listen: "127.0.0.1:0"})
	var inUse *InUseError
	if !errors.As(err, &inUse) || inUse.PID != os.Getpid() {
		t.Fatalf("a second server: got %v, want an InUseError of process %d", err, os.Getpid())
	}
}

func TestAnotherManagementAccountIsRefusedLater(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, stop := start(t, Config{Place: Place{Data: dir}, AccountID: "111122223333"})
	if err := stop(); err != nil {
		t.Fatalf("stopping: %v", err)
	}
	_, err := New(t.Context(), Config{Place: Place{Data: dir}, Listen: "127.0.0.1:0", AccountID: "444455556666"})
	if err == nil || !strings.Contains(err.Error(), "111122223333") {
		t.Fatalf("another account id: got %v, want an error that names 111122223333", err)
	}
	// What failed let go of the folder and the port.
	start(t, Config{Place: Place{Data: dir}})
}

func TestAnotherKeyFileIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, stop := start(t, Config{Place: Place{Data: dir}})
	if err := stop(); err != nil {
		t.Fatalf("stopping: %v", err)
	}
	missing := filepath.Join(t.TempDir(), "key")
	other := filepath.Join(t.TempDir(), "key")
	if _, _, err := keyring.LoadOrCreate(other); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{missing, other} {
		_, err := New(t.Context(), Config{Place: Place{Data: dir, KeyFile: file}, Listen: "127.0.0.1:0"})
		if err == nil || !strings.Contains(err.Error(), "--key-file") {
			t.Errorf("another key file: got %v, want an error that names --key-file", err)
		}
	}
	if _, err := os.Stat(missing); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key file was made for a market that has one: %v", err)
	}
}

func TestCommandsReachAMarketWithAndWithoutAServer(t *testing.T) {
	t.Parallel()
	place := Place{Data: filepath.Join(t.TempDir(), "souk-data")}
	_, _, err := Reach(t.Context(), place)
	var none *NoMarketError
	if !errors.As(err, &none) {
		t.Fatalf("reaching a market that is not there: got %v, want a NoMarketError", err)
	}
	if _, err := os.Stat(place.Data); err == nil {
		t.Error("looking for a market made its folder")
	}
	_, stop := start(t, Config{Place: place})
	look := func(how string) {
		t.Helper()
		caller, closer, err := Reach(t.Context(), place)
		if err != nil {
			t.Fatalf("reaching the market %s: %v", how, err)
		}
		defer closer()
		accounts, err := (control.Directory{Caller: caller}).Accounts(t.Context())
		if err != nil || len(accounts) != 1 {
			t.Errorf("accounts %s: %v, %v; want one", how, accounts, err)
		}
		var findings []string
		err = caller.Call(t.Context(), "doctor", struct{}{}, &findings)
		if err != nil || len(findings) != 0 {
			t.Errorf("doctor %s: %v, %v", how, findings, err)
		}
		var freed int64
		err = caller.Call(t.Context(), "gc", struct{}{}, &freed)
		if err != nil || freed != 0 {
			t.Errorf("gc %s: %d bytes, %v", how, freed, err)
		}
	}
	look("through its server")
	if err := stop(); err != nil {
		t.Fatalf("stopping: %v", err)
	}
	look("without a server")
}

func TestDrainingLetsARequestEnd(t *testing.T) {
	t.Parallel()
	s, err := New(t.Context(), Config{Place: Place{Data: t.TempDir()}, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatalf("starting a server: %v", err)
	}
	arrived, stopping := make(chan struct{}), make(chan struct{})
	s.publicS.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-stopping
		say(w, http.StatusOK, "done\n")
	})
	// Shutdown calls this when it has begun.
	s.publicS.RegisterOnShutdown(func() { close(stopping) })
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	go func() {
		<-arrived
		stop()
	}()
	status, body, _ := get(t, http.DefaultClient, s.URL()+"/slow", "")
	if status != 200 || body != "done\n" {
		t.Errorf("the request under way got %d %q", status, body)
	}
	if err := <-ended; err != nil {
		t.Errorf("draining: %v", err)
	}
}

func TestAdminPortShowsMetricsAndHealth(t *testing.T) {
	t.Parallel()
	s, _ := start(t, Config{AdminListen: "127.0.0.1:0"})
	get(t, http.DefaultClient, s.URL()+"/ListEntities", "")
	admin := "http://" + s.admin.Addr().String()
	status, body, _ := get(t, http.DefaultClient, admin+"/metrics", "")
	for _, want := range []string{"go_goroutines", "souk_requests_total", "souk_builds_running 0"} {
		if status != 200 || !strings.Contains(body, want) {
			t.Errorf("metrics: status %d, %s is missing", status, want)
		}
	}
	status, body, _ = get(t, http.DefaultClient, admin+"/health", "")
	var h health
	if err := json.Unmarshal([]byte(body), &h); err != nil || status != 200 || !h.Ready || h.Database != "sqlite" {
		t.Errorf("health: %d %s (%v)", status, body, err)
	}
	status, _, _ = get(t, http.DefaultClient, admin+"/debug/pprof/", "")
	if status != 200 {
		t.Errorf("profiles: status %d", status)
	}
	status, body, _ = get(t, http.DefaultClient, admin+"/debug/pprof/cmdline", "")
	if status != 404 || strings.Contains(body, os.Args[0]) {
		t.Errorf("the command line, which may have a password: status %d, %q", status, body)
	}
	status, _, _ = get(t, http.DefaultClient, s.URL()+"/metrics", "")
	if status == 200 {
		t.Error("the public port shows metrics")
	}
}

func TestTLSServesAndPicksUpANewCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pool := x509.NewCertPool()
	certFile, keyFile := writeCertificate(t, dir, pool, 1)
	s, _ := start(t, Config{TLSCert: certFile, TLSKey: keyFile})
	if !strings.HasPrefix(s.URL(), "https://") {
		t.Fatalf("the URL is %s", s.URL())
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	status, _, _ := get(t, client, s.URL()+"/healthz", "")
	if status != 200 {
		t.Errorf("over TLS: status %d", status)
	}

	c, err := loadCertificate(certFile, keyFile)
	if err != nil {
		t.Fatalf("loading the certificate: %v", err)
	}
	writeCertificate(t, dir, pool, 2)
	soon, err := c.get(time.Now())
	if err != nil || serial(t, soon) != 1 {
		t.Errorf("within a minute: serial %d, %v; want the old one", serial(t, soon), err)
	}
	later, err := c.get(time.Now().Add(2 * time.Minute))
	if err != nil || serial(t, later) != 2 {
		t.Errorf("after a minute: serial %d, %v; want the new one", serial(t, later), err)
	}
	if err := os.WriteFile(certFile, []byte("broken"), 0o600); err != nil {
		t.Fatalf("breaking the certificate: %v", err)
	}
	kept, err := c.get(time.Now().Add(4 * time.Minute))
	if err != nil || serial(t, kept) != 2 {
		t.Errorf("with a broken file: serial %d, %v; want the one that worked", serial(t, kept), err)
	}
}

func serial(t *testing.T, c *tls.Certificate) int64 {
	t.Helper()
	parsed, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatalf("parsing a certificate: %v", err)
	}
	return parsed.SerialNumber.Int64()
}

// writeCertificate writes a self-signed certificate for loopback.
func writeCertificate(t *testing.T, dir string, pool *x509.CertPool, number int64) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("making a key: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(number), Subject: pkix.Name{CommonName: "souk"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatalf("making a certificate: %v", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("parsing a certificate: %v", err)
	}
	pool.AddCert(cert)
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatalf("encoding a key: %v", err)
	}
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	stamp := time.Now().Add(time.Duration(number) * time.Second) // tells the two apart on coarse clocks
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "EC PRIVATE KEY", Bytes: secret}} {
		err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600)
		if err == nil {
			err = os.Chtimes(name, stamp, stamp)
		}
		if err != nil {
			t.Fatalf("writing %s: %v", name, err)
		}
	}
	return certFile, keyFile
}

func TestWrongSettingsAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Config{
		"listen":           {Listen: "127.0.0.1:99999"},
		"database":         {Place: Place{Database: "x.db"}},
		"admin-listen":     {AdminListen: "nonsense"},
		"public-url":       {PublicURL: "market.example.com"},
		"account-id":       {AccountID: "12"},
		"quota":            {Quota: "perhaps"},
		"workers":          {Workers: -1},
		"open-change-sets": {OpenChangeSets: -1},
		"max-layer":        {MaxLayer: -1},
		"history":          {History: -1},
		"drain":            {Drain: -1},
		"tls-cert":         {TLSKey: "x"},
	} {
		c.Data = filepath.Join(t.TempDir(), "souk-data")
		_, err := New(t.Context(), c)
		var wrong *SettingError
		if !errors.As(err, &wrong) || wrong.Setting != name {
			t.Errorf("a wrong %s: got %v, want a SettingError of it", name, err)
		}
		if _, err := os.Stat(c.Data); err == nil {
			t.Errorf("a wrong %s: the data folder was made", name)
		}
	}
}

func TestListeningBeyondLoopbackNeedsTLSOrAWord(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "market.example.com:0"} {
		_, err := Config{Listen: address}.filled()
		if err == nil || !strings.Contains(err.Error(), "--insecure") {
			t.Errorf("--listen %s: got %v, want an error that names --insecure", address, err)
		}
		_, err = Config{Listen: address, Insecure: true}.filled()
		if err != nil {
			t.Errorf("--listen %s --insecure: %v", address, err)
		}
	}
	for _, config := range []Config{{AdminListen: "0.0.0.0:0"}, {AdminListen: ":0", TLSCert: "c", TLSKey: "k"}} {
		_, err := config.filled()
		if err == nil || !strings.Contains(err.Error(), "--insecure") {
			t.Errorf("--admin-listen %s: got %v, want an error that names --insecure", config.AdminListen, err)
		}
		config.Insecure = true
		if _, err := config.filled(); err != nil {
			t.Errorf("--admin-listen %s --insecure: %v", config.AdminListen, err)
		}
	}
	for _, address := range []string{"127.0.0.1:0", "localhost:0", "[::1]:0", "127.9.9.9:1"} {
		_, err := Config{Listen: address}.filled()
		if err != nil {
			t.Errorf("--listen %s: %v", address, err)
		}
	}
}

func TestAdminPortHasADefaultOnlyBesideTheDefaultPort(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ listen, admin, want string }{
		{"", "", "127.0.0.1:8471"},
		{"127.0.0.1:8470", "", "127.0.0.1:8471"},
		{"127.0.0.1:9000", "", "off"},
		{"127.0.0.1:9000", "127.0.0.1:9001", "127.0.0.1:9001"},
		{"", "off", "off"},
	} {
		got, err := Config{Listen: c.listen, AdminListen: c.admin}.filled()
		if err != nil || got.AdminListen != c.want {
			t.Errorf("listen %q, admin %q: got %q, %v; want %q", c.listen, c.admin, got.AdminListen, err, c.want)
		}
	}
}

// TestTwoNodesShareOneDatabase: what one node makes the other knows, and the
// root user's key is written down once.
func TestTwoNodesShareOneDatabase(t *testing.T) {
	t.Parallel()
	database, shared := pgtest.Start(t), t.TempDir()
	place := func() Place {
		return Place{
			Data: filepath.Join(t.TempDir(), "souk-data"), Database: database,
			KeyFile: filepath.Join(shared, "key"), Blobs: filepath.Join(shared, "blobs"),
		}
	}
	first, second := place(), place()
	start(t, Config{Place: first})
	node, stop := start(t, Config{Place: second})
	if _, err := os.Stat(filepath.Join(second.Data, "credentials")); err == nil {
		t.Error("the node that did not make the organisation has its credentials")
	}
	caller, closer, err := Reach(t.Context(), first)
	if err != nil {
		t.Fatalf("reaching the first node: %v", err)
	}
	defer closer()
	made, err := (control.Directory{Caller: caller}).CreateAccount(t.Context(), organization.NewAccount{Name: "Acme"})
	if err != nil {
		t.Fatalf("making an account at the first node: %v", err)
	}
	seen, err := node.Organization().Account(t.Context(), made.ID)
	if err != nil || seen.Name != "Acme" {
		t.Errorf("the account at the second node: %+v, %v", seen, err)
	}
	root, err := ReadCredentials(first.Data)
	if err != nil {
		t.Fatalf("reading the root user's key: %v", err)
	}
	_, who, ok, err := node.Organization().Lookup(t.Context(), root.AccessKeyID)
	if err != nil || !ok || !who.Root {
		t.Errorf("the root user's key at the second node: %+v, %v, %v", who, ok, err)
	}

	other := place()
	other.KeyFile = filepath.Join(t.TempDir(), "key")
	_, err = New(t.Context(), Config{Place: other, Listen: "127.0.0.1:0"})
	if err == nil || !strings.Contains(err.Error(), "--key-file") {
		t.Errorf("a node with a key of its own: got %v, want an error that names --key-file", err)
	}
	err = stop()
	if err != nil {
		t.Fatalf("stopping the second node: %v", err)
	}
	for name, err := range map[string]error{
		"a command":   reached(t, Place{Data: second.Data}),
		"a server":    started(t, Place{Data: second.Data}),
		"credentials": func() error { _, err := ReadCredentials(second.Data); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "PostgreSQL") || strings.Contains(err.Error(), "souk serve") {
			t.Errorf("the folder of a node on PostgreSQL, %s without --database: got %v", name, err)
		}
	}
	err = reached(t, Place{Data: second.Data, Database: database})
	if err == nil || !strings.Contains(err.Error(), "--key-file") {
		t.Errorf("the folder of a node on PostgreSQL, a command without --key-file: got %v", err)
	}
	err = reached(t, second)
	if err != nil {
		t.Errorf("the folder of a node on PostgreSQL, a command with all that it needs: %v", err)
	}
}

// reached and started open a place for a moment, as a command and as a server.
func reached(t *testing.T, place Place) error {
	t.Helper()
	_, closer, err := Reach(t.Context(), place)
	if err != nil {
		return err
	}
	return closer()
}

func started(t *testing.T, place Place) error {
	t.Helper()
	s, err := New(t.Context(), Config{Place: place, Listen: "127.0.0.1:0"})
	if err != nil {
		return err
	}
	return s.close()
}

package scan_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"souk/access/keyring"
	"souk/artifact/scan"
	"souk/artifact/scan/advisory"
	"souk/artifact/scan/assessment"
	"souk/artifact/scan/scantest"
	"souk/catalog/change"
	"souk/storage/blob"
	"souk/storage/store"
	"souk/storage/store/sqlite/sqlitetest"
)

// room is a scanner with real parts.
type room struct {
	*scan.Scanner
	t           testing.TB
	images      scantest.Images
	store       store.Store
	advisories  *advisory.Index
	assessments *assessment.Store
	blobs       *blob.Store
	now         time.Time
	policy      *scan.Policy
}

// open makes a scanner; its clock stands still until a test moves it.
func open(t testing.TB, images scan.Images, policy string) *room {
	t.Helper()
	r := &room{t: t, now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return r.now }
	r.store = sqlitetest.Open(t)
	ring := keyring.New([32]byte{1})
	public, err := url.Parse("http://127.0.0.1:8470")
	if err != nil {
		t.Fatal(err)
	}
	r.blobs, err = blob.New(blob.Config{Root: t.TempDir(), PublicURL: public, Keyring: ring, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.blobs.Close() })
	r.advisories = advisory.New(r.store, clock)
	r.assessments = assessment.New(assessment.Config{Store: r.store, Keyring: ring, Now: clock, Forget: scan.Forget(r.blobs)})
	r.policy, err = scan.ParsePolicy([]byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	if images == nil {
		r.images = scantest.Images{}
		images = r.images
	}
	r.Scanner = scan.New(scan.Config{
		Store: r.store, Images: images, Advisories: r.advisories, Assessments: r.assessments, Reports: r.blobs, Policy: r.policy, Now: clock,
	})
	return r
}

// load imports the suite's advisories.
func (r *room) load() *room {
	r.t.Helper()
	if _, err := r.advisories.Import(r.t.Context(), scantest.Advisories(r.t)); err != nil {
		r.t.Fatal(err)
	}
	return r
}

func TestScanner(t *testing.T) {
	t.Parallel()
	scantest.Run(t, func(t *testing.T, s scantest.Setup) change.Scanner {
		r := open(t, s.Images, "")
		if s.Advisories != "" {
			r.load()
		}
		return r
	})
}

// assessment reads what a scan left.
func (r *room) assessment(s change.Scan) assessment.Assessment {
	r.t.Helper()
	a, err := r.assessments.Get(r.t.Context(), scantest.Target.Seller.Account, s.Assessment)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

func control(t *testing.T, a assessment.Assessment, check scan.Check) assessment.Control {
	t.Helper()
	i := slices.IndexFunc(a.Controls, func(c assessment.Control) bool { return c.ID == string(check) })
	if i < 0 {
		t.Fatalf("assessment %s has no control %s", a.ID, check)
	}
	return a.Controls[i]
}

func TestPackagesAreNotCleanWhereNothingIsLoaded(t *testing.T) {
	t.Parallel()
	r := open(t, nil, "")
	digest := r.images.Add(scantest.Image(scantest.Layer(append(scantest.Debian("1.0-1"), scantest.File{Name: "root/key", Content: scantest.PrivateKey()})...)))
	got := scantest.Scan(t, r, "AMI", digest)
	scantest.Check(t, "AMI", got, []string{"/root/key"})
	c := control(t, r.assessment(got), scan.PackageVulnerabilities)
	if c.Result != assessment.NotExecuted || len(c.Errors) != 1 || c.Errors[0].Code != "PACKAGES_NOT_SCANNED" || !strings.Contains(c.Errors[0].Message, "Debian:12") {
		t.Errorf("the control is %+v", c)
	}
	// The same image is looked up as soon as something is loaded, by its known layers.
	r.load()
	got = scantest.Scan(t, r, "AMI", digest)
	scantest.Check(t, "AMI", got, []string{"/root/key", "DSA-1"})
	if c := control(t, r.assessment(got), scan.PackageVulnerabilities); c.Result != assessment.Fail {
		t.Errorf("the control is %+v", c)
	}
}

func TestWhatIsNotReadIsNotClean(t *testing.T) {
	t.Parallel()
	r := open(t, nil, "").load()
	for name, c := range map[string]struct {
		files []scantest.File
		want  assessment.Result
	}{
		"packages that are mended":         {scantest.Debian("3.0-1"), assessment.Pass},
		"no packages":                      {nil, assessment.NotExecuted},
		"packages of rpm beside":           {append(scantest.Debian("3.0-1"), scantest.File{Name: "var/lib/rpm/rpmdb.sqlite", Content: "SQLite format 3"}), assessment.NotExecuted},
		"an unknown release":               {[]scantest.File{{Name: "etc/os-release", Content: "ID=gentoo"}, scantest.Status("1.0-1")}, assessment.NotExecuted},
		"a release without advisories":     {[]scantest.File{{Name: "etc/os-release", Content: "ID=debian\nVERSION_ID=13"}, scantest.Status("1.0-1")}, assessment.NotExecuted},
		"a database that is far too large": {append(scantest.Debian("3.0-1")[:2:2], scantest.Status("3.0-1\n"+strings.Repeat("x", 64<<20))), assessment.NotExecuted},
	} {
		got := scantest.Scan(t, r, "AMI", r.images.Add(scantest.Image(scantest.Layer(c.files...))))
		if shown := control(t, r.assessment(got), scan.PackageVulnerabilities); shown.Result != c.want || shown.Result != assessment.Pass && len(shown.Errors) == 0 {
			t.Errorf("%s: the control is %+v, want %s", name, shown, c.want)
		}
	}
}

func TestTheReportSaysWhatAndWhere(t *testing.T) {
	t.Parallel()
	r := open(t, nil, "").load()
	base := scantest.Layer(scantest.Debian("1.0-1")...)
	digest := r.images.Add(scantest.Image(base, scantest.Layer(scantest.File{Name: "root/key", Content: scantest.PrivateKey()})))
	got := scantest.Scan(t, r, "container image", digest)
	server := httptest.NewServer(r.blobs.Handler())
	defer server.Close()
	fetch := func() (int, []byte) {
		answer, err := http.Get(server.URL + strings.TrimPrefix(got.Report, "http://127.0.0.1:8470"))
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		b, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, b
	}
	r.now = r.now.Add(60*24*time.Hour - time.Minute)
	status, text := fetch()
	var report []map[string]any
	if err := json.Unmarshal(text, &report); err != nil || status != 200 {
		t.Fatalf("the report is %d %s: %v", status, text, err)
	}
	i := slices.IndexFunc(report, func(e map[string]any) bool { return e["ErrorCode"] == "VULNERABLE_PACKAGE" })
	if i < 0 {
		t.Fatalf("no vulnerable package in %s", text)
	}
	for name, want := range map[string]any{
		"Package": "lamp", "Version": "1.0-1", "FixedVersion": "2.0-1", "AdvisoryId": "DSA-1", "Layer": base.Digest,
		"Path": "var/lib/dpkg/status", "Outcome": "REFUSED", "Severity": "CRITICAL",
		"ErrorMessage": "lamp 1.0-1 has DSA-1 (CRITICAL): lamp burns. Update it to 2.0-1.",
	} {
		if report[i][name] != want {
			t.Errorf("%s is %v, want %v", name, report[i][name], want)
		}
	}
	if strings.Contains(string(text), strings.Split(scantest.PrivateKey(), "\n")[1]) {
		t.Error("the report holds the key itself")
	}
	r.now = r.now.Add(time.Minute)
	if status, _ := fetch(); status != 403 {
		t.Errorf("after 60 days the report answers %d", status)
	}
	// Its assessment has gone with it.
	if _, err := r.assessments.Get(t.Context(), scantest.Target.Seller.Account, got.Assessment); err == nil {
		t.Error("the assessment is there after 60 days")
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	image := scantest.Image(scantest.Layer(append(scantest.Debian("1.0-1"),
		scantest.File{Name: "etc/ssl/private/test.key", Content: scantest.PrivateKey()},
		scantest.File{Name: "etc/ssh/sshd_config", Content: "PermitRootLogin yes\n"})...))
	for name, c := range map[string]struct {
		policy  string
		refused []string
		result  map[scan.Check]assessment.Result
	}{
		"the default":                      {"", []string{"DSA-1", "test.key"}, map[scan.Check]assessment.Result{scan.SSHRootLogin: assessment.Pass, scan.PrivateKeys: assessment.Fail}},
		"secrets only warn":                {"checks: {PrivateKeys: warn}", []string{"DSA-1"}, map[scan.Check]assessment.Result{scan.PrivateKeys: assessment.Pass}},
		"logins refuse":                    {"checks: {SSHRootLogin: refuse, PrivateKeys: warn}\npackages: {refuse: never}", []string{"sshd lets root log in"}, map[scan.Check]assessment.Result{scan.SSHRootLogin: assessment.Fail}},
		"an exception by alias":            {"exceptions: [{advisory: CVE-2026-1, reason: no network, until: 2027-01-01}]", []string{"test.key"}, map[scan.Check]assessment.Result{scan.PackageVulnerabilities: assessment.ExemptionPass}},
		"an exception by path":             {"exceptions: [{check: PrivateKeys, path: /etc/ssl/private/*, reason: test key, until: 2026-11-22}]", []string{"DSA-1"}, map[scan.Check]assessment.Result{scan.PrivateKeys: assessment.ExemptionPass}},
		"an exception that ended":          {"exceptions: [{check: PrivateKeys, reason: test key, until: 2026-11-21}]", []string{"DSA-1", "test.key"}, nil},
		"an exception of a source package": {"exceptions: [{advisory: DSA-1, package: lamp-src, reason: no network, until: 2027-01-01}]", []string{"test.key"}, map[scan.Check]assessment.Result{scan.PackageVulnerabilities: assessment.ExemptionPass}},
		"an exception of another package":  {"exceptions: [{advisory: DSA-1, package: torch, reason: x, until: 2027-01-01}]", []string{"DSA-1", "test.key"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := open(t, nil, c.policy).load()
			got := scantest.Scan(t, r, "AMI", r.images.Add(image))
			scantest.Check(t, "AMI", got, c.refused)
			for check, want := range c.result {
				if got := control(t, r.assessment(got), check); got.Result != want {
					t.Errorf("%s is %+v, want %s", check, got, want)
				}
			}
		})
	}
}

func TestKnownLayersAreNotReadAgain(t *testing.T) {
	t.Parallel()
	r := open(t, nil, "").load()
	var opened atomic.Int64
	base := scantest.Counted(scantest.Layer(scantest.Debian("1.0-1")...), &opened)
	one := r.images.Add(scantest.Image(base))
	two := r.images.Add(scantest.Image(base, scantest.Layer(scantest.File{Name: "a", Content: "b"})))
	for _, digest := range []string{one, one, two} {
		scantest.Check(t, "AMI", scantest.Scan(t, r, "AMI", digest), []string{"DSA-1"})
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("the layer was opened %d times", n)
	}
	// Another list of malware reads it again.
	other := scan.New(scan.Config{Store: r.store, Images: r.images, Advisories: r.advisories, Assessments: r.assessments, Reports: r.blobs,
		Policy: parse(t, "malware: [{name: Debian, text: bookworm}]")})
	scantest.Check(t, "AMI", scantest.Scan(t, other, "AMI", one), []string{"DSA-1", "malware: Debian"})
	if n := opened.Load(); n != 2 {
		t.Errorf("the layer was opened %d times", n)
	}
}

func parse(t testing.TB, text string) *scan.Policy {
	t.Helper()
	p, err := scan.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPoliciesThatMeanSomethingElse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"an unknown key":                 {"package: {refuse: HIGH}", "package"},
		"an unknown check":               {"checks: {PrivatKeys: warn}", "PrivatKeys"},
		"an unknown word":                {"checks: {PrivateKeys: ignore}", "neither refuse nor warn"},
		"an unknown severity":            {"packages: {refuse: SEVERE}", "no severity"},
		"an exception without an end":    {"exceptions: [{check: Malware, reason: x}]", "has an end"},
		"an exception without a reason":  {"exceptions: [{check: Malware, until: 2027-01-01}]", "needs a reason"},
		"an exception of everything":     {"exceptions: [{reason: x, until: 2027-01-01}]", "neither an advisory nor a check"},
		"an exception of all packages":   {"exceptions: [{check: PackageVulnerabilities, reason: x, until: 2027-01-01}]", "every vulnerability"},
		"a pattern that matches nothing": {"exceptions: [{check: Malware, path: '[', reason: x, until: 2027-01-01}]", "no pattern"},
		"a hash that is short":           {"malware: [{name: x, sha256: abc}]", "64 hexadecimal digits"},
		"malware by two things":          {"malware: [{name: x, text: abcdefgh, hex: '00'}]", "malware 1"},
		"malware by too little":          {"malware: [{name: x, text: abc}]", "it takes 8"},
		"two documents":                  {"checks: {}\n---\nchecks: {}", "more than one document"},
		"no YAML":                        {"{", "yaml"},
	} {
		_, err := scan.ParsePolicy([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v, want one with %q", name, err, c.want)
		}
	}
}

func TestMalwareByItsHash(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("large and bad ", 200_000)
	r := open(t, nil, "malware: [{name: Big bad, sha256: "+strings.TrimPrefix(scantest.Digest([]byte(content)), "sha256:")+"}, {name: Small bad, sha256: "+strings.TrimPrefix(scantest.Digest([]byte("bad")), "sha256:")+"}]")
	digest := r.images.Add(scantest.Image(scantest.Layer(scantest.File{Name: "opt/big", Content: content}, scantest.File{Name: "opt/small", Content: "bad"})))
	scantest.Check(t, "AMI", scantest.Scan(t, r, "AMI", digest), []string{"Big bad", "Small bad"})
}

// warnings returns the codes of all that was found in a container image.
func (r *room) codes(image scan.Image) []string {
	r.t.Helper()
	judged, _, err := r.Look(r.t.Context(), image, true)
	if err != nil {
		r.t.Fatal(err)
	}
	var all []string
	for _, j := range judged {
		all = append(all, j.Code)
	}
	slices.Sort(all)
	return all
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	files := func(files ...scantest.File) scan.Image { return scantest.Image(scantest.Layer(files...)) }
	sshd := func(main string, parts ...scantest.File) scan.Image {
		return files(append(parts, scantest.File{Name: "etc/ssh/sshd_config", Content: main})...)
	}
	root := files()
	root.User = ""
	leaky := files()
	leaky.Env = []string{"PATH=/bin", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYabcdefghij"}
	for name, c := range map[string]struct {
		image scan.Image
		want  []string
	}{
		"nothing":                     {files(), nil},
		"root":                        {root, []string{"ROOT_USER"}},
		"a key in the environment":    {leaky, []string{"CLOUD_KEY"}},
		"an old release":              {files(scantest.File{Name: "etc/os-release", Content: "ID=debian\nVERSION_ID=\"10\""}), []string{"END_OF_LIFE"}},
		"an old minor release":        {files(scantest.File{Name: "etc/os-release", Content: "ID=alpine\nVERSION_ID=3.18.4"}), []string{"END_OF_LIFE"}},
		"a release that lives":        {files(scantest.File{Name: "etc/os-release", Content: "ID=debian\nVERSION_ID=\"12\""}), nil},
		"sshd says nothing":           {sshd(""), []string{"SSH_PASSWORD_LOGIN"}},
		"sshd takes no passwords":     {sshd("PasswordAuthentication no\nPermitRootLogin no\n"), nil},
		"sshd lets root in":           {sshd("PasswordAuthentication=no\npermitrootlogin\tyes # why\n"), []string{"SSH_ROOT_LOGIN"}},
		"the first value counts":      {sshd("PasswordAuthentication no\nPasswordAuthentication yes\n"), nil},
		"a file before it":            {sshd("Include /etc/ssh/sshd_config.d/*.conf\nPasswordAuthentication no\n", scantest.File{Name: "etc/ssh/sshd_config.d/50-cloud.conf", Content: "PasswordAuthentication yes\n"}), []string{"SSH_PASSWORD_LOGIN"}},
		"a file that is not included": {sshd("PasswordAuthentication no\n", scantest.File{Name: "etc/ssh/sshd_config.d/50-cloud.conf", Content: "PasswordAuthentication yes\n"}), nil},
		"a file that includes itself": {sshd("Include sshd_config\nInclude *\nPasswordAuthentication no\n"), nil},
		"a Match that opens it":       {sshd("PasswordAuthentication no\nMatch User admin\n  PasswordAuthentication yes\n"), []string{"SSH_PASSWORD_LOGIN"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := open(t, nil, "").codes(c.image); !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

func TestSweepForgetsWhatIsOld(t *testing.T) {
	t.Parallel()
	r := open(t, nil, "").load()
	r.now = time.Now().Add(-100 * 24 * time.Hour) // Claim goes by the database's clock
	got := scantest.Scan(t, r, "AMI", r.images.Add(scantest.Image(scantest.Layer(scantest.Debian("1.0-1")...))))
	if _, err := r.blobs.Get(t.Context(), scan.KindReport, got.Assessment+".json"); err != nil {
		t.Fatal(err)
	}
	n, err := r.Sweep(t.Context())
	if err != nil || n != 1 {
		t.Errorf("swept %d: %v, want the assessment; the scan itself forgot the layer", n, err)
	}
	if _, err := r.blobs.Get(t.Context(), scan.KindReport, got.Assessment+".json"); err == nil {
		t.Error("the report is there")
	}
}

package component

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"souk/catalog/change"
	"souk/storage/store"
)

func TestANameIsInSmallLettersInTheARN(t *testing.T) {
	t.Parallel()
	b := newHouse(t, Limits{})
	c := b.make(tool())
	const arn = "arn:aws:imagebuilder:us-east-1:111111111111:component/my-tool/1.0.0/1"
	if c.ARN != arn || c.Name != "My Tool" || c.Build != 1 || c.Type != Build || c.CreatedText() != "2026-03-01T12:00:00.123Z" {
		t.Errorf("made %+v", c)
	}
	parsed, _ := ParseARN(arn)
	got, err := b.Get(t.Context(), sellerAccount, parsed)
	if err != nil || got.Document != "schemaVersion: 1.0" {
		t.Errorf("Get gives %+v, %v", got, err)
	}
	b.healthy()
}

func TestATokenMakesOneComponentAndIsForItsRequestAlone(t *testing.T) {
	t.Parallel()
	b := newHouse(t, Limits{})
	n := tool()
	n.Token = "token"
	var group sync.WaitGroup
	arns := make([]string, 8)
	for i := range arns {
		group.Go(func() {
			c, err := b.Create(t.Context(), n)
			if err != nil {
				t.Error(err)
			}
			arns[i] = c.ARN
		})
	}
	group.Wait()
	if len(slices.Compact(arns)) != 1 {
		t.Errorf("one token made %q", arns)
	}
	n.Description = "other"
	if _, err := b.Create(t.Context(), n); !errors.Is(err, ErrToken) {
		t.Errorf("the token with another request: %v, want ErrToken", err)
	}
	n.Account = otherAccount
	if _, err := b.Create(t.Context(), n); err != nil {
		t.Errorf("the token of another account: %v", err)
	}
	b.healthy()
}

func TestTheSameContentExistsAndOtherContentIsTheNextBuild(t *testing.T) {
	t.Parallel()
	b := newHouse(t, Limits{})
	first := b.make(tool())
	_, err := b.Create(t.Context(), tool())
	var exists *Exists
	if !errors.As(err, &exists) || exists.ARN != first.ARN {
		t.Errorf("the same again: %v, want *Exists with %s", err, first.ARN)
	}
	n := tool()
	n.Document = "schemaVersion: 1.0 # mended"
	second := b.make(n)
	if second.Build != 2 || !strings.HasSuffix(second.ARN, "/1.0.0/2") {
		t.Errorf("the next build is %s", second.ARN)
	}
	whole, _ := ParseARN(strings.TrimSuffix(second.ARN, "/2"))
	newest, err := b.Get(t.Context(), sellerAccount, whole)
	if err != nil || newest.ARN != second.ARN {
		t.Errorf("the version is %s, %v, want its newest build", newest.ARN, err)
	}
	builds, err := b.Builds(t.Context(), sellerAccount, whole)
	if err != nil || len(builds) != 2 || builds[0].ARN != first.ARN {
		t.Errorf("the builds are %+v, %v", builds, err)
	}
	last, _ := ParseARN(second.ARN)
	if err := b.Delete(t.Context(), sellerAccount, last); err != nil {
		t.Fatal(err)
	}
	if newest, err = b.Get(t.Context(), sellerAccount, whole); err != nil || newest.ARN != first.ARN {
		t.Errorf("after the newest is gone: %s, %v", newest.ARN, err)
	}
	b.healthy()
}

func TestBuildsThatAreMadeAtOnceHaveTheirOwnNumbers(t *testing.T) {
	t.Parallel()
	b := newHouse(t, Limits{})
	var group sync.WaitGroup
	for i := range 5 {
		group.Go(func() {
			n := tool()
			n.Description = fmt.Sprint(i)
			if _, err := b.Create(t.Context(), n); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	arn, _ := ParseARN("arn:aws:imagebuilder:us-east-1:111111111111:component/my-tool/1.0.0")
	builds, err := b.Builds(t.Context(), sellerAccount, arn)
	for i, c := range builds {
		if c.Build != i+1 {
			t.Errorf("build %d has number %d", i+1, c.Build)
		}
	}
	if err != nil || len(builds) != 5 {
		t.Errorf("%d builds, %v", len(builds), err)
	}
	b.healthy()
}

func TestAnXMeansTheNewestVersion(t *testing.T) {
	t.Parallel()
	b := newHouse(t, Limits{})
	for _, version := range []string{"1.9.0", "1.10.0", "2.0.1", "10.0.0"} {
		n := tool()
		n.Version = version
		b.make(n)
	}
	n := tool()
	n.Name, n.Version = "My Tool 2", "99.0.0"
	b.make(n)
	for pattern, want := range map[string]string{"x.x.x": "10.0.0", "1.x.x": "1.10.0", "1.9.x": "1.9.0", "2.x.x": "2.0.1", "3.x.x": ""} {
		arn, ok := ParseARN("arn:aws:imagebuilder:us-east-1:111111111111:component/my-tool/" + pattern)
		if !ok {
			t.Fatalf("%s is no ARN", pattern)
		}
		c, err := b.Get(t.Context(), sellerAccount, arn)
		if c.Version != want || (want == "") != errors.Is(err, ErrNotFound) {
			t.Errorf("%s is %q, %v, want %q", pattern, c.Version, err, want)
		}
	}
}

func TestVersionNumbersHaveThreeNumbersWithinBounds(t *testing.T) {
	t.Parallel()
	b := newHouse(t, Limits{})
	for _, version := range []string{"", "1", "1.0", "1.0.0.0", "1.0.x", "1.0.-1", "01.0.0", "1.0.1073741824", "1.0.0/1", "v1.0.0"} {
		n := tool()
		n.Version = version
		if _, err := b.Create(t.Context(), n); !errors.Is(err, ErrVersion) {
			t.Errorf("version %q: %v, want ErrVersion", version, err)
		}
	}
	n := tool()
	n.Version = "0.0.1073741823"
	b.make(n)
}

func TestAClientTokenMayBeAnyText(t *testing.T) {
	t.Parallel()
	b := newHouse(t, Limits{})
	for i, token := range []string{"a\x00b", "\u00fc/../\U0001f600", strings.Repeat("\uffff", 64)} {
		n := tool()
		n.Version, n.Token = fmt.Sprintf("1.0.%d", i), token
		if c := b.make(n); b.make(n).ARN != c.ARN {
			t.Errorf("the token %q made two components", token)
		}
	}
}

func TestAnARNThatNoComponentCanHaveIsNotFound(t *testing.T) {
	t.Parallel()
	b := newHouse(t, Limits{})
	const place = "arn:aws:imagebuilder:us-east-1:" + sellerAccount + ":component/"
	for _, arn := range []string{place + strings.Repeat("a", 2000) + "/1.0.0/1", place + "tool/" + strings.Repeat("1", 2000) + ".0.0/1", place + "tool/1.0.0/9999999999", place + "to\x00l/1.0.0/1"} {
		_, err := b.Port(nil).Find(t.Context(), change.Seller{Account: sellerAccount}, arn)
		if !errors.Is(err, change.ErrComponentNotFound) {
			t.Errorf("%.80q: %v", arn, err)
		}
	}
}

func TestADryRunMakesNothing(t *testing.T) {
	t.Parallel()
	b := newHouse(t, Limits{})
	n := tool()
	n.DryRun, n.Token = true, "token"
	if _, err := b.Create(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	found, _, err := b.List(t.Context(), Query{Account: sellerAccount, Region: "us-east-1", Max: 10})
	if err != nil || len(found) > 0 {
		t.Errorf("after a dry run there are %+v, %v", found, err)
	}
	n.DryRun = false
	b.make(n)
}

func TestAccountsAndRegionsSeeTheirOwnAlone(t *testing.T) {
	t.Parallel()
	b := newHouse(t, Limits{})
	mine := b.make(tool())
	arn, _ := ParseARN(mine.ARN)
	if _, err := b.Get(t.Context(), otherAccount, arn); !errors.Is(err, ErrNotFound) {
		t.Errorf("another account reads it: %v", err)
	}
	if _, err := b.Builds(t.Context(), otherAccount, arn); !errors.Is(err, ErrNotFound) {
		t.Errorf("another account lists its builds: %v", err)
	}
	if err := b.Delete(t.Context(), otherAccount, arn); !errors.Is(err, ErrNotFound) {
		t.Errorf("another account deletes it: %v", err)
	}
	for _, q := range []Query{{Account: otherAccount, Region: "us-east-1", Max: 1}, {Account: sellerAccount, Region: "eu-west-1", Max: 1}} {
		if found, _, err := b.List(t.Context(), q); err != nil || len(found) > 0 {
			t.Errorf("account %s lists in %s: %+v, %v", q.Account, q.Region, found, err)
		}
	}
	n := tool()
	n.Region = "eu-west-1"
	if c := b.make(n); c.Build != 1 || c.ARN == mine.ARN {
		t.Errorf("the same component of another region is %s", c.ARN)
	}
}

func TestPagesComeInTheOrderOfNamesAndVersions(t *testing.T) {
	t.Parallel()
	b := newHouse(t, Limits{})
	var want []string
	for _, name := range []string{"alpha", "Beta", "gamma"} {
		for _, version := range []string{"1.2.0", "1.10.0"} {
			n := tool()
			n.Name, n.Version = name, version
			b.make(n)
			want = append(want, name+" "+version)
		}
	}
	var got []string
	q := Query{Account: sellerAccount, Region: "us-east-1", Max: 4, Matches: func(s Summary) bool { return s.Name != "Beta" }}
	want = slices.DeleteFunc(want, func(s string) bool { return strings.HasPrefix(s, "Beta") })
	q.Max = 3
	for {
		found, next, err := b.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range found {
			got = append(got, s.Name+" "+s.Version)
		}
		if next == "" {
			break
		}
		q.Token = next
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
	for _, token := range []string{"x", "e30", q.Token + "A"} {
		if _, _, err := b.List(t.Context(), Query{Account: sellerAccount, Region: "us-east-1", Max: 1, Token: token}); !errors.Is(err, ErrBadToken) {
			t.Errorf("token %q: %v", token, err)
		}
	}
	if _, _, err := b.List(t.Context(), Query{Account: otherAccount, Region: "us-east-1", Max: 1, Token: q.Token}); !errors.Is(err, ErrBadToken) {
		t.Errorf("the token of another account: %v", err)
	}
}

func TestLimitsHold(t *testing.T) {
	t.Parallel()
	b := newHouse(t, Limits{Versions: 2, Builds: 2})
	for i := range 2 {
		n := tool()
		n.Description = fmt.Sprint(i)
		b.make(n)
	}
	n := tool()
	n.Description = "third"
	if _, err := b.Create(t.Context(), n); !errors.Is(err, ErrLimit) {
		t.Errorf("a third build: %v", err)
	}
	n.Version = "2.0.0"
	b.make(n)
	n.Version = "3.0.0"
	if _, err := b.Create(t.Context(), n); !errors.Is(err, ErrLimit) {
		t.Errorf("a third version: %v", err)
	}
	b.healthy()
}

func TestWhatIsInUseStays(t *testing.T) {
	t.Parallel()
	b := newHouse(t, Limits{})
	c := b.make(tool())
	arn, _ := ParseARN(c.ARN)
	by := "version 1.0 of prod-x"
	b.inUse.Store(&by)
	err := b.Delete(t.Context(), sellerAccount, arn)
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), by) {
		t.Errorf("deleting what is in use: %v", err)
	}
	b.inUse.Store(nil)
	if err := b.Delete(t.Context(), sellerAccount, arn); err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), sellerAccount, arn); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleting it again: %v", err)
	}
	b.healthy()
}

func TestABadDocumentIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()
	b := newHouse(t, Limits{})
	n := tool()
	n.Document = "bad"
	_, err := b.Create(t.Context(), n)
	if !errors.Is(err, ErrBadDocument) || !strings.Contains(err.Error(), "line 1: it is bad") {
		t.Errorf("got %v", err)
	}
	b.documents["tests alone"] = Document{Phases: []string{"test"}}
	n.Document = "tests alone"
	if c := b.make(n); c.Type != Test {
		t.Errorf("a document of tests is of type %s", c.Type)
	}
}

func TestTheDoctorFindsWhatIsLost(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{KindComponent: "has no record", KindVersion: "its version does not have it", KindToken: "it lacks its client token"} {
		b := newHouse(t, Limits{})
		n := tool()
		n.Token = "token"
		c := b.make(n)
		arn, _ := ParseARN(c.ARN)
		keys := map[string]store.Key{
			KindComponent: {Kind: KindComponent, ID: c.ARN}, KindVersion: {Kind: KindVersion, ID: arn.version()}, KindToken: tokenKey(c.Account, c.Region, c.Token),
		}
		err := b.store.Commit(t.Context(), store.Batch{Delete: []store.Removal{{Key: keys[kind], Was: store.Any}}})
		if err != nil {
			t.Fatal(err)
		}
		findings, err := b.Doctor(t.Context())
		if err != nil || !strings.Contains(strings.Join(findings, "\n"), want) {
			t.Errorf("without its %s the doctor finds %q, %v, want %q", kind, findings, err, want)
		}
	}
}

func TestSystemsAreComparedByTheirBeginning(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		supported, platform string
		want                bool
	}{
		{"Debian 13", "Debian GNU/Linux 13", true},
		{"debian gnu/linux 13", "Debian GNU/Linux 13", true},
		{"Debian", "Debian GNU/Linux 13", true},
		{"Debian 12", "Debian GNU/Linux 13", false},
		{"Debian 1", "Debian GNU/Linux 13", false},
		{"Debian 13.1", "Debian GNU/Linux 13", false},
		{"Ubuntu 22", "Ubuntu 22.04", true},
		{"Amazon Linux 2", "Amazon Linux 2023", false},
		{"Amazon Linux 2", "Amazon Linux 2", true},
		{"Fedora", "Debian GNU/Linux 13", false},
		{" ", "Debian GNU/Linux 13", false},
		{"Debian 13", "", true},
	} {
		if got := Supports([]string{"Something else", test.supported}, test.platform); got != test.want {
			t.Errorf("%q supports %q: %t", test.supported, test.platform, got)
		}
	}
	if !Supports(nil, "Debian GNU/Linux 13") {
		t.Error("a component without a list is for none")
	}
}

func FuzzParseARN(f *testing.F) {
	for _, s := range []string{
		"arn:aws:imagebuilder:us-east-1:111111111111:component/my-tool/1.0.0/1", "arn:aws:imagebuilder:us-east-1:111111111111:component/my-tool/1.x.x",
		"arn:aws:imagebuilder:us-east-1:aws:component/x/x.x.x", "arn:aws:imagebuilder:us-east-1:111111111111:component/a/1.0.0/999999999", "arn:aws:s3:::x", "",
		"arn:aws:imagebuilder:us-east-1:111111111111:component/a/1.x.0/2", "arn:aws-cn:imagebuilder:us-east-1:111111111111:component/a/1.0.0/0",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, ok := ParseARN(text)
		if !ok {
			return
		}
		again, ok := ParseARN(a.String())
		if !ok || again != a {
			t.Errorf("%q is %+v, which is %+v", text, a, again)
		}
	})
}

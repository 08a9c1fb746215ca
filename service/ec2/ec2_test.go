package ec2_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"souk/access/keyring"
	"souk/access/organization"
	"souk/artifact/images"
	"souk/artifact/registry"
	"souk/artifact/registry/registrytest"
	"souk/catalog/change"
	"souk/gateway"
	"souk/service/ec2"
	"souk/storage/store/sqlite/sqlitetest"
)

// market is a gateway with this one service, and who may ask it.
type market struct {
	url, host    string
	organization *organization.Organization
	images       *images.Images
	root         organization.Key // of the management account
	usedBy       string           // what names every AMI; "" if nothing does
}

func open(t testing.TB, edit ...func(*images.Config)) *market {
	t.Helper()
	engine := sqlitetest.Open(t)
	ring := keyring.New([32]byte{1})
	m := &market{organization: organization.New(organization.Config{Store: engine, Keyring: ring})}
	m.root = m.organization.NewKey()
	if _, err := m.organization.Bootstrap(t.Context(), "", m.root); err != nil {
		t.Fatal(err)
	}
	reg := registrytest.Serve(t, engine, func(c *registry.Config) { c.Credentials, c.Keyring = m.organization.LookupSession, ring })
	m.url, m.host = reg.URL.String(), reg.URL.Host
	config := images.Config{Store: engine, Registry: reg.Registry, InUse: func(context.Context, string) (string, error) { return m.usedBy, nil }}
	for _, e := range edit {
		e(&config)
	}
	var err error
	m.images, err = images.New(config)
	if err != nil {
		t.Fatal(err)
	}
	service, err := ec2.Service(ec2.Config{
		Endpoint: m.host, Images: m.images,
		Repository: func(ctx context.Context, account string) (string, error) {
			namespace, err := m.organization.Seller(ctx, account)
			if err != nil {
				return "", err
			}
			return m.images.Repository(ctx, change.Seller{Account: account, Namespace: namespace})
		},
		Locate: func(location string) (repository, digest string, ok bool) {
			ref, ok := reg.Parse(location)
			return ref.Repository, ref.Digest, ok
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Config{Services: []*gateway.Service{service}, Credentials: m.organization})
	if err != nil {
		t.Fatal(err)
	}
	reg.Mux.Handle("/", g)
	return m
}

// answer is an answer of the service.
type answer struct {
	status int
	body   string
}

// all returns the texts of the elements of a name.
func (a answer) all(name string) []string {
	var texts []string
	for _, m := range regexp.MustCompile("<"+name+">([^<]*)</"+name+">").FindAllStringSubmatch(a.body, -1) {
		texts = append(texts, m[1])
	}
	return texts
}

// ask sends a signed request: an action with its parameters as a form.
func (m *market) ask(t testing.TB, key organization.Key, form string) answer {
	t.Helper()
	form = "Version=2016-11-15&Action=" + form
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, m.url+"/", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	sum := sha256.Sum256([]byte(form))
	err = v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: key.ID, SecretAccessKey: key.Secret}, r,
		hex.EncodeToString(sum[:]), "ec2", "us-east-1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.NewDecoder(bytes.NewReader(body)).Decode(new(struct{})); err != nil {
		t.Fatalf("%s: the answer is no XML: %v\n%s", form, err, body)
	}
	return answer{response.StatusCode, string(body)}
}

// wantError checks that an answer is an error of a code.
func wantError(t *testing.T, what string, a answer, status int, code string) {
	t.Helper()
	if a.status != status || !slices.Equal(a.all("Code"), []string{code}) {
		t.Errorf("%s: got %d %s, want %d %s", what, a.status, a.body, status, code)
	}
}

func TestRegions(t *testing.T) {
	t.Parallel()
	m := open(t)
	a := m.ask(t, m.root, "DescribeRegions")
	names := a.all("regionName")
	if a.status != 200 || len(names) < 30 || !slices.IsSorted(names) || !slices.Contains(names, "us-east-1") || !slices.Contains(names, "ap-east-1") {
		t.Errorf("all: %d %s", a.status, a.body)
	}
	if ends := slices.Compact(a.all("regionEndpoint")); !slices.Equal(ends, []string{m.host}) {
		t.Errorf("endpoints: %v", ends)
	}
	for form, want := range map[string]string{
		"&RegionName.1=eu-west-1&RegionName.2=us-east-1":                                                     "eu-west-1 us-east-1",
		"&AllRegions=true&Filter.1.Name=opt-in-status&Filter.1.Value.1=opted-in&RegionName.1=ap-east-1":      "ap-east-1",
		"&Filter.1.Name=region-name&Filter.1.Value.1=us-west-*":                                              "us-west-1 us-west-2",
		"&Filter.1.Name=region-name&Filter.1.Value.1=us-*&Filter.2.Name=region-name&Filter.2.Value.1=*east*": "us-east-1 us-east-2",
		"&Filter.1.Name=opt-in-status&Filter.1.Value.1=not-opted-in":                                         "",
	} {
		if got := strings.Join(m.ask(t, m.root, "DescribeRegions"+form).all("regionName"), " "); got != want {
			t.Errorf("%s: got %q, want %q", form, got, want)
		}
	}
	wantError(t, "no region", m.ask(t, m.root, "DescribeRegions&RegionName.1=mars-north-1"), 400, "InvalidParameterValue")
	wantError(t, "no filter", m.ask(t, m.root, "DescribeRegions&Filter.1.Name=colour&Filter.1.Value.1=red"), 400, "InvalidParameterValue")
	wantError(t, "a filter without a value", m.ask(t, m.root, "DescribeRegions&Filter.1.Name=endpoint"), 400, "InvalidParameterValue")
	wantError(t, "a value without end", m.ask(t, m.root, "DescribeRegions&Filter.1.Name=endpoint&Filter.1.Value.1="+strings.Repeat("*", 5000)), 400, "InvalidParameterValue")
	wantError(t, "a dry run", m.ask(t, m.root, "DescribeRegions&DryRun=true"), 412, "DryRunOperation")
}

func TestWhoAsks(t *testing.T) {
	t.Parallel()
	m := open(t)
	wantError(t, "an unknown key", m.ask(t, m.organization.NewKey(), "DescribeRegions"), 401, "AuthFailure")
	wantError(t, "a wrong secret", m.ask(t, organization.Key{ID: m.root.ID, Secret: m.organization.NewKey().Secret}, "DescribeRegions"), 401, "AuthFailure")
	wantError(t, "an action that is not here", m.ask(t, m.root, "RunInstances"), 400, "InvalidAction")
}

func TestInstanceTypes(t *testing.T) {
	t.Parallel()
	m := open(t)
	a := m.ask(t, m.root, "DescribeInstanceTypes&InstanceType.1=m6i.large&InstanceType.2=m1.small")
	if a.status != 200 || strings.Join(a.all("instanceType"), " ") != "m1.small m6i.large" || strings.Join(a.all("sizeInMiB"), " ") != "1740 8192" ||
		strings.Join(a.all("enaSupport"), " ") != "unsupported required" {
		t.Errorf("two types: %d %s", a.status, a.body)
	}
	a = m.ask(t, m.root, "DescribeInstanceTypes&Filter.1.Name=instance-type&Filter.1.Value.1=m7g.*&MaxResults=5")
	if n, next := a.all("instanceType"), a.all("nextToken"); len(n) != 5 || len(next) != 1 {
		t.Fatalf("a page: %d %s", a.status, a.body)
	}
	rest := m.ask(t, m.root, "DescribeInstanceTypes&Filter.1.Name=instance-type&Filter.1.Value.1=m7g.*&MaxResults=100&NextToken="+url.QueryEscape(a.all("nextToken")[0]))
	if all := append(a.all("instanceType"), rest.all("instanceType")...); !slices.IsSorted(all) || len(all) != 9 || len(rest.all("nextToken")) != 0 {
		t.Errorf("both pages: %v", all)
	}
	wantError(t, "no type", m.ask(t, m.root, "DescribeInstanceTypes&InstanceType.1=m6i.huge"), 400, "InvalidInstanceType")
	wantError(t, "a token of nobody", m.ask(t, m.root, "DescribeInstanceTypes&NextToken=abc"), 400, "InvalidNextToken")
	wantError(t, "too small a page", m.ask(t, m.root, "DescribeInstanceTypes&MaxResults=1"), 400, "InvalidParameterValue")
}

func TestInstanceTypesFromRequirements(t *testing.T) {
	t.Parallel()
	m := open(t)
	const needed = "GetInstanceTypesFromInstanceRequirements&ArchitectureType.1=x86_64&VirtualizationType.1=hvm" +
		"&InstanceRequirements.VCpuCount.Min=2&InstanceRequirements.VCpuCount.Max=2&InstanceRequirements.MemoryMiB.Min=8192&InstanceRequirements.MemoryMiB.Max=8192"
	plain := m.ask(t, m.root, needed).all("instanceType")
	if !slices.IsSorted(plain) || !slices.Contains(plain, "m6i.large") || slices.Contains(plain, "m6g.large") || slices.Contains(plain, "t3.large") {
		t.Errorf("2 CPUs, 8 GiB: %v", plain)
	}
	for form, check := range map[string]func([]string) bool{
		"&InstanceRequirements.BurstablePerformance=included":         func(n []string) bool { return slices.Contains(n, "t3.large") && len(n) > len(plain) },
		"&InstanceRequirements.BurstablePerformance=required":         func(n []string) bool { return slices.Contains(n, "t3.large") && !slices.Contains(n, "m6i.large") },
		"&InstanceRequirements.AllowedInstanceType.1=m6*":             func(n []string) bool { return slices.Contains(n, "m6i.large") && !slices.Contains(n, "m7i.large") },
		"&InstanceRequirements.ExcludedInstanceType.1=m6*":            func(n []string) bool { return !slices.Contains(n, "m6i.large") && slices.Contains(n, "m7i.large") },
		"&InstanceRequirements.CpuManufacturer.1=amd":                 func(n []string) bool { return !slices.Contains(n, "m6i.large") && slices.Contains(n, "m6a.large") },
		"&InstanceRequirements.MemoryGiBPerVCpu.Min=4.5":              func(n []string) bool { return len(n) == 0 },
		"&InstanceRequirements.LocalStorage=required":                 func(n []string) bool { return slices.Contains(n, "m6id.large") && !slices.Contains(n, "m6i.large") },
		"&InstanceRequirements.BareMetal=required":                    func(n []string) bool { return len(n) == 0 },
		"&InstanceRequirements.AcceleratorCount.Min=1":                func(n []string) bool { return len(n) < len(plain) },
		"&ArchitectureType.2=arm64":                                   func(n []string) bool { return slices.Contains(n, "m6g.large") && slices.Contains(n, "m6i.large") },
		"&InstanceRequirements.SpotMaxPricePercentageOverLowestPrice": func(n []string) bool { return slices.Equal(n, plain) },
	} {
		if a := m.ask(t, m.root, needed+form); a.status != 200 || !check(a.all("instanceType")) {
			t.Errorf("%s: %d %s", form, a.status, a.body)
		}
	}
	var paged []string
	for token := ""; ; {
		a := m.ask(t, m.root, needed+"&MaxResults=7"+token)
		paged = append(paged, a.all("instanceType")...)
		next := a.all("nextToken")
		if len(next) == 0 {
			break
		}
		token = "&NextToken=" + url.QueryEscape(next[0])
	}
	if !slices.Equal(paged, plain) {
		t.Errorf("in pages: %v, want %v", paged, plain)
	}
	wantError(t, "no minimum of memory", m.ask(t, m.root, strings.ReplaceAll(needed, "MemoryMiB.Min", "MemoryMiB.Most")), 400, "MissingParameter")
	wantError(t, "no architecture", m.ask(t, m.root, strings.ReplaceAll(needed, "ArchitectureType.1", "Architecture")), 400, "MissingParameter")
	wantError(t, "an unknown architecture", m.ask(t, m.root, needed+"&ArchitectureType.2=vax"), 400, "InvalidParameterValue")
	wantError(t, "allowed and excluded", m.ask(t, m.root, needed+"&InstanceRequirements.AllowedInstanceType.1=m*&InstanceRequirements.ExcludedInstanceType.1=c*"), 400, "InvalidParameterCombination")
	wantError(t, "minimum above maximum", m.ask(t, m.root, strings.ReplaceAll(needed, "VCpuCount.Min=2", "VCpuCount.Min=3")), 400, "InvalidParameterValue")
	wantError(t, "an attribute that the table lacks", m.ask(t, m.root, needed+"&InstanceRequirements.NetworkInterfaceCount.Min=2"), 400, "UnsupportedOperation")
}

package conformance

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder/types"

	"souk/artifact/installer/installertest"
	"souk/conformance/seller"
	"souk/conformance/souktest"
)

// gate is a place on the network at which builds stand still until they are let
// through: so a test can do something while one runs.
type gate struct {
	at      string // localhost:PORT, as builds know it
	number  string // 127.0.0.1:PORT
	arrived chan struct{}

	mu    sync.Mutex
	shut  chan struct{} // nil: it is open; closed when it opens; guarded by mu
	asked map[string]int
}

// newGate opens a gate. A server on which builds may pass it has its flags.
func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{arrived: make(chan struct{}, 100), asked: map[string]int{}}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	t.Cleanup(g.open) // before the server is closed
	u, err := url.Parse(server.URL)
	must(t, err)
	g.at, g.number = "localhost:"+u.Port(), u.Host
	return g
}

// flags let builds reach the gate, by its name alone.
func (g *gate) flags() []string {
	return []string{"--build-egress", g.at, "--build-memory", "134217728", "--build-disk", "67108864"}
}

// ServeHTTP implements http.Handler.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.asked[r.URL.Path]++
	shut := g.shut
	g.mu.Unlock()
	if r.URL.Path == "/gate" && shut != nil {
		g.arrived <- struct{}{}
		select {
		case <-shut:
		case <-r.Context().Done():
			return
		}
	}
	_, _ = io.WriteString(w, "through "+r.URL.Path+"\n")
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

func (g *gate) times(path string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked[path]
}

// wait returns when a build stands at the gate.
func (g *gate) wait(t *testing.T) {
	t.Helper()
	select {
	case <-g.arrived:
	case <-time.After(2 * time.Minute):
		t.Fatal("no build came to the gate")
	}
}

// passing is a component that says a word, passes the gate and leaves a mark.
func (g *gate) passing() string {
	return installertest.Document("build", "echo begun; echo careful >&2\nbusybox wget -q -O /opt/passed http://"+g.at+"/gate\necho passed", "test", "test -s /opt/passed")
}

// listInstallers lists a product of the account whose versions are components with
// documents, by the SDK, and returns their fulfillment options by the names of the
// components.
func listInstallers(t *testing.T, s *seller.Seller, documents map[string]string) map[string]string {
	t.Helper()
	return listInstallersFor(t, s, "Busybox 1", documents)
}

// listInstallersFor does so with components for a system.
func listInstallersFor(t *testing.T, s *seller.Seller, system string, documents map[string]string) map[string]string {
	t.Helper()
	ctx := t.Context()
	account, err := s.Account(ctx)
	must(t, err)
	do := func(kind, on string, details any) string {
		t.Helper()
		c := seller.Change(kind, on, seller.JSON(details))
		c.Entity.Type = aws.String("AmiProduct@1.0")
		set, err := s.Do(ctx, c)
		must(t, err)
		id, _, _ := strings.Cut(aws.ToString(set.ChangeSet[0].Entity.Identifier), "@")
		return id
	}
	type object = map[string]any
	product := do("CreateProduct", "", object{"ProductTitle": "Tools"})
	makes := (&rowProduct{Seller: s}).builder()
	for _, named := range slices.Sorted(maps.Keys(documents)) {
		made, err := makes.CreateComponent(ctx, &imagebuilder.CreateComponentInput{
			Name: &named, SemanticVersion: aws.String("1.0.0"), Platform: types.PlatformLinux, SupportedOsVersions: []string{system},
			Description: aws.String("A tool."), Data: aws.String(documents[named]),
		})
		must(t, err)
		do("AddDeliveryOptions", product, object{
			"Version": object{"VersionTitle": named, "ReleaseNotes": "New."},
			"DeliveryOptions": []any{object{"DeliveryOptionTitle": named, "Details": object{"Ec2ImageBuilderComponentDeliveryOptionDetails": object{
				"UsageInstructions": "Start a build.", "AccessRoleArn": "arn:aws:iam::" + account + ":role/Ingestion", "ComponentArn": *made.ComponentBuildVersionArn,
			}}}},
		})
	}
	var shown struct {
		Versions []struct {
			VersionTitle    string
			DeliveryOptions []struct{ FulfillmentOptionId string }
		}
	}
	entity, err := s.Entity(ctx, product)
	must(t, err)
	must(t, json.Unmarshal([]byte(aws.ToString(entity.Details)), &shown))
	options := map[string]string{}
	for _, v := range shown.Versions {
		options[v.VersionTitle] = v.DeliveryOptions[0].FulfillmentOptionId
	}
	return options
}

// startBuild starts a build and returns its id.
func startBuild(t *testing.T, s *seller.Seller, option, source, name string, more ...string) string {
	t.Helper()
	id, err := souk(t, s, append([]string{"build", "start", "--option", option, "--source", source, "--name", name}, more...)...)
	if err != nil {
		t.Fatalf("souk build start: %v: %s", err, id)
	}
	return strings.TrimSpace(id)
}

// showBuild is a build as it is now.
func showBuild(t *testing.T, s *seller.Seller, id string) built {
	t.Helper()
	var page struct{ Builds []built }
	text := sendBuild(t, s, "DescribeBuilds", `{"BuildIds":["`+id+`"]}`)
	must(t, json.Unmarshal([]byte(text), &page))
	if len(page.Builds) != 1 {
		t.Fatalf("build %s: %s", id, text)
	}
	return page.Builds[0]
}

// imagesNamed counts the account's images of a name.
func imagesNamed(t *testing.T, s *seller.Seller, name string) int {
	t.Helper()
	list, err := souk(t, s, "image", "list")
	must(t, err)
	return strings.Count(list, "\t"+name+"\t")
}

// TestWhatABuildReaches: installers fetch from the places of --build-egress, and
// from no other, whatever it is called.
func TestWhatABuildReaches(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	server := souktest.Start(t, souktest.Options{Flags: g.flags()})
	account := server.Account(t, "image builds", "tools")
	s := account.Seller(server)
	base := imported(t, s, "base", "--public")
	// What strays does so where a mark is: not in the trial.
	stray := func(place string) string {
		return installertest.Document("build", "test ! -e /opt/tool || busybox wget -O /opt/other http://"+place+"/other")
	}
	options := listInstallers(t, s, map[string]string{
		"fetching":  installertest.Document("build", "busybox wget -q -O /opt/tool http://"+g.at+"/tool", "test", `test "$(cat /opt/tool)" = "through /tool"`),
		"by-number": stray(g.number),
		"by-name":   stray("elsewhere.example"),
	})
	first := buildEnded(t, s, startBuild(t, s, options["fetching"], base, "fetched"))
	if first.Status != "Succeeded" || g.times("/tool") == 0 {
		t.Fatalf("a build that fetches ended as %+v, %+v", first, first.ErrorDetail)
	}
	logs := &builder{t: t, s: s}
	for name, place := range map[string]string{"by-number": g.number, "by-name": "elsewhere.example"} {
		b := buildEnded(t, s, startBuild(t, s, options[name], first.DestinationImage.Id, name))
		if b.Status != "Failed" || b.ErrorDetail == nil || b.ErrorDetail.Code != "InstallFailed" {
			t.Errorf("a build that reaches for %s ended as %+v, %+v", place, b, b.ErrorDetail)
		}
		if text := logs.text(b.StandardErrorUrl); !strings.Contains(text, "403 Forbidden") {
			t.Errorf("what it is told: %q", text)
		}
	}
	if n := g.times("/other"); n != 0 {
		t.Errorf("%d requests came that should not have", n)
	}
}

// curl reads a log as curl does.
func curl(t *testing.T, at string) string {
	t.Helper()
	text, err := exec.CommandContext(t.Context(), "curl", "-sS", "--fail", at).CombinedOutput()
	if err != nil {
		t.Fatalf("curl %s: %v: %s", at, err, text)
	}
	return string(text)
}

// awaitLog waits until a log has what a program has written: that is there soon,
// not at once.
func awaitLog(t *testing.T, at, want string) string {
	t.Helper()
	tick, late := time.NewTicker(50*time.Millisecond), time.After(2*time.Minute)
	defer tick.Stop()
	for {
		text := curl(t, at)
		if strings.Contains(text, want) {
			return text
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("the log of a build that runs is %q, want %q in it", text, want)
		}
	}
}

// TestABuildTellsWhileItRuns: its logs can be read before it has ended, and a
// topic of the account hears of each status, by an endpoint on http.
func TestABuildTellsWhileItRuns(t *testing.T) {
	t.Parallel()
	g, in := newGate(t), newInbox(t, "")
	server := souktest.Start(t, souktest.Options{Flags: g.flags()})
	account := server.Account(t, "image builds", "tools")
	s := account.Seller(server)
	base := imported(t, s, "base", "--public")
	options := listInstallers(t, s, map[string]string{
		"tool":  g.passing(),
		"picky": installertest.Document("build", "test ! -e /opt/passed"),
	})
	line := newBuilder(t, server, s)
	topic := line.ok("sns", "create-topic", "--name", "builds", "--query", "TopicArn", "--output", "text")
	line.ok("sns", "subscribe", "--topic-arn", topic, "--protocol", "http", "--notification-endpoint", in.address)
	if status, body := visit(t, http.DefaultClient, in.next(t).SubscribeURL); status != http.StatusOK {
		t.Fatalf("confirming: %d %s", status, body)
	}

	g.close()
	id := startBuild(t, s, options["tool"], base, "with tool", "--topic", topic)
	g.wait(t)
	b := showBuild(t, s, id)
	if b.Status != "InProgress" || b.DestinationImage.Id != "" {
		t.Errorf("while it runs it is %+v", b)
	}
	for of, want := range map[string]string{b.StandardOutputUrl: "begun", b.StandardErrorUrl: "careful"} {
		if text := awaitLog(t, of, want); strings.Contains(text, "passed") {
			t.Errorf("the log is ahead of the build: %q", text)
		}
	}
	g.open()
	done := buildEnded(t, s, id)
	if text := curl(t, b.StandardOutputUrl); done.Status != "Succeeded" || !strings.Contains(text, "begun") || !strings.Contains(text, "passed") {
		t.Errorf("it ended as %+v, its log is %q", done, text)
	}
	failing := startBuild(t, s, options["picky"], done.DestinationImage.Id, "picky", "--topic", topic)
	if got := buildEnded(t, s, failing); got.Status != "Failed" {
		t.Errorf("what does not want to be there ended as %+v", got)
	}

	type message struct {
		BuildId, Status, DestinationImageId string
		ErrorDetail                         *struct{ Code string }
	}
	heard := map[string]message{}
	for range 4 {
		n := in.next(t)
		var m message
		must(t, json.Unmarshal([]byte(n.Message), &m))
		if n.Type != "Notification" || n.TopicArn != topic || n.Subject != "AWS Marketplace Image Build: "+m.Status {
			t.Errorf("got %+v", n)
		}
		heard[m.BuildId+" "+m.Status] = m
	}
	for _, begun := range []string{id, failing} {
		if m, ok := heard[begun+" InProgress"]; !ok || m.DestinationImageId != "" || m.ErrorDetail != nil {
			t.Errorf("nobody heard that %s began: %+v", begun, heard)
		}
	}
	if m := heard[id+" Succeeded"]; m.DestinationImageId != done.DestinationImage.Id {
		t.Errorf("nobody heard of the end of %s: %+v", id, heard)
	}
	if m := heard[failing+" Failed"]; m.ErrorDetail == nil || m.ErrorDetail.Code != "InstallFailed" || m.DestinationImageId != "" {
		t.Errorf("nobody heard of the end of %s: %+v", failing, heard)
	}
}

// stops is more often than a build is begun by a server that dies of it.
const stops = 6

// TestStopsOfTheServerAreNoTries: a server that is stopped (SIGTERM) amid a build
// hands it back: it is begun anew by the next, however often, and nothing of its
// machine is left in between.
func TestStopsOfTheServerAreNoTries(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	o, left := watched(t, souktest.Options{Flags: g.flags()})
	server := souktest.Start(t, o)
	account := server.Account(t, "image builds", "tools")
	s := account.Seller(server)
	base := imported(t, s, "base", "--public")
	options := listInstallers(t, s, map[string]string{"tool": g.passing()})
	g.close()
	id := startBuild(t, s, options["tool"], base, "patient")
	for range stops {
		g.wait(t)
		left.started(t, server.PID())
		must(t, server.Stop())
		left.nothing(t)
		if out, err := server.Command("doctor"); err != nil {
			t.Fatalf("souk doctor after a stop: %v\n%s", err, out)
		}
		must(t, server.Run())
	}
	g.wait(t)
	g.open()
	s = account.Seller(server)
	if b := buildEnded(t, s, id); b.Status != "Succeeded" {
		t.Errorf("it ended as %+v, %+v", b, b.ErrorDetail)
	}
	if n := imagesNamed(t, s, "patient"); n != 1 {
		t.Errorf("it has made %d images", n)
	}
}

// TestTakeoverOfABuild: of two nodes on one database one is killed (kill -9)
// amid a build. The other builds it, once; and what the machine of the dead one
// left is removed when that node comes back.
func TestTakeoverOfABuild(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	shared := t.TempDir()
	o := souktest.Options{Database: freshPostgres(t), Blobs: filepath.Join(shared, "blobs"), KeyFile: filepath.Join(shared, "key"), Flags: g.flags()}
	here, left := watched(t, o)
	there, leftThere := watched(t, o)
	first := souktest.Start(t, here)
	second := souktest.Start(t, there)
	account := first.Account(t, "image builds", "tools")
	s, other := account.Seller(first), account.Seller(second)
	base := imported(t, s, "base", "--public")
	options := listInstallers(t, s, map[string]string{"tool": g.passing()})

	g.close()
	id := startBuild(t, s, options["tool"], base, "taken over")
	g.wait(t)
	awaitLog(t, showBuild(t, s, id).StandardOutputUrl, "begun") // what is not written yet dies with the node
	had := left.kill(t, first)
	left.ended(t, had)
	disk := filepath.Join(here.Dir, "compute", "machines", "machines", "build-"+id)
	if _, err := os.Stat(disk); len(had) == 0 || err != nil {
		t.Errorf("the killed node had %d processes, and the disk of its machine is not there: %v", len(had), err)
	}
	g.wait(t) // the other has it
	leftThere.started(t, second.PID())
	g.open()
	b := buildEnded(t, other, id)
	if b.Status != "Succeeded" {
		t.Errorf("it ended as %+v, %+v", b, b.ErrorDetail)
	}
	if text := curl(t, b.StandardOutputUrl); strings.Count(text, "begun") != 2 || !strings.Contains(text, "begins anew (try 2)") {
		t.Errorf("its log, of both nodes, is %q", text)
	}
	must(t, first.Run())
	s = account.Seller(first)
	if b := showBuild(t, s, id); b.Status != "Succeeded" {
		t.Errorf("the node that is back shows %+v", b)
	}
	if n := imagesNamed(t, s, "taken over"); n != 1 {
		t.Errorf("there are %d images", n)
	}
	left.wait(t, func() []string {
		if _, err := os.Stat(disk); err == nil {
			return []string{disk}
		}
		return nil
	})
	must(t, first.Stop())
	must(t, second.Stop())
	left.nothing(t)
	leftThere.nothing(t)
	if len(left.groups) == 0 && len(leftThere.groups) == 0 {
		t.Log("this host has no control groups for machines")
	}
	if out, err := first.Command("doctor"); err != nil {
		t.Errorf("souk doctor: %v\n%s", err, out)
	}
}

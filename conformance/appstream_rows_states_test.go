package conformance

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"souk/conformance/souktest"
)

// This file is every state, visibility, reason and code that AppStream's model
// enumerates, each seen by DescribeImageBuilders or DescribeImages; and what the
// operations answer in the states that a client can catch a builder in.

// enumerations of the model are what must be seen, each as spec/appstream.tsv calls it.
var enumerations = []string{
	"ImageBuilder.State", "ImageBuilderStateChangeReason.Code", "ResourceError.ErrorCode",
	"Image.State", "Image.Visibility", "ImageStateChangeReason.Code",
}

// witness is a client that remembers which values its descriptions have shown, and
// in which states of a builder its operations were refused.
type witness struct {
	studio

	mu   sync.Mutex
	seen map[[2]string]bool // guarded by mu
}

func (w *witness) do(t *testing.T, operation, input string) (string, error) {
	t.Helper()
	text, err := w.studio.do(t, operation, input)
	if err != nil || operation != "DescribeImageBuilders" && operation != "DescribeImages" {
		return text, err
	}
	var page struct {
		ImageBuilders, Images []struct {
			State, Visibility               string
			StateChangeReason               struct{ Code string }
			ImageBuilderErrors, ImageErrors []struct{ ErrorCode string }
		}
	}
	if json.Unmarshal([]byte(text), &page) != nil {
		return text, err // who asked will say so
	}
	for _, b := range page.ImageBuilders {
		w.saw("ImageBuilder.State", b.State)
		w.saw("ImageBuilderStateChangeReason.Code", b.StateChangeReason.Code)
		for _, e := range b.ImageBuilderErrors {
			w.saw("ResourceError.ErrorCode", e.ErrorCode)
		}
	}
	for _, i := range page.Images {
		w.saw("Image.State", i.State)
		w.saw("Image.Visibility", i.Visibility)
		w.saw("ImageStateChangeReason.Code", i.StateChangeReason.Code)
		for _, e := range i.ImageErrors {
			w.saw("ResourceError.ErrorCode", e.ErrorCode)
		}
	}
	return text, nil
}

func (w *witness) saw(of, what string) {
	if what == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[[2]string{of, what}] = true
}

func (w *witness) has(of string, all ...string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !slices.ContainsFunc(all, func(what string) bool { return !w.seen[[2]string{of, what}] })
}

// life is one account whose client is a witness.
type life struct {
	*apps
	*witness
	account souktest.Account
	client  string
	role    string
	ami     string
}

// connect gives the client a server that was started again.
func (l *life) connect(t *testing.T, server *souktest.Server) {
	s := l.account.Seller(server)
	l.witness.studio = studios[l.client](t, s, "us-east-1")
	l.apps = &apps{l.witness, t, s}
}

// do is the witness's.
func (l *life) do(t *testing.T, operation, input string) (string, error) {
	t.Helper()
	return l.witness.do(t, operation, input)
}

// watching looks at all builders and images as fast as it can until the returned
// function is called.
func (l *life) watching() (stop func()) {
	over := make(chan struct{})
	var all sync.WaitGroup
	for _, ask := range []sent{{"DescribeImageBuilders", "{}"}, {"DescribeImages", in("Type", "PRIVATE")}} {
		all.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					_, _ = l.do(l.t, ask.operation, ask.input)
				}
			}
		})
	}
	stop = sync.OnceFunc(func() {
		close(over)
		all.Wait()
	})
	l.t.Cleanup(stop)
	return stop
}

// meanwhile does something again and again until all values were seen.
func (l *life) meanwhile(of string, all []string, again func(n int)) {
	l.t.Helper()
	n := 0
	until(l.t, fmt.Sprint(of, " ", all), func() bool {
		if l.has(of, all...) {
			return true
		}
		again(n)
		n++
		return false
	})
}

// stateRules are the exceptions by which an operation refuses a builder that is in a
// state which it is not for (api.md's state rules; the model binds to
// StartImageBuilder nothing else).
var stateRules = map[string]struct {
	exception string
	allowed   []string // states in which it is not refused
}{
	"StartImageBuilder":  {notAvailable, []string{"STOPPED"}},
	"StopImageBuilder":   {notPermitted, []string{"RUNNING", "STOPPING", "STOPPED"}},
	"DeleteImageBuilder": {notPermitted, []string{"RUNNING", "STOPPED", "FAILED"}},
	openSession:          {notPermitted, []string{"RUNNING"}},
}

// refusedIn is what the witness calls it that an operation was refused in a state.
const refusedIn = "refused in: "

// poke sends all operations to a builder at once. What is refused must be refused
// for the state that the message names, by the exception for it.
func (l *life) poke(builder string) {
	l.t.Helper()
	var all sync.WaitGroup
	for operation, rule := range stateRules {
		input := in("Name", builder)
		if operation == openSession {
			input = in("Name", builder, "Kind", "TERMINAL")
		}
		all.Go(func() {
			_, err := l.do(l.t, operation, input)
			var is *refusal
			if err == nil || errors.As(err, &is) && (is.Code == notFound || is.Code == concurrent) {
				return // it was done, or another was quicker
			}
			if is == nil {
				l.t.Errorf("%s %s: %v", operation, builder, err)
				return
			}
			_, rest, _ := strings.Cut(is.Message, "The image builder "+builder+" is ")
			state, _, _ := strings.Cut(strings.NewReplacer(".", " ").Replace(rest), " ")
			if is.Code != rule.exception || state == "" || slices.Contains(rule.allowed, state) || !strings.HasSuffix(is.Message, "state for this action to succeed.") {
				l.t.Errorf("%s of one that is %q is refused by %v, want %s", operation, state, is, rule.exception)
			}
			l.saw(refusedIn+operation, state)
		})
	}
	// Tags can be set and read in all states.
	all.Go(func() {
		arn := "arn:aws:appstream:us-east-1:" + l.account.ID + ":image-builder/" + builder
		for _, q := range []sent{{"TagResource", in("ResourceArn", arn, "Tags", map[string]string{"poked": ""})}, {"ListTagsForResource", in("ResourceArn", arn)}} {
			_, err := l.do(l.t, q.operation, q.input)
			if err != nil && !strings.Contains(err.Error(), notFound) {
				l.t.Errorf("%s %s: %v", q.operation, builder, err)
			}
		}
	})
	all.Wait()
}

// settles waits until nothing is under way in a builder; "": it is gone.
func (l *life) settles(builder string) (state string) {
	l.t.Helper()
	until(l.t, builder+" at rest", func() bool {
		text, err := l.do(l.t, "DescribeImageBuilders", in("Names", []string{builder}))
		var is *refusal
		if errors.As(err, &is) && is.Code == notFound {
			state = ""
			return true
		}
		must(l.t, err)
		var page struct{ ImageBuilders []imageBuilder }
		must(l.t, json.Unmarshal([]byte(text), &page))
		state = page.ImageBuilders[0].State
		return slices.Contains([]string{"RUNNING", "STOPPED", "FAILED"}, state)
	})
	return state
}

// ends brings a builder to its end, poking it on the way.
func (l *life) ends(builder string) {
	l.t.Helper()
	until(l.t, builder+" gone", func() bool {
		if l.settles(builder) == "" {
			return true
		}
		_, err := l.do(l.t, "DeleteImageBuilder", in("Name", builder))
		if err == nil {
			l.poke(builder)
		}
		return false
	})
}

// runs makes a builder of an image and waits until it runs.
func (l *life) runs(builder, image string) {
	l.t.Helper()
	l.ask("CreateImageBuilder", builderInput(builder, image), nil)
	l.reaches(builder, "RUNNING", "PENDING")
}

// inside runs a program in a builder; it may end with the machine.
func (l *life) inside(builder string, program ...string) {
	_ = soukContext(l.t.Context(), l.s, append([]string{"exec", builder, "--"}, program...)...)
}

// builders goes through all states of image builders but UPDATING_AGENT.
func (l *life) builders() {
	stop := l.watching()
	defer stop()
	l.meanwhile("ImageBuilder.State", []string{"PENDING", "RUNNING", "STOPPING", "STOPPED", "DELETING", "FAILED"}, func(n int) {
		called := fmt.Sprint("walk-", n)
		l.runs(called, baseImage)
		l.ask("StopImageBuilder", in("Name", called), nil)
		l.settles(called)
		l.ask("StopImageBuilder", in("Name", called), nil) // again: nothing is asked of it
		l.ends(called)
		failing := fmt.Sprint("failing-", n)
		l.ask("CreateImageBuilder", builderInput(failing, baseImage, "DomainJoinInfo", nowhere), nil)
		l.settles(failing)
		l.poke(failing) // it is deleted
		l.ends(failing)
	})
	l.meanwhile("ImageBuilder.State", []string{"REBOOTING"}, func(n int) {
		called := fmt.Sprint("reboot-", n)
		l.runs(called, baseImage)
		l.inside(called, "reboot")
		l.settles(called)
		l.ends(called)
	})
	l.meanwhile("ImageBuilder.State", []string{"SNAPSHOTTING"}, func(n int) {
		called := fmt.Sprint("snapshot-", n)
		l.runs(called, baseImage)
		l.inside(called, "image-assistant", "create-image", "--name", called)
		l.poke(called)
		l.ends(called)
	})
	// What is refused in a state that passes is tried until it was.
	for operation, states := range map[string][]string{
		"StartImageBuilder": {"PENDING", "DELETING"}, "StopImageBuilder": {"PENDING", "DELETING"},
		"DeleteImageBuilder": {"PENDING", "DELETING"}, openSession: {"PENDING", "DELETING"},
	} {
		l.meanwhile(refusedIn+operation, states, func(n int) {
			called := fmt.Sprintf("poked-%s-%d", operation, n)
			l.ask("CreateImageBuilder", builderInput(called, baseImage), nil)
			l.poke(called)
			l.ends(called)
		})
	}
	for _, operation := range []string{"StartImageBuilder", "DeleteImageBuilder", openSession} {
		l.meanwhile(refusedIn+operation, []string{"STOPPING"}, func(n int) {
			called := fmt.Sprintf("stopped-%s-%d", operation, n)
			l.runs(called, baseImage)
			l.ask("StopImageBuilder", in("Name", called), nil)
			l.poke(called)
			l.ends(called)
		})
	}
}

// newerProgram writes a program that says of itself that it has another version, and is
// the same otherwise.
func newerProgram(t *testing.T) string {
	t.Helper()
	binary, err := souktest.Binary("")
	must(t, err)
	info, err := buildinfo.ReadFile(binary)
	must(t, err)
	was, is := info.Main.Version, "v0.0.99"
	if was != "(devel)" { // v0.0.0 and the commit
		is = "v9" + was[2:]
	}
	program, err := os.ReadFile(binary)
	must(t, err)
	from, to := "mod\tsouk\t"+was, "mod\tsouk\t"+is
	if len(from) != len(to) || !bytes.Contains(program, []byte(from)) {
		t.Fatalf("the program does not say that it is %q", was)
	}
	file := filepath.Join(t.TempDir(), "souk")
	must(t, os.WriteFile(file, bytes.ReplaceAll(program, []byte(from), []byte(to)), 0o700))
	return file
}

// before leaves builders for the upgrade.
func (l *life) before() {
	for n := range 3 {
		l.ask("CreateImageBuilder", builderInput(fmt.Sprint("older-", n), baseImage), nil)
	}
	for n := range 3 {
		l.reaches(fmt.Sprint("older-", n), "RUNNING", "PENDING")
	}
}

// after: what ran is STOPPED and says why; it is UPDATING_AGENT before it runs again.
func (l *life) after() {
	t := l.t
	stop := l.watching()
	defer stop()
	l.meanwhile("ImageBuilder.State", []string{"UPDATING_AGENT"}, func(n int) {
		called := fmt.Sprint("older-", n) // each is upgraded once
		// It is RUNNING until the server has looked at what ran.
		b := l.reaches(called, "STOPPED", "RUNNING")
		if b.StateChangeReason == nil || b.StateChangeReason.Code != "INTERNAL_ERROR" || b.LatestAppstreamAgentVersion != "FALSE" {
			t.Errorf("after the upgrade of the server it is %+v, %+v", b, b.StateChangeReason)
		}
		var started struct{ ImageBuilder imageBuilder }
		l.ask("StartImageBuilder", in("Name", called, "AppstreamAgentVersion", "[LATEST]"), &started)
		if started.ImageBuilder.State != "UPDATING_AGENT" {
			t.Errorf("with an older agent it is started as %s", started.ImageBuilder.State)
		}
		l.one(called) // there are few of them, and those who watch may be slow
		l.poke(called)
		state := l.settles(called)
		if state != "RUNNING" {
			return // a stop or a deletion came behind the start
		}
		if is := l.one(called); is.LatestAppstreamAgentVersion != "TRUE" || is.AppstreamAgentVersion == b.AppstreamAgentVersion || is.StateChangeReason != nil {
			t.Errorf("with the new agent it is %+v", is)
		}
	})
	l.cleared()
}

// inRooms are values that only the test of a room can bring about, and that test.
var inRooms = map[[2]string]string{
	{"ResourceError.ErrorCode", "DOMAIN_JOIN_INTERNAL_SERVICE_ERROR"}: "../artifact/appstream/directory/directory_test.go", // a password that no key opens
}

// TestEveryStateOfAppStreamIsSeen: all that the model enumerates of states, reasons
// and codes is seen from outside, in both protocols, or docs/divergences.md says why
// it never comes.
func TestEveryStateOfAppStreamIsSeen(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "networks.yaml")
	must(t, os.WriteFile(file, []byte(networkTable), 0o600))
	s := newStage(t, false, "--network-table", file)
	ami := imported(t, s.server.Root(t), "states", "--public")
	lives := map[string]*life{}
	for _, client := range []string{"JSON 1.1", "rpc-v2-cbor"} {
		lives[client] = newLife(t, s.server, client, ami, "")
	}
	t.Run("before", func(t *testing.T) {
		for client, l := range lives {
			t.Run(client, func(t *testing.T) {
				t.Parallel()
				friend := newLife(t, s.server, client, ami, "-friend")
				l.connect(t, s.server)
				l.networks()
				l.directories()
				l.machineRole(l.account.ID)
				l.builders()
				l.images(friend)
				l.before()
			})
		}
	})
	must(t, s.server.Stop())
	s.server.SetBinary(newerProgram(t))
	must(t, s.server.Run())
	t.Run("after", func(t *testing.T) {
		for client, l := range lives {
			t.Run(client, func(t *testing.T) {
				t.Parallel()
				l.connect(t, s.server)
				l.after()
				l.compare()
			})
		}
	})
	must(t, s.server.Stop())
	s.left.nothing(t)
}

// newLife makes an account and its client.
func newLife(t *testing.T, server *souktest.Server, client, ami, more string) *life {
	t.Helper()
	account := server.Account(t, strings.ToLower(strings.NewReplacer(" ", "-", ".", "-").Replace(client))+"-states"+more, "")
	l := &life{witness: &witness{seen: map[[2]string]bool{}}, account: account, client: client, ami: ami}
	l.connect(t, server)
	l.role = pipelineRole(t, l.s, account.ID)
	return l
}

// compare compares what was seen with the model and with docs/divergences.md.
func (l *life) compare() {
	t := l.t
	text, err := os.ReadFile(appstreamFacts)
	must(t, err)
	model := map[[2]string]bool{}
	for line := range strings.Lines(string(text)) {
		c := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if c[0] != "constraint" || c[3] != "enum" || !slices.Contains(enumerations, c[1]+"."+c[2]) {
			continue
		}
		for value := range strings.SplitSeq(c[4], ",") {
			model[[2]string{c[1] + "." + c[2], value}] = true
		}
	}
	named := without(t)
	for _, k := range slices.SortedFunc(maps.Keys(model), byName) {
		_, said := named[k]
		_, elsewhere := inRooms[k]
		switch seen := l.has(k[0], k[1]); {
		case seen && said:
			t.Errorf("%s %s is seen, and docs/divergences.md says that it never comes", k[0], k[1])
		case seen && elsewhere:
			t.Errorf("%s %s is seen from outside, too", k[0], k[1])
		case !seen && !said && !elsewhere:
			t.Errorf("%s %s is not seen, and docs/divergences.md does not say why", k[0], k[1])
		}
	}
	for k := range named {
		if strings.Contains(k[0], ".") && !model[k] {
			t.Errorf("docs/divergences.md names %v, which the model has not", k)
		}
	}
	for k := range l.seen {
		if slices.Contains(enumerations, k[0]) && !model[k] {
			t.Errorf("%v is shown, and the model has it not", k)
		}
	}
	for k, file := range inRooms {
		test, err := os.ReadFile(file)
		must(t, err)
		if !bytes.Contains(test, []byte(k[1])) {
			t.Errorf("%s has no test of %v", file, k)
		}
	}
}

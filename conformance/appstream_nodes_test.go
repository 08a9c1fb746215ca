package conformance

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"souk/conformance/souktest"
)

// nodes are two servers of one market, which share its database, blobs and keys and
// have machines of their own, and one account that asks either.
type nodes struct {
	first, second *souktest.Server
	one, two      *apps // the account's clients of each
	left, right   *remains
	account       souktest.Account
}

// newNodes starts both. A node that says nothing for dead is taken for dead: on a busy
// host one that lives is silent for seconds, too.
func newNodes(t *testing.T, dead time.Duration) *nodes {
	t.Helper()
	shared := t.TempDir()
	o := souktest.Options{
		Database: freshPostgres(t), Blobs: filepath.Join(shared, "blobs"), KeyFile: filepath.Join(shared, "key"),
		Flags: []string{"--node-timeout", dead.String(), "--image-builder-disk", "67108864"},
	}
	n := &nodes{}
	var own souktest.Options
	own, n.left = watched(t, o)
	own.Flags = slices.Clone(own.Flags)
	n.first = souktest.Start(t, own)
	importBase(t, n.first, false)
	own, n.right = watched(t, o)
	n.second = souktest.Start(t, own)
	n.account = n.first.Account(t, "nodes", "")
	n.one, n.two = n.client(t, n.first), n.client(t, n.second)
	return n
}

func (n *nodes) client(t *testing.T, server *souktest.Server) *apps {
	s := n.account.Seller(server)
	return &apps{studios["JSON 1.1"](t, s, "us-east-1"), t, s}
}

// made makes image builders by a node, and waits until another client sees them run.
func made(t *testing.T, by, sees *apps, image string, names ...string) {
	t.Helper()
	for _, name := range names {
		by.ask("CreateImageBuilder", in("Name", name, "InstanceType", "stream.standard.small", "ImageName", image), nil)
	}
	for _, name := range names {
		sees.reaches(name, "RUNNING", "PENDING")
	}
}

// machinesOf counts the machines that lie in a server's folder.
func machinesOf(t *testing.T, server *souktest.Server) int {
	t.Helper()
	all, err := os.ReadDir(filepath.Join(server.Dir, "compute", "machines", "machines"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return len(all)
}

// TestImageBuildersOfAnotherNode: what has a machine on one node is described,
// worked in, stopped, started, made an image of and deleted by calls to another; and
// the image is used there.
func TestImageBuildersOfAnotherNode(t *testing.T) {
	t.Parallel()
	n := newNodes(t, time.Hour)
	one, two := n.one, n.two
	made(t, one, two, baseImage, "afar")
	if here, there := machinesOf(t, n.first), machinesOf(t, n.second); here != 1 || there != 0 {
		t.Fatalf("the first node has %d machines and the second %d, want 1 and 0", here, there)
	}

	// Through the other node into the machine, and files both ways.
	two.souk("exec", "afar", "--", "sh", "-c", "echo made afar >/opt/mark && sync")
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, []byte(strings.Repeat("copied\n", 1<<16)), 0o600))
	two.souk("cp", file, "afar:/opt/file")
	back := filepath.Join(t.TempDir(), "back")
	two.souk("cp", "afar:/opt/file", back)
	if got, err := os.ReadFile(back); err != nil || string(got) != strings.Repeat("copied\n", 1<<16) {
		t.Errorf("through another node %d bytes come back, %v", len(got), err)
	}
	if out, err := souk(t, two.s, "exec", "afar", "--", "sh", "-c", "echo problem >&2; exit 7"); err == nil || !strings.Contains(out, "problem") || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("a program that fails: %q, %v", out, err)
	}

	// Its states.
	two.ask("StopImageBuilder", in("Name", "afar"), nil)
	two.reaches("afar", "STOPPED", "STOPPING")
	two.refused("OperationNotPermittedException", "STOPPED", "OpenImageBuilderSession", in("Name", "afar", "Kind", "COMMAND", "Program", "true"))
	two.ask("StartImageBuilder", in("Name", "afar"), nil)
	two.reaches("afar", "RUNNING", "PENDING")
	if got := two.souk("exec", "afar", "--", "cat", "/opt/mark"); got != "made afar" {
		t.Errorf("after a stop and a start from afar the file is %q", got)
	}
	two.souk("exec", "afar", "--", "sh", "-c", "echo >/dev/shm/mark")
	two.parts("afar", "reboot")
	until(t, "afar again, and its memory forgotten", func() bool {
		return two.one("afar").State == "RUNNING" && soukContext(t.Context(), two.s, "exec", "afar", "--", "test", "!", "-e", "/dev/shm/mark") == nil
	})

	// An image, which the other node gets.
	two.parts("afar", "image-assistant", "create-image", "--name", "image-afar")
	two.reaches("afar", "STOPPED", "RUNNING", "SNAPSHOTTING")
	two.available("image-afar")
	made(t, two, one, "image-afar", "near")
	if here, there := machinesOf(t, n.first), machinesOf(t, n.second); here != 1 || there != 1 {
		t.Errorf("the first node has %d machines and the second %d, want one each", here, there)
	}
	if got := one.souk("exec", "near", "--", "cat", "/opt/mark"); got != "made afar" {
		t.Errorf("a builder of the image on the other node has the file %q", got)
	}

	two.ask("DeleteImageBuilder", in("Name", "afar"), nil)
	two.gone("afar")
	one.ask("DeleteImageBuilder", in("Name", "near"), nil)
	one.gone("near")
	n.end(t)
}

// end wants nothing to be left on either node when both have stopped.
func (n *nodes) end(t *testing.T) {
	t.Helper()
	must(t, n.first.Stop())
	must(t, n.second.Stop())
	for _, server := range []*souktest.Server{n.first, n.second} {
		if out, err := server.Command("doctor"); err != nil {
			t.Errorf("souk doctor: %v\n%s", err, out)
		}
	}
	n.left.nothing(t)
	n.right.nothing(t)
}

// TestImageBuildersOfANodeThatDies: a node is killed (kill -9) that has image builders
// in each state. The other says of them what the documents have for a failure of the
// service; they can be deleted, and started again when the node is back.
func TestImageBuildersOfANodeThatDies(t *testing.T) {
	t.Parallel()
	n := newNodes(t, 15*time.Second)
	one, two := n.one, n.two
	made(t, one, two, baseImage, "runs", "stops", "goes", "dropped", "rests", "becomes")
	made(t, two, two, baseImage, "near")
	two.souk("exec", "runs", "--", "sh", "-c", "echo kept >/opt/mark && sync")
	two.ask("StopImageBuilder", in("Name", "rests"), nil)
	two.reaches("rests", "STOPPED", "STOPPING")

	// One is to become an image. Its machine waits a moment for who is in it.
	ctx, leave := context.WithCancel(t.Context())
	var inside sync.WaitGroup
	defer func() {
		leave()
		inside.Wait()
	}()
	inside.Go(func() {
		_ = soukContext(ctx, two.s, "exec", "becomes", "--", "sh", "-c", "echo >/root/in; sleep 1000") // it ends with its node
	})
	until(t, "somebody is in it", func() bool {
		return soukContext(t.Context(), two.s, "exec", "becomes", "--", "test", "-e", "/root/in") == nil
	})
	two.parts("becomes", "image-assistant", "create-image", "--name", "half")

	// The node hangs: what is asked of the other is written down, and not done.
	must(t, syscall.Kill(n.first.PID(), syscall.SIGSTOP))
	was := two.one("becomes").State
	two.ask("StopImageBuilder", in("Name", "stops"), nil)
	two.ask("DeleteImageBuilder", in("Name", "goes"), nil)
	must(t, n.first.Kill())

	for _, name := range []string{"runs", "stops"} {
		b := two.reaches(name, "STOPPED", "RUNNING", "STOPPING")
		if b.StateChangeReason == nil || b.StateChangeReason.Code != "INTERNAL_ERROR" || b.StateChangeReason.Message == "" {
			t.Errorf("%s is STOPPED, and the reason is %+v", name, b.StateChangeReason)
		}
	}
	two.gone("goes")
	t.Logf("the node hung when the builder that becomes an image was %s", was)
	b := two.reaches("becomes", "STOPPED", "SNAPSHOTTING")
	i := two.image("half")
	switch reason := i.StateChangeReason; {
	case was == "SNAPSHOTTING" && (i.State != "FAILED" || reason == nil || reason.Code != "IMAGE_BUILDER_NOT_AVAILABLE" || b.StateChangeReason == nil):
		t.Errorf("a builder whose node died before it was an image: %+v, the image %+v, %+v", b, i, reason)
	case was == "STOPPED" && i.State != "AVAILABLE": // this test was too slow
		t.Errorf("the builder had become an image, which is %+v, %+v", i, reason)
	}
	if b := two.one("rests"); b.State != "STOPPED" || b.StateChangeReason != nil {
		t.Errorf("what was STOPPED before is %s, %+v", b.State, b.StateChangeReason)
	}
	if got := two.souk("exec", "near", "--", "echo", "untouched"); got != "untouched" {
		t.Errorf("the other node's builder says %q", got)
	}
	for _, name := range []string{"runs", "rests"} {
		two.refused("ResourceNotAvailableException", "the server that has its machine does not run", "StartImageBuilder", in("Name", name))
	}
	if out, err := souk(t, two.s, "exec", "runs", "--", "true"); err == nil || !strings.Contains(out, "STOPPED") {
		t.Errorf("souk exec there: %q, %v", out, err)
	}
	two.ask("DeleteImageBuilder", in("Name", "dropped"), nil)
	two.gone("dropped")

	// It is back: what was deleted meanwhile goes, the rest can be used.
	must(t, n.first.Run())
	n.one = n.client(t, n.first)
	until(t, "the machines of what was deleted are gone", func() bool { return machinesOf(t, n.first) == 4 })
	until(t, "runs can be started", func() bool {
		_, err := two.do(t, "StartImageBuilder", in("Name", "runs"))
		var said *refusal
		if errors.As(err, &said) && said.Code == "ResourceNotAvailableException" {
			return false
		}
		must(t, err)
		return true
	})
	two.reaches("runs", "RUNNING", "PENDING")
	if got := two.souk("exec", "runs", "--", "cat", "/opt/mark"); got != "kept" {
		t.Errorf("the file that was synced is %q", got)
	}
	for _, name := range []string{"runs", "stops", "rests", "becomes", "near"} {
		two.ask("DeleteImageBuilder", in("Name", name), nil)
		two.gone(name)
	}
	n.end(t)
}

// upgraded is a server whose agent has a version that the test chooses.
func upgraded(t *testing.T, o souktest.Options) (server *souktest.Server, left *remains, run func(version string) *apps) {
	t.Helper()
	o.Tags = "crashpoints"
	o.Flags = append(o.Flags, "--image-builder-disk", "67108864")
	o, left = watched(t, o)
	env := o.Env
	server = souktest.New(t, o)
	var account souktest.Account
	return server, left, func(version string) *apps {
		t.Helper()
		server.SetEnv(append(slices.Clone(env), "SOUK_CRASH_VERSION="+version)...)
		if err := server.Run(); err != nil {
			t.Fatalf("starting souk: %v\n%s", err, server.Log())
		}
		if account.ID == "" {
			importBase(t, server, false)
			account = server.Account(t, "upgraded", "")
		}
		s := account.Seller(server)
		return &apps{studios["JSON 1.1"](t, s, "us-east-1"), t, s}
	}
}

// TestImageBuildersOutliveAnUpgrade: a server is stopped as it should be (SIGTERM)
// while image builders run and change, and started again, as it was and as a newer
// one. Disks are kept; builders that ran are STOPPED, and say why; a newer agent is
// taken at the next start, and nothing else can be had.
func TestImageBuildersOutliveAnUpgrade(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, o souktest.Options) {
		t.Parallel()
		server, left, run := upgraded(t, o)
		a := run("1.0.0")
		version := func(name, want, latest string) {
			t.Helper()
			if b := a.one(name); b.AppstreamAgentVersion != want || b.LatestAppstreamAgentVersion != latest {
				t.Errorf("the agent of %s is %s, the latest: %s; want %s, %s", name, b.AppstreamAgentVersion, b.LatestAppstreamAgentVersion, want, latest)
			}
		}
		made(t, a, a, baseImage, "old")
		version("old", "1.0.0", "TRUE")
		a.souk("exec", "old", "--", "sh", "-c", "echo kept >/opt/mark")
		// What is under way when the server stops goes on when it starts.
		a.ask("CreateImageBuilder", in("Name", "late", "InstanceType", "stream.standard.small", "ImageName", baseImage), nil)
		must(t, server.Stop())

		a = run("1.0.0")
		stopped := func() {
			t.Helper()
			b := a.reaches("old", "STOPPED", "RUNNING")
			if b.StateChangeReason == nil || b.StateChangeReason.Code != "INTERNAL_ERROR" || !strings.Contains(b.StateChangeReason.Message, "restarted") {
				t.Errorf("it is STOPPED, and the reason is %+v", b.StateChangeReason)
			}
		}
		stopped()
		until(t, "late at rest", func() bool { is := a.one("late").State; return is == "RUNNING" || is == "STOPPED" })
		// start starts it and returns the state that answers.
		start := func(more ...any) string {
			t.Helper()
			var begun struct{ ImageBuilder imageBuilder }
			a.ask("StartImageBuilder", in(append([]any{"Name", "old"}, more...)...), &begun)
			a.reaches("old", "RUNNING", begun.ImageBuilder.State)
			if got := a.souk("exec", "old", "--", "cat", "/opt/mark"); got != "kept" {
				t.Errorf("the file is %q", got)
			}
			return begun.ImageBuilder.State
		}
		if got := start(); got != "PENDING" {
			t.Errorf("started with the same agent it is %s", got)
		}
		a.parts("old", "image-assistant", "create-image", "--name", "pinned")
		a.available("pinned")
		a.reaches("old", "STOPPED", "SNAPSHOTTING")
		start()
		a.parts("old", "image-assistant", "create-image", "--name", "latest", "--use-latest-agent-version")
		a.available("latest")
		a.reaches("old", "STOPPED", "SNAPSHOTTING")
		start()
		must(t, server.Stop())

		a = run("2.0.0")
		stopped()
		version("old", "1.0.0", "FALSE")
		a.refused("ResourceNotAvailableException", "1.0.0", "StartImageBuilder", in("Name", "old", "AppstreamAgentVersion", "1.0.0"))
		if got := start("AppstreamAgentVersion", "[LATEST]"); got != "UPDATING_AGENT" {
			t.Errorf("started with a newer agent it is %s", got)
		}
		version("old", "2.0.0", "TRUE")
		a.ask("StopImageBuilder", in("Name", "old"), nil)
		a.reaches("old", "STOPPED", "STOPPING")
		if got := start("AppstreamAgentVersion", "2.0.0"); got != "PENDING" {
			t.Errorf("started again with the newer agent it is %s", got)
		}
		images := map[string]string{"pinned": a.image("pinned").AppstreamAgentVersion, "latest": a.image("latest").AppstreamAgentVersion}
		if want := map[string]string{"pinned": "1.0.0", "latest": "2.0.0"}; !maps.Equal(images, want) {
			t.Errorf("the agents of images are %v, want %v", images, want)
		}
		for _, name := range []string{"old", "late"} {
			a.ask("DeleteImageBuilder", in("Name", name), nil)
			a.gone(name)
		}
		must(t, server.Stop())
		if out, err := server.Command("doctor"); err != nil {
			t.Errorf("souk doctor: %v\n%s", err, out)
		}
		left.nothing(t)
	})
}
